//! Owns the waiter: one wait that any thread may end. Locks, channels and all else that tasks wait for is made of it.
//!
//! A waiter lies in the frame of whoever waits, and is found by its address, in a queue that its users keep and guard. Who
//! takes it out of the queue notifies it, once. For a task of the same loop that is a few writes; for one of another loop a
//! letter in its mailbox; for a thread that has no task, its flag and `unpark`.
//!
//! The wait may end before that, by a timeout or a cancellation. Then its user looks for the waiter in the queue, and
//! takes it out. If it isn't there any more, somebody is about to notify it: then this is waited for, so that what is handed
//! over by it is not lost, and nobody writes into a frame that has gone.
//!
//! ```text
//!   who waits                                who notifies
//!   lock the queue, push, unlock             lock the queue, pop, unlock
//!   wait(deadline)  ── Notified ──────────── notify
//!     │ TimedOut, Cancelled
//!   lock the queue: still in it?  ── yes ──  take it out: it was nobody
//!     │ no
//!   wait_for_notice ──────────────────────── notify
//! ```
//!
//! The unsafe code of this module is finding a waiter by its address.

use crate::blocked;
use crate::event_loop;
use crate::header::{Flags, Purpose, TaskRef, Wait};
use crate::lookout;
use crate::remote::{Mailbox, Message, Slot};
use crate::wait;
use std::fmt;
use std::marker::PhantomPinned;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

/// One wait of the current task, or of the thread where there is no task to suspend; see the module's source for how it is
/// used.
pub struct Waiter {
    home: Home,
    /// It has an address that others know.
    _pinned: PhantomPinned,
}

enum Home {
    Task {
        slot: Slot,
        /// The loop's, which is there as long as one of its tasks.
        mailbox: *const Mailbox,
    },
    Thread {
        thread: thread::Thread,
        is_notified: AtomicBool,
    },
}

/// How a wait has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// By [`Waiter::notify`].
    Notified,
    /// Its deadline has come.
    TimedOut,
    /// The task has been cancelled. What has to be undone is undone first; then [`raise_if_cancelled`](crate::raise_if_cancelled).
    Cancelled,
}

impl Waiter {
    /// A wait of whoever runs.
    #[inline]
    pub fn new() -> Self {
        let home = match event_loop::task() {
            Some((event_loop, task)) => Home::Task {
                slot: Slot::new(task.header().as_ptr().cast()),
                mailbox: Arc::as_ptr(event_loop.mailbox()),
            },
            None => Home::Thread { thread: thread::current(), is_notified: AtomicBool::new(false) },
        };
        Self { home, _pinned: PhantomPinned }
    }

    /// Whether it blocks its thread, for there is no task to suspend; so no other task of the thread runs meanwhile.
    #[inline]
    pub fn blocks_thread(&self) -> bool {
        matches!(self.home, Home::Thread { .. })
    }

    /// Waits until it has been notified, a time has come, or the task has been cancelled. A checkpoint; but the cancellation
    /// is not raised.
    ///
    /// # Panics
    ///
    /// In another task or thread than the one that has made it.
    #[inline]
    #[track_caller]
    pub fn wait(&self, deadline: Option<Instant>) -> Woken {
        self.wait_for(Purpose::here(Wait::Notice), deadline)
    }

    /// [`wait`](Self::wait), for something that has a name: who looks at the task is told what it waits for, and where.
    ///
    /// # Panics
    ///
    /// As `wait`.
    #[inline]
    pub fn wait_for(&self, purpose: Purpose, deadline: Option<Instant>) -> Woken {
        // Nothing but a notice is without an answer here.
        self.wait_unless(purpose, deadline, || false).unwrap_or(Woken::Notified)
    }

    /// [`wait_for`](Self::wait_for), which also ends, without an answer, when the task is woken for something else and this says that
    /// it was that; or if it says so at once. Outside of tasks nobody is woken for anything else.
    ///
    /// # Panics
    ///
    /// As `wait`.
    #[inline]
    pub fn wait_unless(
        &self,
        purpose: Purpose,
        deadline: Option<Instant>,
        is_over: impl Fn() -> bool,
    ) -> Option<Woken> {
        Some(match &self.home {
            Home::Task { slot, .. } => {
                let (_, task) = self.task(slot);
                while !slot.is_delivered() {
                    if wait::hears_cancellation(task) {
                        return Some(Woken::Cancelled);
                    }
                    if is_over() {
                        return None;
                    }
                    // A coroutine may have yielded in there, and gone on in another task.
                    let (event_loop, _) = self.task(slot);
                    if wait::until(event_loop, task, purpose, deadline) && !slot.is_delivered() {
                        return Some(Woken::TimedOut);
                    }
                }
                Woken::Notified
            }
            Home::Thread { is_notified, thread } => {
                assert_eq!(thread.id(), thread::current().id(), "wait with the waiter of another thread");
                while !is_notified.load(Ordering::Acquire) {
                    if is_over() {
                        return None;
                    }
                    if deadline.is_some() && event_loop::is_time_virtual() {
                        // Nobody has time pass meanwhile.
                        return Some(Woken::TimedOut);
                    }
                    if blocked::wait_for_threads(purpose, || is_notified.load(Ordering::Acquire) || is_over()) {
                        continue;
                    }
                    match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                        None => thread::park(),
                        Some(left) if left.is_zero() => return Some(Woken::TimedOut),
                        Some(left) => thread::park_timeout(left),
                    }
                }
                Woken::Notified
            }
        })
    }

    /// Waits until it has been notified, cancelled or not: somebody is about to do it.
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_for_notice(&self) {
        let Home::Task { slot, .. } = &self.home else {
            self.wait(None);
            return;
        };
        let (event_loop, task) = self.task(slot);
        let shielded = task.is(Flags::SHIELDED);
        task.set(Flags::SHIELDED);
        while !slot.is_delivered() {
            wait::until(event_loop, task, Purpose::here(Wait::Notice), None);
        }
        if !shielded {
            task.clear(Flags::SHIELDED);
        }
    }

    fn task<'a>(&self, slot: &Slot) -> (&'a event_loop::Loop, TaskRef) {
        let Some((event_loop, task)) = event_loop::task() else {
            panic!("wait with the waiter of a task, outside of it or while unwinding")
        };
        assert!(ptr::addr_eq(slot.task(), task.header().as_ptr()), "wait with the waiter of another task");
        (event_loop, task)
    }

    /// Ends the wait, from any thread. What this thread did before, who waits sees after.
    ///
    /// # Safety
    ///
    /// 1. Called once for a waiter. 2. It is there until this has been called; after that nobody but who waits knows it.
    #[inline]
    pub unsafe fn notify(this: NonNull<Self>) {
        // SAFETY: by the obligation.
        match unsafe { &this.as_ref().home } {
            Home::Task { slot, mailbox } => match event_loop::current() {
                Some(event_loop) if Arc::as_ptr(event_loop.mailbox()) == *mailbox => event_loop.deliver(slot),
                // SAFETY: 1. the slot: who waits goes on only when the letter has been delivered. 2. It is the mailbox of its
                // task's loop.
                _ => unsafe { send(NonNull::from(slot), *mailbox) },
            },
            Home::Thread { thread, is_notified } => {
                // Who waits may go on, and the waiter go, as soon as it is notified.
                let thread = thread.clone();
                is_notified.store(true, Ordering::Release);
                thread.unpark();
                lookout::has_woken();
            }
        }
    }
}

/// Puts a letter into a mailbox. The slot, a pointer for that reason, may be gone when this returns.
///
/// # Safety
///
/// 1. The slot is there until the letter has been delivered. 2. The mailbox is that of its task's loop, and is there.
#[cold]
unsafe fn send(slot: NonNull<Slot>, mailbox: *const Mailbox) {
    // SAFETY: made from an `Arc`; the loop has one, as long as the letter has not been delivered.
    unsafe { Arc::increment_strong_count(mailbox) };
    // SAFETY: the count is the one that was just added.
    let mailbox = unsafe { Arc::from_raw(mailbox) };
    // SAFETY: by the obligation.
    let letter = unsafe { Slot::letter(slot) };
    if mailbox.put(Message::Deliver(letter)) {
        lookout::has_woken();
    }
}

// SAFETY: other threads do nothing with a shared one but call `notify`, which is unsafe; `wait` looks where it is.
unsafe impl Sync for Waiter {}

impl Default for Waiter {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = match self.home {
            Home::Task { .. } => "task",
            Home::Thread { .. } => "thread",
        };
        f.debug_struct("Waiter").field("of", &waits).finish_non_exhaustive()
    }
}
