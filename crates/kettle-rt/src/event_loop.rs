//! Owns the run loop: which task runs, what wakes it, how it all ends.
//!
//! A loop belongs to its thread, and only that thread has references to it; all in it is in cells that are borrowed for a
//! moment, never across a switch. The one that runs is the thread's *current* loop, and the task that it has resumed the
//! current task.
//!
//! The unsafe code of this module is switching to tasks, and reading as references the pointers that stand for tasks
//! meanwhile: those in the queue, and the driver's tokens.

mod parts;

pub(crate) use self::parts::{Loop, current, entry, is_time_virtual, task};
pub use self::parts::{choose, now};

use self::parts::{CURRENT, ENDED};
use crate::cancelled::{Cancelled, Reason};
use crate::cells::Cells;
use crate::header::{Flags, Header, Region, State, TaskRef};
use crate::order::Order;
use crate::region;
use crate::remote::{Message, Slot};
use crate::token::{region_of, region_token, task_of, token};
use kettle_driver::{Op, Submitted, Token, Until};
use kettle_fiber::stack::Stacks;
use kettle_fiber::{StackError, switch};
use std::any::Any;
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};
use std::{process, thread};

/// How many tasks are resumed before the loop looks at the clock.
const ROUND: usize = 128;

/// How long tasks that are always ready keep the loop from asking the kernel.
const MOST_UNASKED: Duration = Duration::from_micros(100);

/// How many resumes ahead a stack is fetched.
const AHEAD: usize = 4;

/// How many stacks give their memory back between two looks at the kernel.
const COOLED: usize = 256;

/// How long a simulation goes on: what comes later never does. (Who sleeps for ever sleeps for centuries at a time.)
const LIFETIME: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// How many lists of members are kept.
const LISTS: usize = 64;

impl Loop {
    // --- the run loop ---

    /// Runs tasks until this one has ended, and then what is left, which is cancelled. No loop runs on this thread.
    ///
    /// A simulation that gets stuck cancels the task as well.
    pub(crate) fn run(&self, root: TaskRef) {
        debug_assert!(current().is_none(), "invariant: callers look");
        CURRENT.set(self);
        self.run_until_end(Some(root));
        self.closing.set(true);
        self.cancel_all();
        self.run_until_end(None);
        self.closing.set(false);
        CURRENT.set(ptr::null());
    }

    /// In turns until a task has ended, or all have: what is ready runs, then the kernel is asked, in one call, for what
    /// has come and with what is to be done.
    #[inline(never)]
    fn run_until_end(&self, of: Option<TaskRef>) {
        let has_ended = || match of {
            Some(task) => task.has_ended(),
            None => self.live.get() == 0,
        };
        while !has_ended() {
            for _ in 0..ROUND {
                let Some(task) = self.next_ready() else { break };
                self.resume(task);
                if has_ended() {
                    return;
                }
            }
            if let Some(order) = &self.order {
                if self.attend_to_simulation(order) {
                    continue;
                }
                if of.is_some() {
                    return order.get_stuck(self.tasks(), |task| self.driver.borrow().describe(token(task)));
                }
                if !self.hears_of_threads() {
                    self.abort_simulation(order);
                }
                continue;
            }
            self.attend();
        }
    }

    /// Has time pass if nothing is ready. Gives `false` if the simulation is stuck.
    #[inline(never)]
    fn attend_to_simulation(&self, order: &Order) -> bool {
        self.take_mail();
        let until = if self.ready.borrow().is_empty() { self.until_timer() } else { Until::Now };
        let is_stuck = match until {
            Until::Forever => self.driver.borrow().is_quiet(),
            Until::Now => order.is_busy_for_ever(),
            Until::Deadline(at) => {
                let end = self.clock.elapsed() + at.saturating_duration_since(self.now());
                end > LIFETIME && self.driver.borrow().is_quiet()
            }
        };
        if is_stuck {
            return false;
        }
        self.ask(until);
        if until != Until::Now {
            order.pass_time();
        }
        true
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

    /// What still waits can't be ended, and what it borrows must stay.
    #[cold]
    fn abort_simulation(&self, order: &Order) -> ! {
        order.get_stuck(self.tasks(), |task| self.driver.borrow().describe(token(task)));
        if let Some(stuck) = order.take_stuck() {
            eprintln!("end a simulation: tasks that are to end go on waiting\n{stuck}");
        }
        process::abort();
    }

    /// Asks the kernel if it is time to, and waits if nothing is ready.
    fn attend(&self) {
        self.take_mail();
        let until = if self.ready.borrow().is_empty() {
            // Nothing else to do: a good time to give memory back.
            match self.stacks.cool(COOLED) {
                true => Until::Now,
                false if self.clock.is_virtual() => return self.wait_by_clock(),
                false => self.until_timer(),
            }
        } else if self.asked.get().elapsed() >= MOST_UNASKED {
            Until::Now
        } else {
            return;
        };
        self.ask(until);
    }

    /// Waits for the world by its own time, and for the rest not at all, if the clock goes on by itself.
    #[cold]
    fn wait_by_clock(&self) {
        let next = self.timers.borrow().next_deadline();
        if next.is_some_and(|next| next <= self.now()) {
            return self.ask(Until::Now);
        }
        let (Some(next), Some(patience)) = (next, self.jumps) else { return self.ask(Until::Forever) };
        self.ask(Until::Deadline(Instant::now() + patience));
        if self.ready.borrow().is_empty() {
            self.clock.advance_to(next);
            self.ask(Until::Now);
        }
    }

    fn until_timer(&self) -> Until {
        match self.timers.borrow().next_deadline() {
            Some(deadline) => Until::Deadline(deadline),
            None => Until::Forever,
        }
    }

    #[inline(always)]
    fn next_ready(&self) -> Option<TaskRef> {
        let mut ready = self.ready.borrow_mut();
        if let Some(order) = &self.order {
            return order.next(&mut ready);
        }
        let task = ready.pop_front()?;
        // With many tasks all of them are cold. Two that come later are fetched: a header, and a stack by its header.
        if let Some(far) = ready.get(2 * AHEAD) {
            switch::expect(far.header().as_ptr().cast());
            switch::expect(ready[AHEAD].stack_pointer.get());
        }
        Some(task)
    }

    /// Submits what has been collected, waits if there is nothing to do, and wakes whoever that brings news of.
    fn ask(&self, until: Until) {
        let mut completions = self.completions.borrow_mut();
        if let Err(error) = self.driver.borrow_mut().wait(until, &mut completions) {
            // Nothing will ever complete.
            eprintln!("wait for events: {error}");
            process::abort();
        }
        if let Some(order) = &self.order {
            order.mix_completions(&mut completions);
        }
        for completion in completions.drain(..) {
            // SAFETY: the token is of a task that operates, which does not end before this completion.
            let task = unsafe { task_of(completion.token) };
            task.outcome.set(completion.result);
            self.wake(task);
        }
        let now = self.now();
        self.asked.set(now);
        self.unasked.set(0);
        let mut expired = self.expired.borrow_mut();
        self.timers.borrow_mut().expire(now, &mut expired);
        if let Some(order) = &self.order {
            order.mix_timers(&mut expired);
        }
        for token in expired.drain(..) {
            if let Some(region) = region_of(token) {
                if let Some(order) = &self.order {
                    order.expire(None);
                }
                // SAFETY: its timer is taken away when it is left, or has no task any more.
                let region = unsafe { region.as_ref() };
                region.timer.set(None);
                self.cancel_region(region, Reason::Deadline);
                continue;
            }
            // SAFETY: the token is of a task that has set the timer, and takes it away before it ends.
            let task = unsafe { task_of(token) };
            if let Some(order) = &self.order {
                order.expire(Some(task));
            }
            task.timer.set(None);
            task.set(Flags::TIMED_OUT);
            self.interrupt(task);
        }
        self.take_mail();
    }

    /// Wakes whom other threads have woken.
    fn take_mail(&self) {
        let mut messages = self.messages.borrow_mut();
        self.mailbox.empty_into(&mut messages);
        for message in messages.drain(..) {
            if let Some(order) = &self.order {
                order.hear();
            }
            let header = match message {
                Message::Unpark(remote) => remote.task(),
                Message::Deliver(letter) => letter.deliver(),
            };
            if let Some(header) = NonNull::new(header) {
                // SAFETY: it has not ended, or this would be null; and who waits for a letter does not end before.
                self.unpark(unsafe { TaskRef::new(header.cast()) });
            }
        }
    }

    // --- tasks ---

    /// Takes in a task that was made.
    #[inline]
    pub(crate) fn admit(&self, task: TaskRef) {
        self.live.set(self.live.get() + 1);
        if let Some(order) = &self.order {
            order.admit(task, self.current.get());
        }
        if self.closing.get() {
            task.asked.set(Some(Reason::Shutdown));
            task.set(Flags::CANCELLED);
        }
        self.ready.borrow_mut().push_back(task);
    }

    /// Takes in a task that was made in a region, which will wait for it.
    pub(crate) fn admit_to(&self, region: &Region, task: TaskRef) {
        if region.members.borrow().capacity() == 0 {
            region.members.replace(self.lists.borrow_mut().pop().unwrap_or_default());
        }
        region::adopt(region, task);
        self.admit(task);
    }

    /// A task leaves a region. Gives whether it is cancelled outside as well.
    pub(crate) fn leave(&self, task: TaskRef, region: &Region) -> bool {
        self.set_deadline(region, None);
        let list = region.members.take();
        if list.capacity() > 0 && self.lists.borrow().len() < LISTS {
            self.lists.borrow_mut().push(list);
        }
        region::leave(task, region)
    }

    /// Switches to a task until it suspends or ends.
    // Inlined, for a processor predicts returns by the calls that it has seen: none may lie across a switch here.
    #[inline(always)]
    fn resume(&self, task: TaskRef) {
        if task.state.get() == State::Created
            && let Err(error) = self.start(task)
        {
            return self.fail(task, Box::new(error.to_string()));
        }
        task.state.set(State::Running);
        self.current.set(Some(task));
        // SAFETY: 1. prepared by `start`, or left by the last resume. 2. The link is the header's, which stays; the task has
        // not ended. 3. A loop stays on its thread.
        let (word, stack_pointer) = unsafe { switch::resume(task.stack_pointer.get(), &raw const task.link, 0) };
        self.current.set(None);
        if word == ENDED {
            self.end(task);
        } else {
            task.stack_pointer.set(stack_pointer);
        }
    }

    /// Gives a task its stack.
    #[inline]
    fn start(&self, task: TaskRef) -> Result<(), StackError<()>> {
        let stack = if task.has_rare() {
            let (name, size) = task.with_rare(|rare| (rare.name.clone(), rare.stack_size));
            let stacks = if size == 0 { self.stacks.clone() } else { Stacks::of_size(size)? };
            stacks.take("task", name)?
        } else {
            self.stacks.take("task", None)?
        };
        task.link.lie_on(stack.place());
        // SAFETY: the stack is unused, and its top a multiple of 16.
        task.stack_pointer.set(unsafe { switch::prepare(ptr::without_provenance_mut(stack.top())) });
        task.stack.set(Some(stack));
        Ok(())
    }

    /// Ends a task that never runs.
    #[cold]
    fn fail(&self, task: TaskRef, payload: Box<dyn Any + Send>) {
        // SAFETY: it was not started.
        unsafe { (task.vtable.fail)(task, payload) };
        self.end(task);
    }

    /// What follows a task's end.
    fn end(&self, task: TaskRef) {
        drop(task.stack.take());
        task.state.set(State::Ended);
        self.live.set(self.live.get() - 1);
        if let Some(order) = &self.order {
            order.end(task);
        }
        if task.has_rare() {
            task.with_rare(|rare| rare.remote.as_ref().map(|remote| remote.end()));
        }
        if let Some(joiner) = task.joiner.take() {
            self.wake(joiner);
        }
        while let Some(region) = region::abandon(task) {
            self.set_deadline(region, None);
        }
        if let Some((family, is_last)) = region::release(task) {
            if task.is(Flags::PANICKED) && !task.has_handle() {
                family.unheard.set(true);
            }
            if is_last && let Some(waiter) = family.waiter.take() {
                self.wake(waiter);
            }
        }
        // SAFETY: the loop has owned it until now. (A joiner has a handle.)
        unsafe { task.let_go() };
    }

    /// Puts a task that waits into the queue.
    #[inline]
    pub(crate) fn wake(&self, task: TaskRef) {
        if matches!(task.state.get(), State::Waiting | State::Operating) {
            task.state.set(State::Ready);
            self.ready.borrow_mut().push_back(task);
        }
    }

    /// Delivers what a task of this loop waits for.
    #[inline]
    pub(crate) fn deliver(&self, slot: &Slot) {
        let header = NonNull::new(slot.deliver()).expect("invariant: a header does not lie at address 0");
        // SAFETY: it waits for this, and does not end before.
        self.unpark(unsafe { TaskRef::new(header.cast()) });
    }

    /// Wakes a task that is parked.
    pub(crate) fn unpark(&self, task: TaskRef) {
        if task.state.get() == State::Waiting {
            self.wake(task);
        }
    }

    /// Wakes a task before its time. One that operates goes on when its operation has been cancelled.
    fn interrupt(&self, task: TaskRef) {
        match task.state.get() {
            State::Waiting => self.wake(task),
            State::Operating => self.driver.borrow_mut().cancel(token(task)),
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

    /// Has a region be cancelled at a time, or at none. The region belongs to a task of this loop.
    pub(crate) fn set_deadline(&self, region: &Region, deadline: Option<Instant>) {
        let mut timers = self.timers.borrow_mut();
        if let Some(timer) = region.timer.take() {
            timers.cancel(timer);
        }
        region.timer.set(deadline.map(|at| timers.insert(at, region_token(region))));
    }

    /// Cancels all tasks, those that were made last first.
    #[cold]
    fn cancel_all(&self) {
        for task in self.tasks().into_iter().rev() {
            if !task.has_ended() {
                self.cancel(task, Reason::Shutdown);
            }
        }
    }

    /// All tasks that have not ended.
    fn tasks(&self) -> Vec<TaskRef> {
        // SAFETY: the loop has them as long as it lives.
        let cells = unsafe { self.cells.as_ref() };
        // SAFETY: a task's block is written at once, and the second word is its link's function.
        let taken = unsafe { cells.taken() };
        // SAFETY: a block that is taken is a task's.
        let tasks = taken.into_iter().map(|block| unsafe { TaskRef::new(block.cast::<Header>()) });
        tasks.filter(|task| !task.has_ended()).collect()
    }

    // --- what a task calls ---

    /// Suspends the current task until it is woken.
    #[inline]
    pub(crate) fn suspend(&self, task: TaskRef, state: State) {
        task.state.set(state);
        self.switch_away(task);
    }

    /// Goes to the end of the queue.
    #[inline]
    pub(crate) fn yield_now(&self, task: TaskRef) {
        task.state.set(State::Ready);
        self.ready.borrow_mut().push_back(task);
        self.switch_away(task);
    }

    #[inline]
    fn switch_away(&self, task: TaskRef) {
        // SAFETY: this runs in the current task, on its stack or on one of a coroutine that it has resumed: `task` gives no
        // other, and a loop is not `Send`.
        unsafe { switch::suspend(&raw const task.link, 0) };
    }

    /// Submits an operation, and suspends until it has completed. Gives its result.
    ///
    /// # Safety
    ///
    /// What the operation points to is valid until this returns.
    pub(crate) unsafe fn operate(&self, task: TaskRef, op: Op) -> i32 {
        // SAFETY: this returns when the driver has handed out the completion, and not before: nothing else wakes a task that
        // operates, and no panic comes out of the switch.
        let submitted = unsafe { self.driver.borrow_mut().submit(op, token(task)) };
        match submitted {
            Submitted::Done(result) => {
                self.pass(task);
                result
            }
            Submitted::Pending => {
                self.suspend(task, State::Operating);
                task.outcome.get()
            }
        }
    }

    /// Submits an operation that does not wait. Gives its result.
    ///
    /// # Safety
    ///
    /// What the operation points to is valid; the driver does not wait for it.
    pub(crate) unsafe fn attempt(&self, op: Op) -> i32 {
        // SAFETY: by the obligation. A token of nobody, which nothing in flight has.
        match unsafe { self.driver.borrow_mut().submit(op, Token(0)) } {
            Submitted::Done(result) => result,
            Submitted::Pending => unreachable!("invariant: it does not wait"),
        }
    }

    /// Something was done at once. A task whose socket always has something must not keep the others from running.
    #[inline]
    pub(crate) fn pass(&self, task: TaskRef) {
        self.unasked.set(self.unasked.get() + 1);
        if self.unasked.get() >= ROUND || self.order.as_ref().is_some_and(|order| order.pauses(task)) {
            self.yield_now(task);
        }
    }

    /// Sets the task's timer.
    pub(crate) fn set_timer(&self, task: TaskRef, at: Instant) {
        task.clear(Flags::TIMED_OUT);
        task.timer.set(Some(self.timers.borrow_mut().insert(at, token(task))));
    }

    /// Takes the task's timer away. Gives whether it has gone off.
    pub(crate) fn clear_timer(&self, task: TaskRef) -> bool {
        if let Some(timer) = task.timer.take() {
            self.timers.borrow_mut().cancel(timer);
        }
        let timed_out = task.is(Flags::TIMED_OUT);
        task.clear(Flags::TIMED_OUT);
        timed_out
    }

    /// Closes a descriptor, of which the driver may know something.
    pub(crate) fn close(&self, fd: std::os::fd::OwnedFd) {
        self.driver.borrow_mut().close(fd);
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // Tasks that were made and never run.
        while let Some(task) = self.next_ready() {
            self.fail(task, Box::new(Cancelled::new(Reason::Shutdown)));
        }
        self.stacks.undefer();
        // SAFETY: the loop uses them no more.
        unsafe { Cells::release(self.cells) };
    }
}
