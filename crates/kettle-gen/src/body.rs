//! Owns what a generator is made of: a [`Body`], a function that can pause.
//!
//! Only those who write new kinds of bodies need this module.

use crate::error::Error;
use crate::frame::Frame;
use crate::step::{Input, State};
use core::fmt;
use core::pin::Pin;
use core::task::Waker;

/// A function that can pause: what [`Generator`](crate::Generator)s are made of.
///
/// It says what a pause is; what a generator's words mean is said once, for all bodies, by the roots.
///
/// # Safety
///
/// After [`finish`](Self::finish), and when it has finished by itself, the body holds nothing that borrows and drops
/// nothing that does.
pub unsafe trait Body<Y, S, R> {
    /// Whether bodies of this kind have code that sees errors, and so code to run when they are dropped.
    const MAY_CATCH: bool = true;

    /// Runs to the next pause.
    ///
    /// The body must not be finished: callers ask [`state`](Self::state) first. One that is created takes
    /// [`Input::Next`] only. `waker` is there if somebody can wait for a future that the body awaits.
    fn step(self: Pin<&mut Self>, input: Input<S>, waker: Option<&Waker>) -> BodyStep<Y, S, R>;

    /// Where the body stands, never [`State::Running`].
    fn state(&self) -> State;

    /// Whether the yield that the body waits at wants to see errors. Where it doesn't, raising one is
    /// [`finish`](Self::finish).
    fn catches(&self) -> bool;

    /// Whether the body has code to run before it is dropped.
    fn wants_close(&self) -> bool {
        self.state() == State::Suspended && self.catches()
    }

    /// Drops the function and what it holds, running no more of its code than its destructors.
    fn finish(self: Pin<&mut Self>);
}

/// How a step of a [`Body`] ended.
pub enum BodyStep<Y, S, R> {
    /// It yielded.
    Yielded(Y),
    /// It returned and has finished.
    Returned(R),
    /// An error left it ([`Error::raised`]), and it has finished; or it could not be stepped, gives the reason, and is
    /// what it was: [`state`](Body::state) tells. The value is the one that it was sent and would not take.
    Raised(Error, Option<S>),
    /// It waits for the end of this generator.
    Delegated(Frame<Y, S>),
    /// It awaits a future of somebody else. The value is the one that it was sent and has not taken.
    Waiting(Option<S>),
}

impl<Y, S, R> fmt::Debug for BodyStep<Y, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BodyStep::Yielded(_) => "Yielded",
            BodyStep::Returned(_) => "Returned",
            BodyStep::Raised(..) => "Raised",
            BodyStep::Delegated(_) => "Delegated",
            BodyStep::Waiting(_) => "Waiting",
        })
    }
}

/// Steps a body, or finishes it where it has no code that could see the error.
#[inline(always)]
pub(crate) fn step<Y, S, R, B: Body<Y, S, R>>(
    body: Pin<&mut B>,
    input: Input<S>,
    waker: Option<&Waker>,
) -> BodyStep<Y, S, R> {
    match input {
        Input::Throw(error) if !B::MAY_CATCH || !body.catches() => {
            body.finish();
            BodyStep::Raised(error.raised(), None)
        }
        input => body.step(input, waker),
    }
}
