//! Coroutines for stable Rust: functions that can pause and be resumed, with Python's whole protocol.
#![forbid(unsafe_code)]

pub use kettle_fiber as fiber;
pub use kettle_gen::{
    BoxError, BoxGenerator, Error, Generator, LocalBoxGenerator, SendError, State, Step, Yielder, boxed, boxed_local,
    generator, try_generator,
};
