//! Owns what stands for tasks in models (`cfg(loom)`): loom's threads. A wait with a deadline ends by it at once,
//! unless the notice has come before, and a thread is cancelled at a wait that the model names; loom tries all orders
//! in which they and the notices can cross.

use kettle_rt::{Purpose, Woken};
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use std::cell::Cell;
use std::panic::resume_unwind;
use std::ptr::NonNull;
use std::time::Instant;

loom::thread_local! {
    static WAITS_LEFT: Cell<usize> = Cell::new(usize::MAX);
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
            if is_cancelled() {
                return Some(Woken::Cancelled);
            }
            if is_over() {
                return None;
            }
            if deadline.is_some() {
                return Some(Woken::TimedOut);
            }
            thread::park();
        }
        if WAITS_LEFT.with(Cell::get) != usize::MAX {
            WAITS_LEFT.with(|cell| cell.set(cell.get().saturating_sub(1)));
        }
        Some(Woken::Notified)
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

/// Cancels the current thread when it has waited so many times; `usize::MAX` stands for never.
pub fn cancel_after(waits: usize) {
    WAITS_LEFT.with(|cell| cell.set(waits));
}

fn is_cancelled() -> bool {
    WAITS_LEFT.with(Cell::get) == 0 && !IS_SHIELDED.with(Cell::get)
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
