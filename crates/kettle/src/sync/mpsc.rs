//! `std::sync::mpsc` for tasks: the same names, with std's meaning and std's errors.
//!
//! ```
//! use kettle::sync::mpsc::sync_channel;
//! use kettle::thread;
//!
//! kettle::run(|| {
//!     let (sender, receiver) = sync_channel(1);
//!     thread::spawn(move || {
//!         for cup in 1..=3 {
//!             // Waits while one cup stands there.
//!             sender.send(cup).unwrap();
//!         }
//!     });
//!     assert_eq!(receiver.iter().sum::<i32>(), 6);
//! });
//! ```

use super::channel::batch::Batch;
use super::channel::flow::{Flow, Refused};
use super::channel::futures::{Receiving, Sending};
use super::channel::refusal::SendTimeoutError;
use kettle_rt::{now, pass, raise_if_cancelled};
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
pub use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};
use std::time::{Duration, Instant};

/// Makes a channel without bounds: `std::sync::mpsc::channel`. Sending to it never waits.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let flow = Arc::new(Flow::new(None));
    (Sender { flow: Arc::clone(&flow) }, Receiver { flow, batch: Batch::new() })
}

/// Makes a channel that holds so many values: `std::sync::mpsc::sync_channel`. Who sends one more waits; with a bound of 0,
/// until it has been received.
pub fn sync_channel<T>(bound: usize) -> (SyncSender<T>, Receiver<T>) {
    let flow = Arc::new(Flow::new(Some(bound)));
    (SyncSender { flow: Arc::clone(&flow) }, Receiver { flow, batch: Batch::new() })
}

/// The sending half of a [`channel`]: `std::sync::mpsc::Sender`.
pub struct Sender<T> {
    flow: Arc<Flow<T>>,
}

/// The sending half of a [`sync_channel`]: `std::sync::mpsc::SyncSender`.
pub struct SyncSender<T> {
    pub(crate) flow: Arc<Flow<T>>,
}

/// The receiving half: `std::sync::mpsc::Receiver`.
pub struct Receiver<T> {
    flow: Arc<Flow<T>>,
    /// What has been taken out of the flow at once. It comes before what is there still.
    batch: Batch<T>,
}

impl<T> Sender<T> {
    /// Sends a value, and never waits for room. A checkpoint, after that, unless a receiver has waited for it: who sends
    /// without end lets others have their turn.
    ///
    /// # Errors
    ///
    /// The value, if the receiver has gone.
    ///
    /// # Cancellation
    ///
    /// A task that has been cancelled is unwound; the value has been sent.
    #[inline]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if !self.flow.send_now(value).map_err(SendError)? {
            pass();
        }
        Ok(())
    }
}

impl<T> SyncSender<T> {
    /// Sends a value, and waits until there is room for it. A checkpoint.
    ///
    /// # Errors
    ///
    /// The value, if the receiver has gone.
    ///
    /// # Cancellation
    ///
    /// A task that is cancelled while it waits is unwound, and the value dropped. Where panics abort, the value comes back.
    #[track_caller]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        pass();
        match self.flow.send(value, None) {
            Ok(()) => Ok(()),
            Err(Refused::Disconnected(value)) => Err(SendError(value)),
            Err(Refused::TimedOut(value)) => {
                raise_if_cancelled();
                Err(SendError(value))
            }
        }
    }

    /// Sends a value if there is room for it. Never waits; no checkpoint.
    ///
    /// # Errors
    ///
    /// The value, if there is no room, or the receiver has gone.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.flow.try_send(value)
    }

    /// Sends a value, and waits for room for a time at most. A checkpoint.
    ///
    /// ```
    /// use kettle::sync::channel::SendTimeoutError;
    /// use kettle::sync::mpsc::sync_channel;
    /// use std::time::Duration;
    ///
    /// let (sender, _receiver) = sync_channel(0);
    /// assert_eq!(sender.send_timeout("tea", Duration::from_millis(1)), Err(SendTimeoutError::Timeout("tea")));
    /// ```
    ///
    /// # Errors
    ///
    /// The value, if there was no room in this time, or the receiver has gone.
    ///
    /// # Cancellation
    ///
    /// As [`send`](Self::send).
    #[track_caller]
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        pass();
        self.flow.send(value, now().checked_add(timeout)).map_err(|refused| match refused {
            Refused::Disconnected(value) => SendTimeoutError::Disconnected(value),
            Refused::TimedOut(value) => {
                raise_if_cancelled();
                SendTimeoutError::Timeout(value)
            }
        })
    }

    /// [`send`](Self::send) for who has no stack to suspend: a future that is ready when there was room for the value.
    ///
    /// ```
    /// use kettle::sync::mpsc;
    /// use kettle::{spawn_future, wait};
    ///
    /// kettle::run(|| {
    ///     let (sender, mut receiver) = mpsc::sync_channel(0);
    ///     let kettle = spawn_future(async move { sender.send_async("tea").await });
    ///     assert_eq!(wait(receiver.recv_async()), Ok("tea"));
    ///     assert_eq!(kettle.join().unwrap(), Ok(()));
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// The value, if the receiver has gone.
    ///
    /// # Cancellation
    ///
    /// A future that is dropped before it is ready drops the value with it, unless somebody has received that already.
    pub fn send_async(&self, value: T) -> impl Future<Output = Result<(), SendError<T>>> {
        Sending::new(&self.flow, value)
    }
}

impl<T> Receiver<T> {
    /// Receives the next value, and waits until there is one. A checkpoint.
    ///
    /// # Errors
    ///
    /// If there is none, and all senders have gone.
    ///
    /// # Cancellation
    ///
    /// A task that is cancelled is unwound, and no value is lost. Where panics abort, it is as if all senders had gone.
    #[inline]
    #[track_caller]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_until(None).map_err(|_| RecvError)
    }

    /// Receives the next value if there is one. Never waits; no checkpoint.
    ///
    /// # Errors
    ///
    /// If there is none; and whether there will be.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        loop {
            if let Some(value) = self.flow.receive_held(&self.batch) {
                return Ok(value);
            }
            if let Some(value) = self.flow.try_receive_batch(&self.batch)? {
                return Ok(value);
            }
        }
    }

    /// Receives the next value, and waits for it for a time at most. A checkpoint.
    ///
    /// # Errors
    ///
    /// If there was none in this time, or all senders have gone.
    ///
    /// # Cancellation
    ///
    /// As [`recv`](Self::recv); where panics abort it is as if the time were up.
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_until(now().checked_add(timeout))
    }

    /// [`recv`](Self::recv) for who has no stack to suspend: a future of the next value.
    ///
    /// It may be awaited anywhere, also on other runtimes. It does not let others go first as long as there are values.
    ///
    /// ```
    /// use kettle::sync::mpsc;
    /// use kettle::{spawn_future, wait};
    ///
    /// kettle::run(|| {
    ///     let (sender, mut receiver) = mpsc::sync_channel(0);
    ///     let kettle = spawn_future(async move { receiver.recv_async().await });
    ///     wait(sender.send_async("tea")).unwrap();
    ///     assert_eq!(kettle.join().unwrap(), Ok("tea"));
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// If there is none, and all senders have gone.
    ///
    /// # Cancellation
    ///
    /// A future that is dropped loses no value: it is woken when there is one, and receives it when it is polled. (So
    /// with a bound of 0 `try_send` finds nobody there.)
    ///
    /// One that is forgotten after it has been polled (`mem::forget` of a box or of a pin) keeps its place among those that wait,
    /// and is woken for a value; that stays for who receives next.
    pub async fn recv_async(&mut self) -> Result<T, RecvError> {
        match self.try_recv() {
            Ok(value) => Ok(value),
            // Nobody else receives meanwhile, so nothing comes before what this is given.
            Err(_) => Receiving::new(&*self.flow).await,
        }
    }

    #[inline]
    #[track_caller]
    fn recv_until(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        loop {
            // Before a value is taken: what was taken is not lost. Others have their turn there, and may receive what was there.
            // (Without bounds there is either something in the batch, then, or it is waited for.)
            if self.flow.is_bounded() || !self.batch.is_empty() {
                pass();
            }
            if let Some(value) = self.flow.receive_held(&self.batch) {
                return Ok(value);
            }
            match self.flow.receive_batch(&self.batch, deadline) {
                Ok(Some(value)) => return Ok(value),
                Ok(None) => {}
                Err(error) => {
                    if error == RecvTimeoutError::Timeout {
                        raise_if_cancelled();
                    }
                    return Err(error);
                }
            }
        }
    }

    /// The flow, and what comes before that which is in it.
    pub(crate) fn parts(&self) -> (&Flow<T>, &Batch<T>) {
        (&self.flow, &self.batch)
    }

    /// The values that come, until all senders have gone. Each is received when it is asked for.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// The values that are there. It never waits.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self }
    }
}

// What std promises of its own, whatever `T` is.
impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}
impl<T> UnwindSafe for SyncSender<T> {}
impl<T> RefUnwindSafe for SyncSender<T> {}
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.flow.add_sender();
        Self { flow: Arc::clone(&self.flow) }
    }
}

impl<T> Clone for SyncSender<T> {
    fn clone(&self) -> Self {
        self.flow.add_sender();
        Self { flow: Arc::clone(&self.flow) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.flow.remove_sender();
    }
}

impl<T> Drop for SyncSender<T> {
    fn drop(&mut self) {
        self.flow.remove_sender();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // In the order in which they were sent, also if dropping one panics.
        struct Rest<'a, T>(&'a Flow<T>);
        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                self.0.remove_receiver();
            }
        }
        let _rest = Rest(&self.flow);
        self.batch.clear();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for SyncSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncSender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

/// The values that a receiver gets, until all senders have gone: `std::sync::mpsc::Iter`. Made by [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
}

/// The values that are there: `std::sync::mpsc::TryIter`. Made by [`Receiver::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, T> {
    receiver: &'a Receiver<T>,
}

/// The values that a receiver gets, with the receiver in it: `std::sync::mpsc::IntoIter`.
#[derive(Debug)]
pub struct IntoIter<T> {
    receiver: Receiver<T>,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self }
    }
}
