//! Owns what a task is unwound with that is cancelled, and why it is.

use std::fmt;
use std::io;
use std::panic::resume_unwind;

/// What was cancelled ends with this: it is the payload of the unwinding, the error of a part of a task that has ended so
/// ([`timeout`](crate::timeout)), the source of an I/O error, and what joining a cancelled task gives.
///
/// ```
/// use kettle_rt::{Cancelled, EventLoop, Reason, sleep, spawn};
/// use std::time::Duration;
///
/// let left_behind = EventLoop::new()?.run(|| spawn(|| sleep(Duration::MAX)));
/// // What still runs when the root returns is cancelled.
/// let payload = left_behind.join().unwrap_err();
/// assert_eq!(payload.downcast_ref::<Cancelled>().unwrap().reason(), Reason::Shutdown);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Who catches panics lets it pass
///
/// Every checkpoint raises it again, without suspending the task, until what was cancelled has been left. So a loop that catches
/// whatever it unwinds with never ends, and no other task of the thread runs any more. (A simulation ends the process then, and
/// says so.) Let it pass:
///
/// ```
/// use kettle_rt::{Cancelled, EventLoop, sleep, spawn, yield_now};
/// use std::panic::{catch_unwind, resume_unwind};
/// use std::time::Duration;
///
/// EventLoop::new()?.run(|| {
///     let server = spawn(|| {
///         loop {
///             // A request, whose panics are nobody else's.
///             if let Err(payload) = catch_unwind(|| sleep(Duration::MAX))
///                 && payload.is::<Cancelled>()
///             {
///                 resume_unwind(payload);
///             }
///         }
///     });
///     yield_now();
///     server.cancel();
///     assert!(server.join().is_err());
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled {
    reason: Reason,
}

/// Why something was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Its time was up.
    Deadline,
    /// Somebody has called `cancel`.
    Explicit,
    /// Another task of its group has failed.
    Sibling,
    /// The first task of the event loop has returned.
    Shutdown,
}

impl Cancelled {
    pub(crate) fn new(reason: Reason) -> Self {
        Self { reason }
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Unwinds the current task. No panic hook runs, and no message is printed.
    #[cold]
    pub(crate) fn raise(self) -> ! {
        resume_unwind(Box::new(self))
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            Reason::Deadline => "cancelled: the time was up",
            Reason::Explicit => "cancelled: by request",
            Reason::Sibling => "cancelled: another task of the group has failed",
            Reason::Shutdown => "cancelled: the event loop ends",
        })
    }
}

impl std::error::Error for Cancelled {}

impl From<Cancelled> for io::Error {
    /// An error with this as its source. Its kind is [`TimedOut`](io::ErrorKind::TimedOut) where the time was up.
    fn from(cancelled: Cancelled) -> Self {
        match cancelled.reason {
            Reason::Deadline => Self::new(io::ErrorKind::TimedOut, cancelled),
            _ => Self::other(cancelled),
        }
    }
}
