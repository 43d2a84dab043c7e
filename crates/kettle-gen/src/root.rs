//! Owns what the protocol's words mean for a body that somebody resumes: each kind of generator says them through here.
//!
//! A root is a body with the chain of those it delegates to. Functions, not a type, because a root is pinned in one
//! generator, in a box in another and behind a pointer in a third.

use crate::body::{Body, BodyStep};
use crate::chain::Chain;
use crate::error::{Error, SendError};
use crate::step::{Input, State, Step};
use core::pin::Pin;

/// [`Generator::resume`](crate::Generator::resume).
#[inline(always)]
pub fn resume<Y, S, R>(body: Pin<&mut impl Body<Y, S, R>>, chain: &mut Chain<Y, S>) -> Result<Step<Y, R>, Error> {
    match body.state() {
        State::Finished => Err(Error::finished()),
        _ => answer(chain.drive(body, Input::Next, None)).map_err(SendError::into_error),
    }
}

/// [`Generator::send`](crate::Generator::send).
#[inline(always)]
pub fn send<Y, S, R>(
    body: Pin<&mut impl Body<Y, S, R>>,
    chain: &mut Chain<Y, S>,
    value: S,
) -> Result<Step<Y, R>, SendError<S>> {
    match body.state() {
        State::Finished => Err(SendError::new(Error::finished(), Some(value))),
        State::Created => Err(SendError::new(Error::not_started(), Some(value))),
        _ => answer(chain.drive(body, Input::Send(value), None)),
    }
}

/// [`Generator::throw`](crate::Generator::throw).
pub fn throw<Y, S, R>(
    body: Pin<&mut impl Body<Y, S, R>>,
    chain: &mut Chain<Y, S>,
    error: Error,
) -> Result<Step<Y, R>, Error> {
    match body.state() {
        State::Finished => Err(error),
        State::Created => {
            body.finish();
            Err(error.raised())
        }
        _ => answer(chain.drive(body, Input::Throw(error), None)).map_err(SendError::into_error),
    }
}

/// [`Generator::close`](crate::Generator::close).
pub fn close<Y, S, R>(body: Pin<&mut impl Body<Y, S, R>>, chain: &mut Chain<Y, S>) -> Result<Option<R>, Error> {
    match body.state() {
        State::Finished => return Ok(None),
        State::Created => {
            body.finish();
            return Ok(None);
        }
        _ => {}
    }
    match answer(chain.drive(body, Input::Throw(Error::exit()), None)).map_err(SendError::into_error) {
        Ok(Step::Yielded(_)) => Err(Error::ignored_exit()),
        Ok(Step::Returned(value)) => Ok(Some(value)),
        Err(error) if error.is_exit() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What follows a first step of a root's body that a kind of generator took by itself.
pub fn go_on<Y, S, R>(
    body: Pin<&mut impl Body<Y, S, R>>,
    chain: &mut Chain<Y, S>,
    step: BodyStep<Y, S, R>,
) -> Result<Step<Y, R>, SendError<S>> {
    match step {
        BodyStep::Delegated(frame) => {
            chain.push(frame);
            answer(chain.drive(body, Input::Next, None))
        }
        step => answer(step),
    }
}

/// How a step of a root ended, as its resumer sees it.
#[inline(always)]
pub(crate) fn answer<Y, S, R>(step: BodyStep<Y, S, R>) -> Result<Step<Y, R>, SendError<S>> {
    match step {
        BodyStep::Yielded(value) => Ok(Step::Yielded(value)),
        BodyStep::Returned(value) => Ok(Step::Returned(value)),
        BodyStep::Raised(error, value) => Err(SendError::new(error, value)),
        BodyStep::Waiting(value) => Err(SendError::new(Error::waiting(), value)),
        BodyStep::Delegated(_) => unreachable!("a root steps its delegates itself"),
    }
}
