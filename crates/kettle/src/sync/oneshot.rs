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

use super::channel;
use std::fmt;
pub use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError};
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
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.inner.recv_timeout(timeout)
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
