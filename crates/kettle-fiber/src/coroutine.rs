//! Owns the owned coroutine: a stackful generator that can be stored, returned and moved.

use crate::body::FiberBody;
use kettle_gen::body::Body;
use kettle_gen::chain::Chain;
use kettle_gen::{Error, Generator, Input, SendError, State, Step, Taken, root};
use std::fmt;
use std::iter::FusedIterator;
use std::mem::ManuallyDrop;
use std::pin::Pin;

/// A generator with a stack of its own; made by [`coroutine`](crate::coroutine()), [`try_coroutine`](crate::try_coroutine)
/// and [`Builder`](crate::Builder).
///
/// Its body is `'static`: it owns what it uses, so that forgetting the coroutine leaks a stack and nothing else
/// (SAFETY.md, S1). One that borrows lives in [`scoped`](crate::scoped()). It stays on its thread.
///
/// Dropping it closes it, and unwinds its stack as a panic does: destructors run, innermost first, and a `std` lock that is
/// held there is poisoned. So do `close`, and `throw` at a plain word. In a build where panics abort, a suspended one
/// can't be unwound; its stack is leaked. What one has captured that was never started is dropped on its own
/// stack as well.
///
/// # Panics
///
/// A panic of the body passes through the call that resumed it. A destructor on the stack of a suspended one that panics
/// while it is closed or dropped aborts the process, as one does during any panic: that is how a stack is unwound. A body
/// that catches its unwinding, and yields on for ever, can't be dropped.
pub struct Coroutine<Y, S = (), R = ()> {
    body: FiberBody<Y, S, R>,
    chain: Chain<Y, S>,
}

impl<Y, S, R> Coroutine<Y, S, R> {
    pub(crate) fn new(body: FiberBody<Y, S, R>) -> Self {
        Self { body, chain: Chain::new() }
    }

    /// The name that [`Builder::name`](crate::Builder::name) gave it.
    pub fn name(&self) -> Option<&str> {
        self.body.stack().name()
    }

    /// The size of its stack in bytes, guard page included.
    pub fn stack_size(&self) -> usize {
        self.body.stack().size()
    }

    /// The most bytes that have been in use on its stack, in whole pages; one system call.
    ///
    /// Stacks are used again. This counts what earlier coroutines used as well, back to when the stack was new or its
    /// memory was last given back; [`pool::keep(0)`](crate::pool::keep) makes that happen each time.
    pub fn stack_used(&self) -> usize {
        self.body.stack().used()
    }

    /// What follows a step that was not to a plain value.
    #[cold]
    #[inline(never)]
    fn go_on(&mut self) -> Result<Step<Y, R>, SendError<S>> {
        let step = self.body.rest();
        let (body, chain) = self.halves();
        root::go_on(body, chain, step)
    }

    #[inline(always)]
    fn halves(&mut self) -> (Pin<&mut FiberBody<Y, S, R>>, &mut Chain<Y, S>) {
        (Pin::new(&mut self.body), &mut self.chain)
    }
}

impl<Y, S, R> Drop for Coroutine<Y, S, R> {
    #[inline]
    fn drop(&mut self) {
        if self.body.state() != State::Finished {
            let (body, chain) = self.halves();
            chain.finalise(body);
        }
    }
}

impl<Y, S, R> Generator for Coroutine<Y, S, R> {
    type Yield = Y;
    type Send = S;
    type Return = R;

    #[inline(always)]
    fn resume(&mut self) -> Result<Step<Y, R>, Error> {
        if self.body.is_plain() {
            match self.body.step_to_value(Input::Next) {
                Some(value) => Ok(Step::Yielded(value)),
                None => self.go_on().map_err(SendError::into_error),
            }
        } else {
            let (body, chain) = self.halves();
            root::resume(body, chain)
        }
    }

    #[inline(always)]
    fn send(&mut self, value: S) -> Result<Step<Y, R>, SendError<S>> {
        if self.body.is_plain() && self.body.state() != State::Created {
            match self.body.step_to_value(Input::Send(value)) {
                Some(value) => Ok(Step::Yielded(value)),
                None => self.go_on(),
            }
        } else {
            let (body, chain) = self.halves();
            root::send(body, chain, value)
        }
    }

    fn throw(&mut self, error: Error) -> Result<Step<Y, R>, Error> {
        let (body, chain) = self.halves();
        root::throw(body, chain, error)
    }

    fn close(&mut self) -> Result<Option<R>, Error> {
        let (body, chain) = self.halves();
        root::close(body, chain)
    }

    fn state(&self) -> State {
        self.body.state()
    }

    fn into_delegate<'a>(self) -> Taken<'a, Self>
    where
        Self: 'a,
    {
        let mut this = ManuallyDrop::new(self);
        let chain = std::mem::take(&mut this.chain);
        // SAFETY: `this` is not dropped, so the body has one owner; it is `Unpin`.
        let body = unsafe { std::ptr::read(&this.body) };
        // SAFETY: they are what this coroutine was made of.
        unsafe { Taken::new(body, chain) }
    }
}

/// Gives what it yields, and leaves out what it returns.
///
/// # Panics
///
/// `next` panics if the body raised an error, for which it has no room; [`Generator::try_iter`] has.
impl<Y, R> Iterator for Coroutine<Y, (), R> {
    type Item = Y;

    #[inline(always)]
    fn next(&mut self) -> Option<Y> {
        match self.resume() {
            Ok(Step::Yielded(value)) => Some(value),
            Ok(Step::Returned(_)) => None,
            Err(error) => no_value(error),
        }
    }
}

#[cold]
fn no_value<Y>(error: Error) -> Option<Y> {
    assert!(error.is_finished(), "iterate over a coroutine that raised an error: {error}");
    None
}

impl<Y, R> FusedIterator for Coroutine<Y, (), R> {}

impl<Y, S, R> fmt::Debug for Coroutine<Y, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coroutine")
            .field("name", &self.name())
            .field("state", &self.state())
            .field("stack_size", &self.stack_size())
            .finish_non_exhaustive()
    }
}
