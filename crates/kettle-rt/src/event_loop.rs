//! Owns the run loop: which task runs, what wakes it, how it all ends.
//!
//! A loop belongs to its thread, and only that thread has references to it; all in it is in cells that are borrowed for a
//! moment, never across a switch. The one that runs is the thread's *current* loop, and the task that it has resumed the
//! current task.
//!
//! A forked child has no current loop. What it has of its parent's, tasks included, is a copy that stands still: the one
//! that has forked runs on as a thread without a loop, and must not come back.
//!
//! The unsafe code of this module is switching to tasks, and reading as references the pointers that stand for tasks
//! meanwhile: those in the queue, and the driver's tokens.

use crate::alarm::Listener;
use crate::cancelled::Reason;
use crate::cells::Cells;
use crate::fork::at_fork;
use crate::header::{Flags, Region, Run, State, TaskRef, Wait};
use crate::remote::{Mailbox, Message, Slot};
use crate::tokens::{alarm_of, region_of, region_token, task_of, token};
use kettle_driver::{Choice, Completion, Driver, Op, Submitted, Timers, Token, Until};
use kettle_fiber::link::Link;
use kettle_fiber::stack::Stacks;
use kettle_fiber::{StackError, switch};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, process, thread};

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

/// The word with which a task ends. (It suspends with 0.)
const ENDED: usize = 1;

thread_local! {
    /// The loop that runs on this thread.
    pub(crate) static CURRENT: Cell<*const Loop> = const { Cell::new(ptr::null()) };
}

/// Ends the process if it is dropped: tasks borrow from what lies below the loop, so no panic may pass it while they run.
/// Those of tasks have been caught.
pub(crate) struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        eprintln!("a panic would leave the event loop, whose tasks have not ended");
        process::abort();
    }
}

/// See the module.
pub(crate) struct Loop {
    pub(crate) ready: RefCell<VecDeque<TaskRef>>,
    pub(crate) current: Cell<Option<TaskRef>>,
    /// How many tasks have not ended.
    pub(crate) live: Cell<usize>,
    /// Whether what still runs is to end.
    pub(crate) closing: Cell<bool>,
    /// How many operations are awaited before the rest is to end.
    pub(crate) stopping: Cell<usize>,
    /// The thread's own loop, if this one runs inside of it.
    pub(crate) own: Cell<*const Loop>,
    /// Whether this is the copy that a forked child has.
    pub(crate) is_copy: Cell<bool>,
    pub(crate) driver: RefCell<Driver>,
    /// Shared with futures that wait for a time, which may outlive the loop.
    pub(crate) timers: Rc<RefCell<Timers>>,
    stacks: Stacks,
    pub(crate) cells: NonNull<Cells>,
    pub(crate) mailbox: Arc<Mailbox>,
    /// What the driver, the timers and the mailbox give, emptied each time.
    completions: RefCell<Vec<Completion>>,
    expired: RefCell<Vec<Token>>,
    messages: RefCell<Vec<Message>>,
    /// Lists of members that are not in use, for the regions to come.
    pub(crate) lists: RefCell<Vec<Vec<TaskRef>>>,
    asked: Cell<Instant>,
    /// How many operations in a row were done at once.
    unasked: Cell<usize>,
    /// How many operations have been submitted since the kernel was last asked.
    begun: Cell<usize>,
}

/// The current loop, if one runs on this thread.
#[inline]
pub(crate) fn current<'a>() -> Option<&'a Loop> {
    // SAFETY: set by `run` for as long as that runs. Whoever asks is called by it, directly or from a task; all of those
    // end before it returns, and `Loop` is not `Send`.
    unsafe { CURRENT.get().as_ref() }
}

/// The current loop and task. `None` outside of tasks, and where the task is unwinding: it must not be left then (S4).
#[inline]
pub(crate) fn task<'a>() -> Option<(&'a Loop, TaskRef)> {
    let current = current()?;
    let task = current.current.get()?;
    (!thread::panicking()).then_some((current, task))
}

/// Whether this is outside of all `run`s: no loop runs, or the thread's own one, and the thread is not in a task of it.
pub(crate) fn is_outside() -> bool {
    current().is_none_or(|event_loop| event_loop.current.get().is_some_and(|task| task.is(Flags::THREAD)))
}

/// What time it is: the current loop's time, if one runs on this thread.
pub fn now() -> Instant {
    current().map_or_else(Instant::now, Loop::now)
}

impl Loop {
    pub(crate) fn new(driver: Driver, stack_size: usize) -> io::Result<Self> {
        let stacks = Stacks::of_size(stack_size).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        stacks.defer();
        at_fork(leave_behind);
        Ok(Self {
            ready: RefCell::default(),
            current: Cell::new(None),
            live: Cell::new(0),
            closing: Cell::new(false),
            stopping: Cell::new(0),
            own: Cell::new(ptr::null()),
            is_copy: Cell::new(false),
            timers: Rc::new(RefCell::new(Timers::new(Instant::now()))),
            mailbox: Mailbox::new(driver.notifier()),
            driver: RefCell::new(driver),
            stacks,
            cells: Cells::new(),
            completions: RefCell::default(),
            expired: RefCell::default(),
            messages: RefCell::default(),
            lists: RefCell::default(),
            asked: Cell::new(Instant::now()),
            unasked: Cell::new(0),
            begun: Cell::new(0),
        })
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::now()
    }

    pub(crate) fn cells(&self) -> NonNull<Cells> {
        self.cells
    }

    /// That of tasks which don't say.
    pub(crate) fn stack_size(&self) -> usize {
        self.stacks.size()
    }

    pub(crate) fn choice(&self) -> Choice {
        self.driver.borrow().choice().clone()
    }

    pub(crate) fn current_task(&self) -> Option<TaskRef> {
        self.current.get()
    }

    pub(crate) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    // --- the run loop ---

    /// Whether a task is one of this loop.
    pub(crate) fn has(&self, task: TaskRef) -> bool {
        task.is_in(self.cells)
    }

    /// The loop of a task which has not ended: a region may have tasks of the thread's own loop and of the one that runs inside.
    /// Those of a forked child's parent have none.
    pub(crate) fn home(&self, task: TaskRef) -> Option<&Loop> {
        if self.has(task) {
            return Some(self);
        }
        let inside = current()?;
        // SAFETY: a loop runs inside of another one as long as that is there.
        let own = unsafe { inside.own.get().as_ref() };
        [Some(inside), own].into_iter().flatten().find(|home| home.has(task))
    }

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

    /// In turns: what is ready runs, then the kernel is asked, in one call, for what has come and with what is to be done.
    #[inline(always)]
    pub(crate) fn run_until(&self, is_over: impl Fn() -> bool) {
        while !is_over() {
            for _ in 0..ROUND {
                let Some(task) = self.next_ready() else { break };
                self.resume(task);
                if is_over() {
                    return;
                }
                if self.begun.get() >= BATCH {
                    break;
                }
            }
            self.attend();
        }
    }

    /// Asks the kernel if it is time to, and waits if nothing is ready.
    fn attend(&self) {
        self.take_mail();
        let until = if self.ready.borrow().is_empty() {
            // Nothing else to do: a good time to give memory back.
            match self.stacks.cool(COOLED) {
                true => Until::Now,
                false => self.until_timer(),
            }
        } else if self.begun.get() >= BATCH || self.asked.get().elapsed() >= MOST_UNASKED {
            Until::Now
        } else {
            return;
        };
        self.ask(until);
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
        let mut expired = self.expired.borrow_mut();
        self.timers.borrow_mut().expire(now, &mut expired);
        for token in expired.drain(..) {
            if let Some(region) = region_of(token) {
                // SAFETY: its timer is taken away when it is left, or has no task any more.
                let region = unsafe { region.as_ref() };
                region.timer.set(None);
                self.cancel_region(region, Reason::Deadline);
                continue;
            }
            if let Some(alarm) = alarm_of(token) {
                // SAFETY: its future takes the timer away before it goes.
                match unsafe { alarm.as_ref() }.go_off() {
                    Some(Listener::Task(task)) => self.wake(task.woken()),
                    Some(Listener::Waker(waker)) => waker.wake(),
                    None => {}
                }
                continue;
            }
            // SAFETY: the token is of a task that has set the timer, and takes it away before it ends.
            let task = unsafe { task_of(token) };
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
            let header = match message {
                Message::Unpark(remote) => remote.task(),
                Message::Deliver(letter) => letter.deliver(),
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
    pub(crate) fn suspend(&self, task: TaskRef, state: State) {
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

    /// Something was done at once. A task whose socket always has something must not keep the others from running.
    #[inline]
    pub(crate) fn pass(&self, task: TaskRef) {
        self.unasked.set(self.unasked.get() + 1);
        if self.unasked.get() >= ROUND {
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

/// In a forked child, on its thread: if a loop ran there, it is its parent's.
extern "C" fn leave_behind() {
    if let Some(event_loop) = current() {
        event_loop.is_copy.set(true);
        CURRENT.set(ptr::null());
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

/// A task's first function.
pub(crate) unsafe extern "C" fn entry(_: usize, link: *const Link, _: *mut ()) -> ! {
    // SAFETY: this is the first function, called by the switch.
    unsafe { switch::begin(link) };
    let header = NonNull::new(link.cast_mut()).expect("invariant: a header does not lie at address 0");
    // SAFETY: a header begins with its link, and the loop owns the task until it has ended.
    let task = unsafe { TaskRef::new(header.cast()) };
    if let Run::Function(run) = task.vtable.run {
        // SAFETY: called once, on the task's stack.
        unsafe { run(task) };
    }
    // SAFETY: `run` has dropped all that it had, or put it into the task.
    unsafe { switch::end(link, ENDED) }
}
