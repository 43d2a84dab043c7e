//! Owns what the primitives are made of: the waiter, and the lock of a queue.

pub(crate) use kettle_rt::{Waiter, Woken, shield};

use std::sync::{Mutex, PoisonError};

/// What a [`Lock`] gives, for moments: never across a wait.
pub(crate) type LockGuard<'a, Q> = std::sync::MutexGuard<'a, Q>;

/// The lock around a queue and what belongs to it. It blocks the thread, and is held for moments.
#[derive(Debug)]
pub(crate) struct Lock<Q>(Mutex<Q>);

impl<Q> Lock<Q> {
    pub(crate) const fn new(guarded: Q) -> Self {
        Self(Mutex::new(guarded))
    }

    /// Nothing that is done under such a lock panics halfway.
    pub(crate) fn lock(&self) -> LockGuard<'_, Q> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
