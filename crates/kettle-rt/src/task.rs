//! Owns what a task is made of: a function or a future, and in its place later its result, behind a header.
//!
//! The unsafe code of this module is that place: which of the two is in it the task's state tells.

use crate::cancelled::Cancelled;
use crate::cells::Size;
use crate::event_loop::{self, Loop, entry};
use crate::fiber_local;
use crate::foreign::discard;
use crate::header::{Flags, Header, Rare, Run, State, TaskRef, Vtable, Wait};
use crate::region;
use crate::waker::Poller;
use kettle_fiber::link::Link;
use std::alloc::Layout;
use std::any::Any;
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::task::Poll;
use std::thread;

/// A task in its block. It is made of an `F`, a function or a future; `K` is how its result of type `R` is kept.
#[repr(C)]
struct Whole<F, R, K> {
    header: Header,
    place: UnsafeCell<Place<F, K>>,
    result: PhantomData<R>,
}

/// What the task is made of, until it has been used up, and then how it ended.
union Place<F, K> {
    content: ManuallyDrop<F>,
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

impl<F, R, K: Kept<R>> Whole<F, R, K> {
    const LAYOUT: Layout = Layout::new::<Self>();

    const FITS: bool = Size::fits(Self::LAYOUT);

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

    /// Puts the result into its place, or drops it if nobody can ask for it.
    ///
    /// # Safety
    ///
    /// As of `place`; nothing is there.
    unsafe fn put_result(task: TaskRef, result: thread::Result<K>) {
        if has_panicked(&result) {
            task.set(Flags::PANICKED);
        }
        if task.is(Flags::HANDLE) {
            // SAFETY: by the obligation.
            unsafe { Self::place(task) }.result = ManuallyDrop::new(result);
            task.set(Flags::RESULT);
        } else if discard(result) {
            // The panic hook has said it, and there is nobody else to tell.
            task.set(Flags::PANICKED);
        }
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

    /// Makes a task in a block of its own.
    #[inline]
    fn make(
        event_loop: &Loop,
        content: F,
        vtable: &'static Vtable,
        spawned_at: &'static Location<'static>,
        rare: Option<Box<Rare>>,
    ) -> TaskRef {
        let cells = event_loop.cells();
        // SAFETY: the loop has them as long as it lives.
        let block = unsafe { cells.as_ref() }.take(vtable.size).cast::<Self>();
        let header = Header::new(Link::new(entry), vtable, spawned_at, rare);
        let place = UnsafeCell::new(Place { content: ManuallyDrop::new(content) });
        // SAFETY: the block is ours, large enough and aligned.
        unsafe { block.write(Self { header, place, result: PhantomData }) };
        // SAFETY: the header is there until the last owner lets go.
        unsafe { TaskRef::new(block.cast()) }
    }
}

impl<F: FnOnce() -> R, R, K: Kept<R>> Whole<F, R, K> {
    const FUNCTION: Vtable = Vtable {
        size: Size::of(Self::LAYOUT),
        run: Run::Function(Self::run),
        fail: Self::fail,
        take_result: Self::take_result,
        drop_result: Self::drop_result,
    };

    /// # Safety
    ///
    /// As of `place`; the function is there.
    unsafe fn take_function(task: TaskRef) -> F {
        // SAFETY: by the obligation.
        let place = unsafe { Self::place(task) };
        // SAFETY: by the obligation.
        unsafe { ManuallyDrop::take(&mut place.content) }
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
}

impl<F: Future<Output = R>, R, K: Kept<R>> Whole<F, R, K> {
    const FUTURE: Vtable = Vtable {
        size: Size::of(Self::LAYOUT),
        run: Run::Future(Self::poll),
        fail: Self::fail_future,
        take_result: Self::take_result,
        drop_result: Self::drop_result,
    };

    unsafe fn poll(task: TaskRef) -> bool {
        let result = if task.is(Flags::CANCELLED) {
            Err(Box::new(region::cancelled(task)) as _)
        } else {
            // SAFETY: the future is there, and the only one that polls it is the loop.
            let place = unsafe { Self::place(task) };
            // SAFETY: the future is there, and its block stays where it is until it has been dropped, below.
            let future = unsafe { Pin::new_unchecked(&mut *place.content) };
            match poll_once(task, future) {
                Ok(Poll::Pending) => return false,
                Ok(Poll::Ready(output)) => catch_unwind(AssertUnwindSafe(|| K::keep(output))),
                Err(panic) => Err(panic),
            }
        };
        // SAFETY: the future is there, and is not used again.
        unsafe { Self::end_future(task, result) };
        true
    }

    unsafe fn fail_future(task: TaskRef, payload: Box<dyn Any + Send>) {
        // SAFETY: the future is there, and is not used again.
        unsafe { Self::end_future(task, Err(payload)) };
    }

    /// Drops the future, and puts the result into its place. If dropping it panics, that is the result.
    ///
    /// # Safety
    ///
    /// As of `place`; the future is there.
    unsafe fn end_future(task: TaskRef, result: thread::Result<K>) {
        // SAFETY: by the obligation.
        let place = unsafe { Self::place(task) };
        // SAFETY: by the obligation. It is dropped where it is pinned.
        let dropped = catch_unwind(AssertUnwindSafe(|| unsafe { ManuallyDrop::drop(&mut place.content) }));
        let result = match dropped {
            Ok(()) => result,
            Err(panic) => {
                discard(result);
                Err(panic)
            }
        };
        // SAFETY: the future has been dropped.
        unsafe { Self::put_result(task, result) };
    }
}

/// Polls a task's future once. If it is not ready, the task waits until it is woken, or is in the queue again.
fn poll_once<F: Future>(task: TaskRef, future: Pin<&mut F>) -> thread::Result<Poll<F::Output>> {
    let event_loop = event_loop::current().expect("invariant: a loop polls its tasks");
    let mut poller = Poller::of_future(event_loop, task);
    let polled = catch_unwind(AssertUnwindSafe(|| poller.with_context(|context| future.poll(context))));
    if let Ok(Poll::Pending) = polled {
        if poller.may_wait(task) && !task.is(Flags::CANCELLED) {
            task.state.set(State::Waiting(Wait::Future));
        } else {
            event_loop.make_ready(task);
        }
        poller.rest(task);
    }
    polled
}

/// Whether a task has ended by a panic, and not by its cancellation.
pub(crate) fn has_panicked<T>(result: &thread::Result<T>) -> bool {
    result.as_ref().is_err_and(|panic| !panic.is::<Cancelled>())
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
        let vtable = const { &Whole::<F, R, AsItIs<R>>::FUNCTION };
        Whole::<F, R, AsItIs<R>>::make(event_loop, function, vtable, spawned_at, rare)
    } else {
        let vtable = const { &Whole::<Box<F>, R, Box<R>>::FUNCTION };
        Whole::<Box<F>, R, Box<R>>::make(event_loop, Box::new(function), vtable, spawned_at, rare)
    }
}

/// Makes a task of a future; otherwise as [`make`].
///
/// # Safety
///
/// As of `make`.
pub(crate) unsafe fn make_future<F: Future>(
    event_loop: &Loop,
    future: F,
    spawned_at: &'static Location<'static>,
    rare: Option<Box<Rare>>,
) -> TaskRef {
    if const { Whole::<F, F::Output, AsItIs<F::Output>>::FITS } {
        let vtable = const { &Whole::<F, F::Output, AsItIs<F::Output>>::FUTURE };
        Whole::<F, F::Output, AsItIs<F::Output>>::make(event_loop, future, vtable, spawned_at, rare)
    } else {
        let vtable = const { &Whole::<Pin<Box<F>>, F::Output, Box<F::Output>>::FUTURE };
        Whole::<Pin<Box<F>>, F::Output, Box<F::Output>>::make(event_loop, Box::pin(future), vtable, spawned_at, rare)
    }
}
