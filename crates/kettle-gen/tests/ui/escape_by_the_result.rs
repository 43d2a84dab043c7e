//! lifetime may not live long enough: a yield can't be what its body returns.
use kettle_gen::{Generator, Yielder, generator};

fn main() {
    let mut g = generator(async |y: &mut Yielder<u8>| y.yield_(1));
    drop(g.resume());
}
