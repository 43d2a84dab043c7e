//! Owns what happens to a flow under its lock: where values go, and who waits.
//!
//! The unsafe code of this module is putting nodes into lists, and values into slots that nobody knows yet.

use super::batch::Held;
use super::waiting::{Claimed, List, Node};
use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::mem;
use std::sync::mpsc::TrySendError;

/// What the lock of a flow guards.
pub(super) struct State<T> {
    pub(super) queue: VecDeque<T>,
    /// How many the queue takes, together with the batch.
    pub(super) capacity: usize,
    /// How many there are in the batch; by now they may be fewer.
    held_at_most: usize,
    pub(super) waiting_receivers: List<T>,
    pub(super) waiting_senders: List<T>,
    pub(super) has_senders: bool,
    pub(super) has_receivers: bool,
}

/// A buffer that is kept although it is empty holds so many at most, or four times what came last.
const KEPT: usize = 1024;

/// A value, and the sender that was let in for it, who is notified when nothing is locked.
pub(super) type Taken<T> = (T, Option<Claimed<T>>);

impl<T> State<T> {
    pub(super) fn new(capacity: Option<usize>) -> Self {
        Self {
            queue: VecDeque::new(),
            capacity: capacity.unwrap_or(usize::MAX),
            held_at_most: 0,
            waiting_receivers: List::new(),
            waiting_senders: List::new(),
            has_senders: true,
            has_receivers: true,
        }
    }

    /// Whether there is room for one more, which is not somebody's who waits.
    #[inline]
    pub(super) fn has_room(&mut self, held: &Held) -> bool {
        if self.queue.len() + self.held_at_most >= self.capacity {
            // Seldom: that word is the receiver's.
            self.held_at_most = held.count();
        }
        self.queue.len() + self.held_at_most < self.capacity && self.waiting_senders.is_empty()
    }

    /// Whether a sender has to wait, which has found no room. Then it enters the list before anything else is done.
    pub(super) fn must_wait(&mut self, held: &Held) -> bool {
        // Where somebody waits already, that has been announced.
        if self.waiting_senders.is_empty() {
            self.held_at_most = held.announce();
        }
        !self.has_room(held)
    }

    /// Lets the sender that has waited longest have its value in the queue, if there is room.
    pub(super) fn admit(&mut self, held: &Held) -> Option<Claimed<T>> {
        if self.queue.len() + held.count() >= self.capacity {
            return None;
        }
        let sender = self.waiting_senders.claim();
        match &sender {
            Some(sender) => self.queue.push_back(sender.take()),
            None => held.forget(),
        }
        sender
    }

    /// Sends a value, if that can be done now.
    #[inline]
    pub(super) fn offer(&mut self, value: T, held: &Held) -> Result<Option<Claimed<T>>, TrySendError<T>> {
        if !self.has_receivers {
            return Err(TrySendError::Disconnected(value));
        }
        if !self.waiting_receivers.is_empty() {
            return self.offer_to_waiting(value, held);
        }
        if self.has_room(held) {
            self.queue.push_back(value);
            return Ok(None);
        }
        Err(TrySendError::Full(value))
    }

    /// Sends a value to who has waited longest. A future gets it when it polls: until then the value is in the queue, for which
    /// there must be room. Others get it at once, or an older one.
    #[inline]
    fn offer_to_waiting(&mut self, value: T, held: &Held) -> Result<Option<Claimed<T>>, TrySendError<T>> {
        if let Some(receiver) = self.waiting_receivers.claim_before_futures() {
            self.hand_over(value, &receiver);
            return Ok(Some(receiver));
        }
        if self.has_room(held) {
            self.queue.push_back(value);
            return Ok(self.waiting_receivers.claim_future());
        }
        match self.waiting_receivers.claim_past_futures() {
            Some(receiver) => {
                self.hand_over(value, &receiver);
                Ok(Some(receiver))
            }
            None => Err(TrySendError::Full(value)),
        }
    }

    #[inline]
    fn hand_over(&mut self, value: T, receiver: &Claimed<T>) {
        receiver.put(match self.queue.pop_front() {
            None => value,
            Some(older) => {
                self.queue.push_back(value);
                older
            }
        });
    }

    /// Sends a value; or puts it into the slot, and has the sender wait, after it has called a function: then the node
    /// is others'. Gives whether it waits, and who is to be notified.
    ///
    /// # Safety
    ///
    /// As of [`List::push`], if it waits. The slot is the node's, which is in no list.
    pub(super) unsafe fn enter_sender(
        &mut self,
        mut value: T,
        node: &Node<T>,
        slot: &UnsafeCell<Option<T>>,
        held: &Held,
        before_waiting: impl FnOnce(),
    ) -> Result<(bool, Option<Claimed<T>>), T> {
        loop {
            value = match self.offer(value, held) {
                Ok(claimed) => return Ok((false, claimed)),
                Err(TrySendError::Disconnected(value)) => return Err(value),
                Err(TrySendError::Full(value)) => value,
            };
            if self.must_wait(held) {
                before_waiting();
                // SAFETY: by the obligation nobody else knows the slot.
                unsafe { *slot.get() = Some(value) };
                // SAFETY: passed on.
                return Ok((true, unsafe { self.push_sender(node) }));
            }
        }
    }

    /// Has a sender wait. Gives a future that is to be woken; nobody else waits for what it sends.
    ///
    /// # Safety
    ///
    /// As of [`List::push`].
    pub(super) unsafe fn push_sender(&mut self, node: &Node<T>) -> Option<Claimed<T>> {
        // SAFETY: passed on.
        unsafe { self.waiting_senders.push(node) };
        self.waiting_receivers.claim_future()
    }

    /// Receives a value, if that can be done now. There is no batch, or nothing in it.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Taken<T>> {
        let Some(value) = self.queue.pop_front() else {
            let sender = self.waiting_senders.claim()?;
            return Some((sender.take(), Some(sender)));
        };
        // There is room for one more.
        let sender = self.waiting_senders.claim();
        if let Some(sender) = &sender {
            self.queue.push_back(sender.take());
        }
        Some((value, sender))
    }

    /// Moves all that is there into the batch, which is empty. Gives whether there was anything. What is dropped of buffers goes
    /// into `spare`.
    #[inline]
    pub(super) fn fill(&mut self, batch: &mut VecDeque<T>, spare: &mut VecDeque<T>, held: Option<&Held>) -> bool {
        debug_assert!(batch.is_empty(), "invariant: the batch is received first");
        let count = self.queue.len();
        if count == 0 {
            return false;
        }
        if batch.capacity() > KEPT && batch.capacity() / 4 > count {
            mem::swap(batch, spare);
        }
        mem::swap(&mut self.queue, batch);
        if let Some(held) = held {
            held.hold(count);
            self.held_at_most = count;
        }
        true
    }

    /// Has a receiver wait that has found nothing, if there are senders. Gives whether it does.
    ///
    /// # Safety
    ///
    /// As of [`List::push`], if it waits.
    #[inline]
    pub(super) unsafe fn enter_receiver(&mut self, node: &Node<T>) -> bool {
        if self.has_senders {
            // SAFETY: passed on.
            unsafe { self.waiting_receivers.push(node) };
        }
        self.has_senders
    }

    /// A future that has been woken does not want what it was woken for. Gives who is to be notified instead.
    pub(super) fn pass_on(&mut self) -> (Option<Claimed<T>>, Option<Claimed<T>>) {
        if self.queue.is_empty() && self.waiting_senders.is_empty() {
            return (None, None);
        }
        // Who is no future waits beside a value, but never beside a sender.
        if !self.waiting_receivers.begins_with_future()
            && !self.queue.is_empty()
            && let Some(receiver) = self.waiting_receivers.claim_past_futures()
            && let Some((value, sender)) = self.take()
        {
            receiver.put(value);
            return (Some(receiver), sender);
        }
        (self.waiting_receivers.claim_future(), None)
    }
}
