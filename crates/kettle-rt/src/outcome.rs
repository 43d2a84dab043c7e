//! Owns what becomes of a function that runs elsewhere: its result, and who waits for that. Each of the two sides, the one
//! that completes it and the one that has the handle, is one thread at a time.
//!
//! ```text
//!             complete                  the handle: take
//!   Empty ───────────────▶ Complete ─────────────────────▶ the result has gone
//!    │ ▲  ◀── leave        ▲    │ abandon: gives it
//!    │ └─────────┐         │    ▼
//!    │ expect    │         │   Complete, the result has gone
//!    ├───────▶ a waiter ───┘ complete: gives the waiter, to be notified
//!    │ abandon
//!    └───────▶ Abandoned ─── complete: gives the result back
//! ```
//!
//! All of it is in one word, changed by exchanges, so one side is first. The one that completes finds the waiter and has to
//! notify it, or the waiter is told that it need not wait. Who leaves and does not find the waiter there any more is about to
//! be notified. A result is dropped by one of the two, never by whoever else shares the allocation.
//!
//! The unsafe code of this module is the place of the result.

use crate::atomics::{AtomicPtr, Ordering, UnsafeCell};
use std::fmt;
use std::ptr;

const EMPTY: *mut () = ptr::null_mut();
const COMPLETE: *mut () = ptr::without_provenance_mut(1);
const ABANDONED: *mut () = ptr::without_provenance_mut(2);

/// See the module.
pub(crate) struct Outcome<T> {
    /// One of the above, or the address of a waiter.
    word: AtomicPtr<()>,
    result: UnsafeCell<Option<T>>,
}

// SAFETY: the result is written by one thread, and then taken by one.
unsafe impl<T: Send> Sync for Outcome<T> {}

/// What is left to do for the one that has completed it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Completed<T> {
    /// Nothing.
    Quietly,
    /// To notify the waiter at this address.
    Awaited(*mut ()),
    /// To drop the result: there is no handle.
    Unwanted(T),
}

impl<T> Outcome<T> {
    pub(crate) fn new() -> Self {
        Self { word: AtomicPtr::new(EMPTY), result: UnsafeCell::new(None) }
    }

    /// Puts the result there.
    ///
    /// # Safety
    ///
    /// Called once.
    pub(crate) unsafe fn complete(&self, result: T) -> Completed<T> {
        // SAFETY: nobody looks before the word says that it is complete.
        self.result.with_mut(|place| unsafe { *place = Some(result) });
        match self.word.swap(COMPLETE, Ordering::AcqRel) {
            word if word == EMPTY => Completed::Quietly,
            // SAFETY: the handle has gone.
            word if word == ABANDONED => unsafe { self.take() }.map_or(Completed::Quietly, Completed::Unwanted),
            waiter => Completed::Awaited(waiter),
        }
    }

    /// Whether the result is there, or was.
    #[inline]
    pub(crate) fn is_complete(&self) -> bool {
        self.word.load(Ordering::Acquire) == COMPLETE
    }

    /// Has a waiter be notified, by its address. Gives `false` if it is complete: then nobody is.
    ///
    /// # Safety
    ///
    /// For the one that has the handle; nobody waits.
    pub(crate) unsafe fn expect(&self, waiter: *mut ()) -> bool {
        self.word.compare_exchange(EMPTY, waiter, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Has the waiter not be notified. Gives `false` if somebody is about to.
    ///
    /// # Safety
    ///
    /// For the one that has the handle, and waits.
    pub(crate) unsafe fn leave(&self, waiter: *mut ()) -> bool {
        self.word.compare_exchange(waiter, EMPTY, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Takes the result.
    ///
    /// # Safety
    ///
    /// It is complete, and this is the one that has the handle.
    pub(crate) unsafe fn take(&self) -> Option<T> {
        // SAFETY: by the obligation.
        self.result.with_mut(|place| unsafe { &mut *place }.take())
    }

    /// The handle goes. Gives the result, if it is there.
    ///
    /// # Safety
    ///
    /// For the one that has the handle, which does nothing more; nobody waits.
    pub(crate) unsafe fn abandon(&self) -> Option<T> {
        // Looked at first, for most handles have been joined.
        let is_left = !self.is_complete()
            && self.word.compare_exchange(EMPTY, ABANDONED, Ordering::AcqRel, Ordering::Acquire).is_ok();
        // SAFETY: it is complete, for nobody waits.
        if is_left { None } else { unsafe { self.take() } }
    }
}

impl<T> fmt::Debug for Outcome<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome").field("is_complete", &self.is_complete()).finish_non_exhaustive()
    }
}
