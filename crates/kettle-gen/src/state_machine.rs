//! Owns the stackless body: the state machine that the compiler makes of an async closure, and where it is.
//!
//! A generator that nobody has pinned may be moved, and so its state machine must be in a box before it first runs; one
//! that is pinned runs where it is. `boxed` says which, and is the tag of the union. Three views of one layout say what is
//! known of it when it is stepped: [`StacklessBody`] itself is pinned and here, [`Movable`] goes into a box,
//! [`PinnedLate`] may be in either place.
//!
//! The unsafe code of this module is about that place: the union, and pinning.

use crate::body::{Body, BodyStep};
use crate::ending::Ending;
use crate::exchange::Exchange;
use crate::step::{Input, State};
use alloc::boxed::Box;
use core::cell::UnsafeCell;
use core::future::Future;
use core::marker::{PhantomData, PhantomPinned};
use core::mem::{self, ManuallyDrop};
use core::pin::Pin;
use core::ptr;
use core::task::{Poll, Waker};

/// The state machine, and where it is.
pub(crate) struct StacklessBody<Y, S, F: Future, E> {
    phase: Phase,
    /// Whether the state machine is in a box. A flag of its own: where it is never set, the optimiser sees that.
    boxed: bool,
    catches: bool,
    owner: *const (),
    /// A state machine may refer to itself. So a reference to this says nothing of what is in there: to ask a body where
    /// it stands must not count as reading what such a reference is to have for itself.
    place: UnsafeCell<Union<F>>,
    types: PhantomData<(fn(S) -> Y, fn() -> E)>,
    _pinned: PhantomPinned,
}

/// Where a body stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Never polled.
    Created,
    /// Polled, and so pinned.
    Suspended,
    /// Being polled, or left by a panic: then what it still holds is dropped with it.
    Polled,
    /// Gone: nothing is in its place.
    Finished,
}

/// The tag is `boxed`.
union Union<F> {
    here: ManuallyDrop<F>,
    boxed: ManuallyDrop<Pin<Box<F>>>,
}

impl<Y, S, F: Future, E> StacklessBody<Y, S, F, E> {
    /// A state machine that has not started, of the generator with a number.
    #[inline(always)]
    pub(crate) fn new(owner: *const (), future: F) -> Self {
        Self {
            phase: Phase::Created,
            boxed: false,
            catches: false,
            owner,
            place: UnsafeCell::new(Union { here: ManuallyDrop::new(future) }),
            types: PhantomData,
            _pinned: PhantomPinned,
        }
    }
}

impl<Y, S, F: Future, E> StacklessBody<Y, S, F, E> {
    /// Puts a state machine that may be moved into a box, and finds it there.
    #[inline(always)]
    fn movable(&mut self) -> *mut F {
        if !self.boxed {
            // SAFETY: the tag says so.
            let here = unsafe { &mut self.place.get_mut().here };
            // SAFETY: not pinned, for only `Movable` asks; not finished, for whoever steps has looked. Its place is
            // given to the box.
            let future = unsafe { ManuallyDrop::take(here) };
            // Should the allocation fail by unwinding, the future is dropped by that and must not be again.
            self.phase = Phase::Finished;
            self.place.get_mut().boxed = ManuallyDrop::new(Box::pin(future));
            self.boxed = true;
            self.phase = Phase::Created;
        }
        // SAFETY: the tag says so.
        self.in_box()
    }

    /// The same where that is rare.
    #[cold]
    #[inline(never)]
    fn in_box_after_all(&mut self) -> *mut F {
        self.in_box()
    }

    #[inline(always)]
    fn in_box(&mut self) -> *mut F {
        // SAFETY: the tag says so.
        let future = unsafe { &mut self.place.get_mut().boxed };
        // SAFETY: nothing is moved out of it.
        unsafe { future.as_mut().get_unchecked_mut() }
    }

    /// Finds the state machine of a body that is pinned, and was never moved after it had started.
    #[inline(always)]
    fn here(&mut self) -> *mut F {
        if self.boxed {
            pinned_late();
        }
        // SAFETY: the tag says so.
        unsafe { &mut *self.place.get_mut().here }
    }

    /// Drops the state machine, once.
    #[inline(always)]
    fn drop_future(&mut self) {
        if mem::replace(&mut self.phase, Phase::Finished) == Phase::Finished {
            return;
        }
        if self.boxed {
            // SAFETY: the tag says so.
            let boxed = unsafe { &mut self.place.get_mut().boxed };
            // SAFETY: the phase says from now on that it is gone.
            unsafe { ManuallyDrop::drop(boxed) }
        } else {
            // SAFETY: the tag says so.
            let here = unsafe { &mut self.place.get_mut().here };
            // SAFETY: the phase says from now on that it is gone.
            unsafe { ManuallyDrop::drop(here) }
        }
    }
}

impl<Y, S, F: Future, E: Ending<F::Output>> StacklessBody<Y, S, F, E> {
    /// Polls the state machine.
    ///
    /// # Safety
    ///
    /// 1. `future` is where it is.
    /// 2. It stays there: it is in a box, or the body is pinned.
    #[inline(always)]
    unsafe fn step_at(&mut self, future: *mut F, input: Input<S>, waker: Option<&Waker>) -> BodyStep<Y, S, E::Return> {
        let exchange = Exchange::new(self.owner, input, waker);
        // This is what a panic leaves. What the body still holds is for whoever drops the generator.
        self.phase = Phase::Polled;
        // SAFETY: by obligation 1.
        let future = unsafe { &mut *future };
        // SAFETY: by obligation 2, and it is dropped where it is.
        let poll = exchange.poll(unsafe { Pin::new_unchecked(future) });
        self.phase = Phase::Suspended;
        if let Poll::Ready(output) = poll {
            self.drop_future();
            exchange.leave();
            return match E::end(output) {
                Ok(value) => BodyStep::Returned(value),
                Err(error) => BodyStep::Raised(error, None),
            };
        }
        if E::MAY_CATCH {
            self.catches = exchange.catches();
        }
        if let Some(value) = exchange.take_value() {
            exchange.leave();
            return BodyStep::Yielded(value);
        }
        if let Some(error) = exchange.take_raised() {
            self.drop_future();
            exchange.leave();
            let (error, value) = error.into_parts();
            return BodyStep::Raised(error.raised(), value);
        }
        if let Some(frame) = exchange.take_frame()
            && !frame.is_finalised()
        {
            exchange.leave();
            return BodyStep::Delegated(frame);
        }
        // Where nothing was handed out nobody waits to see errors.
        self.catches = false;
        let untaken = exchange.untaken();
        exchange.leave();
        match untaken {
            Some(Input::Throw(error)) => {
                self.drop_future();
                BodyStep::Raised(error.raised(), None)
            }
            Some(Input::Send(value)) => BodyStep::Waiting(Some(value)),
            Some(Input::Next) | None => BodyStep::Waiting(None),
        }
    }

    #[inline(always)]
    fn state(&self) -> State {
        match self.phase {
            Phase::Created => State::Created,
            Phase::Suspended => State::Suspended,
            Phase::Polled | Phase::Finished => State::Finished,
        }
    }
}

/// A body that is pinned where it is.
// There is no looking for a box: a choice between two places would keep the state machine in memory.
// SAFETY: finishing drops the state machine; nothing else is held.
unsafe impl<Y, S, F: Future, E: Ending<F::Output>> Body<Y, S, E::Return> for StacklessBody<Y, S, F, E> {
    const MAY_CATCH: bool = E::MAY_CATCH;

    #[inline(always)]
    fn step(self: Pin<&mut Self>, input: Input<S>, waker: Option<&Waker>) -> BodyStep<Y, S, E::Return> {
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        let future = this.here();
        // SAFETY: 1. found there. 2. It was pinned above.
        unsafe { this.step_at(future, input, waker) }
    }

    #[inline(always)]
    fn state(&self) -> State {
        self.state()
    }

    #[inline(always)]
    fn catches(&self) -> bool {
        self.catches
    }

    #[inline(always)]
    fn finish(self: Pin<&mut Self>) {
        // SAFETY: nothing is moved out of it.
        unsafe { self.get_unchecked_mut() }.drop_future();
    }
}

#[cold]
#[inline(never)]
fn pinned_late() -> ! {
    panic!("resume through a pin a generator that was resumed without one: pin it before its first resume, or never")
}

/// A body that is pinned, in a joint or a stream, and may have been resumed before that: then it is in a box.
#[repr(transparent)]
pub(crate) struct PinnedLate<Y, S, F: Future, E>(pub(crate) StacklessBody<Y, S, F, E>);

impl<Y, S, F: Future, E> PinnedLate<Y, S, F, E> {
    /// A pinned body, as one that may have been pinned late.
    #[inline(always)]
    pub(crate) fn new(body: Pin<&mut StacklessBody<Y, S, F, E>>) -> Pin<&mut Self> {
        // SAFETY: nothing is moved out of it.
        let body = ptr::from_mut(unsafe { body.get_unchecked_mut() });
        // SAFETY: it has the same layout, and is borrowed as long.
        let this = unsafe { &mut *body.cast::<Self>() };
        // SAFETY: what it is made of is pinned.
        unsafe { Pin::new_unchecked(this) }
    }
}

// SAFETY: as of the body.
unsafe impl<Y, S, F: Future, E: Ending<F::Output>> Body<Y, S, E::Return> for PinnedLate<Y, S, F, E> {
    const MAY_CATCH: bool = E::MAY_CATCH;

    #[inline(always)]
    fn step(self: Pin<&mut Self>, input: Input<S>, waker: Option<&Waker>) -> BodyStep<Y, S, E::Return> {
        // SAFETY: nothing is moved out of it.
        let body = unsafe { &mut self.get_unchecked_mut().0 };
        let future = if body.boxed { body.in_box_after_all() } else { body.here() };
        // SAFETY: 1. found there. 2. It was pinned above, or is in a box.
        unsafe { body.step_at(future, input, waker) }
    }

    #[inline(always)]
    fn state(&self) -> State {
        self.0.state()
    }

    #[inline(always)]
    fn catches(&self) -> bool {
        self.0.catches
    }

    #[inline(always)]
    fn finish(self: Pin<&mut Self>) {
        // SAFETY: nothing is moved out of it.
        unsafe { self.get_unchecked_mut() }.0.drop_future();
    }
}

/// A body that may be moved: it goes into a box when it is first stepped.
#[repr(transparent)]
pub(crate) struct Movable<Y, S, F: Future, E>(StacklessBody<Y, S, F, E>);

impl<Y, S, F: Future, E> Movable<Y, S, F, E> {
    /// A body that was not pinned. Pinning it now binds nobody: what must not move is in the box.
    #[inline(always)]
    pub(crate) fn new(body: &mut StacklessBody<Y, S, F, E>) -> Pin<&mut Self> {
        // SAFETY: it has the same layout, and is borrowed as long.
        let this = unsafe { &mut *ptr::from_mut(body).cast::<Self>() };
        // SAFETY: nothing here relies on it.
        unsafe { Pin::new_unchecked(this) }
    }
}

// SAFETY: as of the body.
unsafe impl<Y, S, F: Future, E: Ending<F::Output>> Body<Y, S, E::Return> for Movable<Y, S, F, E> {
    const MAY_CATCH: bool = E::MAY_CATCH;

    #[inline(always)]
    fn step(self: Pin<&mut Self>, input: Input<S>, waker: Option<&Waker>) -> BodyStep<Y, S, E::Return> {
        // SAFETY: it is not pinned but in name.
        let body = unsafe { &mut self.get_unchecked_mut().0 };
        let future = body.movable();
        // SAFETY: 1. found there. 2. It is in a box.
        unsafe { body.step_at(future, input, waker) }
    }

    #[inline(always)]
    fn state(&self) -> State {
        self.0.state()
    }

    #[inline(always)]
    fn catches(&self) -> bool {
        self.0.catches
    }

    #[inline(always)]
    fn finish(self: Pin<&mut Self>) {
        // SAFETY: it is not pinned but in name.
        unsafe { self.get_unchecked_mut() }.0.drop_future();
    }
}
