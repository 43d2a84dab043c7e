//! Loads a server, checks every byte of its answers, and measures how long they take.
//!
//! ```
//! use kettle::net::TcpListener;
//! use load::{End, Load, Mode, Plan};
//! use std::io::copy;
//!
//! let report = kettle::run(|| {
//!     let listener = TcpListener::bind("127.0.0.1:0")?;
//!     let plan = Plan { end: End::Requests(100), ..Plan::new(listener.local_addr()?, Mode::Echo) };
//!     kettle::thread::spawn(move || {
//!         while let Ok((stream, _)) = listener.accept() {
//!             kettle::thread::spawn(move || copy(&mut &stream, &mut &stream));
//!         }
//!     });
//!     std::io::Result::Ok(Load::new(plan).run())
//! })?;
//! assert_eq!(report.answered, 100);
//! assert!(report.is_good());
//! # std::io::Result::Ok(())
//! ```
//!
//! # Modules, in reading order
//!
//! Which numbers are drawn ([`random`]), what is to be done ([`plan`]), what is seen of the server meanwhile ([`watch`]), and
//! how all of it is asked for ([`args`]); what came of it ([`report`]); what is sent ([`payload`]), when ([`tickets`]), and
//! how answers are judged ([`answers`]); one connection ([`connection`]), and all of them ([`mod@load`]).
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test"))]

pub mod random;
pub mod plan;
pub mod watch;
pub mod args;
pub mod report;
pub mod payload;
pub mod tickets;
pub mod answers;
pub mod connection;
pub mod load;

pub use load::Load;
pub use plan::{End, Leave, Mode, Plan};
pub use report::{Cause, Failure, Report};
pub use watch::{Sample, Watched};
