//! `std::thread` for tasks: the same names, with std's meaning, on one event loop.
//!
//! ```
//! use kettle::thread;
//! use std::time::Duration;
//!
//! kettle::run(|| {
//!     let kettle = thread::spawn(|| {
//!         thread::sleep(Duration::from_millis(2));
//!         "the water boils"
//!     });
//!     assert_eq!(kettle.join().unwrap(), "the water boils");
//! });
//! ```
//!
//! What is spawned here runs as a task on this thread, and need not be `Send`. Outside of [`run`](crate::run) a call does
//! what std's does, and blocks the thread. A thread that spawns there gets an event loop of its own, whose tasks run while
//! it waits in Kettle: join them. One that has not ended when the thread does never goes on, keeps its place in the queues of
//! locks and channels, and swallows what it is given there. [`run`](crate::run) leaves nobody behind.

pub use kettle_rt::{
    Builder, JoinHandle, Scope, ScopedJoinHandle, Thread, ThreadId, current, park, park_timeout, scope, sleep, spawn,
    yield_now,
};
pub use std::thread::{AccessError, LocalKey, Result, available_parallelism, panicking};
