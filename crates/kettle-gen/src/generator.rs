//! Owns the protocol: the [`Generator`] trait with Python's words, and the values it speaks in.
//!
//! Nothing here knows how a body is made to pause: the stackless body of this crate and the stackful one of
//! `kettle-fiber` both implement it, and so may anybody's hand-written state machine.

use crate::body::{Body, BodyStep};
use crate::chain::Chain;
use crate::delegate::Delegate;
use crate::error::{Error, SendError};
use crate::step::{Input, State, Step};
use alloc::rc::Rc;
use core::cell::RefCell;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::Waker;

/// A function that can pause, hand out a value, and be resumed with one: Python's generator protocol.
///
/// | Python | here |
/// |---|---|
/// | `next(g)` | [`resume`](Self::resume); or `next` of `Iterator`, which leaves the returned value out |
/// | `g.send(v)` | [`send`](Self::send) |
/// | `g.throw(e)` | [`throw`](Self::throw) |
/// | `g.close()` | [`close`](Self::close) |
/// | `for x in g` | `for x in g`, or `for x in g.iter()` to keep `g` and to iterate one that is sent values |
/// | `StopIteration.value` | [`Step::Returned`] |
///
/// Dropping a generator closes it, with nobody to hear the result.
///
/// ```
/// use kettle_gen::{Error, Generator, Step, generator};
///
/// // PEP 342's two-way traffic: what is sent becomes the value of the yield.
/// let mut range = generator(async |y| {
///     let mut index = 0;
///     while index < 5 {
///         let jump = y.yield_(index).await.unwrap_or(1);
///         index += jump;
///     }
///     "done"
/// });
/// assert_eq!(range.resume()?, Step::Yielded(0));
/// assert_eq!(range.send(2)?, Step::Yielded(2));
/// assert_eq!(range.resume()?, Step::Yielded(3));
/// assert_eq!(range.send(-1)?, Step::Yielded(2));
/// assert_eq!(range.iter().collect::<Vec<_>>(), [3, 4]);
/// # Ok::<(), Error>(())
/// ```
///
/// # Panics
///
/// A panic of the body passes through the call that resumed it, and the generator has finished. If it delegates, so
/// have its delegates: they are dropped, innermost first.
pub trait Generator {
    /// What it yields.
    type Yield;
    /// What it can be sent.
    type Send;
    /// What it returns.
    type Return;

    /// Runs the body to its next yield or its end. The yield that it waits at gives `None` (Python: `next(g)`).
    ///
    /// # Errors
    ///
    /// What the body raised; [`is_finished`](Error::is_finished) or [`is_running`](Error::is_running) if it could not
    /// be resumed; [`is_waiting`](Error::is_waiting) if the body awaits a future of somebody else.
    fn resume(&mut self) -> Result<Step<Self::Yield, Self::Return>, Error>;

    /// Like [`resume`](Self::resume), and the yield that the body waits at gives `Some(value)`.
    ///
    /// # Errors
    ///
    /// As for `resume`, and [`is_not_started`](Error::is_not_started) before the first yield, where no yield could take
    /// the value. The error holds the value if it did not reach the body.
    fn send(&mut self, value: Self::Send) -> Result<Step<Self::Yield, Self::Return>, SendError<Self::Send>>;

    /// Raises an error at the yield that the body waits at.
    ///
    /// A body that waits in `try_yield` receives it and may go on. At any other yield it ends the body: what the body
    /// holds is dropped, as `finally` blocks would run, and the error comes back.
    ///
    /// # Errors
    ///
    /// The error that left the body: this one, or the one that the body made of it. One that was not started ends with
    /// it, as if its body had let it out (so one that says "finished" comes out as raised: see [`Error`]). One that has
    /// finished gives the error back as it is, and one that is running as [`Error::refused`].
    fn throw(&mut self, error: Error) -> Result<Step<Self::Yield, Self::Return>, Error>;

    /// Asks the body to end, by raising [`Error::exit`] at its yield.
    ///
    /// Gives the value if the body answered by returning one, and `None` if the exit passed through or there was
    /// nothing to end. Closing twice is harmless.
    ///
    /// # Errors
    ///
    /// [`is_ignored_exit`](Error::is_ignored_exit) if the body yielded instead: that value is dropped and the generator
    /// stays as it is. Any other error that the body raised.
    fn close(&mut self) -> Result<Option<Self::Return>, Error>;

    /// Where the generator stands.
    fn state(&self) -> State;

    /// Iterates over what is still to come, asking with [`resume`](Self::resume) and leaving the returned value out.
    fn iter(&mut self) -> Iter<'_, Self>
    where
        Self: Sized,
    {
        Iter { generator: self }
    }

    /// Iterates over what is still to come, and ends after the first error.
    fn try_iter(&mut self) -> TryIter<'_, Self>
    where
        Self: Sized,
    {
        TryIter { generator: self, failed: false }
    }

    /// How `yield_from` and boxes take this generator in. Bodies of their own kind give more than the default does:
    /// their delegates are reached directly.
    #[doc(hidden)]
    fn into_delegate<'a>(self) -> Taken<'a, Self>
    where
        Self: Sized + 'a,
    {
        // SAFETY: the body is the generator, and finishing drops it.
        unsafe { Taken::new(Opaque(Some(self)), Chain::new()) }
    }
}

/// A generator of type `G`, taken in. What holds of the type holds of it: what it borrows, whether it may be sent.
#[derive(Debug)]
pub struct Taken<'a, G: Generator> {
    delegate: Delegate<'a, G::Yield, G::Send, G::Return>,
    generator: PhantomData<G>,
}

impl<'a, G: Generator + 'a> Taken<'a, G> {
    /// Takes in the body of a `G`, and its chain if it has been running on its own.
    ///
    /// # Safety
    ///
    /// The two are what a `G` is made of, and nothing else: they may be sent if it may.
    pub unsafe fn new(body: impl Body<G::Yield, G::Send, G::Return> + 'a, chain: Chain<G::Yield, G::Send>) -> Self {
        Self { delegate: Delegate::new(body, chain), generator: PhantomData }
    }

    /// The same for a `G` that is made of a delegate.
    pub(crate) fn of_delegate(delegate: Delegate<'a, G::Yield, G::Send, G::Return>) -> Self {
        Self { delegate, generator: PhantomData }
    }

    /// The delegate, its generator's type forgotten.
    pub fn into_inner(self) -> Delegate<'a, G::Yield, G::Send, G::Return> {
        self.delegate
    }
}

/// A generator of any kind as a body: stepped by the words of the protocol, its own delegates out of sight.
struct Opaque<G>(Option<G>);

// SAFETY: finishing drops the generator.
unsafe impl<G: Generator> Body<G::Yield, G::Send, G::Return> for Opaque<G> {
    fn step(self: Pin<&mut Self>, input: Input<G::Send>, _: Option<&Waker>) -> BodyStep<G::Yield, G::Send, G::Return> {
        // SAFETY: a generator is resumed through `&mut` and so may be moved; nothing pins it inside `Opaque`.
        let Some(generator) = &mut unsafe { self.get_unchecked_mut() }.0 else {
            return BodyStep::Raised(Error::finished(), None);
        };
        let step = match input {
            Input::Next => generator.resume().map_err(SendError::from),
            Input::Send(value) => generator.send(value),
            // A delegator that is asked to end closes its delegate (PEP 380), and the exit then goes on.
            Input::Throw(error) if error.is_exit() => Err(generator.close().err().unwrap_or(error).into()),
            Input::Throw(error) => generator.throw(error).map_err(SendError::from),
        };
        match step {
            Ok(Step::Yielded(value)) => BodyStep::Yielded(value),
            Ok(Step::Returned(value)) => BodyStep::Returned(value),
            Err(error) => {
                let (error, value) = error.into_parts();
                BodyStep::Raised(error, value)
            }
        }
    }

    fn state(&self) -> State {
        self.0.as_ref().map_or(State::Finished, G::state)
    }

    fn catches(&self) -> bool {
        true
    }

    fn wants_close(&self) -> bool {
        // Dropping the generator is what closes it, if this was its last owner.
        false
    }

    fn finish(self: Pin<&mut Self>) {
        // SAFETY: as in `step`.
        unsafe { self.get_unchecked_mut() }.0 = None;
    }
}

/// The values that a generator still has to give; made by [`Generator::iter`].
///
/// # Panics
///
/// `next` panics if the body raised an error, for which it has no room. [`Generator::try_iter`] has.
#[derive(Debug)]
pub struct Iter<'a, G> {
    generator: &'a mut G,
}

impl<G: Generator> Iterator for Iter<'_, G> {
    type Item = G::Yield;

    fn next(&mut self) -> Option<G::Yield> {
        match self.generator.resume() {
            Ok(step) => step.yielded(),
            Err(error) if error.is_finished() => None,
            Err(error) => panic!("iterate over a generator that raised an error: {error}"),
        }
    }
}

/// The values that a generator still has to give, or its error; made by [`Generator::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, G> {
    generator: &'a mut G,
    failed: bool,
}

impl<G: Generator> Iterator for TryIter<'_, G> {
    type Item = Result<G::Yield, Error>;

    fn next(&mut self) -> Option<Result<G::Yield, Error>> {
        if self.failed {
            return None;
        }
        match self.generator.resume() {
            Ok(step) => step.yielded().map(Ok),
            Err(error) if error.is_finished() => None,
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }
}

impl<G: Generator + ?Sized> Generator for &mut G {
    type Yield = G::Yield;
    type Send = G::Send;
    type Return = G::Return;

    fn resume(&mut self) -> Result<Step<G::Yield, G::Return>, Error> {
        (**self).resume()
    }

    fn send(&mut self, value: G::Send) -> Result<Step<G::Yield, G::Return>, SendError<G::Send>> {
        (**self).send(value)
    }

    fn throw(&mut self, error: Error) -> Result<Step<G::Yield, G::Return>, Error> {
        (**self).throw(error)
    }

    fn close(&mut self) -> Result<Option<G::Return>, Error> {
        (**self).close()
    }

    fn state(&self) -> State {
        (**self).state()
    }
}

/// A generator with several owners: what the compiler refuses for a plain one, resuming it while it runs, is an
/// [`is_running`](Error::is_running) error here.
///
/// ```
/// use kettle_gen::{Error, Generator, Step, Yielder, generator};
/// use std::{cell::RefCell, rc::Rc};
///
/// let shared = Rc::new(RefCell::new(generator(async |y: &mut Yielder<_>| { y.yield_(1).await; })));
/// let mut one = Rc::clone(&shared);
/// let mut other = shared;
/// assert_eq!(one.resume()?, Step::Yielded(1));
/// assert_eq!(other.resume()?, Step::Returned(()));
/// # Ok::<(), Error>(())
/// ```
impl<G: Generator> Generator for Rc<RefCell<G>> {
    type Yield = G::Yield;
    type Send = G::Send;
    type Return = G::Return;

    fn resume(&mut self) -> Result<Step<G::Yield, G::Return>, Error> {
        self.try_borrow_mut().map_err(|_| Error::running())?.resume()
    }

    fn send(&mut self, value: G::Send) -> Result<Step<G::Yield, G::Return>, SendError<G::Send>> {
        match self.try_borrow_mut() {
            Ok(mut generator) => generator.send(value),
            Err(_) => Err(SendError::new(Error::running(), Some(value))),
        }
    }

    fn throw(&mut self, error: Error) -> Result<Step<G::Yield, G::Return>, Error> {
        match self.try_borrow_mut() {
            Ok(mut generator) => generator.throw(error),
            Err(_) => Err(Error::refused(error)),
        }
    }

    fn close(&mut self) -> Result<Option<G::Return>, Error> {
        self.try_borrow_mut().map_err(|_| Error::running())?.close()
    }

    fn state(&self) -> State {
        self.try_borrow().map_or(State::Running, |generator| generator.state())
    }
}
