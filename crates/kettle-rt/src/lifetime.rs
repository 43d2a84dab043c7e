//! Owns the life of a loop that runs: from its first task to the end of the last one, or of the thread whose own it is.
//!
//! The unsafe code of this module is finding all tasks by their blocks, and leaving a loop that can't be dropped.

use crate::cancelled::Reason;
use crate::event_loop::{AbortOnUnwind, CURRENT, Loop};
use crate::header::{Flags, Header, Purpose, State, TaskRef};
use crate::order::Order;
use crate::region;
use crate::seed;
use crate::tokens::token;
use std::time::Duration;
use std::{process, ptr, thread};

thread_local! {
    static EXIT: Exit = const { Exit };
}

/// Stops the loop of a thread that exits.
struct Exit;

impl Drop for Exit {
    fn drop(&mut self) {
        CURRENT.set(ptr::null());
    }
}

impl Loop {
    /// Runs tasks until this one has ended, and then what is left, which is cancelled. Called outside of all tasks.
    pub(crate) fn run(&self, root: TaskRef) {
        // A thread that exits in here runs destructors of thread-locals on a task's stack, among tasks that are suspended:
        // none of those goes on then.
        // (Among the last of them there are none left to run.)
        _ = EXIT.try_with(|_| ());
        let own = CURRENT.replace(self);
        self.own.set(own);
        let unwinding = AbortOnUnwind;
        // A simulation that can't go on cancels the task as well.
        if !self.run_until(|| root.has_ended())
            && let Some(order) = &self.order
        {
            self.get_stuck(order, None);
        }
        self.closing.set(true);
        self.run_out();
        self.closing.set(false);
        std::mem::forget(unwinding);
        self.own.set(ptr::null());
        CURRENT.set(own);
    }

    /// This is the thread's own loop from now on, and this task the thread, outside of `run`.
    pub(crate) fn begin_outside(&self, thread: TaskRef) {
        thread.set(Flags::THREAD);
        thread.state.set(State::Running);
        self.live.set(1);
        self.current.set(Some(thread));
        CURRENT.set(self);
    }

    /// The thread ends. Gives whether all other tasks have ended.
    pub(crate) fn end_outside(&self, thread: TaskRef) -> bool {
        self.current.set(None);
        self.end(thread);
        CURRENT.set(ptr::null());
        self.live.get() == 0
    }

    /// Lets go of what is not memory. What tasks of the loop refer to stays where it is, for ever.
    pub(crate) fn abandon(self: Box<Self>) {
        let this = Box::leak(self);
        this.mailbox.close();
        // SAFETY: read once: the rest is forgotten, and nothing runs there any more.
        drop(unsafe { ptr::read(&raw const this.driver) });
    }

    /// Has all tasks end, and runs them until they have: those of scopes first, so that a task which unwinds, perhaps with a
    /// coroutine that has a scope open, does not have to wait for others there.
    #[cold]
    fn run_out(&self) {
        let mut cancelled = Vec::new();
        for task in self.tasks() {
            task.asked.set(task.asked.get().or(Some(Reason::Shutdown)));
            region::spread(task, &mut cancelled);
        }
        for task in self.tasks().into_iter().filter(|task| task.family.get().is_some()) {
            if task.state.get() == State::Operating {
                task.set(Flags::STOPPING);
                self.stopping.set(self.stopping.get() + 1);
            }
            self.interrupt_unless_shielded(task);
        }
        self.run_until(|| self.stopping.get() == 0 && self.ready.borrow().is_empty());
        for task in self.tasks() {
            self.interrupt_unless_shielded(task);
        }
        while !self.run_until(|| self.live.get() == 0) {
            let is_busy = self.order.as_ref().is_some_and(|order| order.is_busy_for_ever());
            if is_busy || !self.hears_of_threads() {
                let why = match is_busy {
                    true => "tasks that are to end run on and on",
                    false => "tasks that are to end go on waiting",
                };
                self.abort_simulation(why, None);
            }
        }
    }

    /// Notes what each task waits for, in a simulation that can't go on.
    fn get_stuck(&self, order: &Order, blocked: Option<Purpose>) {
        order.get_stuck(self.tasks(), blocked, |task| self.driver.borrow().describe(token(task)));
    }

    /// Waits for other threads, for a second of real time, where the other choice is to end the process. Gives whether that
    /// has woken somebody.
    #[cold]
    fn hears_of_threads(&self) -> bool {
        (0..1000).any(|_| {
            thread::sleep(Duration::from_millis(1));
            self.take_mail();
            !self.ready.borrow().is_empty()
        })
    }

    /// What still waits can't be ended, and what it borrows must stay. This says why, what each task does, what they were to
    /// end for if that was a deadlock, and how to see it again. (Something that keeps the thread may wait as well.)
    #[cold]
    pub(crate) fn abort_simulation(&self, why: &str, blocked: Option<Purpose>) -> ! {
        if let Some(order) = &self.order {
            let first = order.take_stuck();
            self.get_stuck(order, blocked);
            let stuck = order.take_stuck().map_or_else(String::new, |stuck| format!("\n{stuck}"));
            let first = first.map_or_else(String::new, |first| format!("\nthey were to end because of this: {first}"));
            eprintln!("end a simulation: {why}{stuck}{first}\nagain with {}={}", seed::VARIABLE, order.replay());
        }
        process::abort();
    }

    /// All tasks that have not ended; those that were made last come first, as far as blocks were not used again.
    pub(crate) fn tasks(&self) -> Vec<TaskRef> {
        // SAFETY: the loop has them as long as it lives.
        let cells = unsafe { self.cells.as_ref() };
        // SAFETY: a task's block is written at once, and the second word is its link's function.
        let taken = unsafe { cells.taken() };
        // SAFETY: a block that is taken is a task's.
        let tasks = taken.into_iter().rev().map(|block| unsafe { TaskRef::new(block.cast::<Header>()) });
        tasks.filter(|task| !task.has_ended()).collect()
    }
}
