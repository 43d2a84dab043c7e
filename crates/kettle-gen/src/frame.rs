//! Owns the frame: a generator that is delegated to, as a chain sees it.
//!
//! It is one counted pointer, to the head of the joint ([`delegate`](crate::delegate)) that the generator lives in. The
//! generator's type is behind a table of functions; what they take in and give lies in the head, except for what
//! happens most: resumed with nothing, giving a value. That passes in registers. (So it is one word and plain tags: pairs
//! of pointers and enums, moved as a whole, are written in small pieces and read in large ones, which stalls the processor
//! for a dozen cycles each time.)
//!
//! Invariant: who finds a generator [`Stage::Idle`] is the only one to touch it until it is idle again.

use crate::error::Error;
use crate::step::{Input, State};
use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::task::Waker;

/// One generator that is delegated to, as it stands in a chain.
pub struct Frame<Y, S>(NonNull<Head<Y, S>>);

/// How a step of a frame ended. What is not a value lies in the head.
pub(crate) enum Paused<Y> {
    Yielded(Y),
    /// With a result that the delegator will find.
    Returned,
    /// [`Frame::take_raised`] has the error.
    Raised,
    /// To the chain that [`Frame::take_chain`] has.
    Delegated,
    /// [`Frame::take_waiting`] has the value that nobody took.
    Waiting,
}

/// What a step of a frame takes in: an [`Input`] without its value. (An error goes to a function of its own.)
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Next,
    /// There is a value in `sent`.
    Sent,
}

/// Where a generator in a joint stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It may be stepped.
    Idle,
    /// The same, and it has not been stepped here: it may refuse a value.
    New,
    /// It is being stepped.
    Running,
    /// It has ended, and its result lies there.
    Returned,
    /// It has ended, and nothing is left of it.
    Ended,
    /// It has ended, or a panic has left it; what it still holds is to be dropped.
    Left,
    /// Its owner has let go of it, and nothing is left of it.
    Finalised,
}

/// What comes out now and then.
enum Parcel<S> {
    Raised(Error, Option<S>),
    Waiting(Option<S>),
}

/// What a chain knows of a joint: it begins with this.
pub(crate) struct Head<Y, S> {
    table: NonNull<Table<Y, S>>,
    /// The one that delegates to this one, if that is in the same chain.
    below: Cell<Option<Frame<Y, S>>>,
    /// The innermost of its own chain, if it is resumed on its own or was before it was delegated to.
    chain: Cell<Option<Frame<Y, S>>>,
    held: Cell<usize>,
    stage: Cell<Stage>,
    sent: UnsafeCell<MaybeUninit<S>>,
    parcel: Cell<Option<Parcel<S>>>,
}

/// What a joint does, whose type its head does not say.
///
/// All of it is called with the head of a joint that the table is of.
pub(crate) struct Table<Y, S> {
    /// Steps the generator without its chain, which is empty.
    pub(crate) step: unsafe fn(NonNull<Head<Y, S>>, Takes, Option<&Waker>) -> Paused<Y>,
    /// The same with an error.
    pub(crate) throw: unsafe fn(NonNull<Head<Y, S>>, Error, Option<&Waker>) -> Paused<Y>,
    pub(crate) state: unsafe fn(NonNull<Head<Y, S>>) -> State,
    pub(crate) wants_close: unsafe fn(NonNull<Head<Y, S>>) -> bool,
    /// Drops the generator where it is, and its result.
    pub(crate) finish: unsafe fn(NonNull<Head<Y, S>>),
    /// Gives the memory back. Nobody holds the joint any more.
    pub(crate) free: unsafe fn(NonNull<Head<Y, S>>),
}

impl<Y, S> Head<Y, S> {
    /// The head of a joint with one owner, [`Frame::of`] it.
    #[inline(always)]
    pub(crate) fn new(table: NonNull<Table<Y, S>>, chain: Option<Frame<Y, S>>, stage: Stage) -> Self {
        Self {
            table,
            below: Cell::new(None),
            chain: Cell::new(chain),
            held: Cell::new(1),
            stage: Cell::new(stage),
            sent: UnsafeCell::new(MaybeUninit::uninit()),
            parcel: Cell::new(None),
        }
    }

    #[inline(always)]
    pub(crate) fn stage(&self) -> &Cell<Stage> {
        &self.stage
    }

    /// Puts a value there for a step.
    #[inline(always)]
    pub(crate) fn bring(&self, value: S) -> Takes {
        // SAFETY: not lent out: nobody else is here before a step begins.
        let place = unsafe { &mut *self.sent.get() };
        place.write(value);
        Takes::Sent
    }

    /// What came in, once.
    ///
    /// # Safety
    ///
    /// `takes` is what the step was called with.
    #[inline(always)]
    pub(crate) unsafe fn take_input(&self, takes: Takes) -> Input<S> {
        match takes {
            Takes::Next => Input::Next,
            // SAFETY: by the obligation.
            Takes::Sent => Input::Send(unsafe { self.take_sent() }),
        }
    }

    /// The value that came in.
    ///
    /// # Safety
    ///
    /// It was [brought](Self::bring), and is taken once.
    #[inline(always)]
    pub(crate) unsafe fn take_sent(&self) -> S {
        // SAFETY: not lent out: nobody else is here while a step begins.
        let place = unsafe { &*self.sent.get() };
        // SAFETY: by the obligation.
        unsafe { place.assume_init_read() }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn raise(&self, error: Error, value: Option<S>) -> Paused<Y> {
        self.parcel.set(Some(Parcel::Raised(error, value)));
        Paused::Raised
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn wait(&self, value: Option<S>) -> Paused<Y> {
        self.parcel.set(Some(Parcel::Waiting(value)));
        Paused::Waiting
    }

    #[inline(always)]
    pub(crate) fn delegate(&self, frame: Frame<Y, S>) -> Paused<Y> {
        self.chain.set(Some(frame.innermost()));
        Paused::Delegated
    }
}

impl<Y, S> Frame<Y, S> {
    /// The first owner of a joint.
    ///
    /// # Safety
    ///
    /// A joint begins with `head`, may be freed by its table's function, and is given to nobody else.
    #[inline(always)]
    pub(crate) unsafe fn of(head: NonNull<Head<Y, S>>) -> Self {
        Self(head)
    }

    /// One more owner. They are few, so that the count can't overflow: see SAFETY.md.
    #[inline(always)]
    pub(crate) fn share(&self) -> Self {
        let held = &self.head().held;
        held.set(held.get() + 1);
        Self(self.0)
    }

    #[inline(always)]
    pub(crate) fn head(&self) -> &Head<Y, S> {
        // SAFETY: it is there while somebody owns it, and only ever shared.
        unsafe { self.0.as_ref() }
    }

    #[inline(always)]
    pub(crate) fn pointer(&self) -> NonNull<Head<Y, S>> {
        self.0
    }

    #[inline(always)]
    fn table(&self) -> &Table<Y, S> {
        // SAFETY: a table is a constant.
        unsafe { self.head().table.as_ref() }
    }

    /// Whether its delegator has let go of it: a chain that still has it finds nothing there to step.
    #[inline(always)]
    pub fn is_finalised(&self) -> bool {
        self.head().stage.get() == Stage::Finalised
    }

    /// Steps it with nothing.
    #[inline(always)]
    pub(crate) fn next(&self, waker: Option<&Waker>) -> Paused<Y> {
        // SAFETY: of this joint. Nothing is brought.
        unsafe { (self.table().step)(self.0, Takes::Next, waker) }
    }

    /// Steps it with anything.
    #[inline]
    pub(crate) fn step(&self, input: Input<S>, waker: Option<&Waker>) -> Paused<Y> {
        let takes = match input {
            Input::Next => Takes::Next,
            Input::Send(value) => self.head().bring(value),
            // SAFETY: of this joint.
            Input::Throw(error) => return unsafe { (self.table().throw)(self.0, error, waker) },
        };
        // SAFETY: of this joint. What is brought was put there.
        unsafe { (self.table().step)(self.0, takes, waker) }
    }

    /// The error that it raised, and the value that it was sent and would not take.
    pub(crate) fn take_raised(&self) -> (Error, Option<S>) {
        match self.head().parcel.take() {
            Some(Parcel::Raised(error, value)) => (error, value),
            _ => unreachable!("a frame that raised has its error"),
        }
    }

    /// The value that it was sent and has not taken yet.
    pub(crate) fn take_waiting(&self) -> Option<S> {
        match self.head().parcel.take() {
            Some(Parcel::Waiting(value)) => value,
            _ => unreachable!("a frame that waits says so"),
        }
    }

    /// Whether it has a chain of its own.
    #[inline(always)]
    pub(crate) fn has_chain(&self) -> bool {
        let chain = self.head().chain.take();
        let has = chain.is_some();
        self.head().chain.set(chain);
        has
    }

    #[inline(always)]
    pub(crate) fn take_chain(&self) -> Option<Self> {
        self.head().chain.take()
    }

    #[inline(always)]
    pub(crate) fn give_chain(&self, innermost: Option<Self>) {
        self.head().chain.set(innermost);
    }

    /// Takes it off what it lies on.
    #[inline(always)]
    pub(crate) fn take_below(&self) -> Option<Self> {
        self.head().below.take()
    }

    /// Puts it on top of another one, or of nothing.
    #[inline(always)]
    pub(crate) fn put_on(&self, below: Option<Self>) {
        self.head().below.set(below);
    }

    /// The innermost of it and the chain that it has, if it has been running on its own.
    #[inline(always)]
    pub(crate) fn innermost(self) -> Self {
        match self.take_chain() {
            None => self,
            Some(above) => above.on(self),
        }
    }

    /// Puts the chain of which it is the innermost on top of another one.
    #[inline(always)]
    pub(crate) fn on(self, below: Self) -> Self {
        match self.below() {
            None => self.put_on(Some(below)),
            Some(outer) => outer.put_chain_on(below),
        }
        self
    }

    #[cold]
    #[inline(never)]
    fn put_chain_on(self, below: Self) {
        let mut outermost = self;
        while let Some(outer) = outermost.below() {
            outermost = outer;
        }
        outermost.put_on(Some(below));
    }

    /// The one that it lies on.
    pub(crate) fn below(&self) -> Option<Self> {
        let below = self.take_below();
        let shared = below.as_ref().map(Self::share);
        self.put_on(below);
        shared
    }

    /// How many it and those below it are.
    pub(crate) fn len(&self) -> usize {
        let mut len = 1;
        let mut head = self.head();
        while let Some(below) = pointee(&head.below) {
            len += 1;
            // SAFETY: the one above owns it, and is only looked at.
            head = unsafe { below.as_ref() };
        }
        len
    }

    /// How many its own chain has.
    pub(crate) fn chain_len(&self) -> usize {
        let chain = self.take_chain();
        let len = chain.as_ref().map_or(0, Self::len);
        self.give_chain(chain);
        len
    }

    /// Whether it may be stepped.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.head().stage.get(), Stage::Idle | Stage::New)
    }

    pub(crate) fn state(&self) -> State {
        match self.head().stage.get() {
            // SAFETY: of this joint.
            Stage::Idle | Stage::New => unsafe { (self.table().state)(self.0) },
            Stage::Running => State::Running,
            Stage::Returned | Stage::Ended | Stage::Left | Stage::Finalised => State::Finished,
        }
    }

    /// Whether it has code to run before it is dropped.
    pub(crate) fn wants_close(&self) -> bool {
        // SAFETY: of this joint.
        self.is_idle() && unsafe { (self.table().wants_close)(self.0) }
    }

    /// Drops the generator where it is and its result, running no more of its code than its destructors.
    ///
    /// # Panics
    ///
    /// If it is running.
    pub(crate) fn finish(&self) {
        match self.head().stage.get() {
            Stage::Finalised => {}
            Stage::Running => panic!("drop a generator that is running"),
            // SAFETY: of this joint.
            _ => unsafe { (self.table().finish)(self.0) },
        }
    }
}

/// Where a frame points to, without owning it.
fn pointee<Y, S>(frame: &Cell<Option<Frame<Y, S>>>) -> Option<NonNull<Head<Y, S>>> {
    let taken = frame.take();
    let pointer = taken.as_ref().map(Frame::pointer);
    frame.set(taken);
    pointer
}

impl<Y, S> Drop for Frame<Y, S> {
    #[inline(always)]
    fn drop(&mut self) {
        let held = self.head().held.get() - 1;
        self.head().held.set(held);
        if held == 0 {
            // SAFETY: of this joint, whose last owner this was.
            unsafe { (self.table().free)(self.0) }
        }
    }
}

impl<Y, S> fmt::Debug for Frame<Y, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").finish_non_exhaustive()
    }
}
