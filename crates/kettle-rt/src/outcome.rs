//! Owns what becomes of a function that runs elsewhere: whether it has begun, is cancelled, has a result, who waits for that,
//! and who frees the allocation that all of them share. It has two sides, the one that has the job, and later runs it as a task,
//! and the one that has the handle; each is one thread at a time. A cancellation on its way to the task is a third one.
//!
//! ```text
//!             complete                  the handle takes the result, and frees
//!   Empty ───────────────▶ Complete ─────────────────────▶
//!    │ ▲  ◀── leave        ▲
//!    │ └─────────┐         │
//!    │ expect    │         │
//!    ├───────▶ a waiter ───┘ complete: gives the waiter, to be notified
//!    │ abandon
//!    └───────▶ Abandoned ─── complete: takes the result back, and frees
//! ```
//!
//! This is one word, changed by exchanges, so one side is first. The one that completes finds the waiter and has to
//! notify it, or the waiter is told that it need not wait. Who leaves and does not find the waiter there any more is about to
//! be notified. Who is second has the result for itself, and the allocation: the first one does not look at it again.
//!
//! A second word is the stage: a cancellation and the beginning are decided by one exchange, so who cancels what has begun
//! knows that it has to tell the task's thread. What it sends there points to the allocation, so it says so first
//! ([`send`](Outcome::send)); then the second of the two sides and the one that delivers say in that word that they are done,
//! and the later one of them frees. No more is sent than once.
#![forbid(unsafe_code)]

use crate::atomics::{AtomicPtr, AtomicUsize, Ordering};
use std::fmt;
use std::ptr;

const EMPTY: *mut () = ptr::null_mut();
const COMPLETE: *mut () = ptr::without_provenance_mut(1);
const ABANDONED: *mut () = ptr::without_provenance_mut(2);

/// It is to end. Set by the handle, cleared never.
const CANCELLED: usize = 1;
/// A cancellation is on its way, or has been delivered. Set by the handle, cleared never.
const SENT: usize = 1 << 1;
/// That one has been delivered. Set by who delivers it, cleared never.
const DELIVERED: usize = 1 << 2;
/// Neither the one that completes it nor the handle uses it any more. Set by the second of them if something was sent, cleared
/// never.
const LEFT: usize = 1 << 3;
/// It has become a task, of the worker whose index the bits from here on have, and 1 is added. Set by that one, cleared never.
const BEGUN: usize = 1 << 4;

/// See the module.
pub(crate) struct Outcome {
    /// One of the above, or the address of a waiter.
    word: AtomicPtr<()>,
    /// Bits, of those above.
    stage: AtomicUsize,
}

/// What is left to do for the one that has completed it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Completed {
    /// Nothing: the handle has the result.
    Quietly,
    /// To notify the waiter at this address, and nothing else.
    Awaited(*mut ()),
    /// To take the result back, for there is no handle, and then to say so by [`leave_both`](Outcome::leave_both).
    Unwanted,
}

// All of it says "the one that" of its callers: an owner of the allocation may only be sure of it by these rules.
impl Outcome {
    pub(crate) fn new() -> Self {
        Self { word: AtomicPtr::new(EMPTY), stage: AtomicUsize::new(0) }
    }

    // --- the side that has the job ---

    /// It becomes a task of this worker. Gives whether it was cancelled before.
    #[inline]
    pub(crate) fn begin(&self, index: usize) -> bool {
        self.stage.fetch_or((index + 1) * BEGUN, Ordering::AcqRel) & CANCELLED != 0
    }

    /// The result is in its place. Called once; if the handle has not gone, it has all of it from now on.
    #[inline]
    pub(crate) fn complete(&self) -> Completed {
        match self.word.swap(COMPLETE, Ordering::AcqRel) {
            word if word == EMPTY => Completed::Quietly,
            word if word == ABANDONED => Completed::Unwanted,
            waiter => Completed::Awaited(waiter),
        }
    }

    // --- the side that has the handle ---

    /// Whether the result is there.
    #[inline]
    pub(crate) fn is_complete(&self) -> bool {
        self.word.load(Ordering::Acquire) == COMPLETE
    }

    /// Has a waiter be notified, by its address, where none is. Gives `false` if it is complete: then nobody is.
    pub(crate) fn expect(&self, waiter: *mut ()) -> bool {
        self.word.compare_exchange(EMPTY, waiter, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Has the waiter not be notified. Gives `false` if somebody is about to.
    pub(crate) fn leave(&self, waiter: *mut ()) -> bool {
        self.word.compare_exchange(waiter, EMPTY, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The handle goes, and nobody waits by it. Gives whether the result is there: to be taken, and then to say so by
    /// [`leave_both`](Self::leave_both). Otherwise the other side has all of it from now on.
    #[inline]
    pub(crate) fn abandon(&self) -> bool {
        self.is_complete() || self.word.compare_exchange(EMPTY, ABANDONED, Ordering::AcqRel, Ordering::Acquire).is_err()
    }

    /// It is to end. Gives the index of the worker that has begun it and has to be told, if there is one: the first time.
    pub(crate) fn cancel(&self) -> Option<usize> {
        let stage = self.stage.fetch_or(CANCELLED, Ordering::AcqRel);
        if stage & CANCELLED == 0 { (stage / BEGUN).checked_sub(1) } else { None }
    }

    /// Has it not begin, if it has not. Gives whether it won't.
    pub(crate) fn prevent(&self) -> bool {
        let cancel = |stage| (stage < BEGUN).then_some(stage | CANCELLED);
        self.stage.fetch_update(Ordering::AcqRel, Ordering::Acquire, cancel).is_ok()
    }

    /// A cancellation is about to be sent: [`deliver`](Self::deliver) follows. By the one that [`cancel`](Self::cancel) has
    /// given an index to.
    pub(crate) fn send(&self) {
        self.stage.fetch_or(SENT, Ordering::Relaxed);
    }

    // --- who frees ---

    /// Both sides have gone, says the second one. Gives whether it is to free the allocation; otherwise who delivers does.
    #[inline]
    pub(crate) fn leave_both(&self) -> bool {
        // Seen: what the handle has sent came before its end.
        self.stage.load(Ordering::Relaxed) & SENT == 0 || self.stage.fetch_or(LEFT, Ordering::AcqRel) & DELIVERED != 0
    }

    /// What was sent has been delivered, or was dropped. Gives whether that one is to free the allocation.
    pub(crate) fn deliver(&self) -> bool {
        self.stage.fetch_or(DELIVERED, Ordering::AcqRel) & LEFT != 0
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome").field("is_complete", &self.is_complete()).finish_non_exhaustive()
    }
}
