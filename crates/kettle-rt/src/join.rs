//! Owns the handle of a task, and how its end is waited for.
//!
//! The unsafe code of this module is taking the result as what it is.

use crate::blocked::refuse_to_wait;
use crate::cancelled::Reason;
use crate::driving::{Driven, driven};
use crate::event_loop;
use crate::header::{Flags, Purpose, Rare, TaskRef, Wait};
use crate::outside;
use crate::task;
use crate::thread::Thread;
use crate::wait;
use std::cell::OnceCell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

/// A task that may be waited for: `std::thread::JoinHandle` for tasks. Dropping it lets the task run on by itself.
///
/// It stays on its thread, as the task does.
pub struct JoinHandle<T> {
    pub(crate) task: TaskRef,
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
        task.set(Flags::HANDLE);
        Self { task, thread: OnceCell::new(), types: PhantomData }
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
    /// the wait would never end. In a simulation's destructor that runs by unwinding this ends the process instead, which says so.
    ///
    /// # Cancellation
    ///
    /// A task that is cancelled while it waits here is unwound; the one that it waits for runs on. Where panics abort it goes on
    /// waiting.
    #[track_caller]
    pub fn join(mut self) -> thread::Result<T> {
        if !self.task.has_ended() {
            wait_for_end(self.task);
        }
        self.take_result()
    }

    /// Takes the result of the task, which has ended, for the first time.
    fn take_result(&mut self) -> thread::Result<T> {
        assert!(self.task.is(Flags::RESULT), "poll a handle of a task whose result has been taken");
        self.task.clear(Flags::RESULT);
        let mut result = MaybeUninit::<thread::Result<T>>::uninit();
        // SAFETY: the task has ended, and its result, which is a `T`, is there.
        unsafe { (self.task.vtable.take_result)(self.task, result.as_mut_ptr().cast()) };
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
        if let Some(event_loop) = event_loop::home_of(self.task) {
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

/// The end of a task, for who waits for it and for other things at once. Made by [`JoinHandle::ending`], which it borrows, so
/// that nobody else waits for the same.
#[derive(Debug)]
pub struct Ending<'a> {
    task: TaskRef,
    handle: PhantomData<&'a mut ()>,
}

impl<T> JoinHandle<T> {
    /// The task's end. [`join`](Self::join) does not wait after it.
    ///
    /// ```
    /// use kettle_rt::{EventLoop, spawn, yield_now};
    ///
    /// EventLoop::new()?.run(|| {
    ///     let mut task = spawn(|| ());
    ///     assert!(!task.ending().has_come());
    ///     yield_now();
    ///     assert!(task.ending().has_come());
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn ending(&mut self) -> Ending<'_> {
        Ending { task: self.task, handle: PhantomData }
    }
}

impl Ending<'_> {
    /// Whether the task has ended.
    pub fn has_come(&self) -> bool {
        self.task.has_ended()
    }

    /// Has the current task woken when the other one ends: what [`Waiter::wait_unless`](crate::Waiter::wait_unless) asks for.
    ///
    /// # Safety
    ///
    /// [`forget`](Self::forget) follows before the current task ends.
    ///
    /// # Panics
    ///
    /// As [`JoinHandle::join`].
    pub unsafe fn expect(&self) {
        if !self.task.has_ended() {
            let (_, me) = waiting_task(self.task);
            self.task.joiner.set(Some(me));
        }
    }

    /// Undoes that.
    pub fn forget(&self) {
        self.task.joiner.set(None);
    }
}

/// The current task, which is to wait for the end of another one.
#[track_caller]
fn waiting_task<'a>(target: TaskRef) -> (&'a event_loop::Loop, TaskRef) {
    let Some((event_loop, me)) = event_loop::task().filter(|(event_loop, _)| event_loop.has(target)) else {
        refuse_to_wait(
            Purpose::here(Wait::Join),
            "join a task from where nothing can wait for it: outside of its event loop, in a future, while unwinding, or in a forked process",
        )
    };
    assert!(me != target, "join a task from itself: it would wait for its own end");
    (event_loop, me)
}

/// Suspends the current task until another one has ended.
#[track_caller]
fn wait_for_end(target: TaskRef) {
    let (event_loop, me) = waiting_task(target);
    wait::check(me);
    target.joiner.set(Some(me));
    loop {
        event_loop.wait(me, Purpose::here(Wait::Join));
        if target.has_ended() {
            return;
        }
        if wait::hears_cancellation(me) && cfg!(panic = "unwind") {
            target.joiner.set(None);
            wait::check(me);
        }
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        // Also if dropping the result panics.
        struct Owned(TaskRef);
        impl Drop for Owned {
            fn drop(&mut self) {
                // SAFETY: the handle has owned it.
                unsafe { self.0.let_go() };
            }
        }
        let owned = Owned(self.task);
        owned.0.clear(Flags::HANDLE);
        // Who has the handle waits for the end, or nobody.
        owned.0.joiner.set(None);
        if owned.0.has_ended() {
            // SAFETY: the handle owns it, and nobody else takes the result.
            unsafe { owned.0.discard_result() };
        }
    }
}

/// Its output is what [`JoinHandle::join`] gives. Polling it panics where no event loop runs that would end the task: see
/// [`future`](crate::future).
///
/// ```
/// use kettle_rt::{EventLoop, future::wait, spawn};
///
/// EventLoop::new()?.run(|| {
///     let kettle = spawn(|| "it whistles");
///     assert_eq!(wait(async { kettle.await.unwrap() }), "it whistles");
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
impl<T> Future for JoinHandle<T> {
    type Output = thread::Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.task.has_ended() {
            return Poll::Ready(self.take_result());
        }
        let is_driven = matches!(driven(), Driven::By(event_loop) if event_loop.has(self.task));
        assert!(
            is_driven,
            "poll the handle of a task where no event loop runs that would end it: `wait` for it outside of other loops, or poll it \
             in `run` by an executor that does not block its thread"
        );
        // Cloned and dropped while nothing is being changed: both may look at the task, which may be the one that polls.
        let known = self.task.with_rare(|rare| rare.waker.take());
        let waker = match known {
            Some(known) if known.will_wake(context.waker()) => known,
            known => {
                let waker = context.waker().clone();
                drop(known);
                waker
            }
        };
        let earlier = self.task.with_rare(|rare| rare.waker.replace(waker));
        drop(earlier);
        Poll::Pending
    }
}

/// Nothing in it is pinned.
impl<T> Unpin for JoinHandle<T> {}

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

    /// The name that [`Thread::name`] and the message of an overflow give. (The message of a panic has that of the thread.)
    pub fn name(mut self, name: String) -> Self {
        self.name = Some(name.into_boxed_str());
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

    #[track_caller]
    pub(crate) fn rare(self) -> Option<Box<Rare>> {
        let has_null = self.name.as_ref().is_some_and(|name| name.contains('\0'));
        assert!(!has_null, "spawn a task with a null byte in its name");
        (self.name.is_some() || self.stack_size > 0)
            .then(|| Box::new(Rare { name: self.name, stack_size: self.stack_size, ..Rare::default() }))
    }

    /// Spawns a task; see [`spawn`].
    ///
    /// # Errors
    ///
    /// If there is no event loop on this thread and none can be made.
    ///
    /// # Panics
    ///
    /// With a null byte in the name, as `std`.
    #[inline]
    #[track_caller]
    pub fn spawn<T: 'static>(self, f: impl FnOnce() -> T + 'static) -> io::Result<JoinHandle<T>> {
        let event_loop = outside::event_loop()?;
        // SAFETY: 1. it borrows nothing that could go. 2. The handle takes a `T`.
        let task = unsafe { task::make(event_loop, f, self.place(), self.rare()) };
        // SAFETY: the same, and it is the only handle.
        let handle = unsafe { JoinHandle::new(task) };
        event_loop.admit(task);
        Ok(handle)
    }
}

/// What the functions do that have no room for an error.
#[inline]
#[track_caller]
pub(crate) fn expect<T>(handle: io::Result<T>) -> T {
    // Not by a closure: a panic in one would name its line.
    match handle {
        Ok(handle) => handle,
        Err(error) => panic!("{error}"),
    }
}

/// Runs a function as a task of this thread's event loop: `std::thread::spawn` for tasks.
///
/// The task runs on this thread, when its turn comes, so the function need not be `Send`. It gets a stack when it first
/// runs; nothing is allocated in a steady state of tasks.
///
/// Outside of [`run`](crate::EventLoop::run) the thread gets an event loop of its own: its tasks run while the thread waits
/// in a function of this crate, as for their end. One that has not ended when the thread ends is left where it is: it never goes
/// on, and is not unwound. If it waits for a lock or a channel it still stands in the queue there, and swallows what it is given:
/// who shares that with it may wait for ever. So join it, or spawn in [`run`](crate::EventLoop::run), which leaves nobody behind.
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
/// If there is no event loop on this thread and none can be made.
#[inline]
#[track_caller]
pub fn spawn<T: 'static>(f: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
    expect(Builder::new().spawn(f))
}
