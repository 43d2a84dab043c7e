//! E0277: a coroutine on another thread than the one it was made on.
use kettle_fiber::{Yielder, coroutine};

fn main() {
    let mut co = coroutine(|y: &mut Yielder<u32>| y.yield_iter(0..3));
    std::thread::spawn(move || co.next());
}
