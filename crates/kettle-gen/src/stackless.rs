//! Owns the stackless body: a state machine that the compiler makes of an async closure.
//!
//! A generator that nobody has pinned may be moved, and so its state machine must be in a box before it first runs;
//! one that is pinned runs where it is. One constructor serves both: `Phase` says where the state machine is.
//!
//! The unsafe code of this module is about that place: a union whose tag is the phase, and pinning.

use crate::delegate::{Body, BodyStep, Chain};
use crate::error::{BoxError, Error, SendError};
use crate::exchange::{Exchange, Rare};
use crate::generator::{Generator, Taken};
use crate::id;
use crate::root;
use crate::step::{Input, State, Step};
use crate::threads::Anywhere;
use crate::yielder::{Handed, TryYielder, Yielder};
use alloc::boxed::Box;
use core::fmt;
use core::future::Future;
use core::iter::FusedIterator;
use core::marker::{PhantomData, PhantomPinned};
use core::mem::{self, ManuallyDrop};
use core::pin::Pin;
use core::ptr;
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
/// It panics if it is resumed through a pin after it was resumed without one: pin it before, or never.
///
/// Its `Iterator` panics if an error passes through the body, out of a `yield_from`: an infallible body has no room for
/// it. Handle it by `try_yield_from`, or use [`try_generator`].
pub fn generator<'g, Y: 'g, S: 'g, R, C, F>(body: C) -> Stackless<'g, Y, S, F, Plain>
where
    C: AsyncFnOnce(&mut Yielder<'g, Y, S>) -> R + FnOnce(&'g mut Yielder<'g, Y, S>) -> F,
    F: Future<Output = R>,
{
    Stackless::call(body)
}

/// Makes a generator of an async closure that sees errors: its `y` is a [`TryYielder`], whose `try_` words give the body
/// what is thrown at it, and an `Err` that it returns is raised like an exception. That one reaches whoever resumed the
/// generator, or a `try_yield_from` on the way. Any error can be raised by `?`, this crate's [`Error`] too.
///
/// When it is dropped at a `try_` word, that gives [`Error::exit`], and the body runs on from there.
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
pub fn try_generator<'g, Y: 'g, S: 'g, R, C, F>(body: C) -> Stackless<'g, Y, S, F, Fallible>
where
    C: AsyncFnOnce(&mut TryYielder<'g, Y, S>) -> Result<R, BoxError> + FnOnce(&'g mut TryYielder<'g, Y, S>) -> F,
    F: Future<Output = Result<R, BoxError>>,
{
    Stackless::call(body)
}

/// Whether a body can fail: what its future's output `O` means.
pub trait Ending<O> {
    /// What the generator returns.
    type Return;
    /// What its `Iterator` gives.
    type Item<Y>;
    #[doc(hidden)]
    const MAY_CATCH: bool;

    #[doc(hidden)]
    fn end(output: O) -> Result<Self::Return, Error>;
    #[doc(hidden)]
    fn item<Y>(result: Result<Y, Error>) -> Self::Item<Y>;
}

/// A body that can't fail and does not see errors.
#[derive(Debug)]
pub enum Plain {}

impl<R> Ending<R> for Plain {
    type Return = R;
    type Item<Y> = Y;
    const MAY_CATCH: bool = false;

    #[inline(always)]
    fn end(output: R) -> Result<R, Error> {
        Ok(output)
    }

    #[inline(always)]
    fn item<Y>(result: Result<Y, Error>) -> Y {
        result.unwrap_or_else(|error| panic!("iterate over a generator through which an error passed: {error}"))
    }
}

/// A body that can fail and sees errors.
#[derive(Debug)]
pub enum Fallible {}

impl<R> Ending<Result<R, BoxError>> for Fallible {
    type Return = R;
    type Item<Y> = Result<Y, Error>;
    const MAY_CATCH: bool = true;

    #[inline(always)]
    fn end(output: Result<R, BoxError>) -> Result<R, Error> {
        output.map_err(Error::new)
    }

    #[inline(always)]
    fn item<Y>(result: Result<Y, Error>) -> Result<Y, Error> {
        result
    }
}

/// A stackless generator; made by [`generator`] and [`try_generator`].
///
/// `F` is the future of the body, `E` says whether it can fail, and `T` where it may go.
pub struct Stackless<'g, Y, S, F: Future, E: Ending<F::Output>, T = Anywhere> {
    body: StacklessBody<Y, S, F, E>,
    chain: ManuallyDrop<Chain<Y, S>>,
    /// Delegates live as long as `'g`, and go where `T` says.
    delegates: PhantomData<(fn(&'g ()) -> &'g (), T)>,
}

// SAFETY: the future may be sent, and so may all that is in the chain: its yielder, by `Anywhere`, admits nothing else.
// The values and errors that pass through an exchange don't stay.
unsafe impl<Y, S, F: Future + Send, E: Ending<F::Output>> Send for Stackless<'_, Y, S, F, E, Anywhere> {}

/// The state machine, and where it is.
pub(crate) struct StacklessBody<Y, S, F: Future, E> {
    phase: Phase,
    /// Whether the state machine is in a box. A flag of its own: where it is never set, the optimiser sees that.
    boxed: bool,
    catches: bool,
    owner: *const (),
    place: Union<F>,
    types: PhantomData<(fn(S) -> Y, fn() -> E)>,
    _pinned: PhantomPinned,
}

/// Where a body stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Never polled.
    Created,
    /// Polled, and so pinned.
    Suspended,
    /// Being polled, or left by a panic: then it holds nothing but its place.
    Polled,
    /// Gone: nothing is in its place.
    Finished,
}

/// The tag is `boxed`.
union Union<F> {
    here: ManuallyDrop<F>,
    boxed: ManuallyDrop<Pin<Box<F>>>,
}

impl<'g, Y, S, F: Future, E: Ending<F::Output>, T> Stackless<'g, Y, S, F, E, T> {
    /// Calls a body, of which nothing runs by that, with the yielder of the generator that is made of it.
    #[inline(always)]
    pub(crate) fn call<H: Handed + ?Sized + 'g>(body: impl FnOnce(&'g mut H) -> F) -> Self {
        let owner = ptr::without_provenance::<()>(id::next().get());
        // SAFETY: this generator has the number, and the constructors above ask for a yielder of its types. They also
        // ask for a body that takes one for any lifetime, so that no body can keep it.
        let future = body(unsafe { H::handed(owner) });
        Self {
            body: StacklessBody {
                phase: Phase::Created,
                boxed: false,
                catches: false,
                owner,
                place: Union { here: ManuallyDrop::new(future) },
                types: PhantomData,
                _pinned: PhantomPinned,
            },
            chain: ManuallyDrop::new(Chain::new()),
            delegates: PhantomData,
        }
    }

    /// The two halves of a generator that may be moved.
    #[inline(always)]
    fn movable(&mut self) -> (Pin<&mut Movable<Y, S, F, E>>, &mut Chain<Y, S>) {
        (Movable::new(&mut self.body), &mut self.chain)
    }

    /// The two halves of a generator that is pinned.
    #[inline(always)]
    pub(crate) fn pinned(self: Pin<&mut Self>) -> (Pin<&mut StacklessBody<Y, S, F, E>>, &mut Chain<Y, S>) {
        // SAFETY: the body is not moved out of `self` below, and the chain is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: it is pinned because `self` is.
        (unsafe { Pin::new_unchecked(&mut this.body) }, &mut this.chain)
    }
}

impl<Y, S, F: Future, E> StacklessBody<Y, S, F, E> {
    /// Puts a state machine that may be moved into a box, and finds it there.
    #[inline(always)]
    fn movable(&mut self) -> *mut F {
        if !self.boxed {
            // SAFETY: the tag says so.
            let here = unsafe { &mut self.place.here };
            // SAFETY: nobody has pinned it, or this would not be asked, and its place is given to the box.
            let future = unsafe { ManuallyDrop::take(here) };
            // Should the allocation fail by unwinding, the future is dropped by that and must not be again.
            self.phase = Phase::Finished;
            self.place.boxed = ManuallyDrop::new(Box::pin(future));
            self.boxed = true;
            self.phase = Phase::Created;
        }
        // SAFETY: the tag says so.
        self.in_box()
    }

    #[inline(always)]
    fn in_box(&mut self) -> *mut F {
        // SAFETY: the tag says so.
        let future = unsafe { &mut self.place.boxed };
        // SAFETY: nothing is moved out of it.
        unsafe { future.as_mut().get_unchecked_mut() }
    }

    /// Finds the state machine of a body that is pinned, and was never moved after it had started.
    #[inline(always)]
    fn here(&mut self) -> *mut F {
        if self.boxed {
            pinned_late();
        }
        // SAFETY: the tag says so.
        unsafe { &mut *self.place.here }
    }

    /// Drops the state machine, once.
    #[inline(always)]
    fn drop_future(&mut self) {
        if mem::replace(&mut self.phase, Phase::Finished) == Phase::Finished {
            return;
        }
        if self.boxed {
            // SAFETY: the tag says so.
            let boxed = unsafe { &mut self.place.boxed };
            // SAFETY: the phase says from now on that it is gone.
            unsafe { ManuallyDrop::drop(boxed) }
        } else {
            // SAFETY: the tag says so.
            let here = unsafe { &mut self.place.here };
            // SAFETY: the phase says from now on that it is gone.
            unsafe { ManuallyDrop::drop(here) }
        }
    }
}

impl<Y, S, F: Future, E: Ending<F::Output>> StacklessBody<Y, S, F, E> {
    /// Polls the state machine.
    ///
    /// # Safety
    ///
    /// 1. `future` is where it is.
    /// 2. It stays there: it is in a box, or the body is pinned.
    #[inline(always)]
    unsafe fn step_at(&mut self, future: *mut F, input: Input<S>, waker: Option<&Waker>) -> BodyStep<Y, S, E::Return> {
        let exchange = Exchange::new(self.owner, input, waker);
        // This is what a panic leaves. It has dropped what the body held; the place is for whoever drops the generator.
        self.phase = Phase::Polled;
        // SAFETY: by obligation 1.
        let future = unsafe { &mut *future };
        // SAFETY: by obligation 2, and it is dropped where it is.
        let poll = exchange.poll(unsafe { Pin::new_unchecked(future) });
        self.phase = Phase::Suspended;
        if let Poll::Ready(output) = poll {
            self.drop_future();
            exchange.leave();
            return match E::end(output) {
                Ok(value) => BodyStep::Returned(value),
                Err(error) => BodyStep::Raised(error, None),
            };
        }
        if E::MAY_CATCH {
            self.catches = exchange.catches();
        }
        if let Some(value) = exchange.take_value() {
            exchange.leave();
            return BodyStep::Yielded(value);
        }
        match exchange.take_rare() {
            Some(Rare::Delegated(frame)) if !frame.is_finalised() => {
                exchange.leave();
                BodyStep::Delegated(frame)
            }
            Some(Rare::Raised(error)) => {
                self.drop_future();
                exchange.leave();
                let (error, value) = error.into_parts();
                BodyStep::Raised(error, value)
            }
            Some(Rare::Delegated(_)) | None => BodyStep::Waiting(match exchange.untaken() {
                Some(Input::Send(value)) => Some(value),
                _ => None,
            }),
        }
    }

    #[inline(always)]
    fn state(&self) -> State {
        match self.phase {
            Phase::Created => State::Created,
            Phase::Suspended => State::Suspended,
            Phase::Polled | Phase::Finished => State::Finished,
        }
    }
}

/// A body that is pinned where it is.
// There is no looking for a box: a choice between two places would keep the state machine in memory.
// SAFETY: finishing drops the state machine; nothing else is held.
unsafe impl<Y, S, F: Future, E: Ending<F::Output>> Body<Y, S, E::Return> for StacklessBody<Y, S, F, E> {
    const MAY_CATCH: bool = E::MAY_CATCH;

    #[inline(always)]
    fn step(self: Pin<&mut Self>, input: Input<S>, waker: Option<&Waker>) -> BodyStep<Y, S, E::Return> {
        // SAFETY: nothing is moved out of it.
        let this = unsafe { self.get_unchecked_mut() };
        let future = this.here();
        // SAFETY: 1. found there. 2. It was pinned above.
        unsafe { this.step_at(future, input, waker) }
    }

    #[inline(always)]
    fn state(&self) -> State {
        self.state()
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

#[cold]
#[inline(never)]
fn pinned_late() -> ! {
    panic!("resume through a pin a generator that was resumed without one: pin it before its first resume, or never")
}

/// A body that is pinned, in a joint or a stream, and may have been resumed before that: then it is in a box.
#[repr(transparent)]
pub(crate) struct PinnedLate<Y, S, F: Future, E>(StacklessBody<Y, S, F, E>);

#[cfg(feature = "stream")]
impl<Y, S, F: Future, E> PinnedLate<Y, S, F, E> {
    /// A pinned body, as one that may have been pinned late.
    pub(crate) fn new(body: Pin<&mut StacklessBody<Y, S, F, E>>) -> Pin<&mut Self> {
        // SAFETY: nothing is moved out of it.
        let body = ptr::from_mut(unsafe { body.get_unchecked_mut() });
        // SAFETY: it has the same layout, and is borrowed as long.
        let this = unsafe { &mut *body.cast::<Self>() };
        // SAFETY: what it is made of is pinned.
        unsafe { Pin::new_unchecked(this) }
    }
}

// SAFETY: as of the body.
unsafe impl<Y, S, F: Future, E: Ending<F::Output>> Body<Y, S, E::Return> for PinnedLate<Y, S, F, E> {
    const MAY_CATCH: bool = E::MAY_CATCH;

    #[inline(always)]
    fn step(self: Pin<&mut Self>, input: Input<S>, waker: Option<&Waker>) -> BodyStep<Y, S, E::Return> {
        // SAFETY: nothing is moved out of it.
        let body = unsafe { &mut self.get_unchecked_mut().0 };
        let future = if body.boxed { body.in_box() } else { body.here() };
        // SAFETY: 1. found there. 2. It was pinned above, or is in a box.
        unsafe { body.step_at(future, input, waker) }
    }

    #[inline(always)]
    fn state(&self) -> State {
        self.0.state()
    }

    #[inline(always)]
    fn catches(&self) -> bool {
        self.0.catches
    }

    #[inline(always)]
    fn finish(self: Pin<&mut Self>) {
        // SAFETY: nothing is moved out of it.
        unsafe { self.get_unchecked_mut() }.0.drop_future();
    }
}

/// A body that may be moved: it goes into a box when it is first stepped.
#[repr(transparent)]
struct Movable<Y, S, F: Future, E>(StacklessBody<Y, S, F, E>);

impl<Y, S, F: Future, E> Movable<Y, S, F, E> {
    /// A body that was not pinned. Pinning it now binds nobody: what must not move is in the box.
    #[inline(always)]
    fn new(body: &mut StacklessBody<Y, S, F, E>) -> Pin<&mut Self> {
        // SAFETY: it has the same layout, and is borrowed as long.
        let this = unsafe { &mut *ptr::from_mut(body).cast::<Self>() };
        // SAFETY: nothing here relies on it.
        unsafe { Pin::new_unchecked(this) }
    }
}

// SAFETY: as of the body.
unsafe impl<Y, S, F: Future, E: Ending<F::Output>> Body<Y, S, E::Return> for Movable<Y, S, F, E> {
    const MAY_CATCH: bool = E::MAY_CATCH;

    #[inline(always)]
    fn step(self: Pin<&mut Self>, input: Input<S>, waker: Option<&Waker>) -> BodyStep<Y, S, E::Return> {
        // SAFETY: it is not pinned but in name.
        let body = unsafe { &mut self.get_unchecked_mut().0 };
        let future = body.movable();
        // SAFETY: 1. found there. 2. It is in a box.
        unsafe { body.step_at(future, input, waker) }
    }

    #[inline(always)]
    fn state(&self) -> State {
        self.0.state()
    }

    #[inline(always)]
    fn catches(&self) -> bool {
        self.0.catches
    }

    #[inline(always)]
    fn finish(self: Pin<&mut Self>) {
        // SAFETY: it is not pinned but in name.
        unsafe { self.get_unchecked_mut() }.0.drop_future();
    }
}

impl<Y, S, F: Future, E: Ending<F::Output>, T> Drop for Stackless<'_, Y, S, F, E, T> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: it is not moved any more.
        let body = unsafe { Pin::new_unchecked(&mut self.body) };
        self.chain.finalise(body);
    }
}

impl<Y, S, F: Future, E: Ending<F::Output>, T> Generator for Stackless<'_, Y, S, F, E, T> {
    type Yield = Y;
    type Send = S;
    type Return = E::Return;

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

    fn into_delegate<'a>(self) -> Taken<'a, Self>
    where
        Self: 'a,
    {
        let mut this = ManuallyDrop::new(self);
        let chain = mem::take(&mut *this.chain);
        // SAFETY: `this` is not dropped, so the body has one owner. It may be moved: it was not pinned.
        let body = unsafe { ptr::read(&this.body) };
        // SAFETY: they are what this generator was made of.
        unsafe { Taken::new(PinnedLate(body), chain) }
    }
}

impl<Y, S, F: Future, E: Ending<F::Output>, T> Generator for Pin<&mut Stackless<'_, Y, S, F, E, T>> {
    type Yield = Y;
    type Send = S;
    type Return = E::Return;

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

impl<Y, F: Future, E: Ending<F::Output>, T> Iterator for Stackless<'_, Y, (), F, E, T> {
    type Item = E::Item<Y>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let (body, chain) = self.movable();
        item::<Y, F, E>(body, chain)
    }
}

impl<Y, F: Future, E: Ending<F::Output>, T> Iterator for Pin<&mut Stackless<'_, Y, (), F, E, T>> {
    type Item = E::Item<Y>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let (body, chain) = self.as_mut().pinned();
        item::<Y, F, E>(body, chain)
    }
}

/// What an iterator gives for the next step.
#[inline(always)]
fn item<Y, F: Future, E: Ending<F::Output>>(
    body: Pin<&mut impl Body<Y, (), E::Return>>,
    chain: &mut Chain<Y, ()>,
) -> Option<E::Item<Y>> {
    if body.state() == State::Finished {
        return None;
    }
    let result = match chain.drive(body, Input::Next, None) {
        BodyStep::Yielded(value) => Ok(value),
        BodyStep::Returned(_) => return None,
        BodyStep::Raised(error, _) => Err(error),
        BodyStep::Waiting(_) => Err(Error::waiting()),
        BodyStep::Delegated(_) => unreachable!("a root steps its delegates itself"),
    };
    Some(E::item(result))
}

impl<Y, F: Future, E: Ending<F::Output>, T> FusedIterator for Stackless<'_, Y, (), F, E, T> {}

impl<Y, F: Future, E: Ending<F::Output>, T> FusedIterator for Pin<&mut Stackless<'_, Y, (), F, E, T>> {}

impl<Y, S, F: Future, E: Ending<F::Output>, T> fmt::Debug for Stackless<'_, Y, S, F, E, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stackless").field("state", &self.body.state()).finish_non_exhaustive()
    }
}
