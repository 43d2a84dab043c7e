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

use crate::error::{Error, SendError};
use crate::frame::Frame;
use crate::step::Input;
use core::cell::{Cell, UnsafeCell};
use core::future::Future;
use core::mem::{ManuallyDrop, MaybeUninit, needs_drop};
use core::pin::Pin;
use core::ptr;
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

/// The part that does not depend on types.
struct Head {
    /// The number of the generator that is being stepped.
    owner: *const (),
    /// Who is to be woken when a future of somebody else is ready; null if nobody can wait for it.
    waker: *const Waker,
}

/// Where a body and its resumer meet during one step.
///
/// A tag each way says what counts. What a plain yield takes and hands out has a place of its own; the rest has places
/// that say of themselves whether they are empty, and so are seen to be where nothing is ever put there. (Were it one
/// enum each way, every yield would bring the code that drops any of it, and the optimiser would keep exchanges in
/// memory.) Futures can be dropped after they have put something here, and then the next word's counts.
/// Nothing here is dropped by leaving: each step takes out what is in it.
#[repr(C)]
pub(crate) struct Exchange<Y, S> {
    head: Head,
    brings: Cell<Brings>,
    sent: UnsafeCell<MaybeUninit<S>>,
    holds: Cell<Holds>,
    value: UnsafeCell<MaybeUninit<Y>>,
    thrown: Cell<Option<ManuallyDrop<Error>>>,
    /// What is delegated to.
    frame: Cell<Option<ManuallyDrop<Frame<Y, S>>>>,
    /// An error of a plain word: the body ends where it is.
    raised: Cell<Option<ManuallyDrop<SendError<S>>>>,
}

/// What the resume brought and nobody has taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Brings {
    Nothing,
    Next,
    /// There is a value in `sent`.
    Sent,
    /// There is an error in `thrown`.
    Thrown,
}

/// What a yield has handed out in this step: then what comes in next is for the one after.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Nothing,
    /// There is a value in `value`.
    Value,
    /// The same, of a yield that wants to see errors.
    ValueCatches,
    /// There is a delegate in `frame`.
    Frame,
    /// The same, of a delegation that wants to see errors.
    FrameCatches,
    /// There is an error in `raised`.
    Raised,
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
    pub(crate) fn new(owner: *const (), input: Input<S>, waker: Option<&Waker>) -> Self {
        let (brings, sent, thrown) = match input {
            Input::Next => (Brings::Next, MaybeUninit::uninit(), None),
            Input::Send(value) => (Brings::Sent, MaybeUninit::new(value), None),
            Input::Throw(error) => (Brings::Thrown, MaybeUninit::uninit(), Some(ManuallyDrop::new(error))),
        };
        Self {
            head: Head { owner, waker: waker.map_or(ptr::null(), ptr::from_ref) },
            brings: Cell::new(brings),
            sent: UnsafeCell::new(sent),
            holds: Cell::new(Holds::Nothing),
            value: UnsafeCell::new(MaybeUninit::uninit()),
            thrown: Cell::new(thrown),
            frame: Cell::new(None),
            raised: Cell::new(None),
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
    pub(crate) unsafe fn of<'a>(context: &'a Context<'_>, owner: *const ()) -> &'a Self {
        let waker = context.waker();
        // SAFETY: only `poll` makes wakers with this vtable; their data is an exchange, which begins with its head.
        if !ptr::eq(waker.vtable(), &VTABLE) || !ptr::eq(unsafe { &*waker.data().cast::<Head>() }.owner, owner) {
            foreign(waker.vtable());
        }
        // SAFETY: no two generators have one number, so it is an exchange of that one, and by the obligation of its
        // types.
        unsafe { &*waker.data().cast::<Self>() }
    }

    /// Hands out a value, in the place of what a yield that was dropped before its pause has left there.
    #[inline(always)]
    pub(crate) fn put(&self, value: Y, catches: bool) {
        if needs_drop::<Y>()
            && let Some(value) = self.take_value()
        {
            drop_rarely(value);
        }
        self.holds.set(if catches { Holds::ValueCatches } else { Holds::Value });
        // SAFETY: the place is not lent out.
        let place = unsafe { &mut *self.value.get() };
        place.write(value);
    }

    /// Hands out a delegate, likewise.
    #[inline(always)]
    pub(crate) fn put_frame(&self, frame: Frame<Y, S>, catches: bool) {
        if needs_drop::<Y>()
            && let Some(value) = self.take_value()
        {
            drop_rarely(value);
        }
        self.holds.set(if catches { Holds::FrameCatches } else { Holds::Frame });
        if let Some(before) = self.frame.replace(Some(ManuallyDrop::new(frame))) {
            drop_rarely(ManuallyDrop::into_inner(before));
        }
    }

    /// Hands out an error, likewise.
    #[cold]
    pub(crate) fn put_raised(&self, error: SendError<S>) {
        if let Some(value) = self.take_value() {
            drop_rarely(value);
        }
        self.holds.set(Holds::Raised);
        if let Some(before) = self.raised.replace(Some(ManuallyDrop::new(error))) {
            drop_rarely(ManuallyDrop::into_inner(before));
        }
    }

    /// What the resume brought, once: `None` to a yield that is polled again before the pause.
    #[inline(always)]
    pub(crate) fn take(&self) -> Option<Input<S>> {
        if self.holds.get() == Holds::Nothing { self.untaken() } else { None }
    }

    /// The same, for a yield that does not see errors: the body is not stepped to see one.
    #[inline(always)]
    pub(crate) fn take_sent(&self) -> Poll<Option<S>> {
        if self.holds.get() != Holds::Nothing {
            return Poll::Pending;
        }
        match self.brings.get() {
            Brings::Next => {
                self.brings.set(Brings::Nothing);
                Poll::Ready(None)
            }
            Brings::Sent => {
                self.brings.set(Brings::Nothing);
                // SAFETY: the tag said so, and is gone.
                Poll::Ready(Some(unsafe { read(&self.sent) }))
            }
            Brings::Nothing | Brings::Thrown => Poll::Pending,
        }
    }

    /// The value that the body handed out.
    #[inline(always)]
    pub(crate) fn take_value(&self) -> Option<Y> {
        if !matches!(self.holds.get(), Holds::Value | Holds::ValueCatches) {
            return None;
        }
        self.holds.set(Holds::Nothing);
        // SAFETY: the tag said so, and is gone.
        Some(unsafe { read(&self.value) })
    }

    /// The delegate that the body handed out.
    #[inline(always)]
    pub(crate) fn take_frame(&self) -> Option<Frame<Y, S>> {
        if !matches!(self.holds.get(), Holds::Frame | Holds::FrameCatches) {
            return None;
        }
        self.frame.take().map(ManuallyDrop::into_inner)
    }

    /// The error that the body handed out.
    #[inline(always)]
    pub(crate) fn take_raised(&self) -> Option<SendError<S>> {
        if self.holds.get() != Holds::Raised {
            return None;
        }
        self.raised.take().map(ManuallyDrop::into_inner)
    }

    /// Whether the yield that handed something out wants to see errors.
    #[inline(always)]
    pub(crate) fn catches(&self) -> bool {
        matches!(self.holds.get(), Holds::ValueCatches | Holds::FrameCatches)
    }

    /// What the resume brought, if nobody has taken it.
    #[inline(always)]
    pub(crate) fn untaken(&self) -> Option<Input<S>> {
        match self.brings.replace(Brings::Nothing) {
            Brings::Nothing => None,
            Brings::Next => Some(Input::Next),
            // SAFETY: the tag said so, and is gone.
            Brings::Sent => Some(Input::Send(unsafe { read(&self.sent) })),
            Brings::Thrown => self.thrown.take().map(|error| Input::Throw(ManuallyDrop::into_inner(error))),
        }
    }

    /// Drops what nobody has taken: the end of a step.
    #[inline(always)]
    pub(crate) fn leave(&self) {
        if needs_drop::<Y>()
            && let Some(value) = self.take_value()
        {
            drop_rarely(value);
        }
        if let Some(frame) = self.frame.take() {
            drop_rarely(ManuallyDrop::into_inner(frame));
        }
        if let Some(error) = self.raised.take() {
            drop_rarely(ManuallyDrop::into_inner(error));
        }
        match self.brings.get() {
            Brings::Nothing | Brings::Next => {}
            Brings::Sent if !needs_drop::<S>() => {}
            Brings::Sent | Brings::Thrown => drop_rarely(self.untaken()),
        }
    }
}

/// Takes a value out of its place.
///
/// # Safety
///
/// There is one, it is not lent out, and nobody reads it again.
#[inline(always)]
unsafe fn read<V>(place: &UnsafeCell<MaybeUninit<V>>) -> V {
    // SAFETY: by the obligation.
    let place = unsafe { &*place.get() };
    // SAFETY: by the obligation.
    unsafe { place.assume_init_read() }
}

/// Drops what is hardly ever there, out of line: yields are to be small.
#[cold]
#[inline(never)]
pub(crate) fn drop_rarely<V>(value: V) {
    drop(value);
}

#[cold]
#[inline(never)]
fn foreign(vtable: &'static RawWakerVTable) -> ! {
    if ptr::eq(vtable, &VTABLE) {
        panic!("yield polled inside another generator: each body has its own yielder")
    }
    panic!("yield polled by a foreign executor: a yield works only where its generator's body awaits it")
}
