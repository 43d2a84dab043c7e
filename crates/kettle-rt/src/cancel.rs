//! Owns the parts of a task that can be cancelled by themselves: [`CancelScope`], and the short forms of it.
//!
//! This is trio's model. A cancellation is level-triggered: from then on every checkpoint inside raises it again, until the
//! scope has been left. It does not suspend the task: a loop that catches all panics around a checkpoint never ends then (see
//! [`Cancelled`]). Scopes nest, and what is spawned inside one of them that waits for its tasks
//! ([`scope`](crate::scope())) is cancelled with it.

use crate::cancelled::{Cancelled, Reason};
use crate::event_loop;
use crate::header::{Region, TaskRef};
use crate::instant::Instant;
use crate::join::expect;
use crate::outside;
use crate::region;
use crate::scope::leave;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;
use std::time::{self, Duration};

/// A part of a task that can be cancelled by itself. Made by [`cancel_scope`].
pub struct CancelScope {
    region: Region,
}

impl CancelScope {
    /// Has what runs in it end, tasks included that were spawned in it by a scope or a group. No checkpoint; the second
    /// time it does nothing.
    pub fn cancel(&self) {
        self.cancel_for(Reason::Explicit);
    }

    /// Sets when it is cancelled, instead of when it was set before. A time that has passed cancels at once.
    pub fn set_deadline(&self, deadline: Option<Instant>) {
        let deadline = deadline.map(time::Instant::from);
        let Some(event_loop) = self.region.task.get().and_then(event_loop::home_of) else { return };
        if deadline.is_some_and(|deadline| deadline <= event_loop.now()) {
            self.cancel_for(Reason::Deadline);
        } else {
            event_loop.set_deadline(&self.region, deadline);
        }
    }

    /// Whether what runs in it is to end: by its own cancellation or by one from outside.
    pub fn is_cancelled(&self) -> bool {
        self.region.is_cancelled.get()
    }

    fn cancel_for(&self, reason: Reason) {
        if let Some(event_loop) = self.region.task.get().and_then(event_loop::home_of).or_else(event_loop::current) {
            event_loop.cancel_region(&self.region, reason);
        }
    }
}

impl fmt::Debug for CancelScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelScope").field("is_cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}

/// Runs a function that can be cancelled from inside, by the scope that it is given: trio's `CancelScope`.
///
/// ```
/// use kettle_rt::{EventLoop, Reason, cancel_scope, scope, sleep};
/// use std::time::Duration;
///
/// EventLoop::new()?.run(|| {
///     let cancelled = cancel_scope(|tea| {
///         scope(|s| {
///             s.spawn(|| tea.cancel());
///             sleep(Duration::MAX);
///         });
///     });
///     assert_eq!(cancelled.unwrap_err().reason(), Reason::Explicit);
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// A coroutine that is suspended inside keeps the scope open: what its task does meanwhile is cancelled as well.
///
/// # Errors
///
/// [`Cancelled`], if the function was unwound because this scope was cancelled. If it has returned all the same, because it
/// was done or has dealt with an error, what it returned is given: nothing is lost.
///
/// # Panics
///
/// With the function's panic. If there can't be an event loop, outside of `run`.
///
/// # Cancellation
///
/// A cancellation from outside passes through. Where panics abort, a function is not unwound: its operations give errors and
/// its waits end early, and what it returns is given.
#[track_caller]
pub fn cancel_scope<T>(f: impl FnOnce(&CancelScope) -> T) -> Result<T, Cancelled> {
    run(CancelScope { region: Region::default() }, |_| (), f)
}

/// Runs a function that is cancelled if it takes longer than this. A time of zero is up at its first checkpoint.
///
/// ```
/// use kettle_rt::{EventLoop, Reason, sleep, timeout};
/// use std::time::Duration;
///
/// EventLoop::new()?.run(|| {
///     let tea = timeout(Duration::from_secs(180), || "tea");
///     assert_eq!(tea, Ok("tea"));
///     let cold = timeout(Duration::from_millis(1), || sleep(Duration::MAX));
///     assert_eq!(cold.unwrap_err().reason(), Reason::Deadline);
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// As [`cancel_scope`]. An I/O operation that the end of the time has stopped gives an error first, of the kind `TimedOut`;
/// so a function that passes errors on returns `Ok(Err(_))`, and `timeout(…)??` is how to ask for both.
///
/// # Panics
///
/// As `cancel_scope`.
#[track_caller]
pub fn timeout<T>(time: Duration, f: impl FnOnce() -> T) -> Result<T, Cancelled> {
    let until = |scope: &CancelScope| scope.set_deadline(Instant::now().checked_add(time));
    run(CancelScope { region: Region::default() }, until, |_| f())
}

/// Runs a function that is cancelled at a time. One that has passed is up at the first checkpoint. Otherwise as [`timeout`].
///
/// ```
/// use kettle_rt::{EventLoop, Instant, deadline, sleep};
/// use std::time::Duration;
///
/// EventLoop::new()?.run(|| {
///     let late = deadline(Instant::now(), || sleep(Duration::MAX));
///     assert!(late.is_err());
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// As `timeout`.
///
/// # Panics
///
/// As `timeout`.
#[track_caller]
pub fn deadline<T>(at: impl Into<time::Instant>, f: impl FnOnce() -> T) -> Result<T, Cancelled> {
    let at = Instant::from(at.into());
    run(CancelScope { region: Region::default() }, |scope| scope.set_deadline(Some(at)), |_| f())
}

/// Runs a function in which the task is not cancelled from outside: to say goodbye to a peer, to put something back. The
/// checkpoints in it wait as if nothing had happened. What was cancelled meanwhile is raised at the next one after it.
///
/// Whoever shields waits: give what is in there a [`timeout`] of its own. Outside of tasks it calls the function.
///
/// ```
/// use kettle_rt::{EventLoop, shield, sleep, timeout};
/// use std::time::Duration;
///
/// EventLoop::new()?.run(|| {
///     let mut said_goodbye = false;
///     let late = timeout(Duration::ZERO, || {
///         shield(|| {
///             sleep(Duration::from_millis(1));
///             said_goodbye = true;
///         });
///         sleep(Duration::MAX);
///     });
///     assert!(late.is_err() && said_goodbye);
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
///
/// With the function's panic.
pub fn shield<T>(f: impl FnOnce() -> T) -> T {
    let Some((_, task)) = event_loop::task() else { return f() };
    let region = Region { shields: true, ..Region::default() };
    let (result, _) = inside(task, &region, f);
    result.unwrap_or_else(|panic| resume_unwind(panic))
}

#[track_caller]
fn run<T>(
    scope: CancelScope,
    begin: impl FnOnce(&CancelScope),
    f: impl FnOnce(&CancelScope) -> T,
) -> Result<T, Cancelled> {
    // Outside of `run` the thread becomes a task.
    _ = expect(outside::event_loop());
    let Some((_, task)) = event_loop::task() else {
        // In a destructor that runs by unwinding nothing waits, so there is nothing to cancel.
        return Ok(f(&scope));
    };
    let (result, is_cancelled_outside) = inside(task, &scope.region, || {
        begin(&scope);
        f(&scope)
    });
    result.or_else(|panic| match scope.region.asked.get() {
        Some(reason) if !is_cancelled_outside && panic.is::<Cancelled>() => Err(Cancelled::new(reason)),
        _ => resume_unwind(panic),
    })
}

/// Runs a function inside a region. Gives what became of it, and whether the task is cancelled outside of the region.
fn inside<T>(task: TaskRef, region: &Region, f: impl FnOnce() -> T) -> (thread::Result<T>, bool) {
    region::enter(task, region);
    let result = catch_unwind(AssertUnwindSafe(f));
    let is_cancelled_outside = leave(region);
    (result, is_cancelled_outside)
}
