//! Owns results of a group's tasks that come as they finish.
//!
//! A task that is spawned through [`Results`] holds an arrival, by which it leaves its result in the queue, or says that
//! there will be none. One task takes out of the queue, and says that it waits by leaving itself there.
#![forbid(unsafe_code)]

use crate::blocked::refuse_to_wait;
use crate::cancelled::{Cancelled, Reason};
use crate::event_loop;
use crate::group::{Group, GroupHandle};
use crate::header::{Purpose, TaskRef, Wait};
use crate::wait;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

/// Results of tasks of a [group](crate::task_group()), all of one type, one by one as they finish: Python's
/// `asyncio.as_completed`. Made by [`Group::results`].
///
/// It is an iterator, and each step of it a checkpoint, unless a result is there. It ends when no task is left that was
/// spawned through it; then more may be spawned. A task that was cancelled gives nothing; one that has failed neither, but the
/// group is cancelled by that, and so is who waits here.
///
/// ```
/// use kettle_rt::{EventLoop, task_group, yield_now};
///
/// EventLoop::new()?.run(|| {
///     let order = task_group(|group| {
///         let mut results = group.results();
///         for turns in [9, 1, 2] {
///             results.spawn(move || {
///                 (0..turns).for_each(|_| yield_now());
///                 Ok::<_, String>(turns)
///             });
///         }
///         let mut order = Vec::new();
///         while let Some(turns) = results.next() {
///             order.push(turns);
///             // What has come may lead to more.
///             if turns == 1 {
///                 results.spawn(|| Ok(10));
///             }
///         }
///         Ok(order)
///     });
///     assert_eq!(order.unwrap(), [1, 2, 10, 9]);
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Results<'scope, 'env: 'scope, T, E> {
    group: &'scope Group<'scope, 'env, E>,
    queue: Rc<Queue<T>>,
}

struct Queue<T> {
    /// What has come, with the number of its task.
    arrived: RefCell<VecDeque<(usize, T)>>,
    /// How many were spawned.
    spawned: Cell<usize>,
    /// How many results were taken out.
    taken: Cell<usize>,
    /// How many have not ended.
    running: Cell<usize>,
    /// Who waits.
    waiter: Cell<Option<TaskRef>>,
}

/// A task's way to the queue. When it goes, the task has ended.
struct Arrival<T>(Rc<Queue<T>>);

impl<'scope, 'env, E> Group<'scope, 'env, E> {
    /// Results of tasks that are to be spawned through it; see [`Results`].
    pub fn results<T: 'scope>(&'scope self) -> Results<'scope, 'env, T, E> {
        let queue = Queue {
            arrived: RefCell::default(),
            spawned: Cell::new(0),
            taken: Cell::new(0),
            running: Cell::new(0),
            waiter: Cell::new(None),
        };
        Results { group: self, queue: Rc::new(queue) }
    }
}

impl<'scope, T: 'scope, E> Results<'scope, '_, T, E> {
    /// Spawns a task of the group, whose result comes here. (Joining its handle waits for its end.)
    ///
    /// # Panics
    ///
    /// As [`Group::spawn`].
    #[track_caller]
    pub fn spawn<F>(&self, f: F) -> GroupHandle<()>
    where
        F: FnOnce() -> Result<T, E> + 'scope,
    {
        let queue = &self.queue;
        let number = queue.spawned.get();
        queue.spawned.set(number + 1);
        queue.running.set(queue.running.get() + 1);
        let arrival = Arrival(Rc::clone(queue));
        self.group.spawn(move || {
            let arrival = arrival;
            let result = f()?;
            arrival.0.arrived.borrow_mut().push_back((number, result));
            Ok(())
        })
    }

    /// Waits for all tasks that were spawned through this, and gives their results in the order in which they were spawned: those
    /// that were not taken out before. A checkpoint.
    ///
    /// ```
    /// use kettle_rt::{EventLoop, task_group, yield_now};
    ///
    /// EventLoop::new()?.run(|| {
    ///     let all = task_group(|group| {
    ///         let results = group.results();
    ///         for turns in [3, 1, 2] {
    ///             results.spawn(move || {
    ///                 (0..turns).for_each(|_| yield_now());
    ///                 Ok::<_, std::io::Error>(turns)
    ///             });
    ///         }
    ///         Ok(results.in_order()?)
    ///     });
    ///     assert_eq!(all.unwrap(), [3, 1, 2]);
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Cancelled`], if one of them has given no result, because it was cancelled or has failed.
    ///
    /// # Cancellation
    ///
    /// A task that is cancelled while it waits here is unwound. Where panics abort it goes on waiting, for tasks that have been
    /// cancelled with it.
    #[track_caller]
    pub fn in_order(mut self) -> Result<Vec<T>, Cancelled> {
        let mut all = Vec::new();
        while let Some(numbered) = self.next_numbered() {
            all.push(numbered);
        }
        if self.queue.taken.get() < self.queue.spawned.get() {
            if let Some((_, task)) = event_loop::task() {
                wait::check(task);
            }
            return Err(Cancelled::new(Reason::Explicit));
        }
        all.sort_unstable_by_key(|&(number, _)| number);
        Ok(all.into_iter().map(|(_, result)| result).collect())
    }

    #[track_caller]
    fn next_numbered(&mut self) -> Option<(usize, T)> {
        let queue = &*self.queue;
        loop {
            let arrived = queue.arrived.borrow_mut().pop_front();
            if arrived.is_some() {
                queue.taken.set(queue.taken.get() + 1);
                return arrived;
            }
            if queue.running.get() == 0 {
                return None;
            }
            let Some((event_loop, task)) = event_loop::task() else {
                refuse_to_wait(
                    Purpose::here(Wait::Results),
                    "wait for results where nothing can wait: inside of a future, or in a destructor that runs by unwinding",
                )
            };
            wait::check(task);
            queue.waiter.set(Some(task));
            event_loop.wait(task, Purpose::here(Wait::Results));
            queue.waiter.set(None);
        }
    }
}

impl<'scope, T: 'scope, E> Iterator for Results<'scope, '_, T, E> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.next_numbered().map(|(_, result)| result)
    }
}

impl<T> Drop for Arrival<T> {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
        if let Some(waiter) = self.0.waiter.get()
            && let Some(event_loop) = event_loop::home_of(waiter)
        {
            event_loop.wake(waiter);
        }
    }
}

impl<T, E> fmt::Debug for Results<'_, '_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrived = self.queue.arrived.borrow().len();
        f.debug_struct("Results")
            .field("arrived", &arrived)
            .field("running", &self.queue.running.get())
            .finish_non_exhaustive()
    }
}
