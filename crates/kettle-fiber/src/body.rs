//! Owns the stackful body: a function on a stack of its own, stepped by switching to it.

use crate::exchange::{Exchange, Rare};
use crate::stack::{Place, Stack};
use crate::yielder::{Control, Link, Yielder};
use kettle_gen::delegate::{Body, BodyStep};
use kettle_gen::{Error, Input, State};
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::ptr;
use std::task::Waker;

/// What becomes of a suspended function that has to go and can't be unwound, because panics abort in this build.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unwindless {
    /// Its stack is never used again: all that it holds is its own.
    Leak,
    /// The process ends: it may hold what others wait for.
    Abort,
}

/// A function that can pause, on its own stack.
pub(crate) struct FiberBody<Y, S, R> {
    fiber: ManuallyDrop<Fiber<Y, S, R>>,
    place: Place,
    catches: bool,
    leaked: bool,
    unwindless: Unwindless,
}

type Fiber<Y, S, R> = corosensei::Coroutine<*const Exchange<Y, S>, (), Result<R, Error>, Stack>;

/// How much of a body may lie on its stack from the start.
const MOST_CAPTURED: usize = 512;

/// # Safety
///
/// As of `FiberBody::new`.
unsafe fn fiber<Y, S, R, F>(stack: Stack, body: F) -> Fiber<Y, S, R>
where
    F: FnOnce(&mut Yielder<Y, S>) -> Result<R, Error>,
{
    let entry = |body: F, link: &Link<Y, S>, exchange| {
        // SAFETY: 1. The link is this coroutine's, and a body can't keep its yielder. 2. Only `step` resumes.
        let control = unsafe { Control::new(link, exchange) };
        // SAFETY: the body's only one.
        body(unsafe { control.yielder() })
    };
    // The switch's own start-up writes what is captured to the stack without looking where that ends.
    if const { size_of::<F>() > MOST_CAPTURED || align_of::<F>() > 16 } {
        let body = Box::new(body);
        // SAFETY: by the obligation.
        unsafe { Fiber::with_stack_unchecked(stack, move |link, exchange| entry(*body, link, exchange)) }
    } else {
        // SAFETY: by the obligation.
        unsafe { Fiber::with_stack_unchecked(stack, move |link, exchange| entry(body, link, exchange)) }
    }
}

impl<Y, S, R> FiberBody<Y, S, R> {
    /// A body that owns all it uses.
    pub(crate) fn owned(stack: Stack, body: impl FnOnce(&mut Yielder<Y, S>) -> Result<R, Error> + 'static) -> Self
    where
        Y: 'static,
        S: 'static,
        R: 'static,
    {
        // SAFETY: the function borrows nothing that could go.
        unsafe { Self::new(stack, body, Unwindless::Leak) }
    }

    /// A body that borrows.
    ///
    /// # Safety
    ///
    /// The result is dropped before what `body` borrows goes, whatever the program does.
    pub(crate) unsafe fn borrowing(stack: Stack, body: impl FnOnce(&mut Yielder<Y, S>) -> Result<R, Error>) -> Self {
        // SAFETY: the obligation is passed on.
        unsafe { Self::new(stack, body, Unwindless::Abort) }
    }

    /// # Safety
    ///
    /// What `body` borrows outlives the result; for ever, if that can be forgotten.
    unsafe fn new(
        stack: Stack,
        body: impl FnOnce(&mut Yielder<Y, S>) -> Result<R, Error>,
        unwindless: Unwindless,
    ) -> Self {
        let place = stack.place();
        // SAFETY: the obligation is passed on.
        let fiber = unsafe { fiber(stack, body) };
        Self { fiber: ManuallyDrop::new(fiber), place, catches: false, leaked: false, unwindless }
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    pub(crate) fn name(&self) -> Option<&str> {
        // SAFETY: the fiber has the stack for as long as `self` lives.
        unsafe { self.place.name() }
    }

    /// Switches to the function, and back when it pauses or ends; gives how it ended.
    #[inline(always)]
    fn switch(&mut self, exchange: &Exchange<Y, S>) -> Option<Result<R, Error>> {
        match self.fiber.resume(ptr::from_ref(exchange)) {
            corosensei::CoroutineResult::Return(result) => Some(result),
            corosensei::CoroutineResult::Yield(()) => {
                self.catches = exchange.catches();
                None
            }
        }
    }

    /// The same as [`step`](Body::step), the short way for what happens most: a value.
    ///
    /// What happens now and then is put together and told apart again once more, which costs as much as a switch.
    #[inline(always)]
    pub(crate) fn step_to_value(mut self: Pin<&mut Self>, input: Input<S>) -> Result<Y, BodyStep<Y, S, R>> {
        let exchange = Exchange::new(input);
        let ended = self.switch(&exchange);
        if ended.is_none()
            && let Some(value) = exchange.value()
        {
            return Ok(value);
        }
        Err(self.not_a_value(ended, &exchange))
    }

    #[cold]
    #[inline(never)]
    fn not_a_value(
        self: Pin<&mut Self>,
        ended: Option<Result<R, Error>>,
        exchange: &Exchange<Y, S>,
    ) -> BodyStep<Y, S, R> {
        match ended {
            Some(Ok(value)) => BodyStep::Returned(value),
            Some(Err(error)) => BodyStep::Raised(error, None),
            None => self.rare(exchange),
        }
    }

    #[cold]
    fn rare(mut self: Pin<&mut Self>, exchange: &Exchange<Y, S>) -> BodyStep<Y, S, R> {
        match exchange.rare().expect("invariant: a body that pauses says why") {
            Rare::Delegated(frame) => BodyStep::Delegated(frame),
            Rare::Raised(error) => {
                self.as_mut().finish();
                let (error, value) = error.into_parts();
                BodyStep::Raised(error, value)
            }
        }
    }

    /// Where panics abort a suspended function can't be unwound.
    fn give_up(&mut self) {
        if self.unwindless == Unwindless::Abort {
            eprintln!("drop a suspended coroutine that borrows: it can't be unwound where panics abort");
            std::process::abort();
        }
        self.leaked = true;
        // SAFETY: the stack is never used again, for `drop` leaves it alone, and what lies on it borrows nothing.
        unsafe { self.fiber.force_reset() };
    }
}

// SAFETY: finishing unwinds the function, which drops all that it holds.
unsafe impl<Y, S, R> Body<Y, S, R> for FiberBody<Y, S, R> {
    fn step(mut self: Pin<&mut Self>, input: Input<S>, _: Option<&Waker>) -> BodyStep<Y, S, R> {
        let exchange = Exchange::new(input);
        match self.switch(&exchange) {
            Some(Ok(value)) => BodyStep::Returned(value),
            Some(Err(error)) => BodyStep::Raised(error, None),
            None => match exchange.value() {
                Some(value) => BodyStep::Yielded(value),
                None => self.rare(&exchange),
            },
        }
    }

    #[inline(always)]
    fn state(&self) -> State {
        if self.fiber.done() {
            State::Finished
        } else if self.fiber.started() {
            State::Suspended
        } else {
            State::Created
        }
    }

    #[inline(always)]
    fn catches(&self) -> bool {
        self.catches
    }

    fn finish(mut self: Pin<&mut Self>) {
        if cfg!(panic = "abort") && self.state() == State::Suspended {
            self.give_up();
        } else {
            self.fiber.force_unwind();
        }
    }
}

impl<Y, S, R> Drop for FiberBody<Y, S, R> {
    fn drop(&mut self) {
        if self.state() == State::Suspended {
            Pin::new(&mut *self).finish();
        }
        if !self.leaked {
            // SAFETY: not used again.
            unsafe { ManuallyDrop::drop(&mut self.fiber) };
        }
    }
}
