//! Owns which time it is: the system's, or that of a clock which somebody sets.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Where virtual clocks begin. One moment for all of them: so a simulation that runs again sees the same moments again.
static BEGINNING: OnceLock<Instant> = OnceLock::new();

/// A clock. Clones of a virtual one are the same clock.
///
/// ```
/// use kettle_driver::Clock;
/// use std::time::Duration;
///
/// let clock = Clock::stopped();
/// let start = clock.now();
/// clock.advance_to(start + Duration::from_secs(60));
/// assert_eq!(clock.clone().now() - start, Duration::from_secs(60));
/// ```
#[derive(Clone, Default)]
pub struct Clock {
    time: Option<Rc<Cell<Instant>>>,
}

impl Clock {
    /// The system's.
    pub const fn system() -> Self {
        Self { time: None }
    }

    /// A virtual one, which goes on only by [`advance_to`](Self::advance_to).
    pub fn stopped() -> Self {
        Self { time: Some(Rc::new(Cell::new(beginning()))) }
    }

    /// Which time it is.
    #[inline]
    pub fn now(&self) -> Instant {
        match &self.time {
            None => Instant::now(),
            Some(time) => time.get(),
        }
    }

    /// Whether it goes on only by [`advance_to`](Self::advance_to).
    #[inline]
    pub fn is_virtual(&self) -> bool {
        self.time.is_some()
    }

    /// Sets a virtual clock to a later time. To an earlier one, and the system's clock, it does nothing.
    pub fn advance_to(&self, at: Instant) {
        if let Some(time) = &self.time {
            time.set(time.get().max(at));
        }
    }

    /// How long a virtual clock has gone.
    pub fn elapsed(&self) -> Duration {
        self.now().saturating_duration_since(beginning())
    }
}

/// Where virtual clocks begin.
fn beginning() -> Instant {
    *BEGINNING.get_or_init(Instant::now)
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.time {
            None => f.write_str("Clock(system)"),
            Some(_) => write!(f, "Clock({:?})", self.elapsed()),
        }
    }
}
