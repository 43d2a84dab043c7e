//! Owns the stackful body: a function on a stack of its own, stepped by switching to it.
//!
//! The unsafe code of this module is that of switching: what lies on the stack, and that a body borrows.

use crate::exchange::{Brings, Exchange, Pause, Rare};
use crate::link::{Link, StackPointer};
use crate::stack::{MOST_ROOM, Stack};
use crate::switch;
use crate::yielder::Yielder;
use kettle_gen::body::{Body, BodyStep};
use kettle_gen::{Error, Input, State};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::Waker;
use std::thread;

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
    stack_pointer: StackPointer,
    exchange: NonNull<Exchange<Y, S>>,
    pause: Pause,
    unwindless: Unwindless,
    stack: ManuallyDrop<Stack>,
    result: PhantomData<fn() -> R>,
}

/// How a function ended: what it returned or raised, or a panic.
type Ended<R> = thread::Result<Result<R, Error>>;

/// How much of a function may lie on its stack from the start.
const MOST_CAPTURED: usize = 512;

/// A body's first function.
///
/// # Safety
///
/// Called by the switch: `link` is that of an `Exchange<Y, S>` that lives until the body has ended, and at `top` lies an
/// `F`, which is taken.
unsafe extern "C" fn entry<Y, S, R, F>(word: usize, link: *const Link, top: *mut ()) -> !
where
    F: FnOnce(&mut Yielder<Y, S>) -> Result<R, Error>,
{
    // SAFETY: by the obligation.
    unsafe { switch::begin(link) };
    // SAFETY: by the obligation.
    let exchange = unsafe { Exchange::<Y, S>::of_link(link) };
    // SAFETY: by the obligation.
    let body = unsafe { top.cast::<F>().read() };
    let run = || {
        if Brings::of(word) == Brings::UNWIND {
            drop(body);
            return Err(Error::exit());
        }
        // SAFETY: it is this coroutine's, and this is its body.
        body(unsafe { Yielder::of(exchange) })
    };
    let result: ManuallyDrop<Ended<R>> = ManuallyDrop::new(catch_unwind(AssertUnwindSafe(run)));
    // SAFETY: this is the first function, and all that it had is in the result.
    unsafe { Exchange::<Y, S>::end(link.cast(), &raw const result) }
}

impl<Y, S, R> FiberBody<Y, S, R> {
    /// A body that owns all it uses.
    #[inline]
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
    #[inline]
    pub(crate) unsafe fn borrowing(stack: Stack, body: impl FnOnce(&mut Yielder<Y, S>) -> Result<R, Error>) -> Self {
        // SAFETY: the obligation is passed on.
        unsafe { Self::new(stack, body, Unwindless::Abort) }
    }

    /// # Safety
    ///
    /// What `body` borrows outlives the result; for ever, if that can be forgotten.
    #[inline]
    unsafe fn new<F>(stack: Stack, body: F, unwindless: Unwindless) -> Self
    where
        F: FnOnce(&mut Yielder<Y, S>) -> Result<R, Error>,
    {
        // What is captured is written to the stack without looking where that ends.
        if const { size_of::<F>() > MOST_CAPTURED || align_of::<F>() > 16 } {
            let body = Box::new(body);
            // SAFETY: the obligation is passed on.
            unsafe { Self::start(stack, move |y: &mut Yielder<Y, S>| body(y), unwindless) }
        } else {
            // SAFETY: the obligation is passed on.
            unsafe { Self::start(stack, body, unwindless) }
        }
    }

    /// # Safety
    ///
    /// As of `new`, and `F` is no larger and no more aligned than it allows.
    #[inline]
    unsafe fn start<F>(stack: Stack, body: F, unwindless: Unwindless) -> Self
    where
        F: FnOnce(&mut Yielder<Y, S>) -> Result<R, Error>,
    {
        let top = if Self::ON_STACK { (stack.top() - size_of::<Exchange<Y, S>>()) & !63 } else { stack.top() };
        let exchange =
            if Self::ON_STACK { stack.at(top) } else { Box::into_raw(Box::<Exchange<Y, S>>::new_uninit()).cast() };
        let exchange = NonNull::new(exchange).expect("invariant: a stack does not lie at address 0");
        // SAFETY: there is room for it: on the stack, of which nothing is used yet, or in a box.
        unsafe { exchange.write(Exchange::new(entry::<Y, S, R, F>, stack.place())) };
        // SAFETY: the exchange is there until the body has ended; then nothing runs on the stack any more.
        unsafe { stack.lead_back_by(Link::resumer_of(exchange.as_ptr().cast())) };
        let captured = stack.at::<F>((top - size_of::<F>()) & !15);
        // SAFETY: `new` has looked at size and alignment; nothing else is there.
        unsafe { captured.write(body) };
        // SAFETY: the same; the rest of the stack is unused.
        let stack_pointer = unsafe { switch::prepare(captured.cast()) };
        let stack = ManuallyDrop::new(stack);
        Self { stack_pointer, exchange, pause: Pause::CREATED, unwindless, stack, result: PhantomData }
    }

    /// Whether the exchange fits where it belongs.
    const ON_STACK: bool = size_of::<Exchange<Y, S>>() <= MOST_ROOM && align_of::<Exchange<Y, S>>() <= 64;

    #[inline(always)]
    fn exchange(&self) -> &Exchange<Y, S> {
        // SAFETY: it lives until `drop`, and is only ever shared.
        unsafe { self.exchange.as_ref() }
    }

    pub(crate) fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Whether it waits at a plain yield, or has not started: what most resumes find. It does not delegate then.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        self.pause <= Pause::VALUE
    }

    /// Switches to the function, and back when it pauses or ends.
    #[inline(always)]
    fn switch(&mut self, brings: Brings) -> Pause {
        // SAFETY: 1. kept here since. 2. The exchange lives until `drop`; callers look that the function has not ended.
        // 3. A body is not `Send`.
        let (word, stack_pointer) =
            unsafe { switch::resume(self.stack_pointer, self.exchange().link(), brings.word()) };
        self.stack_pointer = stack_pointer;
        self.pause = Pause::of(word);
        self.pause
    }

    /// Resumes the function, the short way for what happens most: it hands out a value. Otherwise
    /// [`rest`](Self::rest) says what it did.
    #[inline(always)]
    pub(crate) fn step_to_value(&mut self, input: Input<S>) -> Option<Y> {
        let brings = self.exchange().bring(input);
        let pause = self.switch_for(brings);
        if pause == Pause::VALUE {
            // SAFETY: it has just paused with one.
            return Some(unsafe { self.exchange().take_value() });
        }
        None
    }

    /// The same, and lets the function know if the resumer is unwinding.
    #[inline(always)]
    fn switch_for(&mut self, brings: Brings) -> Pause {
        if thread::panicking() { self.switch_in_panic(brings) } else { self.switch(brings) }
    }

    #[cold]
    #[inline(never)]
    fn switch_in_panic(&mut self, brings: Brings) -> Pause {
        self.exchange().set_in_panic(true);
        let pause = self.switch(brings);
        self.exchange().set_in_panic(false);
        pause
    }

    /// What a step has come to that was not to a plain value.
    #[cold]
    #[inline]
    pub(crate) fn rest(&mut self) -> BodyStep<Y, S, R> {
        match self.pause {
            // SAFETY: it has just paused with one.
            Pause::VALUE | Pause::VALUE_CATCHES => BodyStep::Yielded(unsafe { self.exchange().take_value() }),
            // SAFETY: it has just ended.
            Pause::ENDED => match unsafe { self.take_result() } {
                Ok(Ok(value)) => BodyStep::Returned(value),
                Ok(Err(error)) => BodyStep::Raised(error, None),
                Err(panic) => resume_unwind(panic),
            },
            _ => match self.exchange().take_rare().expect("invariant: a body that pauses says why") {
                Rare::Delegated(frame) => BodyStep::Delegated(frame),
                Rare::Raised(error) => {
                    Pin::new(&mut *self).finish();
                    let (error, value) = error.into_parts();
                    BodyStep::Raised(error, value)
                }
            },
        }
    }

    /// # Safety
    ///
    /// The function has ended, and this is asked once.
    unsafe fn take_result(&self) -> Ended<R> {
        // SAFETY: by the obligation `entry` has left one there, on a stack that is still this body's.
        unsafe { self.exchange().ended().cast::<Ended<R>>().read() }
    }

    /// Unwinds the function. One that catches that is unwound again from its next yield, and what it hands out meanwhile is
    /// dropped. (While the thread is panicking a yield pauses only if the payload of what was caught has been dropped.)
    fn unwind(&mut self) {
        // Should a value panic when it is dropped, the rest is unwound by this guard.
        struct Rest<'a, Y, S, R>(&'a mut FiberBody<Y, S, R>);
        impl<Y, S, R> Drop for Rest<'_, Y, S, R> {
            fn drop(&mut self) {
                if self.0.pause != Pause::ENDED {
                    self.0.unwind();
                }
            }
        }
        let rest = Rest(self);
        while rest.0.pause != Pause::ENDED {
            match rest.0.switch_for(Brings::UNWIND) {
                Pause::ENDED => {}
                // SAFETY: it has just paused with one.
                Pause::VALUE | Pause::VALUE_CATCHES => drop(unsafe { rest.0.exchange().take_value() }),
                _ => drop(rest.0.exchange().take_rare()),
            }
        }
        let unwinding = rest.0.exchange().take_unwinding();
        // SAFETY: it has just ended.
        match unsafe { rest.0.take_result() } {
            Err(panic) if !unwinding.has(&*panic) => resume_unwind(panic),
            result => drop(result),
        }
    }

    /// Where panics abort a suspended function can't be unwound.
    fn give_up(&mut self) {
        if self.unwindless == Unwindless::Abort {
            panic!("drop a suspended coroutine that borrows: it can't be unwound where panics abort");
        }
        // The stack is never used again, for `drop` leaves it alone, and what lies on it borrows nothing.
        self.pause = Pause::LEFT;
    }
}

// SAFETY: finishing unwinds the function, which drops all that it holds.
unsafe impl<Y, S, R> Body<Y, S, R> for FiberBody<Y, S, R> {
    fn step(mut self: Pin<&mut Self>, input: Input<S>, _: Option<&Waker>) -> BodyStep<Y, S, R> {
        match self.step_to_value(input) {
            Some(value) => BodyStep::Yielded(value),
            None => self.rest(),
        }
    }

    #[inline(always)]
    fn state(&self) -> State {
        match self.pause {
            Pause::CREATED => State::Created,
            Pause::ENDED | Pause::LEFT => State::Finished,
            _ => State::Suspended,
        }
    }

    #[inline(always)]
    fn catches(&self) -> bool {
        self.pause.catches()
    }

    fn finish(mut self: Pin<&mut Self>) {
        match self.state() {
            State::Finished => {}
            State::Suspended if cfg!(panic = "abort") => self.give_up(),
            _ => self.unwind(),
        }
    }
}

impl<Y, S, R> Drop for FiberBody<Y, S, R> {
    #[inline]
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
    #[inline]
    fn drop(&mut self) {
        if self.0.pause == Pause::LEFT {
            return;
        }
        // All that passed through the exchange has been taken: each side takes what the other one hands over at once.
        if !FiberBody::<Y, S, R>::ON_STACK {
            // SAFETY: the body has ended; made by a box.
            drop(unsafe { Box::from_raw(self.0.exchange.as_ptr()) });
        }
        // SAFETY: not used again.
        unsafe { ManuallyDrop::drop(&mut self.0.stack) };
    }
}
