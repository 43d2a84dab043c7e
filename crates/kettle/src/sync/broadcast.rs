//! A channel where every receiver gets every value. It holds so many; a receiver that lags further behind loses the oldest,
//! and is told how many.
//!
//! ```
//! use kettle::sync::broadcast::{self, RecvError};
//!
//! let (sender, mut slow) = broadcast::channel(2);
//! let mut other = sender.subscribe();
//! for cup in 1..=3 {
//!     sender.send(cup).unwrap();
//! }
//! assert_eq!(slow.recv(), Err(RecvError::Lagged(1)));
//! assert_eq!(slow.recv(), Ok(2));
//! assert_eq!(other.recv(), Err(RecvError::Lagged(1)));
//! drop(sender);
//! assert_eq!((slow.recv(), slow.recv()), (Ok(3), Err(RecvError::Disconnected)));
//! ```

use super::channel::futures::Looking;
use super::channel::news::News;
use kettle_rt::{Wait, pass, raise_if_cancelled};
use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
pub use std::sync::mpsc::SendError;

/// Makes a channel that holds so many values. On several threads the values have to be `Sync`: receivers clone one at the same
/// time, without a lock.
///
/// # Panics
///
/// If that is 0: each value would be lost at once.
pub fn channel<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "make a broadcast channel that holds nothing: its receivers would lose every value");
    let state = State { values: VecDeque::new(), first: 0, capacity, senders: 1, receivers: 1 };
    let news = Arc::new(News::new(state));
    (Sender { news: Arc::clone(&news) }, Receiver { news, next: 0 })
}

pub(crate) struct State<T> {
    values: VecDeque<Value<T>>,
    /// The number of the first of them; they are numbered from 0.
    first: u64,
    capacity: usize,
    senders: usize,
    receivers: usize,
}

struct Value<T> {
    /// Shared, for it is cloned where nothing is locked.
    value: Arc<T>,
    /// How many receivers have not received it.
    left: usize,
}

/// Who sends to all receivers. Clones send to the same ones.
pub struct Sender<T> {
    news: Arc<News<State<T>>>,
}

/// Who receives every value that is sent while it is there.
pub struct Receiver<T> {
    pub(crate) news: Arc<News<State<T>>>,
    /// The number of the value that it receives next.
    next: u64,
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvError {
    /// So many values have been lost, because the receiver was too slow. The next one is the oldest that is there.
    Lagged(u64),
    /// All have been received, and all senders have gone.
    Disconnected,
}

/// Why there is no value now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// All that were sent have been received.
    Empty,
    /// As [`RecvError::Lagged`].
    Lagged(u64),
    /// As [`RecvError::Disconnected`].
    Disconnected,
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lagged(lost) => {
                write!(f, "receive from a broadcast: {lost} values were lost, this receiver is too slow")
            }
            Self::Disconnected => f.write_str("receive from a broadcast: all senders have gone"),
        }
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => f.write_str("receive from a broadcast: there is no value yet"),
            Self::Lagged(lost) => RecvError::Lagged(lost).fmt(f),
            Self::Disconnected => RecvError::Disconnected.fmt(f),
        }
    }
}

impl Error for RecvError {}
impl Error for TryRecvError {}

impl From<RecvError> for TryRecvError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Lagged(lost) => Self::Lagged(lost),
            RecvError::Disconnected => Self::Disconnected,
        }
    }
}

impl<T> Sender<T> {
    /// Sends a value to all receivers that are there. A checkpoint, though it never waits.
    ///
    /// # Errors
    ///
    /// The value, if there are none.
    ///
    /// # Cancellation
    ///
    /// A task that has been cancelled is unwound, and the value dropped. Where panics abort, it is sent.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        pass();
        let value = Arc::new(value);
        let sent = self.news.change(|state| {
            if state.receivers == 0 {
                return Err(value);
            }
            let lost = if state.values.len() == state.capacity { state.forget_first() } else { None };
            state.values.push_back(Value { value, left: state.receivers });
            Ok(lost)
        });
        match sent {
            // What was lost is dropped here, where nothing is locked.
            Ok(_) => Ok(()),
            Err(value) => Err(SendError(Arc::into_inner(value).expect("invariant: nobody else has seen it"))),
        }
    }

    /// One more receiver, of what is sent from now on.
    pub fn subscribe(&self) -> Receiver<T> {
        let next = self.news.with(|state| {
            state.receivers += 1;
            state.end()
        });
        Receiver { news: Arc::clone(&self.news), next }
    }

    /// How many receivers there are.
    pub fn receivers(&self) -> usize {
        self.news.with(|state| state.receivers)
    }
}

impl<T: Clone> Receiver<T> {
    /// Receives the next value, and waits until there is one. A checkpoint.
    ///
    /// # Errors
    ///
    /// If values have been lost, how many: the next call goes on with the oldest that is there. If there is none and all
    /// senders have gone.
    ///
    /// # Cancellation
    ///
    /// A task that is cancelled is unwound, and no value is lost. Where panics abort, it is as if all senders had gone.
    #[track_caller]
    pub fn recv(&mut self) -> Result<T, RecvError> {
        pass();
        let next = self.next;
        let found = self.news.wait(|state| state.look(next), Wait::Receive, None);
        self.see(found.unwrap_or_else(|_| {
            raise_if_cancelled();
            Err(RecvError::Disconnected)
        }))
    }

    /// [`recv`](Self::recv) for who has no stack to suspend: a future of the next value.
    ///
    /// ```
    /// use kettle::sync::broadcast;
    /// use kettle::{spawn_future, wait};
    ///
    /// kettle::run(|| {
    ///     let (sender, mut receiver) = broadcast::channel(1);
    ///     let kettle = spawn_future(async move { sender.send("tea") });
    ///     assert_eq!(wait(receiver.recv_async()), Ok("tea"));
    ///     kettle.join().unwrap().unwrap();
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// As `recv`.
    ///
    /// # Cancellation
    ///
    /// A future that is dropped before it is ready has received nothing.
    pub async fn recv_async(&mut self) -> Result<T, RecvError> {
        let next = self.next;
        let found = Looking::new(&self.news, |state: &mut State<T>| state.look(next)).await;
        self.see(found)
    }

    /// Receives the next value if there is one. Never waits; no checkpoint.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and if there is none.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.look().map_or(Err(TryRecvError::Empty), |found| found.map_err(TryRecvError::from))
    }

    pub(crate) fn look(&mut self) -> Option<Result<T, RecvError>> {
        let next = self.next;
        let found = self.news.with(|state| state.look(next))?;
        Some(self.see(found))
    }

    fn see(&mut self, found: Result<Arc<T>, RecvError>) -> Result<T, RecvError> {
        match found {
            Ok(value) => {
                self.next += 1;
                // The last one to receive it need not clone it.
                Ok(Arc::try_unwrap(value).unwrap_or_else(|value| T::clone(&value)))
            }
            Err(RecvError::Lagged(lost)) => {
                self.next += lost;
                Err(RecvError::Lagged(lost))
            }
            Err(RecvError::Disconnected) => Err(RecvError::Disconnected),
        }
    }
}

impl<T> Receiver<T> {
    /// Whether `look` would find something.
    pub(crate) fn finds(&self) -> impl FnOnce(&State<T>) -> bool + use<T> {
        let next = self.next;
        move |state| state.end() > next || state.senders == 0
    }
}

impl<T> State<T> {
    /// The number of the value that is sent next.
    fn end(&self) -> u64 {
        self.first + self.values.len() as u64
    }

    fn forget_first(&mut self) -> Option<Arc<T>> {
        self.first += 1;
        self.values.pop_front().map(|value| value.value)
    }

    /// The value of that number, for one of its receivers.
    fn look(&mut self, number: u64) -> Option<Result<Arc<T>, RecvError>> {
        if number < self.first {
            return Some(Err(RecvError::Lagged(self.first - number)));
        }
        let index = (number - self.first) as usize;
        let Some(value) = self.values.get_mut(index) else {
            return (self.senders == 0).then_some(Err(RecvError::Disconnected));
        };
        value.left -= 1;
        // Those before it are received by nobody any more when this one isn't: receivers go forward.
        if index == 0 && value.left == 0 {
            return self.forget_first().map(Ok);
        }
        Some(Ok(Arc::clone(&value.value)))
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.news.with(|state| state.senders += 1);
        Self { news: Arc::clone(&self.news) }
    }
}

impl<T> Clone for Receiver<T> {
    /// One more receiver, which receives what this one has not received yet.
    fn clone(&self) -> Self {
        let next = self.next;
        self.news.with(|state| {
            state.receivers += 1;
            let skipped = next.saturating_sub(state.first) as usize;
            state.values.iter_mut().skip(skipped).for_each(|value| value.left += 1);
        });
        Self { news: Arc::clone(&self.news), next }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let news = &self.news;
        if news.with(|state| (state.senders, state.senders -= 1).0) == 1 {
            news.change(|_| ());
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let next = self.next;
        // Dropped where nothing is locked.
        let _values = self.news.with(|state| {
            state.receivers -= 1;
            let skipped = next.saturating_sub(state.first) as usize;
            state.values.iter_mut().skip(skipped).for_each(|value| value.left -= 1);
            let received = state.values.iter().take_while(|value| value.left == 0).count();
            state.first += received as u64;
            state.values.drain(..received).map(|value| value.value).collect::<Vec<_>>()
        });
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
