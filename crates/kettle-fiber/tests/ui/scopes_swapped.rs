//! E0521: two handles of nested scopes that change places: the inner one would get out.
use kettle_fiber::{Yielder, scoped};

fn main() {
    scoped(
        |y: &mut Yielder<u32>| y.yield_iter(0..3),
        |mut outer| {
            scoped(|y: &mut Yielder<u32>| y.yield_iter(5..8), |mut inner| std::mem::swap(&mut outer, &mut inner));
            outer.next();
        },
    );
}
