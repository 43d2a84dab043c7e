//! Owns the chain: how a resume reaches the innermost generator directly, however deep `yield from` is nested.
//!
//! The outermost generator (the *root*) keeps a [`Chain`] of the generators that it delegates to at this moment,
//! innermost last:
//!
//! ```text
//!            root ──────────────── chain ───────────────────────┐
//!   body: … y.yield_from(a).await   [ a, b, c ]                 │
//!              body of a: y.yield_from(b).await                 │
//!                 body of b: y.yield_from(c).await              │
//!                    body of c: y.yield_(1).await  <── resume ──┘
//! ```
//!
//! A resume steps the last of the chain and touches none of the others. When that one ends, it is taken off, its
//! result stays in its joint, and the one below is stepped: its `yield_from` finds the result there. Nothing
//! recurses, so depth costs memory and nothing else.
//!
//! Invariant: a chain never outlives what its members borrow. Those of a stackless root outlive the root, by their
//! types. Those that a stackful body delegates to are also held by its suspended `yield_from`, and dropping that one
//! drops what their joint holds.

use crate::body::{Body, BodyStep, step};
use crate::error::Error;
use crate::frame::{Frame, FrameStep, Frames};
use crate::step::Input;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::mem;
use core::pin::Pin;
use core::task::Waker;

/// The generators that a root delegates to, innermost last.
///
/// A root that never delegates has none, and the optimiser knows it: what follows passes the frames by value, so that
/// the address of a root that lies in somebody's frame goes nowhere and the root can live in registers.
pub struct Chain<Y, S> {
    pub(crate) frames: Option<Frames<Y, S>>,
}

impl<Y, S> Chain<Y, S> {
    /// No delegation.
    pub const fn new() -> Self {
        Self { frames: None }
    }

    /// Whether nothing has been delegated so far.
    #[inline(always)]
    pub fn is_unused(&self) -> bool {
        self.frames.is_none()
    }

    /// Takes in what the root's body delegates to.
    pub(crate) fn push(&mut self, frame: Frame<Y, S>) {
        self.frames = Some(push(self.frames.take(), frame));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.as_ref().is_none_or(|frames| frames.is_empty())
    }

    /// Resumes the innermost generator, and goes on until one yields or the root's body ends.
    ///
    /// Never answers [`BodyStep::Delegated`]. The body must not be finished.
    // A body that does not catch is stepped at one place only, so that the compiler finds its poll function called once
    // and inlines it; and with nothing but what came in or `Next`, so that it need not keep the input in memory.
    #[inline(always)]
    pub fn drive<R, B: Body<Y, S, R>>(
        &mut self,
        mut body: Pin<&mut B>,
        mut input: Input<S>,
        waker: Option<&Waker>,
    ) -> BodyStep<Y, S, R> {
        loop {
            let mut refused = None;
            if let Some(frames) = self.frames.take_if(|frames| !frames.is_empty()) {
                let guard = FinishOnPanic { body: body.as_mut(), types: PhantomData };
                let mut rest = None;
                let (frames, value) = run(frames, input, waker, &mut rest);
                mem::forget(guard);
                self.frames = Some(frames);
                if let Some(value) = value {
                    return BodyStep::Yielded(value);
                }
                match rest.expect("invariant: a chain that did not yield says why") {
                    Run::Waiting(value) => return BodyStep::Waiting(value),
                    Run::Raised(error, value) if B::MAY_CATCH && body.catches() => {
                        (input, refused) = (Input::Throw(error), value);
                    }
                    Run::Raised(error, value) => {
                        body.finish();
                        return BodyStep::Raised(error.raised(), value);
                    }
                    Run::Returned => input = Input::Next,
                }
            }
            // Each by itself: moved as a whole, a step is read in larger pieces than it was written in.
            match step(body.as_mut(), input, waker) {
                BodyStep::Yielded(value) => return BodyStep::Yielded(value),
                BodyStep::Returned(value) => return BodyStep::Returned(value),
                BodyStep::Raised(error, value) => return BodyStep::Raised(error, value.or(refused)),
                BodyStep::Waiting(value) => return BodyStep::Waiting(value),
                BodyStep::Delegated(frame) => self.frames = Some(push(self.frames.take(), frame)),
            }
            input = Input::Next;
        }
    }

    /// Closes what is suspended, with nobody to hear the result, and drops it: Python's finalisation.
    ///
    /// # Panics
    ///
    /// With what a destructor panics; all is finished nevertheless.
    #[inline(always)]
    pub fn finalise<R, B: Body<Y, S, R>>(&mut self, mut body: Pin<&mut B>) {
        if B::MAY_CATCH && (body.wants_close() || !self.is_empty()) {
            self.close_unheard(body.as_mut());
        }
        if let Some(frames) = self.frames.take() {
            let guard = FinishOnPanic { body: body.as_mut(), types: PhantomData };
            close_all(frames);
            mem::forget(guard);
        }
        body.finish();
    }

    #[cold]
    #[inline(never)]
    fn close_unheard<R, B: Body<Y, S, R>>(&mut self, body: Pin<&mut B>) {
        let mut guard = FinishOnPanic { body, types: PhantomData };
        drop(self.drive(guard.body.as_mut(), Input::Throw(Error::exit()), None));
        // It ignored that, and goes all the same.
        if let Some(frames) = self.frames.take() {
            give_up(*frames);
        }
        mem::forget(guard);
    }
}

impl<Y, S> Drop for Chain<Y, S> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(frames) = self.frames.take() {
            finalise_all(frames);
        }
    }
}

impl<Y, S> fmt::Debug for Chain<Y, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("len", &self.frames.as_ref().map_or(0, |frames| frames.len())).finish()
    }
}

impl<Y, S> Default for Chain<Y, S> {
    fn default() -> Self {
        Self::new()
    }
}

/// How a chain ended, or paused without a value.
enum Run<S> {
    Waiting(Option<S>),
    /// The root's body is to go on.
    Returned,
    /// An error is to be raised in the root's body. The value is one that a delegate was sent and would not take.
    Raised(Error, Option<S>),
}

/// Resumes the innermost generator, and goes on until one yields or the chain has ended.
#[inline(never)]
fn run<Y, S>(
    frames: Frames<Y, S>,
    mut input: Input<S>,
    waker: Option<&Waker>,
    rest: &mut Option<Run<S>>,
) -> (Frames<Y, S>, Option<Y>) {
    let mut guard = FinaliseOnPanic(Some(frames));
    let frames = guard.frames();
    // Closing a generator closes its delegate first. So an exit that reaches the innermost means that each of the chain
    // is being closed by the one below it; `closing` counts them, from the bottom.
    let mut closing = if input.is_exit() { frames.len() } else { 0 };
    let mut refused = None;
    let value = loop {
        let Some(innermost) = frames.last() else {
            *rest = Some(match input {
                Input::Throw(error) => Run::Raised(error, refused),
                Input::Next | Input::Send(_) => Run::Returned,
            });
            break None;
        };
        let step = if closing == 0 && matches!(input, Input::Next) {
            let mut other = None;
            if let Some(value) = innermost.0.next(waker, &mut other) {
                break Some(value);
            }
            other.expect("invariant: a generator that did not yield says why")
        } else {
            innermost.0.step(input, waker)
        };
        input = match step {
            FrameStep::Yielded(value) if closing == 0 => break Some(value),
            FrameStep::Waiting(value) => {
                *rest = Some(Run::Waiting(value));
                break None;
            }
            FrameStep::Delegated(frame) => {
                push_frame(frames, frame);
                Input::Next
            }
            FrameStep::Yielded(_) => {
                closing -= 1;
                give_up(frames.split_off(closing));
                Input::Throw(Error::ignored_exit())
            }
            FrameStep::Returned => {
                let ended = frames.pop();
                if frames.len() < closing {
                    closing = frames.len();
                    // The exit goes on to the delegator, and not what the delegate returned to it.
                    drop(ended.and_then(|frame| frame.0.take_error()));
                    Input::Throw(Error::exit())
                } else {
                    Input::Next
                }
            }
            FrameStep::Raised(value) => {
                let error = frames.pop().and_then(|frame| frame.0.take_error());
                closing = closing.min(frames.len());
                refused = value;
                Input::Throw(error.expect("invariant: a frame that raised has its error"))
            }
        };
    };
    (guard.release(), value)
}

/// Puts a generator on top, with the chain that it has if it has been running on its own.
fn push_frame<Y, S>(frames: &mut Vec<Frame<Y, S>>, frame: Frame<Y, S>) {
    let above = frame.0.take_chain();
    frames.push(frame);
    if let Some(above) = above {
        frames.extend(*above);
    }
}

#[cold]
#[inline(never)]
fn push<Y, S>(frames: Option<Frames<Y, S>>, frame: Frame<Y, S>) -> Frames<Y, S> {
    let mut frames = frames.unwrap_or_default();
    push_frame(&mut frames, frame);
    frames
}

/// Closes all of a chain as a root does that has no code to see how it ends, and finalises what is left.
#[cold]
#[inline(never)]
fn close_all<Y, S>(frames: Frames<Y, S>) {
    let (frames, _) = run(frames, Input::Throw(Error::exit()), None, &mut None);
    give_up(*frames);
}

/// Finalises the first generator, which delegates to the second, and so on: its delegator has let go of it.
///
/// It is closed through those that it delegates to. If it ignores that, its delegate has lost its owner in turn.
fn give_up<Y, S>(frames: Vec<Frame<Y, S>>) {
    if frames.is_empty() {
        return;
    }
    let mut frames = frames.into_iter();
    let mut given_up = FinaliseOnPanic(Some(Frames::default()));
    while let Some(frame) = frames.next() {
        let link = Rc::clone(&frame.0);
        given_up.frames().push(frame);
        link.give_chain(Box::new(frames.collect()));
        link.close_unheard();
        frames = link.take_chain().unwrap_or_default().into_iter();
    }
    while let Some(frame) = given_up.frames().pop() {
        frame.0.finish();
    }
}

#[cold]
#[inline(never)]
fn finalise_all<Y, S>(frames: Frames<Y, S>) {
    drop(FinaliseOnPanic(Some(frames)));
}

/// A panic of a delegate, or of a destructor of one, finishes all of the chain.
struct FinaliseOnPanic<Y, S>(Option<Frames<Y, S>>);

impl<Y, S> FinaliseOnPanic<Y, S> {
    fn frames(&mut self) -> &mut Vec<Frame<Y, S>> {
        self.0.as_mut().expect("invariant: released at the end")
    }

    fn release(mut self) -> Frames<Y, S> {
        self.0.take().expect("invariant: released once")
    }
}

impl<Y, S> Drop for FinaliseOnPanic<Y, S> {
    fn drop(&mut self) {
        while let Some(frame) = self.0.as_mut().and_then(|frames| frames.pop()) {
            // Should one panic, the rest is finalised while that unwinds.
            let rest = FinaliseOnPanic(self.0.take());
            frame.0.finalise();
            self.0 = Some(rest.release());
        }
    }
}

/// A panic of a delegate finishes the root.
struct FinishOnPanic<'a, Y, S, R, B: Body<Y, S, R>> {
    body: Pin<&'a mut B>,
    types: PhantomData<(Y, S, R)>,
}

impl<Y, S, R, B: Body<Y, S, R>> Drop for FinishOnPanic<'_, Y, S, R, B> {
    fn drop(&mut self) {
        self.body.as_mut().finish();
    }
}
