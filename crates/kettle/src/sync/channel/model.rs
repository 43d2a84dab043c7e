//! Owns what channels are built of that a model checker has to see: atomics, a shared cell, a wait. Under `--cfg loom` these
//! are loom's, so that `tests/loom_channels.rs` checks the very code that runs elsewhere.

#[cfg(loom)]
pub(crate) use checked::{Shared, Waiter, relax};
#[cfg(not(loom))]
pub(crate) use kettle_rt::Waiter;
pub(crate) use kettle_rt::Woken;
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
#[cfg(not(loom))]
pub(crate) use real::{Shared, relax};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[cfg(not(loom))]
mod real {
    use std::cell::UnsafeCell;
    use std::time::Duration;
    use std::{hint, thread};

    /// A value that several threads reach, one at a time.
    pub(crate) struct Shared<T>(UnsafeCell<T>);

    impl<T> Shared<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(UnsafeCell::new(value))
        }

        /// Where it is. Who reads or writes there is alone.
        #[inline]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }

    /// Waits for another thread to do the next few instructions, the longer the more often it was in vain: that thread may
    /// have to be scheduled first, and not before a thread of higher priority sleeps.
    #[cold]
    pub(crate) fn relax(round: u32) {
        match round {
            0..64 => hint::spin_loop(),
            64..128 => thread::yield_now(),
            _ => thread::sleep(Duration::from_micros(50)),
        }
    }
}

#[cfg(loom)]
mod checked {
    use super::{AtomicBool, Ordering, Woken};
    use loom::cell::UnsafeCell;
    use loom::thread;
    use std::ptr::NonNull;
    use std::time::Instant;

    pub(crate) struct Shared<T>(UnsafeCell<T>);

    impl<T> Shared<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(UnsafeCell::new(value))
        }

        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            self.0.with_mut(f)
        }
    }

    pub(crate) fn relax(_: u32) {
        thread::yield_now();
    }

    /// kettle-rt's, for threads of a model. A deadline has always come, unless the notice was faster.
    pub(crate) struct Waiter {
        thread: thread::Thread,
        is_notified: AtomicBool,
    }

    impl Waiter {
        pub(crate) fn new() -> Self {
            Self { thread: thread::current(), is_notified: AtomicBool::new(false) }
        }

        pub(crate) fn wait(&self, deadline: Option<Instant>) -> Woken {
            self.wait_unless(deadline, || false).unwrap_or(Woken::Notified)
        }

        pub(crate) fn wait_unless(&self, deadline: Option<Instant>, is_over: impl Fn() -> bool) -> Option<Woken> {
            while !self.is_notified.load(Ordering::Acquire) {
                if is_over() {
                    return None;
                }
                if deadline.is_some() {
                    return Some(Woken::TimedOut);
                }
                thread::park();
            }
            Some(Woken::Notified)
        }

        pub(crate) fn wait_for_notice(&self) {
            self.wait(None);
        }

        /// # Safety
        ///
        /// As of kettle-rt's.
        pub(crate) unsafe fn notify(this: NonNull<Self>) {
            // SAFETY: it is there until it has been notified.
            let waiter = unsafe { this.as_ref() };
            let thread = waiter.thread.clone();
            waiter.is_notified.store(true, Ordering::Release);
            thread.unpark();
        }
    }
}
