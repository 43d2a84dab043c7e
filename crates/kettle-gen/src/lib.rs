//! Generators for stable Rust, with Python's whole protocol.
#![no_std]
#![warn(missing_debug_implementations)]

extern crate alloc;

mod error;
mod step;
pub mod delegate;
mod generator;
mod threads;
mod id;
mod exchange;
mod yielder;
mod yields;
mod delegation;
pub mod root;
mod stackless;
mod boxed;
pub mod local;
#[cfg(feature = "stream")]
mod stream;

pub use boxed::{BoxGenerator, Boxed, boxed};
pub use delegation::{TryYieldFrom, YieldFrom};
pub use error::{BoxError, Error, SendError};
pub use generator::{Generator, Iter, Taken, TryIter};
pub use stackless::{Ending, Fallible, Plain, Stackless, generator, try_generator};
pub use step::{Input, State, Step};
pub use threads::{Admits, Anywhere, Here};
pub use yielder::{TryYielder, Yielder};
pub use yields::{TryYield, TryYieldIter, Yield, YieldIter};
