//! Workers as processes: a service that is this test's own binary, and what happens to it.
//!
//! A test starts the binary again, to run the test `service` in it and nothing else; what that is the environment says.
//! It becomes a supervisor, and its workers come to the same place by the same way. What they print is what is waited
//! for.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod services;
mod service;
mod client;
mod serving;
mod telling;
mod ending;
mod dying;
mod starting;
mod reloading;
mod inheriting;
mod load;
