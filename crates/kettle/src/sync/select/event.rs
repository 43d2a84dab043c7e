//! Owns the arms that are no channels: times, ends of tasks, descriptors.
//!
//! A time is the wait's own deadline. The end of a task wakes the task that waits, which looks. A descriptor is polled by a
//! task of its own, which `Select` spawns.
//!
//! The unsafe code of this module is asking whether a descriptor is ready, and having the end of a task wake this one.

use super::arm::{Arm, Waitable};
use crate::sync::channel::waiting::Entry;
use kettle_rt::driver::Interest;
use kettle_rt::{Ending, JoinHandle, ScopedJoinHandle, now};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

/// An arm that is a time. Made by [`after`] and [`at`].
#[derive(Debug)]
pub struct Time {
    /// `None` is later than the clock can tell.
    at: Option<Instant>,
}

/// Ready when so much time has passed from now on.
pub fn after(time: Duration) -> Time {
    Time { at: now().checked_add(time) }
}

/// Ready when a time has come.
pub fn at(time: impl Into<Instant>) -> Time {
    Time { at: Some(time.into()) }
}

impl Time {
    /// The time has come, when this arm was chosen.
    pub fn finish(self) {}
}

impl Arm for Time {}

impl Waitable for Time {
    fn attempt(&mut self) -> bool {
        self.at.is_some_and(|at| at <= now())
    }

    unsafe fn enter(&mut self, _: &Entry<'_>) -> bool {
        true
    }

    fn leave(&self) {}

    fn deadline(&self) -> Option<Instant> {
        self.at
    }
}

/// The handle of a task that may be joined.
pub trait Join {
    #[doc(hidden)]
    fn joining(&mut self) -> Joining<'_>;
}

/// An arm that is the end of a task. Made by [`join`].
#[derive(Debug)]
pub struct Joining<'a> {
    ending: Ending<'a>,
}

/// Ready when a task has ended: then joining its handle does not wait.
pub fn join<J: Join>(handle: &mut J) -> Joining<'_> {
    handle.joining()
}

impl<T> Join for JoinHandle<T> {
    fn joining(&mut self) -> Joining<'_> {
        Joining { ending: self.ending() }
    }
}

impl<T> Join for ScopedJoinHandle<'_, T> {
    fn joining(&mut self) -> Joining<'_> {
        Joining { ending: self.ending() }
    }
}

impl Joining<'_> {
    /// The task has ended, when this arm was chosen.
    pub fn finish(self) {}
}

impl Arm for Joining<'_> {}

impl Waitable for Joining<'_> {
    fn attempt(&mut self) -> bool {
        self.ending.has_come()
    }

    unsafe fn enter(&mut self, _: &Entry<'_>) -> bool {
        // SAFETY: `leave` follows.
        unsafe { self.ending.expect() };
        !self.ending.has_come()
    }

    fn leave(&self) {
        self.ending.forget();
    }

    fn is_over(&self) -> bool {
        self.ending.has_come()
    }
}

/// An arm that is the readiness of a descriptor. Made by [`readable`] and [`writable`].
pub struct Readiness<'a> {
    fd: BorrowedFd<'a>,
    interest: Interest,
}

/// Ready when reading from a descriptor, or accepting from it, would not wait: there is something, the end, or an error.
pub fn readable<F: AsFd>(descriptor: &F) -> Readiness<'_> {
    Readiness { fd: descriptor.as_fd(), interest: Interest::Readable }
}

/// Ready when writing to a descriptor would not wait: there is room, or an error.
pub fn writable<F: AsFd>(descriptor: &F) -> Readiness<'_> {
    Readiness { fd: descriptor.as_fd(), interest: Interest::Writable }
}

impl Readiness<'_> {
    /// The descriptor is ready, when this arm was chosen.
    pub fn finish(self) {}
}

impl Arm for Readiness<'_> {}

impl Waitable for Readiness<'_> {
    fn attempt(&mut self) -> bool {
        let events = match self.interest {
            Interest::Readable => libc::POLLIN,
            Interest::Writable => libc::POLLOUT,
        };
        let mut poll = libc::pollfd { fd: self.fd.as_raw_fd(), events, revents: 0 };
        // SAFETY: one `pollfd`, of this frame; it does not wait.
        unsafe { libc::poll(&raw mut poll, 1, 0) > 0 }
    }

    unsafe fn enter(&mut self, _: &Entry<'_>) -> bool {
        true
    }

    fn leave(&self) {}

    fn descriptor(&self) -> Option<(BorrowedFd<'_>, Interest)> {
        Some((self.fd, self.interest))
    }
}

impl fmt::Debug for Readiness<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").field("fd", &self.fd).field("interest", &self.interest).finish()
    }
}
