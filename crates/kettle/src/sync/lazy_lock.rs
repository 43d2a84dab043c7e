//! Owns the value that is computed when it is first asked for.
//!
//! The unsafe code of this module is reaching the value: it is written by the function of a [`Once`], and nobody looks before
//! that has been done.

use super::once::Once;
use super::system::constant;
use std::cell::UnsafeCell;
use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};

/// A value that is computed when it is first asked for: `std::sync::LazyLock` for tasks.
///
/// ```
/// use kettle::sync::LazyLock;
///
/// static MENU: LazyLock<Vec<&str>> = LazyLock::new(|| vec!["tea", "coffee"]);
///
/// kettle::run(|| {
///     assert_eq!(MENU.len(), 2);
/// });
/// ```
///
/// The function may wait; tasks that ask meanwhile are suspended. If it unwinds, and a task that is cancelled unwinds, the
/// value is poisoned: who asks panics from then on. A function that asks for its own value waits for itself; see [`Once`].
pub struct LazyLock<T, F = fn() -> T> {
    once: Once,
    content: UnsafeCell<Content<T, F>>,
}

enum Content<T, F> {
    Function(F),
    Value(T),
    /// The function was called, and has not returned.
    Nothing,
}

// SAFETY: what is shared is the value, and the function is called by one, wherever he is.
unsafe impl<T: Send + Sync, F: Send> Sync for LazyLock<T, F> {}

impl<T: UnwindSafe, F: UnwindSafe> UnwindSafe for LazyLock<T, F> {}
impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}

impl<T, F> Content<T, F> {
    fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }

    fn value_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }
}

impl<T, F: FnOnce() -> T> Content<T, F> {
    fn compute(&mut self) {
        if let Self::Function(f) = mem::replace(self, Self::Nothing) {
            *self = Self::Value(f());
        }
    }
}

impl<T, F> LazyLock<T, F> {
    /// The value, if it has been computed. No checkpoint.
    ///
    /// ```
    /// use kettle::sync::LazyLock;
    ///
    /// let cups = LazyLock::new(|| 2);
    /// assert_eq!(LazyLock::get(&cups), None);
    /// assert_eq!(*cups, 2);
    /// assert_eq!(LazyLock::get(&cups), Some(&2));
    /// ```
    #[inline]
    pub fn get(this: &Self) -> Option<&T> {
        if !this.once.is_completed() {
            return None;
        }
        // SAFETY: it has been written, and is written no more as long as it is shared.
        unsafe { &*this.content.get() }.value()
    }

    /// The value, if it has been computed, to be changed. No checkpoint.
    ///
    /// ```
    /// use kettle::sync::LazyLock;
    ///
    /// let mut cups = LazyLock::new(|| 2);
    /// assert_eq!(LazyLock::get_mut(&mut cups), None);
    /// LazyLock::force(&cups);
    /// *LazyLock::get_mut(&mut cups).unwrap() += 1;
    /// assert_eq!(*cups, 3);
    /// ```
    #[inline]
    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        this.content.get_mut().value_mut()
    }
}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    constant! {
        /// A value that this function will compute.
        ///
        /// ```
        /// use kettle::sync::LazyLock;
        ///
        /// assert_eq!(*LazyLock::new(|| 2), 2);
        /// ```
        pub const fn new(f: F) -> Self {
            Self { once: Once::new(), content: UnsafeCell::new(Content::Function(f)) }
        }
    }

    /// The value, computed if it has not been. A checkpoint only if somebody else is computing it: then it waits for that.
    ///
    /// ```
    /// use kettle::sync::LazyLock;
    ///
    /// let cups = LazyLock::new(|| 2);
    /// assert_eq!(LazyLock::force(&cups), &2);
    /// ```
    ///
    /// # Panics
    ///
    /// With the function's panic; if it has unwound; and where it would wait for its own thread for ever.
    ///
    /// # Cancellation
    ///
    /// A task that is cancelled while it waits is unwound. Where panics abort it goes on waiting.
    #[inline]
    #[track_caller]
    pub fn force(this: &Self) -> &T {
        // std's text, which tests and logs may look for.
        this.once.call_once_or_panic("LazyLock instance has previously been poisoned", || {
            // SAFETY: this is the one function of the `Once`, and nobody looks before it has been done.
            unsafe { &mut *this.content.get() }.compute();
        });
        Self::get(this).expect("invariant: what has been computed is there")
    }

    /// The value, computed if it has not been, to be changed. No checkpoint but those of the function.
    ///
    /// ```
    /// use kettle::sync::LazyLock;
    ///
    /// let mut cups = LazyLock::new(|| 2);
    /// *LazyLock::force_mut(&mut cups) += 1;
    /// assert_eq!(*cups, 3);
    /// ```
    ///
    /// # Panics
    ///
    /// With the function's panic, and if it has unwound.
    #[track_caller]
    pub fn force_mut(this: &mut Self) -> &mut T {
        Self::force(this);
        Self::get_mut(this).expect("invariant: what has been computed is there")
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    #[inline]
    #[track_caller]
    fn deref(&self) -> &T {
        Self::force(self)
    }
}

impl<T, F: FnOnce() -> T> DerefMut for LazyLock<T, F> {
    #[inline]
    #[track_caller]
    fn deref_mut(&mut self) -> &mut T {
        Self::force_mut(self)
    }
}

impl<T: Default> Default for LazyLock<T> {
    fn default() -> Self {
        Self::new(T::default)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_tuple("LazyLock");
        match Self::get(self) {
            Some(value) => shown.field(value),
            None => shown.field(&format_args!("<uninit>")),
        };
        shown.finish()
    }
}
