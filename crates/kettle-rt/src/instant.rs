//! Owns the moments that users see: std's `Instant`, but that [`now`](Instant::now) asks the event loop.
//!
//! Inside it is std's. So arithmetic and order are std's, and a moment of either type is one of the other's.
#![forbid(unsafe_code)]

use crate::event_loop;
use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::{self, Duration};

/// A moment of a clock that never goes back: [`std::time::Instant`], with all that it can do.
///
/// What is different is [`now`](Self::now): it asks the clock of the event loop, which a test or a simulation may have
/// replaced by its own. Elsewhere both types can be used for each other: they convert into one another by `From` and `Into`,
/// and what takes a moment takes either. (What takes an `Option` of one takes this one.)
///
/// ```
/// use kettle_rt::{EventLoop, Instant, sleep};
/// use std::time::Duration;
///
/// EventLoop::new()?.run(|| {
///     let start = Instant::now();
///     sleep(Duration::from_millis(2));
///     assert!(start.elapsed() >= Duration::from_millis(2));
///     let stds: std::time::Instant = start.into();
///     assert_eq!(Instant::from(stds), start);
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(time::Instant);

impl Instant {
    /// This moment, by the event loop's clock; by the system's where no event loop runs on this thread.
    #[must_use]
    pub fn now() -> Self {
        Self(event_loop::now())
    }

    /// How much time has passed since another moment; nothing if that is later: [`std::time::Instant::duration_since`].
    #[must_use]
    pub fn duration_since(&self, earlier: impl Into<time::Instant>) -> Duration {
        self.0.duration_since(earlier.into())
    }

    /// How much time has passed since another moment, or `None` if that is later.
    #[must_use]
    pub fn checked_duration_since(&self, earlier: impl Into<time::Instant>) -> Option<Duration> {
        self.0.checked_duration_since(earlier.into())
    }

    /// How much time has passed since another moment; nothing if that is later.
    #[must_use]
    pub fn saturating_duration_since(&self, earlier: impl Into<time::Instant>) -> Duration {
        self.0.saturating_duration_since(earlier.into())
    }

    /// How much time has passed since this moment, by the same clock as [`now`](Self::now).
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        event_loop::now().saturating_duration_since(self.0)
    }

    /// The moment that is later by a time, if it can be told.
    #[must_use]
    pub fn checked_add(&self, time: Duration) -> Option<Self> {
        self.0.checked_add(time).map(Self)
    }

    /// The moment that is earlier by a time, if it can be told.
    #[must_use]
    pub fn checked_sub(&self, time: Duration) -> Option<Self> {
        self.0.checked_sub(time).map(Self)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// # Panics
    ///
    /// If the moment can't be told; see [`Instant::checked_add`].
    fn add(self, time: Duration) -> Self {
        Self(self.0 + time)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, time: Duration) {
        self.0 += time;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    /// # Panics
    ///
    /// If the moment can't be told; see [`Instant::checked_sub`].
    fn sub(self, time: Duration) -> Self {
        Self(self.0 - time)
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, time: Duration) {
        self.0 -= time;
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// How much time has passed; nothing if the other moment is later.
    fn sub(self, earlier: Self) -> Duration {
        self.0 - earlier.0
    }
}

impl From<time::Instant> for Instant {
    fn from(instant: time::Instant) -> Self {
        Self(instant)
    }
}

impl From<Instant> for time::Instant {
    fn from(instant: Instant) -> Self {
        instant.0
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
