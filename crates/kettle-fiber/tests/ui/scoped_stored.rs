//! E0521: the handle of a scope, kept in a place outside.
use kettle_fiber::{Scoped, Yielder, scoped};

fn main() {
    let mut kept: Option<Scoped<'_, u32>> = None;
    scoped(|y: &mut Yielder<u32>| y.yield_iter(0..3), |co| kept = Some(co));
    drop(kept);
}
