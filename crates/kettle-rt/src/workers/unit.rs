//! Owns a function on its way to a worker, and the task that it becomes there: one allocation for both and the handle, which
//! lies in a block of the worker's that has spawned it.
//!
//! ```text
//!   unit   │ head: what is known of the types │ outcome │ the task │ whose block │ place: the function, later the result │
//! ```
//!
//! The function is taken by who has the job: a task, or whoever drops it. The result is put into its place by that one, and
//! taken by the handle, or by that one again if there is no handle any more: see `outcome`, which also says who gives the block
//! back. So nothing of a user is left when both have gone, and giving the block back runs no code of theirs.
//!
//! A task whose function has returned goes on with the next one that its worker would begin, if nothing tells it from a new
//! one ([`Header::is_as_new`](crate::header::Header::is_as_new)): many short functions take one block for a task, one
//! stack, and two switches.
//!
//! The unsafe code of this module is the place, and whose turn it is there; the memory; forgetting how long the function may
//! live; notifying a waiter by its address; making its task.

use super::begun::Begun;
use crate::cancelled::{Cancelled, Reason};
use crate::cells::Size;
use crate::crew::{Crew, Member};
use crate::event_loop::{self, Loop};
use crate::foreign::discard;
use crate::header::TaskRef;
use crate::job::{Begin, Cancel, Functions, Job};
use crate::outcome::{Completed, Outcome};
use crate::pool::Pool;
use crate::region;
use crate::task;
use crate::waiter::Waiter;
use std::alloc::{self, Layout, handle_alloc_error};
use std::cell::UnsafeCell;
use std::mem::{ManuallyDrop, offset_of};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use std::thread;

/// What the handle knows of it, and who delivers a cancellation.
#[repr(C)]
pub(super) struct Head {
    functions: &'static Functions,
    pub(super) outcome: Outcome,
    pub(super) task: Begun,
    /// The [`Pool`] that the block is of; without one, the crew, of which this is a share.
    home: NonNull<()>,
}

/// See the module.
#[repr(C)]
struct Unit<F, T> {
    head: Head,
    place: UnsafeCell<Place<F, T>>,
}

/// The function and where it was spawned, until it is taken, and then how it has ended.
// Who takes the result knows no function's type: so both lie at the beginning, which Rust's own layout does not promise.
#[repr(C)]
union Place<F, T> {
    function: ManuallyDrop<(F, &'static Location<'static>)>,
    result: ManuallyDrop<thread::Result<T>>,
}

// With a function of one word, and a result of two, it fills a cache line: the smallest block.
const _: () =
    assert!(size_of::<Unit<usize, [usize; 2]>>() == 64, "invariant: a small function fits into the smallest block");

impl Head {
    /// The crew of its workers.
    pub(super) fn crew(&self) -> &Crew {
        if self.functions.is_pooled {
            // SAFETY: this is in a block of it.
            unsafe { Pool::<Arc<Crew>>::keeps(self.home.cast()) }
        } else {
            // SAFETY: this has a share of it.
            unsafe { self.home.cast().as_ref() }
        }
    }
}

/// Takes the result, when both sides have gone, says the second one. Gives the block back.
///
/// # Safety
///
/// It is complete, its results are `T`s, and the caller is the second one, and does nothing more with it.
#[inline]
pub(super) unsafe fn take_result<T>(head: NonNull<Head>) -> thread::Result<T> {
    // SAFETY: by the obligation.
    let known = unsafe { (*head.as_ptr()).functions };
    // SAFETY: the same.
    let outcome = unsafe { &(*head.as_ptr()).outcome };
    // SAFETY: the result is inside of the allocation, there.
    let place = unsafe { head.byte_add(known.place) };
    // SAFETY: it is complete, and by the obligation nobody else takes it.
    let result = unsafe { place.cast::<thread::Result<T>>().read() };
    if outcome.leave_both() {
        // SAFETY: nobody else uses it.
        unsafe { free(head) };
    }
    result
}

/// Gives the memory back.
///
/// # Safety
///
/// The caller is the last one who uses it; function and result have been taken.
#[inline]
unsafe fn free(head: NonNull<Head>) {
    // SAFETY: by the obligation.
    let known = unsafe { (*head.as_ptr()).functions };
    // SAFETY: the same.
    let home = unsafe { (*head.as_ptr()).home };
    let block = head.cast::<u8>();
    if known.is_pooled {
        let (pool, size) = (home.cast::<Pool<Arc<Crew>>>(), Size::of(known.layout));
        match event_loop::current().and_then(|current| current.member.get()) {
            // SAFETY: as in `make`, and nobody uses it.
            Some(member) if member.pool.address() == pool => unsafe { member.pool.give(block, size) },
            // SAFETY: the same.
            _ => unsafe { Pool::give(pool, block, size) },
        }
    } else {
        // SAFETY: as in `make`, and nobody uses it.
        unsafe { alloc::dealloc(block.as_ptr(), known.layout) };
        // SAFETY: the share that `make` has put there.
        drop(unsafe { Arc::from_raw(home.cast::<Crew>().as_ptr()) });
    }
}

/// A cancellation on its way to a task's thread.
pub(super) struct Sent(NonNull<Head>);

// SAFETY: what any thread may look at is atomic.
unsafe impl Send for Sent {}
// SAFETY: the same.
unsafe impl Sync for Sent {}

impl Sent {
    /// # Safety
    ///
    /// By the handle, of what its [`cancel`](Outcome::cancel) has given an index for.
    pub(super) unsafe fn new(head: NonNull<Head>) -> Self {
        // SAFETY: it is the handle that calls this.
        unsafe { &(*head.as_ptr()).outcome }.send();
        Self(head)
    }
}

impl Cancel for Sent {
    fn cancel(&self, reason: Reason) {
        // SAFETY: it is there until this has been delivered.
        unsafe { &(*self.0.as_ptr()).task }.cancel(reason);
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        // SAFETY: it is there until this.
        if unsafe { &(*self.0.as_ptr()).outcome }.deliver() {
            // SAFETY: the others have gone, and the result has been taken.
            unsafe { free(self.0) };
        }
    }
}

impl<F: FnOnce() -> T + Send, T: Send> Unit<F, T> {
    const LAYOUT: Layout = Layout::new::<Self>();

    // ASan looks at what lies by itself.
    const FITS: bool = Size::fits(Self::LAYOUT) && !cfg!(kettle_asan);

    const POOLED: Functions = Self::functions(true);

    const ALONE: Functions = Self::functions(false);

    const fn functions(is_pooled: bool) -> Functions {
        Functions {
            start: Self::start,
            start_in_task: Self::start_in_task,
            refuse: Self::refuse,
            layout: Self::LAYOUT,
            place: offset_of!(Self, place),
            is_pooled,
        }
    }

    /// # Safety
    ///
    /// The unit has not been freed, and this does not outlive it.
    #[inline(always)]
    unsafe fn head<'a>(this: NonNull<Self>) -> &'a Head {
        // SAFETY: by the obligation.
        unsafe { &(*this.as_ptr()).head }
    }

    /// # Safety
    ///
    /// As of `head`; and it is the caller's turn at the place.
    #[inline(always)]
    unsafe fn place<'a>(this: NonNull<Self>) -> &'a mut Place<F, T> {
        // SAFETY: by the obligation.
        let place = unsafe { &raw const (*this.as_ptr()).place };
        // SAFETY: by the obligation.
        unsafe { &mut *UnsafeCell::raw_get(place) }
    }

    /// # Safety
    ///
    /// The caller has what was the job's, and nobody has called this before.
    #[inline(always)]
    unsafe fn take_function(this: NonNull<Self>) -> F {
        // SAFETY: by the obligation: the handle looks there when it is complete.
        let place = unsafe { Self::place(this) };
        // SAFETY: the function is there, until now.
        unsafe { ManuallyDrop::take(&mut place.function) }.0
    }

    /// Where it was spawned.
    ///
    /// # Safety
    ///
    /// As of `take_function`.
    #[inline]
    unsafe fn spawned_at(this: NonNull<Self>) -> &'static Location<'static> {
        // SAFETY: by the obligation.
        let place = unsafe { Self::place(this) };
        // SAFETY: the function is there.
        unsafe { &place.function }.1
    }

    /// Puts the result there, and tells who waits for it. Gives it back if nobody ever will. The unit is not the caller's any
    /// more.
    ///
    /// # Safety
    ///
    /// The caller has taken the function, and nothing of it is left.
    #[inline]
    unsafe fn complete(this: NonNull<Self>, result: thread::Result<T>) -> Option<thread::Result<T>> {
        // SAFETY: nobody looks before the outcome says that it is complete.
        unsafe { Self::place(this) }.result = ManuallyDrop::new(result);
        // SAFETY: it is there until it is complete, and this does not look at it after that.
        match unsafe { Self::head(this) }.outcome.complete() {
            Completed::Quietly => None,
            // SAFETY: the handle has gone.
            Completed::Unwanted => Some(unsafe { take_result(this.cast()) }),
            Completed::Awaited(waiter) => {
                let waiter = NonNull::new(waiter.cast::<Waiter>()).expect("invariant: a waiter has an address");
                // SAFETY: 1. who waits has left it there, and leaves it no more. 2. It waits for this.
                unsafe { Waiter::notify(waiter) };
                None
            }
        }
    }

    /// Drops the function, and makes that the result.
    ///
    /// # Safety
    ///
    /// As of `take_function`.
    unsafe fn give_up(this: NonNull<Self>, with: thread::Result<T>) {
        // SAFETY: by the obligation.
        let function = unsafe { Self::take_function(this) };
        let result = catch_unwind(AssertUnwindSafe(|| drop(function))).map_or_else(Err, |()| with);
        // SAFETY: the function has gone.
        let unwanted = unsafe { Self::complete(this, result) };
        discard(unwanted);
    }

    /// Says that it has begun as this task. Gives whether it was cancelled before.
    ///
    /// # Safety
    ///
    /// As of `take_function`.
    #[inline]
    unsafe fn begin(this: NonNull<Self>, member: &Member, task: TaskRef) -> bool {
        // SAFETY: it is there until it is complete.
        let head = unsafe { Self::head(this) };
        head.task.begin(task);
        head.outcome.begin(member.index)
    }

    unsafe fn start(begin: Begin) {
        let this = begin.cast::<Self>();
        let event_loop = event_loop::current().expect("invariant: a loop begins its jobs");
        let member = event_loop.member.get().expect("invariant: only workers begin jobs");
        // SAFETY: it was the job's.
        let spawned_at = unsafe { Self::spawned_at(this) };
        let running = Running(this);
        // SAFETY: 1. what the function borrows lives until all workers have ended, and so their tasks. 2. Nobody takes a result.
        let task = unsafe { task::make(event_loop, move || running.run(), spawned_at, None) };
        // SAFETY: the task has it, and runs on this thread: later.
        let is_cancelled = unsafe { Self::begin(this, member, task) };
        event_loop.admit(task);
        member.show_tasks(event_loop.live.get());
        if is_cancelled {
            event_loop.cancel(task, Reason::Explicit);
        }
    }

    unsafe fn start_in_task(begin: Begin) {
        let this = begin.cast::<Self>();
        let (event_loop, task, member) = worker_and_task().expect("invariant: the one that has asked for the job");
        // SAFETY: it was the job's.
        task.be_new(unsafe { Self::spawned_at(this) });
        let running = Running(this);
        // SAFETY: it was the job's.
        if unsafe { Self::begin(this, member, task) } {
            event_loop.cancel(task, Reason::Explicit);
            drop(running);
        } else {
            running.run_once();
        }
    }

    unsafe fn refuse(begin: Begin) {
        // SAFETY: it was the job's.
        unsafe { Self::give_up(begin.cast(), Err(Box::new(Cancelled::new(Reason::Shutdown)))) };
    }
}

/// The loop, the task and the worker that run, where a task may be suspended.
#[inline]
fn worker_and_task<'a>() -> Option<(&'a Loop, TaskRef, &'a Member)> {
    let (event_loop, task) = event_loop::task()?;
    Some((event_loop, task, event_loop.member.get()?))
}

/// What a task has of it: it runs the function, or when dropped says that it has not run.
struct Running<F: FnOnce() -> T + Send, T: Send>(NonNull<Unit<F, T>>);

impl<F: FnOnce() -> T + Send, T: Send> Running<F, T> {
    /// Runs it, and in the same task what its worker would begin next.
    #[inline]
    fn run(self) {
        self.run_once();
        while let Some(job) = worker_and_task().and_then(|(event_loop, task, _)| event_loop.next_in_task(task)) {
            job.start_in_task();
        }
    }

    #[inline]
    fn run_once(self) {
        let unit = ManuallyDrop::new(self).0;
        // SAFETY: it was the job's, and this drops itself no more.
        let function = unsafe { Unit::take_function(unit) };
        let result = catch_unwind(AssertUnwindSafe(function));
        // SAFETY: it is there until it is complete.
        unsafe { Unit::head(unit) }.task.end();
        // SAFETY: the function has been called.
        let unwanted = unsafe { Unit::complete(unit, result) };
        // Its destructor may wait, or panic: it is the task that does.
        drop(unwanted);
    }
}

impl<F: FnOnce() -> T + Send, T: Send> Drop for Running<F, T> {
    fn drop(&mut self) {
        // SAFETY: it is there until it is complete.
        unsafe { Unit::head(self.0) }.task.end();
        let payload: Box<dyn std::any::Any + Send> =
            match event_loop::current().and_then(|current| current.current_task()) {
                Some(task) => Box::new(region::cancelled(task)),
                None => Box::new("run a task that comes from another worker: there is no memory for its stack"),
            };
        // SAFETY: it was the job's, and has not run.
        unsafe { Unit::give_up(self.0, Err(payload)) };
    }
}

/// Makes a job of a function, and gives what the handle is to have. The member is that of the worker that runs, if it is one
/// of the crew.
///
/// # Safety
///
/// 1. The job has been begun or dropped, and what has begun has ended, as long as there is what the function borrows.
/// 2. The handle drops the result as long as there is what that borrows.
#[inline]
pub(super) unsafe fn make<'scope, F, T>(
    crew: &Arc<Crew>,
    member: Option<&Member>,
    function: F,
    spawned_at: &'static Location<'static>,
) -> (Job, NonNull<Head>)
where
    F: FnOnce() -> T + Send + 'scope,
    T: Send + 'scope,
{
    let (block, functions, home) = match member {
        Some(Member { pool, .. }) if const { Unit::<F, T>::FITS } => {
            let size = const { Size::of(Unit::<F, T>::LAYOUT) };
            (pool.take(size), const { &Unit::<F, T>::POOLED }, pool.address().cast())
        }
        _ => (allocate(Unit::<F, T>::LAYOUT), const { &Unit::<F, T>::ALONE }, share(crew)),
    };
    let head = Head { functions, outcome: Outcome::new(), task: Begun::new(), home };
    let place = UnsafeCell::new(Place { function: ManuallyDrop::new((function, spawned_at)) });
    let unit = block.cast::<Unit<F, T>>();
    // SAFETY: the block is ours, large enough and aligned.
    unsafe { unit.write(Unit { head, place }) };
    // SAFETY: 1. function and result are `Send`. The function has gone as long as what it borrows is there, by the obligation.
    // 2. It is freed when it is complete.
    let job = unsafe { Job::new(unit.cast()) };
    (job, unit.cast())
}

#[inline(never)]
fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: the layout is not of no size: it has a head.
    NonNull::new(unsafe { alloc::alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

fn share(crew: &Arc<Crew>) -> NonNull<()> {
    NonNull::new(Arc::into_raw(Arc::clone(crew)).cast_mut()).expect("invariant: an `Arc` has an address").cast()
}

/// Runs a function as a task would that is the first of its worker, where no loop is; or drops it, if it was cancelled before.
///
/// # Safety
///
/// It was made by `make`, of these types, and its job was forgotten.
#[cfg(all(test, not(loom)))]
pub(super) unsafe fn run_alone<F: FnOnce() -> T + Send, T: Send>(head: NonNull<Head>) {
    let running = Running::<F, T>(head.cast());
    // SAFETY: it is there until it is complete.
    let is_cancelled = unsafe { &(*head.as_ptr()).outcome }.begin(0);
    if is_cancelled { drop(running) } else { running.run_once() }
}
