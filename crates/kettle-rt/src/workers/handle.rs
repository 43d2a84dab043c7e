//! Owns the handle of a function that a worker is to run.
//!
//! The unsafe code of this module is what of the outcome is the handle's; the result's type.

use super::unit::{self, Head, Sent};
use crate::cancelled::{Cancelled, Reason};
use crate::crew::{Crew, Member};
use crate::event_loop;
use crate::header::{Purpose, Wait};
use crate::job::{Cancel, Job};
use crate::remote::Message;
use crate::wait;
use crate::waiter::{Waiter, Woken};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;
use std::sync::Arc;
use std::thread;

/// A task of some worker, for who waits for it: `std::thread::JoinHandle` for what runs elsewhere. Dropping it lets the task
/// run on by itself.
///
/// Unlike the handle of a task of this thread it may be sent to any other, and used there.
pub struct JoinHandle<T> {
    head: NonNull<Head>,
    result: PhantomData<fn() -> T>,
}

// SAFETY: the result is `Send`, for `make` makes no other. What other threads look at meanwhile is atomic.
unsafe impl<T> Send for JoinHandle<T> {}
// SAFETY: the same; who only shares it does not get at the result.
unsafe impl<T> Sync for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    #[inline]
    fn head(&self) -> &Head {
        // SAFETY: it is there as long as the handle.
        unsafe { self.head.as_ref() }
    }

    /// Waits for the task to end, and gives what it returned. A checkpoint, unless it has ended. Outside of tasks it blocks the
    /// thread.
    ///
    /// # Errors
    ///
    /// The payload of its panic, or [`Cancelled`]: also if it has not begun when the workers end.
    ///
    /// # Panics
    ///
    /// If the task joins itself; if it has not ended, and this is on the stack of an event loop or in a task that is
    /// unwinding: then the wait might never end.
    ///
    /// # Cancellation
    ///
    /// A task that is cancelled while it waits here is unwound; the one that it waits for runs on.
    #[track_caller]
    pub fn join(self) -> thread::Result<T> {
        let outcome = &self.head().outcome;
        if !outcome.is_complete() {
            if self.will_not_begin() {
                return Err(Box::new(Cancelled::new(Reason::Shutdown)));
            }
            self.wait_for_end();
        }
        let handle = ManuallyDrop::new(self);
        // SAFETY: it is complete, and so the other side has gone; this is the handle, which is not dropped.
        unsafe { unit::take_result(handle.head) }
    }

    /// Whether the workers end, and it has not begun: then it does not begin. Who asks may be what is dropped before it, so
    /// that it would wait for itself.
    fn will_not_begin(&self) -> bool {
        self.head().crew().is_ending() && self.head().outcome.prevent()
    }

    #[track_caller]
    fn wait_for_end(&self) {
        let may_wait = event_loop::task().is_some() || event_loop::current().is_none();
        assert!(
            may_wait,
            "join a task of a worker from where nothing can wait for it: in a future, or while unwinding"
        );
        let head = self.head();
        assert!(!head.task.is_current(), "join a task from itself: it would wait for its own end");
        wait::raise_if_cancelled();
        let waiter = Waiter::new();
        let address = (&raw const waiter).cast_mut().cast();
        if head.outcome.expect(address) && waiter.wait_for(Purpose::here(Wait::Join), None) != Woken::Notified {
            if cfg!(panic = "unwind") && head.outcome.leave(address) {
                wait::raise_if_cancelled();
            }
            waiter.wait_for_notice();
        }
    }

    /// Has the task end, unless it has: it is unwound where it waits, or where it would wait next, and each time it waits
    /// after that. One that has not begun does not begin. From any thread; no checkpoint: [`join`](Self::join) waits for the
    /// end.
    ///
    /// ```
    /// use kettle_rt::workers::workers;
    /// use kettle_rt::{Cancelled, park};
    ///
    /// workers(2).run(|worker| {
    ///     let kettle = worker.spawn_on(1 - worker.index(), park);
    ///     kettle.cancel();
    ///     assert!(kettle.join().unwrap_err().is::<Cancelled>());
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn cancel(&self) {
        let head = self.head();
        if let Some(index) = head.outcome.cancel() {
            let member = event_loop::current().and_then(|current| current.member.get());
            if member.is_some_and(|member| member.is(head.crew(), index)) {
                return head.task.cancel(Reason::Explicit);
            }
            // SAFETY: this is the handle, and has been given an index.
            let sent = unsafe { Sent::new(self.head) };
            head.crew().tell(index, Message::Cancel(Arc::new(sent), Reason::Explicit));
        }
    }

    /// Whether the task has ended, so that [`join`](Self::join) does not wait.
    pub fn is_finished(&self) -> bool {
        self.head().outcome.is_complete()
    }
}

impl<T> Drop for JoinHandle<T> {
    #[inline]
    fn drop(&mut self) {
        if self.head().outcome.abandon() {
            // SAFETY: it is complete, and so the other side has gone; this is the handle.
            drop(unsafe { unit::take_result::<T>(self.head) });
        }
    }
}

/// Makes a job of a function, and its handle. The member is that of the worker that runs, if it is one of the crew.
///
/// # Safety
///
/// The job has been begun or dropped, and what has begun has ended, as long as there is what the function borrows.
#[inline]
pub(super) unsafe fn make<'scope, F, T>(
    crew: &Arc<Crew>,
    member: Option<&Member>,
    function: F,
    spawned_at: &'static Location<'static>,
) -> (Job, JoinHandle<T>)
where
    F: FnOnce() -> T + Send + 'scope,
    T: Send + 'scope,
{
    // SAFETY: 1. by the obligation. 2. It goes with the handle, whose type says what it borrows.
    let (job, head) = unsafe { unit::make(crew, member, function, spawned_at) };
    (job, JoinHandle { head, result: PhantomData })
}

/// As std's.
impl<T> UnwindSafe for JoinHandle<T> {}
/// As std's.
impl<T> RefUnwindSafe for JoinHandle<T> {}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}
