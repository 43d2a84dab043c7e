//! Owns what std leaves to the kernel, and a task must know before it waits: the timeouts of a socket, and whether it is to
//! wait at all.
//!
//! The socket's own options have the same values, for whoever takes it elsewhere. They are kept here besides because
//! asking for them would be a system call for each read. All clones of a socket share them, as they share the kernel's.
#![forbid(unsafe_code)]

use kettle_rt::now;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) read_timeout: Timeout,
    pub(super) write_timeout: Timeout,
    is_nonblocking: AtomicBool,
}

/// How long a call may take.
#[derive(Debug, Default)]
pub(super) struct Timeout {
    /// 0 is without end.
    nanoseconds: AtomicU64,
}

/// How long a call waits for what it can't have at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Patience {
    None,
    Until(Instant),
    Endless,
}

impl Options {
    pub(super) fn set_nonblocking(&self, is_nonblocking: bool) {
        self.is_nonblocking.store(is_nonblocking, Relaxed);
    }

    pub(super) fn is_nonblocking(&self) -> bool {
        self.is_nonblocking.load(Relaxed)
    }

    /// That of a call which begins now, and has this timeout.
    pub(super) fn patience(&self, timeout: &Timeout) -> Patience {
        if self.is_nonblocking() { Patience::None } else { timeout.patience() }
    }
}

impl Timeout {
    pub(super) fn set(&self, time: Option<Duration>) {
        // 584 years are without end as well.
        let nanoseconds = time.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(0));
        self.nanoseconds.store(nanoseconds, Relaxed);
    }

    /// That of a call which begins now.
    fn patience(&self) -> Patience {
        match self.nanoseconds.load(Relaxed) {
            0 => Patience::Endless,
            nanoseconds => Patience::of(Duration::from_nanos(nanoseconds)),
        }
    }
}

impl Patience {
    /// To wait so long, beginning now.
    pub(super) fn of(time: Duration) -> Self {
        now().checked_add(time).map_or(Self::Endless, Self::Until)
    }

    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Until(deadline) => Some(deadline),
            Self::None | Self::Endless => None,
        }
    }

    /// From now to the deadline, never nothing: std takes that for a mistake.
    pub(super) fn time_left(self) -> Option<Duration> {
        let left = self.deadline()?.saturating_duration_since(now());
        Some(left.max(Duration::from_nanos(1)))
    }
}
