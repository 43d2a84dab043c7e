//! Owns tasks that are put together before they run, and then are a group.
#![forbid(unsafe_code)]

use crate::cancelled::Cancelled;
use crate::group::{Group, task_group};
use crate::join::{Builder, expect};
use std::fmt;
use std::panic::Location;

/// A coroutine that is to run as a task: a function with a name and a size of stack, if it has them.
///
/// Nothing of it runs before it is put into a [`TaskGroup`] that runs.
pub struct Task<T> {
    function: Box<dyn FnOnce() -> T>,
    builder: Builder,
}

impl<T> Task<T> {
    /// A task of a function.
    #[track_caller]
    pub fn new(f: impl FnOnce() -> T + 'static) -> Self {
        Self { function: Box::new(f), builder: Builder::new().spawned_at(Location::caller()) }
    }

    /// The name that the message of an overflow gives.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.builder = self.builder.name(name.into());
        self
    }

    /// The size of its stack in bytes; see [`Builder::stack_size`].
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.builder = self.builder.stack_size(bytes);
        self
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("builder", &self.builder).finish_non_exhaustive()
    }
}

/// A [task group](crate::task_group()) that is put together beforehand: the tutorial's task manager. Hand it to
/// [`EventLoop::run`](crate::EventLoop::run).
///
/// ```
/// use kettle_rt::{EventLoop, Task, TaskGroup};
///
/// let mut tasks = TaskGroup::from([Task::new(|| "the water boils")]);
/// tasks.push(Task::new(|| "the news is over").name("television"));
/// assert_eq!(EventLoop::new()?.run(tasks), ["the water boils", "the news is over"]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct TaskGroup<T> {
    tasks: Vec<Task<T>>,
}

impl<T> TaskGroup<T> {
    /// No tasks.
    pub fn new() -> Self {
        Self { tasks: Vec::new() }
    }

    /// Adds a task.
    pub fn push(&mut self, task: Task<T>) {
        self.tasks.push(task);
    }
}

impl<T: 'static> TaskGroup<T> {
    /// Runs all of them as a [task group](crate::task_group()), and gives what they returned, in the order in which they were added.
    /// A checkpoint.
    ///
    /// # Panics
    ///
    /// With the first panic of a task, which cancels the others, when all have ended. If there is no event loop on this thread and none can be made; inside of a future, or in a destructor
    /// that runs by unwinding.
    ///
    /// # Cancellation
    ///
    /// A task that is cancelled while it waits here waits for them all the same, for they are cancelled with it, and is unwound
    /// then. Where panics abort it gives what they return; if one has not begun there is nothing to return, and that ends the
    /// process.
    pub fn join_all(self) -> Vec<T> {
        let all = task_group(|group: &Group<'_, '_, Cancelled>| {
            let spawn = |task: Task<T>| {
                let Task { function, builder } = task;
                expect(builder.spawn_grouped(group, || Ok(function())))
            };
            let handles: Vec<_> = self.tasks.into_iter().map(spawn).collect();
            handles.into_iter().map(|handle| handle.join()).collect()
        });
        all.unwrap_or_else(|error| {
            if cfg!(panic = "abort") {
                panic!("end a task group that has no results to give, where panics abort: {error}");
            }
            error.cancelled().raise()
        })
    }
}

impl<T> Default for TaskGroup<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const N: usize> From<[Task<T>; N]> for TaskGroup<T> {
    fn from(tasks: [Task<T>; N]) -> Self {
        Self { tasks: tasks.into() }
    }
}

impl<T> FromIterator<Task<T>> for TaskGroup<T> {
    fn from_iter<I: IntoIterator<Item = Task<T>>>(tasks: I) -> Self {
        Self { tasks: tasks.into_iter().collect() }
    }
}
