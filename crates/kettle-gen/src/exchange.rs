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
use core::mem::{self, ManuallyDrop};
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
    /// An exchange for a step of the generator that has a number, bringing `input`.
    #[inline(always)]
    pub(crate) fn new(owner: usize, input: Input<S>, waker: Option<&Waker>) -> Self {
        Self {
            head: Head { owner, waker: waker.map_or(ptr::null(), ptr::from_ref) },
            input: Cell::new(Some(input)),
            output: Cell::new(None),
            paused: Cell::new(false),
            catches: Cell::new(false),
        }
    }

    /// Polls the generator's body.
    #[inline(always)]
    pub(crate) fn poll<F: Future>(&self, body: Pin<&mut F>) -> Poll<F::Output> {
        let raw = RawWaker::new(ptr::from_ref(self).cast(), &VTABLE);
        // SAFETY: the functions of the vtable ask for an exchange that is being polled with, and this is one. The waker
        // is not dropped: it owns nothing.
        let waker = ManuallyDrop::new(unsafe { Waker::from_raw(raw) });
        body.poll(&mut Context::from_waker(&waker))
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
        let before = self.output.replace(Some(output));
        if self.paused.replace(true) {
            drop_rarely(before);
        } else {
            // Nothing was there; the compiler need not make code to drop it.
            mem::forget(before);
        }
        self.catches.set(catches);
    }

    /// What the resume brought, once: `None` to a yield that is polled again before the pause.
    #[inline(always)]
    pub(crate) fn take(&self) -> Option<Input<S>> {
        if self.paused.get() { None } else { self.input.take() }
    }

    /// What the body handed out.
    #[inline(always)]
    pub(crate) fn output(&self) -> Option<Output<Y, S>> {
        self.output.take()
    }

    /// Whether the yield that handed it out wants to see errors.
    #[inline(always)]
    pub(crate) fn catches(&self) -> bool {
        self.catches.get()
    }

    /// The value that was sent, if nobody has taken it.
    #[inline(always)]
    pub(crate) fn untaken(&self) -> Option<S> {
        match self.input.take() {
            Some(Input::Send(value)) => Some(value),
            Some(Input::Throw(error)) => {
                drop_rarely(error);
                None
            }
            Some(Input::Next) | None => None,
        }
    }
}

/// Drops what is hardly ever there, out of line: yields are to be small.
#[cold]
#[inline(never)]
pub(crate) fn drop_rarely<V>(value: V) {
    drop(value);
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
