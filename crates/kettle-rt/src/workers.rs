//! Workers: an event loop on each core, each on a thread of its own.
//!
//! ```
//! use kettle_rt::workers::workers;
//!
//! let words = ["put", "the", "whistling", "kettle", "on"];
//! let lengths = workers(2).run(|worker| {
//!     if worker.index() > 0 {
//!         return 0; // It goes on working for others.
//!     }
//!     let tasks = words.map(|word| worker.spawn_anywhere(|| word.len()));
//!     tasks.into_iter().map(|task| task.join().unwrap()).sum()
//! })?;
//! assert_eq!(lengths, [23, 0]);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Tasks start where they are spawned, and stay there: what they share with others of their worker needs no lock, as on one
//! event loop. A task of another worker is spawned by [`Worker::spawn_on`], and what may run on any of them by
//! [`Worker::spawn_anywhere`]: its function is `Send`, and may be taken by an idle worker until it begins.
//!
//! The unsafe code of this module is notifying who waits for the threads, and promising that all tasks end before that.

mod affinity;
mod begun;
mod unit;
mod handle;
mod roots;
mod worker;

pub use handle::JoinHandle;
pub use worker::{Worker, current};

use self::roots::Roots;
use crate::cancelled::{Cancelled, Reason};
use crate::crew::{Crew, Member};
use crate::event_loop;
use crate::foreign::discard;
use crate::header::{Purpose, Wait};
use crate::region;
use crate::run::{DEFAULT_STACK_SIZE, EventLoop, LoopBuilder};
use crate::wait;
use crate::waiter::{Waiter, Woken};
use kettle_driver::Config;
use std::io::{self, ErrorKind};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many threads there can be in Linux at most: one for each process id that it has.
const MOST: usize = 1 << 22;

/// Workers that are to be run. Made by [`workers`].
#[derive(Clone, Debug)]
pub struct Workers {
    count: usize,
    pinned: bool,
    driver: Config,
    stack_size: usize,
}

/// So many workers, to be [run](Workers::run): an event loop each, on a thread of its own.
///
/// [`available_parallelism`](thread::available_parallelism) says how many can work at the same time.
pub fn workers(count: usize) -> Workers {
    Workers { count, pinned: false, driver: Config::default(), stack_size: DEFAULT_STACK_SIZE }
}

impl Workers {
    /// Has each worker stay on a core, the first one on the first that this thread may use, and so on. If there are more workers
    /// than cores, they share those.
    pub fn pinned(mut self) -> Self {
        self.pinned = true;
        self
    }

    /// As [`LoopBuilder::driver`](crate::LoopBuilder::driver), for each of them.
    pub fn driver(mut self, config: Config) -> Self {
        self.driver = config;
        self
    }

    /// As [`LoopBuilder::stack_size`](crate::LoopBuilder::stack_size), for each of them.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = bytes;
        self
    }

    fn event_loop(&self) -> LoopBuilder {
        EventLoop::builder().driver(self.driver.clone()).stack_size(self.stack_size)
    }

    /// How many workers there are more than cores that they can run on: those make the others slower. 0 is how it should be,
    /// and where the system does not tell.
    ///
    /// ```
    /// use kettle_rt::workers::workers;
    ///
    /// assert_eq!(workers(1).excess(), 0);
    /// assert!(workers(100_000).excess() > 0);
    /// ```
    pub fn excess(&self) -> usize {
        thread::available_parallelism().map_or(0, |cores| self.count.saturating_sub(cores.get()))
    }

    /// Calls a function on each worker, as the first task of its event loop, and gives what they return, in order, when all of
    /// them have ended. A checkpoint; outside of tasks it blocks the thread.
    ///
    /// The function may borrow, and so may what is spawned by its worker: nothing of it is left when this returns. A worker
    /// whose function has returned works on, for its tasks and for others, until the functions of all have returned. What
    /// still runs then is cancelled, as by [`EventLoop::run`]. What has not begun does not begin.
    ///
    /// To share a listener, bind it before, and accept from it on each worker. Connections that last are best handed to the
    /// one that has least ([`Worker::least_loaded`]); others are served where they were accepted.
    ///
    /// Threads that this makes are named `worker-0`, and so on. It may be called in a task, also of a worker: that task waits,
    /// and others of its thread run.
    ///
    /// # Errors
    ///
    /// If there are to be 0 workers, or more than there can be threads; in a simulation; and if the system has no thread, event loop
    /// or core for one of them.
    /// Then the function has not been called.
    ///
    /// # Panics
    ///
    /// With the first panic of a function, or that there is no memory for its stack. It cancels those of the other workers, and is
    /// resumed when all have ended, and what they have returned is dropped. (A worker that is to leave the others alone calls
    /// [`catch_unwind`].) Panics of other tasks go to who joins them.
    ///
    /// # Cancellation
    ///
    /// A task that is cancelled while it waits here cancels the functions of all workers, and is unwound when they have ended.
    #[track_caller]
    pub fn run<'env, F, T>(self, f: F) -> io::Result<Vec<T>>
    where
        F: for<'scope> Fn(&'scope Worker<'scope, 'env>) -> T + Sync,
        T: Send,
    {
        if self.count == 0 {
            return Err(io::Error::new(ErrorKind::InvalidInput, "run 0 workers: nobody would call the function"));
        }
        if self.count > MOST {
            let message = format!("run {} workers: Linux has at most {MOST} threads", self.count);
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
        let is_simulated = event_loop::current().is_some_and(|current| current.order().is_some());
        if is_simulated || self.event_loop().simulates() {
            let message = "run workers in a simulation, which is one thread: run its event loop alone";
            return Err(io::Error::new(ErrorKind::Unsupported, message));
        }
        wait::raise_if_cancelled();
        let cores = if self.pinned { affinity::cores()? } else { Vec::new() };
        let (crew, members) = Crew::new(self.count);
        let roots = Roots::new(Arc::clone(&crew));
        // SAFETY: the tasks of a worker end with its event loop; all of them end before this returns, which drops what has not
        // begun. So what may be borrowed is there as long, the workers included.
        let workers: Vec<_> = (0..self.count).map(|index| unsafe { Worker::new(Arc::clone(&crew), index) }).collect();
        let (ended, waits) = (Waiter::new(), Purpose::here(Wait::Tasks));
        let running = Running { count: AtomicUsize::new(self.count), ended: &ended };
        let mut results = Results(thread::scope(|scope| {
            let mut threads = Vec::with_capacity(self.count);
            for (member, worker) in members.into_iter().zip(&workers) {
                let index = member.index;
                let core = cores.get(index % cores.len().max(1)).copied();
                let (settings, roots, running, f) = (&self, &roots, &running, &f);
                let work = move || {
                    let _leaving = Leaving(running);
                    work(member, core, settings, roots, || f(worker))
                };
                match thread::Builder::new().name(format!("worker-{index}")).spawn_scoped(scope, work) {
                    Ok(thread) => threads.push(thread),
                    Err(error) => {
                        roots.report(self.count - index, Some(error));
                        running.leave(self.count - index);
                        break;
                    }
                }
            }
            if !threads.is_empty() && ended.wait_for(waits, None) != Woken::Notified {
                let reason = event_loop::task().map(|(_, task)| region::cancelled(task).reason());
                roots.cancel(reason.unwrap_or(Reason::Explicit));
                ended.wait_for_notice();
            }
            // They are about to end.
            threads.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
        }));
        crew.close();
        let (error, panic) = roots.into_failures();
        match (error, panic) {
            (Some(error), _) => return Err(error),
            (None, Some(panic)) => {
                if panic.is::<Cancelled>() {
                    wait::raise_if_cancelled();
                }
                resume_unwind(panic)
            }
            (None, None) => wait::raise_if_cancelled(),
        }
        let result = |result: thread::Result<_>| result.unwrap_or_else(|panic| resume_unwind(panic));
        Ok(mem::take(&mut results.0).into_iter().filter_map(result).collect())
    }
}

/// What the functions have returned. If nobody is to have that, because a panic is resumed, destructors of it that panic as well
/// go no further: they would end the process.
struct Results<T>(Vec<T>);

impl<T> Drop for Results<T> {
    fn drop(&mut self) {
        self.0.drain(..).for_each(|result| _ = discard(result));
    }
}

/// How many threads have not ended, and who waits for that.
struct Running<'a> {
    count: AtomicUsize,
    ended: &'a Waiter,
}

impl Running<'_> {
    /// So many have ended, or were never made.
    fn leave(&self, count: usize) {
        if self.count.fetch_sub(count, Ordering::AcqRel) == count {
            // SAFETY: 1. one of them is the last. 2. It is there until all threads have ended.
            unsafe { Waiter::notify(NonNull::from(self.ended)) };
        }
    }
}

/// A thread's last act.
struct Leaving<'a>(&'a Running<'a>);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.leave(1);
    }
}

/// What a worker's thread does. Gives what its function has returned, if it was called and has.
fn work<T>(member: Member, core: Option<usize>, settings: &Workers, roots: &Roots, f: impl FnOnce() -> T) -> Option<T> {
    let index = member.index;
    let made = core.map_or(Ok(()), affinity::pin_to).and_then(|()| settings.event_loop().build());
    let (event_loop, error) = match made {
        Ok(event_loop) => {
            event_loop.inner().join_crew(member);
            (Some(event_loop), None)
        }
        Err(error) => (None, Some(error)),
    };
    roots.report(1, error);
    if !roots.begins() {
        return None;
    }
    let mut event_loop = event_loop?;
    let root = || {
        roots.begin(index);
        let result = catch_unwind(AssertUnwindSafe(f));
        let result = result.map_err(|panic| roots.fail(panic)).ok();
        roots.end(index);
        result
    };
    // The function's panics are caught in there. This one says that the task has not begun, for want of a stack: the others
    // must not wait for its end.
    catch_unwind(AssertUnwindSafe(|| event_loop.run(root))).unwrap_or_else(|panic| {
        roots.refuse(panic);
        None
    })
}
