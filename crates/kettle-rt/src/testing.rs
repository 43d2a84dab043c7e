//! Time and order in the hands of tests. In a *simulation* both follow from a seed, and so does a network that is not there:
//! [`simulate`] runs one, [`explore`] looks for a seed that fails. For tests in the real world there are a [`Clock`] that
//! doesn't make them wait, a [`Sequencer`] that orders what tasks do, and [`assert_checkpoints`].
//!
//! ```should_panic
//! use kettle_rt::testing::explore;
//! use kettle_rt::{scope, yield_now};
//! use std::cell::Cell;
//!
//! // Two tasks add a cup each, and let others run between looking and writing.
//! explore(0..100, || {
//!     let cups = Cell::new(0);
//!     scope(|s| {
//!         for _ in 0..2 {
//!             s.spawn(|| {
//!                 let seen = cups.get();
//!                 yield_now();
//!                 cups.set(seen + 1);
//!             });
//!         }
//!     });
//!     assert_eq!(cups.get(), 2, "a cup is lost");
//! });
//! ```

mod simulation;
mod exploring;
mod hosts;
mod clock;
mod sequencer;
mod checkpoints;

pub use self::checkpoints::{assert_checkpoints, assert_no_checkpoints};
pub use self::clock::Clock;
pub use self::exploring::explore;
pub use self::hosts::{heal, host, part, reset};
pub use self::sequencer::{Sequencer, Turn};
pub use self::simulation::{Failure, Simulated, Simulation, simulate};
pub use kettle_driver::{Note, Trace};
