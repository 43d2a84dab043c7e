//! lifetime may not live long enough: the handle of a scope that outlives it.
use kettle_fiber::{Yielder, scoped};

fn main() {
    let mut co = scoped(|y: &mut Yielder<u32>| y.yield_iter(0..3), |co| co);
    co.next();
}
