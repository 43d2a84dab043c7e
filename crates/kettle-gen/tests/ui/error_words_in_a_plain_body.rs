//! E0599: only bodies that see errors have the words for them.
use kettle_gen::{Yielder, generator};

fn main() {
    generator(async |y: &mut Yielder<u8>| drop(y.try_yield(1).await)).count();
}
