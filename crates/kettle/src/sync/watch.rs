//! A channel for the latest value: whoever looks sees it, and may wait until it has changed.
//!
//! ```
//! use kettle::sync::watch;
//! use kettle::thread;
//!
//! kettle::run(|| {
//!     let (sender, mut receiver) = watch::channel("cold");
//!     thread::spawn(move || {
//!         sender.send("warm").unwrap();
//!         sender.send("it boils").unwrap();
//!     });
//!     // What was overwritten is not seen.
//!     assert_eq!(*receiver.changed().unwrap(), "it boils");
//!     assert!(receiver.changed().is_err());
//!     assert_eq!(*receiver.get(), "it boils");
//! });
//! ```

use super::channel::futures::Looking;
use super::channel::news::News;
use kettle_rt::{Wait, pass, raise_if_cancelled};
use std::fmt;
use std::sync::Arc;
pub use std::sync::mpsc::{RecvError, SendError};

/// Makes a channel with its first value, which the receiver has seen. On several threads the values have to be `Sync`: who looks
/// shares them.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let state = State { value: Arc::new(value), version: 0, senders: 1, receivers: 1 };
    let news = Arc::new(News::new(state));
    (Sender { news: Arc::clone(&news) }, Receiver { news, seen: 0 })
}

pub(crate) struct State<T> {
    value: Arc<T>,
    /// How often it has been changed.
    version: u64,
    senders: usize,
    receivers: usize,
}

/// Who sets the value. Clones set the same one.
pub struct Sender<T> {
    news: Arc<News<State<T>>>,
}

/// Who sees it. Clones have seen what this one has.
pub struct Receiver<T> {
    pub(crate) news: Arc<News<State<T>>>,
    /// The version that it saw last.
    seen: u64,
}

impl<T> Sender<T> {
    /// Sets the value, and wakes those who wait for that. A checkpoint, though it never waits.
    ///
    /// # Errors
    ///
    /// The value, if all receivers have gone.
    ///
    /// # Cancellation
    ///
    /// A task that has been cancelled is unwound, and the value dropped. Where panics abort, it is set.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        pass();
        let value = Arc::new(value);
        let old = self.news.change(|state| {
            if state.receivers == 0 {
                return Err(value);
            }
            state.version += 1;
            Ok(std::mem::replace(&mut state.value, value))
        });
        match old {
            // Dropped here, where nothing is locked.
            Ok(_) => Ok(()),
            Err(value) => Err(SendError(Arc::into_inner(value).expect("invariant: nobody else has seen it"))),
        }
    }

    /// The value. No checkpoint.
    pub fn get(&self) -> Arc<T> {
        self.news.with(|state| Arc::clone(&state.value))
    }

    /// One more receiver, which has seen the value.
    pub fn subscribe(&self) -> Receiver<T> {
        let seen = self.news.with(|state| {
            state.receivers += 1;
            state.version
        });
        Receiver { news: Arc::clone(&self.news), seen }
    }
}

impl<T> Receiver<T> {
    /// The value, seen or not. No checkpoint.
    pub fn get(&self) -> Arc<T> {
        self.news.with(|state| Arc::clone(&state.value))
    }

    /// Whether there is a value that it has not seen. No checkpoint.
    pub fn has_changed(&self) -> bool {
        self.news.with(|state| state.version != self.seen)
    }

    /// Waits until there is a value that it has not seen, and gives the latest. A checkpoint.
    ///
    /// # Errors
    ///
    /// If it has seen the latest one, and all senders have gone.
    ///
    /// # Cancellation
    ///
    /// A task that is cancelled is unwound; what it has not seen stays so. Where panics abort, it is as if all senders had
    /// gone.
    #[track_caller]
    pub fn changed(&mut self) -> Result<Arc<T>, RecvError> {
        pass();
        let seen = self.seen;
        let found = self.news.wait(|state| state.look(seen), Wait::Change, None);
        self.see(found.unwrap_or_else(|_| {
            raise_if_cancelled();
            None
        }))
    }

    /// [`changed`](Self::changed) for who has no stack to suspend: a future of the latest value that it has not seen.
    ///
    /// ```
    /// use kettle::sync::watch;
    /// use kettle::{spawn_future, wait};
    ///
    /// kettle::run(|| {
    ///     let (sender, mut receiver) = watch::channel("cold");
    ///     let kettle = spawn_future(async move { sender.send("it boils") });
    ///     assert_eq!(*wait(receiver.changed_async()).unwrap(), "it boils");
    ///     kettle.join().unwrap().unwrap();
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// If it has seen the latest one, and all senders have gone.
    ///
    /// # Cancellation
    ///
    /// What has not been seen when the future is dropped stays so.
    pub async fn changed_async(&mut self) -> Result<Arc<T>, RecvError> {
        let seen = self.seen;
        let found = Looking::new(&self.news, |state: &mut State<T>| state.look(seen)).await;
        self.see(found)
    }

    pub(crate) fn look(&mut self) -> Option<Result<Arc<T>, RecvError>> {
        let seen = self.seen;
        let found = self.news.with(|state| state.look(seen))?;
        Some(self.see(found))
    }

    /// Whether `look` would find something.
    pub(crate) fn finds(&self) -> impl FnOnce(&State<T>) -> bool + use<T> {
        let seen = self.seen;
        move |state| state.version != seen || state.senders == 0
    }

    fn see(&mut self, found: Option<(u64, Arc<T>)>) -> Result<Arc<T>, RecvError> {
        let (version, value) = found.ok_or(RecvError)?;
        self.seen = version;
        Ok(value)
    }
}

impl<T> State<T> {
    /// The value if it is another one than that; `Some(None)` if there won't be any.
    fn look(&self, seen: u64) -> Option<Option<(u64, Arc<T>)>> {
        if self.version != seen {
            return Some(Some((self.version, Arc::clone(&self.value))));
        }
        (self.senders == 0).then_some(None)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.news.with(|state| state.senders += 1);
        Self { news: Arc::clone(&self.news) }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.news.with(|state| state.receivers += 1);
        Self { news: Arc::clone(&self.news), seen: self.seen }
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
        self.news.with(|state| state.receivers -= 1);
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
