//! Owns how long a driver may sleep.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

/// How long [`Driver::wait`](crate::Driver::wait) may sleep if nothing completes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// Not at all: what has completed is collected.
    Now,
    /// To this moment.
    Deadline(Instant),
    /// Until something completes, or a notification comes.
    Forever,
}

impl Until {
    /// How long that is from now; none is for ever.
    pub(crate) fn left(self) -> Option<Duration> {
        match self {
            Until::Now => Some(Duration::ZERO),
            Until::Deadline(at) => Some(at.saturating_duration_since(Instant::now())),
            Until::Forever => None,
        }
    }
}
