//! Owns a worker as its tasks, the other workers and other threads know it.
//!
//! The unsafe code of this module is promising that what is spawned ends before what it borrows goes: `Workers::run` sees to
//! that.

use super::handle::{self, JoinHandle};
use crate::crew::{Crew, Member};
use crate::event_loop;
use crate::remote::Message;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

/// One of several [workers](super::workers()), to spawn tasks on it and on the others. It may be cloned and sent to any thread.
///
/// What is spawned by a worker that was [given to the function](super::Workers::run) may borrow what is there as long as the
/// workers run; the worker itself is.
pub struct Worker<'scope, 'env: 'scope> {
    crew: Arc<Crew>,
    index: usize,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'scope> Worker<'scope, '_> {
    /// A worker, by its index.
    ///
    /// # Safety
    ///
    /// All tasks of the crew have ended before 'scope, and what has not begun has been dropped.
    pub(super) unsafe fn new(crew: Arc<Crew>, index: usize) -> Self {
        Self { crew, index, scope: PhantomData, env: PhantomData }
    }

    /// Which one it is: they count from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.crew.len()
    }

    /// How much a worker has, by its index: tasks that have not ended, functions that it has been given and has not begun, and
    /// what else it has not heard yet, such as that another thread has woken a task.
    ///
    /// Each worker tells it when it looks around, which is between tasks; so it is a moment old, and for comparing.
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    pub fn load(&self, index: usize) -> usize {
        self.check(index);
        self.crew.load(index)
    }

    /// The index of the worker that has the least [load](Self::load), and among equals of one that is idle: for what will wait
    /// more than work, such as a connection. What will work more than wait is for [`spawn_anywhere`](Self::spawn_anywhere).
    ///
    /// ```
    /// use kettle_rt::workers::workers;
    /// use kettle_rt::park;
    ///
    /// workers(2).run(|worker| {
    ///     if worker.index() == 0 {
    ///         (0..5).for_each(|_| drop(worker.spawn_on(0, park)));
    ///         assert!(worker.load(0) > worker.load(1));
    ///         assert_eq!(worker.least_loaded(), 1);
    ///     }
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn least_loaded(&self) -> usize {
        self.crew.least_loaded(self.index)
    }

    /// Runs a function as a task of the worker with this index, and nowhere else. No checkpoint.
    ///
    /// ```
    /// use kettle_rt::workers::{self, workers};
    ///
    /// let places = workers(2).run(|worker| {
    ///     let other = 1 - worker.index();
    ///     let place = worker.spawn_on(other, || workers::current().map(|worker| worker.index()));
    ///     place.join().unwrap()
    /// })?;
    /// assert_eq!(places, [Some(1), Some(0)]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// If the workers have ended, the function is dropped, and joining it gives [`Cancelled`](crate::Cancelled).
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    #[track_caller]
    pub fn spawn_on<F, T>(&self, index: usize, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.check(index);
        let member = self.member();
        // SAFETY: by the obligation of `new`.
        let (job, handle) = unsafe { handle::make(&self.crew, member, f, Location::caller()) };
        match member {
            Some(member) if member.index == index => job.start(),
            _ => self.crew.tell(index, Message::Start(job)),
        }
        handle
    }

    /// Runs a function as a task of whichever worker has nothing else to do first; where it has begun it stays. No checkpoint.
    ///
    /// It begins where it was spawned when no task of that worker is ready, or on another one that is idle before that. What
    /// other threads spawn begins on any that is idle.
    ///
    /// ```
    /// use kettle_rt::workers::workers;
    ///
    /// let cups = [1, 2, 3, 4];
    /// let sums = workers(2).run(|worker| {
    ///     let (some, others) = cups.split_at(2);
    ///     let sum = worker.spawn_anywhere(move || some.iter().sum::<u32>());
    ///     others.iter().sum::<u32>() + sum.join().unwrap()
    /// })?;
    /// assert_eq!(sums, [10, 10]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// If the workers have ended, the function is dropped, and joining it gives [`Cancelled`](crate::Cancelled).
    #[inline]
    #[track_caller]
    pub fn spawn_anywhere<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let member = self.member();
        // SAFETY: by the obligation of `new`.
        let (job, handle) = unsafe { handle::make(&self.crew, member, f, Location::caller()) };
        match member {
            Some(member) => member.put(job),
            None => self.crew.put_from_outside(job),
        }
        handle
    }

    /// That of the worker that runs, if it is one of these.
    #[inline]
    fn member<'a>(&self) -> Option<&'a Member> {
        let member = event_loop::current().and_then(|current| current.member.get());
        member.filter(|member| Arc::ptr_eq(&member.crew, &self.crew))
    }

    #[track_caller]
    fn check(&self, index: usize) {
        let count = self.count();
        assert!(index < count, "there is no worker {index}: they are {count}, and count from 0");
    }
}

/// The worker that the current task runs on. `None` where [`run`](crate::EventLoop::run) or another thread has the task, or
/// there is none.
///
/// What this one spawns owns what it uses, for nobody knows how long the workers run.
pub fn current() -> Option<Worker<'static, 'static>> {
    let member = event_loop::current()?.member.get()?;
    // SAFETY: what is spawned borrows nothing that could go.
    Some(unsafe { Worker::new(Arc::clone(&member.crew), member.index) })
}

// A panic leaves nothing half-done in it: what it shares is changed by single steps.
impl UnwindSafe for Worker<'_, '_> {}
impl RefUnwindSafe for Worker<'_, '_> {}

impl Clone for Worker<'_, '_> {
    fn clone(&self) -> Self {
        Self { crew: Arc::clone(&self.crew), ..*self }
    }
}

impl fmt::Debug for Worker<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("index", &self.index).field("count", &self.count()).finish_non_exhaustive()
    }
}
