//! Owns the stackful body: a function on a stack of its own, stepped by switching to it.

use crate::exchange::{Exchange, Link, Rare};
use crate::stack::{MOST_ROOM, Place, Stack};
use crate::yielder::Yielder;
use kettle_gen::body::{Body, BodyStep};
use kettle_gen::{Error, Input, State};
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::ptr::NonNull;
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
    fiber: ManuallyDrop<Fiber<R>>,
    exchange: NonNull<Exchange<Y, S>>,
    place: Place,
    leaked: bool,
    unwindless: Unwindless,
}

type Fiber<R> = corosensei::Coroutine<(), (), Result<R, Error>, Stack>;

/// How much of a body may lie on its stack from the start.
const MOST_CAPTURED: usize = 512;

/// # Safety
///
/// As of `FiberBody::new`; the exchange lives until the body ends.
unsafe fn fiber<Y, S, R, F>(stack: Stack, exchange: NonNull<Exchange<Y, S>>, body: F) -> Fiber<R>
where
    F: FnOnce(&mut Yielder<Y, S>) -> Result<R, Error>,
{
    let entry = move |body: F, link: &Link| {
        // SAFETY: by the obligation.
        let exchange = unsafe { exchange.as_ref() };
        exchange.start(link);
        // SAFETY: it is this coroutine's, and this is its body.
        body(unsafe { Yielder::of(exchange) })
    };
    // The switch's own start-up writes what is captured to the stack without looking where that ends.
    if const { size_of::<F>() > MOST_CAPTURED || align_of::<F>() > 16 } {
        let body = Box::new(body);
        // SAFETY: by the obligation.
        unsafe { Fiber::with_stack_unchecked(stack, move |link, ()| entry(*body, link)) }
    } else {
        // SAFETY: by the obligation.
        unsafe { Fiber::with_stack_unchecked(stack, move |link, ()| entry(body, link)) }
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
        mut stack: Stack,
        body: impl FnOnce(&mut Yielder<Y, S>) -> Result<R, Error>,
        unwindless: Unwindless,
    ) -> Self {
        let room =
            if Self::ON_STACK { stack.make_room() } else { Box::into_raw(Box::<Exchange<Y, S>>::new_uninit()).cast() };
        let exchange = NonNull::new(room).expect("invariant: a stack does not lie at address 0");
        let place = stack.place();
        // SAFETY: the room is empty, large enough and aligned.
        unsafe { exchange.write(Exchange::new(place)) };
        // SAFETY: the obligation is passed on; `drop` lets go of the exchange after the body.
        let fiber = unsafe { fiber(stack, exchange, body) };
        Self { fiber: ManuallyDrop::new(fiber), exchange, place, leaked: false, unwindless }
    }

    /// Whether the exchange fits where it belongs.
    const ON_STACK: bool = size_of::<Exchange<Y, S>>() <= MOST_ROOM && align_of::<Exchange<Y, S>>() <= 16;

    #[inline(always)]
    fn exchange(&self) -> &Exchange<Y, S> {
        // SAFETY: it lives until `drop`, and is only ever shared.
        unsafe { self.exchange.as_ref() }
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
    fn switch(&mut self, input: Input<S>) -> Option<Result<R, Error>> {
        self.exchange().bring(input);
        match self.fiber.resume(()) {
            corosensei::CoroutineResult::Return(result) => Some(result),
            corosensei::CoroutineResult::Yield(()) => None,
        }
    }

    /// The same as [`step`](Body::step), the short way for what happens most: a value.
    ///
    /// What happens now and then is put together and told apart again once more, which costs as much as a switch.
    #[inline(always)]
    pub(crate) fn step_to_value(mut self: Pin<&mut Self>, input: Input<S>) -> Result<Y, BodyStep<Y, S, R>> {
        let ended = self.switch(input);
        if ended.is_none()
            && let Some(value) = self.exchange().value()
        {
            return Ok(value);
        }
        Err(self.not_a_value(ended))
    }

    #[cold]
    #[inline(never)]
    fn not_a_value(self: Pin<&mut Self>, ended: Option<Result<R, Error>>) -> BodyStep<Y, S, R> {
        match ended {
            Some(Ok(value)) => BodyStep::Returned(value),
            Some(Err(error)) => BodyStep::Raised(error, None),
            None => self.rare(),
        }
    }

    #[cold]
    fn rare(mut self: Pin<&mut Self>) -> BodyStep<Y, S, R> {
        match self.exchange().rare().expect("invariant: a body that pauses says why") {
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
    fn step(self: Pin<&mut Self>, input: Input<S>, _: Option<&Waker>) -> BodyStep<Y, S, R> {
        self.step_to_value(input).map_or_else(|step| step, BodyStep::Yielded)
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
        self.exchange().catches()
    }

    fn finish(mut self: Pin<&mut Self>) {
        if cfg!(panic = "abort") && self.state() == State::Suspended {
            self.give_up();
        } else {
            let fiber = Reset(&mut self.fiber);
            fiber.0.force_unwind();
        }
    }
}

/// A panic of a destructor, while a function that was not started is dropped, leaves nothing to drop again.
struct Reset<'a, R>(&'a mut Fiber<R>);

impl<R> Drop for Reset<'_, R> {
    fn drop(&mut self) {
        // SAFETY: unwinding has ended the function, or dropping what it was to have has panicked, which is no less.
        unsafe { self.0.force_reset() };
    }
}

impl<Y, S, R> Drop for FiberBody<Y, S, R> {
    fn drop(&mut self) {
        let body = Release(self);
        if body.0.state() != State::Finished {
            Pin::new(&mut *body.0).finish();
        }
    }
}

/// Lets go of the exchange and the stack, also if finishing the body panics.
struct Release<'a, Y, S, R>(&'a mut FiberBody<Y, S, R>);

impl<Y, S, R> Drop for Release<'_, Y, S, R> {
    fn drop(&mut self) {
        if self.0.leaked {
            return;
        }
        if FiberBody::<Y, S, R>::ON_STACK {
            // SAFETY: the body has ended, and the stack is still there.
            unsafe { self.0.exchange.drop_in_place() };
        } else {
            // SAFETY: the body has ended; made by a box.
            drop(unsafe { Box::from_raw(self.0.exchange.as_ptr()) });
        }
        // SAFETY: not used again.
        unsafe { ManuallyDrop::drop(&mut self.0.fiber) };
    }
}
