//! E0277: two yielders that change places: each would speak for the coroutine of the other.
use kettle_fiber::{Yielder, coroutine, scoped};

fn main() {
    let _ = coroutine(|outer: &mut Yielder<u32>| {
        scoped(|inner: &mut Yielder<u32>| std::mem::swap(outer, inner), |mut co| co.next());
    });
}
