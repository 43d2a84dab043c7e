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
//! A poll may wait in turn, within itself, and a coroutine that is suspended in it may leave such a wait half-way. So a task
//! can have several pollers, and what wakes the task does not say which one it is for. All of it is counted, in the task; each
//! poller remembers how far the count was when its poll began, and polls again if there is more.
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

/// A wait of a task for a future, in the frame of the function that polls it. Other threads may see it during a poll.
pub(crate) struct Poller {
    /// The task's header: for other threads a number.
    task: NonNull<()>,
    mailbox: *const Mailbox,
    /// Whether the waker has been woken that is lent.
    is_woken: AtomicBool,
    /// What another thread has cloned in the poll that runs.
    foreign: OnceLock<Arc<Remote>>,
    /// What another thread has cloned last, in a poll that is over. Those before that need not be heard.
    last_foreign: Option<Arc<Remote>>,
    /// How often the task had been woken when the poll began that runs, or was the last.
    seen: u64,
}

impl Poller {
    #[inline]
    pub(crate) fn new(event_loop: &Loop, task: TaskRef) -> Self {
        if task.is(Flags::POLLED) && !task.has_rare() {
            // From now on what is heard is counted: it may be meant for either.
            task.with_rare(|_| ());
        }
        task.set(Flags::POLLED);
        Self {
            task: task.header().cast(),
            mailbox: Arc::as_ptr(event_loop.mailbox()),
            is_woken: AtomicBool::new(false),
            foreign: OnceLock::new(),
            last_foreign: None,
            seen: 0,
        }
    }

    /// The next poll begins: who wakes the task from now on finds it running.
    #[inline]
    pub(crate) fn begin(&mut self, task: TaskRef) {
        let wakes = self.wakes(task);
        self.seen = if task.has_rare() { wakes } else { 0 };
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
            && let Some(earlier) = self.last_foreign.replace(foreign)
        {
            // Nobody tells it of the task's end any more, and it may be in the mailbox.
            earlier.end();
        }
        // What is lent is lent to this poll. All else may have been meant for another one of this task, and is counted.
        if mem::take(self.is_woken.get_mut()) || self.wakes(task) != self.seen {
            return false;
        }
        let may_wait = self.last_foreign.as_deref().is_none_or(Remote::wait_for_waker);
        may_wait
            && (!task.has_rare() || task.with_rare(|rare| rare.remote.as_deref().is_none_or(Remote::wait_for_waker)))
    }

    /// The poller of a task that is a future, which has one for each poll. Between them it [rests](Self::rest).
    pub(crate) fn of_future(event_loop: &Loop, task: TaskRef) -> Self {
        let mut poller = Self::new(event_loop, task);
        if task.has_rare() {
            poller.last_foreign = task.with_rare(|rare| rare.foreign.take());
        }
        poller.begin(task);
        poller
    }

    /// The poll of a task that is a future is over, and was not ready. What waits to be woken stays so.
    pub(crate) fn rest(mut self, task: TaskRef) {
        task.clear(Flags::POLLED);
        if let Some(foreign) = self.last_foreign.take() {
            task.with_rare(|rare| rare.foreign = Some(foreign));
        }
    }

    /// After the last poll.
    #[inline]
    pub(crate) fn end(&mut self, task: TaskRef) {
        if task.has_rare() {
            // Perhaps it was meant for the poll below.
            self.wakes(task);
        } else {
            // There is no other one.
            task.clear(Flags::POLLED);
        }
    }

    /// How often the task has been woken, with what has been heard since this was last asked. As long as it has nothing to count
    /// by, one poller at most is there, and that counts from 0 each time.
    #[inline]
    fn wakes(&self, task: TaskRef) -> u64 {
        let mut heard = u64::from(task.is(Flags::WOKEN));
        task.clear(Flags::WOKEN);
        heard += self.last_foreign.as_deref().map_or(0, |foreign| foreign.stop_waiting_for_waker().into());
        if !task.has_rare() {
            return heard;
        }
        task.with_rare(|rare| {
            heard += rare.remote.as_deref().map_or(0, |remote| remote.stop_waiting_for_waker().into());
            rare.wakes += heard;
            rare.wakes
        })
    }
}

impl Drop for Poller {
    #[inline]
    fn drop(&mut self) {
        // The future has ended, and with it whatever these were to wake.
        for foreign in [self.foreign.get(), self.last_foreign.as_ref()].into_iter().flatten() {
            foreign.end();
        }
    }
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
        // At home that is counted, which other threads need not see.
        Some((event_loop, Some(task))) => {
            // Not by the flag alone: it may have been set for another poll.
            task.with_rare(|rare| rare.wakes += 1);
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
