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
//! recurses, so depth costs memory and nothing else. Each joint knows the one below it, so that a chain is a pointer to
//! the innermost and has no memory of its own.
//!
//! Invariant: a chain never outlives what its members borrow. Those of a stackless root outlive the root, by their
//! types. Those that a stackful body delegates to are also held by its suspended `yield_from`, and dropping that one
//! drops what their joint holds.

use crate::body::{Body, BodyStep, step};
use crate::error::Error;
use crate::frame::{Frame, Paused, Stage};
use crate::step::{Input, State};
use core::fmt;
use core::marker::PhantomData;
use core::mem;
use core::pin::Pin;
use core::task::Waker;

/// The generators that a root delegates to, innermost last.
///
/// A root that never delegates has none, and the optimiser knows it: what follows passes frames by value, so that the
/// address of a root that lies in somebody's frame goes nowhere and the root can live in registers.
pub struct Chain<Y, S> {
    innermost: Option<Frame<Y, S>>,
}

impl<Y, S> Chain<Y, S> {
    /// No delegation.
    pub const fn new() -> Self {
        Self { innermost: None }
    }

    #[inline(always)]
    pub(crate) fn of(innermost: Option<Frame<Y, S>>) -> Self {
        Self { innermost }
    }

    /// Puts there what was taken or is new. Nothing is there: there is nothing to drop, which the optimiser can't know.
    #[inline(always)]
    pub(crate) fn give(&mut self, innermost: Option<Frame<Y, S>>) {
        debug_assert!(self.innermost.is_none(), "a body goes on when its delegates have ended");
        mem::forget(mem::replace(&mut self.innermost, innermost));
    }

    #[inline(always)]
    pub(crate) fn take(&mut self) -> Option<Frame<Y, S>> {
        self.innermost.take()
    }

    /// Whether nothing is delegated to.
    #[inline(always)]
    pub fn is_unused(&self) -> bool {
        self.innermost.is_none()
    }

    /// Takes in what the root's body delegates to, which it does when it has no other.
    pub(crate) fn push(&mut self, frame: Frame<Y, S>) {
        self.give(Some(innermost(frame)));
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
            if let Some(innermost) = self.take() {
                let guard = FinishOnPanic { body: body.as_mut(), types: PhantomData };
                let mut chain = Some(innermost);
                let mut rest = None;
                let value = run(&mut chain, input, waker, &mut rest);
                mem::forget(guard);
                self.give(chain);
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
                BodyStep::Delegated(frame) => self.give(Some(innermost(frame))),
            }
            input = Input::Next;
        }
    }

    /// Resumes the innermost generator with nothing, and goes on until one yields or none is left.
    ///
    /// [`go_on`](Self::go_on) goes on from any other end. A panic is for whoever drops this.
    #[inline(always)]
    pub(crate) fn resume(&mut self) -> Paused<Y> {
        resume(&mut self.innermost, None)
    }

    /// Goes on from a [`resume`](Self::resume) that gave no value.
    #[cold]
    #[inline(never)]
    pub(crate) fn go_on<R, B: Body<Y, S, R>>(&mut self, body: Pin<&mut B>, paused: Paused<Y>) -> BodyStep<Y, S, R> {
        let mut rest = None;
        if let Some(value) = run_on(&mut self.innermost, paused, None, &mut rest) {
            return BodyStep::Yielded(value);
        }
        match rest.expect("invariant: a chain that did not yield says why") {
            Run::Waiting(value) => BodyStep::Waiting(value),
            Run::Raised(error, _) => self.drive(body, Input::Throw(error), None),
            Run::Returned => self.drive(body, Input::Next, None),
        }
    }

    /// Closes what is suspended, with nobody to hear the result, and drops it: Python's finalisation.
    ///
    /// # Panics
    ///
    /// With what a destructor panics; all is finished nevertheless.
    #[inline(always)]
    pub fn finalise<R, B: Body<Y, S, R>>(&mut self, mut body: Pin<&mut B>) {
        if B::MAY_CATCH && (body.wants_close() || !self.is_unused()) {
            self.close_unheard(body.as_mut());
        }
        if let Some(innermost) = self.take() {
            let guard = FinishOnPanic { body: body.as_mut(), types: PhantomData };
            close_all(innermost);
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
        give_up(self.take());
        mem::forget(guard);
    }

    /// Takes off the outermost.
    fn take_outermost(&mut self) -> Option<Frame<Y, S>> {
        let mut above = None;
        let mut frame = self.innermost.as_ref()?.share();
        while let Some(below) = frame.below() {
            above = Some(mem::replace(&mut frame, below));
        }
        match above {
            Some(above) => above.take_below(),
            None => self.take(),
        }
    }
}

impl<Y, S> Drop for Chain<Y, S> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(innermost) = self.take() {
            finalise_all(innermost);
        }
    }
}

impl<Y, S> fmt::Debug for Chain<Y, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("len", &self.innermost.as_ref().map_or(0, Frame::len)).finish()
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

/// Resumes the innermost generator with nothing, and goes on until one yields or the chain has ended.
///
/// One that raised or waits is still on top.
#[inline(always)]
pub(crate) fn resume<Y, S>(chain: &mut Option<Frame<Y, S>>, waker: Option<&Waker>) -> Paused<Y> {
    while let Some(frame) = chain {
        match frame.next(waker) {
            Paused::Delegated => push_above(chain),
            Paused::Returned => drop(pop(chain)),
            paused => return paused,
        }
    }
    Paused::Returned
}

/// Resumes the innermost generator, and goes on until one yields or the chain has ended.
#[inline(never)]
fn run<Y, S>(
    chain: &mut Option<Frame<Y, S>>,
    input: Input<S>,
    waker: Option<&Waker>,
    rest: &mut Option<Run<S>>,
) -> Option<Y> {
    let guard = FinishAllOnPanic(chain);
    let value = if matches!(input, Input::Next) {
        match resume(guard.0, waker) {
            Paused::Yielded(value) => Some(value),
            paused => run_on(guard.0, paused, waker, rest),
        }
    } else {
        // Closing a generator closes its delegate first. So an exit that comes in and reaches the innermost means that
        // each of the chain is being closed by the one below it.
        let closing = if input.is_exit() { guard.0.as_ref().map_or(0, Frame::len) } else { 0 };
        run_any(guard.0, input, None, closing, waker, rest)
    };
    mem::forget(guard);
    value
}

/// What follows a resume that gave no value.
#[cold]
#[inline(never)]
fn run_on<Y, S>(
    chain: &mut Option<Frame<Y, S>>,
    paused: Paused<Y>,
    waker: Option<&Waker>,
    rest: &mut Option<Run<S>>,
) -> Option<Y> {
    match (paused, &*chain) {
        (Paused::Waiting, Some(frame)) => *rest = Some(Run::Waiting(frame.take_waiting())),
        (Paused::Raised, Some(frame)) => {
            let (error, refused) = frame.take_raised();
            drop(pop(chain));
            // An exit that it raised by itself closes nobody.
            return run_any(chain, Input::Throw(error), refused, 0, waker, rest);
        }
        _ => *rest = Some(Run::Returned),
    }
    None
}

/// Any input, and a value that was refused on the way here.
///
/// `closing` of the chain are being closed, counted from the bottom.
#[inline(never)]
fn run_any<Y, S>(
    chain: &mut Option<Frame<Y, S>>,
    mut input: Input<S>,
    mut refused: Option<S>,
    mut closing: usize,
    waker: Option<&Waker>,
    rest: &mut Option<Run<S>>,
) -> Option<Y> {
    // On top of those that are being closed, so many others, which one of them delegates to in answer.
    let mut anew = 0;
    loop {
        let Some(innermost) = &*chain else {
            *rest = Some(match input {
                Input::Throw(error) => Run::Raised(error, refused),
                Input::Next | Input::Send(_) => Run::Returned,
            });
            return None;
        };
        input = match innermost.step(input, waker) {
            Paused::Yielded(value) if closing == 0 => return Some(value),
            Paused::Waiting => {
                *rest = Some(Run::Waiting(innermost.take_waiting()));
                return None;
            }
            Paused::Delegated => {
                if closing > 0 {
                    // Only what is new is counted: each of a deep chain may delegate once more.
                    anew += innermost.chain_len();
                }
                push_above(chain);
                refused = None;
                Input::Next
            }
            Paused::Yielded(_) => {
                let mut given_up = None;
                for _ in 0..=anew {
                    move_top(chain, &mut given_up);
                }
                (closing, anew) = (closing - 1, 0);
                give_up(reversed(given_up));
                Input::Throw(Error::ignored_exit())
            }
            Paused::Returned => {
                let ended = pop(chain);
                refused = None;
                if anew > 0 {
                    anew -= 1;
                    Input::Next
                } else if closing > 0 {
                    closing -= 1;
                    // The exit goes on to the delegator, and not what the delegate returned to it.
                    if let Some(ended) = ended {
                        ended.finish();
                    }
                    Input::Throw(Error::exit())
                } else {
                    Input::Next
                }
            }
            Paused::Raised => {
                let (error, value) = innermost.take_raised();
                drop(pop(chain));
                if anew > 0 {
                    anew -= 1;
                } else {
                    closing = closing.saturating_sub(1);
                }
                // What is raised in answer to an error was sent nothing.
                refused = value.or(refused);
                Input::Throw(error)
            }
        };
    }
}

/// Takes the innermost off.
#[inline(always)]
fn pop<Y, S>(chain: &mut Option<Frame<Y, S>>) -> Option<Frame<Y, S>> {
    let frame = chain.take()?;
    *chain = frame.take_below();
    Some(frame)
}

/// Moves the innermost of one chain on top of another.
fn move_top<Y, S>(from: &mut Option<Frame<Y, S>>, to: &mut Option<Frame<Y, S>>) {
    if let Some(frame) = pop(from) {
        frame.put_on(to.take());
        *to = Some(frame);
    }
}

fn reversed<Y, S>(mut chain: Option<Frame<Y, S>>) -> Option<Frame<Y, S>> {
    let mut reversed = None;
    while chain.is_some() {
        move_top(&mut chain, &mut reversed);
    }
    reversed
}

/// Puts on top what the innermost delegates to from now on.
#[inline(always)]
fn push_above<Y, S>(chain: &mut Option<Frame<Y, S>>) {
    if let Some(frame) = chain.take() {
        *chain = Some(match frame.take_chain() {
            Some(above) => above.on(frame),
            None => frame,
        });
    }
}

/// What is to be on top, out of line: who calls this is to be small.
#[cold]
#[inline(never)]
fn innermost<Y, S>(frame: Frame<Y, S>) -> Frame<Y, S> {
    frame.innermost()
}

/// Closes all of a chain as a root does that has no code to see how it ends, and finalises what is left.
#[cold]
#[inline(never)]
fn close_all<Y, S>(innermost: Frame<Y, S>) {
    let mut chain = Some(innermost);
    run(&mut chain, Input::Throw(Error::exit()), None, &mut None);
    give_up(chain);
}

/// Finalises the outermost generator of a chain, which delegates to the next, and so on: its delegator has let go of it.
///
/// It is closed through those that it delegates to. If it ignores that, its delegate has lost its owner in turn.
fn give_up<Y, S>(innermost: Option<Frame<Y, S>>) {
    let mut given_up = None;
    let guard = FinishAllOnPanic(&mut given_up);
    // A panic finalises this first: these are further in.
    let mut chain = Chain::of(innermost);
    while let Some(frame) = chain.take_outermost() {
        let mut body = Single::of(&frame);
        frame.put_on(guard.0.take());
        *guard.0 = Some(frame);
        if body.wants_close() || !chain.is_unused() {
            drop(chain.drive(Pin::new(&mut body), Input::Throw(Error::exit()), None));
        }
    }
    while let Some(frame) = pop(guard.0) {
        frame.finish();
    }
}

#[cold]
#[inline(never)]
fn finalise_all<Y, S>(innermost: Frame<Y, S>) {
    let mut chain = Some(innermost);
    let guard = FinishAllOnPanic(&mut chain);
    while let Some(frame) = pop(guard.0) {
        finalise(&frame);
    }
}

/// Closes and drops a generator whose owner lets go of it, with its own chain.
///
/// # Panics
///
/// With what a destructor panics; it is finished nevertheless. If it is running.
#[inline(always)]
pub(crate) fn finalise<Y, S>(frame: &Frame<Y, S>) {
    match frame.head().stage().get() {
        Stage::Finalised => {}
        Stage::Ended => frame.head().stage().set(Stage::Finalised),
        _ => finalise_what_is_left(frame),
    }
}

#[inline(never)]
fn finalise_what_is_left<Y, S>(frame: &Frame<Y, S>) {
    if frame.is_idle() {
        Chain::of(frame.take_chain()).finalise(Pin::new(&mut Single::of(frame)));
    } else {
        frame.finish();
    }
}

/// A generator in a joint without its chain, whose result stays there.
pub(crate) struct Single<Y, S>(Frame<Y, S>);

impl<Y, S> Single<Y, S> {
    pub(crate) fn of(frame: &Frame<Y, S>) -> Self {
        Self(frame.share())
    }
}

// SAFETY: finishing drops the generator, as the table's function says.
unsafe impl<Y, S> Body<Y, S, ()> for Single<Y, S> {
    fn step(self: Pin<&mut Self>, input: Input<S>, waker: Option<&Waker>) -> BodyStep<Y, S, ()> {
        let paused = self.0.step(input, waker);
        stepped(&self.0, paused, || ())
    }

    fn state(&self) -> State {
        self.0.state()
    }

    fn catches(&self) -> bool {
        true
    }

    fn wants_close(&self) -> bool {
        self.0.wants_close()
    }

    fn finish(self: Pin<&mut Self>) {
        self.0.finish();
    }
}

/// How a step of a frame ended, in one.
pub(crate) fn stepped<Y, S, R>(
    frame: &Frame<Y, S>,
    paused: Paused<Y>,
    result: impl FnOnce() -> R,
) -> BodyStep<Y, S, R> {
    match paused {
        Paused::Yielded(value) => BodyStep::Yielded(value),
        Paused::Returned => BodyStep::Returned(result()),
        Paused::Raised => {
            let (error, value) = frame.take_raised();
            BodyStep::Raised(error, value)
        }
        Paused::Delegated => {
            BodyStep::Delegated(frame.take_chain().expect("invariant: one that delegates says to whom"))
        }
        Paused::Waiting => BodyStep::Waiting(frame.take_waiting()),
    }
}

/// A panic of a delegate, or of a destructor of one, finishes all of the chain.
struct FinishAllOnPanic<'c, Y, S>(&'c mut Option<Frame<Y, S>>);

impl<Y, S> Drop for FinishAllOnPanic<'_, Y, S> {
    #[cold]
    fn drop(&mut self) {
        while let Some(frame) = pop(self.0) {
            // Should one panic, the rest is finished while that unwinds.
            let rest = FinishAllOnPanic(self.0);
            frame.finish();
            mem::forget(rest);
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
