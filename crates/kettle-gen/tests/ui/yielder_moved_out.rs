//! E0277: a yielder is its place, so nothing may move it: not to swap it, nor to put it back (crate `replace_with`).
use kettle_gen::{TryYielder, Yielder, generator, try_generator};

/// What can be done with any `T` that has a size.
fn move_out_and_in<T>(_: &mut T) {}

fn main() {
    drop(generator(async |y: &mut Yielder<u8>| move_out_and_in(y)));
    drop(try_generator(async |y: &mut TryYielder<u8>| Ok(move_out_and_in(y))));
}
