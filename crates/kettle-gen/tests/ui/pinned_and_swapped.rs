//! E0277: a pinned generator can't be swapped out of its place.
use kettle_gen::{Yielder, generator};
use std::pin::pin;

fn main() {
    let make = || generator(async |y: &mut Yielder<u8>| _ = y.yield_(1).await);
    let mut pinned = pin!(make());
    std::mem::swap(pinned.as_mut().get_mut(), &mut make());
}
