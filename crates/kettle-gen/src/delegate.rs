//! Owns delegation: how a resume reaches the innermost generator directly, however deep `yield from` is nested.
//!
//! Only bodies and those who write new ones need this module; users of generators don't.
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
//! result stays in its [`Joint`], and the one below is stepped: its `yield_from` finds the result there. Nothing
//! recurses, so depth costs memory and nothing else.
//!
//! Invariant: a chain never outlives what its members borrow. Those of a stackless root outlive the root, by their
//! types. Those that a stackful body delegates to are also held by its suspended `yield_from`, and dropping that one
//! drops what their joint holds.

use crate::error::Error;
use crate::step::{Input, State};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::marker::PhantomData;
use core::mem;
use core::pin::Pin;
use core::task::Waker;

/// A function that can pause: what [`Generator`](crate::Generator)s are made of.
///
/// It says what a pause is; what a generator's words mean is said once, for all bodies, by the roots.
///
/// # Safety
///
/// After [`finish`](Self::finish), and when it has finished by itself, the body holds nothing that borrows and drops
/// nothing that does.
pub unsafe trait Body<Y, S, R> {
    /// Whether bodies of this kind have code that sees errors, and so code to run when they are dropped.
    const MAY_CATCH: bool = true;

    /// Runs to the next pause.
    ///
    /// The body must not be finished, and one that is created takes [`Input::Next`] only. `waker` is there if somebody
    /// can wait for a future that the body awaits.
    fn step(self: Pin<&mut Self>, input: Input<S>, waker: Option<&Waker>) -> BodyStep<Y, S, R>;

    /// Where the body stands, never [`State::Running`].
    fn state(&self) -> State;

    /// Whether the yield that the body waits at wants to see errors. Where it doesn't, raising one is
    /// [`finish`](Self::finish).
    fn catches(&self) -> bool;

    /// Whether the body has code to run before it is dropped.
    fn wants_close(&self) -> bool {
        self.state() == State::Suspended && self.catches()
    }

    /// Drops the function and what it holds, running no more of its code than its destructors.
    fn finish(self: Pin<&mut Self>);
}

/// How a step of a [`Body`] ended.
pub enum BodyStep<Y, S, R> {
    /// It yielded.
    Yielded(Y),
    /// It returned and has finished.
    Returned(R),
    /// An error left it and it has finished. The value is the one that it was sent and would not take.
    Raised(Error, Option<S>),
    /// It waits for the end of this generator.
    Delegated(Frame<Y, S>),
    /// It awaits a future of somebody else. The value is the one that it was sent and has not taken.
    Waiting(Option<S>),
}

impl<Y, S, R> fmt::Debug for BodyStep<Y, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BodyStep::Yielded(_) => "Yielded",
            BodyStep::Returned(_) => "Returned",
            BodyStep::Raised(..) => "Raised",
            BodyStep::Delegated(_) => "Delegated",
            BodyStep::Waiting(_) => "Waiting",
        })
    }
}

/// How a step of a [`Frame`] ended. A result or an error is in its joint.
enum FrameStep<Y, S> {
    Yielded(Y),
    Returned,
    Raised(Option<S>),
    Delegated(Frame<Y, S>),
    Waiting(Option<S>),
}

/// A joint as the chain sees it: the result's type is known to the delegator alone.
///
/// What happens most, a resume with nothing that gives a value, has a way of its own: passed as it is, a value stays in
/// registers. All the rest is passed as one enum, through memory.
trait Link<Y, S> {
    fn step(&self, input: Input<S>, waker: Option<&Waker>) -> FrameStep<Y, S>;
    fn next(&self, waker: Option<&Waker>, rest: &mut Option<FrameStep<Y, S>>) -> Option<Y>;
    fn take_error(&self) -> Option<Error>;
    fn take_chain(&self) -> Option<Frames<Y, S>>;
    fn give_chain(&self, frames: Frames<Y, S>);
    fn close_unheard(&self);
    fn finish(&self);
    fn finalise(&self);
    fn is_finalised(&self) -> bool;
}

/// A joint as the delegator sees it.
trait Joined<Y, S, R>: Link<Y, S> {
    fn next_alone(&self, rest: &mut Option<BodyStep<Y, S, R>>) -> Option<Y>;
    fn drive(&self, input: Input<S>, waker: Option<&Waker>) -> BodyStep<Y, S, R>;
    fn state(&self) -> State;
    fn take_result(&self) -> Option<R>;
}

/// Where a delegate lives: held by the `yield_from` that waits for it, and by the chain that steps it.
struct Joint<Y, S, R, B> {
    result: Cell<Option<Result<R, Error>>>,
    finalised: Cell<bool>,
    chain: RefCell<Chain<Y, S>>,
    body: RefCell<B>,
}

impl<Y, S, R, B: Body<Y, S, R>> Joint<Y, S, R, B> {
    fn pinned<T>(&self, f: impl FnOnce(Pin<&mut B>) -> T) -> T {
        let mut body = self.body.borrow_mut();
        // SAFETY: a joint is made inside an `Rc` by `Delegate::new`, and nothing here moves the body out of it.
        f(unsafe { Pin::new_unchecked(&mut *body) })
    }

    /// Keeps a result or an error for the delegator.
    #[cold]
    fn keep(&self, step: BodyStep<Y, S, R>) -> FrameStep<Y, S> {
        match step {
            BodyStep::Yielded(value) => FrameStep::Yielded(value),
            BodyStep::Delegated(frame) => FrameStep::Delegated(frame),
            BodyStep::Waiting(value) => FrameStep::Waiting(value),
            BodyStep::Returned(value) => {
                self.result.set(Some(Ok(value)));
                FrameStep::Returned
            }
            BodyStep::Raised(error, refused) => {
                self.result.set(Some(Err(error)));
                FrameStep::Raised(refused)
            }
        }
    }
}

impl<Y, S, R, B: Body<Y, S, R>> Link<Y, S> for Joint<Y, S, R, B> {
    fn step(&self, input: Input<S>, waker: Option<&Waker>) -> FrameStep<Y, S> {
        let step = self.pinned(|body| match body.state() {
            State::Finished => refuse(input),
            _ => step(body, input, waker),
        });
        match step {
            BodyStep::Yielded(value) => FrameStep::Yielded(value),
            step => self.keep(step),
        }
    }

    fn next(&self, waker: Option<&Waker>, rest: &mut Option<FrameStep<Y, S>>) -> Option<Y> {
        let step = self.pinned(|body| match body.state() {
            State::Finished => refuse(Input::Next),
            _ => body.step(Input::Next, waker),
        });
        match step {
            BodyStep::Yielded(value) => Some(value),
            step => {
                *rest = Some(self.keep(step));
                None
            }
        }
    }

    fn take_error(&self) -> Option<Error> {
        self.result.take()?.err()
    }

    fn take_chain(&self) -> Option<Frames<Y, S>> {
        self.chain.borrow_mut().frames.take()
    }

    fn give_chain(&self, frames: Frames<Y, S>) {
        self.chain.borrow_mut().frames = Some(frames);
    }

    fn close_unheard(&self) {
        self.pinned(|body| {
            let mut chain = self.chain.borrow_mut();
            if body.wants_close() || !chain.is_empty() {
                drop(chain.drive(body, Input::Throw(Error::exit()), None));
            }
        });
    }

    fn finish(&self) {
        if !self.finalised.replace(true) {
            self.pinned(B::finish);
            drop(self.result.take());
        }
    }

    fn finalise(&self) {
        if !self.finalised.replace(true) {
            self.pinned(|body| self.chain.borrow_mut().finalise(body));
            drop(self.result.take());
        }
    }

    fn is_finalised(&self) -> bool {
        self.finalised.get()
    }
}

impl<Y, S, R, B: Body<Y, S, R>> Joined<Y, S, R> for Joint<Y, S, R, B> {
    fn next_alone(&self, rest: &mut Option<BodyStep<Y, S, R>>) -> Option<Y> {
        let step = self.pinned(|body| match body.state() {
            State::Finished => refuse(Input::Next),
            _ => self.chain.borrow_mut().drive(body, Input::Next, None),
        });
        match step {
            BodyStep::Yielded(value) => Some(value),
            step => {
                *rest = Some(step);
                None
            }
        }
    }

    fn drive(&self, input: Input<S>, waker: Option<&Waker>) -> BodyStep<Y, S, R> {
        self.pinned(|body| self.chain.borrow_mut().drive(body, input, waker))
    }

    fn state(&self) -> State {
        self.body.borrow().state()
    }

    fn take_result(&self) -> Option<R> {
        self.result.take()?.ok()
    }
}

/// A generator taken in by a `yield_from` or a box, in one allocation: its type is forgotten, its result's is not.
///
/// Dropping it closes and drops the generator, also if a chain still holds a [`Frame`] of it.
pub struct Delegate<'a, Y, S, R> {
    joint: Rc<dyn Joined<Y, S, R> + 'a>,
}

impl<'a, Y: 'a, S: 'a, R: 'a> Delegate<'a, Y, S, R> {
    pub(crate) fn new(body: impl Body<Y, S, R> + 'a, chain: Chain<Y, S>) -> Self {
        let joint = Joint {
            result: Cell::new(None),
            finalised: Cell::new(false),
            chain: RefCell::new(chain),
            body: RefCell::new(body),
        };
        Self { joint: Rc::new(joint) }
    }
}

impl<'a, Y, S, R> Delegate<'a, Y, S, R> {
    /// The frame for the chain of the outermost generator.
    ///
    /// # Safety
    ///
    /// 1. The frame is dropped, or this `Delegate` is, before `'a` ends, whatever the program does.
    /// 2. Both always are on one thread, and go to another only if the generator and its result may.
    pub unsafe fn frame(&self) -> Frame<Y, S> {
        let link: Rc<dyn Link<Y, S> + 'a> = self.joint.clone();
        // SAFETY: only the lifetime bound changes. Dropping the `Delegate` finalises the joint, after which it holds
        // nothing that borrows; so by obligation 1 nothing that it borrows is used after `'a`.
        Frame(unsafe { mem::transmute::<Rc<dyn Link<Y, S> + 'a>, Rc<dyn Link<Y, S> + 'static>>(link) })
    }

    /// Resumes the generator on its own, with nothing and for a value, the short way.
    #[inline]
    pub(crate) fn next(&self, rest: &mut Option<BodyStep<Y, S, R>>) -> Option<Y> {
        self.joint.next_alone(rest)
    }

    /// The result, once the generator has returned and a chain has told the delegator to go on.
    pub fn take_result(&self) -> Option<R> {
        self.joint.take_result()
    }
}

/// A delegate resumed on its own: its chain is inside, so it never answers [`BodyStep::Delegated`].
// SAFETY: finishing finalises the joint, after which it holds nothing that borrows.
unsafe impl<Y, S, R> Body<Y, S, R> for Delegate<'_, Y, S, R> {
    #[inline]
    fn step(self: Pin<&mut Self>, input: Input<S>, waker: Option<&Waker>) -> BodyStep<Y, S, R> {
        self.joint.drive(input, waker)
    }

    #[inline]
    fn state(&self) -> State {
        self.joint.state()
    }

    fn catches(&self) -> bool {
        true
    }

    fn finish(self: Pin<&mut Self>) {
        self.joint.finalise();
    }
}

impl<Y, S, R> fmt::Debug for Delegate<'_, Y, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delegate").field("state", &self.joint.state()).finish()
    }
}

impl<Y, S, R> Drop for Delegate<'_, Y, S, R> {
    fn drop(&mut self) {
        self.joint.finalise();
    }
}

/// One generator that is delegated to, as it stands in a chain.
pub struct Frame<Y, S>(Rc<dyn Link<Y, S>>);

impl<Y, S> Frame<Y, S> {
    /// Whether its delegator has given it up before anybody stepped it.
    pub fn is_finalised(&self) -> bool {
        self.0.is_finalised()
    }
}

impl<Y, S> fmt::Debug for Frame<Y, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").finish_non_exhaustive()
    }
}

/// The generators that a root delegates to, innermost last.
///
/// A root that never delegates has none, and the optimiser knows it: what follows passes the frames by value, so that
/// the address of a root that lies in somebody's frame goes nowhere and the root can live in registers.
pub struct Chain<Y, S> {
    frames: Option<Frames<Y, S>>,
}

/// Boxed, so that a chain is one word that moves. Once there, kept for the next delegation.
type Frames<Y, S> = Box<Vec<Frame<Y, S>>>;

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

    fn is_empty(&self) -> bool {
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
                    Run::Raised(error, refused) if B::MAY_CATCH && body.catches() => {
                        return self.raise(body, error, refused, waker);
                    }
                    Run::Raised(error, refused) => {
                        body.finish();
                        return BodyStep::Raised(error, refused);
                    }
                    Run::Returned => input = Input::Next,
                }
            }
            // Each by itself: moved as a whole, a step is read in larger pieces than it was written in.
            match step(body.as_mut(), input, waker) {
                BodyStep::Yielded(value) => return BodyStep::Yielded(value),
                BodyStep::Returned(value) => return BodyStep::Returned(value),
                BodyStep::Raised(error, value) => return BodyStep::Raised(error, value),
                BodyStep::Waiting(value) => return BodyStep::Waiting(value),
                BodyStep::Delegated(frame) => self.frames = Some(push(self.frames.take(), frame)),
            }
            input = Input::Next;
        }
    }

    /// Goes on, in a body that sees errors, with one that came out of the chain.
    #[cold]
    #[inline(never)]
    fn raise<R, B: Body<Y, S, R>>(
        &mut self,
        mut body: Pin<&mut B>,
        error: Error,
        refused: Option<S>,
        waker: Option<&Waker>,
    ) -> BodyStep<Y, S, R> {
        match body.as_mut().step(Input::Throw(error), waker) {
            BodyStep::Delegated(frame) => {
                self.push(frame);
                self.drive(body, Input::Next, waker)
            }
            BodyStep::Raised(error, value) => BodyStep::Raised(error, value.or(refused)),
            step => step,
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

/// Steps a body, or finishes it where it has no code that could see the error.
#[inline(always)]
fn step<Y, S, R, B: Body<Y, S, R>>(body: Pin<&mut B>, input: Input<S>, waker: Option<&Waker>) -> BodyStep<Y, S, R> {
    match input {
        Input::Throw(error) if !B::MAY_CATCH || !body.catches() => {
            body.finish();
            BodyStep::Raised(error, None)
        }
        input => body.step(input, waker),
    }
}

/// The answer of a body that has finished.
pub fn refuse<Y, S, R>(input: Input<S>) -> BodyStep<Y, S, R> {
    match input {
        Input::Next => BodyStep::Raised(Error::finished(), None),
        Input::Send(value) => BodyStep::Raised(Error::finished(), Some(value)),
        Input::Throw(error) => BodyStep::Raised(error, None),
    }
}
