//! Coroutines for stable Rust: functions that can pause and be resumed, with Python's whole protocol.
#![forbid(unsafe_code)]

pub use kettle_fiber as fiber;
pub use kettle_fiber::{Coroutine, coroutine, scoped, try_coroutine};
pub use kettle_gen::{
    BoxError, BoxGenerator, Error, Generator, SendError, State, Step, TryYielder, Yielder, boxed, generator, local,
    try_generator,
};

// The README's code is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
