//! lifetime may not live long enough: a body that returns its yielder.
use kettle_fiber::{Yielder, coroutine};

fn main() {
    let _ = coroutine(|y: &mut Yielder<u32>| y);
}
