//! Owns the async generator (PEP 525): a stackless body that also awaits other futures, polled as a `Stream`.

use crate::body::{Body, BodyStep};
use crate::ending::Ending;
use crate::stackless::Stackless;
use crate::state_machine::PinnedLate;
use crate::step::{Input, State};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures_core::{FusedStream, Stream};

/// A body that awaits: each value is an item, and while the body waits for a future, so does whoever polls the stream.
///
/// Where [`Generator`](crate::Generator)'s words are used meanwhile, they answer [`is_waiting`](crate::Error::is_waiting).
/// Cancellation: dropping the stream drops the body where it waits.
impl<Y, F: Future, E: Ending<F::Output>, T> Stream for Stackless<'_, Y, (), F, E, T> {
    type Item = E::Item<Y>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (body, chain) = self.pinned();
        let body = PinnedLate::new(body);
        if body.state() == State::Finished {
            return Poll::Ready(None);
        }
        let result = match chain.drive(body, Input::Next, Some(context.waker())) {
            BodyStep::Yielded(value) => Ok(value),
            BodyStep::Returned(_) => return Poll::Ready(None),
            BodyStep::Raised(error, _) => Err(error),
            BodyStep::Waiting(_) => return Poll::Pending,
            BodyStep::Delegated(_) => unreachable!("a root steps its delegates itself"),
        };
        Poll::Ready(Some(E::item(result)))
    }
}

impl<Y, F: Future, E: Ending<F::Output>, T> FusedStream for Stackless<'_, Y, (), F, E, T> {
    fn is_terminated(&self) -> bool {
        crate::Generator::state(self) == State::Finished
    }
}
