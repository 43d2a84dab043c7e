//! E0597: a body that is given, through a cell, what dies in the consumer, which it outlives.
use kettle_fiber::{Yielder, scoped};
use std::cell::Cell;

fn main() {
    let slot: Cell<Option<&String>> = Cell::new(None);
    scoped(
        |y: &mut Yielder<u32>| {
            y.yield_(1);
            println!("{:?}", slot.get());
        },
        |mut co| {
            co.next();
            let text = String::from("dies first");
            slot.set(Some(&text));
        },
    );
}
