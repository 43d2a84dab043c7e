//! Owns the scoped coroutine: one that borrows, and so must be gone when its scope ends.
//!
//! The coroutine lies in the frame of the function that makes it. What the user gets is a reference in a wrapper, which
//! can be forgotten or swapped to no effect: the owner is dropped when the scope ends, however it ends.

use crate::coroutine::Coroutine;
use kettle_gen::{Error, Generator, SendError, State, Step};
use std::fmt;
use std::iter::FusedIterator;

/// A coroutine that borrows from its surroundings, for as long as its scope lasts; see [`scoped`](crate::scoped()).
pub struct Scoped<'s, Y, S = (), R = ()> {
    coroutine: &'s mut Coroutine<Y, S, R>,
}

impl<'s, Y, S, R> Scoped<'s, Y, S, R> {
    pub(crate) fn new(coroutine: &'s mut Coroutine<Y, S, R>) -> Self {
        Self { coroutine }
    }

    /// The most bytes that have been in use on its stack; see [`Coroutine::stack_used`].
    pub fn stack_used(&self) -> usize {
        self.coroutine.stack_used()
    }
}

impl<Y, S, R> Generator for Scoped<'_, Y, S, R> {
    type Yield = Y;
    type Send = S;
    type Return = R;

    #[inline]
    fn resume(&mut self) -> Result<Step<Y, R>, Error> {
        self.coroutine.resume()
    }

    #[inline]
    fn send(&mut self, value: S) -> Result<Step<Y, R>, SendError<S>> {
        self.coroutine.send(value)
    }

    fn throw(&mut self, error: Error) -> Result<Step<Y, R>, Error> {
        self.coroutine.throw(error)
    }

    fn close(&mut self) -> Result<Option<R>, Error> {
        self.coroutine.close()
    }

    fn state(&self) -> State {
        self.coroutine.state()
    }
}

/// As of [`Coroutine`].
impl<Y, R> Iterator for Scoped<'_, Y, (), R> {
    type Item = Y;

    #[inline]
    fn next(&mut self) -> Option<Y> {
        self.coroutine.next()
    }
}

impl<Y, R> FusedIterator for Scoped<'_, Y, (), R> {}

impl<Y, S, R> fmt::Debug for Scoped<'_, Y, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scoped").field(&self.coroutine).finish()
    }
}
