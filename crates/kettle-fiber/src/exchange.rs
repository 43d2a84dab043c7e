//! Owns the exchange: where a stackful body and its resumer hand each other values.
//!
//! It lies on the body's stack, just above the body's first frame and in one cache line with what a switch touches
//! there, so that a resume reaches nothing else of a stack that has gone cold. A value has a place of its own and a tag
//! that says whether it is there, each written and read as it is. (Moved as one enum, half of it is written in small
//! pieces and read in large ones, which costs the processor a dozen cycles a time.)
//!
//! Both sides have it by pointer and take turns: who runs, uses it.
//!
//! The unsafe code of this module is reading the places by their tags.

use kettle_gen::Frame;
use kettle_gen::{Error, Input, SendError};
use std::cell::{Cell, UnsafeCell};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr;
use std::thread;

/// What the switch carries nothing of: both sides look here.
pub(crate) type Link = corosensei::Yielder<(), ()>;

/// Where a body and its resumer meet.
#[repr(C)]
pub(crate) struct Exchange<Y, S> {
    /// The way back to the resumer; null until the body has started.
    link: Cell<*const Link>,
    brings: Cell<Brings>,
    holds: Cell<Holds>,
    catches: Cell<bool>,
    /// Whether the resumer was unwinding when it resumed.
    unwinding: Cell<bool>,
    sent: UnsafeCell<MaybeUninit<S>>,
    value: UnsafeCell<MaybeUninit<Y>>,
    // Dropped by the tags, so that leaving an exchange needs no more code than looking at those.
    thrown: Cell<Option<ManuallyDrop<Error>>>,
    rare: Cell<Option<ManuallyDrop<Rare<Y, S>>>>,
}

/// What a resume brought.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Brings {
    /// No resume is under way: the body is paused, or being dropped.
    Absent,
    /// It has been taken.
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
    pub(crate) fn new() -> Self {
        Self {
            link: Cell::new(ptr::null()),
            brings: Cell::new(Brings::Absent),
            holds: Cell::new(Holds::Nothing),
            catches: Cell::new(false),
            unwinding: Cell::new(false),
            sent: UnsafeCell::new(MaybeUninit::uninit()),
            value: UnsafeCell::new(MaybeUninit::uninit()),
            thrown: Cell::new(None),
            rare: Cell::new(None),
        }
    }

    /// The resumer's side: brings an input, for a resume that follows at once.
    #[inline(always)]
    pub(crate) fn bring(&self, input: Input<S>) {
        self.unwinding.set(thread::panicking());
        match input {
            Input::Next => self.brings.set(Brings::Next),
            Input::Send(value) => {
                // SAFETY: the place is not lent out: no resume is under way.
                let place = unsafe { &mut *self.sent.get() };
                place.write(value);
                self.brings.set(Brings::Sent);
            }
            Input::Throw(error) => {
                self.thrown.set(Some(ManuallyDrop::new(error)));
                self.brings.set(Brings::Thrown);
            }
        }
    }

    /// The body's side: names the way back, when it starts.
    pub(crate) fn start(&self, link: &Link) {
        self.link.set(link);
        self.brings.set(Brings::Nothing);
    }

    /// Whether a pause would switch away from a panic that is under way in the body.
    #[inline(always)]
    pub(crate) fn unwinds(&self) -> bool {
        thread::panicking() && (self.brings.get() == Brings::Absent || !self.unwinding.get())
    }

    /// Pauses the body, having put what it hands out, until the next resume.
    ///
    /// # Safety
    ///
    /// Called by the body, on its own stack or on one of a coroutine that it runs.
    #[inline(always)]
    pub(crate) unsafe fn pause(&self, put: impl FnOnce(&Self)) {
        // Without a resume the body has caught the unwinding that was to drop it. It is unwound again from here.
        if self.brings.replace(Brings::Absent) != Brings::Absent {
            put(self);
        }
        // SAFETY: the body runs, so it has started, and its link lives as long as it does.
        unsafe { &*self.link.get() }.suspend(());
    }

    /// Hands out a value, and says whether its yield wants to see errors.
    #[inline(always)]
    pub(crate) fn put(&self, value: Y, catches: bool) {
        // SAFETY: the place is not lent out. It is empty: a body hands out one thing a step.
        let place = unsafe { &mut *self.value.get() };
        place.write(value);
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
            Brings::Absent | Brings::Nothing => None,
            Brings::Next => Some(Input::Next),
            // SAFETY: the tag said so, and is gone.
            Brings::Sent => Some(Input::Send(unsafe { read(&self.sent) })),
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
        Some(unsafe { read(&self.sent) })
    }

    /// The value that the body handed out.
    #[inline(always)]
    pub(crate) fn value(&self) -> Option<Y> {
        if self.holds.get() != Holds::Value {
            return None;
        }
        self.holds.set(Holds::Nothing);
        // SAFETY: the tag said so, and is gone.
        Some(unsafe { read(&self.value) })
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

impl<Y, S> Drop for Exchange<Y, S> {
    fn drop(&mut self) {
        drop(self.take());
        drop(self.value());
        drop(self.rare());
    }
}
