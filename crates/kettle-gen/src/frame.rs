//! Owns the frame: a generator that is delegated to, as the chain of the outermost one sees it.

use crate::error::Error;
use crate::step::Input;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::fmt;
use core::task::Waker;

/// One generator that is delegated to, as it stands in a chain.
pub struct Frame<Y, S>(pub(crate) Rc<dyn Link<Y, S>>);

impl<Y, S> Frame<Y, S> {
    /// Whether its delegator has given it up before anybody stepped it.
    pub fn is_finalised(&self) -> bool {
        self.0.is_finalised()
    }
}

impl<Y, S> fmt::Debug for Frame<Y, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").finish_non_exhaustive()
    }
}

/// Boxed, so that a chain is one word that moves. Once there, kept for the next delegation.
pub(crate) type Frames<Y, S> = Box<Vec<Frame<Y, S>>>;

/// How a step of a [`Frame`] ended. A result or an error is in its joint.
pub(crate) enum FrameStep<Y, S> {
    Yielded(Y),
    Returned,
    Raised(Option<S>),
    Delegated(Frame<Y, S>),
    Waiting(Option<S>),
}

/// A joint as the chain sees it: the result's type is known to the delegator alone.
///
/// What happens most, a resume with nothing that gives a value, has a way of its own: passed as it is, a value stays in
/// registers. All the rest is passed as one enum, through memory.
pub(crate) trait Link<Y, S> {
    fn step(&self, input: Input<S>, waker: Option<&Waker>) -> FrameStep<Y, S>;
    fn next(&self, waker: Option<&Waker>, rest: &mut Option<FrameStep<Y, S>>) -> Option<Y>;
    fn take_error(&self) -> Option<Error>;
    fn take_chain(&self) -> Option<Frames<Y, S>>;
    fn give_chain(&self, frames: Frames<Y, S>);
    fn close_unheard(&self);
    fn finish(&self);
    fn finalise(&self);
    fn is_finalised(&self) -> bool;
}
