//! E0277 future cannot be sent between threads safely: what a body holds while it is suspended counts as well.
use kettle_gen::{Generator, Yielder, boxed, generator};
use std::rc::Rc;

fn holds() -> impl Generator<Yield = u8> {
    generator(async |y: &mut Yielder<u8>| {
        let rc = Rc::new(1);
        y.yield_(1).await;
        drop(rc);
    })
}

fn main() {
    drop(boxed(holds()));
}
