//! E0277: a coroutine that two threads can see.
use kettle_fiber::{Yielder, coroutine};

fn main() {
    let co = coroutine(|y: &mut Yielder<u32>| y.yield_iter(0..3));
    std::thread::scope(|scope| {
        scope.spawn(|| co.stack_used());
    });
}
