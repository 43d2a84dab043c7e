//! Owns who has a future go on that is polled: the thread's event loop, or a thread that blocks for it. Where it is neither, a
//! future that only an event loop can wake says so, instead of never being woken.
//!
//! Inside of `run` it is the loop, whoever polls: other executors may stand between, and can't be told apart. Outside it is
//! the thread's own loop as long as the thread waits for a future, by [`wait`](crate::future::wait()), and nobody otherwise: an
//! executor that blocks the thread by itself runs no loop.
#![forbid(unsafe_code)]

use crate::blocked;
use crate::event_loop::{self, Loop};
use crate::header::{Flags, Purpose, TaskRef, Wait};
use std::cell::Cell;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Instant;

/// Who has what is polled here go on.
pub(crate) enum Driven<'a> {
    By(&'a Loop),
    /// The thread blocks until it is woken, or until a time.
    Blocking,
    ByNobody,
}

thread_local! {
    /// How many waits of the thread, outside of `run`, have not ended.
    static WAITS: Cell<usize> = const { Cell::new(0) };

    /// The innermost wait that blocks the thread.
    static BLOCKED: Cell<Option<Blocked>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct Blocked {
    /// Where it is: in a loop that runs in there it is another.
    place: (*const Loop, Option<TaskRef>),
    /// When it is to poll again, woken or not.
    until: Option<Instant>,
}

fn place() -> (*const Loop, Option<TaskRef>) {
    let current = event_loop::current();
    (current.map_or(ptr::null(), ptr::from_ref), current.and_then(Loop::current_task))
}

/// Who has what is polled here go on.
pub(crate) fn driven<'a>() -> Driven<'a> {
    if BLOCKED.get().is_some_and(|blocked| blocked.place == place()) {
        return Driven::Blocking;
    }
    let is_outside = |event_loop: &Loop| event_loop.current_task().is_some_and(|task| task.is(Flags::THREAD));
    match event_loop::current() {
        Some(event_loop) if !is_outside(event_loop) || WAITS.get() > 0 => Driven::By(event_loop),
        _ => Driven::ByNobody,
    }
}

/// A wait of a task for a future. As long as that is there, a thread outside of `run` runs its loop.
pub(crate) struct Driving(bool);

impl Driving {
    #[inline]
    pub(crate) fn new(task: TaskRef) -> Self {
        let is_outside = task.is(Flags::THREAD);
        if is_outside {
            WAITS.set(WAITS.get() + 1);
        }
        Self(is_outside)
    }
}

impl Drop for Driving {
    #[inline]
    fn drop(&mut self) {
        if self.0 {
            WAITS.set(WAITS.get() - 1);
        }
    }
}

/// Has the wait that blocks the thread poll again at a time, at the latest.
pub(crate) fn block_until(at: Instant) {
    if let Some(blocked) = BLOCKED.get() {
        let until = blocked.until.map_or(at, |until| until.min(at));
        BLOCKED.set(Some(Blocked { until: Some(until), ..blocked }));
    }
}

/// Blocks the thread until a future is ready: in a task that is unwinding, and where there is no loop.
#[track_caller]
pub(crate) fn block_on<F: Future>(mut future: Pin<&mut F>) -> F::Output {
    struct Unparks {
        thread: thread::Thread,
        is_woken: AtomicBool,
    }
    impl Wake for Unparks {
        fn wake(self: Arc<Self>) {
            self.is_woken.store(true, Ordering::Release);
            self.thread.unpark();
        }
    }
    struct Before(Option<Blocked>);
    impl Drop for Before {
        fn drop(&mut self) {
            BLOCKED.set(self.0);
        }
    }
    let unparks = Arc::new(Unparks { thread: thread::current(), is_woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&unparks));
    let is_woken = || unparks.is_woken.load(Ordering::Acquire);
    let _before = Before(BLOCKED.get());
    loop {
        unparks.is_woken.store(false, Ordering::Release);
        BLOCKED.set(Some(Blocked { place: place(), until: None }));
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        match BLOCKED.get().and_then(|blocked| blocked.until) {
            Some(until) => thread::park_timeout(until.saturating_duration_since(Instant::now())),
            None => {
                while !is_woken() && !blocked::wait_for_threads(Purpose::here(Wait::Future), is_woken) {
                    thread::park();
                }
            }
        }
    }
}
