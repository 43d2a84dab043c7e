//! Coroutines for stable Rust: functions that can pause and be resumed, with Python's whole protocol.
//!
//! ```
//! use kettle::generator;
//!
//! let squares = generator(async |y| {
//!     for n in 1..4 {
//!         y.yield_(n * n).await;
//!     }
//! });
//! assert_eq!(squares.collect::<Vec<i32>>(), [1, 4, 9]);
//! ```
//!
//! What is here comes from the crates below, whose examples name those: for `kettle_gen` and `kettle_fiber` read `kettle`,
//! except for what is in [`fiber`] alone: the yielder of coroutines, their builder, their stacks.
#![forbid(unsafe_code)]

pub use kettle_fiber as fiber;
pub use kettle_fiber::{Coroutine, Scoped, coroutine, scoped, try_coroutine};
pub use kettle_gen::{
    BoxError, BoxGenerator, Error, Generator, SendError, State, Step, TryYielder, Yielder, boxed, generator, local,
    try_generator,
};

// The README's code is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
