//! Owns the run loop: which task runs, and what wakes it.
//!
//! A loop belongs to its thread, and only that thread has references to it; all in it is in cells that are borrowed for a
//! moment, never across a switch. The one that runs is the thread's *current* loop, and the task that it has resumed the
//! current task.
//!
//! The unsafe code of this module is switching to tasks, and reading as references the pointers that stand for tasks
//! meanwhile: those in the queue, and the driver's tokens.

mod parts;

pub(crate) use self::parts::{
    AbortOnUnwind, CURRENT, Loop, current, entry, here, home_of, is_outside, is_time_virtual, is_wanted,
    refuse_to_go_on, task, would_sleep,
};
pub use self::parts::{choose, now};

use self::parts::ENDED;
use crate::alarm::Listener;
use crate::cancelled::Reason;
use crate::cells::Cells;
use crate::crew::Member;
use crate::foreign::wake;
use crate::header::{Flags, Purpose, Region, Run, State, TaskRef, Wait};
use crate::job::Job;
use crate::order::Order;
use crate::remote::{Message, Slot};
use crate::tokens::{alarm_of, region_of, region_token, task_of, token};
use kettle_driver::{Op, Submitted, Token, Until};
use kettle_fiber::stack::Stacks;
use kettle_fiber::{StackError, switch};
use std::convert::Infallible;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

/// How many tasks are resumed before the loop looks at the clock.
const ROUND: usize = 128;

/// How many operations are collected before the kernel hears of them: what has begun is not to wait for all who are ready.
const BATCH: usize = 32;

/// How long tasks that are always ready keep the loop from asking the kernel.
const MOST_UNASKED: Duration = Duration::from_micros(100);

/// How many resumes ahead a stack is fetched.
const AHEAD: usize = 4;

/// How many stacks give their memory back between two looks at the kernel.
const COOLED: usize = 256;

/// How long a simulation goes on: what comes later never does. (Who sleeps for ever sleeps for centuries at a time.)
const LIFETIME: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

impl Loop {
    // --- the run loop ---

    /// Runs the others until it is the turn of the thread's own task, whose stack this is.
    #[cold]
    fn run_until_turn(&self, thread: TaskRef) {
        self.current.set(None);
        let unwinding = AbortOnUnwind;
        loop {
            for _ in 0..ROUND {
                let Some(task) = self.next_ready() else { break };
                if task == thread {
                    std::mem::forget(unwinding);
                    task.state.set(State::Running);
                    self.current.set(Some(task));
                    return;
                }
                self.resume(task);
                if self.begun.get() >= BATCH {
                    break;
                }
            }
            self.attend();
        }
    }

    /// In turns: what is ready runs, then the kernel is asked, in one call, for what has come and with what is to be done. Gives
    /// `false` if this is a simulation that can't go on.
    #[inline(always)]
    pub(crate) fn run_until(&self, is_over: impl Fn() -> bool) -> bool {
        while !is_over() {
            for _ in 0..ROUND {
                let Some(task) = self.next_ready().or_else(|| self.begin_next()) else { break };
                self.resume(task);
                if is_over() {
                    return true;
                }
                if self.begun.get() >= BATCH {
                    break;
                }
            }
            match &self.order {
                None => self.attend(),
                Some(order) if self.attend_to_simulation(order) => {}
                Some(_) => return false,
            }
        }
        true
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

    /// Makes a task of what this worker has not begun, and gives it: where nothing is ready. `None` as well if so many have
    /// begun that it is time to look around.
    #[inline(always)]
    fn begin_next(&self) -> Option<TaskRef> {
        self.member.get()?.next_of(ROUND)?.start();
        self.next_ready()
    }

    /// What the task that runs, which has done what it was made for, is to do in the place of another one: what this worker
    /// would make a task of next. So it needs no block, no stack and no switch.
    #[inline]
    pub(crate) fn next_in_task(&self, task: TaskRef) -> Option<Job> {
        let member = self.member.get()?;
        let is_free = self.ready.borrow().is_empty() && self.begun.get() < BATCH && !self.closing.get();
        if is_free && task.is_as_new() { member.next_of(ROUND) } else { None }
    }

    /// Asks the kernel if it is time to, and waits if nothing is ready.
    fn attend(&self) {
        self.take_mail();
        if let Some(member) = self.member.get() {
            return self.attend_as_worker(member);
        }
        let until = if self.ready.borrow().is_empty() {
            // Nothing else to do: a good time to give memory back.
            match self.stacks.cool(COOLED) {
                true => Until::Now,
                false if self.clock.is_virtual() => return self.wait_by_clock(),
                false => self.until_timer(),
            }
        } else if self.begun.get() >= BATCH || self.asked.get().elapsed() >= MOST_UNASKED {
            Until::Now
        } else {
            return;
        };
        self.ask(until);
    }

    /// The same for one of several workers, which looks for work of others before it waits. What it has not begun has a turn
    /// here, if something is always ready.
    fn attend_as_worker(&self, member: &Member) {
        member.look_around();
        let ready = self.ready.borrow().len();
        member.show_ready(ready);
        member.show_tasks(self.live.get());
        if ready > 0
            && let Some(job) = member.next()
        {
            job.start();
        }
        if ready > 0 || member.has_own() {
            if self.begun.get() >= BATCH || self.asked.get().elapsed() >= MOST_UNASKED {
                self.ask(Until::Now);
            }
        } else if self.stacks.cool(COOLED) || (member.is_eager() && self.begun.get() > 0) {
            // What has begun does not wait until it has looked for more.
            self.ask(Until::Now);
        } else if member.sleep() {
            self.ask(self.until_timer());
            member.wake(self.ready.borrow().len());
        }
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
            self.complete(task);
        }
        let now = self.now();
        self.asked.set(now);
        self.unasked.set(0);
        self.begun.set(0);
        drop(completions);
        let mut expired = self.expired.borrow_mut();
        self.timers.borrow_mut().expire(now, &mut expired);
        if let Some(order) = &self.order {
            order.mix_timers(&mut expired);
        }
        // A waker is foreign code, and may drop what other tokens stand for: the last one is read before the first waker runs.
        let mut wakers = Vec::new();
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
            if let Some(alarm) = alarm_of(token) {
                if let Some(order) = &self.order {
                    order.expire(None);
                }
                // SAFETY: its future takes the timer away before it goes.
                match unsafe { alarm.as_ref() }.go_off() {
                    Some(Listener::Task(task)) => self.wake(task.woken()),
                    Some(Listener::Waker(waker)) => wakers.push(waker),
                    None => {}
                }
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
        drop(expired);
        wakers.into_iter().for_each(wake);
        self.take_mail();
    }

    /// Wakes whom other threads have woken.
    pub(crate) fn take_mail(&self) {
        let mut messages = self.messages.borrow_mut();
        self.mailbox.empty_into(&mut messages);
        for message in messages.drain(..) {
            if let Some(order) = &self.order {
                order.hear();
            }
            let header = match message {
                Message::Unpark(remote) => remote.task(),
                Message::Deliver(letter) => letter.deliver(),
                Message::Start(job) => {
                    job.start();
                    continue;
                }
                Message::Cancel(task, reason) => {
                    task.cancel(reason);
                    continue;
                }
            };
            if let Some(header) = NonNull::new(header) {
                // SAFETY: it has not ended, or this would be null; and who waits for a letter does not end before.
                self.wake(unsafe { TaskRef::new(header.cast()) });
            }
        }
    }

    // --- tasks ---

    /// Switches to a task until it suspends or ends.
    // Inlined, for a processor predicts returns by the calls that it has seen: none may lie across a switch here.
    #[inline(always)]
    fn resume(&self, task: TaskRef) {
        if task.stack_pointer.get().is_null() {
            if let Run::Future(poll) = task.vtable.run {
                return self.poll(task, poll);
            }
            if let Err(error) = self.start(task) {
                return self.fail(task, &error);
            }
        }
        task.state.set(State::Running);
        self.current.set(Some(task));
        // SAFETY: 1. prepared by `start`, or left by the last resume. 2. The link is the header's, which stays; the task has
        // not ended. 3. A loop stays on its thread.
        let (word, stack_pointer) = unsafe { switch::resume(task.stack_pointer.get(), task.link(), 0) };
        self.current.set(None);
        if word == ENDED {
            self.end(task);
        } else {
            task.stack_pointer.set(stack_pointer);
        }
    }

    /// Polls a task that has no stack.
    #[inline(never)]
    fn poll(&self, task: TaskRef, poll: unsafe fn(TaskRef) -> bool) {
        task.state.set(State::Running);
        // SAFETY: the task is one of this kind, and has not ended.
        if unsafe { poll(task) } {
            self.end(task);
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
        task.stack_pointer.set(unsafe { switch::prepare(ptr::with_exposed_provenance_mut(stack.top())) });
        task.stack.set(Some(stack));
        Ok(())
    }

    /// Ends a task that never runs.
    #[cold]
    fn fail(&self, task: TaskRef, error: &StackError<()>) {
        // Said by the panic hook, as any other panic of a task: perhaps nobody joins it.
        let panic = catch_unwind(AssertUnwindSafe(|| panic!("{error}")))
            .map_or_else(|payload| payload, |never: Infallible| match never {});
        // SAFETY: it was not started.
        unsafe { (task.vtable.fail)(task, panic) };
        self.end(task);
    }

    /// Puts a task that waits into the queue.
    #[inline]
    pub(crate) fn wake(&self, task: TaskRef) {
        if matches!(task.state.get(), State::Waiting(_)) {
            self.make_ready(task);
        }
    }

    /// Puts a task into the queue whose operation has completed: nothing else does (S3).
    #[inline]
    fn complete(&self, task: TaskRef) {
        debug_assert_eq!(task.state.get(), State::Operating, "invariant: a completion is that of an operation");
        if task.is(Flags::STOPPING) {
            task.clear(Flags::STOPPING);
            self.stopping.set(self.stopping.get() - 1);
        }
        self.make_ready(task);
    }

    #[inline(always)]
    pub(crate) fn make_ready(&self, task: TaskRef) {
        task.state.set(State::Ready);
        self.ready.borrow_mut().push_back(task);
    }

    /// Delivers what a task of this loop waits for.
    #[inline]
    pub(crate) fn deliver(&self, slot: &Slot) {
        let header = NonNull::new(slot.deliver()).expect("invariant: a header does not lie at address 0");
        // SAFETY: it waits for this, and does not end before.
        self.wake(unsafe { TaskRef::new(header.cast()) });
    }

    /// Has a region be cancelled at a time, or at none. The region belongs to a task of this loop.
    pub(crate) fn set_deadline(&self, region: &Region, deadline: Option<Instant>) {
        let mut timers = self.timers.borrow_mut();
        if let Some(timer) = region.timer.take() {
            timers.cancel(timer);
        }
        region.timer.set(deadline.map(|at| timers.insert(at, region_token(region))));
    }

    /// Asks the driver to end a task's operation. It completes all the same, and the task goes on then.
    pub(crate) fn stop_operation(&self, task: TaskRef) {
        self.driver.borrow_mut().cancel(token(task));
    }

    // --- what a task calls ---

    /// Suspends the current task until it is woken.
    #[inline]
    pub(crate) fn wait(&self, task: TaskRef, purpose: Purpose) {
        if let Some(order) = &self.order {
            order.note_place(task, purpose.at);
        }
        self.suspend(task, State::Waiting(purpose.wait));
    }

    #[inline]
    fn suspend(&self, task: TaskRef, state: State) {
        task.state.set(state);
        self.switch_away(task);
    }

    /// Goes to the end of the queue.
    #[inline]
    pub(crate) fn yield_now(&self, task: TaskRef) {
        self.make_ready(task);
        self.switch_away(task);
    }

    #[inline]
    fn switch_away(&self, task: TaskRef) {
        if task.is(Flags::THREAD) {
            return self.run_until_turn(task);
        }
        // SAFETY: this runs in the current task, on its stack or on one of a coroutine that it has resumed: `task` gives no
        // other, and a loop is not `Send`.
        unsafe { switch::suspend(task.link(), 0) };
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
                self.begun.set(self.begun.get() + 1);
                task.outcome.set(wait_of(&op) as i32);
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

    /// Says that a descriptor comes from elsewhere.
    pub(crate) fn adopt(&self, fd: BorrowedFd<'_>) {
        self.driver.borrow_mut().adopt(fd);
    }

    /// Says that a descriptor is given away.
    pub(crate) fn release(&self, fd: BorrowedFd<'_>) {
        self.driver.borrow_mut().release(fd);
    }

    /// Closes a descriptor, of which the driver may know something.
    pub(crate) fn close(&self, fd: OwnedFd) {
        self.driver.borrow_mut().close(fd);
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        debug_assert_eq!(self.live.get(), 0, "invariant: `run` returns when all tasks have ended");
        self.mailbox.close();
        self.stacks.undefer();
        // SAFETY: the loop uses them no more.
        unsafe { Cells::release(self.cells) };
    }
}

/// What a task waits for by an operation.
fn wait_of(op: &Op) -> Wait {
    match op {
        Op::Recv { .. } | Op::RecvMsg { .. } | Op::Read { .. } => Wait::Read,
        Op::Send { .. } | Op::SendMsg { .. } | Op::Write { .. } => Wait::Write,
        Op::Accept { .. } => Wait::Accept,
        Op::Connect { .. } => Wait::Connect,
        Op::Poll { .. } | Op::Nop => Wait::Operation,
    }
}
