//! E0521: a body that yields the yielder of an outer one past the end of that body.
use kettle_fiber::{Coroutine, Yielder, coroutine};

fn main() {
    let _: Coroutine<u32> = coroutine(|outer: &mut Yielder<u32>| {
        let inner = coroutine(move |_: &mut Yielder<u32>| {
            outer.yield_(1);
        });
        drop(inner);
    });
}
