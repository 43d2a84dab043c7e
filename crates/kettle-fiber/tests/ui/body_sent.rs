//! accepted: a body that has not become a coroutine may change threads.
use kettle_fiber::{Yielder, coroutine};

fn main() {
    let body = |y: &mut Yielder<u32>| y.yield_iter(0..3);
    let sum: u32 = std::thread::spawn(move || coroutine(body).sum()).join().unwrap();
    assert_eq!(sum, 3);
}
