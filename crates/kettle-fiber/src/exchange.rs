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

use crate::stack::Place;
use kettle_gen::{Error, Frame, Input, SendError};
use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::ptr;
use std::thread;

/// What the switch carries nothing of: both sides look here.
pub(crate) type Link = corosensei::Yielder<(), ()>;

/// Where a body and its resumer meet.
#[repr(C)]
pub(crate) struct Exchange<Y, S> {
    /// The way back to the resumer; null until the body has started.
    link: Cell<*const Link>,
    turn: Cell<Turn>,
    /// Whether the resumer was unwinding when it resumed.
    unwinding: Cell<bool>,
    sent: UnsafeCell<MaybeUninit<S>>,
    value: UnsafeCell<MaybeUninit<Y>>,
    thrown: Cell<Option<Error>>,
    rare: Cell<Option<Rare<Y, S>>>,
    /// The body's stack.
    place: Place,
}

/// Whose turn it is, and what the other one has left for it. Taken as soon as it is seen, so nothing is dropped by this.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The resumer's: the body has not started.
    Start,
    /// The resumer's: a value in `value`.
    Value,
    /// The same, from a yield that wants to see errors.
    ValueCatches,
    /// The resumer's: something in `rare`.
    Rare,
    /// The same, from a word that wants to see errors.
    RareCatches,
    /// The body's: nothing.
    Next,
    /// The body's: a value in `sent`.
    Sent,
    /// The body's: an error in `thrown`.
    Thrown,
}

/// What a body hands out now and then.
pub(crate) enum Rare<Y, S> {
    Delegated(Frame<Y, S>),
    /// An error from a plain word: the body is not resumed, but unwound.
    Raised(SendError<S>),
}

impl<Y, S> Exchange<Y, S> {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            link: Cell::new(ptr::null()),
            turn: Cell::new(Turn::Start),
            unwinding: Cell::new(false),
            sent: UnsafeCell::new(MaybeUninit::uninit()),
            value: UnsafeCell::new(MaybeUninit::uninit()),
            thrown: Cell::new(None),
            rare: Cell::new(None),
            place,
        }
    }

    /// The resumer's side: brings an input, for a resume that follows at once.
    #[inline(always)]
    pub(crate) fn bring(&self, input: Input<S>) {
        self.unwinding.set(thread::panicking());
        match input {
            Input::Next => self.turn.set(Turn::Next),
            Input::Send(value) => {
                // SAFETY: the place is not lent out: it is the resumer's turn.
                let place = unsafe { &mut *self.sent.get() };
                place.write(value);
                self.turn.set(Turn::Sent);
            }
            Input::Throw(error) => {
                self.thrown.set(Some(error));
                self.turn.set(Turn::Thrown);
            }
        }
    }

    /// The value that the body handed out, if that is why it paused. Asked once for each pause.
    #[inline(always)]
    pub(crate) fn value(&self) -> Option<Y> {
        match self.turn.get() {
            // SAFETY: the turn says so, and it is asked once.
            Turn::Value | Turn::ValueCatches => Some(unsafe { read(&self.value) }),
            _ => None,
        }
    }

    /// What else the body handed out.
    pub(crate) fn rare(&self) -> Option<Rare<Y, S>> {
        self.rare.take()
    }

    /// Whether the yield that the body waits at wants to see errors.
    #[inline(always)]
    pub(crate) fn catches(&self) -> bool {
        matches!(self.turn.get(), Turn::ValueCatches | Turn::RareCatches)
    }

    /// The body's side: names the way back, when it starts.
    pub(crate) fn start(&self, link: &Link) {
        self.link.set(link);
    }

    #[inline(always)]
    fn is_resumed(&self) -> bool {
        matches!(self.turn.get(), Turn::Next | Turn::Sent | Turn::Thrown)
    }

    /// Whether a pause would switch away from a panic that is under way in the body.
    #[inline(always)]
    pub(crate) fn unwinds(&self) -> bool {
        thread::panicking() && !(self.is_resumed() && self.unwinding.get())
    }

    /// Whether this runs on the body's own stack, and not on that of a coroutine that the body runs.
    pub(crate) fn is_on_top(&self) -> bool {
        self.place.contains(stack_pointer())
    }

    /// Pauses the body, having put what it hands out, until the next resume.
    ///
    /// # Safety
    ///
    /// Called by the body, on its own stack or on one of a coroutine that it runs.
    #[inline(always)]
    pub(crate) unsafe fn pause(&self, put: impl FnOnce(&Self)) {
        // Without a resume the body has caught the unwinding that was to drop it. It is unwound again from here.
        if self.is_resumed() {
            put(self);
        }
        // SAFETY: the body runs, so it has started, and its link lives as long as it does.
        unsafe { &*self.link.get() }.suspend(());
    }

    /// Hands out a value, and says whether its yield wants to see errors.
    #[inline(always)]
    pub(crate) fn put(&self, value: Y, catches: bool) {
        // SAFETY: the place is not lent out: it is the body's turn. What was in it has been taken.
        let place = unsafe { &mut *self.value.get() };
        place.write(value);
        self.turn.set(if catches { Turn::ValueCatches } else { Turn::Value });
    }

    /// Hands out something else, likewise.
    pub(crate) fn put_rare(&self, rare: Rare<Y, S>, catches: bool) {
        self.rare.set(Some(rare));
        self.turn.set(if catches { Turn::RareCatches } else { Turn::Rare });
    }

    /// What the resume brought. Asked once for each.
    #[inline(always)]
    pub(crate) fn take(&self) -> Option<Input<S>> {
        match self.turn.get() {
            Turn::Next => Some(Input::Next),
            // SAFETY: the turn says so, and it is asked once.
            Turn::Sent => Some(Input::Send(unsafe { read(&self.sent) })),
            Turn::Thrown => self.thrown.take().map(Input::Throw),
            _ => None,
        }
    }

    /// The same, for a yield that does not see errors: a body that waits there is not resumed with one.
    #[inline(always)]
    pub(crate) fn take_sent(&self) -> Option<S> {
        // SAFETY: the turn says so, and it is asked once.
        (self.turn.get() == Turn::Sent).then(|| unsafe { read(&self.sent) })
    }
}

#[inline(always)]
fn stack_pointer() -> usize {
    let pointer: usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: reads a register.
    unsafe {
        std::arch::asm!("mov {}, rsp", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: reads a register.
    unsafe {
        std::arch::asm!("mov {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    pointer
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
