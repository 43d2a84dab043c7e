//! Owns the exchange: where a stackful body and its resumer hand each other values.
//!
//! It lies at the top of the body's stack, beginning with the switch's link, so that of a stack that has gone cold a
//! resume reaches this line and the frame that it goes on in. What is handed over is said by the word that the switch
//! carries, a [`Brings`] on the way in and a [`Pause`] on the way out; the values have places of their own here. (Moved as
//! one enum, half of a value is written in small pieces and read in large ones, which costs the processor a dozen cycles a
//! time.)
//!
//! Both sides have it by pointer and take turns: who runs, uses it.
//!
//! The unsafe code of this module is using the places by those words, and leaving the body.

use crate::link::{Entry, Link};
use crate::stack::{self, Place};
use crate::switch;
use kettle_gen::{Error, Frame, Input, SendError};
use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::panic::resume_unwind;
use std::ptr;
use std::sync::{Arc, Weak};
use std::thread;

/// Why a body does not run, and what it has left for its resumer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pause(usize);

impl Pause {
    /// Nothing has run.
    pub(crate) const CREATED: Self = Self(0);
    /// A value.
    pub(crate) const VALUE: Self = Self(1);
    /// A value, from a yield that wants to see errors.
    pub(crate) const VALUE_CATCHES: Self = Self(2);
    /// Something in `rare`.
    pub(crate) const RARE: Self = Self(3);
    /// The same, from a word that wants to see errors.
    pub(crate) const RARE_CATCHES: Self = Self(4);
    /// It has ended. How, is behind `ended`.
    pub(crate) const ENDED: Self = Self(5);
    /// It is suspended for good: its stack is left alone, with all that it holds. No word of a switch.
    pub(crate) const LEFT: Self = Self(6);

    #[inline(always)]
    pub(crate) fn of(word: usize) -> Self {
        Self(word)
    }

    #[inline(always)]
    pub(crate) fn word(self) -> usize {
        self.0
    }

    /// Whether the word that the body waits at wants to see errors.
    #[inline(always)]
    pub(crate) fn catches(self) -> bool {
        matches!(self, Self::VALUE_CATCHES | Self::RARE_CATCHES)
    }
}

/// What a resume brings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Brings(usize);

impl Brings {
    /// Nothing.
    pub(crate) const NEXT: Self = Self(0);
    /// A value in `sent`.
    const SENT: Self = Self(1);
    /// An error in `thrown`.
    const THROWN: Self = Self(2);
    /// The body is to be unwound from where it waits.
    pub(crate) const UNWIND: Self = Self(3);

    #[inline(always)]
    pub(crate) fn of(word: usize) -> Self {
        Self(word)
    }

    #[inline(always)]
    pub(crate) fn word(self) -> usize {
        self.0
    }
}

/// Where a body and its resumer meet.
#[repr(C)]
pub(crate) struct Exchange<Y, S> {
    link: Link,
    /// The body's stack. Each pause looks where it is, so this is near the link.
    place: Place,
    value: UnsafeCell<MaybeUninit<Y>>,
    sent: UnsafeCell<MaybeUninit<S>>,
    thrown: Cell<Option<Error>>,
    rare: Cell<Option<Rare<Y, S>>>,
    /// Where the result of the body that has ended lies, on its stack.
    ended: Cell<*const ()>,
    /// Whether the resumer was unwinding when it resumed.
    in_panic: Cell<bool>,
    /// The unwinding that drops the body.
    unwinding: Cell<Flight>,
}

/// What a body hands out now and then.
pub(crate) enum Rare<Y, S> {
    Delegated(Frame<Y, S>),
    /// An error from a plain word: the body is not resumed, but unwound.
    Raised(SendError<S>),
}

/// The payload of the unwinding that drops a body.
struct Unwinding(Arc<()>);

/// What tells such an unwinding from others.
#[derive(Default)]
pub(crate) struct Flight(Weak<()>);

impl Flight {
    /// Whether it is under way, or its payload has been caught and kept.
    fn is_under_way(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// Whether a panic is this unwinding.
    pub(crate) fn has(&self, payload: &(dyn Any + Send)) -> bool {
        payload.downcast_ref::<Unwinding>().is_some_and(|payload| ptr::eq(Arc::as_ptr(&payload.0), self.0.as_ptr()))
    }
}

/// Whether what was caught is the unwinding that drops a coroutine, and no panic. Who catches for others has it go on.
///
/// ```
/// use kettle_fiber::{Yielder, coroutine, is_unwinding};
/// use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
///
/// /// Counts panics of a function, and does not let them out.
/// fn contain(panics: &mut usize, f: impl FnOnce()) {
///     match catch_unwind(AssertUnwindSafe(f)) {
///         Err(payload) if is_unwinding(&*payload) => resume_unwind(payload),
///         Err(_) => *panics += 1,
///         Ok(()) => {}
///     }
/// }
///
/// let mut kettle = coroutine(|y: &mut Yielder<_>| {
///     contain(&mut 0, || _ = y.yield_("it sings"));
///     unreachable!("nobody resumes it");
/// });
/// kettle.next();
/// drop(kettle);
/// ```
pub fn is_unwinding(payload: &(dyn Any + Send)) -> bool {
    payload.is::<Unwinding>()
}

impl<Y, S> Exchange<Y, S> {
    pub(crate) fn new(entry: Entry, place: Place) -> Self {
        let link = Link::new(entry);
        link.lie_on(place);
        Self {
            link,
            place,
            value: UnsafeCell::new(MaybeUninit::uninit()),
            sent: UnsafeCell::new(MaybeUninit::uninit()),
            thrown: Cell::new(None),
            rare: Cell::new(None),
            ended: Cell::new(ptr::null()),
            in_panic: Cell::new(false),
            unwinding: Cell::default(),
        }
    }

    /// The link, by which `of_link` finds the exchange again.
    #[inline(always)]
    pub(crate) fn link(&self) -> *const Link {
        ptr::from_ref(self).cast()
    }

    /// The exchange that a link is the beginning of.
    ///
    /// # Safety
    ///
    /// It is that of an exchange of these types, which lives as long as the result does.
    pub(crate) unsafe fn of_link<'a>(link: *const Link) -> &'a Self {
        // SAFETY: by the obligation; the exchange begins with it (`repr(C)`).
        unsafe { &*link.cast::<Self>() }
    }

    // --- the resumer's side ---

    /// Leaves an input for a resume that follows at once. Gives what to say by that.
    #[inline(always)]
    pub(crate) fn bring(&self, input: Input<S>) -> Brings {
        match input {
            Input::Next => Brings::NEXT,
            Input::Send(value) => {
                // SAFETY: the place is not lent out: it is the resumer's turn.
                let place = unsafe { &mut *self.sent.get() };
                place.write(value);
                Brings::SENT
            }
            Input::Throw(error) => {
                self.thrown.set(Some(error));
                Brings::THROWN
            }
        }
    }

    /// Says, for the time of one resume, whether the resumer is unwinding.
    pub(crate) fn set_in_panic(&self, in_panic: bool) {
        self.in_panic.set(in_panic);
    }

    /// The value that the body handed out.
    ///
    /// # Safety
    ///
    /// It has paused for that, and this is asked once for each pause.
    #[inline(always)]
    pub(crate) unsafe fn take_value(&self) -> Y {
        // SAFETY: by the obligation.
        unsafe { read(&self.value) }
    }

    /// What else the body handed out.
    pub(crate) fn take_rare(&self) -> Option<Rare<Y, S>> {
        self.rare.take()
    }

    /// Where the result lies of the body that has ended.
    pub(crate) fn ended(&self) -> *const () {
        self.ended.get()
    }

    /// The last unwinding that was to drop the body.
    pub(crate) fn take_unwinding(&self) -> Flight {
        self.unwinding.take()
    }

    // --- the body's side ---

    /// Whether a pause would switch away from a panic that is under way in the body.
    #[inline(always)]
    pub(crate) fn unwinds(&self) -> bool {
        thread::panicking() && self.panics()
    }

    /// Whether a panic that is under way on this thread is one of the body's. It is not if the resumer was unwinding before,
    /// unless the body is being dropped meanwhile.
    #[cold]
    #[inline(never)]
    fn panics(&self) -> bool {
        let unwinding = self.unwinding.take();
        let is_dropped = unwinding.is_under_way();
        self.unwinding.set(unwinding);
        is_dropped || !self.in_panic.get()
    }

    /// Whether this runs on the body's own stack, and not on that of a coroutine that the body runs.
    #[inline(always)]
    pub(crate) fn is_on_top(&self) -> bool {
        // In this order the place's words are not fetched into registers of their own.
        let at = stack_pointer();
        self.place.contains(at)
    }

    /// Panics unless this runs on the body's stack, or on that of a coroutine which the body has resumed, itself or through
    /// others: only then is whoever resumed the body waiting for what runs now (SAFETY.md, "Why a switch finds its way").
    #[inline(always)]
    fn check_stack(&self) {
        if !self.is_on_top() {
            self.check_way();
        }
    }

    /// The same off the body's own stack: goes outwards, from each coroutine to its resumer, and must come to the body
    /// before it comes to a task, or to the thread.
    #[cold]
    #[inline(never)]
    fn check_way(&self) {
        let mut at = stack_pointer();
        while !self.place.contains(at) {
            // SAFETY: this function's own, or that of a resumer whose coroutine is being resumed: the last one's.
            let Some(resumer) = (unsafe { stack::resumer_of(at) }) else {
                panic!("yield from another task than the coroutine runs in, or from a stack that is not the library's");
            };
            at = resumer;
        }
    }

    /// Hands out a value and pauses until the next resume.
    ///
    /// # Panics
    ///
    /// If this runs neither on the body's own stack nor on one of a coroutine that it runs.
    #[inline(always)]
    pub(crate) fn pause_with_value(&self, value: Y, pause: Pause) -> Brings {
        self.check_stack();
        // SAFETY: the place is not lent out: the body runs, so it is its turn. What was in it has been taken.
        let place = unsafe { &mut *self.value.get() };
        place.write(value);
        // SAFETY: the stack has been looked at.
        Brings::of(unsafe { switch::suspend(self.link(), pause.word()) })
    }

    /// The same with something else.
    ///
    /// # Panics
    ///
    /// As `pause_with_value`.
    pub(crate) fn pause_with_rare(&self, rare: Rare<Y, S>, pause: Pause) -> Brings {
        self.check_stack();
        self.rare.set(Some(rare));
        // SAFETY: the stack has been looked at.
        Brings::of(unsafe { switch::suspend(self.link(), pause.word()) })
    }

    /// What a resume brought. Asked once for each. Unwinds the body if that is what the resume was for.
    #[inline(always)]
    pub(crate) fn take(&self, brings: Brings) -> Input<S> {
        match brings {
            Brings::NEXT => Input::Next,
            // SAFETY: the word says so, and it is asked once.
            Brings::SENT => Input::Send(unsafe { read(&self.sent) }),
            Brings::THROWN => Input::Throw(self.thrown.take().expect("invariant: the word says so")),
            _ => self.unwind(),
        }
    }

    /// The same, for a yield that does not see errors: a body that waits there is not resumed with one.
    #[inline(always)]
    pub(crate) fn take_sent(&self, brings: Brings) -> Option<S> {
        match brings {
            Brings::NEXT => None,
            // SAFETY: the word says so, and it is asked once.
            Brings::SENT => Some(unsafe { read(&self.sent) }),
            _ => self.unwind(),
        }
    }

    /// Ends the body's pause by unwinding it.
    #[cold]
    #[inline(never)]
    pub(crate) fn unwind(&self) -> ! {
        let unwinding = Arc::new(());
        self.unwinding.set(Flight(Arc::downgrade(&unwinding)));
        resume_unwind(Box::new(Unwinding(unwinding)))
    }

    /// Leaves the body for good, its result being where `result` points to.
    ///
    /// # Safety
    ///
    /// Called by the body's first function, on its own stack, for its exchange. Nothing that has to be dropped is left on
    /// that stack but the result, which is there until the stack is used again.
    // By pointer: a reference that is an argument must stay valid until its function returns, and this one never does.
    pub(crate) unsafe fn end<T>(this: *const Self, result: *const T) -> ! {
        // SAFETY: by the obligation.
        let ended = unsafe { &(*this).ended };
        ended.set(result.cast());
        // SAFETY: the obligation is passed on.
        unsafe { switch::end(this.cast(), Pause::ENDED.word()) }
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
