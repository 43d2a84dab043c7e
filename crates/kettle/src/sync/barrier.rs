//! Owns the barrier: a place where all wait until the last one has come.

use super::system::{Lock, Wait, constant, raise_or_keep};
use super::wait_queue::{Ended, Node, Patience, WaitQueue};
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// A place where all wait until the last one has come: `std::sync::Barrier` for tasks.
///
/// ```
/// use kettle::sync::Barrier;
/// use kettle::thread;
///
/// kettle::run(|| {
///     let table = Barrier::new(3);
///     let leaders = thread::scope(|s| {
///         let guests = [(); 3].map(|()| s.spawn(|| table.wait().is_leader()));
///         guests.map(|guest| guest.join().unwrap())
///     });
///     assert_eq!(leaders.iter().filter(|leads| **leads).count(), 1);
/// });
/// ```
///
/// When the last one has come it can be used again.
pub struct Barrier {
    count: usize,
    arrivals: Lock<Arrivals>,
}

#[derive(Debug)]
struct Arrivals {
    /// How many are in the queue.
    count: usize,
    queue: WaitQueue<()>,
}

/// Whether this one came last. Given by [`Barrier::wait`].
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Whether this is the one of them that came last.
    ///
    /// ```
    /// use kettle::sync::Barrier;
    ///
    /// assert!(Barrier::new(1).wait().is_leader());
    /// ```
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

impl fmt::Debug for BarrierWaitResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierWaitResult").field("is_leader", &self.is_leader()).finish()
    }
}

impl Barrier {
    constant! {
        /// One for so many. With 0 or 1 nobody waits.
        ///
        /// ```
        /// use kettle::sync::Barrier;
        ///
        /// static TABLE: Barrier = Barrier::new(1);
        /// assert!(TABLE.wait().is_leader());
        /// ```
        #[must_use]
        pub const fn new(n: usize) -> Self {
            Self { count: n, arrivals: Lock::new(Arrivals { count: 0, queue: WaitQueue::new() }) }
        }
    }

    /// Waits until all have come. A checkpoint, but not for who comes last.
    ///
    /// ```
    /// use kettle::sync::Barrier;
    /// use kettle::thread;
    ///
    /// kettle::run(|| {
    ///     let table = Barrier::new(2);
    ///     thread::scope(|s| {
    ///         s.spawn(|| table.wait());
    ///         table.wait();
    ///     });
    /// });
    /// ```
    ///
    /// In a destructor that runs by unwinding it blocks its thread, and so the other tasks of it.
    ///
    /// # Cancellation
    ///
    /// A wait is cancelled or complete, never both: a task that is cancelled while it waits is unwound, and has not come; one
    /// that has been let go before it hears of that goes on, and is unwound at its next checkpoint. Where panics abort it goes
    /// on waiting.
    #[track_caller]
    pub fn wait(&self) -> BarrierWaitResult {
        let mut arrivals = self.arrivals.lock();
        let mut patience = Patience::endless(Wait::Barrier);
        while arrivals.count + 1 < self.count {
            arrivals.count += 1;
            match Node::new(()).wait(&self.arrivals, arrivals, |arrivals| &mut arrivals.queue, patience) {
                // All have come, even if this one was cancelled at that moment.
                Ended::Notified { .. } => return BarrierWaitResult(false),
                Ended::GaveUp { mut guard, .. } => {
                    guard.count -= 1;
                    arrivals = raise_or_keep(&self.arrivals, guard);
                    patience = patience.shielded();
                }
            }
        }
        arrivals.count = 0;
        let notices = arrivals.queue.pop_all();
        drop(arrivals);
        drop(notices);
        BarrierWaitResult(true)
    }
}

impl UnwindSafe for Barrier {}
impl RefUnwindSafe for Barrier {}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").finish_non_exhaustive()
    }
}
