//! Owns the bridge between tasks and callbacks: a task waits until one is called ([`callback`]), and one is called when a
//! task has ended ([`JoinHandle::on_done`]).
//!
//! Who waits and who calls share a state, in the one allocation that a callback costs. It can't lie in the frame of who
//! waits: a `Done` may be forgotten, or come after a cancellation. What lies there is the waiter; its address is in the
//! state as long as nobody has called.
//!
//! ```text
//!              register returns             call, or drop
//!   Begun ─────────────────────> Waits ─────────────────────> Ended, and then a notice to the waiter
//!     │  call, or drop             │  a cancellation            │  who waits takes the result
//!     ├──────────────────> Ended   └─────────────────> Left     └────────────────────────────> Left
//!     └─ register panics ─> Left
//! ```
//!
//! So a call and a cancellation are decided under the lock: who finds `Waits` there has come first. A cancellation that comes
//! second waits for the notice, and the result is given.
//!
//! The unsafe code of this module is notifying a waiter by its address.

use crate::event_loop::{self, Loop};
use crate::header::{Flags, Purpose, State, TaskRef, Wait};
use crate::join::{Builder, JoinHandle, expect};
use crate::outside;
use crate::wait;
use crate::waiter::{Waiter, Woken};
use std::error::Error;
use std::fmt;
use std::mem;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A callback that somebody waits for. Made by [`callback`]; to be called once, from any thread.
///
/// Dropped uncalled, it tells who waits so. One that is forgotten ([`mem::forget`]), or kept for ever, leaves it waiting.
#[must_use = "who waits is told that it was dropped"]
pub struct Done<T> {
    /// None when it has been called.
    call: Option<Arc<Call<T>>>,
}

/// The error of [`callback`]: what was to be called has been dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uncalled;

impl fmt::Display for Uncalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wait for a callback: it was dropped without being called")
    }
}

impl Error for Uncalled {}

/// What who waits and who calls share.
struct Call<T>(Mutex<Progress<T>>);

enum Progress<T> {
    /// Nobody has called, and nobody waits yet.
    Begun,
    /// Nobody has called; this is to be notified.
    Waits(Place),
    /// It was called, or dropped.
    Ended(Result<T, Uncalled>),
    /// Nobody waits any more.
    Left,
}

/// Where a waiter lies.
struct Place(NonNull<Waiter>);

// SAFETY: it is for notifying, which any thread may do.
unsafe impl Send for Place {}

impl<T> Call<T> {
    fn progress(&self) -> MutexGuard<'_, Progress<T>> {
        // Nothing panics under it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the wait. Gives the result back if nobody waits any more.
    fn end(&self, result: Result<T, Uncalled>) -> Result<(), Result<T, Uncalled>> {
        let mut progress = self.progress();
        if matches!(*progress, Progress::Left) {
            return Err(result);
        }
        let before = mem::replace(&mut *progress, Progress::Ended(result));
        drop(progress);
        if let Progress::Waits(Place(waiter)) = before {
            // SAFETY: 1. it was there, and is no more. 2. Who waits finds that it isn't, and waits for this.
            unsafe { Waiter::notify(waiter) };
        }
        Ok(())
    }
}

impl<T> Done<T> {
    /// Calls it: who waits goes on with this value. Never waits; no checkpoint. If nobody waits any more, because that task
    /// was cancelled, the value is dropped.
    pub fn call(self, value: T) {
        drop(self.try_call(value));
    }

    /// [`call`](Self::call), for a value that must not be lost.
    ///
    /// ```
    /// use kettle_rt::{EventLoop, callback, timeout};
    /// use std::time::Duration;
    ///
    /// EventLoop::new()?.run(|| {
    ///     let mut kept = None;
    ///     let late = timeout(Duration::from_millis(1), || callback(|done| kept = Some(done)));
    ///     assert!(late.is_err());
    ///     assert_eq!(kept.unwrap().try_call("tea"), Err("tea"));
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The value, if nobody waits any more.
    pub fn try_call(mut self, value: T) -> Result<(), T> {
        let call = self.call.take().expect("invariant: it is called once");
        call.end(Ok(value))
            .map_err(|refused| refused.unwrap_or_else(|Uncalled| unreachable!("invariant: it is a value")))
    }

    /// The same as a function, for what wants one.
    ///
    /// ```
    /// use kettle_rt::{EventLoop, callback};
    ///
    /// /// Calls back from a thread of its own.
    /// fn boil(cups: u32, on_boiling: impl FnOnce(u32) + Send + 'static) {
    ///     std::thread::spawn(move || on_boiling(cups));
    /// }
    ///
    /// EventLoop::new()?.run(|| {
    ///     assert_eq!(callback(|done| boil(2, done.into_fn())), Ok(2));
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_fn(self) -> impl FnOnce(T) + use<T> {
        move |value| self.call(value)
    }
}

impl<T> Drop for Done<T> {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            // If nobody waits any more, nobody needs to hear it.
            _ = call.end(Err(Uncalled));
        }
    }
}

impl<T> fmt::Debug for Done<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Done").finish_non_exhaustive()
    }
}

/// Waits until a callback is called, and gives what it was called with: for what tells its end by one. A checkpoint.
///
/// The function starts it, and is given what is to be called: once, at once or later, from any thread. What the function
/// returns is kept until the wait has ended, and then dropped; so if that is a guard which unregisters, nothing stays
/// registered by a task that is cancelled.
///
/// ```
/// use kettle_rt::{EventLoop, Uncalled, callback};
/// use std::thread;
///
/// EventLoop::new()?.run(|| {
///     let tea = callback(|done| thread::spawn(move || done.call("tea")));
///     assert_eq!(tea, Ok("tea"));
///     // A thread that panics drops what it has, and so does who forgets to call.
///     let nothing = callback::<&str, _>(|done| thread::spawn(move || drop(done)));
///     assert_eq!(nothing, Err(Uncalled));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// [`Uncalled`], if the [`Done`] was dropped.
///
/// # Panics
///
/// With the function's panic; what is called after that has nobody who waits. Inside of a task that is a future: `.await` is
/// how that waits.
///
/// # Cancellation
///
/// A task that has been cancelled is unwound before the function is called, or while it waits; never if there is a value,
/// which is given. A [`Done`] that is called later gives its value back. Where panics abort it is as if that had been dropped.
/// (A function that waits can be unwound there, and a value that has come by then with it.)
#[track_caller]
pub fn callback<T, R>(register: impl FnOnce(Done<T>) -> R) -> Result<T, Uncalled> {
    let may_wait = event_loop::task().is_some() || event_loop::current().is_none() || thread::panicking();
    assert!(may_wait, "wait for a callback inside of a future: await something");
    wait::pass();
    let awaited = Awaited(Arc::new(Call(Mutex::new(Progress::Begun))));
    let _registration = register(Done { call: Some(Arc::clone(&awaited.0)) });
    awaited.wait()
}

/// The side of who waits. When it goes nobody waits any more.
struct Awaited<T>(Arc<Call<T>>);

impl<T> Awaited<T> {
    #[track_caller]
    fn wait(&self) -> Result<T, Uncalled> {
        // Not before the function was called: if it has spawned tasks, the thread may have become one itself.
        let waiter = Waiter::new();
        if self.begin(&waiter) && waiter.wait_for(Purpose::here(Wait::Callback), None) != Woken::Notified {
            if self.leave() {
                wait::raise_if_cancelled();
                return Err(Uncalled);
            }
            waiter.wait_for_notice();
        }
        match mem::replace(&mut *self.0.progress(), Progress::Left) {
            Progress::Ended(result) => result,
            _ => unreachable!("invariant: it has been notified, or need not be"),
        }
    }

    /// Has the waiter be notified, unless it has ended. Gives whether it will be.
    fn begin(&self, waiter: &Waiter) -> bool {
        let mut progress = self.0.progress();
        let waits = matches!(*progress, Progress::Begun);
        if waits {
            *progress = Progress::Waits(Place(NonNull::from(waiter)));
        }
        waits
    }

    /// Stops waiting, unless it has ended. Gives whether nobody notifies the waiter.
    fn leave(&self) -> bool {
        let mut progress = self.0.progress();
        let waits = matches!(*progress, Progress::Waits(_));
        if waits {
            *progress = Progress::Left;
        }
        waits
    }
}

impl<T> Drop for Awaited<T> {
    fn drop(&mut self) {
        // Not under the lock: it may be a value, if the function has called and then panicked.
        let rest = mem::replace(&mut *self.0.progress(), Progress::Left);
        drop(rest);
    }
}

impl<T: 'static> JoinHandle<T> {
    /// Has a function called with the task's result when it has ended: the reverse of [`callback`]. No checkpoint.
    ///
    /// The function runs as a task of its own on the same event loop, so it may suspend; never inside of this call, also if the
    /// task has ended. Until then it has no stack. Its handle is given, to be joined or dropped; [`JoinHandle::cancel`] of that
    /// one has the function dropped uncalled, and leaves the task that it was for alone.
    ///
    /// ```
    /// use kettle_rt::{EventLoop, spawn};
    ///
    /// EventLoop::new()?.run(|| {
    ///     let cups = spawn(|| 2).on_done(|cups| cups.unwrap() + 1);
    ///     assert_eq!(cups.join().unwrap(), 3);
    ///     spawn(|| panic!("no water")).on_done(|result: Result<(), _>| assert!(result.is_err()));
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the task has not ended and belongs to another event loop than the one that runs.
    ///
    /// # Cancellation
    ///
    /// A task that is cancelled has a result, too: the function is called with [`Cancelled`](crate::Cancelled). When the event
    /// loop ends, the function is cancelled as all tasks are: dropped, if it has not been called.
    #[track_caller]
    pub fn on_done<R: 'static>(self, f: impl FnOnce(thread::Result<T>) -> R + 'static) -> JoinHandle<R> {
        let event_loop = expect(outside::event_loop());
        let target = self.task;
        assert!(
            target.has_ended() || event_loop.has(target),
            "have a function called at the end of a task of another event loop"
        );
        // It is joined and not just taken: who unparks this task may have it begin too early.
        let callback = expect(Builder::new().spawn(move || f(self.join())));
        event_loop.postpone(callback.task, target);
        callback
    }
}

impl Loop {
    /// Has a task, which was admitted last, begin when another one has ended. That one's handle is the task's own: dropping
    /// it undoes this.
    fn postpone(&self, task: TaskRef, target: TaskRef) {
        if target.has_ended() || task.is(Flags::CANCELLED) {
            return;
        }
        let last = self.ready.borrow_mut().pop_back();
        debug_assert_eq!(last, Some(task), "invariant: it was admitted last");
        task.state.set(State::Waiting(Wait::Join));
        target.joiner.set(Some(task));
    }
}
