//! Owns the stackless body: a state machine that the compiler makes of an async closure.
//!
//! A generator that nobody has pinned may be moved, and so its state machine must be in a box before it first runs;
//! one that is pinned runs where it is. One constructor serves both: `Phase` says where the state machine is.
//!
//! The unsafe code of this module is about that place: a union whose tag is the phase, and pinning.

use crate::delegate::{Body, BodyStep, Chain, Delegate};
use crate::error::{BoxError, Error, SendError};
use crate::exchange::Exchange;
use crate::generator::Generator;
use crate::root;
use crate::step::{Input, State, Step};
use crate::yielder::Yielder;
use alloc::boxed::Box;
use core::fmt;
use core::future::{Future, poll_fn};
use core::iter::FusedIterator;
use core::marker::{PhantomData, PhantomPinned};
use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::task::{Poll, Waker};

/// Makes a generator of an async closure. Its `y` is the [`Yielder`]: `y.yield_(value).await` is Python's `yield value`.
///
/// Nothing runs until it is resumed. As it is, it can be moved, returned and stored; its body goes into a box when it is
/// first resumed (one allocation). Pinned in place it allocates nothing, and the optimiser sees through it:
///
/// ```
/// use kettle_gen::generator;
/// use std::pin::pin;
///
/// fn lazy_range(up_to: u64) -> impl Iterator<Item = u64> {
///     generator(async move |y| {
///         let mut index = 0;
///         while index < up_to {
///             y.yield_(index).await;
///             index += 1;
///         }
///     })
/// }
/// assert_eq!(lazy_range(5).sum::<u64>(), 10);
///
/// let words = String::from("no copy is made");
/// let lengths = pin!(generator(async |y| {
///     for word in words.split(' ') {
///         y.yield_(word.len()).await;
///     }
/// }));
/// assert_eq!(lengths.collect::<Vec<_>>(), [2, 4, 2, 4]);
/// ```
///
/// It is an `Iterator` if it is sent nothing (`S` is `()`); [`iter`](Generator::iter) iterates over any. A body that
/// awaits other futures makes an async generator, a `Stream` (feature `stream`).
///
/// # Panics
///
/// Its `Iterator` panics if an error passes through the body, out of a `yield_from`: an infallible body has no room for
/// it. Handle it by `try_yield_from`, or use [`try_generator`].
pub fn generator<Y, S, R>(
    body: impl AsyncFnOnce(&mut Yielder<Y, S>) -> R,
) -> Stackless<Y, S, impl Future<Output = Returns<R>>> {
    Stackless::new(async move {
        let mut yielder = Yielder::new();
        start(&mut yielder).await;
        Returns(body(&mut yielder).await)
    })
}

/// Makes a generator of an async closure that can fail: an `Err` is raised like an exception, and reaches whoever
/// resumed the generator or a `try_yield_from` on the way. Any error can be raised by `?`, this crate's [`Error`] too.
///
/// Its `Iterator` gives `Result<Y, Error>` and ends after the first error.
///
/// ```
/// use kettle_gen::{Error, Generator, Step, try_generator};
///
/// let mut numbers = try_generator(async |y| {
///     for word in "1 2 x 4".split(' ') {
///         y.yield_(word.parse::<i32>()?).await;
///     }
///     Ok(())
/// });
/// assert_eq!(numbers.next().unwrap()?, 1);
/// assert_eq!(numbers.resume()?, Step::Yielded(2));
/// let error = numbers.next().unwrap().unwrap_err();
/// assert!(error.downcast_ref::<std::num::ParseIntError>().is_some());
/// assert!(numbers.next().is_none());
/// # Ok::<(), Error>(())
/// ```
pub fn try_generator<Y, S, R>(
    body: impl AsyncFnOnce(&mut Yielder<Y, S>) -> Result<R, BoxError>,
) -> Stackless<Y, S, impl Future<Output = Raises<R>>> {
    Stackless::new(async move {
        let mut yielder = Yielder::new();
        start(&mut yielder).await;
        Raises(body(&mut yielder).await.map_err(Error::new))
    })
}

/// The first thing a body does: naming its yielder to its exchange.
#[inline(always)]
fn start<Y, S>(yielder: &mut Yielder<Y, S>) -> impl Future<Output = ()> {
    let address = yielder.address();
    poll_fn(move |context| {
        // SAFETY: only `StacklessBody::step` polls the two futures above, with an exchange of their types; the yielder
        // is theirs, and they hold it until they end.
        unsafe { Exchange::<Y, S>::own(context, address) };
        Poll::Ready(())
    })
}

/// How a body ends: the output of its future.
pub trait Ending {
    /// What the generator returns.
    type Return;
    /// What its `Iterator` gives.
    type Item<Y>;

    #[doc(hidden)]
    fn end(self) -> Result<Self::Return, Error>;
    #[doc(hidden)]
    fn item<Y>(result: Result<Y, Error>) -> Self::Item<Y>;
}

/// The ending of a body that can't fail.
#[derive(Debug)]
pub struct Returns<R>(R);

impl<R> Ending for Returns<R> {
    type Return = R;
    type Item<Y> = Y;

    #[inline(always)]
    fn end(self) -> Result<R, Error> {
        Ok(self.0)
    }

    #[inline(always)]
    fn item<Y>(result: Result<Y, Error>) -> Y {
        result.unwrap_or_else(|error| panic!("iterate over a generator through which an error passed: {error}"))
    }
}

/// The ending of a body that can fail.
#[derive(Debug)]
pub struct Raises<R>(Result<R, Error>);

impl<R> Ending for Raises<R> {
    type Return = R;
    type Item<Y> = Result<Y, Error>;

    #[inline(always)]
    fn end(self) -> Result<R, Error> {
        self.0
    }

    #[inline(always)]
    fn item<Y>(result: Result<Y, Error>) -> Result<Y, Error> {
        result
    }
}

/// A stackless generator; made by [`generator`] and [`try_generator`].
pub struct Stackless<Y, S, F: Future<Output: Ending>> {
    body: StacklessBody<Y, S, F>,
    chain: Chain<Y, S>,
}

// SAFETY: the future may be sent, and all that it delegates to is part of its type where it delegates. The chain's
// frames are parts of those, shared with nobody else.
unsafe impl<Y, S, F: Future<Output: Ending> + Send> Send for Stackless<Y, S, F> {}

/// The state machine, and where it is.
pub(crate) struct StacklessBody<Y, S, F: Future> {
    phase: Phase,
    catches: bool,
    owner: usize,
    place: Union<F>,
    types: PhantomData<fn(S) -> Y>,
    _pinned: PhantomPinned,
}

/// The tag of [`Union`], and the state.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Here and never polled, so it may be moved.
    Created,
    /// Here and pinned.
    Here,
    /// In a box.
    Boxed,
    /// Gone.
    Finished,
}

union Union<F> {
    here: ManuallyDrop<F>,
    boxed: ManuallyDrop<Pin<Box<F>>>,
}

impl<Y, S, F: Future<Output: Ending>> Stackless<Y, S, F> {
    #[inline(always)]
    fn new(future: F) -> Self {
        Self {
            body: StacklessBody {
                phase: Phase::Created,
                catches: false,
                owner: 0,
                place: Union { here: ManuallyDrop::new(future) },
                types: PhantomData,
                _pinned: PhantomPinned,
            },
            chain: Chain::new(),
        }
    }

    /// The two halves of a generator that may be moved.
    #[inline(always)]
    fn movable(&mut self) -> (Pin<&mut StacklessBody<Y, S, F>>, &mut Chain<Y, S>) {
        self.body.make_movable();
        // SAFETY: what must not move is in a box now.
        (unsafe { Pin::new_unchecked(&mut self.body) }, &mut self.chain)
    }

    /// The two halves of a generator that is pinned.
    #[inline(always)]
    pub(crate) fn pinned(self: Pin<&mut Self>) -> (Pin<&mut StacklessBody<Y, S, F>>, &mut Chain<Y, S>) {
        // SAFETY: the body is not moved out of `self` below, and the chain is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: it is pinned because `self` is.
        (unsafe { Pin::new_unchecked(&mut this.body) }, &mut this.chain)
    }
}

impl<Y, S, F: Future> StacklessBody<Y, S, F> {
    #[inline(always)]
    fn make_movable(&mut self) {
        if self.phase == Phase::Created {
            // SAFETY: created, so it is here.
            let future = unsafe { ManuallyDrop::take(&mut self.place.here) };
            // Should the allocation fail by unwinding, the future is dropped by that and must not be again.
            self.phase = Phase::Finished;
            self.place.boxed = ManuallyDrop::new(Box::pin(future));
            self.phase = Phase::Boxed;
            self.owner = 0;
        }
    }

    #[inline(always)]
    fn future(&mut self) -> Pin<&mut F> {
        match self.phase {
            Phase::Boxed => {
                // SAFETY: the tag says so.
                let future = unsafe { &mut self.place.boxed };
                future.as_mut()
            }
            Phase::Created | Phase::Here => {
                // SAFETY: the tag says so.
                let future = unsafe { &mut self.place.here };
                // SAFETY: only `step` calls this, on a pinned body; the future is dropped where it is.
                unsafe { Pin::new_unchecked(&mut **future) }
            }
            Phase::Finished => unreachable!("a finished body is not stepped"),
        }
    }

    /// Drops the state machine, once.
    #[inline(always)]
    fn drop_future(&mut self) {
        match core::mem::replace(&mut self.phase, Phase::Finished) {
            // SAFETY: the tag said so, and the tag is gone.
            Phase::Boxed => unsafe { ManuallyDrop::drop(&mut self.place.boxed) },
            // SAFETY: the tag said so, and the tag is gone.
            Phase::Created | Phase::Here => unsafe { ManuallyDrop::drop(&mut self.place.here) },
            Phase::Finished => {}
        }
    }
}

impl<Y, S, F: Future<Output: Ending>> Body<Y, S, <F::Output as Ending>::Return> for StacklessBody<Y, S, F> {
    #[inline(always)]
    fn step(
        self: Pin<&mut Self>,
        input: Input<S>,
        waker: Option<&Waker>,
    ) -> BodyStep<Y, S, <F::Output as Ending>::Return> {
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        let guard = FinishOnPanic(this);
        let body = &mut *guard.0;
        let (poll, left) = Exchange::poll(body.owner, input, waker, body.future());
        if body.phase == Phase::Created {
            body.phase = Phase::Here;
        }
        body.owner = left.owner;
        body.catches = left.catches;
        core::mem::forget(guard);
        match poll {
            Poll::Ready(ending) => {
                this.drop_future();
                match ending.end() {
                    Ok(value) => BodyStep::Returned(value),
                    Err(error) => BodyStep::Raised(error, None),
                }
            }
            Poll::Pending => {
                if let Some(value) = left.value {
                    return BodyStep::Yielded(value);
                }
                if let Some(frame) = left.delegate.filter(|frame| !frame.is_finalised()) {
                    return BodyStep::Delegated(frame);
                }
                if let Some(error) = left.raised {
                    this.drop_future();
                    let (error, value) = error.into_parts();
                    return BodyStep::Raised(error, value);
                }
                BodyStep::Waiting
            }
        }
    }

    #[inline(always)]
    fn state(&self) -> State {
        match self.phase {
            Phase::Created => State::Created,
            Phase::Here | Phase::Boxed if self.owner == 0 => State::Created,
            Phase::Here | Phase::Boxed => State::Suspended,
            Phase::Finished => State::Finished,
        }
    }

    #[inline(always)]
    fn catches(&self) -> bool {
        self.catches
    }

    #[inline(always)]
    fn finish(self: Pin<&mut Self>) {
        // SAFETY: nothing is moved out of it.
        unsafe { self.get_unchecked_mut() }.drop_future();
    }
}

struct FinishOnPanic<'a, Y, S, F: Future>(&'a mut StacklessBody<Y, S, F>);

impl<Y, S, F: Future> Drop for FinishOnPanic<'_, Y, S, F> {
    fn drop(&mut self) {
        self.0.drop_future();
    }
}

impl<Y, S, F: Future> Drop for StacklessBody<Y, S, F> {
    #[inline(always)]
    fn drop(&mut self) {
        self.drop_future();
    }
}

impl<Y, S, F: Future<Output: Ending>> Drop for Stackless<Y, S, F> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: it is not moved any more.
        let body = unsafe { Pin::new_unchecked(&mut self.body) };
        self.chain.finalise(body);
    }
}

impl<Y, S, F: Future<Output: Ending>> Generator for Stackless<Y, S, F> {
    type Yield = Y;
    type Send = S;
    type Return = <F::Output as Ending>::Return;

    #[inline(always)]
    fn resume(&mut self) -> Result<Step<Y, Self::Return>, Error> {
        let (body, chain) = self.movable();
        root::resume(body, chain)
    }

    #[inline(always)]
    fn send(&mut self, value: S) -> Result<Step<Y, Self::Return>, SendError<S>> {
        let (body, chain) = self.movable();
        root::send(body, chain, value)
    }

    fn throw(&mut self, error: Error) -> Result<Step<Y, Self::Return>, Error> {
        let (body, chain) = self.movable();
        root::throw(body, chain, error)
    }

    fn close(&mut self) -> Result<Option<Self::Return>, Error> {
        let (body, chain) = self.movable();
        root::close(body, chain)
    }

    fn state(&self) -> State {
        self.body.state()
    }

    fn into_delegate<'a>(self) -> Delegate<'a, Y, S, Self::Return>
    where
        Self: 'a,
    {
        let mut this = ManuallyDrop::new(self);
        let chain = core::mem::take(&mut this.chain);
        // SAFETY: `this` is not dropped, so the body has one owner. It may be moved: it was not pinned.
        let body = unsafe { core::ptr::read(&this.body) };
        Delegate::new(body, chain)
    }
}

impl<Y, S, F: Future<Output: Ending>> Generator for Pin<&mut Stackless<Y, S, F>> {
    type Yield = Y;
    type Send = S;
    type Return = <F::Output as Ending>::Return;

    #[inline(always)]
    fn resume(&mut self) -> Result<Step<Y, Self::Return>, Error> {
        let (body, chain) = self.as_mut().pinned();
        root::resume(body, chain)
    }

    #[inline(always)]
    fn send(&mut self, value: S) -> Result<Step<Y, Self::Return>, SendError<S>> {
        let (body, chain) = self.as_mut().pinned();
        root::send(body, chain, value)
    }

    fn throw(&mut self, error: Error) -> Result<Step<Y, Self::Return>, Error> {
        let (body, chain) = self.as_mut().pinned();
        root::throw(body, chain, error)
    }

    fn close(&mut self) -> Result<Option<Self::Return>, Error> {
        let (body, chain) = self.as_mut().pinned();
        root::close(body, chain)
    }

    fn state(&self) -> State {
        self.body.state()
    }
}

impl<Y, F: Future<Output: Ending>> Iterator for Stackless<Y, (), F> {
    type Item = <F::Output as Ending>::Item<Y>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let (body, chain) = self.movable();
        item::<Y, F>(body, chain)
    }
}

impl<Y, F: Future<Output: Ending>> Iterator for Pin<&mut Stackless<Y, (), F>> {
    type Item = <F::Output as Ending>::Item<Y>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let (body, chain) = self.as_mut().pinned();
        item::<Y, F>(body, chain)
    }
}

/// What an iterator gives for the next step.
#[inline(always)]
fn item<Y, F: Future<Output: Ending>>(
    body: Pin<&mut StacklessBody<Y, (), F>>,
    chain: &mut Chain<Y, ()>,
) -> Option<<F::Output as Ending>::Item<Y>> {
    if body.state() == State::Finished {
        return None;
    }
    let result = match chain.drive(body, Input::Next, None) {
        BodyStep::Yielded(value) => Ok(value),
        BodyStep::Returned(_) => return None,
        BodyStep::Raised(error, _) => Err(error),
        BodyStep::Waiting => Err(Error::waiting()),
        BodyStep::Delegated(_) => unreachable!("a root steps its delegates itself"),
    };
    Some(<F::Output as Ending>::item(result))
}

impl<Y, F: Future<Output: Ending>> FusedIterator for Stackless<Y, (), F> {}

impl<Y, F: Future<Output: Ending>> FusedIterator for Pin<&mut Stackless<Y, (), F>> {}

impl<Y, S, F: Future<Output: Ending>> fmt::Debug for Stackless<Y, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stackless").field("state", &self.body.state()).finish_non_exhaustive()
    }
}
