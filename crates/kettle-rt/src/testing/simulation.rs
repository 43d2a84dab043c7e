//! Owns the simulation: a function that runs in a world of its own, whose time and order follow from a seed.

use crate::event_loop;
use crate::order::{Deviation, Order, Stuck, Why};
use crate::run::{DEFAULT_STACK_SIZE, EventLoop, Records};
use crate::seed::Replay;
use kettle_driver::{Conditions, Config, Kind, Trace};
use std::any::Any;
use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

/// Runs a function as [`run`](crate::EventLoop::run) does, in a simulated world: the same seed gives the same run, step by
/// step.
///
/// - *Time* is virtual. It stands still while a task can run, and jumps to the next moment that somebody waits for: a day
///   takes as long as what is done in it. [`Instant::now`](crate::Instant::now) tells it.
/// - *Order* is random, where none was promised: which task runs next, whether a task pauses at a checkpoint where it need
///   not wait, what is heard of first, and all that [`choose`](crate::choose) is asked.
/// - *The network* is not there. Bytes take a random time, come in pieces, and connections overtake each other. Between hosts
///   datagrams do as well, and some are lost or come twice. Hosts are made by [`host`](crate::testing::host), and can be
///   parted.
///
/// All of it follows from the seed. `KETTLE_SEED=17`, if it is set, is the seed instead, of every simulation of the process.
///
/// ```
/// use kettle_rt::testing::simulate;
/// use kettle_rt::{Instant, sleep, spawn};
/// use std::time::Duration;
///
/// let year = Duration::from_secs(365 * 24 * 3600);
/// let slept = simulate(7, || {
///     let start = Instant::now();
///     let kettle = spawn(move || sleep(year));
///     kettle.join().unwrap();
///     start.elapsed()
/// });
/// assert_eq!(slept, year);
/// ```
///
/// # What is not simulated
///
/// Other threads: what they do to a task happens when it happens, and is not waited for: if all tasks wait, that is a
/// deadlock. (A thread that waits for such a task meanwhile may wait for ever.) Files and `std`'s own clocks, sockets and threads are real. A task that runs on and on without waiting, until
/// it sees that time has passed, sees that never.
///
/// # What ends the process
///
/// When all tasks wait for each other they are unwound. One that waits again for what never comes, in a
/// [`shield`](crate::shield()) or in a destructor, could neither be ended nor left behind. The process is aborted then, with both
/// lists of tasks and with the seed.
///
/// Any other unwinding does the same, a failed assertion's too: no task runs while a destructor waits in it. So one that waits
/// there for another task (a value from a channel, a lock that the other has, the end of a task or of a scope) ends the process,
/// after the panic's message. A destructor that only sleeps goes on at once.
///
/// So does a task that has been cancelled and catches that on and on: see
/// [`Cancelled`](crate::Cancelled#who-catches-panics-lets-it-pass).
///
/// # Panics
///
/// With the panic of the function, or of a task that nobody joins. If all tasks wait for each other, with a list of them:
/// what each waits for, and in which line. If an event loop runs on this thread already. [`Simulation::run`] gives all of these as values.
pub fn simulate<T>(seed: u64, f: impl FnOnce() -> T) -> T {
    match Simulation::new(seed).run(f) {
        Ok(run) => run.value,
        Err(failure) => match failure.0.cause {
            Cause::Panic(payload) => resume_unwind(payload),
            _ => panic!("{failure}"),
        },
    }
}

/// A simulation that is made to measure; see [`simulate`].
///
/// ```
/// use kettle_rt::testing::Simulation;
/// use kettle_rt::{sleep, spawn};
/// use std::time::Duration;
///
/// let run = Simulation::new(7).recorded().run(|| {
///     spawn(|| sleep(Duration::from_millis(5))).join().unwrap();
/// })?;
/// println!("{}", run.trace);
/// //       0.000000  task 0 spawns task 0
/// //       0.000000  task 0 runs
/// //       0.000000  task 0 spawns task 1
/// //       …
/// //       0.005000  the time of task 1 has come
/// # Ok::<(), kettle_rt::testing::Failure>(())
/// ```
#[derive(Clone, Debug)]
pub struct Simulation {
    conditions: Conditions,
    stack_size: usize,
}

/// What a simulation has given, and how it came to that.
#[derive(Clone, Debug)]
pub struct Simulated<T> {
    /// What the function has returned.
    pub value: T,
    /// Each decision and each event; the records only if it was [`recorded`](Simulation::recorded).
    pub trace: Trace,
}

/// How a simulation has failed.
pub struct Failure(pub(crate) Box<Details>);

pub(crate) struct Details {
    pub(crate) replay: Replay,
    pub(crate) cause: Cause,
    pub(crate) deviations: Vec<Deviation>,
    pub(crate) trace: Trace,
}

pub(crate) enum Cause {
    Panic(Box<dyn Any + Send>),
    /// Of a task that nobody joins, by its name.
    Unheard(String),
    Stuck(Stuck),
    /// There was no simulation.
    Unable(io::Error),
    Nested,
}

impl Simulation {
    /// One of a seed, under the conditions that are usual.
    pub fn new(seed: u64) -> Self {
        Self { conditions: Conditions { seed, ..Conditions::default() }, stack_size: DEFAULT_STACK_SIZE }
    }

    /// How long bytes are under way, one way: each send takes a time of its own from this range. So datagrams to other hosts
    /// overtake each other.
    ///
    /// # Panics
    ///
    /// If the range is empty: its end is less than its start.
    #[track_caller]
    pub fn latency(mut self, range: RangeInclusive<Duration>) -> Self {
        assert!(!range.is_empty(), "simulate latencies of an empty range: its end is less than its start");
        self.conditions.latency = range;
        self
    }

    /// Once in how many transfers only a part is moved of what could be; never if it is 0.
    pub fn short_once_in(mut self, transfers: u32) -> Self {
        self.conditions.short_once_in = transfers;
        self
    }

    /// Once in how many sends the connection is reset instead; never if it is 0, as usual.
    pub fn reset_once_in(mut self, sends: u32) -> Self {
        self.conditions.reset_once_in = sends;
        self
    }

    /// Once in how many sends of a datagram to another host it is lost; never if it is 0. Usually of 16 one is lost.
    ///
    /// What a host sends to itself is lost only if there is no room for it.
    pub fn lost_once_in(mut self, sends: u32) -> Self {
        self.conditions.lost_once_in = sends;
        self
    }

    /// Once in how many sends of a datagram to another host it arrives twice; never if it is 0. Usually it is one of 32.
    pub fn duplicated_once_in(mut self, sends: u32) -> Self {
        self.conditions.duplicated_once_in = sends;
        self
    }

    /// How many bytes may be under way to a socket and in its buffer: the next ones wait. What a buffer of datagrams has no
    /// room for is lost when it arrives; each takes 256 bytes there besides its own.
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.conditions.capacity = bytes;
        self
    }

    /// How many connections may wait at a listener.
    pub fn backlog(mut self, connections: usize) -> Self {
        self.conditions.backlog = connections;
        self
    }

    /// The size of a task's stack; see [`LoopBuilder::stack_size`](crate::LoopBuilder::stack_size).
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = bytes;
        self
    }

    /// Keeps the records of the trace, some five bytes each.
    pub fn recorded(mut self) -> Self {
        self.conditions.keeps_trace = true;
        self
    }

    /// Runs a function in it; see [`simulate`].
    ///
    /// # Errors
    ///
    /// The function's panic, that of a task which nobody joins, a deadlock; an event loop runs on this thread already, or
    /// there can't be one.
    pub fn run<T>(&self, f: impl FnOnce() -> T) -> Result<Simulated<T>, Failure> {
        self.run_as(None, Records::Nothing, f)
    }

    /// Runs a function in it, as a repetition of something, or of what the environment says.
    pub(crate) fn run_as<T>(
        &self,
        replay: Option<Replay>,
        records: Records,
        f: impl FnOnce() -> T,
    ) -> Result<Simulated<T>, Failure> {
        let failure = |cause| {
            let replay = replay.clone().unwrap_or(self.conditions.seed.into());
            Failure(Box::new(Details { replay, cause, deviations: Vec::new(), trace: Trace::default() }))
        };
        if !event_loop::is_outside() {
            return Err(failure(Cause::Nested));
        }
        let config = Config { kind: Some(Kind::Sim), conditions: self.conditions.clone(), ..Config::default() };
        let builder = EventLoop::builder().driver(config).stack_size(self.stack_size);
        let builder = match &replay {
            Some(replay) => builder.replay(replay.clone(), records),
            None => builder,
        };
        let mut event_loop = builder.build().map_err(|error| failure(Cause::Unable(error)))?;
        // What a panic has left half-way is seen by who catches it, as with `catch_unwind`.
        let ended = catch_unwind(AssertUnwindSafe(|| event_loop.run_whole(f)));
        let Some(order) = event_loop.inner().order() else { unreachable!("invariant: it is a simulation") };
        let trace = order.take_trace();
        let cause = match ended {
            Err(panic) => Cause::Panic(panic),
            Ok(Err(stuck)) => Cause::Stuck(stuck),
            Ok(Ok(value)) => match Order::take_unheard(order) {
                None => return Ok(Simulated { value, trace }),
                Some(task) => Cause::Unheard(task),
            },
        };
        let (replay, deviations) = (order.replay().clone(), order.deviations());
        Err(Failure(Box::new(Details { replay, cause, deviations, trace })))
    }
}

impl Failure {
    /// The seed.
    pub fn seed(&self) -> u64 {
        self.0.replay.seed
    }

    /// What `KETTLE_SEED` is to be, so that it happens again.
    pub fn replay(&self) -> String {
        self.0.replay.to_string()
    }

    /// Whether something has panicked: the function, or a task that nobody joins.
    pub fn is_panic(&self) -> bool {
        matches!(self.0.cause, Cause::Panic(_) | Cause::Unheard(_))
    }

    /// Whether all tasks waited, and nothing would have ended that.
    pub fn is_deadlock(&self) -> bool {
        matches!(&self.0.cause, Cause::Stuck(stuck) if stuck.why == Why::Deadlock)
    }

    /// Whether tasks have run on and on while no time passed.
    pub fn is_livelock(&self) -> bool {
        matches!(&self.0.cause, Cause::Stuck(stuck) if stuck.why == Why::Livelock)
    }

    /// Whether an event loop runs on this thread already: nothing was done.
    pub fn is_nested(&self) -> bool {
        matches!(self.0.cause, Cause::Nested)
    }

    /// The choices that were not the first, in words, if they were explored: see [`explore`](crate::testing::explore).
    pub fn deviations(&self) -> impl Iterator<Item = String> {
        self.0.deviations.iter().map(Deviation::to_string)
    }

    /// What has happened until then.
    pub fn trace(&self) -> &Trace {
        &self.0.trace
    }

    /// What was panicked with, if it was the function.
    pub fn into_panic(self) -> Option<Box<dyn Any + Send>> {
        match self.0.cause {
            Cause::Panic(payload) => Some(payload),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seed = self.0.replay.seed;
        match &self.0.cause {
            Cause::Nested => {
                return f
                    .write_str("simulate inside of an event loop that runs on this thread: call it outside of `run`");
            }
            Cause::Unable(error) => return write!(f, "simulate: {error}"),
            Cause::Panic(payload) => write!(f, "seed {seed} fails: {}", message(&**payload))?,
            Cause::Unheard(task) => write!(f, "seed {seed} fails: {task} panicked, and nobody joins it")?,
            Cause::Stuck(stuck) => write!(f, "seed {seed} fails: {stuck}")?,
        }
        if self.0.replay.schedule.is_some() {
            match self.0.deviations.len() {
                0 => write!(f, "\n  also if all is first in, first out")?,
                _ => write!(f, "\n  because of these, all else first in, first out:")?,
            }
            for deviation in &self.0.deviations {
                write!(f, "\n    {deviation}")?;
            }
        }
        write!(f, "\n  again with {}={}", crate::seed::VARIABLE, self.0.replay)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.cause {
            Cause::Unable(error) => Some(error),
            _ => None,
        }
    }
}

/// What a panic says.
fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic")
}
