//! Owns what a task is unwound with that has been cancelled.

use std::fmt;
use std::panic::resume_unwind;

/// The payload of the unwinding that ends a cancelled task, and what joining it gives instead of a result.
///
/// ```
/// use kettle_rt::{Cancelled, EventLoop, spawn};
///
/// let left_behind = EventLoop::new()?.run(|| spawn(|| kettle_rt::sleep(std::time::Duration::MAX)));
/// // What still runs when the root returns is cancelled.
/// assert!(left_behind.join().unwrap_err().is::<Cancelled>());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

impl Cancelled {
    /// Unwinds the current task. No panic hook runs, and no message is printed.
    #[cold]
    pub(crate) fn raise() -> ! {
        resume_unwind(Box::new(Self))
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task was cancelled")
    }
}

impl std::error::Error for Cancelled {}
