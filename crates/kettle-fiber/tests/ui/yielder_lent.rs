//! accepted: a yielder that is lent to an inner body, which its scope outlives.
use kettle_fiber::{Coroutine, Yielder, coroutine, scoped};

fn main() {
    let co: Coroutine<u32> = coroutine(|outer: &mut Yielder<u32>| {
        scoped(
            |_: &mut Yielder<u32>| {
                outer.yield_(1);
            },
            |inner| inner.for_each(drop),
        );
    });
    assert!(co.eq([1]));
}
