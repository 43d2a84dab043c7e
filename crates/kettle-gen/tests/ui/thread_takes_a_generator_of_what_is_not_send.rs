//! E0277: values that pass through a generator count as what it holds.
use kettle_gen::{Generator, Yielder, generator};
use std::rc::Rc;

fn receives() -> impl Generator<Send = Rc<u8>> {
    generator(async |y: &mut Yielder<u8, Rc<u8>>| _ = y.yield_(1).await)
}

fn main() {
    let g = receives();
    std::thread::spawn(move || drop(g));
}
