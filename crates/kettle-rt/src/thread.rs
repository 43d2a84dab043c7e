//! Owns how a task is named from elsewhere: [`Thread`], and with it `park` and `unpark`, which any thread may call.
#![forbid(unsafe_code)]

use crate::blocked;
use crate::event_loop;
use crate::header::{Flags, Purpose, TaskRef, Wait};
use crate::outside;
use crate::remote::{Notified, Remote};
use crate::wait;
use crate::waker::remote_of;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// A task, or a thread outside of all event loops: `std::thread::Thread`.
///
/// It may be sent anywhere, and outlives the task.
#[derive(Clone)]
pub struct Thread(Kind);

#[derive(Clone)]
enum Kind {
    Task(Arc<Remote>),
    Thread(thread::Thread, Arc<Remote>),
}

/// What tells tasks and threads apart: `std::thread::ThreadId`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ThreadId(Id);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Id {
    Task(NonZeroU64),
    Thread(thread::ThreadId),
}

impl Thread {
    pub(crate) fn of(task: TaskRef) -> Self {
        match task.is(Flags::THREAD) {
            true => Self(Kind::Thread(thread::current(), remote_of(task))),
            false => Self(Kind::Task(remote_of(task))),
        }
    }

    /// What no other task or thread of this process has.
    pub fn id(&self) -> ThreadId {
        ThreadId(match &self.0 {
            Kind::Task(remote) => Id::Task(remote.id()),
            Kind::Thread(thread, _) => Id::Thread(thread.id()),
        })
    }

    /// A task's number; 0 for a thread.
    pub(crate) fn number(&self) -> u64 {
        match &self.0 {
            Kind::Task(remote) => remote.id().get(),
            Kind::Thread(..) => 0,
        }
    }

    /// The name that it was given, by a [`Builder`](crate::Builder).
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            Kind::Task(remote) => remote.name(),
            Kind::Thread(thread, _) => thread.name(),
        }
    }

    /// Makes its token available: its next [`park`], or the one that it waits in, ends. From any thread; no checkpoint.
    pub fn unpark(&self) {
        let (Kind::Task(remote) | Kind::Thread(_, remote)) = &self.0;
        let is_told = match remote.notify() {
            Notified::Running => true,
            Notified::Left => false,
            Notified::Parked => match event_loop::here(remote) {
                Some((event_loop, task)) => {
                    task.into_iter().for_each(|task| event_loop.wake(task));
                    true
                }
                None => remote.send(),
            },
        };
        if !is_told && let Kind::Thread(thread, _) = &self.0 {
            // It has no loop, or not any more, and waits as with `std`.
            thread.unpark();
        }
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread").field("id", &self.id()).field("name", &self.name()).finish_non_exhaustive()
    }
}

/// The task that runs, or the thread if none does: `std::thread::current`.
///
/// ```
/// use kettle_rt::{EventLoop, current, park, spawn};
///
/// EventLoop::new()?.run(|| {
///     let me = current();
///     spawn(move || me.unpark());
///     park();
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn current() -> Thread {
    match event_loop::current().and_then(|event_loop| event_loop.current_task()) {
        Some(task) => Thread::of(task),
        None => Thread(Kind::Thread(thread::current(), outside::remote())),
    }
}

/// Suspends the current task until it is unparked, or goes on at once if it has been. A checkpoint. It may also go on
/// without a reason, as `std::thread::park` may, which this is outside of tasks.
///
/// # Cancellation
///
/// A task that is cancelled is unwound here. Where panics abort it goes on at once.
#[track_caller]
pub fn park() {
    park_until(None);
}

/// [`park`], for a time at most. A checkpoint.
///
/// # Cancellation
///
/// A task that is cancelled is unwound here. Where panics abort it goes on at once.
#[track_caller]
pub fn park_timeout(time: Duration) {
    park_until(event_loop::now().checked_add(time));
}

#[track_caller]
fn park_until(deadline: Option<Instant>) {
    let Some((event_loop, task)) = event_loop::task() else { return park_thread(deadline) };
    wait::check(task);
    let remote = remote_of(task);
    if wait::hears_cancellation(task) {
        // Where panics abort, each wait of a cancelled task ends at once.
        remote.unparked();
        event_loop.yield_now(task);
    } else if remote.park() {
        wait::until(event_loop, task, Purpose::here(Wait::Park), deadline);
        remote.unparked();
        wait::check(task);
    }
}

/// Parks a thread that has no loop. A task that is unwinding can't wait, so it goes on without a reason.
fn park_thread(deadline: Option<Instant>) {
    if let Some(task) = event_loop::current().and_then(|event_loop| event_loop.current_task()) {
        remote_of(task).unparked();
        blocked::turn_in_vain();
        return thread::yield_now();
    }
    if event_loop::is_time_virtual() {
        // Nobody has time pass meanwhile.
        return blocked::turn_in_vain();
    }
    let remote = outside::remote();
    let has_left = remote.has_left();
    if has_left || remote.park() {
        match deadline {
            Some(deadline) => thread::park_timeout(deadline.saturating_duration_since(Instant::now())),
            None => thread::park(),
        }
        if !has_left {
            remote.unparked();
        }
    }
}
