//! Owns futures as tasks see them: a task waits for one ([`wait()`]), or is one ([`spawn_future`]); and tasks as futures see
//! them ([`in_fiber`], and the handle of any task).
//!
//! A task that is a future has no stack: its loop polls it. It has the same handle as one of a function, and is cancelled by
//! dropping the future. What would suspend a task (std's calls) blocks the thread in there, as outside of tasks; `.await` is
//! how a future waits.
//!
//! # Other executors
//!
//! Futures of this library may be polled by other executors: combinators, local pools, whatever polls on this thread. What waits
//! for a time or for a task ([`sleep`], [`timeout`], [`in_fiber`], a handle) is woken by the thread's event loop, so that has to
//! run: [`wait()`] for it, or poll it in [`run`](crate::EventLoop::run) by an executor that does not block its thread. Where no
//! loop runs that would wake them, they panic when they are polled. One thing nobody can see: an executor that blocks its thread
//! (`block_on`, most of them) inside of a task blocks the loop with it, and waits for ever for what that loop would do. (What
//! only waits for a channel needs no loop.)
//!
//! Where a task can't be suspended, in a destructor that runs by unwinding, a wait blocks the thread: times come there, and
//! `in_fiber` calls its function in place.
//!
//! # Wakers that panic
//!
//! A waker that panics when it is woken has been told of by the panic hook, and its panic ends there: nobody in an event loop
//! is to blame for it, nor is who sends a value, or receives one. What a waker does when it is cloned or dropped in a poll is
//! that poll's.

use crate::alarm::{Alarm, Kept, Listener};
use crate::cancelled::{Cancelled, Reason};
use crate::driving::{Driven, Driving, block_on, block_until, driven};
use crate::event_loop::{self, Loop};
use crate::header::{Purpose, TaskRef, Wait};
use crate::join::{Builder, JoinHandle, expect, spawn};
use crate::outside;
use crate::scope::{Scope, ScopedJoinHandle};
use crate::task;
use crate::tokens::alarm_token;
use crate::wait::check;
use crate::waker::{Poller, lender};
use kettle_driver::{TimerKey, Timers};
use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::marker::PhantomPinned;
use std::panic::{Location, resume_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

/// Waits for a future, and gives its output. A checkpoint.
///
/// The future may borrow, and be woken from any thread. Polling it costs no allocation; the first future of a task that
/// keeps its waker costs one.
///
/// ```
/// use kettle_rt::{EventLoop, future::wait};
/// use std::future::ready;
///
/// EventLoop::new()?.run(|| {
///     let cups = vec![1, 2, 3];
///     let poured = wait(async { cups.len() + ready(1).await });
///     assert_eq!(poured, 4);
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
///
/// Inside of a task that is a future: `.await` is how that waits.
///
/// # Cancellation
///
/// A task that is cancelled is unwound here, which drops the future. Where panics abort it goes on waiting.
#[track_caller]
pub fn wait<F: IntoFuture>(future: F) -> F::Output {
    let mut future = pin!(future.into_future());
    loop {
        // Outside of `run` the thread becomes a task, if it can.
        _ = outside::event_loop();
        // Asked each time: a coroutine that yields in the middle of a poll may take it to another task.
        let Some((event_loop, task)) = event_loop::task() else {
            assert!(
                thread::panicking() || event_loop::current().is_none(),
                "wait for a future inside of one: await it"
            );
            return block_on(future);
        };
        check(task);
        if let Some(output) = wait_in_task(Polls::new(event_loop, task), future.as_mut()) {
            return output;
        }
    }
}

/// The polls of one wait, by one task. Its block stays, and with that the mailbox of its loop, for the waker that is lent: the
/// task may have ended when a coroutine goes on with a poll, or is dropped in one.
struct Polls {
    poller: Poller,
    task: Kept,
    _driving: Driving,
}

impl Polls {
    fn new(event_loop: &Loop, task: TaskRef) -> Self {
        let poller = Poller::new(event_loop, task);
        Self { poller, task: Kept::new(task), _driving: Driving::new(task) }
    }
}

impl Drop for Polls {
    #[inline]
    fn drop(&mut self) {
        let task = self.task.task();
        // Otherwise it waits for something else, or has ended.
        if event_loop::current().and_then(Loop::current_task) == Some(task) {
            self.poller.end(task);
        }
    }
}

/// Polls a future until it is ready. Gives none if a coroutine has taken it from this task in the middle of a poll, or to
/// where this one unwinds.
#[track_caller]
fn wait_in_task<F: Future>(mut polls: Polls, mut future: Pin<&mut F>) -> Option<F::Output> {
    loop {
        polls.poller.begin(polls.task.task());
        if let Poll::Ready(output) = polls.poller.with_context(|context| future.as_mut().poll(context)) {
            return Some(output);
        }
        let task = polls.task.task();
        let (event_loop, _) = event_loop::task().filter(|&(_, current)| current == task)?;
        if polls.poller.may_wait(task) {
            event_loop.wait(task, Purpose::here(Wait::Future));
        } else {
            event_loop.yield_now(task);
        }
        check(task);
    }
}

/// Runs a future as a task of this thread's event loop, without a stack.
///
/// Its handle is as any other's, and itself a future. Cancelled, the future is dropped where it waits. It has no
/// [fiber-locals](crate::fiber_local!) of its own: it sees those of its thread.
///
/// ```
/// use kettle_rt::{EventLoop, future, spawn_future};
/// use std::time::Duration;
///
/// EventLoop::new()?.run(|| {
///     let kettle = spawn_future(async {
///         future::sleep(Duration::from_millis(1)).await;
///         "it whistles"
///     });
///     assert_eq!(kettle.join().unwrap(), "it whistles");
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
///
/// If there is no event loop on this thread and none can be made.
#[track_caller]
pub fn spawn_future<F: Future<Output: 'static> + 'static>(future: F) -> JoinHandle<F::Output> {
    expect(Builder::new().spawn_future(future))
}

impl Builder {
    /// Spawns a future as a task; see [`spawn_future`]. The size of a stack means nothing to it.
    ///
    /// # Errors
    ///
    /// If there is no event loop on this thread and none can be made.
    #[track_caller]
    pub fn spawn_future<F: Future<Output: 'static> + 'static>(self, future: F) -> io::Result<JoinHandle<F::Output>> {
        let event_loop = outside::event_loop()?;
        // SAFETY: 1. it borrows nothing that could go. 2. The handle takes its output.
        let task = unsafe { task::make_future(event_loop, future, self.place(), self.rare()) };
        // SAFETY: the same, and it is the only handle.
        let handle = unsafe { JoinHandle::new(task) };
        event_loop.admit(task);
        Ok(handle)
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Runs a future as a task of this scope, without a stack. It may borrow whatever outlives the scope.
    ///
    /// # Panics
    ///
    /// If there is no event loop on this thread and none can be made.
    #[track_caller]
    pub fn spawn_future<F>(&'scope self, future: F) -> ScopedJoinHandle<'scope, F::Output>
    where
        F: Future<Output: 'scope> + 'scope,
    {
        let event_loop = expect(outside::event_loop());
        // SAFETY: 1. as of `Builder::spawn_scoped`: the scope waits. 2. The handle takes its output.
        let task = unsafe { task::make_future(event_loop, future, Location::caller(), None) };
        // SAFETY: the same, and it is the only handle.
        let handle = unsafe { JoinHandle::new(task) };
        self.admit(event_loop, task);
        ScopedJoinHandle::new(handle, self)
    }
}

/// A function that runs as a task of its own as soon as this is polled: see [`in_fiber`].
#[must_use = "it does not run before it is polled"]
pub struct InFiber<F, T> {
    function: Option<F>,
    task: Option<JoinHandle<T>>,
}

/// Makes a future of sequential code that may suspend: it runs on a stack of its own, as a task, from the first poll on.
///
/// ```
/// use kettle_rt::{EventLoop, in_fiber, sleep, future::wait};
/// use std::time::Duration;
///
/// EventLoop::new()?.run(|| {
///     let brewed = wait(async {
///         in_fiber(|| {
///             sleep(Duration::from_millis(1));
///             "tea"
///         })
///         .await
///     });
///     assert_eq!(brewed, "tea");
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Dropped before it is ready, it cancels its task. (It does not wait for its end: a future can't.)
///
/// # Panics
///
/// Polling it resumes the panic of the function, and panics if it is polled again after that; or where no event loop runs (see
/// the module).
pub fn in_fiber<T: 'static, F: FnOnce() -> T + 'static>(f: F) -> InFiber<F, T> {
    InFiber { function: Some(f), task: None }
}

impl<T: 'static, F: FnOnce() -> T + 'static> Future for InFiber<F, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if let Some(function) = self.function.take() {
            self.task = match driven() {
                Driven::By(_) => Some(spawn(function)),
                Driven::Blocking => return Poll::Ready(function()),
                Driven::ByNobody => panic!(
                    "poll a future of a fiber where no event loop would run it: `wait` for it, or poll it in `run` by an executor that \
                     does not block its thread"
                ),
            };
        }
        let task = self.task.as_mut().expect("poll a future that has ended");
        Pin::new(task).poll(context).map(|result| {
            self.task = None;
            result.unwrap_or_else(|panic| resume_unwind(panic))
        })
    }
}

/// Nothing in it is pinned: the function runs elsewhere.
impl<F, T> Unpin for InFiber<F, T> {}

impl<F, T> Drop for InFiber<F, T> {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.cancel();
        }
    }
}

impl<F, T> fmt::Debug for InFiber<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFiber").field("task", &self.task).finish_non_exhaustive()
    }
}

/// A future that is ready when a time has come. Made by [`sleep`] and [`sleep_until`].
#[must_use = "a future does nothing unless it is polled"]
pub struct Sleep {
    /// None never comes.
    deadline: Option<Instant>,
    alarm: Alarm,
    timer: Option<(Rc<RefCell<Timers>>, TimerKey)>,
    _pinned: PhantomPinned,
}

/// A future that is ready after a time, never earlier: `sleep` for who has no stack to suspend.
///
/// It costs a timer of the event loop on which it is polled.
///
/// # Panics
///
/// Polling it panics where no event loop runs, unless the time has come: see [the module](self).
pub fn sleep(time: Duration) -> Sleep {
    Sleep::until(event_loop::now().checked_add(time))
}

/// A future that is ready when a time has come; otherwise as [`sleep`].
pub fn sleep_until(deadline: impl Into<Instant>) -> Sleep {
    Sleep::until(Some(deadline.into()))
}

impl Sleep {
    fn until(deadline: Option<Instant>) -> Self {
        Self { deadline, alarm: Alarm::default(), timer: None, _pinned: PhantomPinned }
    }

    fn take_timer_away(&mut self) {
        if let Some((timers, key)) = self.timer.take() {
            timers.borrow_mut().cancel(key);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // SAFETY: the alarm stays where it is; nothing is moved out.
        let this = unsafe { self.get_unchecked_mut() };
        let Some(deadline) = this.deadline else { return Poll::Pending };
        if deadline <= event_loop::now() {
            this.take_timer_away();
            return Poll::Ready(());
        }
        let event_loop = match driven() {
            Driven::By(event_loop) => event_loop,
            // Nobody has time pass meanwhile.
            Driven::Blocking if event_loop::is_time_virtual() => return Poll::Ready(()),
            Driven::Blocking => {
                block_until(deadline);
                return Poll::Pending;
            }
            Driven::ByNobody => {
                panic!(
                    "poll a sleep where no event loop would wake it: `wait` for it, or poll it in `run` by an executor that does \
                     not block its thread"
                )
            }
        };
        this.alarm.listen(match lender(event_loop, context.waker()) {
            Some(task) => Listener::Task(Kept::new(task)),
            None => Listener::Waker(context.waker().clone()),
        });
        let is_set_here = this.timer.as_ref().is_some_and(|(timers, _)| Rc::ptr_eq(timers, &event_loop.timers));
        if !is_set_here {
            this.take_timer_away();
            let key = event_loop.timers.borrow_mut().insert(deadline, alarm_token(&this.alarm));
            this.timer = Some((Rc::clone(&event_loop.timers), key));
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.take_timer_away();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// A future that gives another's output, or [`Cancelled`] if it takes longer than this: [`timeout`](crate::timeout) for who
/// has no stack. The time begins now. The other one is dropped with this one.
///
/// ```
/// use kettle_rt::{EventLoop, future::{self, wait}};
/// use std::time::Duration;
///
/// EventLoop::new()?.run(|| {
///     let never = future::timeout(Duration::from_millis(1), std::future::pending::<()>());
///     assert!(wait(never).is_err());
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn timeout<F: IntoFuture>(time: Duration, future: F) -> impl Future<Output = Result<F::Output, Cancelled>> {
    let sleep = sleep(time);
    let future = future.into_future();
    async move {
        let (mut future, mut sleep) = (pin!(future), pin!(sleep));
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => sleep.as_mut().poll(context).map(|()| Err(Cancelled::new(Reason::Deadline))),
        })
        .await
    }
}

/// A future that is ready when others had their turn: [`yield_now`](crate::yield_now) for who has no stack.
pub fn yield_now() -> impl Future<Output = ()> {
    let mut has_yielded = false;
    poll_fn(move |context| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}
