//! Owns the cell that is written once.
//!
//! The unsafe code of this module is reaching the value: it is written by the function of a [`Once`], and nobody looks before
//! that has been done.

use super::once::Once;
use super::system::constant;
use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// A cell that is written once: `std::sync::OnceLock` for tasks.
///
/// ```
/// use kettle::sync::OnceLock;
///
/// static KETTLE: OnceLock<String> = OnceLock::new();
///
/// kettle::run(|| {
///     assert_eq!(KETTLE.get(), None);
///     assert_eq!(KETTLE.get_or_init(|| "whistling".to_owned()), "whistling");
///     assert_eq!(KETTLE.get().unwrap(), "whistling");
/// });
/// ```
///
/// While one task computes the value others that want it are suspended. An initialiser that asks for its own value waits for
/// itself; see [`Once`].
pub struct OnceLock<T> {
    once: Once,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: what is shared is the value; and one thread's may be dropped by another.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}

impl<T: UnwindSafe> UnwindSafe for OnceLock<T> {}
impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}

impl<T> OnceLock<T> {
    constant! {
        /// An empty one.
        ///
        /// ```
        /// use kettle::sync::OnceLock;
        ///
        /// assert_eq!(OnceLock::<u32>::new().get(), None);
        /// ```
        #[must_use]
        pub const fn new() -> Self {
            Self { once: Once::new(), value: UnsafeCell::new(None) }
        }
    }

    /// The value, if there is one. No checkpoint.
    ///
    /// ```
    /// use kettle::sync::OnceLock;
    ///
    /// assert_eq!(OnceLock::from(2).get(), Some(&2));
    /// ```
    #[inline]
    pub fn get(&self) -> Option<&T> {
        if !self.once.is_completed() {
            return None;
        }
        // SAFETY: it has been written, and is written no more as long as it is shared.
        unsafe { &*self.value.get() }.as_ref()
    }

    /// The value, if there is one, to be changed.
    ///
    /// ```
    /// use kettle::sync::OnceLock;
    ///
    /// let mut cups = OnceLock::from(2);
    /// *cups.get_mut().unwrap() += 1;
    /// assert_eq!(cups.get(), Some(&3));
    /// ```
    #[inline]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut().as_mut()
    }

    /// Waits until there is a value. A checkpoint only if it waits.
    ///
    /// ```
    /// use kettle::sync::OnceLock;
    /// use kettle::thread;
    ///
    /// kettle::run(|| {
    ///     let tea = OnceLock::new();
    ///     thread::scope(|s| {
    ///         s.spawn(|| tea.set("hot"));
    ///         assert_eq!(tea.wait(), &"hot");
    ///     });
    /// });
    /// ```
    ///
    /// # Cancellation
    ///
    /// A task that is cancelled while it waits is unwound. Where panics abort it goes on waiting.
    #[track_caller]
    pub fn wait(&self) -> &T {
        self.once.wait_force();
        self.get().expect("invariant: a cell whose once has been done has a value")
    }

    /// Writes the value. A checkpoint only if somebody else is writing one: then it waits for that.
    ///
    /// ```
    /// use kettle::sync::OnceLock;
    ///
    /// let cups = OnceLock::new();
    /// assert_eq!(cups.set(2), Ok(()));
    /// assert_eq!(cups.set(3), Err(3));
    /// assert_eq!(cups.get(), Some(&2));
    /// ```
    ///
    /// # Errors
    ///
    /// The value, if there is one already.
    ///
    /// # Cancellation
    ///
    /// As [`wait`](Self::wait).
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init(|| value.take().expect("invariant: a function is called once"));
        value.map_or(Ok(()), Err)
    }

    /// The value; if there is none, the function's. A checkpoint only if somebody else is computing one: then it waits for
    /// that.
    ///
    /// ```
    /// use kettle::sync::OnceLock;
    ///
    /// let cups = OnceLock::new();
    /// assert_eq!(cups.get_or_init(|| 2), &2);
    /// assert_eq!(cups.get_or_init(|| 3), &2);
    /// ```
    ///
    /// # Panics
    ///
    /// With the function's panic. The cell stays empty then, and the next one tries. Where it would wait for its own thread
    /// for ever.
    ///
    /// # Cancellation
    ///
    /// As [`wait`](Self::wait).
    #[track_caller]
    pub fn get_or_init<F: FnOnce() -> T>(&self, f: F) -> &T {
        self.once.call_once_force(|_| {
            let value = f();
            // SAFETY: this is the one function of the `Once` that runs, and nobody looks before it has been done.
            unsafe { *self.value.get() = Some(value) };
        });
        self.get().expect("invariant: a cell whose once has been done has a value")
    }

    /// The value, if there is one, when nobody needs the cell any more.
    ///
    /// ```
    /// use kettle::sync::OnceLock;
    ///
    /// assert_eq!(OnceLock::from(2).into_inner(), Some(2));
    /// ```
    #[inline]
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Takes the value out. The cell is as new.
    ///
    /// ```
    /// use kettle::sync::OnceLock;
    ///
    /// let mut cups = OnceLock::from(2);
    /// assert_eq!((cups.take(), cups.take()), (Some(2), None));
    /// assert_eq!(cups.set(3), Ok(()));
    /// ```
    #[inline]
    pub fn take(&mut self) -> Option<T> {
        std::mem::take(self).into_inner()
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> Self {
        let cell = Self::new();
        cell.get_or_init(|| value);
        cell
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    fn clone(&self) -> Self {
        self.get().map_or_else(Self::new, |value| Self::from(value.clone()))
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceLock<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_tuple("OnceLock");
        match self.get() {
            Some(value) => shown.field(value),
            None => shown.field(&format_args!("<uninit>")),
        };
        shown.finish()
    }
}
