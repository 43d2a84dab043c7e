//! Owns the exchange: where a stackful body and its resumer hand each other values during one step.
//!
//! It lies in the frame of the resume, which is hot; the switch carries its address. A value has a place of its own and
//! a tag that says whether it is there, each written and read as it is. (Moved as one enum, half of it is written in
//! small pieces and read in large ones, which costs the processor a dozen cycles a time.)
//!
//! The unsafe code of this module is reading the places by their tags.

use kettle_gen::delegate::Frame;
use kettle_gen::{Error, Input, SendError};
use std::cell::{Cell, UnsafeCell};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::thread;

/// Where a body and its resumer meet during one step.
pub(crate) struct Exchange<Y, S> {
    brings: Cell<Brings>,
    holds: Cell<Holds>,
    catches: Cell<bool>,
    /// Whether the resumer was unwinding when it resumed.
    unwinding: bool,
    sent: UnsafeCell<MaybeUninit<S>>,
    value: UnsafeCell<MaybeUninit<Y>>,
    // Dropped by the tags, so that leaving an exchange needs no more code than looking at those.
    thrown: Cell<Option<ManuallyDrop<Error>>>,
    rare: Cell<Option<ManuallyDrop<Rare<Y, S>>>>,
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

/// What the body hands out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Nothing,
    /// There is a value in `value`.
    Value,
    /// There is something in `rare`.
    Rare,
}

/// What a body hands out now and then.
pub(crate) enum Rare<Y, S> {
    Delegated(Frame<Y, S>),
    /// An error from a plain word: the body is not resumed, but unwound.
    Raised(SendError<S>),
}

impl<Y, S> Exchange<Y, S> {
    #[inline(always)]
    pub(crate) fn new(input: Input<S>) -> Self {
        let (brings, sent, thrown) = match input {
            Input::Next => (Brings::Next, MaybeUninit::uninit(), None),
            Input::Send(value) => (Brings::Sent, MaybeUninit::new(value), None),
            Input::Throw(error) => (Brings::Thrown, MaybeUninit::uninit(), Some(ManuallyDrop::new(error))),
        };
        Self {
            brings: Cell::new(brings),
            holds: Cell::new(Holds::Nothing),
            catches: Cell::new(false),
            unwinding: thread::panicking(),
            sent: UnsafeCell::new(sent),
            value: UnsafeCell::new(MaybeUninit::uninit()),
            thrown: Cell::new(thrown),
            rare: Cell::new(None),
        }
    }

    /// Whether the resumer was unwinding when it resumed.
    pub(crate) fn unwinding(&self) -> bool {
        self.unwinding
    }

    /// Hands out a value, and says whether its yield wants to see errors.
    #[inline(always)]
    pub(crate) fn put(&self, value: Y, catches: bool) {
        // SAFETY: the place is not lent out, and empty: a body hands out one thing a step.
        unsafe { (*self.value.get()).write(value) };
        self.holds.set(Holds::Value);
        self.catches.set(catches);
    }

    /// Hands out something else, likewise.
    pub(crate) fn put_rare(&self, rare: Rare<Y, S>, catches: bool) {
        self.rare.set(Some(ManuallyDrop::new(rare)));
        self.holds.set(Holds::Rare);
        self.catches.set(catches);
    }

    /// What the resume brought.
    #[inline(always)]
    pub(crate) fn take(&self) -> Option<Input<S>> {
        match self.brings.replace(Brings::Nothing) {
            Brings::Nothing => None,
            Brings::Next => Some(Input::Next),
            // SAFETY: the tag said so, and is gone.
            Brings::Sent => Some(Input::Send(unsafe { (*self.sent.get()).assume_init_read() })),
            Brings::Thrown => self.thrown.take().map(|error| Input::Throw(ManuallyDrop::into_inner(error))),
        }
    }

    /// The same, for a yield that does not see errors: a body that waits there is not resumed with one.
    #[inline(always)]
    pub(crate) fn take_sent(&self) -> Option<S> {
        if self.brings.replace(Brings::Nothing) != Brings::Sent {
            return None;
        }
        // SAFETY: the tag said so, and is gone.
        Some(unsafe { (*self.sent.get()).assume_init_read() })
    }

    /// The value that the body handed out.
    #[inline(always)]
    pub(crate) fn value(&self) -> Option<Y> {
        if self.holds.get() != Holds::Value {
            return None;
        }
        self.holds.set(Holds::Nothing);
        // SAFETY: the tag said so, and is gone.
        Some(unsafe { (*self.value.get()).assume_init_read() })
    }

    /// What else the body handed out.
    pub(crate) fn rare(&self) -> Option<Rare<Y, S>> {
        self.holds.set(Holds::Nothing);
        self.rare.take().map(ManuallyDrop::into_inner)
    }

    /// Whether the yield that handed it out wants to see errors.
    #[inline(always)]
    pub(crate) fn catches(&self) -> bool {
        self.catches.get()
    }
}

impl<Y, S> Drop for Exchange<Y, S> {
    #[inline(always)]
    fn drop(&mut self) {
        if !matches!(self.brings.get(), Brings::Nothing | Brings::Next) || self.holds.get() != Holds::Nothing {
            self.clear();
        }
    }
}

impl<Y, S> Exchange<Y, S> {
    /// Drops what nobody has taken.
    #[cold]
    #[inline(never)]
    fn clear(&mut self) {
        drop(self.take());
        drop(self.value());
        drop(self.rare());
    }
}
