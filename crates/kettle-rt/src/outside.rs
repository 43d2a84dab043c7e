//! Owns what a thread is outside of [`run`](crate::EventLoop::run): when it first spawns a task there, it gets an event loop
//! of its own, and is itself a task of it, the one that runs on the thread's stack.
//!
//! Where it waits, by any function of this crate, that loop's other tasks run, on top of its stack; as long as it does
//! not wait, they don't. Before it spawns anything the thread has no loop, and waits as with `std`.
//!
//! When the thread ends, tasks of it that have not ended are left where they are: their stacks are never used again. To
//! unwind them there would be to run them among thread-locals that have gone (S7). What else runs there, destructors of the
//! thread's other thread-locals, waits as with `std` again, and is unparked so by those who know the thread.
//!
//! The unsafe code of this module is a box whose content is referred to until the thread ends.

use crate::event_loop::{self, Loop};
use crate::header::TaskRef;
use crate::remote::Remote;
use crate::task;
use crate::waker::remote_of;
use kettle_driver::{Config, Driver, Kind};
use std::cell::{Cell, RefCell};
use std::io;
use std::panic::Location;
use std::ptr;
use std::sync::Arc;
use std::thread;

/// A thread's own loop, and the task that the thread is.
struct Own {
    event_loop: Cell<*mut Loop>,
    thread: Cell<Option<TaskRef>>,
}

thread_local! {
    static OWN: Own = const { Own { event_loop: Cell::new(ptr::null_mut()), thread: Cell::new(None) } };
    /// How the thread is found from others, as what it is outside of `run`.
    static REMOTE: Found = const { Found(RefCell::new(None)) };
}

/// How a thread is found, until its thread-locals go.
struct Found(RefCell<Option<Arc<Remote>>>);

/// The loop that runs on this thread, or else the thread's own, which is made if there is none.
///
/// # Errors
///
/// If it can't be made; or the thread is about to end.
#[inline]
#[track_caller]
pub(crate) fn event_loop<'a>() -> io::Result<&'a Loop> {
    // Not by a closure: where the thread becomes a task is the caller.
    match event_loop::current() {
        Some(event_loop) => Ok(event_loop),
        None => make(Location::caller()),
    }
}

/// How this thread is found from others. Where that is not known any more, because it ends, it is one that it has left.
pub(crate) fn remote() -> Arc<Remote> {
    let make = || Remote::new(None, thread::current().name().map(Box::from));
    let found = REMOTE.try_with(|Found(remote)| {
        let mut remote = remote.borrow_mut();
        // That of a loop which has gone, or is a forked child's parent's.
        if let Some(old) = remote.take_if(|remote| remote.belongs() && event_loop::current().is_none()) {
            leave(&old);
        }
        Arc::clone(remote.get_or_insert_with(make))
    });
    found.unwrap_or_else(|_| {
        let remote = make();
        remote.leave();
        remote
    })
}

/// This thread leaves a remote. If it has the token, it has that of `std`.
fn leave(remote: &Remote) {
    if remote.leave() {
        thread::current().unpark();
    }
}

#[cold]
fn make<'a>(at: &'static Location<'static>) -> io::Result<&'a Loop> {
    // Before this thread-local is used for the first time: it has to go before those that the loop uses.
    let driver = real_driver()?;
    let clock = (driver.clock(), None);
    let made = Box::new(Loop::new(driver, kettle_fiber::DEFAULT_STACK_SIZE, clock, None)?);
    OWN.try_with(|own| {
        let event_loop = Box::into_raw(made);
        own.event_loop.set(event_loop);
        // SAFETY: it is there until the thread ends, and only shared from here on.
        let event_loop = unsafe { &*event_loop };
        // SAFETY: the function borrows nothing, and nobody takes its result.
        let thread = unsafe { task::make(event_loop, || (), at, None) };
        own.thread.set(Some(thread));
        let remote = remote();
        remote.belong_to(Arc::clone(event_loop.mailbox()), thread.header().as_ptr().cast());
        thread.with_rare(|rare| rare.remote = Some(remote));
        event_loop.begin_outside(thread);
        event_loop
    })
    .map_err(|_| io::Error::other("the thread is about to end, and its event loop has gone"))
}

/// The driver that the environment names, if that isn't the simulated one: what is simulated has a beginning and an end.
fn real_driver() -> io::Result<Driver> {
    let driver = Driver::new().map_err(io::Error::other)?;
    if driver.choice().kind() != Kind::Sim {
        return Ok(driver);
    }
    let with = |kind| Driver::with(Config { kind: Some(kind), ..Config::default() });
    with(Kind::Uring).or_else(|_| with(Kind::Epoll)).map_err(io::Error::other)
}

impl Drop for Found {
    fn drop(&mut self) {
        // That of a thread with a loop is left when the loop goes.
        if let Some(remote) = self.0.take().filter(|remote| !remote.belongs() || event_loop::current().is_none()) {
            leave(&remote);
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        // Not after the loop has gone: who unparks it meanwhile tells the loop, or finds that it has left.
        leave(&remote_of(thread));
        let event_loop = self.event_loop.replace(ptr::null_mut());
        // SAFETY: made by a box. References to it are those of calls that have returned: this is the thread's end.
        let event_loop = unsafe { Box::from_raw(event_loop) };
        if event_loop.is_copy.get() {
            // In a forked child: it is the parent's, and stands still.
            Box::leak(event_loop);
            return;
        }
        if event_loop.end_outside(thread) {
            drop(event_loop);
        } else {
            event_loop.abandon();
        }
    }
}
