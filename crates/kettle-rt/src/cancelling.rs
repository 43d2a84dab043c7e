//! Owns how the loop ends tasks before their time: those that are told to, those of a region, all of them.
//!
//! The unsafe code of this module is finding all tasks in the blocks that they lie in.

use crate::cancelled::Reason;
use crate::event_loop::Loop;
use crate::header::{Flags, Header, Region, State, TaskRef};
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
            if !task.is(Flags::SHIELDED) {
                self.interrupt(task);
            }
        }
    }

    /// Cancels all tasks, those that were made last first.
    #[cold]
    pub(crate) fn cancel_all(&self) {
        for task in self.tasks().into_iter().rev() {
            self.cancel(task, Reason::Shutdown);
        }
    }

    /// All tasks that have not ended.
    pub(crate) fn tasks(&self) -> Vec<TaskRef> {
        // SAFETY: the loop has them as long as it lives.
        let cells = unsafe { self.cells().as_ref() };
        // SAFETY: a task's block is written at once, and the second word is its link's function.
        let taken = unsafe { cells.taken() };
        // SAFETY: a block that is taken is a task's.
        let tasks = taken.into_iter().map(|block| unsafe { TaskRef::new(block.cast::<Header>()) });
        tasks.filter(|task| !task.has_ended()).collect()
    }
}
