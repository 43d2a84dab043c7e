//! Owns what an event loop has, which one is the thread's, and what is asked of it that changes nothing.
//!
//! The unsafe code of this module is reading the pointer to the current loop, and a task's first function.

use crate::cells::Cells;
use crate::header::TaskRef;
use crate::order::Order;
use crate::remote::{Mailbox, Message};
use kettle_driver::{Choice, Clock, Completion, Driver, Network, Random, Timers, Token};
use kettle_fiber::link::Link;
use kettle_fiber::stack::Stacks;
use kettle_fiber::switch;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, thread};

/// The word with which a task ends. (It suspends with 0.)
pub(super) const ENDED: usize = 1;

thread_local! {
    /// The loop that runs on this thread.
    pub(super) static CURRENT: Cell<*const Loop> = const { Cell::new(ptr::null()) };

    /// For choices where no loop runs.
    static RANDOM: RefCell<Random> = RefCell::new(Random::unforeseen());
}

/// See the module.
pub(crate) struct Loop {
    pub(super) ready: RefCell<VecDeque<TaskRef>>,
    pub(super) current: Cell<Option<TaskRef>>,
    /// How many tasks have not ended.
    pub(super) live: Cell<usize>,
    /// Whether what still runs is to end.
    pub(super) closing: Cell<bool>,
    pub(super) driver: RefCell<Driver>,
    pub(super) timers: RefCell<Timers>,
    pub(super) stacks: Stacks,
    pub(super) cells: NonNull<Cells>,
    pub(super) mailbox: Arc<Mailbox>,
    /// What the driver, the timers and the mailbox give, emptied each time.
    pub(super) completions: RefCell<Vec<Completion>>,
    pub(super) expired: RefCell<Vec<Token>>,
    pub(super) messages: RefCell<Vec<Message>>,
    /// Lists of members that are not in use, for the regions to come.
    pub(super) lists: RefCell<Vec<Vec<TaskRef>>>,
    pub(super) asked: Cell<Instant>,
    /// How many operations in a row were done at once.
    pub(super) unasked: Cell<usize>,
    pub(super) random: RefCell<Random>,
    pub(super) clock: Clock,
    /// How long, by the system's time, a clock that is not the system's waits for the world before it goes on by itself.
    /// `None`: it doesn't.
    pub(super) jumps: Option<Duration>,
    /// If this is a simulation.
    pub(super) order: Option<Box<Order>>,
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
        Ok(Self {
            ready: RefCell::default(),
            current: Cell::new(None),
            live: Cell::new(0),
            closing: Cell::new(false),
            timers: RefCell::new(Timers::new(clock.now())),
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
            random: RefCell::new(Random::unforeseen()),
            clock,
            jumps,
            order: order.map(Box::new),
        })
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
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
