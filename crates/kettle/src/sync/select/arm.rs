//! Owns what can be waited for beside others: the trait [`Arm`], and the arms that are channels.
//!
//! An arm does one thing, once. It is tried, or it is entered into the list of who waits for the same and left again; what
//! it has received is in it.
//!
//! The unsafe code of this module is entering nodes that lie in the arm: `Select` leaves each before it lets go of the arm.

use crate::sync::channel::batch::Batch;
use crate::sync::channel::flow::Flow;
use crate::sync::channel::waiting::{Entry, Node};
use crate::sync::{broadcast, channel, mpsc, oneshot, watch};
use kettle_rt::driver::Interest;
use std::cell::UnsafeCell;
use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::mpsc::{RecvError, SendError, TryRecvError, TrySendError};
use std::time::Instant;

/// What a [`Select`](super::Select) can wait for. Made by the functions of [`select`](super); only those make arms.
pub trait Arm: Waitable {}

/// What `Select` does with an arm.
pub trait Waitable {
    /// Does it now, if that can be done. An arm that has been done is not tried again.
    fn attempt(&mut self) -> bool;

    /// Whether it has been done, if that can be done once only: what it has received would be lost.
    fn is_done(&self) -> bool {
        false
    }

    /// Waits for it. Gives whether it does: not if it might be done now.
    ///
    /// # Safety
    ///
    /// 1. The arm stays where it is, and nothing else is done with it, until `leave`. 2. That follows before the entry goes,
    ///    and when nobody is about to notify its waiter.
    unsafe fn enter(&mut self, entry: &Entry<'_>) -> bool;

    /// Ends that. Others may reach the arm until it has been done.
    fn leave(&self);

    /// What follows it: the arm is alone again, and has not been done unless `complete` is called.
    fn take_back(&mut self) {}

    /// Somebody else has notified the waiter because of it. Gives whether it has been done.
    fn complete(&mut self) -> bool {
        true
    }

    /// When it is ready, if it is a time.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Whether it is ready, if it is what wakes the task without notifying the waiter.
    fn is_over(&self) -> bool {
        false
    }

    /// What has to be polled for it, if it is a descriptor.
    fn descriptor(&self) -> Option<(BorrowedFd<'_>, Interest)> {
        None
    }
}

// --- receiving ---

/// A receiver of values that each go to one receiver.
pub trait Source {
    /// What it receives.
    type Item;

    #[doc(hidden)]
    fn receiving(&self) -> Receiving<'_, Self::Item>;
}

/// An arm that receives a value. Made by [`recv`].
pub struct Receiving<'a, T> {
    flow: &'a Flow<T>,
    /// What comes before that which is in the flow.
    batch: Option<&'a Batch<T>>,
    slot: UnsafeCell<Option<T>>,
    node: Option<Node<T>>,
    is_done: bool,
}

/// Receives a value, from an `mpsc`, a `channel` or a `oneshot`. Ready when there is one, or all senders have gone.
pub fn recv<R: Source>(receiver: &R) -> Receiving<'_, R::Item> {
    receiver.receiving()
}

impl<T> Source for mpsc::Receiver<T> {
    type Item = T;

    fn receiving(&self) -> Receiving<'_, T> {
        let (flow, batch) = self.parts();
        Receiving { flow, batch: Some(batch), slot: UnsafeCell::new(None), node: None, is_done: false }
    }
}

impl<T> Source for channel::Receiver<T> {
    type Item = T;

    fn receiving(&self) -> Receiving<'_, T> {
        Receiving { flow: &self.flow, batch: None, slot: UnsafeCell::new(None), node: None, is_done: false }
    }
}

impl<T> Source for oneshot::Receiver<T> {
    type Item = T;

    fn receiving(&self) -> Receiving<'_, T> {
        self.inner.receiving()
    }
}

impl<T> Receiving<'_, T> {
    /// What was received, when this arm was chosen.
    ///
    /// # Errors
    ///
    /// If all senders have gone. If it was not chosen.
    pub fn finish(self) -> Result<T, RecvError> {
        self.slot.into_inner().ok_or(RecvError)
    }

    fn batched(&self) -> Option<T> {
        self.batch.and_then(|batch| self.flow.receive_held(batch))
    }
}

impl<T> Arm for Receiving<'_, T> {}

impl<T> Waitable for Receiving<'_, T> {
    fn attempt(&mut self) -> bool {
        let received = self.batched().map_or_else(|| self.flow.try_receive(), Ok);
        match received {
            Ok(value) => *self.slot.get_mut() = Some(value),
            Err(TryRecvError::Empty) => return false,
            Err(TryRecvError::Disconnected) => {}
        }
        self.is_done = true;
        true
    }

    fn complete(&mut self) -> bool {
        self.is_done = true;
        true
    }

    fn is_done(&self) -> bool {
        self.is_done
    }

    unsafe fn enter(&mut self, entry: &Entry<'_>) -> bool {
        if self.batch.is_some_and(|batch| !batch.is_empty()) {
            return false;
        }
        let node = self.node.insert(Node::racing(entry, &self.slot));
        // SAFETY: it lies in the arm, which stays; passed on.
        unsafe { self.flow.enter_receivers(node, entry.race) }
    }

    fn leave(&self) {
        if let Some(node) = &self.node {
            self.flow.leave_receivers(node);
        }
    }
}

// --- sending ---

/// A sender that may have to wait for room.
pub trait Sink {
    /// What it sends.
    type Item;

    #[doc(hidden)]
    fn sending<'a>(&'a self, value: &'a mut Option<Self::Item>) -> Sending<'a, Self::Item>;
}

/// An arm that sends a value. Made by [`send`].
pub struct Sending<'a, T> {
    flow: &'a Flow<T>,
    /// Where the value comes from and, unless it is sent, goes back to.
    value: &'a mut Option<T>,
    slot: UnsafeCell<Option<T>>,
    node: Option<Node<T>>,
    is_done: bool,
}

/// Sends a value, to a `sync_channel` or a `channel`. Ready when there is room for it, or all receivers have gone; never, if
/// there is `None`. Unless it is sent, the value stays where it is.
pub fn send<'a, S: Sink>(sender: &'a S, value: &'a mut Option<S::Item>) -> Sending<'a, S::Item> {
    sender.sending(value)
}

impl<T> Sink for mpsc::SyncSender<T> {
    type Item = T;

    fn sending<'a>(&'a self, value: &'a mut Option<T>) -> Sending<'a, T> {
        Sending { flow: &self.flow, value, slot: UnsafeCell::new(None), node: None, is_done: false }
    }
}

impl<T> Sink for channel::Sender<T> {
    type Item = T;

    fn sending<'a>(&'a self, value: &'a mut Option<T>) -> Sending<'a, T> {
        Sending { flow: &self.flow, value, slot: UnsafeCell::new(None), node: None, is_done: false }
    }
}

impl<T> Sending<'_, T> {
    /// Whether the value was sent, when this arm was chosen.
    ///
    /// # Errors
    ///
    /// The value, if all receivers have gone, or if the arm was not chosen.
    pub fn finish(self) -> Result<(), SendError<T>> {
        self.value.take().map_or(Ok(()), |value| Err(SendError(value)))
    }
}

impl<T> Arm for Sending<'_, T> {}

impl<T> Waitable for Sending<'_, T> {
    fn attempt(&mut self) -> bool {
        let Some(value) = self.value.take() else { return false };
        match self.flow.try_send(value) {
            Ok(()) => self.is_done = true,
            Err(TrySendError::Disconnected(value)) => {
                *self.value = Some(value);
                self.is_done = true;
            }
            Err(TrySendError::Full(value)) => *self.value = Some(value),
        }
        self.is_done
    }

    fn complete(&mut self) -> bool {
        self.is_done = true;
        true
    }

    fn is_done(&self) -> bool {
        self.is_done
    }

    unsafe fn enter(&mut self, entry: &Entry<'_>) -> bool {
        let Some(value) = self.value.take() else { return true };
        *self.slot.get_mut() = Some(value);
        let node = self.node.insert(Node::racing(entry, &self.slot));
        // SAFETY: it lies in the arm, which stays; passed on.
        unsafe { self.flow.enter_senders(node, entry.race) }
    }

    fn leave(&self) {
        if let Some(node) = &self.node {
            self.flow.leave_senders(node);
        }
    }

    fn take_back(&mut self) {
        if self.node.take().is_some() {
            *self.value = self.slot.get_mut().take();
        }
    }
}

// --- news ---

/// A receiver of what everybody receives.
pub trait Feed {
    /// What it receives.
    type Output;

    #[doc(hidden)]
    fn look_now(&mut self) -> Option<Self::Output>;

    /// # Safety
    ///
    /// As of `Waitable::enter`, for the node.
    #[doc(hidden)]
    unsafe fn enter_news(&self, node: &Node<()>) -> bool;

    #[doc(hidden)]
    fn leave_news(&self, node: &Node<()>);
}

/// An arm that receives what everybody receives. Made by [`next`].
pub struct Looking<'a, R: Feed> {
    receiver: &'a mut R,
    found: Option<R::Output>,
    slot: UnsafeCell<Option<()>>,
    node: Option<Node<()>>,
}

/// Receives a value that a `watch` has not shown, or the next one of a `broadcast`. Ready when there is one, or something to
/// say instead.
pub fn next<R: Feed>(receiver: &mut R) -> Looking<'_, R> {
    Looking { receiver, found: None, slot: UnsafeCell::new(None), node: None }
}

impl<T> Feed for watch::Receiver<T> {
    type Output = Result<Arc<T>, RecvError>;

    fn look_now(&mut self) -> Option<Self::Output> {
        self.look()
    }

    unsafe fn enter_news(&self, node: &Node<()>) -> bool {
        // SAFETY: passed on.
        unsafe { self.news.enter(node, self.finds()) }
    }

    fn leave_news(&self, node: &Node<()>) {
        self.news.leave(node);
    }
}

impl<T: Clone> Feed for broadcast::Receiver<T> {
    type Output = Result<T, broadcast::RecvError>;

    fn look_now(&mut self) -> Option<Self::Output> {
        self.look()
    }

    unsafe fn enter_news(&self, node: &Node<()>) -> bool {
        // SAFETY: passed on.
        unsafe { self.news.enter(node, self.finds()) }
    }

    fn leave_news(&self, node: &Node<()>) {
        self.news.leave(node);
    }
}

impl<R: Feed> Looking<'_, R> {
    /// What was received, when this arm was chosen.
    ///
    /// # Panics
    ///
    /// If it was not chosen.
    pub fn finish(self) -> R::Output {
        self.found.expect("finish an arm of a select that was not chosen")
    }
}

impl<R: Feed> Arm for Looking<'_, R> {}

impl<R: Feed> Waitable for Looking<'_, R> {
    fn attempt(&mut self) -> bool {
        self.found = self.receiver.look_now();
        self.found.is_some()
    }

    fn complete(&mut self) -> bool {
        self.attempt()
    }

    fn is_done(&self) -> bool {
        self.found.is_some()
    }

    unsafe fn enter(&mut self, entry: &Entry<'_>) -> bool {
        let node = self.node.insert(Node::racing(entry, &self.slot));
        // SAFETY: it lies in the arm, which stays; passed on.
        unsafe { self.receiver.enter_news(node) }
    }

    fn leave(&self) {
        if let Some(node) = &self.node {
            self.receiver.leave_news(node);
        }
    }
}

impl<T> fmt::Debug for Receiving<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Sending<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").finish_non_exhaustive()
    }
}

impl<R: Feed> fmt::Debug for Looking<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Looking").finish_non_exhaustive()
    }
}
