//! E0277: a yielder on another thread, inside the scope of its body.
use kettle_fiber::{Yielder, coroutine};

fn main() {
    let _ = coroutine(|y: &mut Yielder<u32>| {
        std::thread::scope(|scope| {
            scope.spawn(|| y.yield_(1));
        });
    });
}
