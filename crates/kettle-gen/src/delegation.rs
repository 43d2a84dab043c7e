//! Owns `yield from`: the words that delegate to another generator, and their futures.

use crate::delegate::Delegate;
use crate::error::{Error, SendError};
use crate::exchange::Exchange;
use crate::generator::Generator;
use crate::step::Input;
use crate::threads::Admits;
use crate::yielder::{TryYielder, Yielder};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

impl<'g, Y, S, T> Yielder<'g, Y, S, T> {
    /// Delegates to another generator until it returns: Python's `yield from` (PEP 380). Gives what it returned.
    ///
    /// Whoever resumes, sends, throws or closes reaches `inner` directly: the cost does not depend on how deep
    /// delegation is nested. It costs one allocation, or none for a boxed generator. An error out of `inner` passes
    /// through this body as well. That includes the error of an `inner` that had already finished, for it has no result
    /// to give; it ends this body and is not taken for this body's end (PEP 479; see [`Error`]).
    ///
    /// `inner` must live as long as this generator may: it can borrow what the body borrows, but nothing that the body
    /// owns. (A delegate is resumed without the body's knowledge, and a future can be forgotten.) One that borrows from
    /// the body can be iterated over, `for value in inner.iter()`; a stackful body has no such limit.
    ///
    /// In an async generator nothing but the innermost delegate is polled: a body that waits for something else at the
    /// same time, by `select` or `join`, does not see it before the delegate has ended.
    ///
    /// ```
    /// use kettle_gen::{Error, Generator, Step, generator};
    ///
    /// fn bottom() -> impl Generator<Yield = i32, Send = i32, Return = Option<i32>> {
    ///     // Returning the yield lets the value that goes up the call stack come right back down.
    ///     generator(async |y| y.yield_(42).await)
    /// }
    /// fn middle() -> impl Generator<Yield = i32, Send = i32, Return = Option<i32>> {
    ///     generator(async |y| y.yield_from(bottom()).await)
    /// }
    /// let mut top = generator(async |y| y.yield_from(middle()).await);
    /// assert_eq!(top.resume()?, Step::Yielded(42));
    /// assert_eq!(top.send(84)?, Step::Returned(Some(84)));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn yield_from<G>(&mut self, inner: G) -> YieldFrom<'_, 'g, Y, S, T, G::Return>
    where
        G: Generator<Yield = Y, Send = S> + 'g,
        T: Admits<G>,
    {
        YieldFrom(Delegation::new(self, inner))
    }
}

impl<'g, Y, S, T> TryYielder<'g, Y, S, T> {
    /// Like [`yield_from`](Yielder::yield_from), with the error that came out of `inner`, or was thrown at the delegation,
    /// for the body to handle.
    ///
    /// # Errors
    ///
    /// What `inner` raised. If `inner` had already finished, that is [`is_finished`](Error::is_finished): Python gives
    /// `None` there, and here there is no result to give. Let out of the body it is an error like any other (PEP 479; see
    /// [`Error`]). When the generator is closed, `inner` is closed first; then this is
    /// [`is_exit`](Error::is_exit), or [`is_ignored_exit`](Error::is_ignored_exit) if `inner` yielded once more.
    pub fn try_yield_from<G>(&mut self, inner: G) -> TryYieldFrom<'_, 'g, Y, S, T, G::Return>
    where
        G: Generator<Yield = Y, Send = S> + 'g,
        T: Admits<G>,
    {
        TryYieldFrom(Delegation::new(self, inner))
    }
}

/// The future of [`Yielder::yield_from`].
#[must_use = "a yield does nothing unless it is awaited"]
pub struct YieldFrom<'y, 'g, Y, S, T, R>(Delegation<'y, 'g, Y, S, T, R>);

impl<Y, S, T, R> Future for YieldFrom<'_, '_, Y, S, T, R> {
    type Output = R;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        let Delegation { yielder, loan } = &mut self.0;
        let exchange = yielder.exchange(context);
        if loan.lend(exchange, false) {
            return Poll::Pending;
        }
        if let Some(result) = loan.take_result() {
            return Poll::Ready(result);
        }
        // A body that does not catch is finished where it is; this is one that went on without its delegate.
        if let Some(error) = loan.take_error(exchange) {
            exchange.put_raised(SendError::from(error));
        }
        Poll::Pending
    }
}

/// The future of [`TryYielder::try_yield_from`].
#[must_use = "a yield does nothing unless it is awaited"]
pub struct TryYieldFrom<'y, 'g, Y, S, T, R>(Delegation<'y, 'g, Y, S, T, R>);

impl<Y, S, T, R> Future for TryYieldFrom<'_, '_, Y, S, T, R> {
    type Output = Result<R, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Delegation { yielder, loan } = &mut self.0;
        let exchange = yielder.exchange(context);
        if loan.lend(exchange, true) {
            return Poll::Pending;
        }
        if let Some(result) = loan.take_result() {
            return Poll::Ready(Ok(result));
        }
        loan.take_error(exchange).map_or(Poll::Pending, |error| Poll::Ready(Err(error)))
    }
}

/// A `yield from` under way.
struct Delegation<'y, 'g, Y, S, T, R> {
    yielder: &'y mut Yielder<'g, Y, S, T>,
    loan: Loan<'g, Y, S, R>,
}

/// A delegate that is lent to the chain. The body is not polled again before it has ended.
struct Loan<'g, Y, S, R> {
    /// `None` once the result is out.
    delegate: Option<Delegate<'g, Y, S, R>>,
    lent: bool,
}

impl<Y, S, T, R> Unpin for Delegation<'_, '_, Y, S, T, R> {}

// SAFETY: the delegate and its result may be sent, for a yielder with `Anywhere` admits no others, and one with `Here`
// is not `Send`. Whoever else holds a part of the delegate, the chain, belongs to the generator that this future is part
// of: they go together.
unsafe impl<'g, Y, S, T, R> Send for Delegation<'_, 'g, Y, S, T, R> where Yielder<'g, Y, S, T>: Send {}

impl<'y, 'g, Y, S, T, R> Delegation<'y, 'g, Y, S, T, R> {
    fn new<G>(yielder: &'y mut Yielder<'g, Y, S, T>, inner: G) -> Self
    where
        G: Generator<Yield = Y, Send = S, Return = R> + 'g,
    {
        let loan = Loan { delegate: Some(inner.into_delegate().into_inner()), lent: false };
        Self { yielder, loan }
    }
}

impl<Y, S, R> Loan<'_, Y, S, R> {
    /// Hands out the delegate, once.
    #[inline(always)]
    fn lend(&mut self, exchange: &Exchange<Y, S>, catches: bool) -> bool {
        if self.lent {
            return false;
        }
        self.lent = true;
        let delegate = self.delegate.as_ref().expect("invariant: there until the result is out");
        // SAFETY: the exchange hands the frame to the chain of a generator that lives no longer than `'g`, and that is
        // `Send` only if the delegate is. It is asked for once.
        let frame = unsafe { delegate.frame() };
        exchange.put_frame(frame, catches);
        true
    }

    /// The result, if the delegate has returned.
    #[inline(always)]
    fn take_result(&mut self) -> Option<R> {
        let delegate = self.delegate.as_ref().expect("invariant: a future is not polled after it was ready");
        let result = delegate.take_result()?;
        // The delegate goes before any code of the body runs.
        self.delegate = None;
        Some(result)
    }

    /// The error with which the body is to go on instead.
    #[cold]
    #[inline(never)]
    fn take_error(&mut self, exchange: &Exchange<Y, S>) -> Option<Error> {
        match exchange.take() {
            Some(Input::Throw(error)) => {
                self.delegate = None;
                Some(error)
            }
            _ => None,
        }
    }
}

impl<Y, S, T, R> fmt::Debug for YieldFrom<'_, '_, Y, S, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("YieldFrom").finish_non_exhaustive()
    }
}

impl<Y, S, T, R> fmt::Debug for TryYieldFrom<'_, '_, Y, S, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryYieldFrom").finish_non_exhaustive()
    }
}
