//! Owns what flows through a channel: the values that wait, and who waits for them or for room. `mpsc`, `oneshot` and the
//! channel of many receivers are faces of it.
//!
//! A value is in one place: with its sender, in the queue, or in the slot of who receives it; it moves under the lock. While
//! a receiver waits there is nothing in the queue, and while a sender waits there is no room in it: a value goes straight to
//! the one that has waited longest. (What a future was given that is dropped all the same goes back to the front: then there
//! may be one more than there is room for, until it is received.)
//!
//! The unsafe code of this module is putting nodes into lists, and taking them out again before their frame goes.

use super::lock::Lock;
use super::model::{AtomicUsize, Ordering, Waiter, Woken};
use super::waiting::{AllClaimed, Claimed, List, Node, Race};
use std::cell::{RefCell, UnsafeCell};
use std::collections::VecDeque;
use std::sync::mpsc::{RecvTimeoutError, TryRecvError, TrySendError};
use std::task::{Poll, Waker};
use std::time::Instant;

/// What both ends share.
pub(crate) struct Flow<T> {
    state: Lock<State<T>>,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    is_bounded: bool,
}

struct State<T> {
    queue: VecDeque<T>,
    /// How many the queue takes.
    capacity: usize,
    waiting_receivers: List<T>,
    waiting_senders: List<T>,
    has_senders: bool,
    has_receivers: bool,
}

/// A buffer that is kept although it is empty holds so many at most, or four times what came last.
const KEPT: usize = 1024;

/// What came of looking for a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    /// There is one.
    Filled,
    /// There is none, and the node waits.
    Waits,
    /// There is none, and won't be.
    Disconnected,
}

/// Why nothing is sent. The value comes back.
pub(crate) enum Refused<T> {
    /// The time was up, or the task is cancelled where panics abort.
    TimedOut(T),
    Disconnected(T),
}

impl<T> State<T> {
    /// Swaps the queue for a batch that is empty. Gives a buffer that is not kept.
    #[inline]
    fn fill(&mut self, batch: &mut VecDeque<T>) -> VecDeque<T> {
        debug_assert!(batch.is_empty(), "invariant: the batch is received first");
        let is_large = batch.capacity() > KEPT && batch.capacity() / 4 > self.queue.len();
        let spare = if is_large { std::mem::take(batch) } else { VecDeque::new() };
        std::mem::swap(&mut self.queue, batch);
        spare
    }

    /// Has a receiver wait, if there are senders.
    ///
    /// # Safety
    ///
    /// As of [`List::push`].
    #[inline]
    unsafe fn enter_receiver(&mut self, node: &Node<T>) -> Begun {
        if !self.has_senders {
            return Begun::Disconnected;
        }
        // SAFETY: passed on.
        unsafe { self.waiting_receivers.push(node) };
        Begun::Waits
    }

    /// Sends a value, if that can be done now.
    #[inline]
    fn offer(&mut self, value: T) -> Result<Option<Claimed<T>>, TrySendError<T>> {
        if !self.has_receivers {
            return Err(TrySendError::Disconnected(value));
        }
        if !self.waiting_receivers.is_empty()
            && let Some(receiver) = self.waiting_receivers.claim()
        {
            receiver.put(value);
            return Ok(Some(receiver));
        }
        if self.queue.len() < self.capacity {
            self.queue.push_back(value);
            return Ok(None);
        }
        Err(TrySendError::Full(value))
    }

    /// Receives a value, if that can be done now.
    #[inline]
    fn take(&mut self) -> Option<(T, Option<Claimed<T>>)> {
        let Some(value) = self.queue.pop_front() else {
            let sender = self.waiting_senders.claim()?;
            return Some((sender.take(), Some(sender)));
        };
        // There is room for one more, unless one had come back.
        let has_room = self.queue.len() < self.capacity;
        let sender = if has_room { self.waiting_senders.claim() } else { None };
        if let Some(sender) = &sender {
            self.queue.push_back(sender.take());
        }
        Some((value, sender))
    }
}

impl<T> State<T> {
    /// Takes back a value that was given to somebody who does not want it any more. It comes before all others.
    fn take_back(&mut self, value: T) -> Option<Claimed<T>> {
        let receiver = self.waiting_receivers.claim();
        match &receiver {
            Some(receiver) => receiver.put(value),
            None => self.queue.push_front(value),
        }
        receiver
    }
}

impl<T> Flow<T> {
    /// One sender, one receiver. Without a capacity there is always room.
    pub(crate) fn new(capacity: Option<usize>) -> Self {
        Self {
            state: Lock::new(State {
                queue: VecDeque::new(),
                capacity: capacity.unwrap_or(usize::MAX),
                waiting_receivers: List::new(),
                waiting_senders: List::new(),
                has_senders: true,
                has_receivers: true,
            }),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
            is_bounded: capacity.is_some(),
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
        self.state.with(|state| state.offer(value)).map(drop)
    }

    /// Sends without waiting, to a channel without bounds. Gives whether somebody has waited for the value, or the value.
    #[inline]
    pub(crate) fn send_now(&self, value: T) -> Result<bool, T> {
        match self.state.with(|state| state.offer(value)) {
            Ok(claimed) => Ok(claimed.is_some()),
            Err(TrySendError::Full(value) | TrySendError::Disconnected(value)) => Err(value),
        }
    }

    /// Sends, and waits for room until then. It raises no cancellation.
    pub(crate) fn send(&self, value: T, deadline: Option<Instant>) -> Result<(), Refused<T>> {
        match self.try_send(value) {
            Ok(()) => Ok(()),
            Err(TrySendError::Disconnected(value)) => Err(Refused::Disconnected(value)),
            Err(TrySendError::Full(value)) => self.send_waiting(value, deadline),
        }
    }

    fn send_waiting(&self, value: T, deadline: Option<Instant>) -> Result<(), Refused<T>> {
        let waiter = Waiter::new();
        let slot = UnsafeCell::new(None);
        let node = Node::new(&waiter, &slot);
        let begun = self.state.with(|state| {
            state.offer(value).map(Some).or_else(|refused| match refused {
                TrySendError::Disconnected(value) => Err(value),
                TrySendError::Full(value) => {
                    // SAFETY: it is in no list yet, so nobody else knows the slot.
                    unsafe { *slot.get() = Some(value) };
                    // SAFETY: 1. this returns when `leave` has said that nobody has it any more; nothing panics before that.
                    // 2. Nor is the slot touched before. 3. It is this state's.
                    unsafe { state.waiting_senders.push(&node) };
                    Ok(None)
                }
            })
        });
        match begun {
            Ok(Some(_claimed)) => return Ok(()),
            Ok(None) => {}
            Err(value) => return Err(Refused::Disconnected(value)),
        }
        let was_notified = self.leave(&waiter, &node, |state| &mut state.waiting_senders, deadline);
        match slot.into_inner() {
            None => Ok(()),
            Some(value) if was_notified => Err(Refused::Disconnected(value)),
            Some(value) => Err(Refused::TimedOut(value)),
        }
    }

    /// Waits, and leaves the list if nobody has claimed the node. Gives whether somebody has.
    #[inline]
    fn leave(
        &self,
        waiter: &Waiter,
        node: &Node<T>,
        list: impl FnOnce(&mut State<T>) -> &mut List<T>,
        deadline: Option<Instant>,
    ) -> bool {
        if waiter.wait(deadline) == Woken::Notified {
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
    pub(crate) fn receive(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        match self.try_receive() {
            Err(TryRecvError::Empty) => self.receive_waiting(deadline),
            Ok(value) => Ok(value),
            Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
        }
    }

    /// Moves all that is there into a batch, which is empty, or waits for one value until then, and gives it. It raises no
    /// cancellation. For who is the only receiver of a channel without bounds: the lock is taken once for many values.
    #[inline]
    pub(crate) fn receive_batch(
        &self,
        batch: &RefCell<VecDeque<T>>,
        deadline: Option<Instant>,
    ) -> Result<Option<T>, RecvTimeoutError> {
        let waiter = Waiter::new();
        let slot = UnsafeCell::new(None);
        let node = Node::new(&waiter, &slot);
        let mut spare = VecDeque::new();
        let begun = self.state.with(|state| {
            if !state.queue.is_empty() {
                spare = state.fill(&mut batch.borrow_mut());
                return Begun::Filled;
            }
            // SAFETY: passed on to `receive_begun`, which follows.
            unsafe { state.enter_receiver(&node) }
        });
        if let Begun::Filled = begun {
            return Ok(None);
        }
        self.receive_begun(begun, &waiter, &node, deadline)?;
        slot.into_inner().map(Some).ok_or(RecvTimeoutError::Disconnected)
    }

    /// As `receive_batch`, without waiting. Gives whether there is anything to be had, then or later.
    pub(crate) fn try_receive_batch(&self, batch: &mut VecDeque<T>) -> bool {
        let (spare, has_more) = self.state.with(|state| (state.fill(batch), state.has_senders));
        drop(spare);
        has_more || !batch.is_empty()
    }

    fn receive_waiting(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        let waiter = Waiter::new();
        let slot = UnsafeCell::new(None);
        let node = Node::new(&waiter, &slot);
        let mut taken = None;
        let begun = self.state.with(|state| {
            taken = state.take();
            if taken.is_some() {
                return Begun::Filled;
            }
            // SAFETY: passed on to `receive_begun`, which follows.
            unsafe { state.enter_receiver(&node) }
        });
        if let Some((value, _claimed)) = taken {
            return Ok(value);
        }
        self.receive_begun(begun, &waiter, &node, deadline)?;
        slot.into_inner().ok_or(RecvTimeoutError::Disconnected)
    }

    /// Waits, if it is to be waited. When this succeeds, there is a value in the node's slot, or there won't be any.
    #[inline]
    fn receive_begun(
        &self,
        begun: Begun,
        waiter: &Waiter,
        node: &Node<T>,
        deadline: Option<Instant>,
    ) -> Result<(), RecvTimeoutError> {
        if begun == Begun::Disconnected {
            return Err(RecvTimeoutError::Disconnected);
        }
        if self.leave(waiter, node, |state| &mut state.waiting_receivers, deadline) {
            Ok(())
        } else {
            Err(RecvTimeoutError::Timeout)
        }
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
                (state.waiting_senders.claim_all(), std::mem::take(&mut state.queue))
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
        self.state.with(|state| {
            let waits =
                state.has_receivers && state.queue.len() >= state.capacity && !state.waiting_receivers.has_other(race);
            if waits {
                // SAFETY: passed on.
                unsafe { state.waiting_senders.push(node) };
            }
            waits
        })
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
    pub(crate) unsafe fn begin_receiving(&self, node: &Node<T>, waker: Waker) -> Poll<Option<T>> {
        // What is not used of wakers is dropped where nothing is locked.
        let mut waker = Some(waker);
        let mut before = None;
        let (polled, _claimed) = self.state.with(|state| {
            if let Some((value, claimed)) = state.take() {
                return (Poll::Ready(Some(value)), claimed);
            }
            before = waker.take().map(|waker| node.listen(waker));
            // SAFETY: passed on.
            match unsafe { state.enter_receiver(node) } {
                Begun::Disconnected => (Poll::Ready(None), None),
                _ => (Poll::Pending, None),
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
        let (polled, _claimed) = self.state.with(|state| match state.offer(value) {
            Ok(claimed) => (Poll::Ready(Ok(())), claimed),
            Err(TrySendError::Disconnected(value)) => (Poll::Ready(Err(value)), None),
            Err(TrySendError::Full(value)) => {
                // SAFETY: it is in no list yet, so nobody else knows the slot.
                unsafe { *slot.get() = Some(value) };
                before = waker.take().map(|waker| node.listen(waker));
                // SAFETY: passed on.
                unsafe { state.waiting_senders.push(node) };
                (Poll::Pending, None)
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

    /// Ends the wait of a future that is dropped. What it was given meanwhile goes to the next one.
    ///
    /// # Safety
    ///
    /// It has begun to wait, and did not go on since. The slot is the node's.
    pub(crate) unsafe fn leave_receiving(&self, node: &Node<T>, slot: &UnsafeCell<Option<T>>) {
        let _claimed = self.state.with(|state| {
            if state.waiting_receivers.remove(node) {
                return None;
            }
            // SAFETY: who has claimed the node has done with the slot: that was under this lock.
            let given = unsafe { &mut *slot.get() }.take();
            given.and_then(|value| state.take_back(value))
        });
    }
}
