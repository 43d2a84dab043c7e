//! Owns the futures of channels: receiving, sending, and looking for news.
//!
//! Each has its node and its slot in itself, so it allocates nothing; it is pinned, and leaves the list when it is dropped.
//! That waits for nobody: who has claimed its node has done with it when he gives the lock back. Who receives is given nothing
//! but a wake-up; one that it is dropped with goes to the next one.
//!
//! ```text
//!   idle ── polled: nothing there, pushed ──▶ waits ── claimed, polled ──▶ idle: is there anything?
//!                                               └── dropped: still in the list? taken out. Claimed? the next one is woken
//! ```
//!
//! The unsafe code of this module is putting nodes into lists that lie in pinned futures.

use super::flow::Flow;
use super::news::News;
use super::waiting::Node;
use std::cell::{Cell, OnceCell, UnsafeCell};
use std::fmt;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::sync::mpsc::{RecvError, SendError, TryRecvError, TrySendError};
use std::task::{Context, Poll};

/// Where a future waits. It is made when it waits first: it is pinned then.
struct Seat<T> {
    slot: UnsafeCell<Option<T>>,
    node: OnceCell<Node<T>>,
    /// Whether the node has been pushed, and the future has not seen since that it was claimed.
    waits: Cell<bool>,
    _pinned: PhantomPinned,
}

impl<T> Seat<T> {
    fn new(value: Option<T>) -> Self {
        let slot = UnsafeCell::new(value);
        Self { slot, node: OnceCell::new(), waits: Cell::new(false), _pinned: PhantomPinned }
    }

    fn node(&self) -> &Node<T> {
        self.node.get_or_init(|| Node::polled(&self.slot));
        // Asked for again: what the first call gives was borrowed to be written, and no other reference may be used beside that.
        self.node.get().expect("invariant: it is made above")
    }

    /// What is in the slot.
    ///
    /// # Safety
    ///
    /// It does not wait.
    unsafe fn take(&self) -> Option<T> {
        // SAFETY: nobody else knows the slot, by the obligation; and a reference to it ends here.
        unsafe { &mut *self.slot.get() }.take()
    }
}

/// By what a future reaches its channel: a reference, or a receiver.
pub(crate) trait Inlet<T> {
    fn flow(&self) -> &Flow<T>;
}

impl<T> Inlet<T> for &Flow<T> {
    fn flow(&self) -> &Flow<T> {
        self
    }
}

/// A future that receives a value. The channel has a receiver as long as this is there.
pub(crate) struct Receiving<I: Inlet<T>, T> {
    inlet: I,
    seat: Seat<T>,
}

// SAFETY: what others reach in it they reach under the channel's lock, or not at all.
unsafe impl<I: Inlet<T> + Send, T: Send> Send for Receiving<I, T> {}

impl<I: Inlet<T>, T> Receiving<I, T> {
    pub(crate) fn new(inlet: I) -> Self {
        Self { inlet, seat: Seat::new(None) }
    }
}

impl<I: Inlet<T>, T> Future for Receiving<I, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.into_ref().get_ref();
        let (flow, seat) = (this.inlet.flow(), &this.seat);
        if seat.waits.get() {
            if flow.goes_on(seat.node(), context.waker().clone()) {
                return Poll::Pending;
            }
            // It has been woken; somebody else may have been faster.
            seat.waits.set(false);
        }
        match flow.try_receive() {
            Ok(value) => return Poll::Ready(Ok(value)),
            Err(TryRecvError::Disconnected) => return Poll::Ready(Err(RecvError)),
            Err(TryRecvError::Empty) => {}
        }
        // SAFETY: 1. the node and its slot lie in this, which is pinned, and its drop leaves. 2. `waits` says so. 3. It is its
        // channel's.
        let begun = unsafe { flow.begin_receiving(seat.node(), context.waker().clone()) };
        seat.waits.set(begun.is_pending());
        begun
    }
}

impl<I: Inlet<T>, T> Drop for Receiving<I, T> {
    fn drop(&mut self) {
        if self.seat.waits.get() {
            self.inlet.flow().leave_receiving(self.seat.node());
        }
    }
}

/// A future that sends a value.
pub(crate) struct Sending<'a, T> {
    flow: &'a Flow<T>,
    /// With the value in its slot, until it has been sent.
    seat: Seat<T>,
}

// SAFETY: as of `Receiving`.
unsafe impl<T: Send> Send for Sending<'_, T> {}

impl<'a, T> Sending<'a, T> {
    pub(crate) fn new(flow: &'a Flow<T>, value: T) -> Self {
        Self { flow, seat: Seat::new(Some(value)) }
    }
}

impl<T> Future for Sending<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.into_ref().get_ref();
        let (flow, seat) = (this.flow, &this.seat);
        if seat.waits.get() {
            if flow.goes_on(seat.node(), context.waker().clone()) {
                return Poll::Pending;
            }
            seat.waits.set(false);
            // SAFETY: it does not wait any more. What is still there could not be sent.
            return Poll::Ready(unsafe { seat.take() }.map_or(Ok(()), |value| Err(SendError(value))));
        }
        // SAFETY: it does not wait.
        let value = unsafe { seat.take() }.expect("poll a future that has ended");
        let value = match flow.try_send(value) {
            Ok(()) => return Poll::Ready(Ok(())),
            Err(TrySendError::Disconnected(value)) => return Poll::Ready(Err(SendError(value))),
            Err(TrySendError::Full(value)) => value,
        };
        // SAFETY: as in `Receiving`.
        let begun = unsafe { flow.begin_sending(seat.node(), &seat.slot, value, context.waker().clone()) };
        seat.waits.set(begun.is_pending());
        begun.map_err(SendError)
    }
}

impl<T> Drop for Sending<'_, T> {
    fn drop(&mut self) {
        if self.seat.waits.get() {
            self.flow.leave_senders(self.seat.node());
        }
    }
}

/// A future that looks for news.
pub(crate) struct Looking<'a, S, L> {
    news: &'a News<S>,
    look: L,
    seat: Seat<()>,
}

// SAFETY: as of `Receiving`.
unsafe impl<S: Send, L: Send> Send for Looking<'_, S, L> {}

impl<'a, S, L> Looking<'a, S, L> {
    pub(crate) fn new<R>(news: &'a News<S>, look: L) -> Self
    where
        L: Fn(&mut S) -> Option<R>,
    {
        Self { news, look, seat: Seat::new(None) }
    }
}

impl<S, R, L: Fn(&mut S) -> Option<R>> Future for Looking<'_, S, L> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        let this = self.into_ref().get_ref();
        // SAFETY: 1. the node lies in this, which is pinned, and its drop leaves. 2. Nobody touches the slot. 3. It is its
        // news'.
        let found = unsafe { this.news.poll(this.seat.node(), context.waker().clone(), &this.look) };
        found.map_or(Poll::Pending, Poll::Ready)
    }
}

impl<S, L> Drop for Looking<'_, S, L> {
    fn drop(&mut self) {
        if let Some(node) = self.seat.node.get() {
            self.news.leave(node);
        }
    }
}

impl<I: Inlet<T>, T> fmt::Debug for Receiving<I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiving").field("waits", &self.seat.waits.get()).finish_non_exhaustive()
    }
}
