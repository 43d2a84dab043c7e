//! E0505: a generator that is pinned in place is not moved any more.
use kettle_gen::{Generator, Yielder, generator};
use std::pin::Pin;

fn main() {
    let mut g = Box::pin(generator(async |y: &mut Yielder<u8>| _ = y.yield_(1).await));
    let mut pinned: Pin<&mut _> = g.as_mut();
    drop(pinned.resume());
    let moved = g;
    drop((pinned.resume(), moved));
}
