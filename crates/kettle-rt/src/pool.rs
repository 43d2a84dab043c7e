//! Owns the memory that functions lie in on their way to another thread: blocks that one thread hands out, and any may
//! give back.
//!
//! Blocks are those of [`Cells`], which belong to the thread that hands them out. It takes back what others have given when it
//! needs blocks. A pool outlives its owner as long as a block of it is out, and with it what it keeps.
//!
//! The unsafe code of this module is reaching the pool by the address that is in its blocks, and freeing it.

use crate::cells::{Cells, Size};
use crate::returns::{List, Returns};
use std::fmt;
use std::ptr::NonNull;

/// See the module.
pub(crate) struct Pool<K> {
    /// For the owner, and when that has gone for the one that has given the last block back.
    cells: NonNull<Cells>,
    returns: Returns<Size>,
    keeps: K,
}

/// The owner's side of a pool.
pub(crate) struct PoolOwner<K>(NonNull<Pool<K>>);

// SAFETY: blocks are handed out by one thread at a time, and nothing in a pool belongs to a thread.
unsafe impl<K: Send + Sync> Send for PoolOwner<K> {}

impl<K> PoolOwner<K> {
    /// A pool, and what it keeps as long as a block is out.
    pub(crate) fn new(keeps: K) -> Self {
        let pool = Pool { cells: Cells::new(), returns: Returns::new(), keeps };
        Self(NonNull::from(Box::leak(Box::new(pool))))
    }

    fn pool(&self) -> &Pool<K> {
        // SAFETY: it is there as long as its owner.
        unsafe { self.0.as_ref() }
    }

    /// The address of the pool, to give blocks back.
    #[inline]
    pub(crate) fn address(&self) -> NonNull<Pool<K>> {
        self.0
    }

    /// Takes a block.
    #[inline]
    pub(crate) fn take(&self, size: Size) -> NonNull<u8> {
        let pool = self.pool();
        // SAFETY: they are there as long as the pool, and for its owner.
        let cells = unsafe { pool.cells.as_ref() };
        if !cells.has_free(size) {
            self.take_back(pool.returns.take());
        }
        cells.take(size)
    }

    fn take_back(&self, list: List<Size>) {
        for (block, size) in list {
            // SAFETY: it was taken from these cells, of this size, and nobody uses it.
            unsafe { self.give(block, size) };
        }
    }

    /// Takes a block back.
    ///
    /// # Safety
    ///
    /// It was taken from this pool, of this size, and nobody uses it.
    #[inline]
    pub(crate) unsafe fn give(&self, block: NonNull<u8>, size: Size) {
        // SAFETY: by the obligation.
        unsafe { Cells::give(self.pool().cells, block, size) };
    }
}

impl<K> Pool<K> {
    /// What it keeps.
    ///
    /// # Safety
    ///
    /// A block of it is out as long as this is looked at.
    #[inline]
    pub(crate) unsafe fn keeps<'a>(this: NonNull<Self>) -> &'a K {
        // SAFETY: by the obligation.
        unsafe { &(*this.as_ptr()).keeps }
    }

    /// Gives a block back, from any thread.
    ///
    /// # Safety
    ///
    /// It was taken from this pool, of this size, and nobody uses it.
    pub(crate) unsafe fn give(this: NonNull<Self>, block: NonNull<u8>, size: Size) {
        // SAFETY: a block is out, until this is done.
        let returns = unsafe { &(*this.as_ptr()).returns };
        // SAFETY: by the obligation; the smallest block has room.
        if unsafe { returns.give(block, size) } {
            // SAFETY: the owner has gone, and that was the last block.
            unsafe { Self::free(this) };
        }
    }

    /// # Safety
    ///
    /// Nobody has the pool nor a block of it.
    unsafe fn free(this: NonNull<Self>) {
        // SAFETY: made by a box; by the obligation.
        let pool = unsafe { Box::from_raw(this.as_ptr()) };
        // SAFETY: nobody uses a block of them.
        unsafe { Cells::discard(pool.cells) };
    }
}

impl<K> Drop for PoolOwner<K> {
    fn drop(&mut self) {
        let pool = self.pool();
        self.take_back(pool.returns.close());
        // SAFETY: they are there as long as the pool.
        let missing = unsafe { pool.cells.as_ref() }.count();
        if pool.returns.miss(missing) {
            // SAFETY: all blocks are back, and the owner goes.
            unsafe { Pool::free(self.0) };
        }
    }
}

impl<K> fmt::Debug for PoolOwner<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolOwner").finish_non_exhaustive()
    }
}
