//! Kettle's event scheduler: an [`Op`] goes in, a [`Completion`] comes out. On io_uring, or on epoll where that is
//! forbidden. For Linux.
//!
//! ```
//! use kettle_driver::{Driver, Op, Submitted, Token, Until};
//!
//! let mut driver = Driver::new().unwrap();
//! // SAFETY: no pointers, and the token is in use once.
//! let submitted = unsafe { driver.submit(Op::Nop, Token(1)) };
//! let mut completions = Vec::new();
//! if submitted == Submitted::Pending {
//!     driver.wait(Until::Forever, &mut completions).unwrap();
//!     assert_eq!(completions.pop().unwrap().into_result().unwrap(), 0);
//! }
//! assert_eq!(driver.in_flight(), 0);
//! ```
//!
//! It is the lowest layer of Kettle's runtime: it knows nothing of tasks, never calls back, starts no threads and belongs
//! to one. The layer above parks a fiber for each operation, whose buffers stay where they are until the operation's own
//! completion is out (SAFETY.md, S3). That is why `submit` takes pointers, and why it is unsafe.
//!
//! Beside it, [`Timers`]: a wheel of deadlines. A driver only takes the next one, as the end of a
//! [`wait`](Driver::wait).
//!
//! # Which driver
//!
//! `KETTLE_DRIVER=uring`, `epoll` or `sim` decides, or [`Config::kind`]; otherwise it is io_uring if it works here (Linux 5.19,
//! and nobody forbids it). [`Driver::choice`] says which one runs and why not the other. `sim` is a world of its own: a
//! virtual clock and a network that is not there, whose events follow from a seed.
//!
//! # Modules, in reading order
//!
//! The words: operations and completions (`op`), how long to sleep (`until`), the drivers' names (`kind`), `error`,
//! `choice`. Then [`Timers`] (`timers`) and [`Random`] numbers (`random`); what a simulation has besides (`clock`,
//! `trace`, `conditions`); what the drivers need (`tokens`, `fork`, `syscalls`, `notifier`); the drivers (`epoll`, `uring`,
//! `sim`, and what its `network` is asked for), and the choice between them (`driver`).
#![warn(missing_debug_implementations)]

mod op;
mod until;
mod kind;
mod error;
mod choice;
mod timers;
mod random;
mod clock;
mod trace;
mod conditions;
mod tokens;
mod fork;
mod syscalls;
mod notifier;
mod epoll;
mod uring;
mod sim;
mod network;
mod driver;

pub use choice::Choice;
pub use clock::Clock;
pub use conditions::Conditions;
pub use driver::{Config, Driver};
pub use error::DriverError;
pub use kind::{Absence, Kind, VARIABLE};
pub use network::Network;
pub use notifier::Notifier;
pub use op::{Completion, Interest, Op, Submitted, Token};
pub use random::Random;
pub use timers::{TimerKey, Timers};
pub use trace::{Note, Trace, Tracer};
pub use until::Until;
