//! Owns the condition variable: waiting until somebody says that what a mutex guards has changed.
//!
//! Who waits is in the queue before the mutex is given back, so who changes the data under the mutex and notifies then can't
//! miss him.

use super::mutex::MutexGuard;
use super::system::{Lock, Wait, Woken, constant, raise_if_cancelled, raise_or_keep};
use super::wait_queue::{Ended, Node, Patience, WaitQueue};
use kettle_rt::now;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{LockResult, PoisonError};
use std::time::{Duration, Instant};

/// Waiting until somebody says that what a [`Mutex`](super::Mutex) guards has changed: `std::sync::Condvar` for tasks.
///
/// ```
/// use kettle::sync::{Condvar, Mutex};
/// use kettle::thread;
///
/// kettle::run(|| {
///     let (boils, whistle) = (Mutex::new(false), Condvar::new());
///     thread::scope(|s| {
///         s.spawn(|| {
///             *boils.lock().unwrap() = true;
///             whistle.notify_one();
///         });
///         let boils = whistle.wait_while(boils.lock().unwrap(), |boils| !*boils).unwrap();
///         assert!(*boils);
///     });
/// });
/// ```
///
/// Who has waited longest is woken first, and no notice is lost: one that crosses a cancellation goes to the next. As in
/// std a wait may end without a notice, so ask again, or use the forms with `while`.
///
/// # Cancellation
///
/// Every wait is a checkpoint. A wait is cancelled or complete, never both: a task that is cancelled while it waits is
/// unwound without the mutex, which it had given back in good order, and so does not poison; one that has been given a
/// notice before it hears of that has it, takes the mutex back, goes on, and is unwound at its next checkpoint. Where
/// panics abort, a cancelled wait goes on: it has no error to tell it by.
///
/// In a destructor that runs by unwinding a wait blocks its thread, and so the other tasks of it: somebody on another thread
/// has to notify it.
pub struct Condvar {
    queue: Lock<WaitQueue<()>>,
}

/// Whether a wait has ended because its time was up. Given by [`Condvar::wait_timeout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time was up. A notice that came at the same moment is none of those that are lost: then this is `false`.
    ///
    /// ```
    /// use kettle::sync::{Condvar, Mutex};
    /// use std::time::Duration;
    ///
    /// let (tea, whistle) = (Mutex::new(()), Condvar::new());
    /// let (_tea, result) = whistle.wait_timeout(tea.lock().unwrap(), Duration::ZERO).unwrap();
    /// assert!(result.timed_out());
    /// ```
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    constant! {
        /// One that nobody waits for.
        ///
        /// ```
        /// use kettle::sync::Condvar;
        ///
        /// static WHISTLE: Condvar = Condvar::new();
        /// WHISTLE.notify_all();
        /// ```
        #[must_use]
        pub const fn new() -> Self {
            Self { queue: Lock::new(WaitQueue::new()) }
        }
    }

    /// Gives the mutex back, waits for a notice, and takes the mutex again. A checkpoint.
    ///
    /// ```
    /// use kettle::sync::{Condvar, Mutex};
    /// use kettle::thread;
    ///
    /// kettle::run(|| {
    ///     let (cups, poured) = (Mutex::new(0), Condvar::new());
    ///     thread::scope(|s| {
    ///         s.spawn(|| {
    ///             *cups.lock().unwrap() += 1;
    ///             poured.notify_one();
    ///         });
    ///         let mut guard = cups.lock().unwrap();
    ///         while *guard == 0 {
    ///             guard = poured.wait(guard).unwrap();
    ///         }
    ///     });
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// The guard in an error, if the mutex is poisoned.
    ///
    /// # Cancellation
    ///
    /// See [`Condvar`](Self#cancellation).
    #[track_caller]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.wait_until(guard, None).0
    }

    /// Waits as long as a condition holds. A checkpoint if it does.
    ///
    /// ```
    /// use kettle::sync::{Condvar, Mutex};
    ///
    /// let (cups, poured) = (Mutex::new(1), Condvar::new());
    /// let cups = poured.wait_while(cups.lock().unwrap(), |cups| *cups == 0).unwrap();
    /// assert_eq!(*cups, 1);
    /// ```
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Cancellation
    ///
    /// See [`Condvar`](Self#cancellation).
    #[track_caller]
    pub fn wait_while<'a, T, F>(&self, mut guard: MutexGuard<'a, T>, mut condition: F) -> LockResult<MutexGuard<'a, T>>
    where
        F: FnMut(&mut T) -> bool,
    {
        while condition(&mut *guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// Waits for a notice, and no longer than a time. A checkpoint.
    ///
    /// ```
    /// use kettle::sync::{Condvar, Mutex};
    /// use std::time::Duration;
    ///
    /// kettle::run(|| {
    ///     let (tea, whistle) = (Mutex::new("cold"), Condvar::new());
    ///     let (tea, result) = whistle.wait_timeout(tea.lock().unwrap(), Duration::from_millis(1)).unwrap();
    ///     assert!(result.timed_out());
    ///     assert_eq!(*tea, "cold");
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Cancellation
    ///
    /// See [`Condvar`](Self#cancellation).
    #[track_caller]
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        time: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        match self.wait_until(guard, now().checked_add(time)) {
            (Ok(guard), result) => Ok((guard, result)),
            (Err(poisoned), result) => Err(PoisonError::new((poisoned.into_inner(), result))),
        }
    }

    /// Waits as long as a condition holds, and no longer than a time. A checkpoint if the condition holds.
    ///
    /// ```
    /// use kettle::sync::{Condvar, Mutex};
    /// use std::time::Duration;
    ///
    /// let (cups, poured) = (Mutex::new(0), Condvar::new());
    /// let time = Duration::from_millis(1);
    /// let (cups, result) = poured.wait_timeout_while(cups.lock().unwrap(), time, |cups| *cups == 0).unwrap();
    /// assert!(result.timed_out());
    /// assert_eq!(*cups, 0);
    /// ```
    ///
    /// The result says whether the condition still held when the time was up.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Cancellation
    ///
    /// See [`Condvar`](Self#cancellation).
    #[track_caller]
    pub fn wait_timeout_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        time: Duration,
        mut condition: F,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)>
    where
        F: FnMut(&mut T) -> bool,
    {
        let deadline = now().checked_add(time);
        loop {
            if !condition(&mut *guard) {
                return Ok((guard, WaitTimeoutResult(false)));
            }
            if deadline.is_some_and(|deadline| deadline <= now()) {
                return Ok((guard, WaitTimeoutResult(true)));
            }
            guard = match self.wait_until(guard, deadline) {
                // Where no time passes, for no task can be suspended, its end never comes.
                (Ok(mut guard), result) if result.timed_out() => {
                    let holds = condition(&mut *guard);
                    return Ok((guard, WaitTimeoutResult(holds)));
                }
                (Ok(guard), _) => guard,
                (Err(poisoned), result) => return Err(PoisonError::new((poisoned.into_inner(), result))),
            };
        }
    }

    /// Wakes who has waited longest, if somebody waits. From any thread; no checkpoint.
    ///
    /// ```
    /// use kettle::sync::Condvar;
    ///
    /// // Nobody hears it, and nobody will.
    /// Condvar::new().notify_one();
    /// ```
    pub fn notify_one(&self) {
        let notice = self.queue.lock().pop();
        drop(notice);
    }

    /// Wakes all who wait. From any thread; no checkpoint.
    ///
    /// ```
    /// use kettle::sync::Condvar;
    ///
    /// Condvar::new().notify_all();
    /// ```
    pub fn notify_all(&self) {
        let notices = self.queue.lock().pop_all();
        drop(notices);
    }

    #[track_caller]
    fn wait_until<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Option<Instant>,
    ) -> (LockResult<MutexGuard<'a, T>>, WaitTimeoutResult) {
        let mutex = guard.mutex();
        let mut guard = Some(guard);
        let mut patience = Patience::until(Wait::Condvar, deadline);
        let mut queue = self.queue.lock();
        let timed_out = loop {
            let give_back = || drop(guard.take());
            match Node::new(()).wait_after(&self.queue, queue, |queue| queue, patience, give_back) {
                Ended::Notified { woken: Woken::Cancelled, .. } => {
                    self.notify_one();
                    raise_if_cancelled();
                    break false;
                }
                Ended::Notified { .. } => break false,
                Ended::GaveUp { woken: Woken::Cancelled, guard, .. } => {
                    queue = raise_or_keep(&self.queue, guard);
                    patience = patience.shielded();
                }
                Ended::GaveUp { .. } => break true,
            }
        };
        (mutex.lock_shielded(), WaitTimeoutResult(timed_out))
    }
}

impl UnwindSafe for Condvar {}
impl RefUnwindSafe for Condvar {}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}
