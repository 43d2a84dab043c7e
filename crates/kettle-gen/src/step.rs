//! Owns the two words of a conversation: what a resume brings in ([`Input`]) and what it answers ([`Step`]), and the
//! [`State`] in between.

use crate::error::Error;
use core::fmt;

/// What a resumed generator answers: a value and a pause, or its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step<Y, R> {
    /// The body yielded and waits to be resumed.
    Yielded(Y),
    /// The body returned (Python: `StopIteration.value`). Said once; later calls answer that it has finished.
    Returned(R),
}

impl<Y, R> Step<Y, R> {
    /// The yielded value, if this is one.
    pub fn yielded(self) -> Option<Y> {
        match self {
            Step::Yielded(value) => Some(value),
            Step::Returned(_) => None,
        }
    }

    /// The returned value, if this is one.
    pub fn returned(self) -> Option<R> {
        match self {
            Step::Yielded(_) => None,
            Step::Returned(value) => Some(value),
        }
    }
}

/// Where a generator stands (Python: `inspect.getgeneratorstate`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Made, and nothing of its body has run.
    Created,
    /// Paused at a yield.
    Suspended,
    /// Being resumed at this moment, itself or through a delegate.
    Running,
    /// Ended: by returning, by an error, by a panic, or because it was closed.
    Finished,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Created => "created",
            State::Suspended => "suspended",
            State::Running => "running",
            State::Finished => "finished",
        })
    }
}

/// What a resume brings to the yield that the body waits at.
#[derive(Debug)]
pub enum Input<S> {
    /// Nothing: go on.
    Next,
    /// A value.
    Send(S),
    /// An error to raise there; [`Error::exit`] asks the body to end.
    Throw(Error),
}

impl<S> Input<S> {
    /// Whether this asks the body to end.
    pub fn is_exit(&self) -> bool {
        matches!(self, Input::Throw(error) if error.is_exit())
    }
}
