//! lifetime may not live long enough: a yielder can't leave its body for a variable outside.
use kettle_gen::{Yielder, generator};

fn main() {
    let mut kept: Option<&mut Yielder<'_, u8>> = None;
    let mut g = generator(async |y: &mut Yielder<u8>| kept = Some(y));
    g.next();
}
