//! Owns what channels are built of that a model checker has to see: atomics, and a wait. Under `--cfg loom` these
//! are loom's, so that `tests/loom_channels.rs` checks the code that runs elsewhere; only the lock is another one.

#[cfg(loom)]
pub(crate) use checked::{Lookout, Waiter};
#[cfg(not(loom))]
pub(crate) use kettle_rt::{Lookout, Waiter};
pub(crate) use kettle_rt::{Purpose, Wait, Woken};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicUsize, Ordering};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicUsize, Ordering};

#[cfg(loom)]
mod checked {
    use super::{Ordering, Purpose, Wait, Woken};
    use loom::sync::atomic::AtomicBool;
    use loom::thread;
    use std::ptr::NonNull;
    use std::time::Instant;

    /// kettle-rt's, which sees nothing: what happens then happens to who comes a little later.
    pub(crate) struct Lookout;

    impl Lookout {
        pub(crate) const fn new() -> Self {
            Self
        }

        pub(crate) fn pause(&self, _: u32) {}

        pub(crate) fn look<R>(&self, _: impl FnMut() -> Option<R>) -> Option<R> {
            None
        }
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

        /// Those of a model stand for tasks.
        pub(crate) fn blocks_thread(&self) -> bool {
            false
        }

        pub(crate) fn wait_for(&self, purpose: Purpose, deadline: Option<Instant>) -> Woken {
            self.wait_unless(purpose, deadline, || false).unwrap_or(Woken::Notified)
        }

        pub(crate) fn wait_unless(
            &self,
            _: Purpose,
            deadline: Option<Instant>,
            is_over: impl Fn() -> bool,
        ) -> Option<Woken> {
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
            self.wait_for(Purpose::here(Wait::Notice), None);
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
