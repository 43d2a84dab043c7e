//! Owns how a task is named from elsewhere: [`Thread`], and with it `park` and `unpark`, which any thread may call.
//!
//! The unsafe code of this module is finding the task of a remote, on its own thread.

use crate::event_loop;
use crate::header::{TaskRef, Wait};
use crate::remote::Remote;
use crate::wait;
use std::fmt;
use std::num::NonZeroU64;
use std::ptr::NonNull;
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
    Thread(thread::Thread),
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
        Self(Kind::Task(remote_of(task)))
    }

    /// What no other task or thread of this process has.
    pub fn id(&self) -> ThreadId {
        ThreadId(match &self.0 {
            Kind::Task(remote) => Id::Task(remote.id()),
            Kind::Thread(thread) => Id::Thread(thread.id()),
        })
    }

    /// A task's number; 0 for a thread.
    pub(crate) fn number(&self) -> u64 {
        match &self.0 {
            Kind::Task(remote) => remote.id().get(),
            Kind::Thread(_) => 0,
        }
    }

    /// The name that it was given, by a [`Builder`](crate::Builder).
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            Kind::Task(remote) => remote.name(),
            Kind::Thread(thread) => thread.name(),
        }
    }

    /// Makes its token available: its next [`park`], or the one that it waits in, ends. From any thread; no checkpoint.
    pub fn unpark(&self) {
        match &self.0 {
            Kind::Task(remote) => unpark(remote),
            Kind::Thread(thread) => thread.unpark(),
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
        None => Thread(Kind::Thread(thread::current())),
    }
}

/// Suspends the current task until it is unparked, or goes on at once if it has been. A checkpoint. It may also go on
/// without a reason, as `std::thread::park` may, which this is outside of tasks.
///
/// # Cancellation
///
/// A task that is cancelled is unwound here.
pub fn park() {
    match event_loop::task() {
        Some(_) => park_until(None),
        None => thread::park(),
    }
}

/// [`park`], for a time at most. A checkpoint.
///
/// # Cancellation
///
/// A task that is cancelled is unwound here.
pub fn park_timeout(time: Duration) {
    match event_loop::task() {
        Some(_) => park_until(event_loop::now().checked_add(time)),
        None => thread::park_timeout(time),
    }
}

fn park_until(deadline: Option<Instant>) {
    let Some((event_loop, task)) = event_loop::task() else { return };
    wait::check(task);
    let remote = remote_of(task);
    if remote.park() {
        wait::until(event_loop, task, Wait::Park, deadline);
        remote.unparked();
        wait::check(task);
    }
}

fn unpark(remote: &Arc<Remote>) {
    if !remote.notify() {
        return;
    }
    match event_loop::current() {
        Some(event_loop) if remote.is_of(event_loop.mailbox()) => {
            if let Some(header) = NonNull::new(remote.task()) {
                // SAFETY: this is its thread, and it has not ended, or this would be null.
                event_loop.unpark(unsafe { TaskRef::new(header.cast()) });
            }
        }
        _ => remote.send(),
    }
}

/// The task's remote, made if there is none.
fn remote_of(task: TaskRef) -> Arc<Remote> {
    task.with_rare(|rare| match &rare.remote {
        Some(remote) => Arc::clone(remote),
        None => {
            // One that has ended needs no way back: its loop may have gone.
            let home = event_loop::current().filter(|_| !task.has_ended());
            let home = home.map(|event_loop| (Arc::clone(event_loop.mailbox()), task.header().as_ptr().cast()));
            let remote = Remote::new(home, rare.name.clone());
            Arc::clone(rare.remote.insert(remote))
        }
    })
}
