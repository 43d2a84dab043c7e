//! E0597: a delegate lives as long as its delegator may, so it can't borrow what that one's body owns.
use kettle_gen::{Yielder, generator};

fn main() {
    generator(async |y: &mut Yielder<usize>| {
        let text = String::from("owned by the body");
        y.yield_from(generator(async |y: &mut Yielder<usize>| _ = y.yield_(text.len()).await)).await;
    })
    .count();
}
