//! Generators for stable Rust, with Python's whole protocol: `yield`, `send`, `throw`, `close`, return values,
//! `yield from` (PEP 255, 342, 380), async ones (525), at the price of a state machine.
//!
//! ```
//! use kettle_gen::{Error, Generator, Step, generator};
//!
//! fn lazy_range(up_to: u32) -> impl Iterator<Item = u32> {
//!     generator(async move |y| {
//!         let mut index = 0;
//!         while index < up_to {
//!             y.yield_(index).await;
//!             index += 1;
//!         }
//!     })
//! }
//! assert_eq!(lazy_range(5).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
//!
//! let mut echo = generator(async |y| {
//!     let mut answer = String::from("ready");
//!     while let Some(sent) = y.yield_(answer).await {
//!         answer = format!("got: {sent}");
//!     }
//!     "bye"
//! });
//! assert_eq!(echo.resume()?, Step::Yielded("ready".into()));
//! assert_eq!(echo.send("hello")?, Step::Yielded("got: hello".into()));
//! assert_eq!(echo.resume()?, Step::Returned("bye"));
//! # Ok::<(), Error>(())
//! ```
//!
//! A body is an async closure; its `y` is what it yields through. `generator` makes one that knows of no errors,
//! `try_generator` one that sees what is thrown at it and can fail; [`local`] has both for what stays on its thread. Where
//! nothing says what a generator is sent, the compiler asks: `async |y: &mut Yielder<_>|` says "nothing".
//!
//! # Features
//!
//! - `std` (default): threads that make generators don't wait for each other. Without it the crate needs `alloc` only.
//! - `stream`: generators that also await other futures are `futures_core::Stream`s. With `StreamExt` imported as well
//!   as `Iterator`, name the one you mean, or return `impl Stream`.
//!
//! # Modules, in reading order
//!
//! Errors and the words of a conversation (`error`, `step`); delegation (`frame`, [`body`], [`chain`], [`delegate`]); the
//! protocol (`generator`, `threads`); how a body speaks with its resumer (`id`, `exchange`, `yielder`, `yields`,
//! `delegation`); what the words mean for any body ([`root`]); the stackless body (`ending`, `state_machine`,
//! `stackless`); boxes, and the same for one thread (`boxed`, [`local`]); `stream`.
//! Users need what is listed below and `local`; the other public modules are for those who write bodies of a new kind.
#![no_std]
#![warn(missing_debug_implementations)]

extern crate alloc;

mod error;
mod step;
mod frame;
pub mod body;
pub mod chain;
pub mod delegate;
mod generator;
mod threads;
mod id;
mod exchange;
mod yielder;
mod yields;
mod delegation;
pub mod root;
mod ending;
mod state_machine;
mod stackless;
mod boxed;
pub mod local;
#[cfg(feature = "stream")]
mod stream;

pub use boxed::{BoxGenerator, Boxed, boxed};
pub use delegation::{TryYieldFrom, YieldFrom};
pub use ending::{Ending, Fallible, Plain};
pub use error::{BoxError, Error, SendError};
pub use frame::Frame;
pub use generator::{Generator, Iter, Taken, TryIter};
pub use stackless::{Stackless, generator, try_generator};
pub use step::{Input, State, Step};
pub use threads::{Admits, Anywhere, Here};
pub use yielder::{TryYielder, Yielder};
pub use yields::{TryYield, TryYieldIter, Yield, YieldIter};
