//! Owns the lock of a channel: one atomic exchange to take it, one store to give it back.
//!
//! What is done under it is a few writes (at worst a queue grows), never code of a user, and it is never held while a task
//! is suspended. So who finds it taken spins a little; then the holder has lost its processor, and is given ours.
//!
//! The unsafe code of this module is handing out what is locked.

#[cfg(not(loom))]
pub(crate) use exchange::Lock;
#[cfg(loom)]
pub(crate) use model::Lock;

#[cfg(not(loom))]
mod exchange {
    use std::cell::UnsafeCell;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;
    use std::{hint, thread};

    /// See the module.
    pub(crate) struct Lock<T> {
        is_held: AtomicBool,
        value: UnsafeCell<T>,
    }

    // SAFETY: one thread at a time reaches the value, whichever it is.
    unsafe impl<T: Send> Sync for Lock<T> {}

    impl<T> Lock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self { is_held: AtomicBool::new(false), value: UnsafeCell::new(value) }
        }

        /// Runs a function on what is locked. It must not lock it again.
        #[inline]
        pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
            struct Held<'a>(&'a AtomicBool);
            impl Drop for Held<'_> {
                #[inline]
                fn drop(&mut self) {
                    self.0.store(false, Ordering::Release);
                }
            }
            if self.is_held.swap(true, Ordering::Acquire) {
                self.wait();
            }
            let _held = Held(&self.is_held);
            // SAFETY: who has made it held is alone with it until it is held no more.
            f(unsafe { &mut *self.value.get() })
        }

        #[cold]
        fn wait(&self) {
            let mut round = 0;
            // Looking does not take the line from its holder; trying does.
            while self.is_held.load(Ordering::Relaxed) || self.is_held.swap(true, Ordering::Acquire) {
                relax(round);
                round = round.saturating_add(1);
            }
        }
    }

    /// Waits for another thread to do the next few instructions, the longer the more often it was in vain: that thread may
    /// have to be scheduled first, and not before a thread of higher priority sleeps.
    fn relax(round: u32) {
        match round {
            0..64 => hint::spin_loop(),
            64..128 => thread::yield_now(),
            _ => thread::sleep(Duration::from_micros(50)),
        }
    }
}

#[cfg(loom)]
mod model {
    /// The model checker's: one that spins has more orders than can be tried.
    pub(crate) struct Lock<T>(loom::sync::Mutex<T>);

    impl<T> Lock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
            f(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
        }
    }
}
