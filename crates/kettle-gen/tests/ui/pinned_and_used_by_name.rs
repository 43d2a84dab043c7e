//! E0382: what `pin!` has taken can't be used by its old name.
use kettle_gen::{Generator, Yielder, generator};
use std::pin::pin;

fn main() {
    let g = generator(async |y: &mut Yielder<u8>| _ = y.yield_(1).await);
    let mut pinned = pin!(g);
    drop(pinned.resume());
    drop(g);
}
