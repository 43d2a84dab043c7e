//! Generators for stable Rust, with Python's whole protocol.
#![no_std]
#![warn(missing_debug_implementations)]

extern crate alloc;

mod error;
mod step;
pub mod delegate;
mod generator;
mod exchange;
mod yielder;
pub mod root;
mod stackless;
mod boxed;
#[cfg(feature = "stream")]
mod stream;

pub use boxed::{Anywhere, BoxGenerator, Boxed, Here, LocalBoxGenerator, boxed, boxed_local};
pub use error::{BoxError, Error, SendError};
pub use generator::{Generator, Iter, TryIter};
pub use stackless::{Ending, Raises, Returns, Stackless, generator, try_generator};
pub use step::{Input, State, Step};
pub use yielder::{TryYield, TryYieldFrom, TryYieldIter, Yield, YieldFrom, YieldIter, Yielder};
