//! Owns the stackless generator: how it is made of an async closure, and its faces: the protocol's and `Iterator`'s.
//!
//! One constructor serves a generator that is moved and one that is pinned: which it is, is seen when it first runs.

use crate::body::{Body, BodyStep};
use crate::chain::Chain;
use crate::ending::{Ending, Fallible, Plain};
use crate::error::{BoxError, Error, SendError};
use crate::generator::{Generator, Taken};
use crate::id;
use crate::root;
use crate::state_machine::{Movable, PinnedLate, StacklessBody};
use crate::step::{Input, State, Step};
use crate::threads::Anywhere;
use crate::yielder::{Handed, TryYielder, Yielder};
use core::fmt;
use core::future::Future;
use core::iter::FusedIterator;
use core::marker::PhantomData;
use core::mem::{self, ManuallyDrop};
use core::pin::Pin;
use core::ptr;

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

impl<'g, Y, S, F: Future, E: Ending<F::Output>, T> Stackless<'g, Y, S, F, E, T> {
    /// Calls a body, of which nothing runs by that, with the yielder of the generator that is made of it.
    #[inline(always)]
    pub(crate) fn call<H: Handed + ?Sized + 'g>(body: impl FnOnce(&'g mut H) -> F) -> Self {
        let owner = ptr::without_provenance::<()>(id::next().get());
        // SAFETY: this generator has the number, and the constructors above ask for a yielder of its types. They also
        // ask for a body that takes one for any lifetime, so that no body can keep it.
        let future = body(unsafe { H::handed(owner) });
        Self { body: StacklessBody::new(owner, future), chain: ManuallyDrop::new(Chain::new()), delegates: PhantomData }
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

impl<Y, S, F: Future, E: Ending<F::Output>, T> Drop for Stackless<'_, Y, S, F, E, T> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: it is not moved any more.
        let body = unsafe { Pin::new_unchecked(&mut self.body) };
        self.chain.finalise(PinnedLate::new(body));
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
