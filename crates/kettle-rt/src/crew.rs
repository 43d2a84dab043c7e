//! Owns the work that workers share: who has how much, and what has not begun and may be begun by any of them.
//!
//! A worker puts such work into a queue of its own, from which it takes when no task of it is ready; another one that has
//! nothing to do takes from there as well, a part of what there is at a time. What comes from other threads is in a queue of
//! them all. Who puts something in wakes one that sleeps; see `idle` for why none sleeps beside work.
//!
//! Work has begun when it has left these queues: then it is a task of one worker, and stays there.
#![forbid(unsafe_code)]

use crate::gate::Gate;
use crate::idle::Idle;
use crate::job::Job;
use crate::pool::PoolOwner;
use crate::remote::{Mailbox, Message};
use crossbeam_deque::{Injector, Steal, Stealer, Worker};
use std::cell::Cell;
use std::fmt;
use std::hint;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// How often a worker that has begun something looks for more before it sleeps, and how long it pauses before each look: some
/// tens of microseconds in all. Waking it costs the one that spawns several, each time; looking more often takes the cache
/// lines from it that it writes to. Who has begun nothing, such as a server's worker, sleeps at once.
const LOOKS: usize = 32;
const PAUSE: usize = 64;

/// The workers of one run, as all of them and other threads see them.
pub(crate) struct Crew {
    seats: Box<[Seat]>,
    idle: Idle,
    /// Work that comes from other threads. Closed when the run has ended.
    from_outside: Gate<Injector<Job>>,
    /// Whether the workers end: what has not begun does not begin. Set once.
    is_ending: AtomicBool,
}

/// What others see of a worker. In a cache line of its own, for the worker writes to it.
#[repr(align(128))]
struct Seat {
    work: Stealer<Job>,
    /// How many tasks have not ended. Written by the worker when it looks around, and when it takes in one of others.
    tasks: AtomicUsize,
    /// How many of them are ready, and one that runs; 0 if it sleeps. Written by the worker when it looks around.
    ready: AtomicUsize,
    /// Said before any worker begins.
    mailbox: OnceLock<Arc<Mailbox>>,
}

/// A worker's own side.
pub(crate) struct Member {
    pub(crate) crew: Arc<Crew>,
    pub(crate) index: usize,
    /// The memory for what its tasks spawn on workers.
    pub(crate) pool: PoolOwner<Arc<Crew>>,
    work: Worker<Job>,
    /// Whether it has begun something since it slept.
    has_begun: Cell<bool>,
    /// How much it has begun since it last looked around.
    begun: Cell<usize>,
}

impl Crew {
    /// The crew, and its members' own sides.
    pub(crate) fn new(count: usize) -> (Arc<Self>, Vec<Member>) {
        let queues: Vec<_> = (0..count).map(|_| Worker::new_fifo()).collect();
        let seat = |work: &Worker<Job>| Seat {
            work: work.stealer(),
            tasks: AtomicUsize::new(0),
            ready: AtomicUsize::new(0),
            mailbox: OnceLock::new(),
        };
        let crew = Arc::new(Self {
            seats: queues.iter().map(seat).collect(),
            idle: Idle::new(count),
            from_outside: Gate::new(Injector::new()),
            is_ending: AtomicBool::new(false),
        });
        let member = |(index, work)| {
            let pool = PoolOwner::new(Arc::clone(&crew));
            Member { crew: Arc::clone(&crew), index, pool, work, has_begun: Cell::new(false), begun: Cell::new(0) }
        };
        let members = queues.into_iter().enumerate().map(member).collect();
        (crew, members)
    }

    pub(crate) fn len(&self) -> usize {
        self.seats.len()
    }

    /// How much a worker has: tasks that have not ended, functions that have not begun, and mail that it has not read.
    pub(crate) fn load(&self, index: usize) -> usize {
        let seat = &self.seats[index];
        let mail = seat.mailbox.get().map_or(0, |mailbox| mailbox.len());
        seat.tasks.load(Ordering::Relaxed) + seat.work.len() + mail
    }

    /// The worker that has least; of several, one with least that is ready, and among those the first after this one.
    pub(crate) fn least_loaded(&self, after: usize) -> usize {
        let key = |&index: &usize| (self.load(index), self.seats[index].ready.load(Ordering::Relaxed));
        (after + 1..self.len()).chain(0..=after).min_by_key(key).unwrap_or(after)
    }

    /// Leaves a message for a worker. It is dropped if that one has gone.
    pub(crate) fn tell(&self, index: usize, message: Message) {
        if let Some(mailbox) = self.seats[index].mailbox.get() {
            mailbox.put(message);
        }
    }

    /// Takes in work of a thread that is none of the workers. It is dropped if they have gone.
    pub(crate) fn put_from_outside(&self, job: Job) {
        if let Some(queue) = self.from_outside.enter() {
            queue.push(job);
            self.wake_one(self.len() - 1);
        }
    }

    /// Wakes a worker that sleeps, if one does.
    #[inline]
    fn wake_one(&self, after: usize) {
        if let Some(index) = self.idle.wake_one(after)
            && let Some(mailbox) = self.seats[index].mailbox.get()
        {
            mailbox.notify();
        }
    }

    /// Whether there is something that has not begun, elsewhere than in this worker's queue.
    fn has_work_but_for(&self, index: usize) -> bool {
        let from_outside = self.from_outside.enter().is_some_and(|queue| !queue.is_empty());
        let (before, after) = self.seats.split_at(index);
        from_outside || before.iter().chain(after.iter().skip(1)).any(|seat| !seat.work.is_empty())
    }

    /// The workers are about to end.
    pub(crate) fn end(&self) {
        self.is_ending.store(true, Ordering::Release);
    }

    /// Whether they are, as far as this thread has heard.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Acquire)
    }

    /// The run has ended: drops what nobody has begun.
    pub(crate) fn close(&self) {
        // Dropped when nobody uses it.
        let rest = self.from_outside.close();
        drop(rest);
    }
}

impl Member {
    /// Says where the worker has its mail.
    pub(crate) fn has_mailbox(&self, mailbox: Arc<Mailbox>) {
        self.crew.seats[self.index].mailbox.set(mailbox).expect("invariant: called once");
    }

    /// Whether it is this worker of these.
    pub(crate) fn is(&self, crew: &Crew, index: usize) -> bool {
        self.index == index && ptr::eq(&*self.crew, crew)
    }

    /// Takes in work of this worker's tasks, which may as well be done by others.
    #[inline]
    pub(crate) fn put(&self, job: Job) {
        self.work.push(job);
        self.crew.wake_one(self.index);
    }

    /// What this worker is to begin next.
    #[inline]
    pub(crate) fn next(&self) -> Option<Job> {
        let next = self.work.pop();
        if next.is_some() {
            self.has_begun.set(true);
        }
        next
    }

    /// The same, unless it has begun so much that it is time to look around.
    #[inline]
    pub(crate) fn next_of(&self, most: usize) -> Option<Job> {
        if self.begun.get() >= most {
            return None;
        }
        self.begun.set(self.begun.get() + 1);
        self.next()
    }

    /// It looks around.
    pub(crate) fn look_around(&self) {
        self.begun.set(0);
    }

    /// Whether there is something that this worker has not begun.
    pub(crate) fn has_own(&self) -> bool {
        !self.work.is_empty()
    }

    /// Says how many tasks have not ended.
    #[inline]
    pub(crate) fn show_tasks(&self, count: usize) {
        self.crew.seats[self.index].tasks.store(count, Ordering::Relaxed);
    }

    /// Says how many tasks are ready, and that one runs.
    #[inline]
    pub(crate) fn show_ready(&self, count: usize) {
        self.crew.seats[self.index].ready.store(count + 1, Ordering::Relaxed);
    }

    /// The worker has nothing to do, and is about to sleep. Gives `false` if there is mail, or work after all: then some of that
    /// is its own now, or somebody was faster. Otherwise [`wake`](Self::wake) follows the sleep.
    pub(crate) fn sleep(&self) -> bool {
        if self.is_eager() && self.waits_for_more() {
            self.take_from_others();
            return false;
        }
        self.has_begun.set(false);
        let sleeps = self.crew.idle.doze(self.index, || self.crew.has_work_but_for(self.index));
        match sleeps {
            true => self.crew.seats[self.index].ready.store(0, Ordering::Relaxed),
            false => self.take_from_others(),
        }
        sleeps
    }

    /// The worker has slept, and so many tasks are ready. If there are any, what it was told of is for another one.
    pub(crate) fn wake(&self, ready: usize) {
        if self.crew.idle.rouse(self.index) && ready > 0 {
            self.crew.wake_one(self.index);
        }
        self.show_ready(ready);
    }

    /// Whether [`sleep`](Self::sleep) looks for more for a moment, because there was something.
    pub(crate) fn is_eager(&self) -> bool {
        self.has_begun.get()
    }

    /// Looks for more for a moment. Gives whether there is, or mail.
    fn waits_for_more(&self) -> bool {
        let mailbox = self.crew.seats[self.index].mailbox.get();
        (0..LOOKS).any(|_| {
            (0..PAUSE).for_each(|_| hint::spin_loop());
            mailbox.is_some_and(|mailbox| mailbox.has_mail()) || self.crew.has_work_but_for(self.index)
        })
    }

    /// Takes a part of what another one has not begun: of what comes from outside first, for nobody else cares for that.
    fn take_from_others(&self) {
        let from_outside = self.crew.from_outside.enter();
        let from_outside = from_outside.is_some_and(|queue| take(|| queue.steal_batch(&self.work)));
        let (before, after) = self.crew.seats.split_at(self.index);
        let taken =
            from_outside || after.iter().skip(1).chain(before).any(|seat| take(|| seat.work.steal_batch(&self.work)));
        // This one begins one of them. The rest may be for others that sleep, and whom nobody has told.
        if taken && (self.work.len() > 1 || self.crew.has_work_but_for(self.index)) {
            self.crew.wake_one(self.index);
        }
    }
}

/// Tries to take until it is clear whether there is something.
fn take(mut steal: impl FnMut() -> Steal<()>) -> bool {
    loop {
        match steal() {
            Steal::Success(()) => return true,
            Steal::Empty => return false,
            Steal::Retry => {}
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Others have a share of the queue, but begin nothing when this one is at its end.
        while let Some(job) = self.work.pop() {
            drop(job);
        }
    }
}

impl fmt::Debug for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew").field("workers", &self.len()).finish_non_exhaustive()
    }
}
