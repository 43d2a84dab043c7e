//! Owns the handle of a task, and how its end is waited for.
//!
//! The unsafe code of this module is taking the result as what it is.

use crate::cancelled::Reason;
use crate::event_loop;
use crate::header::{Rare, State, TaskRef, Wait};
use crate::task;
use crate::thread::Thread;
use crate::wait;
use std::cell::OnceCell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::Location;
use std::thread;

/// A task that may be waited for: `std::thread::JoinHandle` for tasks. Dropping it lets the task run on by itself.
///
/// It stays on its thread, as the task does.
pub struct JoinHandle<T> {
    task: TaskRef,
    thread: OnceCell<Thread>,
    types: PhantomData<(T, *const ())>,
}

impl<T> JoinHandle<T> {
    /// A handle, which is one more owner.
    ///
    /// # Safety
    ///
    /// The task's result is a `T`, and this is its only handle.
    pub(crate) unsafe fn new(task: TaskRef) -> Self {
        task.share();
        Self { task, thread: OnceCell::new(), types: PhantomData }
    }

    pub(crate) fn task(&self) -> TaskRef {
        self.task
    }

    /// Waits for the task to end, and gives what it returned. A checkpoint, unless it has ended.
    ///
    /// # Errors
    ///
    /// The payload of its panic, or [`Cancelled`](crate::Cancelled).
    ///
    /// # Panics
    ///
    /// If the task joins itself; if it has not ended and this is no task of its event loop, or one that is unwinding: then
    /// the wait would never end.
    ///
    /// # Cancellation
    ///
    /// A task that is cancelled while it waits here is unwound; the one that it waits for runs on.
    pub fn join(mut self) -> thread::Result<T> {
        if !self.task.has_ended() {
            wait_for_end(self.task);
        }
        drop(self.thread.take());
        let this = ManuallyDrop::new(self);
        let mut result = MaybeUninit::<thread::Result<T>>::uninit();
        this.task.has_result.set(false);
        // SAFETY: the task has ended, and only this handle could have taken its result, which is a `T`.
        unsafe { (this.task.vtable.take_result)(this.task, result.as_mut_ptr().cast()) };
        // SAFETY: the handle owned it, and is not dropped.
        unsafe { this.task.let_go() };
        // SAFETY: written by `take_result`.
        unsafe { result.assume_init() }
    }

    /// Has the task end, unless it has: it is unwound where it waits, or where it would wait next, and each time it waits
    /// after that. One that has not run does not begin. No checkpoint; [`join`](Self::join) waits for the end.
    ///
    /// ```
    /// use kettle_rt::{Cancelled, EventLoop, sleep, spawn};
    /// use std::time::Duration;
    ///
    /// EventLoop::new()?.run(|| {
    ///     let kettle = spawn(|| sleep(Duration::MAX));
    ///     kettle.cancel();
    ///     assert!(kettle.join().unwrap_err().is::<Cancelled>());
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn cancel(&self) {
        // A task that has not ended belongs to the loop that runs.
        if let Some(event_loop) = event_loop::current() {
            event_loop.cancel(self.task, Reason::Explicit);
        }
    }

    /// Whether the task has ended, so that [`join`](Self::join) does not wait.
    pub fn is_finished(&self) -> bool {
        self.task.has_ended()
    }

    /// The task, to unpark it or to tell it apart.
    pub fn thread(&self) -> &Thread {
        self.thread.get_or_init(|| Thread::of(self.task))
    }
}

/// Suspends the current task until another one has ended.
fn wait_for_end(target: TaskRef) {
    let Some((event_loop, me)) = event_loop::task() else {
        panic!("join a task from where nothing can wait for it: outside of its event loop, or while unwinding")
    };
    assert_ne!(me, target, "join a task from itself: it would wait for its own end");
    wait::check(me);
    target.joiner.set(Some(me));
    loop {
        event_loop.suspend(me, State::Waiting(Wait::Join));
        if target.has_ended() {
            return;
        }
        if wait::is_cancelled(me) && cfg!(panic = "unwind") {
            target.joiner.set(None);
            wait::check(me);
        }
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        // SAFETY: the handle owns it.
        unsafe { self.task.let_go() };
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}

/// What a task is to have: a name, a size of stack. The words are those of `std::thread::Builder`.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    name: Option<Box<str>>,
    stack_size: usize,
    /// Where it is said to be spawned; where that is done, if nothing is said.
    spawned_at: Option<&'static Location<'static>>,
}

impl Builder {
    /// No name, and the event loop's size of stack.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name that the message of an overflow and panics give.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into().into_boxed_str());
        self
    }

    /// The size of the stack in bytes, guard page included; rounded up to a power of two.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = bytes;
        self
    }

    /// As if it were spawned there.
    pub(crate) fn spawned_at(mut self, at: &'static Location<'static>) -> Self {
        self.spawned_at = Some(at);
        self
    }

    /// Where it is spawned: by the caller, if nothing is said.
    #[track_caller]
    pub(crate) fn place(&self) -> &'static Location<'static> {
        match self.spawned_at {
            Some(at) => at,
            None => Location::caller(),
        }
    }

    pub(crate) fn rare(self) -> Option<Box<Rare>> {
        (self.name.is_some() || self.stack_size > 0)
            .then(|| Box::new(Rare { name: self.name, stack_size: self.stack_size, ..Rare::default() }))
    }

    /// Spawns a task; see [`spawn`].
    ///
    /// # Errors
    ///
    /// If no event loop runs on this thread.
    #[inline]
    #[track_caller]
    pub fn spawn<T: 'static>(self, f: impl FnOnce() -> T + 'static) -> io::Result<JoinHandle<T>> {
        let event_loop = event_loop::current().ok_or_else(no_loop)?;
        // SAFETY: 1. it borrows nothing that could go. 2. The handle takes a `T`.
        let task = unsafe { task::make(event_loop, f, self.place(), self.rare()) };
        // SAFETY: the same, and it is the only handle.
        let handle = unsafe { JoinHandle::new(task) };
        event_loop.admit(task);
        Ok(handle)
    }
}

#[cold]
pub(crate) fn no_loop() -> io::Error {
    io::Error::other("spawn a task where no event loop runs: call this inside `run`")
}

/// What the functions do that have no room for an error.
#[inline]
pub(crate) fn expect<T>(handle: io::Result<T>) -> T {
    handle.unwrap_or_else(|error| panic!("{error}"))
}

/// Runs a function as a task of this thread's event loop: `std::thread::spawn` for tasks.
///
/// The task runs on this thread, when its turn comes, so the function need not be `Send`. It gets a stack when it first
/// runs; nothing is allocated in a steady state of tasks.
///
/// ```
/// use kettle_rt::{EventLoop, spawn};
///
/// let sum = EventLoop::new()?.run(|| {
///     let tasks: Vec<_> = (0..10).map(|n| spawn(move || n * n)).collect();
///     tasks.into_iter().map(|task| task.join().unwrap()).sum::<u32>()
/// });
/// assert_eq!(sum, 285);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
///
/// If no event loop runs on this thread.
#[inline]
#[track_caller]
pub fn spawn<T: 'static>(f: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
    expect(Builder::new().spawn(f))
}
