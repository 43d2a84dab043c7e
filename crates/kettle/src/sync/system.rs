//! Owns what the primitives are made of: atomics, the lock of a queue, the waiter, the thread's name. In models, under
//! `cfg(loom)`, the checker's stand for all of them.

#[cfg(not(loom))]
pub(crate) use {
    kettle_rt::{Purpose, Wait, Waiter, Woken, raise_if_cancelled, refuse_to_wait, shield},
    std::hint::spin_loop,
    std::sync::Mutex,
    std::sync::atomic::{AtomicU8, AtomicUsize},
};

#[cfg(loom)]
pub(crate) use {
    super::model::{Waiter, here, raise_if_cancelled, shield},
    kettle_rt::{Purpose, Wait, Woken, refuse_to_wait},
    loom::hint::spin_loop,
    loom::sync::Mutex,
    loom::sync::atomic::{AtomicU8, AtomicUsize},
};

use std::sync::PoisonError;
pub(crate) use std::sync::atomic::Ordering;

/// What a [`Lock`] gives, for moments: never across a wait.
#[cfg(not(loom))]
pub(crate) type LockGuard<'a, Q> = std::sync::MutexGuard<'a, Q>;
#[cfg(loom)]
pub(crate) type LockGuard<'a, Q> = loom::sync::MutexGuard<'a, Q>;

/// The lock around a queue and what belongs to it. It blocks the thread, and is held for moments.
#[derive(Debug)]
pub(crate) struct Lock<Q>(Mutex<Q>);

/// Defines a function that is `const`, except in models, whose atomics are not.
macro_rules! constant {
    ($(#[$attribute:meta])* $visibility:vis const fn $($rest:tt)*) => {
        $(#[$attribute])*
        #[cfg(not(loom))]
        $visibility const fn $($rest)*

        $(#[$attribute])*
        #[cfg(loom)]
        $visibility fn $($rest)*
    };
}
pub(crate) use constant;

impl<Q> Lock<Q> {
    constant! {
        pub(crate) const fn new(guarded: Q) -> Self {
            Self(Mutex::new(guarded))
        }
    }

    /// Nothing that is done under such a lock panics halfway.
    pub(crate) fn lock(&self) -> LockGuard<'_, Q> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Raises the cancellation, with the lock released. Where panics abort nothing is raised, and it has not been released:
/// whoever goes on waiting has missed nothing.
pub(crate) fn raise_or_keep<'a, Q>(lock: &'a Lock<Q>, guard: LockGuard<'a, Q>) -> LockGuard<'a, Q> {
    if cfg!(panic = "abort") {
        return guard;
    }
    drop(guard);
    raise_if_cancelled();
    lock.lock()
}

/// A number that tells this thread from all others that run: even, and not 0.
#[cfg(not(loom))]
#[inline]
pub(crate) fn here() -> usize {
    thread_local! {
        static HERE: u64 = const { 0 };
    }
    HERE.with(|here| std::ptr::from_ref(here).addr())
}
