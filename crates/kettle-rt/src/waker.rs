//! Owns the wakers with which tasks poll futures.
//!
//! While it polls, a task lends the future a waker that is a reference to a [`Poller`] in its frame, which costs nothing.
//! A clone of that is a task's [`Remote`], made once for a task, so it may go to any thread and outlive the task; waking
//! what has ended does nothing. Who clones it on another thread, in the middle of a poll, gets a remote of its own, since
//! what the task has made is for its own thread only.
//!
//! ```text
//!  a poll was not ready      has anybody woken it since it began?     yes: it is polled again, when others had their turn
//!                            no: it says that it waits; who wakes it now puts it into the queue, or into the mailbox
//! ```
//!
//! The unsafe code of this module is the vtables of wakers.

use crate::event_loop::{self, Loop};
use crate::header::{Flags, TaskRef};
use crate::remote::{Mailbox, Remote};
use std::mem::{self, ManuallyDrop};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, RawWaker, RawWakerVTable, Waker};

/// A task that polls a future, in the frame of the function that does it. Other threads may see it during a poll.
pub(crate) struct Poller {
    /// The task's header: for other threads a number.
    task: NonNull<()>,
    mailbox: *const Mailbox,
    /// Whether the waker has been woken that is lent.
    is_woken: AtomicBool,
    /// What another thread has cloned in the poll that runs, or did last.
    foreign: OnceLock<Arc<Remote>>,
    /// Whether another poll of this task, below this one, had been woken when this one began.
    was_woken: bool,
}

impl Poller {
    pub(crate) fn new(event_loop: &Loop, task: TaskRef) -> Self {
        let was_woken = task.is(Flags::WOKEN);
        task.clear(Flags::WOKEN);
        Self {
            task: task.header().cast(),
            mailbox: Arc::as_ptr(event_loop.mailbox()),
            is_woken: AtomicBool::new(false),
            foreign: OnceLock::new(),
            was_woken,
        }
    }

    /// Calls a function with a context whose waker wakes this task.
    pub(crate) fn with_context<T>(&self, f: impl FnOnce(&mut Context<'_>) -> T) -> T {
        let lent = RawWaker::new(ptr::from_ref(self).cast(), &LENT);
        // SAFETY: the vtable's functions may be called from any thread, and the waker goes before the poller.
        let waker = ManuallyDrop::new(unsafe { Waker::from_raw(lent) });
        f(&mut Context::from_waker(&waker))
    }

    /// After a poll that was not ready: whether the task may wait until it is woken. Otherwise it is to poll again.
    pub(crate) fn may_wait(&mut self, task: TaskRef) -> bool {
        if let Some(foreign) = self.foreign.take()
            && let Some(earlier) = task.with_rare(|rare| rare.foreign.replace(foreign))
        {
            // Nobody tells it of the task's end any more, and it may be in the mailbox.
            earlier.end();
        }
        // What is lent is lent to this poll. All else may have been meant for the poll below.
        if mem::take(self.is_woken.get_mut()) {
            return false;
        }
        let is_woken = task.is(Flags::WOKEN) || !all_remotes(task, Remote::wait_for_waker);
        task.clear(Flags::WOKEN);
        self.was_woken |= is_woken;
        !is_woken
    }

    /// After a wait: who wakes the task from now on finds it running.
    pub(crate) fn stop_waiting(&mut self, task: TaskRef) {
        let mut is_woken = task.is(Flags::WOKEN);
        task.clear(Flags::WOKEN);
        all_remotes(task, |remote| {
            is_woken |= remote.stop_waiting_for_waker();
            true
        });
        self.was_woken |= is_woken;
    }

    /// After the last poll.
    pub(crate) fn end(&mut self, task: TaskRef) {
        self.stop_waiting(task);
        if self.was_woken {
            // Perhaps this was meant for the poll below.
            task.set(Flags::WOKEN);
        }
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        if let Some(foreign) = self.foreign.take() {
            // The future has ended, and with it whatever this was to wake.
            foreign.end();
        }
    }
}

/// Whether it is so of all by what other threads find a task, if they can.
fn all_remotes(task: TaskRef, mut f: impl FnMut(&Remote) -> bool) -> bool {
    !task.has_rare() || task.with_rare(|rare| rare.remote.iter().chain(&rare.foreign).all(|remote| f(remote)))
}

/// The task of this loop that has lent a waker, if one has.
pub(crate) fn lender(event_loop: &Loop, waker: &Waker) -> Option<TaskRef> {
    if !ptr::eq(waker.vtable(), &raw const LENT) {
        return None;
    }
    // SAFETY: a waker with this vtable has been lent, by a poller that is there.
    let poller = unsafe { &*waker.data().cast::<Poller>() };
    // SAFETY: this is the loop's own thread, and the task polls.
    (poller.mailbox == Arc::as_ptr(event_loop.mailbox())).then(|| unsafe { TaskRef::new(poller.task.cast()) })
}

/// A task's remote, made if there is none.
pub(crate) fn remote_of(task: TaskRef) -> Arc<Remote> {
    task.with_rare(|rare| match &rare.remote {
        Some(remote) => Arc::clone(remote),
        None => {
            // One that has ended needs no way back: its loop may have gone.
            // And one of the thread's own loop may be named while another one runs.
            let home = if task.has_ended() { None } else { event_loop::home_of(task) };
            let home = home.map(|event_loop| (Arc::clone(event_loop.mailbox()), task.header().as_ptr().cast()));
            let remote = Remote::new(home, rare.name.clone());
            Arc::clone(rare.remote.insert(remote))
        }
    })
}

/// Wakers that are lent for the length of a poll: a reference to a poller.
static LENT: RawWakerVTable = RawWakerVTable::new(clone_lent, wake_lent, wake_lent, drop_lent);

/// Their clones: a count of a remote.
static OWNED: RawWakerVTable = RawWakerVTable::new(clone_owned, wake_owned, wake_owned_by_ref, drop_owned);

unsafe fn clone_lent(poller: *const ()) -> RawWaker {
    // SAFETY: it is there as long as the waker is lent.
    let poller = unsafe { &*poller.cast::<Poller>() };
    let is_here = event_loop::current().is_some_and(|current| Arc::as_ptr(current.mailbox()) == poller.mailbox);
    let remote = if is_here {
        // SAFETY: this is its own thread, and it polls.
        remote_of(unsafe { TaskRef::new(poller.task.cast()) })
    } else {
        Arc::clone(poller.foreign.get_or_init(|| {
            // SAFETY: made from an `Arc`; the cells have one, and the poller's task keeps its block.
            unsafe { Arc::increment_strong_count(poller.mailbox) };
            // SAFETY: the count is the one that was just added.
            let mailbox = unsafe { Arc::from_raw(poller.mailbox) };
            Remote::new(Some((mailbox, poller.task.as_ptr())), None)
        }))
    };
    RawWaker::new(Arc::into_raw(remote).cast(), &OWNED)
}

unsafe fn wake_lent(poller: *const ()) {
    // SAFETY: it is there as long as the waker is lent.
    unsafe { &*poller.cast::<Poller>() }.is_woken.store(true, Ordering::Release);
}

unsafe fn drop_lent(_: *const ()) {}

unsafe fn clone_owned(remote: *const ()) -> RawWaker {
    // SAFETY: the waker has a count of it.
    unsafe { Arc::increment_strong_count(remote.cast::<Remote>()) };
    RawWaker::new(remote, &OWNED)
}

unsafe fn wake_owned(remote: *const ()) {
    // SAFETY: the waker's count goes with it.
    wake(&unsafe { Arc::from_raw(remote.cast::<Remote>()) });
}

unsafe fn wake_owned_by_ref(remote: *const ()) {
    // SAFETY: the waker's count stays: this is not dropped.
    wake(&ManuallyDrop::new(unsafe { Arc::from_raw(remote.cast::<Remote>()) }));
}

unsafe fn drop_owned(remote: *const ()) {
    // SAFETY: the waker's count goes with it.
    drop(unsafe { Arc::from_raw(remote.cast::<Remote>()) });
}

fn wake(remote: &Arc<Remote>) {
    match event_loop::here(remote) {
        // At home that is said by a flag, which other threads need not see.
        Some((event_loop, Some(task))) => {
            task.set(Flags::WOKEN);
            if remote.waits_for_waker() {
                event_loop.wake(task);
            }
        }
        Some((_, None)) => {}
        None => {
            if remote.wake_future() {
                remote.send();
            }
        }
    }
}
