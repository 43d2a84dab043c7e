//! Owns what a task is made of: a function, and in its place later its result, behind a header.
//!
//! The unsafe code of this module is that place: which of the two is in it the task's state tells.

use crate::cancelled::Cancelled;
use crate::cells::Size;
use crate::event_loop::{Loop, entry};
use crate::fiber_local;
use crate::header::{Flags, Header, Rare, TaskRef, Vtable};
use crate::region;
use kettle_fiber::link::Link;
use std::alloc::Layout;
use std::any::Any;
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::thread;

/// A task in its block. `K` is how its result of type `R` is kept.
#[repr(C)]
struct Whole<F, R, K> {
    header: Header,
    place: UnsafeCell<Place<F, K>>,
    result: PhantomData<R>,
}

/// The function until it is called, and then how it ended.
union Place<F, K> {
    function: ManuallyDrop<F>,
    result: ManuallyDrop<thread::Result<K>>,
}

/// How a result is kept: as it is, or in a box where it does not fit into a block.
trait Kept<R> {
    fn keep(result: R) -> Self;
    fn take(self) -> R;
}

struct AsItIs<R>(R);

impl<R> Kept<R> for AsItIs<R> {
    fn keep(result: R) -> Self {
        Self(result)
    }

    fn take(self) -> R {
        self.0
    }
}

impl<R> Kept<R> for Box<R> {
    fn keep(result: R) -> Self {
        Box::new(result)
    }

    fn take(self) -> R {
        *self
    }
}

impl<F: FnOnce() -> R, R, K: Kept<R>> Whole<F, R, K> {
    const LAYOUT: Layout = Layout::new::<Self>();

    const FITS: bool = Size::fits(Self::LAYOUT);

    const VTABLE: Vtable = Vtable {
        size: Size::of(Self::LAYOUT),
        run: Self::run,
        fail: Self::fail,
        take_result: Self::take_result,
        drop_result: Self::drop_result,
    };

    /// # Safety
    ///
    /// The task is one of this type, and nobody else uses its place.
    #[inline(always)]
    unsafe fn place<'a>(task: TaskRef) -> &'a mut Place<F, K> {
        let place = task.header().as_ptr().cast::<Self>();
        // SAFETY: by the obligation.
        let place = unsafe { &raw const (*place).place };
        // SAFETY: by the obligation.
        unsafe { &mut *UnsafeCell::raw_get(place) }
    }

    /// # Safety
    ///
    /// As of `place`; the function is there.
    unsafe fn take_function(task: TaskRef) -> F {
        // SAFETY: by the obligation.
        let place = unsafe { Self::place(task) };
        // SAFETY: by the obligation.
        unsafe { ManuallyDrop::take(&mut place.function) }
    }

    /// Puts the result into its place, or drops it if nobody can ask for it.
    ///
    /// # Safety
    ///
    /// As of `place`; nothing is there.
    unsafe fn put_result(task: TaskRef, result: thread::Result<K>) {
        if result.as_ref().is_err_and(|panic| !panic.is::<Cancelled>()) {
            task.set(Flags::PANICKED);
        }
        if task.has_handle() {
            // SAFETY: by the obligation.
            unsafe { Self::place(task) }.result = ManuallyDrop::new(result);
            task.has_result.set(true);
        } else if catch_unwind(AssertUnwindSafe(|| drop(result))).is_err() {
            // The panic hook has said it, and there is nobody else to tell.
            task.set(Flags::PANICKED);
        }
    }

    unsafe fn run(task: TaskRef) {
        // SAFETY: called once, for a task that was not started.
        let function = unsafe { Self::take_function(task) };
        let result = if task.is(Flags::CANCELLED) {
            catch_unwind(AssertUnwindSafe(|| drop(function))).and_then(|()| Err(Box::new(region::cancelled(task)) as _))
        } else {
            catch_unwind(AssertUnwindSafe(|| K::keep(function())))
        };
        // SAFETY: the function was taken.
        unsafe { Self::put_result(task, result) };
        if task.has_rare() && fiber_local::end(task) {
            task.set(Flags::PANICKED);
        }
    }

    unsafe fn fail(task: TaskRef, payload: Box<dyn Any + Send>) {
        // SAFETY: called for a task that was not started.
        let function = unsafe { Self::take_function(task) };
        let result = catch_unwind(AssertUnwindSafe(|| drop(function))).and_then(|()| Err(payload));
        // SAFETY: the function was taken.
        unsafe { Self::put_result(task, result) };
    }

    unsafe fn take_result(task: TaskRef, out: *mut ()) {
        // SAFETY: callers have looked that there is one, and say that there isn't any more.
        let place = unsafe { Self::place(task) };
        // SAFETY: the same.
        let result = unsafe { ManuallyDrop::take(&mut place.result) };
        // SAFETY: `out` is a place for one.
        unsafe { out.cast::<thread::Result<R>>().write(result.map(K::take)) };
    }

    unsafe fn drop_result(task: TaskRef) {
        // SAFETY: callers have looked that there is one, and say that there isn't any more.
        let place = unsafe { Self::place(task) };
        // SAFETY: the same.
        unsafe { ManuallyDrop::drop(&mut place.result) };
    }
}

/// Makes a task of a function, for the loop to run, and gives it with one owner: the loop.
///
/// # Safety
///
/// 1. What the function borrows is valid until the task has ended, and what its result borrows as long as there are handles.
/// 2. Whoever takes the result takes an `R`.
#[inline]
pub(crate) unsafe fn make<F: FnOnce() -> R, R>(
    event_loop: &Loop,
    function: F,
    spawned_at: &'static Location<'static>,
    rare: Option<Box<Rare>>,
) -> TaskRef {
    if const { Whole::<F, R, AsItIs<R>>::FITS } {
        whole::<F, R, AsItIs<R>>(event_loop, function, spawned_at, rare)
    } else {
        whole::<Box<F>, R, Box<R>>(event_loop, Box::new(function), spawned_at, rare)
    }
}

#[inline]
fn whole<F: FnOnce() -> R, R, K: Kept<R>>(
    event_loop: &Loop,
    function: F,
    spawned_at: &'static Location<'static>,
    rare: Option<Box<Rare>>,
) -> TaskRef {
    let cells = event_loop.cells();
    // SAFETY: the loop has them as long as it lives.
    let block = unsafe { cells.as_ref() }.take(const { Whole::<F, R, K>::VTABLE.size }).cast::<Whole<F, R, K>>();
    let header = Header::new(Link::new(entry), const { &Whole::<F, R, K>::VTABLE }, spawned_at, rare);
    let place = UnsafeCell::new(Place { function: ManuallyDrop::new(function) });
    // SAFETY: the block is ours, large enough and aligned.
    unsafe { block.write(Whole { header, place, result: PhantomData }) };
    // SAFETY: the header is there until the last owner lets go.
    unsafe { TaskRef::new(block.cast()) }
}
