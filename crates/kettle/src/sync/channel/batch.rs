//! Owns what an `mpsc` receiver has taken out of its channel at once, and how senders hear that it has less of it. So streaming
//! takes the lock once for many values, and not for each.
//!
//! In a channel with bounds the values of a batch count as if they were in the queue still: a sender finds room when one of them
//! has been received. Their number is a word that the receiver counts down; its lowest bit says that senders wait for that:
//!
//! ```text
//!   who sends, under the lock             who receives
//!   there may be no room: announce        pop, take_one ── the bit is set ──▶ lock: admit who waits, while there is room
//!     │ it gives the number as it is             │ it is not
//!   no room: enter the list                     nothing
//! ```
//!
//! Both change the same word, so one of them is first: either who sends sees the smaller number, or who receives the bit. It
//! is set under the lock before somebody enters the list, and cleared under it when nobody is there. Nothing else is ordered by
//! that word: values move under the lock. Who only reads it may see a number that is too large, never one that is too small, for
//! it grows under the lock alone.
#![forbid(unsafe_code)]

use super::model::{AtomicUsize, Ordering};
use std::cell::{Cell, RefCell, RefMut};
use std::collections::VecDeque;

/// The values that a receiver has taken out, and not given to anybody yet. They come before what is in the channel.
pub(crate) struct Batch<T> {
    values: RefCell<VecDeque<T>>,
    /// How many came at once last.
    last: Cell<usize>,
}

/// A batch of more than one, and fewer than that, says that a stream is received as fast as it is sent. Then both ends want the
/// lock for each value, and each takes it from the other's cache.
const FEW: usize = 64;

impl<T> Batch<T> {
    pub(crate) fn new() -> Self {
        Self { values: RefCell::default(), last: Cell::new(0) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.borrow().is_empty()
    }

    /// The next value. Its flow is to be told that there is one less.
    #[inline]
    pub(super) fn pop(&self) -> Option<T> {
        self.values.borrow_mut().pop_front()
    }

    /// Notes how many have come.
    pub(super) fn note(&self) {
        self.last.set(self.values.borrow().len());
    }

    /// Whether it is better to let some more come first.
    pub(super) fn is_hasty(&self) -> bool {
        (2..FEW).contains(&self.last.get())
    }

    /// What a flow fills.
    pub(super) fn values(&self) -> RefMut<'_, VecDeque<T>> {
        self.values.borrow_mut()
    }

    /// Drops what is there, in its order.
    pub(crate) fn clear(&mut self) {
        self.values.get_mut().clear();
    }
}

/// Somebody waits for room. Set and cleared under the lock; beside it, twice the number of values.
const AWAITED: usize = 1;
const ONE: usize = 2;

/// How many values a batch has.
pub(crate) struct Held(AtomicUsize);

impl Held {
    pub(crate) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// How many they are now. They become fewer, until the next [`hold`](Self::hold).
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed) / ONE
    }

    /// Under the lock: values go into the batch, which was empty.
    pub(crate) fn hold(&self, count: usize) {
        self.0.fetch_add(count * ONE, Ordering::Relaxed);
    }

    /// One has gone. Gives whether somebody may wait for that.
    #[inline]
    pub(crate) fn take_one(&self) -> bool {
        self.0.fetch_sub(ONE, Ordering::Relaxed) & AWAITED != 0
    }

    /// Under the lock: somebody waits for room if there are as many as this gives. If one has gone after that, who receives it
    /// looks for him.
    pub(crate) fn announce(&self) -> usize {
        self.0.fetch_or(AWAITED, Ordering::Relaxed) / ONE
    }

    /// Under the lock: nobody waits any more.
    pub(crate) fn forget(&self) {
        self.0.fetch_and(!AWAITED, Ordering::Relaxed);
    }
}
