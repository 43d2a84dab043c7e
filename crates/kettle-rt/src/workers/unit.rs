//! Owns a function on its way to a worker, the task that it becomes there, and the handle of it: one allocation, which the
//! queue or the task shares with the handle.
//!
//! The function is taken by who has the job: a task, or whoever drops it. The result is put there by that one, and taken by the
//! handle, or dropped by the task if there is no handle any more: see `outcome`. So nothing of a user is left when both
//! have gone, and dropping the allocation runs no code of theirs.
//!
//! A cancellation and the beginning are decided by one exchange: who cancels a function that has begun tells its worker.
//!
//! The unsafe code of this module is the place of the function; forgetting how long it may live; notifying a waiter by its
//! address; making the task.

use super::begun::Begun;
use crate::cancelled::{Cancelled, Reason};
use crate::crew::Crew;
use crate::event_loop;
use crate::foreign::discard;
use crate::header::{Purpose, Wait};
use crate::job::{Cancel, Job, Start};
use crate::outcome::{Completed, Outcome};
use crate::region;
use crate::remote::Message;
use crate::task;
use crate::wait;
use crate::waiter::{Waiter, Woken};
use std::cell::UnsafeCell;
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, Location, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// It is to end. Set by the handle, cleared never.
const CANCELLED: usize = 1;
/// It has become a task, of the worker whose index the bits from here on have, and 1 is added. Set by that one, cleared never.
const BEGUN: usize = 1 << 1;

/// See the module.
struct Unit<F, T> {
    known: Known<T>,
    spawned_at: &'static Location<'static>,
    function: UnsafeCell<Option<F>>,
}

/// What the handle knows of it.
struct Known<T> {
    outcome: Outcome<thread::Result<T>>,
    /// Bits, of those above.
    stage: AtomicUsize,
    task: Begun,
}

// SAFETY: the function is taken by one thread; the result is as in `outcome`.
unsafe impl<F: Send, T: Send> Sync for Unit<F, T> {}

impl<F: FnOnce() -> T + Send, T: Send> Unit<F, T> {
    /// # Safety
    ///
    /// The caller has the job, and nobody has called this before.
    unsafe fn take_function(&self) -> Option<F> {
        // SAFETY: by the obligation.
        let function = unsafe { &mut *self.function.get() };
        function.take()
    }

    /// Puts the result there, and tells who waits for it. Gives it back if nobody ever will.
    ///
    /// # Safety
    ///
    /// Called once, and nothing of the function is left.
    unsafe fn complete(&self, result: thread::Result<T>) -> Option<thread::Result<T>> {
        // SAFETY: by the obligation.
        match unsafe { self.known.outcome.complete(result) } {
            Completed::Quietly => {}
            Completed::Unwanted(result) => return Some(result),
            Completed::Awaited(waiter) => {
                let waiter = NonNull::new(waiter.cast::<Waiter>()).expect("invariant: a waiter has an address");
                // SAFETY: 1. who waits has left it there, and leaves it no more. 2. It waits for this.
                unsafe { Waiter::notify(waiter) };
            }
        }
        None
    }

    /// Drops the function, and makes that the result.
    ///
    /// # Safety
    ///
    /// As of `take_function`.
    unsafe fn give_up(&self, with: thread::Result<T>) {
        // SAFETY: by the obligation.
        let function = unsafe { self.take_function() };
        let result = catch_unwind(AssertUnwindSafe(|| drop(function))).map_or_else(Err, |()| with);
        // SAFETY: by the obligation; the function has gone.
        let unwanted = unsafe { self.complete(result) };
        discard(unwanted);
    }
}

impl<F: FnOnce() -> T + Send, T: Send> Start for Unit<F, T> {
    fn start(self: Arc<Self>) {
        let event_loop = event_loop::current().expect("invariant: a loop begins its jobs");
        let (unit, spawned_at) = (Arc::as_ptr(&self), self.spawned_at);
        let running = Running(self);
        // SAFETY: 1. what the function borrows lives until all workers have ended, and so their tasks. 2. Nobody takes a result.
        let task = unsafe { task::make(event_loop, move || running.run(), spawned_at, None) };
        // SAFETY: the task has it, and runs on this thread: later.
        let known = unsafe { &(*unit).known };
        known.task.begin(task);
        let member = event_loop.member.get().expect("invariant: only workers begin jobs");
        let index = member.index;
        let is_cancelled = known.stage.fetch_or((index + 1) * BEGUN, Ordering::AcqRel) & CANCELLED != 0;
        event_loop.admit(task);
        member.show_tasks(event_loop.live.get());
        if is_cancelled {
            event_loop.cancel(task, Reason::Explicit);
        }
    }

    fn refuse(&self) {
        // SAFETY: it was the job's, and has not become a task.
        unsafe { self.give_up(Err(Box::new(Cancelled::new(Reason::Shutdown)))) };
    }
}

impl<F: Send, T: Send> Cancel for Unit<F, T> {
    fn cancel(&self, reason: Reason) {
        self.known.task.cancel(reason);
    }
}

/// What a task has of it: it runs the function, or when dropped says that it has not run.
struct Running<F: FnOnce() -> T + Send, T: Send>(Arc<Unit<F, T>>);

impl<F: FnOnce() -> T + Send, T: Send> Running<F, T> {
    #[inline]
    fn run(self) {
        // SAFETY: it was the job's.
        if let Some(function) = unsafe { self.0.take_function() } {
            let result = catch_unwind(AssertUnwindSafe(function));
            self.0.known.task.end();
            // SAFETY: the first time, for the function was there.
            let unwanted = unsafe { self.0.complete(result) };
            // Its destructor may wait, or panic: it is the task that does.
            drop(unwanted);
        }
    }
}

impl<F: FnOnce() -> T + Send, T: Send> Drop for Running<F, T> {
    fn drop(&mut self) {
        if !self.0.known.task.end() {
            return;
        }
        let payload: Box<dyn std::any::Any + Send> =
            match event_loop::current().and_then(|current| current.current_task()) {
                Some(task) => Box::new(region::cancelled(task)),
                None => Box::new("run a task that comes from another worker: there is no memory for its stack"),
            };
        // SAFETY: it has not run, or there would be no task any more.
        unsafe { self.0.give_up(Err(payload)) };
    }
}

/// A unit, for its handle.
trait Awaited<T>: Cancel {
    fn known(&self) -> &Known<T>;
}

impl<F: Send, T: Send> Awaited<T> for Unit<F, T> {
    fn known(&self) -> &Known<T> {
        &self.known
    }
}

/// Makes a job of a function, and its handle.
///
/// # Safety
///
/// The job has been begun or dropped, and what has begun has ended, as long as there is what the function borrows.
#[inline]
pub(super) unsafe fn make<'scope, F, T>(
    crew: &Arc<Crew>,
    function: F,
    spawned_at: &'static Location<'static>,
) -> (Job, JoinHandle<T>)
where
    F: FnOnce() -> T + Send + 'scope,
    T: Send + 'scope,
{
    let known = Known { outcome: Outcome::new(), stage: AtomicUsize::new(0), task: Begun::new() };
    let unit = Arc::new(Unit { known, spawned_at, function: UnsafeCell::new(Some(function)) });
    let awaited: Arc<dyn Awaited<T> + 'scope> = unit.clone();
    let start: Arc<dyn Start + 'scope> = unit;
    // SAFETY: the function has gone as long as what it borrows is there, by the obligation; and the result as long as what
    // it borrows is, or the handle, whose type says so.
    let awaited = unsafe { mem::transmute::<Arc<dyn Awaited<T> + 'scope>, Arc<dyn Awaited<T>>>(awaited) };
    // SAFETY: the same.
    let start = unsafe { mem::transmute::<Arc<dyn Start + 'scope>, Arc<dyn Start>>(start) };
    (Job::new(start), JoinHandle { unit: awaited, crew: Arc::clone(crew) })
}

/// A task of some worker, for who waits for it: `std::thread::JoinHandle` for what runs elsewhere. Dropping it lets the task
/// run on by itself.
///
/// Unlike the handle of a task of this thread it may be sent to any other, and used there.
pub struct JoinHandle<T> {
    unit: Arc<dyn Awaited<T>>,
    crew: Arc<Crew>,
}

impl<T> JoinHandle<T> {
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
        let outcome = &self.unit.known().outcome;
        if !outcome.is_complete() {
            if self.will_not_begin() {
                return Err(Box::new(Cancelled::new(Reason::Shutdown)));
            }
            self.wait_for_end();
        }
        // SAFETY: this is the handle.
        let result = unsafe { outcome.take() };
        result.expect("invariant: it is taken once")
    }

    /// Whether the workers end, and it has not begun: then it does not begin. Who asks may be what is dropped before it, so
    /// that it would wait for itself.
    fn will_not_begin(&self) -> bool {
        let cancel = |stage| (stage < BEGUN).then_some(stage | CANCELLED);
        self.crew.is_ending()
            && self.unit.known().stage.fetch_update(Ordering::AcqRel, Ordering::Relaxed, cancel).is_ok()
    }

    #[track_caller]
    fn wait_for_end(&self) {
        let may_wait = event_loop::task().is_some() || event_loop::current().is_none();
        assert!(
            may_wait,
            "join a task of a worker from where nothing can wait for it: in a future, or while unwinding"
        );
        let known = self.unit.known();
        assert!(!known.task.is_current(), "join a task from itself: it would wait for its own end");
        wait::raise_if_cancelled();
        let waiter = Waiter::new();
        let address = (&raw const waiter).cast_mut().cast();
        // SAFETY: this is the handle, and nobody else waits by it.
        if unsafe { known.outcome.expect(address) }
            && waiter.wait_for(Purpose::here(Wait::Join), None) != Woken::Notified
        {
            // SAFETY: it waits.
            if cfg!(panic = "unwind") && unsafe { known.outcome.leave(address) } {
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
        let known = self.unit.known();
        let stage = known.stage.fetch_or(CANCELLED, Ordering::AcqRel);
        if stage & CANCELLED == 0
            && let Some(index) = (stage / BEGUN).checked_sub(1)
        {
            let member = event_loop::current().and_then(|current| current.member.get());
            if member.is_some_and(|member| member.is(&self.crew, index)) {
                return self.unit.cancel(Reason::Explicit);
            }
            let unit: Arc<dyn Cancel> = Arc::clone(&self.unit) as _;
            self.crew.tell(index, Message::Cancel(unit, Reason::Explicit));
        }
    }

    /// Whether the task has ended, so that [`join`](Self::join) does not wait.
    pub fn is_finished(&self) -> bool {
        self.unit.known().outcome.is_complete()
    }
}

impl<T> Drop for JoinHandle<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this is the handle, and nobody waits by it.
        drop(unsafe { self.unit.known().outcome.abandon() });
    }
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
