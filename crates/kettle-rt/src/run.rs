//! Owns the event loop's face: making one, and running it.

use crate::event_loop::{self, Loop};
use crate::join::{Builder, JoinHandle};
use crate::order::{Order, Stuck};
use crate::prepared::TaskGroup;
use crate::seed::Replay;
use crate::task;
use kettle_driver::{Choice, Clock, Config, Driver, Kind};
use std::fmt;
use std::io;
use std::panic::{Location, resume_unwind};
use std::time::Duration;

/// The stack that a task gets if it asks for none: 64 KiB, of which it uses what it touches.
pub const DEFAULT_STACK_SIZE: usize = kettle_fiber::DEFAULT_STACK_SIZE;

/// The stack of the first task, on which a program's `main` finds itself: 1 MiB, unless the loop's tasks get more.
pub const ROOT_STACK_SIZE: usize = 1024 * 1024;

/// A loop that runs tasks and tells them when what they wait for has happened. One for each thread that has tasks.
///
/// It is the tutorial's event scheduler. The three parts by their names:
///
/// ```
/// use kettle_rt::{EventLoop, Task, TaskGroup};
///
/// let kettle = Task::new(|| "the water boils");
/// let tasks = TaskGroup::from([kettle]);
/// let results = EventLoop::new()?.run(tasks);
/// assert_eq!(results, ["the water boils"]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct EventLoop {
    inner: Loop,
}

/// What an event loop is to be like.
#[derive(Clone, Debug)]
pub struct LoopBuilder {
    driver: Config,
    stack_size: usize,
    clock: (Clock, Option<Duration>),
    replay: Option<Replay>,
    records: Records,
}

/// Whether a simulation remembers what it has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Records {
    Nothing,
    Deviations,
}

impl LoopBuilder {
    /// How the driver is to work.
    pub fn driver(mut self, config: Config) -> Self {
        self.driver = config;
        self
    }

    /// The size of a task's stack in bytes, guard page included, where the task does not say; rounded up to a power of two.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = bytes;
        self
    }

    /// Another clock than the system's, for a loop that is no simulation. It goes on when all tasks wait and for so long, by
    /// the system's time, nothing has come from outside; without a time only by hand.
    pub(crate) fn clock(mut self, clock: Clock, jumps: Option<Duration>) -> Self {
        self.clock = (clock, jumps);
        self
    }

    /// What a simulation is a repetition of, instead of what the environment says.
    pub(crate) fn replay(mut self, replay: Replay, records: Records) -> Self {
        self.replay = Some(replay);
        self.records = records;
        self
    }

    /// Whether it is to be a simulation, by what was said or by the environment.
    pub(crate) fn simulates(&self) -> bool {
        match self.driver.kind {
            Some(kind) => kind == Kind::Sim,
            None => std::env::var_os(kettle_driver::VARIABLE).is_some_and(|word| word == Kind::Sim.name()),
        }
    }

    /// Makes it.
    ///
    /// # Errors
    ///
    /// What the driver says if there can't be one; a size of stack that can't be had; a `KETTLE_SEED` that is none, if the
    /// driver is the simulated one.
    pub fn build(self) -> io::Result<EventLoop> {
        let simulates = self.simulates();
        let Self { mut driver, stack_size, clock: (clock, jumps), replay, records } = self;
        let replay = match replay {
            None if simulates => Replay::from_environment()?.unwrap_or(driver.conditions.seed.into()),
            replay => replay.unwrap_or(driver.conditions.seed.into()),
        };
        driver.conditions.seed = replay.seed;
        let driver = Driver::with(driver).map_err(io::Error::other)?;
        let order = driver.tracer().map(|tracer| Order::new(replay, tracer, records == Records::Deviations));
        let clock = if clock.is_virtual() && !simulates { clock } else { driver.clock() };
        Ok(EventLoop { inner: Loop::new(driver, stack_size, (clock, jumps), order)? })
    }
}

/// What an event loop can begin with: a function, or a [`TaskGroup`].
pub trait Root {
    /// What it gives.
    type Output;

    /// Runs it, as a task of the loop.
    fn run(self) -> Self::Output;
}

impl<T, F: FnOnce() -> T> Root for F {
    type Output = T;

    fn run(self) -> T {
        self()
    }
}

impl<T: 'static> Root for TaskGroup<T> {
    type Output = Vec<T>;

    fn run(self) -> Vec<T> {
        self.join_all()
    }
}

impl EventLoop {
    /// An event loop with the best driver that this machine has; `KETTLE_DRIVER=uring` or `epoll` forces one,
    /// and `sim` is a simulation, of the seed that `KETTLE_SEED` says.
    ///
    /// # Errors
    ///
    /// If there is none, or not the one that is asked for; the message says why.
    pub fn new() -> io::Result<Self> {
        Self::builder().build()
    }

    /// One that is made to measure.
    pub fn builder() -> LoopBuilder {
        LoopBuilder {
            driver: Config::default(),
            stack_size: DEFAULT_STACK_SIZE,
            clock: (Clock::system(), None),
            replay: None,
            records: Records::Nothing,
        }
    }

    /// Which driver runs, and why the other one doesn't.
    pub fn driver(&self) -> Choice {
        self.inner.choice()
    }

    /// Runs a function as the first task, and gives what it returns when it and all tasks that it has spawned have ended.
    ///
    /// It may borrow: nothing of it is left when this returns. What still runs when the function has returned is cancelled,
    /// as by `asyncio.run`: unwound where it waits.
    ///
    /// All tasks see the thread's thread-locals and run interleaved. Code that keeps a last-in-first-out discipline in a
    /// thread-local across a callback (the `scoped-tls` crate and alike) must not wait inside it (SAFETY.md, S6);
    /// [`fiber_local!`](crate::fiber_local!) is for what a task has for itself.
    ///
    /// # Forks
    ///
    /// In a child that a task has forked no loop runs, and no other task. There the task's calls block the thread, as outside
    /// of tasks, so it may do what forked children do; another loop, too. It ends by `exit` or `exec`. If it returns from
    /// its task instead, the child is aborted with a message. The parent's loop, tasks and connections are not touched.
    ///
    /// # Panics
    ///
    /// With the panic of the function. If an event loop runs on this thread already. If it is a simulation (`KETTLE_DRIVER=sim`)
    /// that can't go on, because all tasks wait for each other.
    #[track_caller]
    pub fn run<R: Root>(&mut self, root: R) -> R::Output {
        // Not by a closure: a panic in one would name its line.
        match self.run_whole(|| root.run()) {
            Ok(output) => output,
            Err(stuck) => panic!("{stuck}"),
        }
    }

    /// Runs a function; if it is a simulation that can't go on, it gives why.
    #[track_caller]
    pub(crate) fn run_whole<T>(&mut self, f: impl FnOnce() -> T) -> Result<T, Stuck> {
        // Before the loop has anything of it: what the function borrows may be gone when a panic has passed.
        assert!(
            event_loop::is_outside(),
            "run an event loop inside of one that runs on this thread: spawn a task instead"
        );
        let rare = Builder::new().stack_size(ROOT_STACK_SIZE.max(self.inner.stack_size())).rare();
        // SAFETY: 1. `Loop::run` returns when the task has ended, and takes no task in that it does not see end. What its
        // result borrows outlives this call. 2. The handle takes a `T`.
        let task = unsafe { task::make(&self.inner, f, Location::caller(), rare) };
        // SAFETY: the same, and it is the only handle.
        let root = unsafe { JoinHandle::new(task) };
        self.inner.admit(task);
        self.inner.run(task);
        let result = root.join();
        match self.inner.order().and_then(Order::take_stuck) {
            Some(stuck) => Err(stuck),
            None => Ok(result.unwrap_or_else(|panic| resume_unwind(panic))),
        }
    }

    pub(crate) fn inner(&self) -> &Loop {
        &self.inner
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").field("driver", &self.driver()).finish_non_exhaustive()
    }
}
