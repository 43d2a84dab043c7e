//! Owns what a worker can be given by others: a function that has not begun.
#![forbid(unsafe_code)]

use crate::cancelled::Reason;
use std::fmt;
use std::sync::Arc;

/// A function that some worker is to run as a task, and what becomes of it.
pub(crate) trait Start: Send + Sync {
    /// Makes it a task of the loop that runs.
    fn start(self: Arc<Self>);

    /// It does not begin: drops it. Never panics.
    fn refuse(&self);
}

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
pub(crate) struct Job(Option<Arc<dyn Start>>);

impl Job {
    pub(crate) fn new(function: Arc<dyn Start>) -> Self {
        Self(Some(function))
    }

    /// Makes it a task of the loop that runs.
    #[inline]
    pub(crate) fn start(mut self) {
        if let Some(function) = self.0.take() {
            function.start();
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(function) = &self.0 {
            function.refuse();
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").finish_non_exhaustive()
    }
}
