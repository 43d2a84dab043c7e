//! Owns what stands for tasks in models (`cfg(loom)`): loom's threads. A wait with a deadline ends by it at once, unless the
//! notice has come before, and cancelling is a switch; loom tries all orders in which they and the notices can cross.

use kettle_rt::Woken;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use std::cell::Cell;
use std::panic::resume_unwind;
use std::ptr::NonNull;
use std::time::Instant;

loom::thread_local! {
    static IS_CANCELLED: Cell<bool> = Cell::new(false);
    static IS_SHIELDED: Cell<bool> = Cell::new(false);
    static HERE: usize = next_thread();
}

/// As [`kettle_rt::Waiter`].
#[derive(Debug)]
pub(crate) struct Waiter {
    thread: thread::Thread,
    is_notified: AtomicBool,
}

impl Waiter {
    pub(crate) fn new() -> Self {
        Self { thread: thread::current(), is_notified: AtomicBool::new(false) }
    }

    /// They stand for tasks, which don't.
    pub(crate) fn blocks_thread(&self) -> bool {
        false
    }

    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Woken {
        while !self.is_notified.load(Ordering::Acquire) {
            if is_cancelled() {
                return Woken::Cancelled;
            }
            if deadline.is_some() {
                return Woken::TimedOut;
            }
            thread::park();
        }
        Woken::Notified
    }

    pub(crate) fn wait_for_notice(&self) {
        while !self.is_notified.load(Ordering::Acquire) {
            thread::park();
        }
    }

    /// # Safety
    ///
    /// As [`kettle_rt::Waiter::notify`].
    pub(crate) unsafe fn notify(this: NonNull<Self>) {
        // SAFETY: by the obligation.
        let waiter = unsafe { this.as_ref() };
        let thread = waiter.thread.clone();
        waiter.is_notified.store(true, Ordering::Release);
        thread.unpark();
    }
}

/// Cancels what the current thread waits for from now on, or nothing any more.
pub fn set_cancelled(is_cancelled: bool) {
    IS_CANCELLED.with(|cell| cell.set(is_cancelled));
}

fn is_cancelled() -> bool {
    IS_CANCELLED.with(Cell::get) && !IS_SHIELDED.with(Cell::get)
}

pub(crate) fn raise_if_cancelled() {
    if is_cancelled() {
        resume_unwind(Box::new("cancelled"));
    }
}

pub(crate) fn shield<T>(f: impl FnOnce() -> T) -> T {
    let before = IS_SHIELDED.with(|cell| cell.replace(true));
    let result = f();
    IS_SHIELDED.with(|cell| cell.set(before));
    result
}

pub(crate) fn here() -> usize {
    HERE.with(|here| *here)
}

fn next_thread() -> usize {
    // Not a part of the model: which number it is changes nothing.
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(2);
    NEXT.fetch_add(2, std::sync::atomic::Ordering::Relaxed)
}
