//! Owns what a stackless body speaks through: the [`Yielder`], and the futures that its words return.
//!
//! Each word comes twice. The plain one lets an error that is thrown there pass through: the body ends. The `try_` one
//! gives it to the body, as `try` does in Python.

use crate::delegate::Delegate;
use crate::error::{Error, SendError};
use crate::exchange::Exchange;
use crate::generator::Generator;
use crate::step::{Input, Step};
use core::fmt;
use core::future::Future;
use core::marker::{PhantomData, PhantomPinned};
use core::pin::Pin;
use core::ptr;
use core::task::{Context, Poll, ready};

/// A body's side of a generator: `yield`, and `yield from`.
///
/// A body gets it by `&mut` and can't keep it. Its futures do their work where the body awaits them; polled anywhere
/// else, in another generator or under an executor of somebody else, they panic. Dropping one before it is ready
/// cancels it.
///
/// When it has to be named: `async |y: &mut Yielder<u32>|` for values only, `Yielder<u32, String>` for a generator that
/// is sent strings.
pub struct Yielder<Y, S = ()> {
    /// Never read: its address tells the yielders of living bodies apart.
    _address: u8,
    /// Values pass through it, on whichever thread its futures are polled: it may be sent only if they may.
    types: PhantomData<(fn(Y) -> S, Y, S)>,
    _pinned: PhantomPinned,
}

impl<Y, S> Yielder<Y, S> {
    pub(crate) const fn new() -> Self {
        Self { _address: 0, types: PhantomData, _pinned: PhantomPinned }
    }

    #[inline(always)]
    pub(crate) fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// The exchange that this yielder's body is being polled with.
    #[inline(always)]
    fn exchange<'a>(&'a self, context: &'a Context<'_>) -> &'a Exchange<Y, S> {
        // SAFETY: it is alive, for it is borrowed.
        unsafe { Exchange::of(context, self.address()) }
    }

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
    pub fn yield_(&mut self, value: Y) -> Yield<'_, Y, S> {
        Yield { yielder: self, value: Some(value) }
    }

    /// Like [`yield_`](Self::yield_), with the error that is thrown here, if one is, for the body to handle.
    ///
    /// Having handled it the body may yield, return, or raise another one.
    ///
    /// # Errors
    ///
    /// The thrown error. [`is_exit`](Error::is_exit) asks the body to end.
    ///
    /// ```
    /// use kettle_gen::{Error, Generator, Step, Yielder, generator};
    ///
    /// let mut g = generator(async |y: &mut Yielder<_>| {
    ///     while let Err(error) = y.try_yield("waiting").await {
    ///         if error.is_exit() {
    ///             return "closed";
    ///         }
    ///     }
    ///     "resumed"
    /// });
    /// g.resume()?;
    /// assert_eq!(g.throw(Error::new("hurry"))?, Step::Yielded("waiting"));
    /// assert_eq!(g.close()?, Some("closed"));
    /// # g.resume().unwrap_err(); Ok::<(), Error>(())
    /// ```
    #[inline(always)]
    pub fn try_yield(&mut self, value: Y) -> TryYield<'_, Y, S> {
        TryYield { yielder: self, value: Some(value) }
    }

    /// Delegates to another generator until it returns: Python's `yield from` (PEP 380). Gives what it returned.
    ///
    /// Whoever resumes, sends, throws or closes reaches `inner` directly: the cost does not depend on how deep
    /// delegation is nested. It costs one allocation, or none for a boxed generator. `inner` may borrow from the body.
    /// An error out of `inner` passes through this body as well.
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
    pub fn yield_from<'y, G>(&'y mut self, inner: G) -> YieldFrom<'y, Y, S, G>
    where
        G: Generator<Yield = Y, Send = S> + 'y,
    {
        YieldFrom(Delegation::new(self, inner))
    }

    /// Like [`yield_from`](Self::yield_from), with the error that came out of `inner`, or was thrown at the delegation,
    /// for the body to handle.
    ///
    /// # Errors
    ///
    /// What `inner` raised. When the generator is closed, `inner` is closed first; then this is
    /// [`is_exit`](Error::is_exit), or [`is_ignored_exit`](Error::is_ignored_exit) if `inner` yielded once more.
    pub fn try_yield_from<'y, G>(&'y mut self, inner: G) -> TryYieldFrom<'y, Y, S, G>
    where
        G: Generator<Yield = Y, Send = S> + 'y,
    {
        TryYieldFrom(Delegation::new(self, inner))
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
    pub fn yield_iter<I: IntoIterator<Item = Y>>(&mut self, iter: I) -> YieldIter<'_, Y, S, I::IntoIter> {
        YieldIter { yielder: self, iter: iter.into_iter(), waits: false }
    }

    /// Like [`yield_iter`](Self::yield_iter), with the errors for the body to handle.
    ///
    /// # Errors
    ///
    /// The thrown error, or [`is_no_send`](Error::is_no_send) with the value that was sent; the iterator was not asked.
    #[inline(always)]
    pub fn try_yield_iter<I: IntoIterator<Item = Y>>(&mut self, iter: I) -> TryYieldIter<'_, Y, S, I::IntoIter> {
        TryYieldIter { yielder: self, iter: iter.into_iter(), waits: false }
    }
}

impl<Y, S> fmt::Debug for Yielder<Y, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yielder").finish_non_exhaustive()
    }
}

/// The future of [`Yielder::yield_`].
#[must_use = "a yield does nothing unless it is awaited"]
#[derive(Debug)]
pub struct Yield<'y, Y, S> {
    yielder: &'y mut Yielder<Y, S>,
    value: Option<Y>,
}

impl<Y, S> Unpin for Yield<'_, Y, S> {}

impl<Y, S> Future for Yield<'_, Y, S> {
    type Output = Option<S>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S>> {
        let this = &mut *self;
        let exchange = this.yielder.exchange(context);
        if let Some(value) = this.value.take() {
            exchange.put(value, false);
            return Poll::Pending;
        }
        match exchange.take() {
            Some(Input::Next) => Poll::Ready(None),
            Some(Input::Send(value)) => Poll::Ready(Some(value)),
            // A body that does not catch is not stepped to see an error.
            Some(Input::Throw(_)) | None => Poll::Pending,
        }
    }
}

/// The future of [`Yielder::try_yield`].
#[must_use = "a yield does nothing unless it is awaited"]
#[derive(Debug)]
pub struct TryYield<'y, Y, S> {
    yielder: &'y mut Yielder<Y, S>,
    value: Option<Y>,
}

impl<Y, S> Unpin for TryYield<'_, Y, S> {}

impl<Y, S> Future for TryYield<'_, Y, S> {
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
pub struct YieldIter<'y, Y, S, I> {
    yielder: &'y mut Yielder<Y, S>,
    iter: I,
    waits: bool,
}

impl<Y, S, I> Unpin for YieldIter<'_, Y, S, I> {}

impl<Y, S, I: Iterator<Item = Y>> Future for YieldIter<'_, Y, S, I> {
    type Output = ();

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let exchange = this.yielder.exchange(context);
        if this.waits {
            match exchange.take() {
                Some(Input::Next) => {}
                Some(Input::Send(value)) => {
                    exchange.raise(SendError::new(Error::no_send(), Some(value)));
                    return Poll::Pending;
                }
                Some(Input::Throw(_)) | None => return Poll::Pending,
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

/// The future of [`Yielder::try_yield_iter`].
#[must_use = "a yield does nothing unless it is awaited"]
#[derive(Debug)]
pub struct TryYieldIter<'y, Y, S, I> {
    yielder: &'y mut Yielder<Y, S>,
    iter: I,
    waits: bool,
}

impl<Y, S, I> Unpin for TryYieldIter<'_, Y, S, I> {}

impl<Y, S, I: Iterator<Item = Y>> Future for TryYieldIter<'_, Y, S, I> {
    type Output = Result<(), SendError<S>>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let exchange = this.yielder.exchange(context);
        if this.waits {
            match exchange.take() {
                Some(Input::Next) => {}
                Some(Input::Send(value)) => return Poll::Ready(Err(SendError::new(Error::no_send(), Some(value)))),
                Some(Input::Throw(error)) => return Poll::Ready(Err(error.into())),
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

/// The future of [`Yielder::yield_from`].
#[must_use = "a yield does nothing unless it is awaited"]
pub struct YieldFrom<'y, Y, S, G: Generator<Yield = Y, Send = S>>(Delegation<'y, Y, S, G>);

impl<'y, Y, S, G: Generator<Yield = Y, Send = S> + 'y> Future for YieldFrom<'y, Y, S, G> {
    type Output = G::Return;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<G::Return> {
        // SAFETY: the delegation is pinned where its future is.
        let mut delegation = unsafe { self.map_unchecked_mut(|future| &mut future.0) };
        match ready!(delegation.as_mut().poll(context, false)) {
            Ok(result) => Poll::Ready(result),
            Err(error) => {
                delegation.yielder.exchange(context).raise(error);
                Poll::Pending
            }
        }
    }
}

/// The future of [`Yielder::try_yield_from`].
#[must_use = "a yield does nothing unless it is awaited"]
pub struct TryYieldFrom<'y, Y, S, G: Generator<Yield = Y, Send = S>>(Delegation<'y, Y, S, G>);

impl<'y, Y, S, G: Generator<Yield = Y, Send = S> + 'y> Future for TryYieldFrom<'y, Y, S, G> {
    type Output = Result<G::Return, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the delegation is pinned where its future is.
        let delegation = unsafe { self.map_unchecked_mut(|future| &mut future.0) };
        delegation.poll(context, true).map_err(SendError::into_error)
    }
}

/// A `yield from` under way. Owns the delegate until it ends or the body gives it up.
///
/// Where it lies inside its body it lends the delegate to the chain, and is not polled again before that one has ended.
/// It can't be forgotten there: it is pinned in memory that goes only when the body does, and so does what the delegate
/// borrows. A body may also have put it into a box of its own, which it could forget; then it steps the delegate
/// itself, at the cost of a poll through the body.
struct Delegation<'y, Y, S, G: Generator<Yield = Y, Send = S>> {
    yielder: &'y mut Yielder<Y, S>,
    /// `None` once the result is out.
    delegate: Option<Delegate<'y, Y, S, G::Return>>,
    place: Place,
    /// What the delegate borrows, and whether it may change threads, is the body's concern through this type.
    generator: PhantomData<G>,
    _pinned: PhantomPinned,
}

/// Who steps the delegate.
#[derive(Clone, Copy)]
enum Place {
    /// Nobody yet.
    Fresh,
    /// The root, through its chain.
    Chain,
    /// This future.
    Here,
}

// SAFETY: the generator and its result may be sent, and the only other owner of what they are kept in, the chain, is
// part of the generator that this future is part of: both are always on one thread.
unsafe impl<Y, S, G> Send for Delegation<'_, Y, S, G>
where
    G: Generator<Yield = Y, Send = S> + Send,
    G::Return: Send,
{
}

impl<'y, Y, S, G: Generator<Yield = Y, Send = S> + 'y> Delegation<'y, Y, S, G> {
    fn new(yielder: &'y mut Yielder<Y, S>, inner: G) -> Self {
        Self {
            yielder,
            delegate: Some(inner.into_delegate()),
            place: Place::Fresh,
            generator: PhantomData,
            _pinned: PhantomPinned,
        }
    }

    fn poll(self: Pin<&mut Self>, context: &Context<'_>, catches: bool) -> Poll<Result<G::Return, SendError<S>>> {
        let address = ptr::from_ref(&*self).addr();
        // SAFETY: nothing is moved out of it but the delegate, which is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        let exchange = this.yielder.exchange(context);
        let delegate = this.delegate.as_ref().expect("invariant: a future is not polled after it was ready");
        let result = match this.place {
            Place::Fresh if exchange.contains(address) => {
                this.place = Place::Chain;
                // SAFETY: 1. this future is pinned in its body's own memory. Safe code can't reuse that memory, nor end
                // a borrow that this future's type holds, before it has dropped the future, and with it the delegate.
                // 2. The exchange is that of the body which this future is part of.
                exchange.delegate(unsafe { delegate.frame() }, catches);
                return Poll::Pending;
            }
            Place::Fresh => {
                this.place = Place::Here;
                delegate.advance(Input::Next, exchange.waker())
            }
            Place::Chain => match delegate.take_result() {
                Some(result) => Ok(Some(Step::Returned(result))),
                None => match exchange.take() {
                    Some(Input::Throw(error)) => Err(error.into()),
                    _ => return Poll::Pending,
                },
            },
            Place::Here => match exchange.take() {
                Some(input) => delegate.advance(input, exchange.waker()),
                None => return Poll::Pending,
            },
        };
        let result = match result {
            Ok(Some(Step::Yielded(value))) => {
                exchange.put(value, true);
                return Poll::Pending;
            }
            Ok(None) => return Poll::Pending,
            Ok(Some(Step::Returned(result))) => Ok(result),
            Err(error) => Err(error),
        };
        // The delegate goes before any code of the body runs.
        this.delegate = None;
        Poll::Ready(result)
    }
}

impl<Y, S, G: Generator<Yield = Y, Send = S>> fmt::Debug for YieldFrom<'_, Y, S, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("YieldFrom").finish_non_exhaustive()
    }
}

impl<Y, S, G: Generator<Yield = Y, Send = S>> fmt::Debug for TryYieldFrom<'_, Y, S, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryYieldFrom").finish_non_exhaustive()
    }
}
