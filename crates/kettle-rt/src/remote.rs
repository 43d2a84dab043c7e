//! Owns how a task is woken from other threads: its [`Remote`], and the [`Mailbox`] of the loop that it belongs to.
//!
//! A remote has the token of `park` and `unpark`: *empty*, *notified* (a park that follows does not wait), or *parked*.
//! Who finds it parked makes it notified and puts the remote into the mailbox; that is the only way from *parked*, so each
//! park is woken once. The loop empties its mailbox before it sleeps and after; who puts something in notifies the driver
//! after that. So either the loop finds it, or the sleep does not happen:
//!
//! ```text
//!   loop                              other thread
//!   …                                 token: parked -> notified
//!   empty the mailbox                 put the remote into the mailbox
//!   sleep, unless notified            notify the driver
//!   empty the mailbox
//! ```

use kettle_driver::Notifier;
use std::cell::Cell;
use std::num::NonZeroU64;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Nobody has unparked the task, and it does not wait.
const EMPTY: u8 = 0;
/// The next park does not wait.
const NOTIFIED: u8 = 1;
/// The task waits in `park`.
const PARKED: u8 = 2;

/// How a task is found from anywhere, for as long as anybody asks.
#[derive(Debug)]
pub(crate) struct Remote {
    id: NonZeroU64,
    name: Option<Box<str>>,
    token: AtomicU8,
    /// `None` if the task had ended before anybody asked.
    mailbox: Option<Arc<Mailbox>>,
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
}

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

/// What other threads have to say to a loop.
#[derive(Debug)]
pub(crate) struct Mailbox {
    messages: Mutex<Vec<Message>>,
    notifier: Notifier,
}

impl Mailbox {
    pub(crate) fn new(notifier: Notifier) -> Arc<Self> {
        Arc::new(Self { messages: Mutex::default(), notifier })
    }

    /// Takes out what has come, into a vector that is empty.
    pub(crate) fn empty_into(&self, messages: &mut Vec<Message>) {
        // Nothing panics while it is locked.
        std::mem::swap(&mut *self.messages.lock().unwrap_or_else(PoisonError::into_inner), messages);
    }

    pub(crate) fn put(&self, message: Message) {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        self.notifier.notify();
    }
}

impl Remote {
    /// How a task is found: by its loop's mailbox and its header's address. It gets a number that no other has.
    pub(crate) fn new(home: Option<(Arc<Mailbox>, *mut ())>, name: Option<Box<str>>) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NonZeroU64::new(NEXT.fetch_add(1, Ordering::Relaxed)).expect("invariant: 64 bits last for centuries");
        let (mailbox, task) = home.map_or((None, ptr::null_mut()), |(mailbox, task)| (Some(mailbox), task));
        Arc::new(Self { id, name, token: AtomicU8::new(EMPTY), mailbox, task: AtomicPtr::new(task) })
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
        self.mailbox.as_ref().is_some_and(|own| Arc::ptr_eq(own, mailbox))
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
            self.token.store(EMPTY, Ordering::Relaxed);
        }
        parked.is_ok()
    }

    /// Ends a park, however it came to that: the token is taken if it is there.
    pub(crate) fn unparked(&self) {
        self.token.swap(EMPTY, Ordering::Acquire);
    }

    /// Whether the task waits for the token.
    pub(crate) fn is_parked(&self) -> bool {
        self.token.load(Ordering::Relaxed) == PARKED
    }

    /// Makes the token available. Gives `true` if the task waits for it: then it has to be woken.
    pub(crate) fn notify(&self) -> bool {
        self.token.swap(NOTIFIED, Ordering::Release) == PARKED
    }

    /// Tells the task's loop to wake it.
    pub(crate) fn send(self: &Arc<Self>) {
        if let Some(mailbox) = &self.mailbox {
            mailbox.put(Message::Unpark(Arc::clone(self)));
        }
    }
}
