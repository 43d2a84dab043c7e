//! Owns the semaphore: so many permits, and those who wait for some.
//!
//! Permits are handed over: who is taken out of the queue has what he wanted, or knows that the semaphore is closed. So the
//! front of the queue waits for permits that are not there, always.

use super::system::{Lock, LockGuard, Wait, Woken, constant, raise_if_cancelled};
use super::wait_queue::{Ended, Node, Notices, Patience, WaitQueue};
use std::error::Error;
use std::fmt;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::thread;

/// So many permits, each of which one at a time has: how many do something at once is limited by it.
///
/// ```
/// use kettle::sync::Semaphore;
/// use kettle::thread;
///
/// kettle::run(|| {
///     let cups = Semaphore::new(2);
///     thread::scope(|s| {
///         for _ in 0..10 {
///             s.spawn(|| {
///                 let _cup = cups.acquire(1)?;
///                 // No more than two are here at any time.
///                 thread::yield_now();
///                 Ok::<(), kettle::sync::SemaphoreError>(())
///             });
///         }
///     });
///     assert_eq!(cups.available_permits(), 2);
/// });
/// ```
///
/// std has no semaphore; this one is fair. Who wants permits gets them in the order in which they came, however many they want:
/// while somebody waits nobody takes permits past him. Permits may be given back from any thread.
///
/// There is a maximum of permits, and who asks for more than can ever be there is told at once, instead of waiting for ever.
/// In a destructor that runs by unwinding, acquiring blocks the thread, and so the other tasks of it.
pub struct Semaphore {
    maximum: usize,
    state: Lock<State>,
}

#[derive(Debug)]
struct State {
    available: usize,
    /// Those that are available, and those that somebody has.
    existing: usize,
    is_closed: bool,
    queue: WaitQueue<Wish>,
}

#[derive(Clone, Copy, Debug)]
struct Wish {
    permits: usize,
    /// Set by who takes it out of the queue: it has them. Otherwise the semaphore has been closed.
    is_granted: bool,
}

/// Some permits of a [`Semaphore`], given back when it is dropped.
#[must_use = "a permit that is dropped at once is given back at once"]
#[derive(Debug)]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    permits: usize,
}

/// Some permits of a [`Semaphore`] that is shared by an `Arc`, given back when it is dropped.
#[must_use = "a permit that is dropped at once is given back at once"]
#[derive(Debug)]
pub struct OwnedPermit {
    semaphore: Arc<Semaphore>,
    permits: usize,
}

/// Why there are no permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SemaphoreError {
    permits: usize,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Closed,
    AboveMaximum(usize),
    WouldBlock,
}

impl SemaphoreError {
    /// Whether the semaphore has been closed.
    ///
    /// ```
    /// use kettle::sync::Semaphore;
    ///
    /// let cups = Semaphore::new(2);
    /// cups.close();
    /// assert!(cups.acquire(1).unwrap_err().is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.why == Why::Closed
    }

    /// Whether so many permits are more than there can be at any time.
    ///
    /// ```
    /// use kettle::sync::Semaphore;
    ///
    /// let error = Semaphore::new(2).acquire(3).unwrap_err();
    /// assert!(error.is_above_maximum());
    /// assert_eq!(error.to_string(), "3 permits of a semaphore that has 2 at most: ask for fewer, or make it larger");
    /// ```
    #[must_use]
    pub fn is_above_maximum(&self) -> bool {
        matches!(self.why, Why::AboveMaximum(_))
    }

    /// Whether there would be permits for who waits.
    ///
    /// ```
    /// use kettle::sync::Semaphore;
    ///
    /// let cups = Semaphore::new(2);
    /// let both = cups.acquire(2)?;
    /// assert!(cups.try_acquire(1).unwrap_err().would_block());
    /// # Ok::<(), kettle::sync::SemaphoreError>(())
    /// ```
    #[must_use]
    pub fn would_block(&self) -> bool {
        self.why == Why::WouldBlock
    }

    /// How many it was about.
    ///
    /// ```
    /// use kettle::sync::Semaphore;
    ///
    /// assert_eq!(Semaphore::new(2).acquire(3).unwrap_err().permits(), 3);
    /// ```
    #[must_use]
    pub fn permits(&self) -> usize {
        self.permits
    }
}

impl fmt::Display for SemaphoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let permits = self.permits;
        match self.why {
            Why::Closed => write!(f, "{permits} permits of a semaphore that has been closed"),
            Why::AboveMaximum(maximum) => {
                write!(
                    f,
                    "{permits} permits of a semaphore that has {maximum} at most: ask for fewer, or make it larger"
                )
            }
            Why::WouldBlock => write!(f, "{permits} permits of a semaphore that others have, or wait for"),
        }
    }
}

impl Error for SemaphoreError {}

impl Semaphore {
    constant! {
        /// One with so many permits, and never more.
        ///
        /// ```
        /// use kettle::sync::Semaphore;
        ///
        /// static CUPS: Semaphore = Semaphore::new(2);
        /// assert_eq!(CUPS.available_permits(), 2);
        /// ```
        #[must_use]
        pub const fn new(permits: usize) -> Self {
            Self::with_maximum(permits, permits)
        }
    }

    constant! {
        /// One with so many permits at first, to which others may be [added](Self::add_permits) until it has a maximum.
        ///
        /// ```
        /// use kettle::sync::Semaphore;
        ///
        /// let orders = Semaphore::with_maximum(0, 10);
        /// assert!(orders.try_acquire(1).unwrap_err().would_block());
        /// orders.add_permits(1)?;
        /// assert!(orders.try_acquire(1).is_ok());
        /// # Ok::<(), kettle::sync::SemaphoreError>(())
        /// ```
        ///
        /// # Panics
        ///
        /// If it has more than the maximum at first.
        #[must_use]
        pub const fn with_maximum(permits: usize, maximum: usize) -> Self {
            assert!(permits <= maximum, "make a semaphore with more permits than its maximum");
            let state = State { available: permits, existing: permits, is_closed: false, queue: WaitQueue::new() };
            Self { maximum, state: Lock::new(state) }
        }
    }

    /// Waits until there are so many permits, and those who came before have theirs, and takes them. A checkpoint only if it
    /// has to wait.
    ///
    /// ```
    /// use kettle::sync::Semaphore;
    ///
    /// let cups = Semaphore::new(3);
    /// let two = cups.acquire(2)?;
    /// assert_eq!(cups.available_permits(), 1);
    /// drop(two);
    /// assert_eq!(cups.available_permits(), 3);
    /// # Ok::<(), kettle::sync::SemaphoreError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If so many can never be there, and if the semaphore is closed or gets closed meanwhile.
    ///
    /// # Cancellation
    ///
    /// A wait is cancelled or complete, never both: a task that is cancelled while it waits is unwound; one that has been given
    /// the permits before it hears of that has them, goes on, and is unwound at its next checkpoint. Where panics abort it goes
    /// on waiting.
    #[track_caller]
    pub fn acquire(&self, permits: usize) -> Result<Permit<'_>, SemaphoreError> {
        self.wait(permits)?;
        Ok(Permit { semaphore: self, permits })
    }

    /// The same for a permit that is kept elsewhere.
    ///
    /// ```
    /// use kettle::sync::Semaphore;
    /// use kettle::thread;
    /// use std::sync::Arc;
    ///
    /// kettle::run(|| {
    ///     let cups = Arc::new(Semaphore::new(1));
    ///     let cup = cups.acquire_owned(1)?;
    ///     thread::spawn(move || drop(cup));
    ///     assert!(cups.acquire(1).is_ok());
    ///     Ok::<(), kettle::sync::SemaphoreError>(())
    /// })?;
    /// # Ok::<(), kettle::sync::SemaphoreError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancellation
    ///
    /// As `acquire`.
    #[track_caller]
    pub fn acquire_owned(self: &Arc<Self>, permits: usize) -> Result<OwnedPermit, SemaphoreError> {
        self.wait(permits)?;
        Ok(OwnedPermit { semaphore: Arc::clone(self), permits })
    }

    /// Takes so many permits if they are there and nobody waits. No checkpoint.
    ///
    /// ```
    /// use kettle::sync::Semaphore;
    ///
    /// let cups = Semaphore::new(1);
    /// let cup = cups.try_acquire(1)?;
    /// assert!(cups.try_acquire(1).unwrap_err().would_block());
    /// # drop(cup);
    /// # Ok::<(), kettle::sync::SemaphoreError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there are not as many, if there never can be, and if the semaphore is closed.
    pub fn try_acquire(&self, permits: usize) -> Result<Permit<'_>, SemaphoreError> {
        self.take(permits, &mut self.state.lock())?;
        Ok(Permit { semaphore: self, permits })
    }

    /// The same for a permit that is kept elsewhere. No checkpoint.
    ///
    /// ```
    /// use kettle::sync::Semaphore;
    /// use std::sync::Arc;
    ///
    /// let cup = Arc::new(Semaphore::new(1)).try_acquire_owned(1)?;
    /// assert_eq!(cup.permits(), 1);
    /// # Ok::<(), kettle::sync::SemaphoreError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn try_acquire_owned(self: &Arc<Self>, permits: usize) -> Result<OwnedPermit, SemaphoreError> {
        self.take(permits, &mut self.state.lock())?;
        Ok(OwnedPermit { semaphore: Arc::clone(self), permits })
    }

    /// How many nobody has. No checkpoint.
    ///
    /// ```
    /// use kettle::sync::Semaphore;
    ///
    /// assert_eq!(Semaphore::new(2).available_permits(), 2);
    /// ```
    #[must_use]
    pub fn available_permits(&self) -> usize {
        self.state.lock().available
    }

    /// Adds permits, for who waits or will ask. From any thread; no checkpoint.
    ///
    /// ```
    /// use kettle::sync::Semaphore;
    ///
    /// let cups = Semaphore::with_maximum(0, 2);
    /// cups.add_permits(2)?;
    /// assert!(cups.add_permits(1).unwrap_err().is_above_maximum());
    /// # Ok::<(), kettle::sync::SemaphoreError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If there would be more than the maximum, those counted that somebody has. Then none is added.
    pub fn add_permits(&self, permits: usize) -> Result<(), SemaphoreError> {
        let mut state = self.state.lock();
        if permits > self.maximum - state.existing {
            return Err(SemaphoreError { permits, why: Why::AboveMaximum(self.maximum) });
        }
        state.existing += permits;
        state.available += permits;
        self.hand_over(state);
        Ok(())
    }

    /// Gives nobody permits any more: who waits, and who asks from now on, gets an error. Permits that somebody has stay good.
    /// From any thread; no checkpoint; the second time it does nothing.
    ///
    /// ```
    /// use kettle::sync::Semaphore;
    ///
    /// let cups = Semaphore::new(2);
    /// cups.close();
    /// assert!(cups.is_closed() && cups.try_acquire(1).unwrap_err().is_closed());
    /// ```
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        let notices = state.queue.pop_all();
        drop(state);
        drop(notices);
    }

    /// Whether it has been closed.
    ///
    /// ```
    /// use kettle::sync::Semaphore;
    ///
    /// assert!(!Semaphore::new(2).is_closed());
    /// ```
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state.lock().is_closed
    }

    fn take(&self, permits: usize, state: &mut State) -> Result<(), SemaphoreError> {
        let why = if permits > self.maximum {
            Why::AboveMaximum(self.maximum)
        } else if state.is_closed {
            Why::Closed
        } else if permits > state.available || !(state.queue.is_empty() || thread::panicking()) {
            Why::WouldBlock
        } else {
            state.available -= permits;
            return Ok(());
        };
        Err(SemaphoreError { permits, why })
    }

    #[track_caller]
    fn wait(&self, permits: usize) -> Result<(), SemaphoreError> {
        let mut state = self.state.lock();
        match self.take(permits, &mut state) {
            Err(error) if error.would_block() => self.wait_in_queue(state, permits),
            taken => taken,
        }
    }

    #[cold]
    #[track_caller]
    fn wait_in_queue<'a>(&'a self, mut state: LockGuard<'a, State>, permits: usize) -> Result<(), SemaphoreError> {
        let mut patience = Patience::endless(Wait::Permits);
        loop {
            let node = Node::new(Wish { permits, is_granted: false });
            // Who keeps a thread from running goes before tasks of that thread, which could not use permits.
            let node = if thread::panicking() { node.first() } else { node };
            match node.wait(&self.state, state, |state| &mut state.queue, patience) {
                Ended::Notified { payload, woken: Woken::Cancelled } if payload.is_granted => self.give_back(permits),
                Ended::Notified { payload, .. } if payload.is_granted => return Ok(()),
                Ended::Notified { .. } => return Err(SemaphoreError { permits, why: Why::Closed }),
                // Others may have waited for this one only.
                Ended::GaveUp { guard, .. } => self.hand_over(guard),
            }
            raise_if_cancelled();
            // Where panics abort nothing is raised.
            patience = patience.shielded();
            state = self.state.lock();
            match self.take(permits, &mut state) {
                Err(error) if error.would_block() => {}
                taken => return taken,
            }
        }
    }

    fn give_back(&self, permits: usize) {
        let mut state = self.state.lock();
        state.available += permits;
        self.hand_over(state);
    }

    /// Gives permits that are available to those who wait.
    fn hand_over(&self, mut state: LockGuard<'_, State>) {
        let mut notices = Notices::new();
        while let Some(permits) = state.queue.first().map(|wish| wish.permits)
            && permits <= state.available
            && let Some(mut notice) = state.queue.pop()
        {
            state.available -= permits;
            notice.is_granted = true;
            notices.add(notice);
        }
        drop(state);
        drop(notices);
    }

    /// There are so many fewer from now on.
    fn forget(&self, permits: usize) {
        self.state.lock().existing -= permits;
    }
}

impl Permit<'_> {
    /// How many it has.
    ///
    /// ```
    /// use kettle::sync::Semaphore;
    ///
    /// assert_eq!(Semaphore::new(2).acquire(2)?.permits(), 2);
    /// # Ok::<(), kettle::sync::SemaphoreError>(())
    /// ```
    #[must_use]
    pub fn permits(&self) -> usize {
        self.permits
    }

    /// Never gives them back: there are so many fewer, and others may be [added](Semaphore::add_permits) in their place.
    ///
    /// ```
    /// use kettle::sync::Semaphore;
    ///
    /// let cups = Semaphore::new(2);
    /// cups.acquire(1)?.forget();
    /// assert_eq!(cups.available_permits(), 1);
    /// cups.add_permits(1)?;
    /// # Ok::<(), kettle::sync::SemaphoreError>(())
    /// ```
    pub fn forget(self) {
        self.semaphore.forget(self.permits);
        mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.semaphore.give_back(self.permits);
    }
}

impl OwnedPermit {
    /// How many it has.
    ///
    /// ```
    /// use kettle::sync::Semaphore;
    /// use std::sync::Arc;
    ///
    /// assert_eq!(Arc::new(Semaphore::new(2)).acquire_owned(2)?.permits(), 2);
    /// # Ok::<(), kettle::sync::SemaphoreError>(())
    /// ```
    #[must_use]
    pub fn permits(&self) -> usize {
        self.permits
    }

    /// Never gives them back, as [`Permit::forget`].
    ///
    /// ```
    /// use kettle::sync::Semaphore;
    /// use std::sync::Arc;
    ///
    /// let cups = Arc::new(Semaphore::new(2));
    /// cups.acquire_owned(1)?.forget();
    /// assert_eq!(cups.available_permits(), 1);
    /// # Ok::<(), kettle::sync::SemaphoreError>(())
    /// ```
    pub fn forget(mut self) {
        self.semaphore.forget(self.permits);
        // Dropped, it gives back none, and its share of the semaphore.
        self.permits = 0;
    }
}

impl Drop for OwnedPermit {
    fn drop(&mut self) {
        self.semaphore.give_back(self.permits);
    }
}

impl UnwindSafe for Semaphore {}
impl RefUnwindSafe for Semaphore {}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (available, is_closed) = {
            let state = self.state.lock();
            (state.available, state.is_closed)
        };
        f.debug_struct("Semaphore")
            .field("available", &available)
            .field("maximum", &self.maximum)
            .field("is_closed", &is_closed)
            .finish_non_exhaustive()
    }
}
