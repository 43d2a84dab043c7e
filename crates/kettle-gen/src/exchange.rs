//! Owns the exchange: where a resumed stackless body and its resumer hand each other values.
//!
//! It lives in the frame of the resume and its address travels in the data pointer of the waker that the body is polled
//! with, because that is the one thing that reaches a yield however many futures lie between. Nothing of it outlives
//! the resume, and the optimiser dissolves it (a slot stored in the future or on the heap costs 2 ns a value).
//!
//! What a yield finds there must be its own generator's exchange, of its own types. Two facts are checked each time:
//! the waker's vtable is this module's, so the data pointer is an exchange's; and the exchange names this yielder's
//! address as its owner. A yielder stays at one address while its body lives, and two that live have two addresses, so
//! the second check cannot be fooled by swapping, moving or nesting.
//!
//! The unsafe code of this module is the reading of that pointer.

use crate::delegate::Frame;
use crate::error::SendError;
use crate::step::Input;
use core::cell::Cell;
use core::future::Future;
use core::mem::ManuallyDrop;
use core::ops::Range;
use core::pin::Pin;
use core::ptr;
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

/// The part that does not depend on types.
struct Head {
    /// Address of the yielder that may use this exchange; 0 until the body has started.
    owner: Cell<usize>,
    /// Who is to be woken when a future of somebody else is ready; null if nobody can wait for it.
    waker: *const Waker,
}

/// Where a body and its resumer meet during one step.
#[repr(C)]
pub(crate) struct Exchange<Y, S> {
    head: Head,
    /// The addresses that the body occupies.
    body: Range<usize>,
    value: Cell<Option<Y>>,
    input: Cell<Option<Input<S>>>,
    delegate: Cell<Option<Frame<Y, S>>>,
    raised: Cell<Option<SendError<S>>>,
    catches: Cell<bool>,
}

/// What a step left in the exchange.
pub(crate) struct Left<Y, S> {
    pub(crate) owner: usize,
    pub(crate) value: Option<Y>,
    pub(crate) delegate: Option<Frame<Y, S>>,
    pub(crate) raised: Option<SendError<S>>,
    pub(crate) catches: bool,
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake, |_| {});

/// # Safety
///
/// `data` comes from a waker with [`VTABLE`], made by [`Exchange::poll`], which has not returned.
unsafe fn waker<'a>(data: *const ()) -> Option<&'a Waker> {
    // SAFETY: by the obligation `data` points to an exchange, which begins with its head (`repr(C)`).
    let head = unsafe { &*data.cast::<Head>() };
    // SAFETY: null, or from a reference that outlives the exchange.
    unsafe { head.waker.as_ref() }
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: called on the waker that `poll` made, while it polls.
    let waker = ManuallyDrop::new(unsafe { waker(data) }.unwrap_or(Waker::noop()).clone());
    RawWaker::new(waker.data(), waker.vtable())
}

unsafe fn wake(data: *const ()) {
    // SAFETY: as in `clone`.
    if let Some(waker) = unsafe { waker(data) } {
        waker.wake_by_ref();
    }
}

impl<Y, S> Exchange<Y, S> {
    /// Polls a body with an exchange that brings it `input`, and gives back what the body left there.
    #[inline(always)]
    pub(crate) fn poll<F: Future>(
        owner: usize,
        input: Input<S>,
        waker: Option<&Waker>,
        future: Pin<&mut F>,
    ) -> (Poll<F::Output>, Left<Y, S>) {
        let start = ptr::from_ref(&*future).addr();
        let exchange = Self {
            head: Head { owner: Cell::new(owner), waker: waker.map_or(ptr::null(), ptr::from_ref) },
            body: start..start + size_of::<F>(),
            value: Cell::new(None),
            input: Cell::new(Some(input)),
            delegate: Cell::new(None),
            raised: Cell::new(None),
            catches: Cell::new(false),
        };
        let raw = RawWaker::new(ptr::from_ref(&exchange).cast(), &VTABLE);
        // SAFETY: the functions of the vtable ask for an exchange that is being polled with, and this is one. The waker
        // is not dropped: it owns nothing.
        let waker = ManuallyDrop::new(unsafe { Waker::from_raw(raw) });
        let poll = future.poll(&mut Context::from_waker(&waker));
        let left = Left {
            owner: exchange.head.owner.get(),
            value: exchange.value.into_inner(),
            delegate: exchange.delegate.into_inner(),
            raised: exchange.raised.into_inner(),
            catches: exchange.catches.get(),
        };
        (poll, left)
    }

    /// The exchange that a body is being polled with, for its owner.
    ///
    /// # Panics
    ///
    /// If `context` is not an exchange's, or that of another generator.
    ///
    /// # Safety
    ///
    /// `owner` is the address of a living `Yielder<Y, S>`.
    #[inline(always)]
    pub(crate) unsafe fn of<'a>(context: &'a Context<'_>, owner: usize) -> &'a Self {
        let waker = context.waker();
        if !ptr::eq(waker.vtable(), &VTABLE) {
            foreign_executor();
        }
        // SAFETY: only `poll` makes wakers with this vtable; their data is an exchange, which begins with its head.
        let head = unsafe { &*waker.data().cast::<Head>() };
        if head.owner.get() != owner {
            foreign_generator();
        }
        // SAFETY: an exchange's owner is the yielder that named itself by `own`, through an exchange of its own types.
        unsafe { &*waker.data().cast::<Self>() }
    }

    /// Names the owner, once, from within the body that the exchange was made for.
    ///
    /// # Safety
    ///
    /// `context` is the one that [`poll`](Self::poll) of these very types gave to the body, and `owner` the address of
    /// that body's own `Yielder<Y, S>`, which lives as long as the body.
    #[inline(always)]
    pub(crate) unsafe fn own(context: &Context<'_>, owner: usize) {
        // SAFETY: by the obligation it is an exchange.
        let head = unsafe { &*context.waker().data().cast::<Head>() };
        head.owner.set(owner);
    }

    /// Whether an address lies in the body.
    pub(crate) fn contains(&self, address: usize) -> bool {
        self.body.contains(&address)
    }

    /// Hands out a value. What is still there belongs to a yield that was dropped before its pause.
    #[inline(always)]
    pub(crate) fn put(&self, value: Y, catches: bool) {
        self.value.set(Some(value));
        self.pause(catches);
    }

    /// Hands out a delegate, likewise.
    pub(crate) fn delegate(&self, frame: Frame<Y, S>, catches: bool) {
        self.delegate.set(Some(frame));
        self.pause(catches);
    }

    #[inline(always)]
    fn pause(&self, catches: bool) {
        self.input.set(None);
        self.catches.set(catches);
    }

    /// What the resume brought, once: `None` to a yield that is polled again before the pause.
    #[inline(always)]
    pub(crate) fn take(&self) -> Option<Input<S>> {
        self.input.take()
    }

    /// Leaves an error with the resumer. The body ends where it is.
    pub(crate) fn raise(&self, error: SendError<S>) {
        self.raised.set(Some(error));
    }

    /// The waker of whoever polls the generator, if anybody can.
    pub(crate) fn waker(&self) -> Option<&Waker> {
        // SAFETY: null, or from a reference that outlives the exchange.
        unsafe { self.head.waker.as_ref() }
    }
}

#[cold]
#[inline(never)]
fn foreign_executor() -> ! {
    panic!("yield polled by a foreign executor: a yield works only where its generator's body awaits it")
}

#[cold]
#[inline(never)]
fn foreign_generator() -> ! {
    panic!("yield polled inside another generator: each body has its own yielder")
}
