//! Owns the run loop: which task runs, what wakes it, how it all ends.
//!
//! A loop belongs to its thread, and only that thread has references to it; all in it is in cells that are borrowed for a
//! moment, never across a switch. The one that runs is the thread's *current* loop, and the task that it has resumed the
//! current task.
//!
//! The unsafe code of this module is switching to tasks, and reading as references the pointers that stand for tasks
//! meanwhile: those in the queue, and the driver's tokens.

use crate::cancelled::{Cancelled, Reason};
use crate::cells::Cells;
use crate::header::{Flags, Region, State, TaskRef, Wait};
use crate::region;
use crate::remote::{Mailbox, Message, Slot};
use kettle_driver::{Choice, Completion, Driver, Op, Submitted, Timers, Token, Until};
use kettle_fiber::link::Link;
use kettle_fiber::stack::Stacks;
use kettle_fiber::{StackError, switch};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, process, thread};

/// How many tasks are resumed before the loop looks at the clock.
const ROUND: usize = 128;

/// How long tasks that are always ready keep the loop from asking the kernel.
const MOST_UNASKED: Duration = Duration::from_micros(100);

/// How many resumes ahead a stack is fetched.
const AHEAD: usize = 4;

/// How many stacks give their memory back between two looks at the kernel.
const COOLED: usize = 256;

/// How many lists of members are kept.
const LISTS: usize = 64;

/// The word with which a task ends. (It suspends with 0.)
const ENDED: usize = 1;

thread_local! {
    /// The loop that runs on this thread.
    static CURRENT: Cell<*const Loop> = const { Cell::new(ptr::null()) };
}

/// See the module.
pub(crate) struct Loop {
    ready: RefCell<VecDeque<TaskRef>>,
    current: Cell<Option<TaskRef>>,
    /// How many tasks have not ended.
    live: Cell<usize>,
    /// Whether what still runs is to end.
    closing: Cell<bool>,
    driver: RefCell<Driver>,
    timers: RefCell<Timers>,
    stacks: Stacks,
    cells: NonNull<Cells>,
    mailbox: Arc<Mailbox>,
    /// What the driver, the timers and the mailbox give, emptied each time.
    completions: RefCell<Vec<Completion>>,
    expired: RefCell<Vec<Token>>,
    messages: RefCell<Vec<Message>>,
    /// Lists of members that are not in use, for the regions to come.
    lists: RefCell<Vec<Vec<TaskRef>>>,
    asked: Cell<Instant>,
    /// How many operations in a row were done at once.
    unasked: Cell<usize>,
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

/// What time it is: the current loop's time, if one runs on this thread.
pub fn now() -> Instant {
    current().map_or_else(Instant::now, Loop::now)
}

impl Loop {
    pub(crate) fn new(driver: Driver, stack_size: usize) -> io::Result<Self> {
        let stacks = Stacks::of_size(stack_size).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        stacks.defer();
        Ok(Self {
            ready: RefCell::default(),
            current: Cell::new(None),
            live: Cell::new(0),
            closing: Cell::new(false),
            timers: RefCell::new(Timers::new(Instant::now())),
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

    /// Runs tasks until this one has ended, and then what is left, which is cancelled. No loop runs on this thread.
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
        } else if self.asked.get().elapsed() >= MOST_UNASKED {
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
            self.wake(task);
        }
        let now = self.now();
        self.asked.set(now);
        self.unasked.set(0);
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
                self.unpark(unsafe { TaskRef::new(header.cast()) });
            }
        }
    }

    // --- tasks ---

    /// Takes in a task that was made.
    #[inline]
    pub(crate) fn admit(&self, task: TaskRef) {
        self.count_in(task);
        self.ready.borrow_mut().push_back(task);
    }

    #[inline]
    fn count_in(&self, task: TaskRef) {
        self.live.set(self.live.get() + 1);
        if self.closing.get() {
            task.asked.set(Some(Reason::Shutdown));
            task.set(Flags::CANCELLED);
        }
    }

    /// Takes in a task that was made in a region, which will wait for it.
    pub(crate) fn admit_to(&self, region: &Region, task: TaskRef) {
        if region.members.borrow().capacity() == 0 {
            region.members.replace(self.lists.borrow_mut().pop().unwrap_or_default());
        }
        region::adopt(region, task);
        self.count_in(task);
        // One that is cancelled ends at once, so it needs no turn.
        if task.is(Flags::CANCELLED) || !region::hold(region, task) {
            self.ready.borrow_mut().push_back(task);
        }
    }

    /// Starts tasks that a region has held, as far as it has turns for them.
    pub(crate) fn give_turns(&self, region: &Region) {
        while let Some(task) = region::next_turn(region) {
            if task.is(Flags::HELD) {
                self.give_turn(region, task);
            }
            // SAFETY: the region's queue has owned it. One that was held belongs to the loop as well.
            unsafe { task.let_go() };
        }
    }

    pub(crate) fn give_turn(&self, region: &Region, task: TaskRef) {
        region::release_turn(region, task);
        self.ready.borrow_mut().push_back(task);
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
            if task.is(Flags::PANICKED) && (family.is_group || !task.has_handle()) {
                family.unheard.set(true);
                if family.is_group {
                    self.cancel_region(family, Reason::Sibling);
                }
            }
            self.give_turns(family);
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
        if matches!(task.state.get(), State::Waiting(_) | State::Operating) {
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
        if matches!(task.state.get(), State::Waiting(_)) {
            self.wake(task);
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
    // SAFETY: called once, on the task's stack.
    unsafe { (task.vtable.run)(task) };
    // SAFETY: `run` has dropped all that it had, or put it into the task.
    unsafe { switch::end(link, ENDED) }
}

/// The mark of a token that names a region. Addresses of tasks and regions are even.
const REGION: u64 = 1;

fn region_token(region: &Region) -> Token {
    Token(ptr::from_ref(region).expose_provenance() as u64 | REGION)
}

fn region_of(token: Token) -> Option<NonNull<Region>> {
    let is_region = token.0 & REGION != 0;
    is_region.then(|| NonNull::new(ptr::with_exposed_provenance_mut((token.0 ^ REGION) as usize))).flatten()
}

fn token(task: TaskRef) -> Token {
    Token(task.header().as_ptr().expose_provenance() as u64)
}

/// # Safety
///
/// The token is that of a task that has not ended.
unsafe fn task_of(token: Token) -> TaskRef {
    let header = NonNull::new(ptr::with_exposed_provenance_mut(token.0 as usize));
    // SAFETY: by the obligation.
    unsafe { TaskRef::new(header.expect("invariant: a token is an address")) }
}
