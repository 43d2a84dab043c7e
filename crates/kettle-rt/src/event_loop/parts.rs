//! Owns what an event loop has, which one is the thread's, and what is asked of it that changes nothing.
//!
//! A forked child has no current loop. What it has of its parent's, tasks included, is a copy that stands still: the one
//! that has forked runs on as a thread without a loop, and must not come back.
//!
//! The unsafe code of this module is reading the pointers to the current loop and to the task of a remote, and a task's first
//! function.

use crate::cells::Cells;
use crate::crew::Member;
use crate::fork::at_fork;
use crate::header::{Flags, Run, TaskRef};
use crate::order::Order;
use crate::remote::{Mailbox, Message, Remote};
use kettle_driver::{Choice, Clock, Completion, Driver, Network, Random, Timers, Token};
use kettle_fiber::link::Link;
use kettle_fiber::stack::Stacks;
use kettle_fiber::switch;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, process, thread};

/// The word with which a task ends. (It suspends with 0.)
pub(crate) const ENDED: usize = 1;

thread_local! {
    /// The loop that runs on this thread.
    pub(crate) static CURRENT: Cell<*const Loop> = const { Cell::new(ptr::null()) };

    /// For choices where no loop runs.
    static RANDOM: RefCell<Random> = RefCell::new(Random::unforeseen());
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
    pub(crate) stacks: Stacks,
    pub(crate) cells: NonNull<Cells>,
    pub(crate) mailbox: Arc<Mailbox>,
    /// What the driver, the timers and the mailbox give, emptied each time.
    pub(crate) completions: RefCell<Vec<Completion>>,
    pub(crate) expired: RefCell<Vec<Token>>,
    pub(crate) messages: RefCell<Vec<Message>>,
    /// Lists of members that are not in use, for the regions to come.
    pub(crate) lists: RefCell<Vec<Vec<TaskRef>>>,
    pub(crate) asked: Cell<Instant>,
    /// How many operations in a row were done at once.
    pub(crate) unasked: Cell<usize>,
    /// How many operations have been submitted since the kernel was last asked.
    pub(crate) begun: Cell<usize>,
    pub(crate) random: RefCell<Random>,
    pub(crate) clock: Clock,
    /// How long, by the system's time, a clock that is not the system's waits for the world before it goes on by itself.
    /// `None`: it doesn't.
    pub(crate) jumps: Option<Duration>,
    /// If this is a simulation.
    pub(crate) order: Option<Box<Order>>,
    /// If this is one of several workers. Never of a simulation.
    pub(crate) member: OnceCell<Member>,
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

/// The loop of a task which has not ended: the one that runs, or the thread's own inside of which it does. Those of a forked
/// child's parent have none.
pub(crate) fn home_of<'a>(task: TaskRef) -> Option<&'a Loop> {
    let current = current()?;
    // SAFETY: a loop runs inside of another one as long as that is there.
    let own = unsafe { current.own.get().as_ref() };
    [Some(current), own].into_iter().flatten().find(|home| home.has(task))
}

/// The loop of a remote's task, if that is the one which runs, and the task, if it has not ended.
pub(crate) fn here<'a>(remote: &Remote) -> Option<(&'a Loop, Option<TaskRef>)> {
    let current = current().filter(|current| remote.is_of(&current.mailbox))?;
    // SAFETY: this is its thread, and it has not ended, or this would be null.
    let task = NonNull::new(remote.task()).map(|header| unsafe { TaskRef::new(header.cast()) });
    Some((current, task))
}

/// Whether this is outside of all `run`s: no loop runs, or the thread's own one, and the thread is not in a task of it.
pub(crate) fn is_outside() -> bool {
    current().is_none_or(|event_loop| event_loop.current.get().is_some_and(|task| task.is(Flags::THREAD)))
}

/// Whether this thread would sleep if whoever runs on it waited: there is no task to suspend, or no other one to run.
#[inline]
pub(crate) fn would_sleep() -> bool {
    current()
        .is_none_or(|current| current.ready.borrow().is_empty() && current.begun.get() == 0 && current.order.is_none())
}

/// Whether this thread's loop has something to do, other than what is ready to run.
pub(crate) fn is_wanted() -> bool {
    current().is_some_and(|current| {
        let is_late = current.timers.borrow().next_deadline().is_some_and(|next| next <= current.now());
        is_late || current.mailbox.has_mail() || !current.driver.borrow_mut().is_idle()
    })
}

/// What time it is: the current loop's time, if one runs on this thread.
pub fn now() -> Instant {
    current().map_or_else(Instant::now, Loop::now)
}

/// Whether time goes on only when tasks wait: who waits otherwise waits for nothing.
#[cold]
pub(crate) fn is_time_virtual() -> bool {
    current().is_some_and(|current| current.clock.is_virtual())
}

/// One of `n` things where nobody has been promised which: the index of one, below `n`.
///
/// All such choices are made here, so that a simulation can make the same ones again. A loop's numbers are its own; where
/// no loop runs they are the thread's. Costs a few instructions, and allocates nothing.
///
/// ```
/// use kettle_rt::choose;
///
/// let cups = ["black", "green", "white"];
/// assert!(cups.contains(&cups[choose(cups.len())]));
/// assert_eq!(choose(1), 0);
/// ```
///
/// # Panics
///
/// If there is nothing to choose from.
#[inline]
pub fn choose(n: usize) -> usize {
    assert!(n > 0, "choose one of no things");
    if n == 1 {
        return 0;
    }
    match current() {
        Some(current) => current.choose(n),
        None => RANDOM.with_borrow_mut(|random| random.below(n as u64)) as usize,
    }
}

impl Loop {
    pub(crate) fn new(
        driver: Driver,
        stack_size: usize,
        (clock, jumps): (Clock, Option<Duration>),
        order: Option<Order>,
    ) -> io::Result<Self> {
        let stacks = Stacks::of_size(stack_size).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        stacks.defer();
        at_fork(leave_behind);
        let mailbox = Mailbox::new(driver.notifier());
        Ok(Self {
            ready: RefCell::default(),
            current: Cell::new(None),
            live: Cell::new(0),
            closing: Cell::new(false),
            stopping: Cell::new(0),
            own: Cell::new(ptr::null()),
            is_copy: Cell::new(false),
            timers: Rc::new(RefCell::new(Timers::new(clock.now()))),
            driver: RefCell::new(driver),
            stacks,
            cells: Cells::of_loop(Arc::clone(&mailbox)),
            mailbox,
            completions: RefCell::default(),
            expired: RefCell::default(),
            messages: RefCell::default(),
            lists: RefCell::default(),
            asked: Cell::new(Instant::now()),
            unasked: Cell::new(0),
            begun: Cell::new(0),
            random: RefCell::new(Random::unforeseen()),
            clock,
            jumps,
            order: order.map(Box::new),
            member: OnceCell::new(),
        })
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Makes it one of several workers. Called once, before it runs.
    pub(crate) fn join_crew(&self, member: Member) {
        member.has_mailbox(Arc::clone(&self.mailbox));
        assert!(self.member.set(member).is_ok(), "invariant: called once");
    }

    /// What a simulation decides by, if this is one.
    pub(crate) fn order(&self) -> Option<&Order> {
        self.order.as_deref()
    }

    /// A simulation's network, as the current task's host sees it.
    pub(crate) fn network<T>(&self, f: impl FnOnce(&mut Network<'_>) -> T) -> Option<T> {
        let host = self.current.get().and_then(|task| self.order.as_ref()?.host(task));
        self.driver.borrow_mut().network(host).as_mut().map(f)
    }

    /// See [`choose`]; there are two things at least.
    fn choose(&self, n: usize) -> usize {
        if let Some(order) = &self.order {
            return order.choose(n);
        }
        self.random.borrow_mut().below(n as u64) as usize
    }

    /// Whether a task is one of this loop.
    pub(crate) fn has(&self, task: TaskRef) -> bool {
        task.is_in(self.cells)
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
}

/// In a forked child, on its thread: if a loop ran there, it is its parent's.
extern "C" fn leave_behind() {
    if let Some(event_loop) = current() {
        event_loop.is_copy.set(true);
        // SAFETY: a loop runs inside of another one as long as that is there.
        if let Some(own) = unsafe { event_loop.own.get().as_ref() } {
            own.is_copy.set(true);
        }
        CURRENT.set(ptr::null());
    }
}

/// The task that has forked has come to its end in the child. Whoever waits for that waits in the parent.
#[cold]
pub(crate) fn refuse_to_go_on() -> ! {
    eprintln!(
        "return from a task in a forked process: its event loop is the parent's, so end the process by `exit` or `exec`"
    );
    process::abort();
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
