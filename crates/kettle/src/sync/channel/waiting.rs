//! Owns who waits: a [`Node`] in the frame of each of them, and the [`List`] that they stand in, first come, first served.
//!
//! A list belongs to what a lock guards, and is touched under it. To *claim* a node is to take it out and to become the one
//! who ends its wait: by then a value has been put into its slot or taken from it, or neither, if nothing will come any more.
//! A wait for several things has a node in each of their lists, and a [`Race`]: whoever decides it has claimed, and all
//! others pass over its nodes.
//!
//! ```text
//!   who waits                                      who claims
//!   lock: push the node                            lock: claim: take it out, win its race if it has one
//!   Waiter::wait                                   put the value into the slot, or take it
//!     │ timed out, cancelled                       Waiter::notify
//!   lock: remove the node ── it was there: nobody claims it
//!     │ it was not
//!   Waiter::wait_for_notice: the value is there
//! ```
//!
//! A future that waits has a node as well, and a waker instead of a waiter. Whoever claims it takes the waker away with him, so
//! he knows nothing of the node when he has given the lock back: a future may be dropped at any time, and waits for nobody. One
//! that receives is not given a value, for it might be dropped with it: it is woken, and looks again.
//!
//! The unsafe code of this module is reaching nodes and slots through pointers.

use super::model::{AtomicUsize, Ordering, Waiter};
use kettle_rt::wake;
use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ptr::{self, NonNull};
use std::task::Waker;

/// One who waits in one list. All in it is touched under the list's lock, or by who has claimed it.
pub struct Node<T> {
    previous: Cell<*const Node<T>>,
    next: Cell<*const Node<T>>,
    is_queued: Cell<bool>,
    /// Whether it is a future's.
    is_polled: bool,
    listener: Cell<Listener>,
    /// What is to be sent, or where to put what is received.
    slot: NonNull<Option<T>>,
    /// Null for who waits for this alone.
    race: *const Race,
    /// Its place in the race.
    arm: usize,
}

/// Who is told that a node has been claimed.
pub(crate) enum Listener {
    /// Nobody: it has not been said yet, or who has claimed the node has it.
    None,
    /// Whoever waits by this, in whose frame the node lies.
    Waiter(NonNull<Waiter>),
    /// Whoever polls the future in which the node lies.
    Waker(Waker),
}

impl<T> fmt::Debug for Node<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("arm", &self.arm).finish_non_exhaustive()
    }
}

impl<T> Node<T> {
    /// A wait for this alone.
    pub(crate) fn new(waiter: &Waiter, slot: &UnsafeCell<Option<T>>) -> Self {
        Self::with(Listener::Waiter(NonNull::from(waiter)), slot, (ptr::null(), 0))
    }

    /// A future's wait, for this alone. It hears of nothing before [`listen`](Self::listen).
    pub(crate) fn polled(slot: &UnsafeCell<Option<T>>) -> Self {
        Self { is_polled: true, ..Self::with(Listener::None, slot, (ptr::null(), 0)) }
    }

    /// A wait for several things.
    pub(crate) fn racing(entry: &Entry<'_>, slot: &UnsafeCell<Option<T>>) -> Self {
        Self::with(Listener::Waiter(NonNull::from(entry.waiter)), slot, (entry.race, entry.arm))
    }

    fn with(listener: Listener, slot: &UnsafeCell<Option<T>>, (race, arm): (*const Race, usize)) -> Self {
        Self {
            previous: Cell::new(ptr::null()),
            next: Cell::new(ptr::null()),
            is_queued: Cell::new(false),
            is_polled: false,
            listener: Cell::new(listener),
            slot: NonNull::new(slot.get()).expect("invariant: it comes from a reference"),
            race,
            arm,
        }
    }

    /// Whether it is in a list: nobody has claimed it.
    pub(crate) fn is_queued(&self) -> bool {
        self.is_queued.get()
    }

    /// Says whom to wake. Gives who was to be woken before, to be dropped where nothing is locked.
    pub(crate) fn listen(&self, waker: Waker) -> Listener {
        self.listener.replace(Listener::Waker(waker))
    }

    /// Becomes the one who ends this wait, if nobody has yet.
    fn claim(&self) -> bool {
        // SAFETY: a race lies in the frame of who waits, as the node does.
        unsafe { self.race.as_ref() }.is_none_or(|race| race.decide(self.arm))
    }
}

/// Those who wait, the one that has waited longest first.
pub(crate) struct List<T> {
    first: *const Node<T>,
    last: *const Node<T>,
    values: PhantomData<T>,
}

// SAFETY: what is reached through it are values, and waiters, which any thread may notify.
unsafe impl<T: Send> Send for List<T> {}

impl<T> List<T> {
    pub(crate) fn new() -> Self {
        Self { first: ptr::null(), last: ptr::null(), values: PhantomData }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Puts a node at the end.
    ///
    /// # Safety
    ///
    /// 1. The node, its waiter, its slot and its race stay where they are until it has been removed, or its waiter notified.
    /// 2. Until then nobody but who claims it touches the slot. 3. The list is where others find it under the same lock.
    #[inline]
    pub(crate) unsafe fn push(&mut self, node: &Node<T>) {
        node.previous.set(self.last);
        node.next.set(ptr::null());
        node.is_queued.set(true);
        // SAFETY: a node in the list is there.
        match unsafe { self.last.as_ref() } {
            Some(last) => last.next.set(node),
            None => self.first = node,
        }
        self.last = node;
    }

    /// Takes a node out. Gives whether it was there; if not, it has been claimed, or its race by another list.
    pub(crate) fn remove(&mut self, node: &Node<T>) -> bool {
        let was_queued = node.is_queued.replace(false);
        if was_queued {
            let (previous, next) = (node.previous.get(), node.next.get());
            // SAFETY: a node in the list is there.
            match unsafe { previous.as_ref() } {
                Some(previous) => previous.next.set(next),
                None => self.first = next,
            }
            // SAFETY: the same.
            match unsafe { next.as_ref() } {
                Some(next) => next.previous.set(previous),
                None => self.last = previous,
            }
        }
        was_queued
    }

    /// Whether somebody stands in it who is of another race, and no future.
    pub(crate) fn has_other_than_futures(&self, race: *const Race) -> bool {
        self.any(|node| node.race != race && !node.is_polled)
    }

    /// Whether somebody stands in it who is of another race.
    pub(crate) fn has_other(&self, race: *const Race) -> bool {
        self.any(|node| node.race != race)
    }

    fn any(&self, f: impl Fn(&Node<T>) -> bool) -> bool {
        let mut place = self.first;
        // SAFETY: a node in the list is there.
        while let Some(node) = unsafe { place.as_ref() } {
            if f(node) {
                return true;
            }
            place = node.next.get();
        }
        false
    }

    /// Whether the one that has waited longest is a future.
    #[inline]
    pub(crate) fn begins_with_future(&self) -> bool {
        // SAFETY: a node in the list is there.
        unsafe { self.first.as_ref() }.is_some_and(|node| node.is_polled)
    }

    /// Claims the one that has waited longest of those that are no futures. Those whose race has been decided are taken out.
    pub(crate) fn claim_past_futures(&mut self) -> Option<Claimed<T>> {
        self.claim_where(|node| !node.is_polled)
    }

    /// Claims the future that has waited longest.
    pub(crate) fn claim_future(&mut self) -> Option<Claimed<T>> {
        self.claim_where(|node| node.is_polled)
    }

    fn claim_where(&mut self, f: impl Fn(&Node<T>) -> bool) -> Option<Claimed<T>> {
        let mut place = self.first;
        // SAFETY: a node in the list is there.
        while let Some(node) = unsafe { place.as_ref() } {
            place = node.next.get();
            if f(node) {
                self.remove(node);
                if node.claim() {
                    return Some(Claimed {
                        node: NonNull::from(node),
                        listener: node.listener.replace(Listener::None),
                    });
                }
            }
        }
        None
    }

    /// Claims the one that has waited longest. Those whose race has been decided are taken out.
    #[inline]
    pub(crate) fn claim(&mut self) -> Option<Claimed<T>> {
        self.claim_while(|_| true)
    }

    /// The same, if that one is no future.
    #[inline]
    pub(crate) fn claim_before_futures(&mut self) -> Option<Claimed<T>> {
        self.claim_while(|node| !node.is_polled)
    }

    #[inline]
    fn claim_while(&mut self, f: impl Fn(&Node<T>) -> bool) -> Option<Claimed<T>> {
        // SAFETY: a node in the list is there.
        while let Some(node) = unsafe { self.first.as_ref() } {
            if !f(node) {
                break;
            }
            node.is_queued.set(false);
            self.first = node.next.get();
            // SAFETY: the same.
            match unsafe { self.first.as_ref() } {
                Some(next) => next.previous.set(ptr::null()),
                None => self.last = ptr::null(),
            }
            if node.claim() {
                return Some(Claimed { node: NonNull::from(node), listener: node.listener.replace(Listener::None) });
            }
        }
        None
    }

    /// Claims all of them.
    pub(crate) fn claim_all(&mut self) -> AllClaimed<T> {
        let mut all = AllClaimed { first: ptr::null(), wakers: Vec::new() };
        let mut place = self.last;
        // SAFETY: a node in the list is there.
        while let Some(node) = unsafe { place.as_ref() } {
            place = node.previous.get();
            node.is_queued.set(false);
            if node.claim() {
                match node.listener.replace(Listener::None) {
                    // Its future may go when the lock has been given back, and with it the node.
                    Listener::Waker(waker) => all.wakers.push(waker),
                    listener => {
                        node.listener.set(listener);
                        node.next.set(all.first);
                        all.first = node;
                    }
                }
            }
        }
        self.first = ptr::null();
        self.last = ptr::null();
        all
    }
}

/// A node that was claimed. Dropping it notifies who waits; that is not done under the lock. All else is.
#[must_use]
pub(crate) struct Claimed<T> {
    node: NonNull<Node<T>>,
    listener: Listener,
}

impl<T> Claimed<T> {
    fn slot(&self) -> *mut Option<T> {
        // SAFETY: by the obligation of `push` it is there as long as the lock is held under which it was claimed.
        unsafe { self.node.as_ref() }.slot.as_ptr()
    }

    /// Hands a value over, under the lock.
    #[inline]
    pub(crate) fn put(&self, value: T) {
        // SAFETY: who has claimed it has the slot to itself. There is nothing in it.
        unsafe { self.slot().write(Some(value)) };
    }

    /// Takes the value that waits to be sent, under the lock.
    #[inline]
    pub(crate) fn take(&self) -> T {
        // SAFETY: who has claimed it has the slot to itself.
        let value = unsafe { &mut *self.slot() }.take();
        value.expect("invariant: who waits to send has put the value there")
    }
}

impl<T> Drop for Claimed<T> {
    #[inline]
    fn drop(&mut self) {
        match mem::replace(&mut self.listener, Listener::None) {
            // SAFETY: 1. a node is claimed once, and a race decided once. 2. By the obligation of `push`.
            Listener::Waiter(waiter) => unsafe { Waiter::notify(waiter) },
            Listener::Waker(waker) => wake(waker),
            Listener::None => {}
        }
    }
}

/// Several of them. Dropping it notifies them.
#[must_use]
pub(crate) struct AllClaimed<T> {
    /// Those in frames, which are linked by `next`.
    first: *const Node<T>,
    /// Those of futures, the last one first.
    wakers: Vec<Waker>,
}

impl<T> AllClaimed<T> {
    fn next(&mut self) -> Option<Claimed<T>> {
        // SAFETY: claimed, and not notified yet: it lies in a frame that waits for that.
        let node = unsafe { self.first.as_ref() }?;
        self.first = node.next.get();
        Some(Claimed { node: NonNull::from(node), listener: node.listener.replace(Listener::None) })
    }
}

impl<T> Drop for AllClaimed<T> {
    fn drop(&mut self) {
        while let Some(claimed) = self.next() {
            drop(claimed);
        }
        while let Some(waker) = self.wakers.pop() {
            wake(waker);
        }
    }
}

/// Which of several things has come first. Decided once.
pub(crate) struct Race(AtomicUsize);

/// What one arm of a wait for several things needs to be claimed.
pub struct Entry<'a> {
    pub(crate) waiter: &'a Waiter,
    pub(crate) race: &'a Race,
    pub(crate) arm: usize,
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("arm", &self.arm).finish_non_exhaustive()
    }
}

const UNDECIDED: usize = usize::MAX;

impl Race {
    /// An arm that there isn't: nobody is to win.
    pub(crate) const NOBODY: usize = UNDECIDED - 1;

    pub(crate) fn new() -> Self {
        Self(AtomicUsize::new(UNDECIDED))
    }

    /// Decides it, if it has not been.
    pub(crate) fn decide(&self, arm: usize) -> bool {
        self.0.compare_exchange(UNDECIDED, arm, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Who has won.
    pub(crate) fn winner(&self) -> Option<usize> {
        let arm = self.0.load(Ordering::Acquire);
        (arm < Self::NOBODY).then_some(arm)
    }
}
