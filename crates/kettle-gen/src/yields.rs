//! Owns the words that hand out values, and their futures: one value, or all of an iterator.
//!
//! Each word comes twice. The plain one lets an error that is thrown there pass through: the body ends. The `try_` one
//! gives it to the body, as `try` does in Python.

use crate::error::{Error, SendError};
use crate::step::Input;
use crate::yielder::{TryYielder, Yielder};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

impl<'g, Y, S, T> Yielder<'g, Y, S, T> {
    /// Hands out a value and pauses. Gives `Some(value)` if the generator is resumed by `send`, else `None`.
    ///
    /// An error that is thrown here passes through: the body ends, and what it holds is dropped.
    ///
    /// ```
    /// use kettle_gen::generator;
    ///
    /// let squares = generator(async |y| {
    ///     for n in 1..4 {
    ///         y.yield_(n * n).await;
    ///     }
    /// });
    /// assert_eq!(squares.collect::<Vec<i32>>(), [1, 4, 9]);
    /// ```
    #[inline(always)]
    pub fn yield_(&mut self, value: Y) -> Yield<'_, 'g, Y, S, T> {
        Yield { yielder: self, value: Some(value) }
    }

    /// Delegates to a plain iterator, which can be asked for the next value and nothing else (PEP 380's rules for such).
    ///
    /// A value that is sent meanwhile is an error, [`is_no_send`](Error::is_no_send), that ends the body and goes to
    /// the sender with the value.
    ///
    /// ```
    /// use kettle_gen::generator;
    ///
    /// let twice = generator(async |y| {
    ///     y.yield_iter(0..3).await;
    ///     y.yield_iter([7, 8]).await;
    /// });
    /// assert_eq!(twice.collect::<Vec<_>>(), [0, 1, 2, 7, 8]);
    /// ```
    #[inline(always)]
    pub fn yield_iter<I: IntoIterator<Item = Y>>(&mut self, iter: I) -> YieldIter<'_, 'g, Y, S, T, I::IntoIter> {
        YieldIter { yielder: self, iter: iter.into_iter(), waits: false }
    }
}

impl<'g, Y, S, T> TryYielder<'g, Y, S, T> {
    /// Like [`yield_`](Yielder::yield_), with the error that is thrown here, if one is, for the body to handle.
    ///
    /// Having handled it the body may yield, return, or raise another one.
    ///
    /// # Errors
    ///
    /// The thrown error. [`is_exit`](Error::is_exit) asks the body to end.
    ///
    /// ```
    /// use kettle_gen::{Error, Generator, Step, TryYielder, try_generator};
    ///
    /// let mut g = try_generator(async |y: &mut TryYielder<_>| {
    ///     while let Err(error) = y.try_yield("waiting").await {
    ///         if error.is_exit() {
    ///             return Ok("closed");
    ///         }
    ///     }
    ///     Ok("resumed")
    /// });
    /// g.resume()?;
    /// assert_eq!(g.throw(Error::new("hurry"))?, Step::Yielded("waiting"));
    /// assert_eq!(g.close()?, Some("closed"));
    /// # g.resume().unwrap_err(); Ok::<(), Error>(())
    /// ```
    #[inline(always)]
    pub fn try_yield(&mut self, value: Y) -> TryYield<'_, 'g, Y, S, T> {
        TryYield { yielder: self, value: Some(value) }
    }

    /// Like [`yield_iter`](Yielder::yield_iter), with the errors for the body to handle.
    ///
    /// # Errors
    ///
    /// The thrown error, or [`is_no_send`](Error::is_no_send) if a value was sent: it is dropped, and the iterator was
    /// not asked.
    #[inline(always)]
    pub fn try_yield_iter<I: IntoIterator<Item = Y>>(&mut self, iter: I) -> TryYieldIter<'_, 'g, Y, S, T, I::IntoIter> {
        TryYieldIter { yielder: self, iter: iter.into_iter(), waits: false }
    }
}

/// The future of [`Yielder::yield_`].
#[must_use = "a yield does nothing unless it is awaited"]
#[derive(Debug)]
pub struct Yield<'y, 'g, Y, S, T> {
    yielder: &'y mut Yielder<'g, Y, S, T>,
    value: Option<Y>,
}

impl<Y, S, T> Unpin for Yield<'_, '_, Y, S, T> {}

impl<Y, S, T> Future for Yield<'_, '_, Y, S, T> {
    type Output = Option<S>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S>> {
        let this = &mut *self;
        let exchange = this.yielder.exchange(context);
        if let Some(value) = this.value.take() {
            exchange.put(value, false);
            return Poll::Pending;
        }
        exchange.take_sent()
    }
}

/// The future of [`TryYielder::try_yield`].
#[must_use = "a yield does nothing unless it is awaited"]
#[derive(Debug)]
pub struct TryYield<'y, 'g, Y, S, T> {
    yielder: &'y mut Yielder<'g, Y, S, T>,
    value: Option<Y>,
}

impl<Y, S, T> Unpin for TryYield<'_, '_, Y, S, T> {}

impl<Y, S, T> Future for TryYield<'_, '_, Y, S, T> {
    type Output = Result<Option<S>, Error>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let exchange = this.yielder.exchange(context);
        if let Some(value) = this.value.take() {
            exchange.put(value, true);
            return Poll::Pending;
        }
        match exchange.take() {
            Some(Input::Next) => Poll::Ready(Ok(None)),
            Some(Input::Send(value)) => Poll::Ready(Ok(Some(value))),
            Some(Input::Throw(error)) => Poll::Ready(Err(error)),
            None => Poll::Pending,
        }
    }
}

/// The future of [`Yielder::yield_iter`].
#[must_use = "a yield does nothing unless it is awaited"]
#[derive(Debug)]
pub struct YieldIter<'y, 'g, Y, S, T, I> {
    yielder: &'y mut Yielder<'g, Y, S, T>,
    iter: I,
    waits: bool,
}

impl<Y, S, T, I> Unpin for YieldIter<'_, '_, Y, S, T, I> {}

impl<Y, S, T, I: Iterator<Item = Y>> Future for YieldIter<'_, '_, Y, S, T, I> {
    type Output = ();

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let exchange = this.yielder.exchange(context);
        if this.waits {
            match exchange.take_sent() {
                Poll::Ready(None) => {}
                Poll::Ready(Some(value)) => {
                    exchange.put_raised(SendError::new(Error::no_send(), Some(value)));
                    return Poll::Pending;
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        this.waits = true;
        match this.iter.next() {
            Some(value) => {
                exchange.put(value, false);
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

/// The future of [`TryYielder::try_yield_iter`].
#[must_use = "a yield does nothing unless it is awaited"]
#[derive(Debug)]
pub struct TryYieldIter<'y, 'g, Y, S, T, I> {
    yielder: &'y mut Yielder<'g, Y, S, T>,
    iter: I,
    waits: bool,
}

impl<Y, S, T, I> Unpin for TryYieldIter<'_, '_, Y, S, T, I> {}

impl<Y, S, T, I: Iterator<Item = Y>> Future for TryYieldIter<'_, '_, Y, S, T, I> {
    type Output = Result<(), Error>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let exchange = this.yielder.exchange(context);
        if this.waits {
            match exchange.take() {
                Some(Input::Next) => {}
                Some(Input::Send(_)) => return Poll::Ready(Err(Error::no_send())),
                Some(Input::Throw(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Pending,
            }
        }
        this.waits = true;
        match this.iter.next() {
            Some(value) => {
                exchange.put(value, true);
                Poll::Pending
            }
            None => Poll::Ready(Ok(())),
        }
    }
}
