//! Owns what a worker can be given by others: a function that has not begun.
//!
//! It is a pointer to what has the function, of one word, so that a queue of many is short. That begins with a reference to
//! what is known of it at compile time.
//!
//! The unsafe code of this module is calling the functions that are there.

use crate::cancelled::Reason;
use std::alloc::Layout;
use std::fmt;
use std::mem;
use std::ptr::NonNull;

/// What is known of a function at compile time. Each of the first three is called for a job that was not begun, and no other one
/// after it.
#[derive(Debug)]
pub(crate) struct Functions {
    /// Makes it a task of the loop that runs.
    pub(crate) start: unsafe fn(Begin),
    /// Runs it in the task that runs, which has done what it was made for.
    pub(crate) start_in_task: unsafe fn(Begin),
    /// It does not begin: drops it. Never panics.
    pub(crate) refuse: unsafe fn(Begin),
    /// Of all that the job points to.
    pub(crate) layout: Layout,
    /// Where the place of the result is in there.
    pub(crate) place: usize,
    /// Whether it lies in a pool's block.
    pub(crate) is_pooled: bool,
}

/// What a job points to: something that begins with this.
pub(crate) type Begin = NonNull<&'static Functions>;

/// What can be cancelled by a message to its loop.
pub(crate) trait Cancel: Send + Sync {
    /// Has it end, on the thread of its loop.
    fn cancel(&self, reason: Reason);
}

impl fmt::Debug for dyn Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel").finish_non_exhaustive()
    }
}

/// A function that has not begun. It begins once, on one worker; if this is dropped, never.
pub(crate) struct Job(Begin);

// SAFETY: by the obligation of `new`.
unsafe impl Send for Job {}

impl Job {
    /// # Safety
    ///
    /// 1. What is there may be begun and refused on any thread. 2. It stays until it is, and this is the only job of it.
    #[inline]
    pub(crate) unsafe fn new(begin: Begin) -> Self {
        Self(begin)
    }

    #[inline]
    fn functions(&self) -> &'static Functions {
        // SAFETY: by the obligation of `new`.
        unsafe { self.0.read() }
    }

    /// Makes it a task of the loop that runs.
    #[inline]
    pub(crate) fn start(self) {
        let (functions, begin) = (self.functions(), self.0);
        mem::forget(self);
        // SAFETY: it has not begun, and there is no job any more.
        unsafe { (functions.start)(begin) };
    }

    /// Runs it in the task that runs, which has done what it was made for.
    #[inline]
    pub(crate) fn start_in_task(self) {
        let (functions, begin) = (self.functions(), self.0);
        mem::forget(self);
        // SAFETY: it has not begun, and there is no job any more.
        unsafe { (functions.start_in_task)(begin) };
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // SAFETY: it has not begun, and there is no job any more.
        unsafe { (self.functions().refuse)(self.0) };
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}
