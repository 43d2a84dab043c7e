//! Owns the search for a seed that fails, and for the least that it takes to fail.

use super::simulation::{Failure, Simulation};
use crate::run::Records;
use crate::seed::Replay;
use std::cell::Cell;
use std::mem::discriminant;
use std::panic;
use std::sync::Once;

/// How often a failure is repeated at most, to find out what it depends on.
const MOST_REPETITIONS: u32 = 1000;

/// Runs a function in a simulation for each of many seeds, and panics with the first one that fails: with what it is, with
/// the fewest choices that were found to lead to it, and with how to see it again.
///
/// A seed has failed if the function panics, a task does that nobody joins, or all tasks wait for each other. Then its
/// choices are tried without some of them, again and again, as long as it still fails: what is left is *the schedule*, a few
/// lines such as "at choice 12 task 2 ran instead of task 1". `KETTLE_SEED=17:12=1` repeats exactly that, here and in
/// [`simulate`](crate::testing::simulate). (The messages of panics are kept back while it tries, on this thread; for this
/// the process gets a panic hook before its own.)
///
/// ```
/// use kettle_rt::testing::explore;
/// use kettle_rt::{scope, yield_now};
/// use std::cell::Cell;
///
/// explore(0..50, || {
///     let cups = Cell::new(0);
///     scope(|s| {
///         for _ in 0..2 {
///             s.spawn(|| {
///                 yield_now();
///                 cups.set(cups.get() + 1);
///             });
///         }
///     });
///     assert_eq!(cups.get(), 2);
/// });
/// ```
///
/// What [ends the process](crate::testing::simulate#what-ends-the-process) in a simulation ends the search: a failed assertion
/// whose destructors wait for another task is one. It names the seed, and nothing is left out of its choices.
///
/// # Where others may run
///
/// At each checkpoint, whether the task waits there or not: `yield_now`, sending, receiving, `select!`, I/O. And before each
/// lock of a `Mutex` or an `RwLock` of `kettle::sync`, also of one that nobody has, as if another thread had had it for a moment: so two
/// tasks that lock two mutexes in two orders are found, with nothing between the locks. Not before a `try_lock`, a semaphore's
/// permits that are there, a `Once`, an atomic, and locks and channels of `std`: who wants others to run there calls
/// [`yield_now`](crate::yield_now) or [`pass`](crate::pass). (Nor before a lock that has been locked outside of simulations, as a
/// `static` one may have been: make a new one in the function.)
///
/// # Panics
///
/// If a seed fails; if an event loop runs on this thread already. [`Simulation::explore`] gives both as values. If there is no
/// seed: an empty range would look like a proof.
#[track_caller]
pub fn explore(seeds: impl IntoIterator<Item = u64>, f: impl Fn()) {
    if let Err(failure) = Simulation::new(0).explore(seeds, f) {
        panic!("{failure}");
    }
}

impl Simulation {
    /// Runs a function for each of many seeds, under these conditions; see [`explore`]. Gives how many there were.
    ///
    /// # Errors
    ///
    /// The first failure, shortened.
    ///
    /// # Panics
    ///
    /// If there is no seed: an empty range would look like a proof.
    #[track_caller]
    pub fn explore(&self, seeds: impl IntoIterator<Item = u64>, f: impl Fn()) -> Result<u64, Failure> {
        let again = |replay: Replay| self.run_as(Some(replay), Records::Deviations, &f).map(drop);
        if let Some(replay) = Replay::from_environment().unwrap_or_else(|error| panic!("{error}")) {
            return again(replay).map(|()| 1);
        }
        let mut count = 0;
        for seed in seeds {
            count += 1;
            if let Err(failure) = again(seed.into()) {
                return Err(if failure.is_panic() || failure.is_deadlock() {
                    shorten(failure, again)
                } else {
                    failure
                });
            }
        }
        assert!(count > 0, "explore no seeds: nothing has run");
        Ok(count)
    }
}

/// Leaves out of a failure's choices what it does not depend on: halves first, then less and less of them.
fn shorten(first: Failure, again: impl Fn(Replay) -> Result<(), Failure>) -> Failure {
    let seed = first.0.replay.seed;
    let cause = discriminant(&first.0.cause);
    let repetitions = Cell::new(0);
    let fails = |schedule: Vec<(u64, usize)>| {
        repetitions.set(repetitions.get() + 1);
        let failure = quietly(|| again(Replay { seed, schedule: Some(schedule) })).err()?;
        (discriminant(&failure.0.cause) == cause).then_some(failure)
    };
    let schedule_of = |failure: &Failure| -> Vec<(u64, usize)> {
        failure.0.deviations.iter().map(|deviation| (deviation.choice, deviation.index)).collect()
    };
    // What is no simulation's doing may not happen again.
    let Some(mut least) = fails(schedule_of(&first)) else { return first };
    let mut parts = 1;
    loop {
        let schedule = schedule_of(&least);
        if schedule.is_empty() {
            return settled(least, schedule);
        }
        let size = schedule.len().div_ceil(parts);
        let without = |start: usize| -> Vec<(u64, usize)> {
            let kept = schedule.iter().enumerate().filter(|(place, _)| !(start..start + size).contains(place));
            kept.map(|(_, choice)| *choice).collect()
        };
        let is_over = || repetitions.get() >= MOST_REPETITIONS;
        // The last ones first: what came after the damage was done is of no use.
        let starts: Vec<usize> = (0..schedule.len()).step_by(size).collect();
        match starts.into_iter().rev().take_while(|_| !is_over()).find_map(|start| fails(without(start))) {
            Some(shorter) if shorter.0.deviations.len() < schedule.len() => {
                least = shorter;
                parts = parts.saturating_sub(1).max(1);
            }
            _ if size == 1 || is_over() => return settled(least, schedule),
            _ => parts = (2 * parts).min(schedule.len()),
        }
    }
}

/// A failure that says of its schedule what of it was used.
fn settled(mut failure: Failure, schedule: Vec<(u64, usize)>) -> Failure {
    failure.0.replay.schedule = Some(schedule);
    failure
}

thread_local! {
    /// Whether messages of panics are kept back.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Keeps messages of panics back that this function causes.
fn quietly<T>(f: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
    QUIET.set(true);
    let result = f();
    QUIET.set(false);
    result
}
