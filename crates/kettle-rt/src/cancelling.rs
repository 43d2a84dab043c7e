//! Owns how the loop ends tasks before their time: those that are told to, and those of a region.
#![forbid(unsafe_code)]

use crate::cancelled::Reason;
use crate::event_loop::{self, Loop};
use crate::header::{Flags, Region, State, TaskRef};
use crate::region;

impl Loop {
    /// Wakes a task before its time. One that operates goes on when its operation has been cancelled.
    pub(crate) fn interrupt(&self, task: TaskRef) {
        match task.state.get() {
            State::Waiting(_) => self.wake(task),
            State::Operating => self.stop_operation(task),
            State::Created if task.is(Flags::HELD) => {
                let family = region::family(task).expect("invariant: a region holds it");
                self.give_turn(family, task);
            }
            _ => {}
        }
    }

    /// Has a task end: it unwinds where it waits, or where it would wait next.
    pub(crate) fn cancel(&self, task: TaskRef, reason: Reason) {
        if !task.has_ended() && task.asked.get().is_none() {
            task.asked.set(Some(reason));
            let mut cancelled = Vec::new();
            region::spread(task, &mut cancelled);
            self.interrupt_all(cancelled);
        }
    }

    /// Has a region end, and all tasks that were spawned in it.
    pub(crate) fn cancel_region(&self, region: &Region, reason: Reason) {
        if region.asked.get().is_none() {
            region.asked.set(Some(reason));
            let mut cancelled = Vec::new();
            region::spread_from(region, &mut cancelled);
            self.interrupt_all(cancelled);
        }
    }

    /// Wakes tasks that have just been cancelled.
    fn interrupt_all(&self, tasks: Vec<TaskRef>) {
        for task in tasks {
            if let Some(home) = event_loop::home_of(task) {
                home.interrupt_unless_shielded(task);
            }
        }
    }

    /// Wakes a task that is cancelled, unless it waits for what must have ended.
    pub(crate) fn interrupt_unless_shielded(&self, task: TaskRef) {
        if task.is(Flags::CANCELLED) && !task.is(Flags::SHIELDED) {
            self.interrupt(task);
        }
    }
}
