//! Owns poisoning: whether somebody unwound while he had a lock, for [`Mutex`](super::Mutex) and [`RwLock`](super::RwLock).

use super::system::{AtomicBool, Ordering, constant};
use std::sync::{LockResult, PoisonError};
use std::thread;

/// Whether a lock is poisoned.
#[derive(Debug)]
pub(crate) struct Poison(AtomicBool);

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
            Self(AtomicBool::new(false))
        }
    }

    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whoever has the lock is about to give it up. (What is written here is ordered by that.)
    #[inline]
    pub(crate) fn given_up(&self, taken: Taken) {
        if !taken.was_panicking && thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// What is given to who asks: in an error if it is poisoned.
    #[inline]
    pub(crate) fn wrap<T>(&self, given: T) -> LockResult<T> {
        if self.is_set() { Err(PoisonError::new(given)) } else { Ok(given) }
    }
}
