//! future cannot be sent between threads safely: a box that may be sent takes only generators that may.
use kettle_gen::{Yielder, boxed, generator};
use std::rc::Rc;

fn main() {
    let rc = Rc::new(1);
    boxed(generator(async move |y: &mut Yielder<u8>| _ = y.yield_(*rc).await)).count();
}
