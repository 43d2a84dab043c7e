//! The same words for what stays on its thread: generators that delegate to what may not be sent, such as a coroutine
//! with its own stack, or one that is shared by `Rc`.
//!
//! ```
//! use kettle_gen::{Error, Generator, Step, local};
//! use std::{cell::RefCell, rc::Rc};
//!
//! let shared = Rc::new(RefCell::new(local::generator(async |y: &mut local::Yielder<_>| y.yield_iter(0..9).await)));
//! let mut first = local::generator(async |y| y.yield_from(Rc::clone(&shared)).await);
//! assert_eq!(first.next(), Some(0));
//! assert_eq!(Rc::clone(&shared).resume()?, Step::Yielded(1));
//! assert_eq!(first.next(), Some(2));
//! # Ok::<(), Error>(())
//! ```
//!
//! Everywhere else they are as those of the crate root.

use crate::boxed::Boxed;
use crate::ending::{Fallible, Plain};
use crate::error::BoxError;
use crate::generator::Generator;
use crate::stackless::Stackless;
use crate::threads::Here;
use core::future::Future;

/// [`Yielder`](crate::Yielder) of a generator that stays on its thread.
pub type Yielder<'g, Y, S = ()> = crate::yielder::Yielder<'g, Y, S, Here>;

/// [`TryYielder`](crate::TryYielder) of a generator that stays on its thread.
pub type TryYielder<'g, Y, S = ()> = crate::yielder::TryYielder<'g, Y, S, Here>;

/// Any generator in a box, on its thread.
pub type BoxGenerator<'a, Y, S = (), R = ()> = Boxed<'a, Y, S, R, Here>;

/// [`generator`](crate::generator()) for what stays on its thread.
pub fn generator<'g, Y: 'g, S: 'g, R, C, F>(body: C) -> Stackless<'g, Y, S, F, Plain, Here>
where
    C: AsyncFnOnce(&mut Yielder<'g, Y, S>) -> R + FnOnce(&'g mut Yielder<'g, Y, S>) -> F,
    F: Future<Output = R>,
{
    Stackless::call(body)
}

/// [`try_generator`](crate::try_generator()) for what stays on its thread.
pub fn try_generator<'g, Y: 'g, S: 'g, R, C, F>(body: C) -> Stackless<'g, Y, S, F, Fallible, Here>
where
    C: AsyncFnOnce(&mut TryYielder<'g, Y, S>) -> Result<R, BoxError> + FnOnce(&'g mut TryYielder<'g, Y, S>) -> F,
    F: Future<Output = Result<R, BoxError>>,
{
    Stackless::call(body)
}

/// [`boxed`](crate::boxed()) for what stays on its thread.
pub fn boxed<'a, G>(generator: G) -> BoxGenerator<'a, G::Yield, G::Send, G::Return>
where
    G: Generator + 'a,
{
    Boxed::new(generator)
}
