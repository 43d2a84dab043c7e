//! Owns delegation: where a generator lives that another one delegates to, or that is in a box.

use crate::body::{Body, BodyStep, refuse, step};
use crate::chain::Chain;
use crate::error::Error;
use crate::frame::{Frame, FrameStep, Frames, Link};
use crate::step::{Input, State};
use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::fmt;
use core::mem;
use core::pin::Pin;
use core::task::Waker;

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
        self.pinned(|body| match body.state() {
            State::Finished => refuse(input),
            _ => self.chain.borrow_mut().drive(body, input, waker),
        })
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
