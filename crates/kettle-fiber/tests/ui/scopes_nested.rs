//! accepted: two nested scopes, each handle used where both live.
use kettle_fiber::{Yielder, scoped};

fn main() {
    scoped(
        |y: &mut Yielder<u32>| y.yield_iter(0..3),
        |mut outer| {
            scoped(
                |y: &mut Yielder<u32>| y.yield_iter(5..8),
                |mut inner| assert_eq!((outer.next(), inner.next()), (Some(0), Some(5))),
            );
            assert_eq!(outer.next(), Some(1));
        },
    );
}
