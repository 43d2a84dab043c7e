//! A channel for one value: it comes, or its sender has gone.
//!
//! ```
//! use kettle::sync::oneshot;
//! use kettle::thread;
//!
//! kettle::run(|| {
//!     let (sender, receiver) = oneshot::channel();
//!     thread::spawn(move || sender.send("the water boils"));
//!     assert_eq!(receiver.recv(), Ok("the water boils"));
//! });
//! ```
//!
//! A future waits by awaiting the receiver, here or on another runtime:
//!
//! ```
//! use kettle::sync::oneshot;
//! use kettle::spawn_future;
//!
//! kettle::run(|| {
//!     let (sender, receiver) = oneshot::channel();
//!     let kettle = spawn_future(async { receiver.await.unwrap() });
//!     sender.send("the water boils").unwrap();
//!     assert_eq!(kettle.join().unwrap(), "the water boils");
//! });
//! ```
//!
//! The unsafe code of this module is passing a pin on to the only field.

use super::channel;
use super::channel::futures::Receiving;
use std::fmt;
use std::pin::Pin;
pub use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError};
use std::task::{Context, Poll};
use std::time::Duration;

/// Makes a channel for one value.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = channel::bounded(1);
    (Sender { inner: sender }, Receiver { inner: receiver })
}

/// Who sends the value, or goes.
pub struct Sender<T> {
    inner: channel::Sender<T>,
}

/// Who receives it.
pub struct Receiver<T> {
    pub(crate) inner: channel::Receiver<T>,
}

impl<T> Sender<T> {
    /// Sends the value. Never waits; no checkpoint.
    ///
    /// # Errors
    ///
    /// The value, if the receiver has gone.
    pub fn send(self, value: T) -> Result<(), SendError<T>> {
        self.inner.try_send(value).map_err(|refused| match refused {
            channel::TrySendError::Full(value) | channel::TrySendError::Disconnected(value) => SendError(value),
        })
    }
}

impl<T> Receiver<T> {
    /// Receives the value, and waits until it is there. A checkpoint. It comes once: after that its sender has gone.
    ///
    /// # Errors
    ///
    /// If the sender has gone without sending.
    ///
    /// # Cancellation
    ///
    /// A task that is cancelled is unwound; the value is not lost. Where panics abort, it is as if the sender had gone.
    #[track_caller]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.inner.recv()
    }

    /// Receives the value if it is there. Never waits; no checkpoint.
    ///
    /// # Errors
    ///
    /// If it is not; and whether it may come.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.inner.try_recv()
    }

    /// Receives the value, and waits for it for a time at most. A checkpoint.
    ///
    /// # Errors
    ///
    /// If it did not come in this time, or its sender has gone without sending.
    ///
    /// # Cancellation
    ///
    /// As [`recv`](Self::recv); where panics abort it is as if the time were up.
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.inner.recv_timeout(timeout)
    }

    /// A future of the value that leaves the receiver where it is; otherwise as awaiting that.
    ///
    /// ```
    /// use kettle::future::timeout;
    /// use kettle::sync::oneshot;
    /// use kettle::wait;
    /// use std::time::Duration;
    ///
    /// let (sender, receiver) = oneshot::channel();
    /// assert!(wait(timeout(Duration::ZERO, receiver.recv_async())).is_err());
    /// sender.send("tea").unwrap();
    /// assert_eq!(wait(receiver), Ok("tea"));
    /// ```
    ///
    /// # Errors
    ///
    /// If the sender has gone without sending.
    ///
    /// # Cancellation
    ///
    /// A future that is dropped loses no value, nor does one that is forgotten: it receives when it is polled.
    pub fn recv_async(&self) -> impl Future<Output = Result<T, RecvError>> {
        self.inner.recv_async()
    }
}

/// Awaiting a receiver: its value.
impl<T> IntoFuture for Receiver<T> {
    type Output = Result<T, RecvError>;
    type IntoFuture = RecvFuture<T>;

    fn into_future(self) -> RecvFuture<T> {
        RecvFuture(Receiving::new(self.inner))
    }
}

/// The future of a value: a [`Receiver`] that is awaited, as by `receiver.await`.
///
/// ```
/// use kettle::sync::oneshot;
/// use std::future::IntoFuture;
///
/// let (sender, receiver) = oneshot::channel::<()>();
/// let future: oneshot::RecvFuture<()> = receiver.into_future();
/// drop(sender);
/// assert!(kettle::wait(future).is_err());
/// ```
///
/// # Errors
///
/// If the sender has gone without sending.
#[must_use = "a future does nothing unless it is polled"]
pub struct RecvFuture<T>(Receiving<channel::Receiver<T>, T>);

impl<T> Future for RecvFuture<T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the field is never moved out.
        let receiving = unsafe { self.map_unchecked_mut(|this| &mut this.0) };
        receiving.poll(context)
    }
}

impl<T> fmt::Debug for RecvFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RecvFuture").field(&self.0).finish()
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
