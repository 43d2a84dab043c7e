//! `std::time`, and waiting until a moment.

pub use kettle_rt::sleep_until;
pub use std::time::{Duration, Instant, SystemTime, SystemTimeError, TryFromFloatSecsError, UNIX_EPOCH};
