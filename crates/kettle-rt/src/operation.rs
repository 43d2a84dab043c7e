//! Owns operations: how a task has the driver do something, and is suspended until it is done.
//!
//! What an operation points to lies in the frame of the task that waits for it, and that one does not go on before the
//! operation has completed, cancelled or not (S3).

use crate::cancelled::{Cancelled, Reason};
use crate::event_loop::{self, Loop};
use crate::header::{Flags, TaskRef};
use crate::region;
use crate::wait;
use kettle_driver::{Network, Op};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Bytes, or a descriptor, or `-errno`.
    Done(i32),
    /// The deadline came before. Nothing was transferred.
    TimedOut,
    /// The task has been cancelled. Nothing was transferred. Said once: then the task is unwound.
    Cancelled,
    /// There is no task that could be suspended: outside of `run`, or while unwinding. Nothing was done.
    NoTask,
}

/// Does an operation for the current task. A checkpoint.
///
/// An operation that was done before its deadline or a cancellation could stop it is done: data that has arrived is given,
/// a descriptor is handed over.
///
/// # Safety
///
/// What the operation points to is valid until this returns.
#[inline]
pub unsafe fn operate(op: Op, deadline: Option<Instant>) -> Outcome {
    let Some((event_loop, task)) = event_loop::task() else { return Outcome::NoTask };
    if wait::hears_cancellation(task) {
        return told(task);
    }
    if let Some(deadline) = deadline {
        // SAFETY: passed on.
        return unsafe { operate_until(event_loop, task, op, deadline) };
    }
    // SAFETY: passed on.
    match unsafe { event_loop.operate(task, op) } {
        CANCELLED if wait::hears_cancellation(task) => told(task),
        result => Outcome::Done(result),
    }
}

/// A cancellation is told once, as an error. Who does not end by it, because the error was ignored, is unwound the next time:
/// otherwise a loop over what may fail would never end.
#[cold]
fn told(task: TaskRef) -> Outcome {
    if task.is(Flags::TOLD) {
        wait::check(task);
    }
    task.set(Flags::TOLD);
    Outcome::Cancelled
}

/// What a cancelled operation gives.
const CANCELLED: i32 = -libc::ECANCELED;

/// # Safety
///
/// As of `operate`.
unsafe fn operate_until(event_loop: &Loop, task: TaskRef, op: Op, deadline: Instant) -> Outcome {
    event_loop.set_timer(task, deadline);
    // SAFETY: passed on.
    let result = unsafe { event_loop.operate(task, op) };
    let timed_out = event_loop.clear_timer(task);
    match result {
        CANCELLED if wait::hears_cancellation(task) => told(task),
        CANCELLED if timed_out => Outcome::TimedOut,
        result => Outcome::Done(result),
    }
}

/// What [`operate`] is besides an operation, for who does one without it: it can be cancelled there, and it counts, so that
/// others have their turn. A checkpoint.
///
/// ```
/// use kettle_rt::{EventLoop, Outcome, checkpoint, spawn};
/// use std::{cell::Cell, rc::Rc};
///
/// EventLoop::new()?.run(|| {
///     let is_done = Rc::new(Cell::new(false));
///     spawn({
///         let is_done = Rc::clone(&is_done);
///         move || is_done.set(true)
///     });
///     while !is_done.get() {
///         assert_eq!(checkpoint(), Outcome::Done(0));
///     }
/// });
/// assert_eq!(checkpoint(), Outcome::NoTask);
/// # Ok::<(), std::io::Error>(())
/// ```
#[inline]
pub fn checkpoint() -> Outcome {
    let Some((event_loop, task)) = event_loop::task() else { return Outcome::NoTask };
    if !wait::hears_cancellation(task) {
        event_loop.pass(task);
    }
    if wait::hears_cancellation(task) { told(task) } else { Outcome::Done(0) }
}

/// Says that a descriptor comes from elsewhere, and that operations will use it: a driver may know its number from a file that
/// has been closed elsewhere. Without that they may have to wait some milliseconds for nothing.
///
/// Where no event loop runs there is nothing to say it to.
#[inline]
pub fn adopt(fd: BorrowedFd<'_>) {
    if let Some(event_loop) = event_loop::current() {
        event_loop.adopt(fd);
    }
}

/// Says that a descriptor which operations have used is given away. Whoever owns it and does not [`close`] it says so.
pub fn release(fd: BorrowedFd<'_>) {
    if let Some(event_loop) = event_loop::current() {
        event_loop.release(fd);
    }
}

/// Closes a descriptor that operations have used. Whoever owns it closes it by this: a driver may keep something for it.
pub fn close(fd: OwnedFd) {
    match event_loop::current() {
        Some(event_loop) => event_loop.close(fd),
        None => drop(fd),
    }
}

/// The error of an operation of the current task that was cancelled: its source is [`Cancelled`].
pub fn cancelled() -> io::Error {
    match event_loop::task() {
        Some((_, task)) => region::cancelled(task).into(),
        None => Cancelled::new(Reason::Shutdown).into(),
    }
}

/// Asks the network of the simulation that runs on this thread for something: what the host of the current task sees of it.
/// `None`, and nothing is asked: no simulation runs here. No checkpoint.
///
/// ```
/// use kettle_rt::simulated;
///
/// assert!(simulated(|network| network.now()).is_none());
/// ```
///
/// # Panics
///
/// If the function asks again, or does an operation.
#[inline]
pub fn simulated<T>(f: impl FnOnce(&mut Network<'_>) -> T) -> Option<T> {
    let event_loop = event_loop::current()?;
    event_loop.order()?;
    event_loop.network(f)
}

/// Does a transfer in a simulation where nobody can wait: the result, `-EAGAIN` if it would wait. `None`, and nothing is
/// done: no simulation runs on this thread.
///
/// # Safety
///
/// What the operation points to is valid.
pub unsafe fn attempt(op: Op) -> Option<i32> {
    let event_loop = event_loop::current()?;
    event_loop.order()?;
    let impatient = match op {
        Op::Recv { fd, buf, len, flags } => Op::Recv { fd, buf, len, flags: flags | libc::MSG_DONTWAIT },
        Op::Send { fd, buf, len, flags } => Op::Send { fd, buf, len, flags: flags | libc::MSG_DONTWAIT },
        Op::RecvMsg { fd, msg, flags } => Op::RecvMsg { fd, msg, flags: flags | libc::MSG_DONTWAIT },
        Op::SendMsg { fd, msg, flags } => Op::SendMsg { fd, msg, flags: flags | libc::MSG_DONTWAIT },
        _ => return Some(-libc::EOPNOTSUPP),
    };
    // SAFETY: by the obligation: it does not wait, so nothing is in flight afterwards.
    Some(unsafe { event_loop.attempt(impatient) })
}
