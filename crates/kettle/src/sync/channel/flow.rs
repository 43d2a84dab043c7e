//! Owns what flows through a channel: the values that wait, and who waits for them or for room. `mpsc`, `oneshot` and the
//! channel of many receivers are faces of it.
//!
//! A value is in one place: with its sender, in the queue, or in the slot of who receives it; it moves under the lock. While
//! a sender waits there is no room in the queue, and a value goes straight to the one that has waited longest for it. But a
//! future that waits is woken, and gets its value when it polls: until then that is in the queue, or with a sender that waits.
//! So a future that is dropped has nothing that others could miss. What the only receiver of an `mpsc` has taken out at once is
//! in its [`Batch`], and counts as being in the queue.
//!
//! Before anybody waits it looks out, if its thread would sleep: another one may be about to send, or to receive. As long as it
//! does it stands in no list, so who comes later may be served first; who stands in one is never passed over for it.
//!
//! The unsafe code of this module is having nodes put into lists, and taking them out again before their frame goes.

use super::batch::{Batch, Held};
use super::lock::Lock;
use super::model::{AtomicUsize, Lookout, Ordering, Purpose, Wait, Waiter, Woken};
use super::state::State;
use super::waiting::{AllClaimed, List, Node, Race};
use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::mem;
use std::sync::mpsc::{RecvError, RecvTimeoutError, TryRecvError, TrySendError};
use std::task::{Poll, Waker};
use std::time::Instant;

/// What both ends share. In the order of its fields: the first one is written with each value that is sent, and the last two are
/// looked at with each that is received. Those never lie in one line of the caches, or it would go to and fro with each value.
#[repr(C)]
pub(crate) struct Flow<T> {
    state: Lock<State<T>>,
    /// How long one end of a stream lets the other one work alone, where they meet all the time: as long as a spin loop takes
    /// for so many rounds, in which about as many values are sent.
    lag: u32,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    /// Whether it pays to look out for a value, and for room.
    for_values: Lookout,
    for_room: Lookout,
    _apart: [u64; 4],
    is_bounded: bool,
    held: Held,
}

#[cfg(not(loom))]
const _: () = {
    // What goes from one processor's cache to another's at once, in bytes.
    const LINE: usize = 64;
    assert!(mem::offset_of!(Flow<u64>, is_bounded) >= size_of::<Lock<State<u64>>>() + LINE);
};

/// See [`Flow::lag`]. With bounds it is less than what there is room for.
const LAG: u32 = 64;

/// Why nothing is sent. The value comes back.
pub(crate) enum Refused<T> {
    /// The time was up, or the task is cancelled where panics abort.
    TimedOut(T),
    Disconnected(T),
}

impl<T> Flow<T> {
    /// One sender, one receiver. Without a capacity there is always room.
    pub(crate) fn new(capacity: Option<usize>) -> Self {
        Self {
            state: Lock::new(State::new(capacity)),
            lag: capacity.map_or(LAG, |capacity| (capacity / 8).min(LAG as usize) as u32),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
            for_values: Lookout::new(),
            for_room: Lookout::new(),
            _apart: [0; 4],
            is_bounded: capacity.is_some(),
            held: Held::new(),
        }
    }

    /// Whether senders may have to wait.
    #[inline]
    pub(crate) fn is_bounded(&self) -> bool {
        self.is_bounded
    }

    pub(crate) fn len(&self) -> usize {
        self.state.with(|state| state.queue.len())
    }

    pub(crate) fn capacity(&self) -> Option<usize> {
        self.is_bounded.then(|| self.state.with(|state| state.capacity))
    }

    // --- sending ---

    /// Sends, if that can be done now.
    #[inline]
    pub(crate) fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        // Who was claimed is notified when the lock has been given back.
        self.state.with(|state| state.offer(value, &self.held)).map(drop)
    }

    /// Sends without waiting, to a channel without bounds. Gives whether somebody has waited for the value, or the value.
    #[inline]
    pub(crate) fn send_now(&self, value: T) -> Result<bool, T> {
        match self.state.with(|state| state.offer(value, &self.held)) {
            Ok(claimed) => Ok(claimed.is_some()),
            Err(TrySendError::Full(value) | TrySendError::Disconnected(value)) => Err(value),
        }
    }

    /// Sends, and waits for room until then. It raises no cancellation.
    #[inline]
    #[track_caller]
    pub(crate) fn send(&self, value: T, deadline: Option<Instant>) -> Result<(), Refused<T>> {
        match self.try_send(value) {
            Ok(()) => Ok(()),
            Err(TrySendError::Disconnected(value)) => Err(Refused::Disconnected(value)),
            Err(TrySendError::Full(value)) => self.send_late(value, deadline),
        }
    }

    /// As `send`, after that was tried in vain.
    #[track_caller]
    fn send_late(&self, value: T, deadline: Option<Instant>) -> Result<(), Refused<T>> {
        self.for_room.pause(self.lag);
        let mut unsent = Some(value);
        let sent = self.for_room.look(|| match self.try_send(unsent.take()?) {
            Ok(()) => Some(Ok(())),
            Err(TrySendError::Disconnected(value)) => Some(Err(Refused::Disconnected(value))),
            Err(TrySendError::Full(value)) => {
                unsent = Some(value);
                None
            }
        });
        match (sent, unsent) {
            (Some(sent), _) => sent,
            (None, Some(value)) => self.send_waiting(value, deadline),
            (None, None) => unreachable!("invariant: what was not sent comes back"),
        }
    }

    #[track_caller]
    fn send_waiting(&self, value: T, deadline: Option<Instant>) -> Result<(), Refused<T>> {
        let waiter = Waiter::new();
        let slot = UnsafeCell::new(None);
        let node = Node::new(&waiter, &slot);
        // SAFETY: 1. this returns when `leave` has said that nobody has it any more; nothing panics before that. 2. Nor is the
        // slot touched before. 3. It is this state's.
        let begun = self.state.with(|state| unsafe { state.enter_sender(value, &node, &slot, &self.held, || {}) });
        match begun {
            Ok((true, claimed)) => drop(claimed),
            Ok((false, _claimed)) => return Ok(()),
            Err(value) => return Err(Refused::Disconnected(value)),
        }
        let was_notified = self.leave(&waiter, &node, |state| &mut state.waiting_senders, Wait::Send, deadline);
        match slot.into_inner() {
            None => Ok(()),
            Some(value) if was_notified => Err(Refused::Disconnected(value)),
            Some(value) => Err(Refused::TimedOut(value)),
        }
    }

    /// Waits, and leaves the list if nobody has claimed the node. Gives whether somebody has.
    #[inline]
    #[track_caller]
    fn leave(
        &self,
        waiter: &Waiter,
        node: &Node<T>,
        list: impl FnOnce(&mut State<T>) -> &mut List<T>,
        wait: Wait,
        deadline: Option<Instant>,
    ) -> bool {
        if waiter.wait_for(Purpose::here(wait), deadline) == Woken::Notified {
            return true;
        }
        if self.state.with(|state| list(state).remove(node)) {
            return false;
        }
        // Complete or cancelled, never both: somebody has claimed it.
        waiter.wait_for_notice();
        true
    }

    // --- receiving ---

    /// Receives, if that can be done now.
    #[inline]
    pub(crate) fn try_receive(&self) -> Result<T, TryRecvError> {
        let (taken, has_senders) = self.state.with(|state| (state.take(), state.has_senders));
        match taken {
            Some((value, _claimed)) => Ok(value),
            None if has_senders => Err(TryRecvError::Empty),
            None => Err(TryRecvError::Disconnected),
        }
    }

    /// Receives, and waits for a value until then. It raises no cancellation.
    #[track_caller]
    pub(crate) fn receive(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        let seen = self.for_values.look(|| match self.try_receive() {
            Ok(value) => Some(Ok(value)),
            Err(TryRecvError::Disconnected) => Some(Err(RecvTimeoutError::Disconnected)),
            Err(TryRecvError::Empty) => None,
        });
        if let Some(seen) = seen {
            return seen;
        }
        let waiter = Waiter::new();
        let slot = UnsafeCell::new(None);
        let node = Node::new(&waiter, &slot);
        let mut taken = None;
        let waits = self.state.with(|state| {
            taken = state.take();
            // SAFETY: passed on to `receive_begun`, which follows.
            taken.is_none() && unsafe { state.enter_receiver(&node) }
        });
        if let Some((value, _claimed)) = taken {
            return Ok(value);
        }
        self.receive_begun(waits, &waiter, &node, deadline)?;
        slot.into_inner().ok_or(RecvTimeoutError::Disconnected)
    }

    /// Receives, if that can be done now, for the only receiver, whose batch is empty. `None` if there are values in it then.
    #[inline]
    pub(crate) fn try_receive_batch(&self, batch: &Batch<T>) -> Result<Option<T>, TryRecvError> {
        let mut spare = VecDeque::new();
        let (is_filled, taken, has_senders) = self.state.with(|state| {
            let is_filled = state.fill(&mut batch.values(), &mut spare, self.counts());
            (is_filled, if is_filled { None } else { state.take() }, state.has_senders)
        });
        if is_filled {
            batch.note();
        }
        match taken {
            Some((value, _claimed)) => Ok(Some(value)),
            None if is_filled => Ok(None),
            None if has_senders => Err(TryRecvError::Empty),
            None => Err(TryRecvError::Disconnected),
        }
    }

    /// Receives, and waits for a value until then, for the only receiver, whose batch is empty. `None` if there are values in it
    /// then. It raises no cancellation.
    #[inline]
    #[track_caller]
    pub(crate) fn receive_batch(
        &self,
        batch: &Batch<T>,
        deadline: Option<Instant>,
    ) -> Result<Option<T>, RecvTimeoutError> {
        if batch.is_hasty() {
            self.for_values.pause(self.lag);
        }
        let seen = self.for_values.look(|| match self.try_receive_batch(batch) {
            Ok(seen) => Some(Ok(seen)),
            Err(TryRecvError::Disconnected) => Some(Err(RecvTimeoutError::Disconnected)),
            Err(TryRecvError::Empty) => None,
        });
        if let Some(seen) = seen {
            return seen;
        }
        let waiter = Waiter::new();
        let slot = UnsafeCell::new(None);
        let node = Node::new(&waiter, &slot);
        let mut spare = VecDeque::new();
        let mut is_filled = false;
        let mut taken = None;
        let waits = self.state.with(|state| {
            is_filled = state.fill(&mut batch.values(), &mut spare, self.counts());
            if !is_filled && self.is_bounded {
                taken = state.take();
            }
            // SAFETY: passed on to `receive_begun`, which follows.
            !is_filled && taken.is_none() && unsafe { state.enter_receiver(&node) }
        });
        if is_filled {
            return Ok(None);
        }
        if let Some((value, _claimed)) = taken {
            return Ok(Some(value));
        }
        self.receive_begun(waits, &waiter, &node, deadline)?;
        slot.into_inner().map(Some).ok_or(RecvTimeoutError::Disconnected)
    }

    /// Waits, if it is to be waited. When this succeeds, there is a value in the node's slot, or there won't be any.
    #[inline]
    #[track_caller]
    fn receive_begun(
        &self,
        waits: bool,
        waiter: &Waiter,
        node: &Node<T>,
        deadline: Option<Instant>,
    ) -> Result<(), RecvTimeoutError> {
        if !waits {
            return Err(RecvTimeoutError::Disconnected);
        }
        match self.leave(waiter, node, |state| &mut state.waiting_receivers, Wait::Receive, deadline) {
            true => Ok(()),
            false => Err(RecvTimeoutError::Timeout),
        }
    }

    /// Receives what is in the batch. It leaves room for another one.
    #[inline]
    pub(crate) fn receive_held(&self, batch: &Batch<T>) -> Option<T> {
        let value = batch.pop()?;
        if self.is_bounded && self.held.take_one() {
            self.let_in();
        }
        Some(value)
    }

    /// Lets senders in that wait, as long as there is room.
    #[cold]
    fn let_in(&self) {
        while let Some(_claimed) = self.state.with(|state| state.admit(&self.held)) {}
    }

    /// Where values of a batch are counted: without bounds they are not.
    #[inline]
    fn counts(&self) -> Option<&Held> {
        self.is_bounded.then_some(&self.held)
    }

    // --- both ends ---

    pub(crate) fn add_sender(&self) {
        self.senders.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_receiver(&self) {
        self.receivers.fetch_add(1, Ordering::Relaxed);
    }

    /// A sender goes. With the last one, receivers that wait are told so.
    pub(crate) fn remove_sender(&self) {
        if self.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            let all = self.state.with(|state| {
                state.has_senders = false;
                state.waiting_receivers.claim_all()
            });
            drop(all);
        }
    }

    /// A receiver goes. With the last one, senders that wait get their values back, and what was sent is dropped.
    pub(crate) fn remove_receiver(&self) {
        if self.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            let (all, queue): (AllClaimed<T>, VecDeque<T>) = self.state.with(|state| {
                state.has_receivers = false;
                (state.waiting_senders.claim_all(), mem::take(&mut state.queue))
            });
            drop(all);
            drop(queue);
        }
    }

    // --- one of several ---

    /// Waits to send what is in the slot, as one arm of several. Gives whether it does: not if it might be sent now.
    ///
    /// # Safety
    ///
    /// As of [`List::push`], where it waits, until [`leave_senders`](Self::leave_senders).
    pub(crate) unsafe fn enter_senders(&self, node: &Node<T>, race: *const Race) -> bool {
        let (waits, _claimed) = self.state.with(|state| {
            let may_wait = state.has_receivers && !state.waiting_receivers.has_other_than_futures(race);
            if !may_wait || !state.must_wait(&self.held) {
                return (false, None);
            }
            // SAFETY: passed on.
            (true, unsafe { state.push_sender(node) })
        });
        waits
    }

    /// Ends that.
    pub(crate) fn leave_senders(&self, node: &Node<T>) {
        self.state.with(|state| state.waiting_senders.remove(node));
    }

    /// Waits to receive into the slot, as one arm of several. Gives whether it does: not if there might be a value now.
    ///
    /// # Safety
    ///
    /// As of [`List::push`], where it waits, until [`leave_receivers`](Self::leave_receivers).
    pub(crate) unsafe fn enter_receivers(&self, node: &Node<T>, race: *const Race) -> bool {
        self.state.with(|state| {
            let waits = state.has_senders && state.queue.is_empty() && !state.waiting_senders.has_other(race);
            if waits {
                // SAFETY: passed on.
                unsafe { state.waiting_receivers.push(node) };
            }
            waits
        })
    }

    /// Ends that.
    pub(crate) fn leave_receivers(&self, node: &Node<T>) {
        self.state.with(|state| state.waiting_receivers.remove(node));
    }

    // --- futures ---

    /// Receives a value, or waits for one as a future. `Pending` if it waits.
    ///
    /// # Safety
    ///
    /// As of [`List::push`], where it waits, until [`leave_receiving`](Self::leave_receiving).
    pub(crate) unsafe fn begin_receiving(&self, node: &Node<T>, waker: Waker) -> Poll<Result<T, RecvError>> {
        // What is not used of wakers is dropped where nothing is locked.
        let mut waker = Some(waker);
        let mut before = None;
        let (polled, _claimed) = self.state.with(|state| {
            if let Some((value, claimed)) = state.take() {
                return (Poll::Ready(Ok(value)), claimed);
            }
            before = waker.take().map(|waker| node.listen(waker));
            // SAFETY: passed on.
            match unsafe { state.enter_receiver(node) } {
                true => (Poll::Pending, None),
                false => (Poll::Ready(Err(RecvError)), None),
            }
        });
        polled
    }

    /// Sends a value, or waits for room as a future, with the value in the slot. `Pending` if it waits.
    ///
    /// # Safety
    ///
    /// As of [`List::push`], where it waits, until [`leave_senders`](Self::leave_senders). The slot is the node's.
    pub(crate) unsafe fn begin_sending(
        &self,
        node: &Node<T>,
        slot: &UnsafeCell<Option<T>>,
        value: T,
        waker: Waker,
    ) -> Poll<Result<(), T>> {
        let mut waker = Some(waker);
        let mut before = None;
        let (polled, _claimed) = self.state.with(|state| {
            let listen = || before = waker.take().map(|waker| node.listen(waker));
            // SAFETY: passed on.
            match unsafe { state.enter_sender(value, node, slot, &self.held, listen) } {
                Ok((true, claimed)) => (Poll::Pending, claimed),
                Ok((false, claimed)) => (Poll::Ready(Ok(())), claimed),
                Err(value) => (Poll::Ready(Err(value)), None),
            }
        });
        polled
    }

    /// Goes on waiting with another waker. Gives whether it does: not if somebody has claimed the node. Then the slot is as
    /// he left it, and belongs to the future again.
    pub(crate) fn goes_on(&self, node: &Node<T>, waker: Waker) -> bool {
        let (waits, _unused) = self.state.with(|_| match node.is_queued() {
            true => (true, Ok(node.listen(waker))),
            false => (false, Err(waker)),
        });
        waits
    }

    /// Ends the wait of a future that is dropped. What it was woken for is for the next one.
    pub(crate) fn leave_receiving(&self, node: &Node<T>) {
        let _claimed = self.state.with(|state| match state.waiting_receivers.remove(node) {
            true => (None, None),
            false => state.pass_on(),
        });
    }
}
