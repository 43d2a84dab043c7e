//! `std::time`, and waiting until a moment.
//!
//! [`Instant::now`] asks the clock of the event loop: in a simulation, and in a test that has a
//! clock of its own, time is theirs. [`SystemTime`] is std's as it is, and tells the system's time everywhere.

pub use kettle_rt::{Instant, sleep_until};
pub use std::time::{Duration, SystemTime, SystemTimeError, TryFromFloatSecsError, UNIX_EPOCH};
