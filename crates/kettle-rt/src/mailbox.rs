//! Owns the mailbox: how other threads leave messages for a loop, and end its sleep. It has no lock.
//!
//! The loop empties its mailbox before it sleeps and after; who puts something in notifies the driver after that. So either
//! the loop finds it, or the sleep does not happen:
//!
//! ```text
//!   loop                              other thread
//!   …                                 put the message into the mailbox
//!   empty the mailbox                 say that there is mail
//!   sleep, unless notified            notify the driver
//!   empty the mailbox
//! ```
#![forbid(unsafe_code)]

use crate::gate::Gate;
use crossbeam_queue::SegQueue;
use kettle_driver::Notifier;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What other threads have to say to a loop.
#[derive(Debug)]
pub(crate) struct Mailbox<M> {
    /// Closed when the loop has gone. So handles that outlive it keep neither its descriptor nor each other.
    open: Gate<Open<M>>,
    /// Whether there may be messages: a hint, for who is going to be notified of what it misses.
    has_mail: AtomicBool,
}

#[derive(Debug)]
struct Open<M> {
    messages: SegQueue<M>,
    notifier: Notifier,
}

impl<M> Mailbox<M> {
    pub(crate) fn new(notifier: Notifier) -> Arc<Self> {
        let open = Open { messages: SegQueue::new(), notifier };
        Arc::new(Self { open: Gate::new(open), has_mail: AtomicBool::new(false) })
    }

    /// Whether something has come, as far as this thread has heard.
    pub(crate) fn has_mail(&self) -> bool {
        self.has_mail.load(Ordering::Relaxed)
    }

    /// Takes out what has come, into a vector. What comes meanwhile is left for the next time.
    #[inline]
    pub(crate) fn empty_into(&self, messages: &mut Vec<M>) {
        if self.has_mail() {
            self.take_all(messages);
        }
    }

    #[inline(never)]
    fn take_all(&self, messages: &mut Vec<M>) {
        let Some(open) = self.open.enter() else { return };
        // First: who puts something in after this says so again.
        self.has_mail.swap(false, Ordering::AcqRel);
        messages.extend((0..open.messages.len()).map_while(|_| open.messages.pop()));
        if !open.messages.is_empty() {
            self.has_mail.swap(true, Ordering::AcqRel);
        }
    }

    /// Leaves a message. It is dropped if the loop has gone, and with it all that could be woken. Gives whether the loop slept.
    pub(crate) fn put(&self, message: M) -> bool {
        let Some(open) = self.open.enter() else { return false };
        open.messages.push(message);
        // Not stored: who takes the mark down sees the messages of all who have put it up, not only of the last one.
        self.has_mail.swap(true, Ordering::AcqRel);
        open.notifier.notify()
    }

    /// Ends the loop's sleep, or prevents the next one.
    pub(crate) fn notify(&self) {
        if let Some(open) = self.open.enter() {
            open.notifier.notify();
        }
    }

    /// How many messages have not been taken out.
    pub(crate) fn len(&self) -> usize {
        self.open.enter().map_or(0, |open| open.messages.len())
    }

    /// The loop goes.
    pub(crate) fn close(&self) {
        // What is in it is dropped when nobody is in here any more.
        let open = self.open.close();
        drop(open);
    }
}
