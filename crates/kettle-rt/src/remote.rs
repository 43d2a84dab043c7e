//! Owns how a task is woken from other threads: its [`Remote`], and the [`Mailbox`] of the loop that it belongs to.
//!
//! A remote has the token of `park` and `unpark`: *empty*, *notified* (a park that follows does not wait), or *parked*.
//! Who finds it parked makes it notified and puts the remote into the mailbox; that is the only way from *parked*, so each
//! park is woken once.
//!
//! A thread outside of `run` has a remote as well. When it ends, and its loop and its thread-locals go, it *leaves* that: its
//! token is that of `std` from then on, and who unparks it goes there.
//!
//! The unsafe code of this module is slots behind addresses, on their way through a mailbox.

use crate::cancelled::Reason;
use crate::job::{Cancel, Job};
use crate::mailbox;
use std::cell::Cell;
use std::num::NonZeroU64;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Nobody has unparked the task, and it does not wait.
const EMPTY: u8 = 0;
/// The next park does not wait.
const NOTIFIED: u8 = 1;
/// The task waits in `park`.
const PARKED: u8 = 2;
/// The remote is that of a thread which has left it. Nothing leads out of this.
const LEFT: u8 = 3;

/// What a notice has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notified {
    /// The task does not wait: its next park will find the token.
    Running,
    /// The task waits for it, and has to be woken.
    Parked,
    /// The thread has left, and has to be unparked as with `std`.
    Left,
}

/// How a task is found from anywhere, for as long as anybody asks.
#[derive(Debug)]
pub(crate) struct Remote {
    id: NonZeroU64,
    name: Option<Box<str>>,
    token: AtomicU8,
    /// Whether a future that the task polls has been woken: the same states, of another conversation.
    polled: AtomicU8,
    /// None if the task had ended before anybody asked; or it is a thread that has no loop yet.
    mailbox: OnceLock<Arc<Mailbox>>,
    /// The task's header. Written and read by its own thread; null when it has ended.
    task: AtomicPtr<()>,
}

/// What another thread has to say to a loop.
#[derive(Debug)]
pub(crate) enum Message {
    /// A task's token was made available.
    Unpark(Arc<Remote>),
    /// What one of its tasks waits for has come.
    Deliver(Letter),
    /// A function is to begin here.
    Start(Job),
    /// A task of it is to end.
    Cancel(Arc<dyn Cancel>, Reason),
}

/// What other threads have to say to a loop.
pub(crate) type Mailbox = mailbox::Mailbox<Message>;

/// Where a task of the loop waits for one thing that comes once.
#[derive(Debug)]
pub(crate) struct Slot {
    /// The task's header.
    task: *mut (),
    is_delivered: Cell<bool>,
}

/// A slot on its way to the loop of its task.
#[derive(Debug)]
pub(crate) struct Letter(NonNull<Slot>);

// SAFETY: only the loop of the slot's task looks at it, by `deliver`.
unsafe impl Send for Letter {}

impl Slot {
    pub(crate) fn new(task: *mut ()) -> Self {
        Self { task, is_delivered: Cell::new(false) }
    }

    /// The task's header.
    pub(crate) fn task(&self) -> *mut () {
        self.task
    }

    pub(crate) fn is_delivered(&self) -> bool {
        self.is_delivered.get()
    }

    /// Delivers it, on the thread of its task. Gives the task's header.
    pub(crate) fn deliver(&self) -> *mut () {
        self.is_delivered.set(true);
        self.task
    }

    /// A letter to it, from any thread.
    ///
    /// # Safety
    ///
    /// 1. The slot is there until the letter has been delivered. 2. The letter is put into the mailbox of its task's loop.
    pub(crate) unsafe fn letter(this: NonNull<Self>) -> Letter {
        Letter(this)
    }
}

impl Letter {
    /// Delivers it, on the thread of its task. Gives the task's header.
    pub(crate) fn deliver(self) -> *mut () {
        // SAFETY: by the obligation of `letter`.
        unsafe { self.0.as_ref() }.deliver()
    }
}

impl Remote {
    /// How a task is found: by its loop's mailbox and its header's address. It gets a number that no other has.
    pub(crate) fn new(home: Option<(Arc<Mailbox>, *mut ())>, name: Option<Box<str>>) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NonZeroU64::new(NEXT.fetch_add(1, Ordering::Relaxed)).expect("invariant: 64 bits last for centuries");
        let remote = Self {
            id,
            name,
            token: AtomicU8::new(EMPTY),
            polled: AtomicU8::new(EMPTY),
            mailbox: OnceLock::new(),
            task: AtomicPtr::new(ptr::null_mut()),
        };
        if let Some((mailbox, task)) = home {
            remote.belong_to(mailbox, task);
        }
        Arc::new(remote)
    }

    /// Says where it is found. Called once, by its own thread.
    pub(crate) fn belong_to(&self, mailbox: Arc<Mailbox>, task: *mut ()) {
        self.task.store(task, Ordering::Relaxed);
        self.mailbox.set(mailbox).expect("invariant: called once");
    }

    /// Whether it has been said where it is found.
    pub(crate) fn belongs(&self) -> bool {
        self.mailbox.get().is_some()
    }

    /// A number that no other task of this process has.
    pub(crate) fn id(&self) -> NonZeroU64 {
        self.id
    }

    /// The name that the task was given.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether its loop has this mailbox.
    pub(crate) fn is_of(&self, mailbox: &Arc<Mailbox>) -> bool {
        self.mailbox.get().is_some_and(|own| Arc::ptr_eq(own, mailbox))
    }

    /// The task's header, for its own thread.
    pub(crate) fn task(&self) -> *mut () {
        self.task.load(Ordering::Relaxed)
    }

    /// The task has ended. For its own thread.
    pub(crate) fn end(&self) {
        self.task.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// Begins to park. Gives `false` if the token was there: it is taken, and the task does not wait.
    pub(crate) fn park(&self) -> bool {
        let parked = self.token.compare_exchange(EMPTY, PARKED, Ordering::Acquire, Ordering::Acquire);
        if parked.is_err() {
            // Not stored: an unpark since then is taken with it, and what came before that is seen.
            self.unparked();
        }
        parked.is_ok()
    }

    /// Ends a park, however it came to that: the token is taken if it is there.
    pub(crate) fn unparked(&self) {
        self.token.swap(EMPTY, Ordering::Acquire);
    }

    /// Makes the token available.
    pub(crate) fn notify(&self) -> Notified {
        // Written also if it is there already: what came before this is seen by who takes it.
        let notify = |token| (token != LEFT).then_some(NOTIFIED);
        match self.token.fetch_update(Ordering::Release, Ordering::Relaxed, notify) {
            Ok(PARKED) => Notified::Parked,
            Ok(_) => Notified::Running,
            Err(_) => Notified::Left,
        }
    }

    /// The thread waits as with `std` from now on. Gives whether the token was there: it is taken. For its own thread.
    pub(crate) fn leave(&self) -> bool {
        self.token.swap(LEFT, Ordering::Acquire) == NOTIFIED
    }

    /// Whether its thread has left it. For its own thread.
    pub(crate) fn has_left(&self) -> bool {
        self.token.load(Ordering::Relaxed) == LEFT
    }

    /// The future was not ready, and the task is about to wait. Gives `false` if it has been woken since: that stays to be
    /// counted by [`stop_waiting_for_waker`](Self::stop_waiting_for_waker), for it may be meant for another poll of the task.
    pub(crate) fn wait_for_waker(&self) -> bool {
        self.polled.compare_exchange(EMPTY, PARKED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The task waits no more. Gives whether it has been woken.
    pub(crate) fn stop_waiting_for_waker(&self) -> bool {
        // Looked at first: a thread that wakes it after that finds the task running.
        self.polled.load(Ordering::Acquire) != EMPTY && self.polled.swap(EMPTY, Ordering::AcqRel) == NOTIFIED
    }

    /// Whether the task waits for a future to be woken, and has not been. For its own thread.
    pub(crate) fn waits_for_waker(&self) -> bool {
        self.polled.load(Ordering::Relaxed) == PARKED
    }

    /// A future is woken. Gives `true` if the task waits for it: then it has to be woken.
    pub(crate) fn wake_future(&self) -> bool {
        self.polled.swap(NOTIFIED, Ordering::AcqRel) == PARKED
    }

    /// Tells the task's loop to wake it. Gives whether it has one.
    pub(crate) fn send(self: &Arc<Self>) -> bool {
        let mailbox = self.mailbox.get();
        if let Some(mailbox) = mailbox {
            mailbox.put(Message::Unpark(Arc::clone(self)));
        }
        mailbox.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The task may have several polls, one within the other: which one this was for, nobody knows.
    #[test]
    fn a_wake_that_crosses_the_beginning_of_a_wait_is_left_to_be_counted() {
        let remote = Remote::new(None, None);
        assert!(!remote.wake_future(), "it does not wait yet");
        assert!(!remote.wait_for_waker());
        assert!(remote.stop_waiting_for_waker());
        assert!(!remote.stop_waiting_for_waker(), "it is counted once");
        assert!(remote.wait_for_waker());
    }
}
