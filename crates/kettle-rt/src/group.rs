//! Owns the task group: tasks that are put together and run together.

use crate::join::{Builder, JoinHandle, expect};
use std::fmt;
use std::panic::resume_unwind;

/// A coroutine that is to run as a task: a function with a name and a size of stack, if it has them.
///
/// Nothing of it runs before it is put into a [`TaskGroup`] that runs.
pub struct Task<T> {
    function: Box<dyn FnOnce() -> T>,
    builder: Builder,
}

impl<T> Task<T> {
    /// A task of a function.
    pub fn new(f: impl FnOnce() -> T + 'static) -> Self {
        Self { function: Box::new(f), builder: Builder::new() }
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

/// Tasks that run together: the tutorial's task manager. Hand it to [`EventLoop::run`](crate::EventLoop::run).
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
    /// Runs all of them, and gives what they returned, in the order in which they were added. A checkpoint.
    ///
    /// # Panics
    ///
    /// With the first panic of a task, in that order, when all have ended. If there is no event loop on this thread and none can be made.
    pub fn join_all(self) -> Vec<T> {
        let spawn = |task: Task<T>| expect(task.builder.spawn(task.function));
        let handles: Vec<JoinHandle<T>> = self.tasks.into_iter().map(spawn).collect();
        let mut first_panic = None;
        let mut results = Vec::with_capacity(handles.len());
        for handle in handles {
            match handle.join() {
                Ok(result) => results.push(result),
                Err(panic) => first_panic = first_panic.or(Some(panic)),
            }
        }
        match first_panic {
            Some(panic) => resume_unwind(panic),
            None => results,
        }
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
