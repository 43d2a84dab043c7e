//! Owns what a task waits for by itself, its turn or a time, and what every checkpoint is: the task is suspended there, and
//! unwound there if it has been cancelled.
//!
//! Outside of tasks, and in one that is unwinding, there is nothing to suspend: then the thread waits, as with `std`.

use crate::blocked;
use crate::event_loop::{self, Loop};
use crate::header::{Flags, Purpose, TaskRef, Wait};
use crate::region;
use std::panic::Location;
use std::thread;
use std::time::{Duration, Instant};

/// Raises the cancellation of the current task, if it has been cancelled and does not have to wait all the same. Where panics
/// abort it can't be raised; there waiting ends early, and operations give errors: the task has been told.
#[inline]
pub(crate) fn check(task: TaskRef) {
    if hears_cancellation(task) {
        if cfg!(panic = "unwind") {
            raise(task);
        }
        task.set(Flags::TOLD);
    }
}

/// Unwinds the current task, which has been cancelled. In a simulation the process ends if it catches that on and on: it could
/// never be ended, and is not suspended meanwhile.
#[cold]
fn raise(task: TaskRef) -> ! {
    blocked::raised();
    region::cancelled(task).raise()
}

/// Whether the current task is cancelled here, so that its next checkpoint will say so. No checkpoint.
///
/// ```
/// use kettle_rt::{EventLoop, cancel_scope, is_cancelled, shield};
///
/// EventLoop::new()?.run(|| {
///     let _ = cancel_scope(|scope| {
///         scope.cancel();
///         assert!(is_cancelled());
///         assert!(!shield(is_cancelled));
///     });
///     assert!(!is_cancelled());
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn is_cancelled() -> bool {
    event_loop::task().is_some_and(|(_, task)| is_to_end(task))
}

/// Whether a task's cancellation is to be heard: what each checkpoint asks.
#[inline]
pub(crate) fn hears_cancellation(task: TaskRef) -> bool {
    task.set(Flags::PASSED);
    is_to_end(task)
}

#[inline]
fn is_to_end(task: TaskRef) -> bool {
    task.is(Flags::CANCELLED) && !task.is(Flags::SHIELDED)
}

/// Suspends a task until it is woken, or the time has come. Gives whether it has.
#[inline]
pub(crate) fn until(event_loop: &Loop, task: TaskRef, purpose: Purpose, deadline: Option<Instant>) -> bool {
    match deadline {
        None => {
            event_loop.wait(task, purpose);
            false
        }
        Some(deadline) => until_then(event_loop, task, purpose, deadline),
    }
}

fn until_then(event_loop: &Loop, task: TaskRef, purpose: Purpose, deadline: Instant) -> bool {
    event_loop.set_timer(task, deadline);
    event_loop.wait(task, purpose);
    event_loop.clear_timer(task)
}

/// Raises the cancellation of the current task, if it has been cancelled: what ends a wait that was found to be
/// [`Cancelled`](crate::Woken::Cancelled). It returns where panics abort, and outside of tasks.
pub fn raise_if_cancelled() {
    if let Some((_, task)) = event_loop::task() {
        check(task);
    }
}

/// What a wait is besides waiting, for who need not wait: it can be cancelled there, and it counts, so that others have their
/// turn. A checkpoint. (For what has an error to give it is [`checkpoint`](crate::checkpoint).)
///
/// # Cancellation
///
/// A task that has been cancelled is unwound here.
#[inline]
pub fn pass() {
    if let Some((event_loop, task)) = event_loop::task() {
        check(task);
        event_loop.pass(task);
    }
}

/// Whether, in a simulation, others are to run before the current task takes a lock that nobody has: as if another thread had had
/// it for a moment. Then [`pause`] follows. `None` where no simulation runs. No checkpoint.
#[track_caller]
pub fn pauses_before_lock() -> Option<bool> {
    let (order, at) = (event_loop::current()?.order()?, Location::caller());
    // Where no task can be suspended, none is.
    Some(event_loop::task().is_some_and(|(_, task)| order.pauses_before_lock(task, at)))
}

/// Lets other tasks run before this one goes on, without hearing of a cancellation: for what is no checkpoint but in a simulation.
pub fn pause() {
    if let Some((event_loop, task)) = event_loop::task() {
        task.set(Flags::PASSED);
        event_loop.yield_now(task);
    }
}

/// Lets other tasks run before this one goes on. A checkpoint.
///
/// The current task goes to the end of the queue of those that are ready. Outside of tasks this is
/// `std::thread::yield_now`.
///
/// # Cancellation
///
/// A task that has been cancelled is unwound here.
///
/// ```
/// use kettle_rt::{EventLoop, spawn, yield_now};
/// use std::{cell::RefCell, rc::Rc};
///
/// let order = EventLoop::new()?.run(|| {
///     let order = Rc::new(RefCell::new(Vec::new()));
///     let other = spawn({
///         let order = Rc::clone(&order);
///         move || order.borrow_mut().push("other")
///     });
///     order.borrow_mut().push("first");
///     yield_now();
///     order.borrow_mut().push("last");
///     other.join().unwrap();
///     order.take()
/// });
/// assert_eq!(order, ["first", "other", "last"]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[inline]
pub fn yield_now() {
    match event_loop::task() {
        Some((event_loop, task)) => {
            check(task);
            event_loop.yield_now(task);
            check(task);
        }
        None => {
            blocked::turn_in_vain();
            thread::yield_now();
        }
    }
}

/// Suspends the current task for a time, never for less. A checkpoint. Outside of tasks it is `std::thread::sleep`; by a clock
/// that is not the system's, where the task unwinds, it does nothing.
///
/// # Cancellation
///
/// A task that is cancelled is unwound here. Where panics abort the wait ends early.
#[track_caller]
pub fn sleep(time: Duration) {
    // None is longer than the clock can tell.
    sleep_to(event_loop::now().checked_add(time));
}

/// Suspends the current task until a time has come, never until an earlier one. A checkpoint.
///
/// # Cancellation
///
/// A task that is cancelled is unwound here. Where panics abort the wait ends early.
///
/// ```
/// use kettle_rt::{EventLoop, Instant, sleep_until};
/// use std::time::Duration;
///
/// EventLoop::new()?.run(|| {
///     let whistle = Instant::now() + Duration::from_millis(2);
///     sleep_until(whistle);
///     assert!(Instant::now() >= whistle);
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn sleep_until(deadline: impl Into<Instant>) {
    sleep_to(Some(deadline.into()));
}

#[track_caller]
fn sleep_to(deadline: Option<Instant>) {
    match event_loop::task() {
        Some((event_loop, task)) => {
            check(task);
            while deadline.is_none_or(|deadline| event_loop.now() < deadline) && !hears_cancellation(task) {
                until(event_loop, task, Purpose::here(Wait::Sleep), deadline);
                check(task);
            }
        }
        // Nobody has time pass meanwhile.
        None if event_loop::is_time_virtual() => blocked::turn_in_vain(),
        None => match deadline {
            Some(deadline) => thread::sleep(deadline.saturating_duration_since(Instant::now())),
            None => loop {
                thread::sleep(Duration::MAX);
            },
        },
    }
}
