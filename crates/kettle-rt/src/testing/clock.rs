//! Owns the clock of a test: time that goes on when it is told to, or when nobody has anything to do.
#![forbid(unsafe_code)]

use crate::run::{EventLoop, Root};
use std::time::Duration;

/// How long a clock that jumps waits for the world, each time, by the system's time.
const PATIENCE: Duration = Duration::from_millis(5);

/// A clock for tests that wait: trio's `MockClock`. Sockets, files and other threads are real, only time is not.
///
/// ```
/// use kettle_rt::testing::Clock;
/// use kettle_rt::{sleep, timeout};
/// use std::time::Duration;
///
/// let clock = Clock::jumping();
/// clock.run(|| {
///     let tea = timeout(Duration::from_secs(180), || sleep(Duration::from_secs(3600)));
///     assert!(tea.is_err());
/// });
/// assert_eq!(clock.elapsed(), Duration::from_secs(180));
/// ```
#[derive(Debug)]
pub struct Clock {
    clock: kettle_driver::Clock,
    jumps: Option<Duration>,
}

impl Clock {
    /// A clock that stands still until it is [advanced](Self::advance).
    ///
    /// ```
    /// use kettle_rt::testing::Clock;
    /// use kettle_rt::{sleep, spawn, yield_now};
    /// use std::time::Duration;
    ///
    /// let clock = Clock::stopped();
    /// clock.run(|| {
    ///     let kettle = spawn(|| sleep(Duration::from_secs(60)));
    ///     yield_now();
    ///     clock.advance(Duration::from_secs(60));
    ///     kettle.join().unwrap();
    /// });
    /// ```
    pub fn stopped() -> Self {
        Self { clock: kettle_driver::Clock::stopped(), jumps: None }
    }

    /// A clock that jumps to the next moment that a task waits for, when all tasks wait and for 5 milliseconds of real time
    /// nothing has come from outside. It can be advanced as well.
    pub fn jumping() -> Self {
        Self { jumps: Some(PATIENCE), ..Self::stopped() }
    }

    /// A [jumping](Self::jumping) clock that waits so long for what comes from outside: more where other machines answer,
    /// nothing where nobody does.
    pub fn jumping_after(patience: Duration) -> Self {
        Self { jumps: Some(patience), ..Self::stopped() }
    }

    /// Runs a function in an event loop by this clock: see [`EventLoop::run`].
    ///
    /// # Panics
    ///
    /// With the function's panic; if there can't be an event loop, or one runs on this thread already.
    pub fn run<R: Root>(&self, root: R) -> R::Output {
        let builder = EventLoop::builder().clock(self.clock.clone(), self.jumps);
        builder.build().unwrap_or_else(|error| panic!("make an event loop: {error}")).run(root)
    }

    /// Sets it to a later time. Whoever waits for a time until then goes on when this task waits. No checkpoint.
    pub fn advance(&self, time: Duration) {
        if let Some(at) = self.clock.now().checked_add(time) {
            self.clock.advance_to(at);
        }
    }

    /// How long it has gone since it was made.
    pub fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }
}
