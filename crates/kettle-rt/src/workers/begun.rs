//! Owns how a task of a worker is cancelled from elsewhere: by its header's address, which only its own thread looks at.
//!
//! The unsafe code of this module is finding the task by that address.

use crate::cancelled::Reason;
use crate::event_loop;
use crate::header::{Header, TaskRef};
use crate::job::Cancel;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

/// A task that has begun and not ended. Written and read by its own thread; any thread may share it.
#[derive(Debug)]
pub(super) struct Begun(AtomicPtr<Header>);

impl Begun {
    /// None yet.
    pub(super) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// A task has begun. [`end`](Self::end) comes before its end.
    pub(super) fn begin(&self, task: TaskRef) {
        self.0.store(task.header().as_ptr(), Ordering::Relaxed);
    }

    /// Its function has returned, or won't be called.
    pub(super) fn end(&self) {
        self.0.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// Whether it is the task that runs.
    pub(super) fn is_current(&self) -> bool {
        let current = event_loop::current().and_then(|current| current.current_task());
        current.is_some_and(|task| task.header().as_ptr() == self.0.load(Ordering::Relaxed))
    }
}

impl Cancel for Begun {
    fn cancel(&self, reason: Reason) {
        let header = NonNull::new(self.0.load(Ordering::Relaxed));
        if let (Some(header), Some(event_loop)) = (header, event_loop::current()) {
            // SAFETY: this is its thread, and it has not ended, or this would be null.
            let task = unsafe { TaskRef::new(header) };
            event_loop.cancel(task, reason);
        }
    }
}
