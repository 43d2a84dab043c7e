//! Owns the boxed generator: one allocation, a type that has a name.

use crate::body::{Body, BodyStep};
use crate::delegate::Delegate;
use crate::error::{Error, SendError};
use crate::frame::Paused;
use crate::generator::{Generator, Taken};
use crate::root;
use crate::step::{State, Step};
use crate::threads::{Admits, Anywhere};
use core::fmt;
use core::iter::FusedIterator;
use core::marker::PhantomData;

/// Any generator in a box, which may be sent to another thread: for struct fields, collections and recursion.
///
/// ```
/// use kettle_gen::{BoxGenerator, boxed, generator};
///
/// struct Tree(Option<Box<(Tree, i32, Tree)>>);
///
/// /// In order. The cost of a value does not depend on its depth.
/// fn walk(tree: &Tree) -> BoxGenerator<'_, i32> {
///     boxed(generator(async move |y| {
///         if let Some(node) = &tree.0 {
///             y.yield_from(walk(&node.0)).await;
///             y.yield_(node.1).await;
///             y.yield_from(walk(&node.2)).await;
///         }
///     }))
/// }
///
/// let leaf = |n| Tree(Some(Box::new((Tree(None), n, Tree(None)))));
/// let tree = Tree(Some(Box::new((leaf(1), 2, leaf(3)))));
/// assert_eq!(walk(&tree).collect::<Vec<_>>(), [1, 2, 3]);
/// ```
pub type BoxGenerator<'a, Y, S = (), R = ()> = Boxed<'a, Y, S, R, Anywhere>;

/// Puts a generator into a box and forgets its type, in one allocation.
pub fn boxed<'a, G>(generator: G) -> BoxGenerator<'a, G::Yield, G::Send, G::Return>
where
    G: Generator<Return: Send> + Send + 'a,
{
    Boxed::new(generator)
}

/// See [`BoxGenerator`], and [`local::BoxGenerator`](crate::local::BoxGenerator) for one that stays on its thread.
///
/// Its `Iterator` panics if the body raised an error, for which it has no room; [`Generator::try_iter`] has.
pub struct Boxed<'a, Y, S, R, T> {
    delegate: Delegate<'a, Y, S, R>,
    threads: PhantomData<T>,
}

impl<'a, Y, S, R, T> Boxed<'a, Y, S, R, T> {
    pub(crate) fn new<G>(generator: G) -> Self
    where
        G: Generator<Yield = Y, Send = S, Return = R> + 'a,
        T: Admits<G>,
    {
        Self { delegate: generator.into_delegate().into_inner(), threads: PhantomData }
    }
}

// SAFETY: `new` admits only generators that may be sent to these; nobody else owns a part of what is in the box.
unsafe impl<Y, S, R> Send for Boxed<'_, Y, S, R, Anywhere> {}

impl<'a, Y, S, R, T> Generator for Boxed<'a, Y, S, R, T> {
    type Yield = Y;
    type Send = S;
    type Return = R;

    #[inline]
    fn resume(&mut self) -> Result<Step<Y, R>, Error> {
        match self.delegate.resume() {
            Paused::Yielded(value) => Ok(Step::Yielded(value)),
            paused => root::answer(self.delegate.outcome(paused)).map_err(SendError::into_error),
        }
    }

    #[inline]
    fn send(&mut self, value: S) -> Result<Step<Y, R>, SendError<S>> {
        match self.delegate.send(value) {
            Paused::Yielded(value) => Ok(Step::Yielded(value)),
            paused => root::answer(self.delegate.outcome(paused)),
        }
    }

    fn throw(&mut self, error: Error) -> Result<Step<Y, R>, Error> {
        let step = self.delegate.with_root(|body, chain| root::throw(body, chain, error))?;
        Ok(match step {
            Step::Yielded(value) => Step::Yielded(value),
            Step::Returned(()) => Step::Returned(self.delegate.result()),
        })
    }

    fn close(&mut self) -> Result<Option<R>, Error> {
        let closed = self.delegate.with_root(root::close)?;
        Ok(closed.map(|()| self.delegate.result()))
    }

    fn state(&self) -> State {
        self.delegate.state()
    }

    fn into_delegate<'b>(self) -> Taken<'b, Self>
    where
        Self: 'b,
    {
        Taken::of_delegate(self.delegate)
    }
}

impl<Y, R, T> Iterator for Boxed<'_, Y, (), R, T> {
    type Item = Y;

    #[inline]
    fn next(&mut self) -> Option<Y> {
        match self.delegate.resume() {
            Paused::Yielded(value) => Some(value),
            paused => {
                ended(self.delegate.outcome(paused));
                None
            }
        }
    }
}

#[cold]
#[inline(never)]
fn ended<Y, R>(step: BodyStep<Y, (), R>) {
    if let Err(error) = root::answer(step) {
        assert!(error.error().is_finished(), "iterate over a generator that raised an error: {error}");
    }
}

impl<Y, R, T> FusedIterator for Boxed<'_, Y, (), R, T> {}

impl<Y, S, R, T> fmt::Debug for Boxed<'_, Y, S, R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Boxed").field("state", &self.delegate.state()).finish_non_exhaustive()
    }
}
