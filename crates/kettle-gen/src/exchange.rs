//! Owns the exchange: where a resumed stackless body and its resumer hand each other values.
//!
//! It lives in the frame of the resume and its address travels in the data pointer of the waker that the body is polled
//! with, because that is the one thing that reaches a yield however many futures lie between. Nothing of it outlives
//! the resume, and the optimiser dissolves it (a slot stored in the future or on the heap costs 2 ns a value).
//!
//! What a yield finds there must be its own generator's exchange, of its own types. Two facts are checked each time:
//! the waker's vtable is this module's, so the data pointer is an exchange's; and the exchange has the yielder's number,
//! which a generator gives to its one yielder and to its exchanges, all of the same types.
//!
//! The unsafe code of this module is the reading of that pointer.

use crate::delegate::Frame;
use crate::error::SendError;
use crate::step::Input;
use core::cell::Cell;
use core::future::Future;
use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::ptr;
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

/// The part that does not depend on types.
struct Head {
    /// The number of the generator that is being stepped.
    owner: usize,
    /// Who is to be woken when a future of somebody else is ready; null if nobody can wait for it.
    waker: *const Waker,
}

/// Where a body and its resumer meet during one step.
#[repr(C)]
pub(crate) struct Exchange<Y, S> {
    head: Head,
    input: Cell<Option<Input<S>>>,
    output: Cell<Option<Output<Y, S>>>,
    /// Whether a yield has handed out something in this step: then what comes in next is for the one after.
    paused: Cell<bool>,
    /// Whether that yield wants to see errors.
    catches: Cell<bool>,
}

/// What a body hands out.
pub(crate) enum Output<Y, S> {
    Yielded(Y),
    Delegated(Frame<Y, S>),
    /// An error of a plain word: the body ends where it is.
    Raised(SendError<S>),
}

/// What a step left in the exchange.
pub(crate) struct Left<Y, S> {
    pub(crate) input: Option<Input<S>>,
    pub(crate) output: Option<Output<Y, S>>,
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
    /// Polls the body of a generator with an exchange that brings it `input`, and gives back what the body left there.
    #[inline(always)]
    pub(crate) fn poll<F: Future>(
        owner: usize,
        input: Input<S>,
        waker: Option<&Waker>,
        body: Pin<&mut F>,
    ) -> (Poll<F::Output>, Left<Y, S>) {
        let exchange = Self {
            head: Head { owner, waker: waker.map_or(ptr::null(), ptr::from_ref) },
            input: Cell::new(Some(input)),
            output: Cell::new(None),
            paused: Cell::new(false),
            catches: Cell::new(false),
        };
        let raw = RawWaker::new(ptr::from_ref(&exchange).cast(), &VTABLE);
        // SAFETY: the functions of the vtable ask for an exchange that is being polled with, and this is one. The waker
        // is not dropped: it owns nothing.
        let waker = ManuallyDrop::new(unsafe { Waker::from_raw(raw) });
        let poll = body.poll(&mut Context::from_waker(&waker));
        let left = Left {
            input: exchange.input.into_inner(),
            output: exchange.output.into_inner(),
            catches: exchange.catches.get(),
        };
        (poll, left)
    }

    /// The exchange that a generator's body is being polled with, for its yielder.
    ///
    /// # Panics
    ///
    /// If `context` is not an exchange's, or that of another generator.
    ///
    /// # Safety
    ///
    /// `owner` is the number of a generator that yields `Y` and is sent `S`.
    #[inline(always)]
    pub(crate) unsafe fn of<'a>(context: &'a Context<'_>, owner: usize) -> &'a Self {
        let waker = context.waker();
        if !ptr::eq(waker.vtable(), &VTABLE) {
            foreign_executor();
        }
        // SAFETY: only `poll` makes wakers with this vtable; their data is an exchange, which begins with its head.
        let head = unsafe { &*waker.data().cast::<Head>() };
        if head.owner != owner {
            foreign_generator();
        }
        // SAFETY: no two generators have one number, so it is an exchange of that one, and by the obligation of its types.
        unsafe { &*waker.data().cast::<Self>() }
    }

    /// Hands something out, in the place of what a yield that was dropped before its pause has left there.
    #[inline(always)]
    pub(crate) fn put(&self, output: Output<Y, S>, catches: bool) {
        self.output.set(Some(output));
        self.catches.set(catches);
        self.paused.set(true);
    }

    /// What the resume brought, once: `None` to a yield that is polled again before the pause.
    #[inline(always)]
    pub(crate) fn take(&self) -> Option<Input<S>> {
        if self.paused.get() { None } else { self.input.take() }
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
