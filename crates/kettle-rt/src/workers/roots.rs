//! Owns how workers begin together and end together: none begins if one can't, and each waits at its end for the others, so
//! that its tasks and those that it is given go on until the last function has returned.
//!
//! The unsafe code of this module is notifying waiters by their addresses.

use super::begun::Begun;
use crate::cancelled::{Cancelled, Reason};
use crate::crew::Crew;
use crate::event_loop;
use crate::foreign::discard;
use crate::remote::Message;
use crate::waiter::Waiter;
use std::any::Any;
use std::io;
use std::mem;
use std::ptr::NonNull;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The first tasks of all workers.
pub(super) struct Roots {
    crew: Arc<Crew>,
    tasks: Box<[Arc<Begun>]>,
    progress: Mutex<Progress>,
    begun: Condvar,
}

struct Progress {
    /// How many workers have not said whether they can begin.
    missing: usize,
    /// Why one can't.
    error: Option<io::Error>,
    /// How many functions have not returned.
    running: usize,
    /// Whether the functions have been told to end.
    is_cancelled: bool,
    /// The first panic.
    panic: Option<Box<dyn Any + Send>>,
    /// Those whose function has returned.
    waiters: Vec<Place>,
}

/// Where a waiter lies.
struct Place(NonNull<Waiter>);

// SAFETY: it is for notifying, which any thread may do.
unsafe impl Send for Place {}

impl Roots {
    pub(super) fn new(crew: Arc<Crew>) -> Self {
        let count = crew.len();
        let progress = Progress {
            missing: count,
            error: None,
            running: count,
            is_cancelled: false,
            panic: None,
            waiters: Vec::new(),
        };
        let tasks = (0..count).map(|_| Arc::new(Begun::new())).collect();
        Self { crew, tasks, progress: Mutex::new(progress), begun: Condvar::new() }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // Nothing panics under it.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many workers say whether they can begin.
    pub(super) fn report(&self, count: usize, error: Option<io::Error>) {
        let mut progress = self.progress();
        progress.missing -= count;
        progress.error = progress.error.take().or(error);
        self.begun.notify_all();
    }

    /// Waits until all have said that they can begin. Gives `false` if one can't. Blocks the thread, on which nothing runs yet.
    pub(super) fn begins(&self) -> bool {
        let mut progress = self.progress();
        while progress.missing > 0 {
            progress = self.begun.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
        progress.error.is_none()
    }

    /// Why it has not begun, and the first panic of those that have.
    pub(super) fn into_failures(self) -> (Option<io::Error>, Option<Box<dyn Any + Send>>) {
        let progress = self.progress.into_inner().unwrap_or_else(PoisonError::into_inner);
        (progress.error, progress.panic)
    }

    /// This task is a worker's first.
    pub(super) fn begin(&self, index: usize) {
        if let Some((_, task)) = event_loop::task() {
            self.tasks[index].begin(task);
        }
    }

    /// The worker's function has panicked, or was unwound: it won't give what it was to. The others are cancelled.
    pub(super) fn fail(&self, panic: Box<dyn Any + Send>) {
        let mut progress = self.progress();
        let is_better = progress.panic.as_ref().is_none_or(|known| known.is::<Cancelled>() && !panic.is::<Cancelled>());
        let other = if is_better { progress.panic.replace(panic) } else { Some(panic) };
        drop(progress);
        discard(other);
        self.cancel(Reason::Sibling);
    }

    /// Has the functions of all workers end, unless they have been told: they unwind for the first reason.
    pub(super) fn cancel(&self, reason: Reason) {
        if mem::replace(&mut self.progress().is_cancelled, true) {
            return;
        }
        for (index, root) in self.tasks.iter().enumerate() {
            self.crew.tell(index, Message::Cancel(Arc::clone(root) as _, reason));
        }
    }

    /// The worker's function has returned. Waits for those of the others, cancelled or not, while the worker's tasks run.
    pub(super) fn end(&self, index: usize) {
        let waiter = Waiter::new();
        if !self.leave(Some(&waiter)) {
            waiter.wait_for_notice();
        }
        self.tasks[index].end();
    }

    /// The worker's function can't begin, though all have: the others are cancelled, and do not wait for it.
    pub(super) fn refuse(&self, panic: Box<dyn Any + Send>) {
        self.fail(panic);
        self.crew.end();
        self.leave(None);
    }

    /// A worker's function has returned, or won't begin. Gives `true` if it is the last one: then those that wait have been
    /// notified. Otherwise this waiter will be.
    fn leave(&self, waiter: Option<&Waiter>) -> bool {
        let others = {
            let mut progress = self.progress();
            progress.running -= 1;
            if progress.running > 0 {
                progress.waiters.extend(waiter.map(|waiter| Place(NonNull::from(waiter))));
                return false;
            }
            mem::take(&mut progress.waiters)
        };
        self.crew.end();
        for Place(other) in others {
            // SAFETY: 1. it is in the list once, and was taken out. 2. It waits for this.
            unsafe { Waiter::notify(other) };
        }
        true
    }
}
