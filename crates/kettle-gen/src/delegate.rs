//! Owns delegation: where a generator lives that another one delegates to, or that is in a box.
//!
//! That is a joint: one allocation, which the delegator and the chain hold. What they know of it is less and less:
//!
//! ```text
//! Joint    { { head, result }, body }   its own functions, behind the table in the head
//! Joined   { { head, result } }         the delegator: it knows the result's type
//! Head       { head }                   the chain (`frame`)
//! ```
//!
//! The unsafe code of this module is going from the head to the rest, and pinning the body.

use crate::body::{Body, BodyStep};
use crate::chain::{Chain, Single, finalise, stepped};
use crate::error::Error;
use crate::frame::{Frame, Head, Paused, Stage, Table, Takes};
use crate::step::{Input, State};
use alloc::boxed::Box;
use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::marker::PhantomData;
use core::mem::{self, ManuallyDrop, MaybeUninit};
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::Waker;

/// A joint as the delegator sees it.
#[repr(C)]
struct Joined<Y, S, R> {
    head: Head<Y, S>,
    /// It is there in [`Stage::Returned`].
    result: UnsafeCell<MaybeUninit<R>>,
}

impl<Y, S, R> Joined<Y, S, R> {
    #[inline(always)]
    fn take_result(&self) -> Option<R> {
        if self.head.stage().get() != Stage::Returned {
            return None;
        }
        self.head.stage().set(Stage::Ended);
        // SAFETY: not lent out.
        let place = unsafe { &*self.result.get() };
        // SAFETY: the stage said so, and does no more.
        Some(unsafe { place.assume_init_read() })
    }
}

/// Where a delegate lives: held by the `yield_from` that waits for it, and by the chain that steps it.
#[repr(C)]
struct Joint<Y, S, R, B> {
    joined: Joined<Y, S, R>,
    body: UnsafeCell<B>,
}

impl<Y, S, R, B: Body<Y, S, R>> Joint<Y, S, R, B> {
    /// A body that does not catch is stepped in one place only, so that the compiler inlines what it does.
    const TABLE: *const Table<Y, S> = &Table {
        step: Self::step,
        throw: Self::throw,
        state: Self::state,
        wants_close: Self::wants_close,
        finish: Self::finish,
        free: Self::free,
    };

    /// # Safety
    ///
    /// `head` is that of such a joint, which lives as long as the result is used.
    #[inline(always)]
    unsafe fn of<'j>(head: NonNull<Head<Y, S>>) -> &'j Self {
        // SAFETY: by the obligation; a joint begins with its head (`repr(C)`) and is only ever shared.
        unsafe { head.cast::<Self>().as_ref() }
    }

    /// # Safety
    ///
    /// Nobody else has the body.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "that is the obligation")]
    unsafe fn body(&self) -> Pin<&mut B> {
        // SAFETY: by the obligation.
        let body = unsafe { &mut *self.body.get() };
        // SAFETY: a joint is made in its allocation, and nothing moves the body out of it.
        unsafe { Pin::new_unchecked(body) }
    }

    /// The body for a question, which may be code of the user that asks the next one.
    ///
    /// # Safety
    ///
    /// Nobody has the body but to ask.
    #[inline(always)]
    unsafe fn peek(&self) -> &B {
        // SAFETY: by the obligation.
        unsafe { &*self.body.get() }
    }

    /// # Safety
    ///
    /// As of [`Table`]; what is brought is in the head.
    unsafe fn step(head: NonNull<Head<Y, S>>, takes: Takes, waker: Option<&Waker>) -> Paused<Y> {
        // SAFETY: by the obligation. Whoever steps it owns a part of it.
        let joint = unsafe { Self::of(head) };
        let head = &joint.joined.head;
        if head.stage().get() != Stage::Idle && !joint.may_begin(takes) {
            // SAFETY: by the obligation, and once.
            return refuse(head, unsafe { head.take_input(takes) });
        }
        let entered = Entered::new(head.stage());
        // SAFETY: by the obligation, and once.
        let input = unsafe { head.take_input(takes) };
        joint.stepped(entered, |body| body.step(input, waker))
    }

    /// Whether one that is not known to be suspended may be stepped.
    #[cold]
    #[inline(never)]
    fn may_begin(&self, takes: Takes) -> bool {
        let head = &self.joined.head;
        if head.stage().get() != Stage::New {
            return false;
        }
        if takes == Takes::Next {
            return true;
        }
        // What answers may be code of the user: what it panics with drops the value.
        // SAFETY: it was brought, and is put back.
        let sent = unsafe { head.take_sent() };
        // SAFETY: it is idle.
        let state = unsafe { self.peek() }.state();
        head.bring(sent);
        state != State::Created
    }

    /// # Safety
    ///
    /// As of [`Table`].
    unsafe fn throw(head: NonNull<Head<Y, S>>, error: Error, waker: Option<&Waker>) -> Paused<Y> {
        // SAFETY: by the obligation. Whoever steps it owns a part of it.
        let joint = unsafe { Self::of(head) };
        let head = &joint.joined.head;
        if !matches!(head.stage().get(), Stage::Idle | Stage::New) {
            return refuse(head, Input::Throw(error));
        }
        joint.stepped(Entered::new(head.stage()), |mut body| {
            if B::MAY_CATCH && body.catches() {
                return body.step(Input::Throw(error), waker);
            }
            body.as_mut().finish();
            BodyStep::Raised(error.raised(), None)
        })
    }

    /// Steps the body, which was idle until now.
    #[inline(always)]
    fn stepped(&self, entered: Entered<'_>, step: impl FnOnce(Pin<&mut B>) -> BodyStep<Y, S, R>) -> Paused<Y> {
        let head = &self.joined.head;
        // SAFETY: it was idle, and is not before `entered` is left.
        let mut body = unsafe { self.body() };
        match step(body.as_mut()) {
            BodyStep::Yielded(value) => {
                entered.leave(Stage::Idle);
                Paused::Yielded(value)
            }
            BodyStep::Delegated(frame) => {
                entered.leave(Stage::Idle);
                head.delegate(frame)
            }
            BodyStep::Returned(result) => {
                // Nothing that borrows is left then, of any body.
                body.finish();
                // SAFETY: not lent out.
                let place = unsafe { &mut *self.joined.result.get() };
                place.write(result);
                entered.leave(Stage::Returned);
                Paused::Returned
            }
            BodyStep::Raised(error, value) => {
                let ended = body.state() == State::Finished;
                if ended {
                    body.finish();
                }
                entered.leave(if ended { Stage::Ended } else { Stage::Idle });
                head.raise(error, value)
            }
            BodyStep::Waiting(value) => {
                entered.leave(Stage::Idle);
                head.wait(value)
            }
        }
    }

    /// # Safety
    ///
    /// As of [`Table`]; it is idle.
    unsafe fn state(head: NonNull<Head<Y, S>>) -> State {
        // SAFETY: by the obligation.
        let joint = unsafe { Self::of(head) };
        // SAFETY: by the obligation.
        unsafe { joint.peek() }.state()
    }

    /// # Safety
    ///
    /// As of [`Table`]; it is idle.
    unsafe fn wants_close(head: NonNull<Head<Y, S>>) -> bool {
        // SAFETY: by the obligation.
        let joint = unsafe { Self::of(head) };
        // SAFETY: by the obligation.
        unsafe { joint.peek() }.wants_close()
    }

    /// # Safety
    ///
    /// As of [`Table`]; it is not running.
    unsafe fn finish(head: NonNull<Head<Y, S>>) {
        // SAFETY: by the obligation.
        let joint = unsafe { Self::of(head) };
        let result = joint.joined.take_result();
        joint.joined.head.stage().set(Stage::Finalised);
        // SAFETY: by the obligation, and by the stage nobody comes here any more.
        unsafe { joint.body() }.finish();
        drop(result);
    }

    /// # Safety
    ///
    /// As of [`Table`]; nobody uses the joint any more.
    unsafe fn free(head: NonNull<Head<Y, S>>) {
        // SAFETY: a joint is made by `Delegate::new`, in a box.
        drop(unsafe { Box::from_raw(head.cast::<Self>().as_ptr()) });
    }
}

/// The answer of one that has ended, or was not started and can't take a value, or runs.
#[cold]
fn refuse<Y, S>(head: &Head<Y, S>, input: Input<S>) -> Paused<Y> {
    let refusal = match head.stage().get() {
        Stage::Idle | Stage::New => Error::not_started(),
        Stage::Running => Error::running(),
        _ => Error::finished(),
    };
    match input {
        Input::Next => head.raise(refusal, None),
        Input::Send(value) => head.raise(refusal, Some(value)),
        Input::Throw(error) => head.raise(error, None),
    }
}

/// A step under way. Left by a panic it says so.
struct Entered<'j>(&'j Cell<Stage>);

impl<'j> Entered<'j> {
    #[inline(always)]
    fn new(stage: &'j Cell<Stage>) -> Self {
        stage.set(Stage::Running);
        Self(stage)
    }

    #[inline(always)]
    fn leave(self, stage: Stage) {
        self.0.set(stage);
        mem::forget(self);
    }
}

impl Drop for Entered<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.set(Stage::Left);
    }
}

/// A generator taken in by a `yield_from` or a box, in one allocation: its type is forgotten, its result's is not.
///
/// Dropping it closes and drops the generator, also if a chain still holds a [`Frame`] of it.
pub struct Delegate<'a, Y, S, R> {
    /// Of a joint with a result of type `R`.
    frame: Frame<Y, S>,
    types: PhantomData<(&'a (), fn(R) -> R)>,
}

impl<'a, Y: 'a, S: 'a, R: 'a> Delegate<'a, Y, S, R> {
    #[inline(always)]
    pub(crate) fn new<B: Body<Y, S, R> + 'a>(body: B, mut chain: Chain<Y, S>) -> Self {
        // This may be code of the user: what it panics with drops the body.
        let stage = if body.state() == State::Finished { Stage::Left } else { Stage::New };
        // The allocation comes first, and what goes there is forgotten should that fail by unwinding: then nothing has
        // to be kept in a place of its own until it is done, and is written once, where it stays.
        let (body, chain) = (ManuallyDrop::new(body), ManuallyDrop::new(chain.take()));
        let joint = Box::<Joint<Y, S, R, B>>::new_uninit();
        let table = NonNull::new(Joint::<Y, S, R, B>::TABLE.cast_mut()).expect("invariant: a constant has an address");
        let joint = Box::write(
            joint,
            Joint {
                joined: Joined {
                    head: Head::new(table, ManuallyDrop::into_inner(chain), stage),
                    result: UnsafeCell::new(MaybeUninit::uninit()),
                },
                body: UnsafeCell::new(ManuallyDrop::into_inner(body)),
            },
        );
        let head = NonNull::new(Box::into_raw(joint).cast::<Head<Y, S>>()).expect("invariant: a box has an address");
        // SAFETY: a joint of this table, which nobody else has.
        Self { frame: unsafe { Frame::of(head) }, types: PhantomData }
    }
}

impl<'a, Y, S, R> Delegate<'a, Y, S, R> {
    /// The frame for the chain of the outermost generator.
    ///
    /// # Safety
    ///
    /// 1. The frame is dropped, or this `Delegate` is, before `'a` ends, whatever the program does.
    /// 2. Both always are on one thread, and go to another only if the generator and its result may.
    /// 3. It is asked for once.
    // Only the lifetime is lost. Dropping the `Delegate` finalises the joint, after which it holds nothing that borrows;
    // so by obligation 1 nothing that it borrows is used after `'a`.
    #[inline(always)]
    pub unsafe fn frame(&self) -> Frame<Y, S> {
        self.frame.share()
    }

    #[inline(always)]
    fn joined(&self) -> &Joined<Y, S, R> {
        // SAFETY: a joint begins so (`repr(C)`), and lives as long as the frame.
        unsafe { self.frame.pointer().cast().as_ref() }
    }

    /// Resumes the generator on its own, with nothing. Never answers [`Paused::Delegated`].
    #[inline(always)]
    pub(crate) fn resume(&mut self) -> Paused<Y> {
        if self.frame.has_chain() {
            return self.resume_chain();
        }
        match self.frame.next(None) {
            Paused::Yielded(value) => Paused::Yielded(value),
            Paused::Delegated => self.resume_chain(),
            paused => paused,
        }
    }

    /// The same with a value, which one that was not started refuses.
    #[inline(always)]
    pub(crate) fn send(&mut self, value: S) -> Paused<Y> {
        if self.frame.has_chain() {
            return self.step_chain(Input::Send(value));
        }
        match self.frame.step(Input::Send(value), None) {
            Paused::Yielded(value) => Paused::Yielded(value),
            Paused::Delegated => self.resume_chain(),
            paused => paused,
        }
    }

    #[inline(never)]
    fn resume_chain(&mut self) -> Paused<Y> {
        // A panic finalises the chain first.
        let guard = FinishOnPanic(&self.frame);
        let mut chain = Chain::new();
        let paused = loop {
            chain.give(guard.0.take_chain());
            match chain.resume() {
                Paused::Returned => {}
                Paused::Yielded(value) => break Paused::Yielded(value),
                paused => {
                    let step = chain.go_on(Pin::new(&mut Single::of(guard.0)), paused);
                    break self.park(step);
                }
            }
            match guard.0.next(None) {
                Paused::Delegated => {}
                paused => break paused,
            }
        };
        guard.0.give_chain(chain.take());
        mem::forget(guard);
        paused
    }

    /// Any input, if there is a chain or not.
    #[cold]
    #[inline(never)]
    fn step_chain(&mut self, input: Input<S>) -> Paused<Y> {
        let step = self.with_root(|body, chain| chain.drive(body, input, None));
        self.park(step)
    }

    /// A step as [`resume`](Self::resume) gives it.
    fn park(&self, step: BodyStep<Y, S, ()>) -> Paused<Y> {
        match step {
            BodyStep::Yielded(value) => Paused::Yielded(value),
            BodyStep::Returned(()) => Paused::Returned,
            BodyStep::Raised(error, value) => self.frame.head().raise(error, value),
            BodyStep::Waiting(value) => self.frame.head().wait(value),
            BodyStep::Delegated(_) => unreachable!("a root steps its delegates itself"),
        }
    }

    /// How a step that gave no value ended.
    #[cold]
    #[inline(never)]
    pub(crate) fn outcome(&self, paused: Paused<Y>) -> BodyStep<Y, S, R> {
        stepped(&self.frame, paused, || self.result())
    }

    pub(crate) fn result(&self) -> R {
        self.take_result().expect("invariant: one that has returned has a result")
    }

    /// The two halves of a root: the generator, which leaves its result in the joint, and its chain.
    pub(crate) fn with_root<T>(&mut self, use_it: impl FnOnce(Pin<&mut Single<Y, S>>, &mut Chain<Y, S>) -> T) -> T {
        let mut chain = Chain::of(self.frame.take_chain());
        let result = use_it(Pin::new(&mut Single::of(&self.frame)), &mut chain);
        self.frame.give_chain(chain.take());
        result
    }

    /// The result, once the generator has returned and a chain has told the delegator to go on.
    #[inline(always)]
    pub fn take_result(&self) -> Option<R> {
        self.joined().take_result()
    }
}

/// A delegate resumed on its own: its chain is inside, so it never answers [`BodyStep::Delegated`].
// SAFETY: finishing finalises the joint, after which it holds nothing that borrows.
unsafe impl<Y, S, R> Body<Y, S, R> for Delegate<'_, Y, S, R> {
    fn step(mut self: Pin<&mut Self>, input: Input<S>, waker: Option<&Waker>) -> BodyStep<Y, S, R> {
        match self.with_root(|body, chain| chain.drive(body, input, waker)) {
            BodyStep::Yielded(value) => BodyStep::Yielded(value),
            BodyStep::Returned(()) => BodyStep::Returned(self.result()),
            BodyStep::Raised(error, value) => BodyStep::Raised(error, value),
            BodyStep::Delegated(frame) => BodyStep::Delegated(frame),
            BodyStep::Waiting(value) => BodyStep::Waiting(value),
        }
    }

    fn state(&self) -> State {
        self.frame.state()
    }

    fn catches(&self) -> bool {
        true
    }

    fn finish(self: Pin<&mut Self>) {
        finalise(&self.frame);
    }
}

impl<Y, S, R> fmt::Debug for Delegate<'_, Y, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delegate").field("state", &self.frame.state()).finish()
    }
}

impl<Y, S, R> Drop for Delegate<'_, Y, S, R> {
    #[inline(always)]
    fn drop(&mut self) {
        finalise(&self.frame);
    }
}

/// A panic of a delegate finishes the one that is resumed.
struct FinishOnPanic<'d, Y, S>(&'d Frame<Y, S>);

impl<Y, S> Drop for FinishOnPanic<'_, Y, S> {
    fn drop(&mut self) {
        self.0.finish();
    }
}
