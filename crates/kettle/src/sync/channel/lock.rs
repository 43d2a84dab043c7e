//! Owns the lock of a channel: one atomic exchange to take it, one store to give it back.
//!
//! What is done under it is a few writes (at worst a queue grows), never code of a user, and it is never held while a task
//! is suspended. So who finds it taken spins a little; then the holder has lost its processor, and is given ours.
//!
//! The unsafe code of this module is handing out what is locked.

use super::model::{AtomicBool, Ordering, Shared, relax};

/// See the module.
pub(crate) struct Lock<T> {
    is_held: AtomicBool,
    value: Shared<T>,
}

// SAFETY: one thread at a time reaches the value, whichever it is.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { is_held: AtomicBool::new(false), value: Shared::new(value) }
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
        self.value.with_mut(|value| f(unsafe { &mut *value }))
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
