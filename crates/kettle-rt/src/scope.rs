//! Owns the scope: tasks that borrow from the one that spawns them.
//!
//! `scope` returns, and unwinds, only when every task of it has ended: it catches what its function throws, waits, cancelled
//! or not, and then throws it again. So what the tasks borrow is there as long as they are. Who they report to, a count,
//! lies in the frame of `scope`.
//!
//! The unsafe code of this module is forgetting those lifetimes.

use crate::blocked::refuse_to_wait;
use crate::event_loop::{self, Loop};
use crate::header::{Flags, Purpose, Region, TaskRef, Wait};
use crate::join::{Builder, Ending, JoinHandle, expect};
use crate::outside;
use crate::region;
use crate::task;
use crate::thread::Thread;
use crate::wait;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process;
use std::thread;

/// Where tasks are spawned that borrow: `std::thread::Scope` for tasks. See [`scope`].
#[derive(Debug)]
pub struct Scope<'scope, 'env: 'scope> {
    region: Region,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// Runs a function that may spawn tasks which borrow from around it, and waits for all of them: `std::thread::scope` for
/// tasks. A checkpoint.
///
/// ```
/// use kettle_rt::{EventLoop, scope};
///
/// EventLoop::new()?.run(|| {
///     let mut cups = vec![1, 2, 3];
///     let mut poured = 0;
///     scope(|s| {
///         s.spawn(|| poured = cups.len());
///     });
///     cups.push(poured);
///     assert_eq!(cups, [1, 2, 3, 3]);
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
///
/// If a task of it panics and is not joined, or if the function panics; all of them have ended then. If this is no task, or
/// one that is unwinding; in a simulation's destructor that runs by unwinding this ends the process instead, which says so.
///
/// # Cancellation
///
/// A task that is cancelled waits here for the tasks of its scope all the same, and is unwound then.
#[track_caller]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    // Outside of `run` the thread becomes a task.
    _ = expect(outside::event_loop());
    let Some((_, task)) = event_loop::task() else {
        refuse_to_wait(
            Purpose::here(Wait::Tasks),
            "open a scope where nothing can wait for its tasks: inside of a future, or in a destructor that runs by unwinding",
        )
    };
    let scope = Scope { region: Region::default(), scope: PhantomData, env: PhantomData };
    region::enter(task, &scope.region);
    let result = catch_unwind(AssertUnwindSafe(|| f(&scope)));
    wait_for_members(&scope.region);
    leave(&scope.region);
    if result.is_ok()
        && let Some((_, task)) = event_loop::task()
    {
        // Its tasks may have been cancelled with it, so what it would return is not whole.
        wait::check(task);
    }
    match result {
        Err(panic) => resume_unwind(panic),
        Ok(_) if scope.region.unheard.get() > 0 => panic!("a scoped task panicked"),
        Ok(result) => result,
    }
}

/// Waits, cancelled or not, until all tasks that were spawned in a region have ended.
#[track_caller]
pub(crate) fn wait_for_members(region: &Region) {
    // Asked each time: a coroutine may take a scope's function to another task.
    while !region.members.borrow().is_empty() {
        let Some((event_loop, task)) = event_loop::task() else {
            let is_copy = region.members.borrow().iter().all(|&member| event_loop::home_of(member).is_none());
            // Those of a forked child stand still for ever, and see nothing of what is gone.
            assert!(
                !is_copy,
                "end a scope whose tasks can't be waited for: they are the parent's, and this is in a forked process"
            );
            // They borrow from what goes when this returns or panics.
            eprintln!(
                "end a scope whose tasks run, where nothing can wait for them: in a destructor that runs by unwinding, or \
                 on the event loop's own stack"
            );
            process::abort();
        };
        let shielded = task.is(Flags::SHIELDED);
        task.set(Flags::SHIELDED);
        region.waiter.set(Some(task));
        event_loop.wait(task, Purpose::here(Wait::Tasks));
        if !shielded {
            task.clear(Flags::SHIELDED);
        }
    }
}

/// The region's task leaves it, if that has not ended. Gives whether it is cancelled outside as well.
pub(crate) fn leave(region: &Region) -> bool {
    let Some((task, event_loop)) = region.task.get().and_then(|task| Some((task, event_loop::home_of(task)?))) else {
        return false;
    };
    event_loop.leave(task, region)
}

impl<'scope> Scope<'scope, '_> {
    /// Takes in a task that was made for this scope.
    pub(crate) fn admit(&self, event_loop: &Loop, task: TaskRef) {
        event_loop.admit_to(&self.region, task);
    }

    /// Spawns a task of this scope. It may borrow whatever outlives the scope, and the scope itself.
    ///
    /// # Panics
    ///
    /// If there is no event loop on this thread and none can be made.
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + 'scope,
        T: 'scope,
    {
        expect(Builder::new().spawn_scoped(self, f))
    }
}

impl Builder {
    /// Spawns a task of a scope; see [`Scope::spawn`].
    ///
    /// # Errors
    ///
    /// If there is no event loop on this thread and none can be made.
    #[track_caller]
    pub fn spawn_scoped<'scope, F, T>(
        self,
        scope: &'scope Scope<'scope, '_>,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + 'scope,
        T: 'scope,
    {
        let event_loop = outside::event_loop()?;
        // SAFETY: 1. what it borrows outlives 'scope, and the task ends before that: `scope` waits. A handle is not there any
        // longer. 2. The handle takes a `T`.
        let task = unsafe { task::make(event_loop, f, self.place(), self.rare()) };
        // SAFETY: the same, and it is the only handle.
        let handle = unsafe { JoinHandle::new(task) };
        scope.admit(event_loop, task);
        Ok(ScopedJoinHandle::new(handle, scope))
    }
}

/// A task of a scope that may be waited for: `std::thread::ScopedJoinHandle` for tasks.
pub struct ScopedJoinHandle<'scope, T> {
    handle: JoinHandle<T>,
    scope: &'scope Region,
}

impl<'scope, T> ScopedJoinHandle<'scope, T> {
    pub(crate) fn new(handle: JoinHandle<T>, scope: &'scope Scope<'scope, '_>) -> Self {
        Self { handle, scope: &scope.region }
    }

    /// As [`JoinHandle::join`].
    ///
    /// # Errors
    ///
    /// The payload of the task's panic, or [`Cancelled`](crate::Cancelled).
    ///
    /// # Panics
    ///
    /// As `JoinHandle::join`.
    #[track_caller]
    pub fn join(self) -> thread::Result<T> {
        let result = self.handle.join();
        if task::has_panicked(&result) {
            self.scope.unheard.set(self.scope.unheard.get() - 1);
        }
        result
    }

    /// As [`JoinHandle::ending`].
    pub fn ending(&mut self) -> Ending<'_> {
        self.handle.ending()
    }

    /// As [`JoinHandle::cancel`].
    pub fn cancel(&self) {
        self.handle.cancel();
    }

    /// As [`JoinHandle::is_finished`].
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// As [`JoinHandle::thread`].
    pub fn thread(&self) -> &Thread {
        self.handle.thread()
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedJoinHandle").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}
