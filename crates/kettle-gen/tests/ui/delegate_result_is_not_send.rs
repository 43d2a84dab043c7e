//! E0277: the result of a delegate waits for its delegator, so it counts as well.
use kettle_gen::{Yielder, generator};
use std::rc::Rc;

fn main() {
    generator(async |y: &mut Yielder<u8>| drop(y.yield_from(generator(async |_: &mut Yielder<u8>| Rc::new(1))).await))
        .count();
}
