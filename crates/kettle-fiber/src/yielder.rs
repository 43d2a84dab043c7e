//! Owns what a stackful body speaks through: the [`Yielder`].
//!
//! A plain word's yield never sees an error: a body that waits there is unwound instead of being resumed with it.
//!
//! The unsafe code of this module is finding the exchange behind a yielder.

use crate::exchange::{Exchange, Pause, Rare};
use kettle_gen::delegate::Delegate;
use kettle_gen::{Error, Generator, Input, SendError};
use std::cell::UnsafeCell;
use std::fmt;
use std::marker::{PhantomData, PhantomPinned};
use std::ptr;

/// A body's side of a coroutine: `yield`, and `yield from`, at any call depth.
///
/// Hand it down by `&mut` to whatever function has something to yield; when it has to be named, `&mut Yielder<i32>`
/// yields numbers, and `&mut Yielder<i32, String>` is sent strings.
///
/// While the body unwinds it can't pause any more: then [`yield_`](Self::yield_) drops the value and gives `None`, and
/// [`try_yield`](Self::try_yield) is told to end. (A body that was resumed by a destructor in the middle of a panic, and
/// panics itself, can't be told from one that doesn't: it must not yield in destructors.)
///
/// It may be used on the stack of a coroutine that the body has resumed: then both pause there.
///
/// # Panics
///
/// All of its functions panic in a task that the body has spawned, or the root of an event loop that it runs, and in what
/// such a task resumes: whoever resumed the coroutine does not wait for those. So they do on a stack that was made by
/// other means.
// As that of a stackless body it is a reference with nothing behind it: the address says which coroutine it is.
pub struct Yielder<Y, S = ()> {
    /// It stays on its thread.
    types: PhantomData<(fn(Y) -> S, *const ())>,
    /// The compiler may not take a reference to this for the only way to what lies at its address.
    _shared: (UnsafeCell<()>, PhantomPinned),
    /// Without a size known to the compiler nothing can be moved out of its reference, and so to another address.
    _immovable: [()],
}

impl<Y, S> Yielder<Y, S> {
    /// The yielder that speaks through an exchange.
    ///
    /// # Safety
    ///
    /// 1. The exchange is the coroutine's own and lives until its body ends.
    /// 2. The result is handed to that body alone, as its only one.
    pub(crate) unsafe fn of<'a>(exchange: &Exchange<Y, S>) -> &'a mut Self {
        let address = ptr::without_provenance_mut::<()>(ptr::from_ref(exchange).expose_provenance());
        let nothing = ptr::slice_from_raw_parts_mut(address, 0) as *mut Self;
        // SAFETY: it has markers and a slice of nothing: no size, no alignment. A pointer that is not null is valid for
        // an access to that.
        unsafe { &mut *nothing }
    }

    #[inline(always)]
    fn exchange(&self) -> &Exchange<Y, S> {
        let exchange = ptr::with_exposed_provenance::<Exchange<Y, S>>(ptr::from_ref(self).cast::<()>().addr());
        // SAFETY: yielders come from `of`, which exposed it, and can't be moved to another address. The body that was
        // handed this one runs, so by obligation 1 its exchange lives.
        unsafe { &*exchange }
    }

    /// Hands out a value and pauses. Gives `Some(value)` if the coroutine is resumed by `send`, else `None`.
    ///
    /// An error that is thrown here passes through: the body is unwound.
    ///
    /// ```
    /// use kettle_fiber::{Yielder, coroutine};
    ///
    /// fn countdown(y: &mut Yielder<u32>, from: u32) {
    ///     if from > 0 {
    ///         y.yield_(from);
    ///         countdown(y, from - 1);
    ///     }
    /// }
    /// assert_eq!(coroutine(|y| countdown(y, 3)).collect::<Vec<_>>(), [3, 2, 1]);
    /// ```
    #[inline]
    pub fn yield_(&mut self, value: Y) -> Option<S> {
        if self.exchange().unwinds() {
            return None;
        }
        let brings = self.exchange().pause_with_value(value, Pause::VALUE);
        self.exchange().take_sent(brings)
    }

    /// Like [`yield_`](Self::yield_), with the error that is thrown here, if one is, for the body to handle.
    ///
    /// Having handled it the body may yield, return, or raise another one.
    ///
    /// # Errors
    ///
    /// The thrown error. [`is_exit`](Error::is_exit) asks the body to end.
    #[inline]
    pub fn try_yield(&mut self, value: Y) -> Result<Option<S>, Error> {
        if self.exchange().unwinds() {
            return Err(Error::exit());
        }
        let brings = self.exchange().pause_with_value(value, Pause::VALUE_CATCHES);
        match self.exchange().take(brings) {
            Input::Next => Ok(None),
            Input::Send(value) => Ok(Some(value)),
            Input::Throw(error) => Err(error),
        }
    }

    /// Delegates to another generator until it returns: Python's `yield from` (PEP 380). Gives what it returned.
    ///
    /// Whoever resumes, sends, throws or closes reaches `inner` directly: the cost does not depend on how deep
    /// delegation is nested. `inner` may be of either kind and may borrow from the caller. An error out of `inner`
    /// passes through this body as well; that includes the error of one that had already finished (PEP 479; see [`Error`]).
    ///
    /// # Panics
    ///
    /// If the body is unwinding: it can't wait for a result then. If it is called on the stack of another coroutine that
    /// this body runs, or in another task.
    pub fn yield_from<G: Generator<Yield = Y, Send = S>>(&mut self, inner: G) -> G::Return {
        assert!(!self.exchange().unwinds(), "delegate from a body that is unwinding: it can't pause any more");
        match self.delegate(inner, Pause::RARE) {
            Ok(result) => result,
            Err(_) => unreachable!("an error unwinds the body instead of coming here"),
        }
    }

    /// Like [`yield_from`](Self::yield_from), with the error that came out of `inner`, or was thrown at the delegation,
    /// for the body to handle.
    ///
    /// # Errors
    ///
    /// What `inner` raised. If it had already finished, that is [`is_finished`](Error::is_finished); let out of the body
    /// it is an error like any other (PEP 479; see [`Error`]). When the coroutine is closed, `inner` is closed first; then this is
    /// [`is_exit`](Error::is_exit), or [`is_ignored_exit`](Error::is_ignored_exit) if `inner` yielded once more.
    ///
    /// # Panics
    ///
    /// If it is called on the stack of another coroutine that this body runs, or in another task.
    pub fn try_yield_from<G: Generator<Yield = Y, Send = S>>(&mut self, inner: G) -> Result<G::Return, Error> {
        if self.exchange().unwinds() {
            return Err(Error::exit());
        }
        self.delegate(inner, Pause::RARE_CATCHES)
    }

    fn delegate<G: Generator<Yield = Y, Send = S>>(&mut self, inner: G, pause: Pause) -> Result<G::Return, Error> {
        // A delegate may borrow the yielder of a coroutine that this body runs. That one is half-way while it runs the
        // code which delegates, and must not be spoken through meanwhile.
        assert!(
            self.exchange().is_on_top(),
            "delegate from the stack of an inner coroutine or of another task: use a yielder of its own"
        );
        let delegate: Delegate<'_, Y, S, G::Return> = inner.into_delegate().into_inner();
        // SAFETY: 1. `delegate` lies on this stack: the function that holds it does not go on before the delegate has
        // ended, and unwinding drops it. 2. A coroutine stays on its thread, and with it its chain.
        let frame = unsafe { delegate.frame() };
        let brings = self.exchange().pause_with_rare(Rare::Delegated(frame), pause);
        match self.exchange().take(brings) {
            Input::Throw(error) => Err(error),
            _ => Ok(delegate.take_result().expect("invariant: a delegator is resumed when its delegate has ended")),
        }
    }

    /// Delegates to a plain iterator, which can be asked for the next value and nothing else (PEP 380's rules for such).
    ///
    /// A value that is sent meanwhile is an error, [`is_no_send`](Error::is_no_send), that ends the body and goes to
    /// the sender with the value.
    pub fn yield_iter(&mut self, iter: impl IntoIterator<Item = Y>) {
        for value in iter {
            if self.exchange().unwinds() {
                return;
            }
            if let Some(value) = self.yield_(value) {
                let error = SendError::new(Error::no_send(), Some(value));
                self.exchange().pause_with_rare(Rare::Raised(error), Pause::RARE);
                self.exchange().unwind();
            }
        }
    }

    /// Like [`yield_iter`](Self::yield_iter), with the errors for the body to handle.
    ///
    /// # Errors
    ///
    /// The thrown error, or [`is_no_send`](Error::is_no_send) if a value was sent: it is dropped, and the iterator was not asked.
    pub fn try_yield_iter(&mut self, iter: impl IntoIterator<Item = Y>) -> Result<(), Error> {
        for value in iter {
            if self.try_yield(value)?.is_some() {
                return Err(Error::no_send());
            }
        }
        Ok(())
    }
}

impl<Y, S> fmt::Debug for Yielder<Y, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yielder").finish_non_exhaustive()
    }
}
