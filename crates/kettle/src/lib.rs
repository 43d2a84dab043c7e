//! Coroutines for stable Rust: functions that can pause and be resumed, with Python's whole protocol.
//!
//! ```
//! use kettle::generator;
//!
//! let squares = generator(async |y| {
//!     for n in 1..4 {
//!         y.yield_(n * n).await;
//!     }
//! });
//! assert_eq!(squares.collect::<Vec<i32>>(), [1, 4, 9]);
//! ```
//!
//! What is here comes from the crates below, whose examples name those: for `kettle_gen` and `kettle_fiber` read `kettle`,
//! except for what is in [`fiber`] alone: the yielder of coroutines, their builder, their stacks.

pub mod net;
pub mod sync;
pub mod task;
pub mod thread;
pub mod time;
pub mod processes;

pub use kettle_rt::testing;
pub use kettle_rt::workers::{self, workers};
pub use processes::processes;

pub use kettle_fiber as fiber;
pub use kettle_fiber::{Coroutine, Scoped, coroutine, scoped, try_coroutine};
pub use kettle_gen::{
    BoxError, BoxGenerator, Error, Generator, SendError, State, Step, TryYielder, Yielder, boxed, generator, local,
    try_generator,
};
pub use kettle_rt::future::{self, wait};
pub use kettle_rt::{
    AccessError, CancelScope, Cancelled, Done, EventLoop, FiberKey, Group, GroupError, GroupHandle, LoopBuilder,
    NoTurns, Reason, Results, Root, SpawnError, Spawner, Task, TaskGroup, Uncalled, callback, cancel_scope, deadline,
    fiber_local, in_fiber, is_cancelled, shield, spawn_future, task_group, timeout,
};

/// Runs a function as the first task of an event loop of its own, and gives what it returns: all there is to a program's
/// `main`.
///
/// The function may spawn others, by [`thread::spawn`] and [`thread::scope`]. What still runs when it has returned is
/// cancelled; see [`EventLoop::run`], which this is short for.
///
/// ```
/// use kettle::thread;
///
/// let sum: u32 = kettle::run(|| {
///     let cups: Vec<_> = (1..=4).map(|n| thread::spawn(move || n * n)).collect();
///     cups.into_iter().map(|cup| cup.join().unwrap()).sum()
/// });
/// assert_eq!(sum, 30);
/// ```
///
/// # Panics
///
/// If there can't be an event loop, if one runs on this thread already, and with the function's own panic.
#[track_caller]
pub fn run<T>(f: impl FnOnce() -> T) -> T {
    match EventLoop::new() {
        Ok(mut event_loop) => event_loop.run(f),
        Err(error) => panic!("make an event loop: {error}"),
    }
}

// The README's code is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

// And that of the paper about scaling.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/SCALING.md")]
struct Scaling;
