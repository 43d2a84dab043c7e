//! Owns poisoning: whether somebody unwound while he had a lock, for [`Mutex`](super::Mutex) and [`RwLock`](super::RwLock).
//!
//! The byte that says so is looked at by everybody who takes the lock, so it has something else to say as well: whether it is to
//! be asked if this is a simulation, where others may run before. That is asked the first time. Outside of simulations never
//! again, so the fast path is std's: if the byte is 0, there is nothing to be said.

use super::system::{AtomicU8, Ordering, constant};
use kettle_rt::pauses_before_lock;
use std::sync::{LockResult, PoisonError};
use std::thread;

/// Somebody unwound while he had the lock. Set and cleared by who has it; also cleared by who knows better.
const POISONED: u8 = 1;
/// It has been taken in simulations only. Set from the beginning, cleared by who takes it elsewhere.
const ASKS: u8 = 2;
/// A new lock. (A model is no simulation.)
const NEW: u8 = if cfg!(loom) { 0 } else { ASKS };

/// Whether a lock is poisoned, and whether it asks.
#[derive(Debug)]
pub(crate) struct Poison(AtomicU8);

/// What who has a lock remembers: whether his thread was unwinding when he took it. Then it is not his doing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    was_panicking: bool,
}

impl Taken {
    #[inline]
    pub(crate) fn now() -> Self {
        Self { was_panicking: thread::panicking() }
    }
}

impl Poison {
    constant! {
        pub(crate) const fn new() -> Self {
            Self(AtomicU8::new(NEW))
        }
    }

    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) & POISONED != 0
    }

    pub(crate) fn clear(&self) {
        self.0.fetch_and(!POISONED, Ordering::Relaxed);
    }

    /// Whoever has the lock is about to give it up. (What is written here is ordered by that.)
    #[inline]
    pub(crate) fn given_up(&self, taken: Taken) {
        if !taken.was_panicking && thread::panicking() {
            self.0.fetch_or(POISONED, Ordering::Relaxed);
        }
    }

    /// Whether there is nothing to be said to who has taken the lock.
    #[inline]
    pub(crate) fn is_silent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Whether this is a simulation, and who has taken the lock gives it back once more, lets others run, and takes it again.
    #[track_caller]
    pub(crate) fn asks_to_pause(&self) -> bool {
        if self.0.load(Ordering::Relaxed) & ASKS == 0 {
            return false;
        }
        pauses_before_lock().unwrap_or_else(|| {
            self.0.fetch_and(!ASKS, Ordering::Relaxed);
            false
        })
    }

    /// What is given to who asks: in an error if it is poisoned.
    #[inline]
    pub(crate) fn wrap<T>(&self, given: T) -> LockResult<T> {
        if self.is_set() { Err(PoisonError::new(given)) } else { Ok(given) }
    }
}
