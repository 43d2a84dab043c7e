//! Owns the header of a task: what the scheduler knows of it, in one or two cache lines away from its stack.
//!
//! It begins with the switch's link, and lies at the beginning of a block of `cells`; the task's function follows it, and
//! later its result. A [`TaskRef`] is a plain pointer to it, and these own a share each: the loop, from when the task is made
//! until it has ended; its handle; a queue for turns; a future that it polls. With the last of them the block goes back.
//! Whoever else has one (the ready queue, the driver by a token, a timer, who waits for its end) has it only while the loop
//! does.
//!
//! The unsafe code of this module is reading headers through those pointers.

use crate::cancelled::Reason;
use crate::cells::{Cells, Size};
use crate::locals::Locals;
use crate::remote::Remote;
use kettle_driver::TimerKey;
use kettle_fiber::link::{Link, StackPointer};
use kettle_fiber::stack::Stack;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::task::Waker;

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wait {
    /// A time.
    Sleep,
    /// To be unparked.
    Park,
    /// The end of a task, in `join`.
    Join,
    /// The end of all tasks of its scope or group.
    Tasks,
    /// Its turn, in a group with a limit; it has not begun.
    Turn,
    /// Results of a group's tasks.
    Results,
    /// A future.
    Future,
    /// A callback.
    Callback,
    /// A mutex that somebody has.
    Mutex,
    /// To read what a readers-writer lock guards.
    ReadLock,
    /// To write what a readers-writer lock guards.
    WriteLock,
    /// A notice of a condition variable.
    Condvar,
    /// The others, at a barrier.
    Barrier,
    /// Permits of a semaphore.
    Permits,
    /// What somebody else does once.
    Once,
    /// A value from a channel.
    Receive,
    /// Room in a channel, or its receiver.
    Send,
    /// Another value than the one that it has seen.
    Change,
    /// The first of several things.
    Select,
    /// What else is made of waiters.
    Notice,
    /// Something to read or to receive.
    Read,
    /// Room to write or to send.
    Write,
    /// A connection, to accept.
    Accept,
    /// A connection, to be accepted.
    Connect,
    /// Another operation.
    Operation,
}

impl Wait {
    /// What is in a header's `outcome`.
    pub(crate) fn of_operation(outcome: i32) -> Self {
        let operations = [Self::Read, Self::Write, Self::Accept, Self::Connect];
        operations.into_iter().find(|&wait| wait as i32 == outcome).unwrap_or(Self::Operation)
    }
}

/// What a wait is for, and where it is: what [`tree`](crate::tree()) tells, and the report of a simulation that can't go on.
#[derive(Clone, Copy, Debug)]
pub struct Purpose {
    pub(crate) wait: Wait,
    pub(crate) at: &'static Location<'static>,
}

impl Purpose {
    /// A wait for this, by the caller: two constants. No checkpoint.
    ///
    /// ```
    /// use kettle_rt::testing::Simulation;
    /// use kettle_rt::{Purpose, Wait, Waiter};
    ///
    /// let failure = Simulation::new(1).run(|| Waiter::new().wait_for(Purpose::here(Wait::Mutex), None)).unwrap_err();
    /// assert!(failure.to_string().contains("task 0 waits for a mutex, at "));
    /// ```
    #[inline]
    #[track_caller]
    pub fn here(wait: Wait) -> Self {
        Self { wait, at: Location::caller() }
    }
}

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// In the ready queue, and has not run: it has no stack.
    Created,
    /// In the ready queue.
    Ready,
    /// Being resumed.
    Running,
    /// Waiting for whoever wakes it: a timer, another task's end, an unpark. One that begins when another has ended has no
    /// stack yet.
    Waiting(Wait),
    /// Waiting for the completion of its operation, and nothing else resumes it: the kernel has its buffers (S3).
    Operating,
    /// Its function has returned, panicked or been unwound, or was never called. Its result is in its place.
    Ended,
}

/// What can be true of a task in any state.
#[derive(Clone, Copy)]
pub(crate) struct Flags(u16);

impl Flags {
    /// It is to end, as far as it has got. Set and cleared by `region`, which knows why.
    pub(crate) const CANCELLED: Self = Self(1);
    /// Its timer went off. Set by the loop, cleared by who set the timer.
    pub(crate) const TIMED_OUT: Self = Self(1 << 1);
    /// It waits for what must have ended before it goes on, cancelled or not. Set and cleared by itself.
    pub(crate) const SHIELDED: Self = Self(1 << 2);
    /// It has ended by a panic. Set by itself, cleared never.
    pub(crate) const PANICKED: Self = Self(1 << 3);
    /// It has been told so by an error: next time it is unwound. Set by itself, cleared where it is not to end any more.
    pub(crate) const TOLD: Self = Self(1 << 4);
    /// It is a thread outside of `run`, on its own stack. Set when it is made.
    pub(crate) const THREAD: Self = Self(1 << 5);
    /// Its operation was cancelled when the loop began to end. Set and cleared by the loop.
    pub(crate) const STOPPING: Self = Self(1 << 6);
    /// Somebody has its handle. Set when that is made, cleared when it goes.
    pub(crate) const HANDLE: Self = Self(1 << 7);
    /// Its result is in its place. Set by itself, cleared by who takes or drops it.
    pub(crate) const RESULT: Self = Self(1 << 8);
    /// A future that it polls has been woken on its own thread, and that is not counted yet. Set by `alarm`, cleared by `waker`.
    pub(crate) const WOKEN: Self = Self(1 << 9);
    /// It is not in the ready queue, for its region has no turn for it yet. Set and cleared by the loop, while it is created.
    pub(crate) const HELD: Self = Self(1 << 10);
    /// It has passed a checkpoint. Set by itself at each, cleared by who wants to know.
    pub(crate) const PASSED: Self = Self(1 << 11);
    /// It waits for a future. Set and cleared by `waker`, for which it counts only as long as the task has nothing rare.
    pub(crate) const POLLED: Self = Self(1 << 12);
}

/// What is known of a task's function and result at compile time.
pub(crate) struct Vtable {
    pub(crate) size: Size,
    /// How it runs.
    pub(crate) run: Run,
    /// Drops the function of a task that was not started, and makes this panic its result.
    pub(crate) fail: unsafe fn(TaskRef, Box<dyn Any + Send>),
    /// Moves the result out to a place of its type.
    pub(crate) take_result: unsafe fn(TaskRef, *mut ()),
    pub(crate) drop_result: unsafe fn(TaskRef),
}

/// What a task is made of, and so how it runs.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// A function. This calls it, unless the task is cancelled, and puts its result in its place; on the task's stack.
    Function(unsafe fn(TaskRef)),
    /// A future. This polls it, or drops it if the task is cancelled, and gives whether the task has ended, with its result
    /// in its place; on the loop's stack.
    Future(unsafe fn(TaskRef) -> bool),
}

/// What few tasks have.
#[derive(Debug, Default)]
pub(crate) struct Rare {
    pub(crate) name: Option<Box<str>>,
    /// In bytes; 0 is the loop's own.
    pub(crate) stack_size: usize,
    /// How other threads find it; made when it is first asked for.
    pub(crate) remote: Option<Arc<Remote>>,
    /// The same, of a task that is a future, made by another thread while it was polled. The last one only: earlier ones need
    /// not be heard.
    pub(crate) foreign: Option<Arc<Remote>>,
    /// How often a future that it polls has been woken, as far as that has been counted.
    pub(crate) wakes: u64,
    /// A future's waker that waits for the task's end.
    pub(crate) waker: Option<Waker>,
    pub(crate) locals: Locals,
}

/// A part of a task's run that can be cancelled by itself, together with the tasks that were spawned in it. It lies in the
/// frame of the function that runs this part, and those tasks have ended when the frame goes.
#[derive(Debug, Default)]
pub(crate) struct Region {
    /// The task that has entered it, until it is left, or that task has ended.
    pub(crate) task: Cell<Option<TaskRef>>,
    /// The next one out, of the same task.
    pub(crate) outer: Cell<Option<NonNull<Region>>>,
    /// Why it is to end, if it is.
    pub(crate) asked: Cell<Option<Reason>>,
    /// What `region` has found out: why it is to end, by itself or from outside, and when that was.
    pub(crate) reason: Cell<(u64, Option<Reason>)>,
    /// Whether what is cancelled outside goes on in here.
    pub(crate) shields: bool,
    /// Whether what runs in here is to end: asked for here, or outside and not shielded from.
    pub(crate) is_cancelled: Cell<bool>,
    /// Whether the task had been told of a cancellation when it entered.
    pub(crate) was_told: Cell<bool>,
    pub(crate) timer: Cell<Option<TimerKey>>,
    /// The tasks that were spawned in it, as long as they have not ended. Each knows its place.
    pub(crate) members: RefCell<Vec<TaskRef>>,
    /// Who waits for their end.
    pub(crate) waiter: Cell<Option<TaskRef>>,
    /// How many of them have panicked and were not joined.
    pub(crate) unheard: Cell<usize>,
    /// Whether it is a group's, whose tasks report their panics themselves, as far as they can: what else of them panics is
    /// heard here, and cancels the others.
    pub(crate) is_group: bool,
    /// If only so many tasks of it run at a time.
    pub(crate) turns: RefCell<Option<Box<Turns>>>,
}

/// How many tasks of a region run at a time, and those that wait for their turn.
#[derive(Debug)]
pub(crate) struct Turns {
    pub(crate) most: usize,
    /// How many are held.
    pub(crate) held: usize,
    /// Those that are held, the first one first; and some that were cancelled and are not held any more. Each is owned.
    pub(crate) queue: VecDeque<TaskRef>,
}

impl Drop for Turns {
    fn drop(&mut self) {
        for task in self.queue.drain(..) {
            // SAFETY: the queue has owned it.
            unsafe { task.let_go() };
        }
    }
}

/// See the module.
// `resumer` and `entry` of the link are its first words: `cells` relies on the second one not being 0.
#[repr(C)]
pub(crate) struct Header {
    pub(crate) link: Link,
    pub(crate) stack_pointer: Cell<StackPointer>,
    /// How an operation went; as long as it is under way, the `Wait` that it is.
    pub(crate) outcome: Cell<i32>,
    pub(crate) state: Cell<State>,
    /// Why the task as a whole is to end, if it is.
    pub(crate) asked: Cell<Option<Reason>>,
    flags: Cell<Flags>,
    /// The loop, until the task has ended, the handle, and what wakes it on its own thread.
    owners: Cell<u32>,
    /// Its place among the members of its family.
    pub(crate) place: Cell<u32>,
    pub(crate) timer: Cell<Option<TimerKey>>,
    pub(crate) vtable: &'static Vtable,
    /// Where it was spawned.
    pub(crate) spawned_at: Cell<&'static Location<'static>>,
    pub(crate) stack: Cell<Option<Stack>>,
    /// The task that waits for the end of this one.
    pub(crate) joiner: Cell<Option<TaskRef>>,
    /// The region that it was spawned in, which waits for it.
    pub(crate) family: Cell<Option<NonNull<Region>>>,
    /// The innermost region that it has entered.
    pub(crate) region: Cell<Option<NonNull<Region>>>,
    rare: Cell<Option<Box<Rare>>>,
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TaskRef(NonNull<Header>);

impl Header {
    pub(crate) fn new(
        link: Link,
        vtable: &'static Vtable,
        spawned_at: &'static Location<'static>,
        rare: Option<Box<Rare>>,
    ) -> Self {
        Self {
            link,
            stack_pointer: Cell::new(ptr::null_mut()),
            outcome: Cell::new(0),
            state: Cell::new(State::Created),
            flags: Cell::new(Flags(0)),
            asked: Cell::new(None),
            owners: Cell::new(1),
            place: Cell::new(0),
            timer: Cell::new(None),
            vtable,
            spawned_at: Cell::new(spawned_at),
            stack: Cell::new(None),
            joiner: Cell::new(None),
            family: Cell::new(None),
            region: Cell::new(None),
            rare: Cell::new(rare),
        }
    }

    #[inline]
    pub(crate) fn is(&self, flag: Flags) -> bool {
        self.flags.get().0 & flag.0 != 0
    }

    pub(crate) fn set(&self, flag: Flags) {
        self.flags.set(Flags(self.flags.get().0 | flag.0));
    }

    pub(crate) fn clear(&self, flag: Flags) {
        self.flags.set(Flags(self.flags.get().0 & !flag.0));
    }

    /// Whether the task has what few have.
    #[inline]
    pub(crate) fn has_rare(&self) -> bool {
        // SAFETY: nobody writes it meanwhile.
        unsafe { &*self.rare.as_ptr() }.is_some()
    }

    /// Looks at what few tasks have, or changes it. It is made if it isn't there. The function must not panic, nor run code of
    /// users, wakers' included: it is taken out meanwhile, and what asks for it in there would make another one.
    #[inline]
    pub(crate) fn with_rare<T>(&self, f: impl FnOnce(&mut Rare) -> T) -> T {
        let mut rare = self.rare.take().unwrap_or_default();
        let result = f(&mut rare);
        self.rare.set(Some(rare));
        result
    }

    /// Whether nothing is left of what the task has done, nor does anybody know it but its loop: to everybody else it may as
    /// well be another one from now on.
    // All that `Loop::end` would have to undo, and all that `Header::new` sets but for what each wait writes before it is read.
    #[inline]
    pub(crate) fn is_as_new(&self) -> bool {
        let flags = self.flags.get().0 & !Flags::PASSED.0;
        let knows = self.family.get().is_some() || self.region.get().is_some() || self.has_rare();
        let waits = self.timer.get().is_some() || self.joiner.get().is_some();
        flags == 0 && self.owners.get() == 1 && self.asked.get().is_none() && !knows && !waits
    }

    /// It is another one from now on, that was spawned there.
    #[inline]
    pub(crate) fn be_new(&self, spawned_at: &'static Location<'static>) {
        self.spawned_at.set(spawned_at);
        self.flags.set(Flags(0));
    }

    #[inline]
    pub(crate) fn has_ended(&self) -> bool {
        self.state.get() == State::Ended
    }
}

impl TaskRef {
    /// A reference to a task.
    ///
    /// # Safety
    ///
    /// A header lies there for as long as the reference is used.
    #[inline]
    pub(crate) unsafe fn new(header: NonNull<Header>) -> Self {
        Self(header)
    }

    #[inline]
    pub(crate) fn header(self) -> NonNull<Header> {
        self.0
    }

    /// The task's link: by a pointer that reaches all of the task, for its first function makes a `TaskRef` of it.
    #[inline]
    pub(crate) fn link(self) -> *const Link {
        self.0.as_ptr().cast()
    }

    /// Whether its block is of these cells.
    pub(crate) fn is_in(self, cells: NonNull<Cells>) -> bool {
        // SAFETY: the block is taken as long as the reference is used.
        unsafe { Cells::of(self.0.cast()) == cells }
    }

    /// One more owner.
    #[inline]
    pub(crate) fn share(self) {
        self.owners.set(self.owners.get() + 1);
    }

    /// One owner less; the last one gives the block back, with the result that nobody has taken.
    ///
    /// # Safety
    ///
    /// The caller is an owner, and does not use this reference any more.
    #[inline]
    pub(crate) unsafe fn let_go(self) {
        let owners = self.owners.get() - 1;
        self.owners.set(owners);
        if owners == 0 {
            // SAFETY: nobody else has it.
            unsafe { self.free() };
        }
    }

    /// Drops the result, if there is one.
    ///
    /// # Safety
    ///
    /// The caller is an owner, and nobody takes the result meanwhile.
    pub(crate) unsafe fn discard_result(self) {
        if self.is(Flags::RESULT) {
            self.clear(Flags::RESULT);
            // SAFETY: there was one.
            unsafe { (self.vtable.drop_result)(self) };
        }
    }

    /// # Safety
    ///
    /// Nobody else has it.
    unsafe fn free(self) {
        // Also if dropping the result panics.
        struct Block(TaskRef);
        impl Drop for Block {
            fn drop(&mut self) {
                let size = self.0.vtable.size;
                // SAFETY: it was taken, and is given back below.
                let cells = unsafe { Cells::of(self.0.0.cast()) };
                // SAFETY: nobody else has it.
                unsafe { self.0.0.drop_in_place() };
                // SAFETY: taken from these cells, of this size, and nobody uses it any more.
                unsafe { Cells::give(cells, self.0.0.cast(), size) };
            }
        }
        let block = Block(self);
        // SAFETY: nobody else has it.
        unsafe { block.0.discard_result() };
    }
}

impl std::ops::Deref for TaskRef {
    type Target = Header;

    #[inline(always)]
    fn deref(&self) -> &Header {
        // SAFETY: by the obligation of `new`; all that changes in a header is in a cell.
        unsafe { self.0.as_ref() }
    }
}

// With a function and a result of two words a task fills two cache lines.
#[cfg(not(kettle_asan))]
const _: () = assert!(size_of::<Header>() == 112, "invariant: a small task fits into the smallest block");
