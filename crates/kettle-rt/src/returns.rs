//! Owns how blocks of memory come back to the thread that hands them out, from any other: a list without a lock, and when all
//! of them have come back after that thread has gone.
//!
//! Whoever gives a block back puts it at the head of the list; the owner takes the whole list, so no head is mistaken for
//! another one. When the owner goes it closes the list, and says how many blocks are missing. From then on a block that comes
//! back is counted: the one that brings the last one frees the memory of all. Those that were counted before the owner has
//! said how many there are have made the number negative meanwhile, so it is 0 once.
//!
//! ```text
//!   who gives a block back                the owner, at its end
//!   put it in front, unless closed        close, and take the list
//!   closed: missing -= 1                  missing += how many are out
//!   0 now? free all                       0 now? free all
//! ```
//!
//! The unsafe code of this module is writing the links into the blocks.

use crate::atomics::{AtomicPtr, AtomicUsize, Ordering};
use std::ptr::{self, NonNull};

/// What is written into a block on its way back.
#[derive(Debug)]
pub(crate) struct Returned<M> {
    next: *mut Returned<M>,
    /// What its owner wants to know of it.
    pub(crate) mark: M,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Returns<M> {
    head: AtomicPtr<Returned<M>>,
    missing: AtomicUsize,
}

/// Blocks that have come back, one after the other.
#[derive(Debug)]
pub(crate) struct List<M>(*mut Returned<M>);

impl<M: Copy> Returns<M> {
    /// The list that is closed. No block lies at this address.
    const CLOSED: *mut Returned<M> = ptr::without_provenance_mut(1);

    pub(crate) fn new() -> Self {
        Self { head: AtomicPtr::new(ptr::null_mut()), missing: AtomicUsize::new(0) }
    }

    /// Gives a block back. Gives `true` if it was the last one, after the owner has gone: then this has all of them for itself.
    ///
    /// # Safety
    ///
    /// The block is one of the owner's, has room for a `Returned`, is aligned for one, and nobody uses it any more.
    pub(crate) unsafe fn give(&self, block: NonNull<u8>, mark: M) -> bool {
        let block = block.cast::<Returned<M>>();
        let mut head = self.head.load(Ordering::Relaxed);
        while head != Self::CLOSED {
            // SAFETY: by the obligation.
            unsafe { block.write(Returned { next: head, mark }) };
            match self.head.compare_exchange_weak(head, block.as_ptr(), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return false,
                Err(now) => head = now,
            }
        }
        self.missing.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// What has come back. For the owner.
    #[inline]
    pub(crate) fn take(&self) -> List<M> {
        if self.head.load(Ordering::Relaxed).is_null() {
            return List(ptr::null_mut());
        }
        List(self.head.swap(ptr::null_mut(), Ordering::Acquire))
    }

    /// The owner goes, and what comes back is counted from now on. Gives what has come back before.
    pub(crate) fn close(&self) -> List<M> {
        List(self.head.swap(Self::CLOSED, Ordering::Acquire))
    }

    /// So many were not among those that [`close`](Self::close) has given. Gives `true` if they have come back meanwhile: then
    /// the owner has all of them for itself.
    pub(crate) fn miss(&self, count: usize) -> bool {
        self.missing.fetch_add(count, Ordering::AcqRel).wrapping_add(count) == 0
    }
}

impl<M: Copy> Iterator for List<M> {
    type Item = (NonNull<u8>, M);

    fn next(&mut self) -> Option<Self::Item> {
        let block = NonNull::new(self.0)?;
        // SAFETY: it was written before it was put into the list, and is in no other.
        let Returned { next, mark } = unsafe { block.read() };
        self.0 = next;
        Some((block.cast(), mark))
    }
}
