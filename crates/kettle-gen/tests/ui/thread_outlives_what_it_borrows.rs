//! E0597: a thread takes only generators that borrow nothing which it outlives.
use kettle_gen::{Yielder, boxed, generator};

fn main() {
    let text = String::from("local");
    let g = boxed(generator(async |y: &mut Yielder<usize>| _ = y.yield_(text.len()).await));
    std::thread::spawn(move || g.count());
}
