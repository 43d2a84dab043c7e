//! Owns what channels are built of that a model checker has to see: atomics, and a wait. Under `--cfg loom` these
//! are loom's, so that `tests/loom_channels.rs` checks the code that runs elsewhere; only the lock is another one.
#![forbid(unsafe_code)]

#[cfg(loom)]
pub(crate) use crate::sync::model::Waiter;
#[cfg(loom)]
pub(crate) use checked::Lookout;
#[cfg(not(loom))]
pub(crate) use kettle_rt::{Lookout, Waiter};
pub(crate) use kettle_rt::{Purpose, Wait, Woken};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicUsize, Ordering};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicUsize, Ordering};

#[cfg(loom)]
mod checked {
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
}
