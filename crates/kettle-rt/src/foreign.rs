//! Owns calls of what is a user's where no user has called: wakers, and destructors of what was left behind. They run on the
//! event loop's own stack, or in the middle of something of somebody else's, so what they panic with goes nowhere.
#![forbid(unsafe_code)]

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Wakes whom a waker is for. If that panics, nobody here is to blame: the panic hook has said it, and it ends here.
///
/// It is how event loops, locks and channels wake; so a panic of one waker keeps no other from being woken, takes no value from
/// who sends or receives it, and ends no loop.
///
/// ```
/// use kettle_rt::wake;
/// use std::sync::Arc;
/// use std::task::{Wake, Waker};
///
/// struct Breaks;
/// impl Wake for Breaks {
///     fn wake(self: Arc<Self>) {
///         std::panic::resume_unwind(Box::new("the whistle is broken"));
///     }
/// }
/// wake(Waker::from(Arc::new(Breaks)));
/// ```
pub fn wake(waker: Waker) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
        discard(payload);
    }
}

/// Drops a value. Gives whether that has panicked. What the destructor of a payload panics with is forgotten: its own might
/// panic again, and so for ever.
pub(crate) fn discard<T>(value: T) -> bool {
    let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) else { return false };
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(payload);
    }
    true
}
