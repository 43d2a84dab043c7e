//! Owns the readers-writer lock: data that many read, or one writes.
//!
//! The unsafe code of this module is reaching the data, which [`RawRwLock`] gives to readers or to one writer.

use super::mutex::poisoned;
use super::poison::{Poison, Taken};
use super::raw_rw_lock::RawRwLock;
use super::system::constant;
use kettle_rt::pause;
use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;
use std::sync::{LockResult, TryLockError, TryLockResult};

/// Data that many read at a time, or one writes: `std::sync::RwLock` for tasks.
///
/// ```
/// use kettle::sync::RwLock;
/// use kettle::thread;
///
/// kettle::run(|| {
///     let menu = RwLock::new(vec!["tea"]);
///     thread::scope(|s| {
///         for _ in 0..3 {
///             s.spawn(|| {
///                 let menu = menu.read().unwrap();
///                 // The others read as well meanwhile.
///                 thread::yield_now();
///                 assert_eq!(menu[0], "tea");
///             });
///         }
///         s.spawn(|| menu.write().unwrap().push("coffee"));
///     });
///     assert_eq!(menu.read().unwrap().len(), 2);
/// });
/// ```
///
/// A task that has to wait for it is suspended, and others of its thread run; a plain thread blocks. Those who wait get it in
/// the order in which they came, by being handed it, and while somebody waits nobody takes it past him. So neither readers
/// nor writers starve; and who reads it and wants to read it a second time may wait for a writer that waits for him.
///
/// Poisoning is std's: by who unwinds while he *writes*, and cancelled tasks unwind; see [`Mutex`](super::Mutex). Deadlocks
/// are as there, but of who reads nobody remembers where he is: a destructor that runs by unwinding, and wants to write what
/// a task of its thread reads, waits for ever.
pub struct RwLock<T: ?Sized> {
    raw: RawRwLock,
    poison: Poison,
    data: UnsafeCell<T>,
}

/// Reads the data of an [`RwLock`], until it is dropped. It stays on its thread.
#[must_use = "a guard that is dropped at once gives the lock back at once"]
pub struct RwLockReadGuard<'a, T: ?Sized + 'a> {
    raw: &'a RawRwLock,
    data: NonNull<T>,
}

/// Writes the data of an [`RwLock`], until it is dropped. It stays on its thread.
#[must_use = "a guard that is dropped at once gives the lock back at once"]
pub struct RwLockWriteGuard<'a, T: ?Sized + 'a> {
    lock: &'a RwLock<T>,
    taken: Taken,
    /// Who gives it back is the thread that took it.
    _stays: PhantomData<*const ()>,
}

// SAFETY: the data may go where the lock goes.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: readers share the data, so they must be `Sync`; a writer may take them out.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}
// SAFETY: a shared guard gives shared data.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}
impl<T: ?Sized + RefUnwindSafe> UnwindSafe for RwLockReadGuard<'_, T> {}
impl<T: ?Sized + RefUnwindSafe> RefUnwindSafe for RwLockReadGuard<'_, T> {}
impl<T: ?Sized + RefUnwindSafe> UnwindSafe for RwLockWriteGuard<'_, T> {}
impl<T: ?Sized + RefUnwindSafe> RefUnwindSafe for RwLockWriteGuard<'_, T> {}

impl<T> RwLock<T> {
    constant! {
        /// A lock that nobody has.
        ///
        /// ```
        /// use kettle::sync::RwLock;
        ///
        /// static CUPS: RwLock<u32> = RwLock::new(2);
        /// assert_eq!(*CUPS.read().unwrap(), 2);
        /// ```
        pub const fn new(data: T) -> Self {
            Self { raw: RawRwLock::new(), poison: Poison::new(), data: UnsafeCell::new(data) }
        }
    }

    /// The data, when nobody needs the lock any more.
    ///
    /// ```
    /// use kettle::sync::RwLock;
    ///
    /// assert_eq!(RwLock::new(2).into_inner().unwrap(), 2);
    /// ```
    ///
    /// # Errors
    ///
    /// The data in an error, if it is poisoned.
    pub fn into_inner(self) -> LockResult<T> {
        self.poison.wrap(self.data.into_inner())
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until nobody writes, and nobody waits who came before, and reads. A checkpoint only if it has to wait. (In
    /// a simulation others may run before, as if it had: see [`explore`](crate::testing::explore).)
    ///
    /// ```
    /// use kettle::sync::RwLock;
    ///
    /// let cups = RwLock::new(2);
    /// let (one, other) = (cups.read().unwrap(), cups.read().unwrap());
    /// assert_eq!(*one, *other);
    /// ```
    ///
    /// # Errors
    ///
    /// The guard in an error, if it is poisoned.
    ///
    /// # Panics
    ///
    /// Where it would wait for a writer of its own thread for ever; see [deadlocks](super::Mutex#deadlocks).
    ///
    /// # Cancellation
    ///
    /// A wait is cancelled or complete, never both: a task that is cancelled while it waits is unwound; one that has been given
    /// the lock before it hears of that has it, goes on, and is unwound at its next checkpoint. Where panics abort it goes on
    /// waiting.
    #[inline]
    #[track_caller]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.raw.read();
        if self.poison.is_silent() { Ok(self.read_guard()) } else { self.read_after_others() }
    }

    /// It has been taken. In a simulation others may be let run before.
    #[cold]
    #[track_caller]
    fn read_after_others(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        if self.poison.asks_to_pause() {
            self.raw.unlock_read();
            pause();
            self.raw.read();
        }
        self.reads()
    }

    /// Reads if nobody writes and nobody waits. No checkpoint.
    ///
    /// ```
    /// use kettle::sync::RwLock;
    ///
    /// let cups = RwLock::new(2);
    /// let writes = cups.write().unwrap();
    /// assert!(cups.try_read().is_err());
    /// drop(writes);
    /// assert_eq!(*cups.try_read().unwrap(), 2);
    /// ```
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if it would have to wait, [`TryLockError::Poisoned`] with the guard if it is poisoned.
    #[inline]
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        if self.raw.try_read() { Ok(self.reads()?) } else { Err(TryLockError::WouldBlock) }
    }

    /// Waits until nobody else has it, and nobody waits who came before, and writes. A checkpoint only if it has to wait. (In a
    /// simulation others may run before, as if it had: see [`explore`](crate::testing::explore).)
    ///
    /// ```
    /// use kettle::sync::RwLock;
    ///
    /// let cups = RwLock::new(2);
    /// *cups.write().unwrap() += 1;
    /// assert_eq!(*cups.read().unwrap(), 3);
    /// ```
    ///
    /// # Errors
    ///
    /// The guard in an error, if it is poisoned.
    ///
    /// # Panics
    ///
    /// As [`read`](Self::read).
    ///
    /// # Cancellation
    ///
    /// As `read`.
    #[inline]
    #[track_caller]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.raw.write();
        if self.poison.is_silent() { Ok(self.write_guard()) } else { self.write_after_others() }
    }

    /// It has been taken. In a simulation others may be let run before.
    #[cold]
    #[track_caller]
    fn write_after_others(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        if self.poison.asks_to_pause() {
            self.raw.unlock_write();
            pause();
            self.raw.write();
        }
        self.writes()
    }

    /// Writes if nobody has it. No checkpoint.
    ///
    /// ```
    /// use kettle::sync::RwLock;
    ///
    /// let cups = RwLock::new(2);
    /// let reads = cups.read().unwrap();
    /// assert!(cups.try_write().is_err());
    /// drop(reads);
    /// assert!(cups.try_write().is_ok());
    /// ```
    ///
    /// # Errors
    ///
    /// As [`try_read`](Self::try_read).
    #[inline]
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        if self.raw.try_write() { Ok(self.writes()?) } else { Err(TryLockError::WouldBlock) }
    }

    /// Whether somebody has unwound while he wrote.
    ///
    /// ```
    /// use kettle::sync::RwLock;
    ///
    /// assert!(!RwLock::new(2).is_poisoned());
    /// ```
    pub fn is_poisoned(&self) -> bool {
        self.poison.is_set()
    }

    /// The data are fine: from now on it is not poisoned.
    ///
    /// ```
    /// use kettle::sync::RwLock;
    /// use std::panic;
    ///
    /// let cups = RwLock::new(2);
    /// let _ = panic::catch_unwind(|| {
    ///     let _guard = cups.write();
    ///     panic::resume_unwind(Box::new("a cup fell down"));
    /// });
    /// assert!(cups.is_poisoned());
    /// cups.clear_poison();
    /// assert!(cups.read().is_ok());
    /// ```
    pub fn clear_poison(&self) {
        self.poison.clear();
    }

    /// The data, which nobody else can have. No checkpoint.
    ///
    /// ```
    /// use kettle::sync::RwLock;
    ///
    /// let mut cups = RwLock::new(2);
    /// *cups.get_mut().unwrap() = 3;
    /// assert_eq!(*cups.read().unwrap(), 3);
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
    fn reads(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.poison.wrap(self.read_guard())
    }

    #[inline]
    fn read_guard(&self) -> RwLockReadGuard<'_, T> {
        let data = NonNull::new(self.data.get()).expect("invariant: data of a lock do not lie at address 0");
        RwLockReadGuard { raw: &self.raw, data }
    }

    #[inline]
    fn writes(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.poison.wrap(self.write_guard())
    }

    #[inline]
    fn write_guard(&self) -> RwLockWriteGuard<'_, T> {
        RwLockWriteGuard { lock: self, taken: Taken::now(), _stays: PhantomData }
    }
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Goes on reading: nobody writes in between. Readers that wait at the front of the queue read as well. No checkpoint.
    ///
    /// ```
    /// use kettle::sync::{RwLock, RwLockWriteGuard};
    ///
    /// let cups = RwLock::new(2);
    /// let mut guard = cups.write().unwrap();
    /// *guard += 1;
    /// let guard = RwLockWriteGuard::downgrade(guard);
    /// assert_eq!((*guard, *cups.read().unwrap()), (3, 3));
    /// ```
    pub fn downgrade(guard: Self) -> RwLockReadGuard<'a, T> {
        let lock = guard.lock;
        lock.poison.given_up(guard.taken);
        mem::forget(guard);
        lock.raw.downgrade();
        lock.read_guard()
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard has the lock for reading, so nobody writes.
        unsafe { self.data.as_ref() }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard has the lock for writing.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has the lock for writing, and this is the only reference that comes out of it.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.raw.unlock_read();
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.poison.given_up(self.taken);
        self.lock.raw.unlock_write();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(data: T) -> Self {
        Self::new(data)
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RwLock");
        match self.try_read().map_err(poisoned) {
            Ok(guard) | Err(Some(guard)) => shown.field("data", &&*guard),
            Err(None) => shown.field("data", &format_args!("<locked>")),
        };
        shown.field("poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}
