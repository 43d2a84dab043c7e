//! Owns the gate: a value that any thread may use, until its owner takes it away.
//!
//! Who enters is counted, in one word with the mark that says that the gate is closed. The owner sets the mark and waits
//! until nobody is inside any more; whoever comes later finds the mark and goes away. So using the value takes no lock:
//! nobody who is inside waits for anybody, and only the owner, once, waits for those. In a forked child they are not there, and what
//! they had begun stays as it is: there the owner gets nothing, and the value is left where it lies.
//!
//! ```text
//!   who uses the value                     its owner
//!   word += 1; closed? word -= 1, leave    set the mark
//!   use it                                 wait until nobody is counted
//!   word -= 1                              take the value
//! ```
//!
//! The unsafe code of this module is reaching the value.

use crate::atomics::{AtomicUsize, Ordering, UnsafeCell, spin_loop, yield_now};
use std::fmt;
use std::ops::Deref;
use std::process;

/// The mark in the word; the rest is how many are inside. Set by the owner, cleared never.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// How often the owner looks, before it lets other threads run.
const LOOKS: usize = 100;

/// See the module.
pub(crate) struct Gate<T> {
    word: AtomicUsize,
    /// Who made it.
    process: u32,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: the value is lent to several threads, and given to the one that closes.
unsafe impl<T: Send + Sync> Sync for Gate<T> {}

/// The value, as long as somebody uses it.
pub(crate) struct Inside<'a, T>(&'a Gate<T>);

impl<T> Gate<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { word: AtomicUsize::new(0), process: process::id(), value: UnsafeCell::new(Some(value)) }
    }

    /// Lends the value, unless it has been taken away.
    #[inline]
    pub(crate) fn enter(&self) -> Option<Inside<'_, T>> {
        // Looked at first: many who come late do not keep the owner waiting.
        if self.word.load(Ordering::Relaxed) & CLOSED != 0 {
            return None;
        }
        // Dropped, if it is closed by now: it has been counted.
        let is_closed = self.word.fetch_add(1, Ordering::Acquire) & CLOSED != 0;
        let inside = Inside(self);
        (!is_closed).then_some(inside)
    }

    /// Takes the value away, when nobody uses it any more; `None` if somebody has, and in a child that was forked
    /// while somebody used it. Whoever calls this is not inside.
    pub(crate) fn close(&self) -> Option<T> {
        if self.word.fetch_or(CLOSED, Ordering::Acquire) & CLOSED != 0 {
            return None;
        }
        let mut looks = 0;
        while self.word.load(Ordering::Acquire) != CLOSED {
            looks += 1;
            if looks < LOOKS {
                spin_loop();
                continue;
            }
            if process::id() != self.process {
                return None;
            }
            yield_now();
        }
        // SAFETY: nobody is inside, nor comes in; and only the first who closes gets here.
        self.value.with_mut(|value| unsafe { &mut *value }.take())
    }
}

impl<T> Deref for Inside<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: it is counted, and came before the mark: nobody changes the value until it has gone.
        let value = self.0.value.with(|value| unsafe { &*value });
        value.as_ref().expect("invariant: it is taken away when nobody is inside")
    }
}

impl<T> Drop for Inside<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.word.fetch_sub(1, Ordering::Release);
    }
}

impl<T> fmt::Debug for Gate<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_closed = self.word.load(Ordering::Relaxed) & CLOSED != 0;
        f.debug_struct("Gate").field("is_closed", &is_closed).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "it can't fork")]
    fn a_forked_child_does_not_wait_for_threads_of_its_parent() {
        let gate = Gate::new(7);
        // As another thread that is in there when this one forks.
        let inside = gate.enter();
        // SAFETY: the child does nothing but compare numbers, and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: no pointers: a child that waits is ended.
            unsafe { libc::alarm(60) };
            let is_left = gate.close().is_none() && gate.enter().is_none();
            // SAFETY: no pointers.
            unsafe { libc::_exit(i32::from(!is_left)) };
        }
        let mut status = 0;
        // SAFETY: the status is a variable; it is this process's child.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0);
        drop(inside);
        assert_eq!(gate.close(), Some(7));
    }
}
