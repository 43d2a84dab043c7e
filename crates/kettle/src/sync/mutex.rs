//! Owns the mutex: data, who has it, and whether he has left it in a bad state.
//!
//! The unsafe code of this module is reaching the data, which [`RawLock`] gives to one at a time.

use super::poison::{Poison, Taken};
use super::raw_lock::RawLock;
use super::system::constant;
use kettle_rt::pause;
use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

/// Data that one at a time has: `std::sync::Mutex` for tasks.
///
/// A task that has to wait for it is suspended, and others of its thread run; a plain thread blocks. Both may use the same
/// one, on any number of loops and threads.
///
/// ```
/// use kettle::sync::Mutex;
/// use kettle::thread;
///
/// let cups = kettle::run(|| {
///     let cups = Mutex::new(0);
///     thread::scope(|s| {
///         for _ in 0..10 {
///             s.spawn(|| {
///                 let mut cups = cups.lock().unwrap();
///                 let poured = *cups + 1;
///                 // Others run here, and wait for the lock.
///                 thread::yield_now();
///                 *cups = poured;
///             });
///         }
///     });
///     cups.into_inner().unwrap()
/// });
/// assert_eq!(cups, 10);
/// ```
///
/// It is fair enough that nobody starves. A mutex that is given back goes to who comes first, so that one task can use it
/// many times in a row without waiting; who was woken and found it taken gets it handed over the next time.
///
/// # Poisoning
///
/// As in std: who unwinds while he has it leaves it poisoned, for what he was doing may be half done. A task that is
/// *cancelled* while it has it unwinds, too. Where the data are fine all the same, [`clear_poison`](Self::clear_poison); what
/// must not be cut short goes into [`shield`](crate::shield).
///
/// # Deadlocks
///
/// Who locks it twice waits for itself: a task until it is cancelled, while a thread that no task runs on panics. So does,
/// and that ends the process, a destructor that runs by unwinding and wants what another task of its thread has: an unwinding
/// task can't be suspended. Who has it recursively through several threads is not found out.
///
/// Two that are locked in two orders are found by [`explore`](crate::testing::explore), and with them the lines:
///
/// ```
/// use kettle::sync::Mutex;
/// use kettle::testing::Simulation;
/// use kettle::thread;
///
/// let found = Simulation::new(0).explore(0..100, || {
///     let (tea, milk) = (Mutex::new(1), Mutex::new(1));
///     thread::scope(|s| {
///         s.spawn(|| *tea.lock().unwrap() + *milk.lock().unwrap());
///         s.spawn(|| *milk.lock().unwrap() + *tea.lock().unwrap());
///     });
/// });
/// assert!(found.unwrap_err().is_deadlock());
/// ```
pub struct Mutex<T: ?Sized> {
    raw: RawLock,
    poison: Poison,
    data: UnsafeCell<T>,
}

/// Has the data of a [`Mutex`], until it is dropped. It stays on its thread.
#[must_use = "a guard that is dropped at once gives the mutex back at once"]
pub struct MutexGuard<'a, T: ?Sized + 'a> {
    mutex: &'a Mutex<T>,
    taken: Taken,
    /// Who gives it back is the thread that took it.
    _stays: PhantomData<*const ()>,
}

// SAFETY: the data are reached by one at a time, wherever he is.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}
// SAFETY: a shared guard gives shared data.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}

impl<T> Mutex<T> {
    constant! {
        /// A mutex that nobody has.
        ///
        /// ```
        /// use kettle::sync::Mutex;
        ///
        /// static CUPS: Mutex<u32> = Mutex::new(2);
        /// assert_eq!(*CUPS.lock().unwrap(), 2);
        /// ```
        pub const fn new(data: T) -> Self {
            Self { raw: RawLock::new(), poison: Poison::new(), data: UnsafeCell::new(data) }
        }
    }

    /// The data, when nobody needs the mutex any more.
    ///
    /// ```
    /// use kettle::sync::Mutex;
    ///
    /// assert_eq!(Mutex::new(2).into_inner().unwrap(), 2);
    /// ```
    ///
    /// # Errors
    ///
    /// The data in an error, if it is poisoned.
    pub fn into_inner(self) -> LockResult<T> {
        self.poison.wrap(self.data.into_inner())
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until nobody else has it, and takes it. A checkpoint only if it has to wait. (In a simulation others may
    /// run before, as if it had: see [`explore`](crate::testing::explore).)
    ///
    /// ```
    /// use kettle::sync::Mutex;
    ///
    /// let cups = Mutex::new(2);
    /// *cups.lock().unwrap() += 1;
    /// assert_eq!(*cups.lock().unwrap(), 3);
    /// ```
    ///
    /// # Errors
    ///
    /// The guard in an error, if it is poisoned.
    ///
    /// # Panics
    ///
    /// Where it would wait for its own thread for ever; see [deadlocks](Mutex#deadlocks).
    ///
    /// # Cancellation
    ///
    /// A wait is cancelled or complete, never both: a task that is cancelled while it waits is unwound; one that has been given
    /// the lock before it hears of that has it, goes on, and is unwound at its next checkpoint. Where panics abort it goes on
    /// waiting, for there is no error to tell it by.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        self.raw.lock();
        if self.poison.is_silent() { Ok(self.guard()) } else { self.lock_after_others() }
    }

    /// The mutex has been taken. In a simulation others may be let run before.
    #[cold]
    #[track_caller]
    fn lock_after_others(&self) -> LockResult<MutexGuard<'_, T>> {
        if self.poison.asks_to_pause() {
            self.raw.unlock();
            pause();
            self.raw.lock();
        }
        self.taken()
    }

    /// The same for who has to have it, cancelled or not: [`Condvar`](super::Condvar).
    #[track_caller]
    pub(crate) fn lock_shielded(&self) -> LockResult<MutexGuard<'_, T>> {
        self.raw.lock_shielded();
        self.taken()
    }

    /// Takes it if nobody has it. No checkpoint.
    ///
    /// ```
    /// use kettle::sync::{Mutex, TryLockError};
    ///
    /// let cups = Mutex::new(2);
    /// let guard = cups.try_lock().unwrap();
    /// assert!(matches!(cups.try_lock(), Err(TryLockError::WouldBlock)));
    /// drop(guard);
    /// assert!(cups.try_lock().is_ok());
    /// ```
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if somebody has it, [`TryLockError::Poisoned`] with the guard if it is poisoned.
    #[inline]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        if self.raw.try_lock() { Ok(self.taken()?) } else { Err(TryLockError::WouldBlock) }
    }

    /// Whether somebody has unwound while he had it.
    ///
    /// ```
    /// use kettle::sync::Mutex;
    /// use std::panic;
    ///
    /// let cups = Mutex::new(2);
    /// let _ = panic::catch_unwind(|| {
    ///     let _guard = cups.lock();
    ///     panic::resume_unwind(Box::new("a cup fell down"));
    /// });
    /// assert!(cups.is_poisoned());
    /// assert_eq!(*cups.lock().unwrap_err().into_inner(), 2);
    /// ```
    pub fn is_poisoned(&self) -> bool {
        self.poison.is_set()
    }

    /// The data are fine: from now on it is not poisoned.
    ///
    /// ```
    /// use kettle::sync::Mutex;
    /// use std::panic;
    ///
    /// let cups = Mutex::new(2);
    /// let _ = panic::catch_unwind(|| {
    ///     let _guard = cups.lock();
    ///     panic::resume_unwind(Box::new("a cup fell down"));
    /// });
    /// let guard = cups.lock().unwrap_or_else(|poisoned| {
    ///     cups.clear_poison();
    ///     poisoned.into_inner()
    /// });
    /// drop(guard);
    /// assert!(cups.lock().is_ok());
    /// ```
    pub fn clear_poison(&self) {
        self.poison.clear();
    }

    /// The data, which nobody else can have. No checkpoint.
    ///
    /// ```
    /// use kettle::sync::Mutex;
    ///
    /// let mut cups = Mutex::new(2);
    /// *cups.get_mut().unwrap() = 3;
    /// assert_eq!(*cups.lock().unwrap(), 3);
    /// ```
    ///
    /// # Errors
    ///
    /// The data in an error, if it is poisoned.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        let data = self.data.get_mut();
        self.poison.wrap(data)
    }

    #[inline]
    fn taken(&self) -> LockResult<MutexGuard<'_, T>> {
        self.poison.wrap(self.guard())
    }

    #[inline]
    fn guard(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, taken: Taken::now(), _stays: PhantomData }
    }
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// Whose it is, for who gives it back and takes it again.
    pub(crate) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard has the lock.
        unsafe { &*self.mutex.data.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has the lock, and this is the only reference that comes out of it.
        unsafe { &mut *self.mutex.data.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.poison.given_up(self.taken);
        self.mutex.raw.unlock();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(data: T) -> Self {
        Self::new(data)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Mutex");
        match self.try_lock().map_err(poisoned) {
            Ok(guard) | Err(Some(guard)) => shown.field("data", &&*guard),
            Err(None) => shown.field("data", &format_args!("<locked>")),
        };
        shown.field("poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}

/// The guard of a lock that is poisoned, and nothing if it is somebody else's.
pub(crate) fn poisoned<G>(error: TryLockError<G>) -> Option<G> {
    match error {
        TryLockError::Poisoned(poisoned) => Some(PoisonError::into_inner(poisoned)),
        TryLockError::WouldBlock => None,
    }
}
