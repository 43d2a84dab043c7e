//! Owns the alarm: what is woken when a time has come, other than a task that waits for nothing else.
//!
//! It lies in the future that waits for the time, which takes its timer away before it goes.

use crate::header::{Flags, TaskRef};
use std::cell::Cell;
use std::task::Waker;

/// See the module.
#[derive(Default)]
pub(crate) struct Alarm {
    listener: Cell<Option<Listener>>,
}

pub(crate) enum Listener {
    /// A task of the loop whose timer it is.
    Task(Kept),
    Waker(Waker),
}

/// A task whose block stays, also when it has ended. For its own thread.
pub(crate) struct Kept(TaskRef);

impl Alarm {
    /// Says who is to be woken.
    pub(crate) fn listen(&self, listener: Listener) {
        self.listener.set(Some(listener));
    }

    /// The time has come. Gives who is to be woken, if it hasn't been taken before.
    pub(crate) fn go_off(&self) -> Option<Listener> {
        self.listener.take()
    }
}

impl Kept {
    pub(crate) fn new(task: TaskRef) -> Self {
        task.share();
        Self(task)
    }

    pub(crate) fn task(&self) -> TaskRef {
        self.0
    }

    /// The task, which a future that it polls wakes.
    pub(crate) fn woken(&self) -> TaskRef {
        self.0.set(Flags::WOKEN);
        self.0
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: shared by `new`.
        unsafe { self.0.let_go() };
    }
}
