//! Channels with many senders and many receivers; each value goes to one of them. Who has waited longest is served first.
//!
//! ```
//! use kettle::sync::channel;
//! use kettle::thread;
//!
//! kettle::run(|| {
//!     let (sender, receiver) = channel::bounded(8);
//!     let workers: Vec<_> = (0..3).map(|_| {
//!         let receiver = receiver.clone();
//!         thread::spawn(move || receiver.iter().sum::<u32>())
//!     }).collect();
//!     for cup in 1..=10 {
//!         sender.send(cup).unwrap();
//!     }
//!     drop(sender);
//!     assert_eq!(workers.into_iter().map(|worker| worker.join().unwrap()).sum::<u32>(), 55);
//! });
//! ```

pub(crate) mod model;
mod lock;
pub(crate) mod waiting;
pub(crate) mod batch;
mod state;
pub(crate) mod flow;
pub(crate) mod news;
pub(crate) mod refusal;
pub(crate) mod futures;

use flow::{Flow, Refused};
use futures::{Inlet, Receiving, Sending};
use kettle_rt::{now, pass, raise_if_cancelled};
pub use refusal::SendTimeoutError;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
pub use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError};
use std::time::{Duration, Instant};

/// Makes a channel without bounds. Sending to it never waits.
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    with(None)
}

/// Makes a channel that holds so many values. Who sends one more waits; with a capacity of 0, until it has been received.
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    with(Some(capacity))
}

fn with<T>(capacity: Option<usize>) -> (Sender<T>, Receiver<T>) {
    let flow = Arc::new(Flow::new(capacity));
    (Sender { flow: Arc::clone(&flow) }, Receiver { flow })
}

/// A sending half; clones send to the same channel.
pub struct Sender<T> {
    pub(crate) flow: Arc<Flow<T>>,
}

/// A receiving half; clones receive from the same channel.
pub struct Receiver<T> {
    pub(crate) flow: Arc<Flow<T>>,
}

impl<T> Sender<T> {
    /// Sends a value, and waits until there is room for it. A checkpoint.
    ///
    /// # Errors
    ///
    /// The value, if all receivers have gone.
    ///
    /// # Cancellation
    ///
    /// A task that is cancelled while it waits is unwound, and the value dropped. Where panics abort, the value comes back.
    #[track_caller]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.send_until(value, None).map_err(|refused| SendError(refused.into_inner()))
    }

    /// Sends a value if there is room for it. Never waits; no checkpoint.
    ///
    /// # Errors
    ///
    /// The value, if there is no room, or all receivers have gone.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.flow.try_send(value)
    }

    /// Sends a value, and waits for room for a time at most. A checkpoint.
    ///
    /// # Errors
    ///
    /// The value, if there was no room in this time, or all receivers have gone.
    ///
    /// # Cancellation
    ///
    /// As [`send`](Self::send).
    #[track_caller]
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.send_until(value, now().checked_add(timeout))
    }

    /// [`send`](Self::send) for who has no stack to suspend: a future that is ready when there was room for the value.
    ///
    /// ```
    /// use kettle::sync::channel;
    /// use kettle::{spawn_future, wait};
    ///
    /// kettle::run(|| {
    ///     let (sender, receiver) = channel::bounded(0);
    ///     let kettle = spawn_future(async move { sender.send_async("tea").await });
    ///     assert_eq!(wait(receiver.recv_async()), Ok("tea"));
    ///     assert_eq!(kettle.join().unwrap(), Ok(()));
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// The value, if all receivers have gone.
    ///
    /// # Cancellation
    ///
    /// A future that is dropped before it is ready drops the value with it, unless somebody has received that already.
    pub fn send_async(&self, value: T) -> impl Future<Output = Result<(), SendError<T>>> {
        Sending::new(&self.flow, value)
    }

    #[track_caller]
    pub(crate) fn send_until(&self, value: T, deadline: Option<Instant>) -> Result<(), SendTimeoutError<T>> {
        pass();
        self.flow.send(value, deadline).map_err(|refused| match refused {
            Refused::Disconnected(value) => SendTimeoutError::Disconnected(value),
            Refused::TimedOut(value) => {
                raise_if_cancelled();
                SendTimeoutError::Timeout(value)
            }
        })
    }

    /// How many values wait to be received.
    pub fn len(&self) -> usize {
        self.flow.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many the channel holds, if it has bounds.
    pub fn capacity(&self) -> Option<usize> {
        self.flow.capacity()
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
        self.flow.try_receive()
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
    /// use kettle::sync::channel;
    /// use kettle::{spawn_future, wait};
    ///
    /// kettle::run(|| {
    ///     let (sender, receiver) = channel::bounded(0);
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
    pub fn recv_async(&self) -> impl Future<Output = Result<T, RecvError>> {
        Receiving::new(&*self.flow)
    }

    #[track_caller]
    pub(crate) fn recv_until(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
        // Before a value is taken: what was taken is not lost.
        pass();
        let received = self.flow.receive(deadline);
        if matches!(received, Err(RecvTimeoutError::Timeout)) {
            raise_if_cancelled();
        }
        received
    }

    /// The values that come, until all senders have gone. Each is received when it is asked for.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        Values(self)
    }

    /// The values that are there. It never waits.
    pub fn try_iter(&self) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| self.try_recv().ok())
    }

    /// How many values wait to be received.
    pub fn len(&self) -> usize {
        self.flow.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many the channel holds, if it has bounds.
    pub fn capacity(&self) -> Option<usize> {
        self.flow.capacity()
    }
}

/// What [`Receiver::iter`] gives: no closure, so that who waits in it is told of by the user's line.
struct Values<'a, T>(&'a Receiver<T>);

impl<T> Iterator for Values<'_, T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}

impl<T> Inlet<T> for Receiver<T> {
    fn flow(&self) -> &Flow<T> {
        &self.flow
    }
}

impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}
impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.flow.add_sender();
        Self { flow: Arc::clone(&self.flow) }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.flow.add_receiver();
        Self { flow: Arc::clone(&self.flow) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.flow.remove_sender();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.flow.remove_receiver();
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
