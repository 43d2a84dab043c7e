//! Owns the bell: how another thread, or a signal handler, ends a driver's sleep. [`Notifier`] is the side that rings,
//! [`Bell`] the side that sleeps. The protocol between them, and why no wake-up is lost, is in `notifier/README.md`.
#![forbid(unsafe_code)]

use crate::syscalls;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const NOTIFIED: u8 = 2;

#[derive(Debug)]
struct Shared {
    state: AtomicU8,
    eventfd: OwnedFd,
}

/// Ends a driver's sleep, or prevents the next one. Made by [`Driver::notifier`](crate::Driver::notifier); clones ring
/// the same bell.
#[derive(Clone, Debug)]
pub struct Notifier(Arc<Shared>);

impl Notifier {
    /// Makes the driver's [`wait`](crate::Driver::wait) return early: the one that is sleeping, or otherwise the next.
    ///
    /// Several notifications before that are one. What this thread did before it, the driver's thread sees when `wait`
    /// has returned. A signal handler may call it. After the driver has gone it does nothing. Gives whether a driver slept, and
    /// is woken by this.
    pub fn notify(&self) -> bool {
        let wakes = self.0.state.swap(NOTIFIED, Ordering::AcqRel) == ASLEEP;
        if wakes {
            syscalls::signal(&self.0.eventfd);
        }
        wakes
    }
}

/// The driver's side.
#[derive(Debug)]
pub(crate) struct Bell(Arc<Shared>);

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(Shared { state: AtomicU8::new(AWAKE), eventfd: syscalls::eventfd()? })))
    }

    pub(crate) fn notifier(&self) -> Notifier {
        Notifier(Arc::clone(&self.0))
    }

    /// What to wait for, for edges of its readiness.
    pub(crate) fn fd(&self) -> RawFd {
        self.0.eventfd.as_raw_fd()
    }

    /// Whether the driver may sleep. If not, it has been notified. `rouse` must follow the sleep.
    pub(crate) fn doze(&self) -> bool {
        let dozes = self.0.state.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !dozes {
            self.rouse();
        }
        dozes
    }

    /// Whether the driver has been notified; it has not been any more.
    pub(crate) fn rouse(&self) -> bool {
        self.0.state.swap(AWAKE, Ordering::AcqRel) == NOTIFIED
    }

    /// As `rouse`, for who has not slept: without a notification it costs nothing.
    pub(crate) fn hush(&self) -> bool {
        self.0.state.load(Ordering::Relaxed) == NOTIFIED && self.rouse()
    }
}
