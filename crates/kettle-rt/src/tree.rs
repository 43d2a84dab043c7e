//! Owns what a loop tells of its tasks: who runs, who waits for what, who belongs to whom.
#![forbid(unsafe_code)]

use crate::event_loop;
use crate::header::{Flags, State, TaskRef, Wait};
use crate::region;
use crate::thread::{Thread, ThreadId};
use std::collections::HashMap;
use std::fmt;
use std::panic::Location;

/// The tasks of an event loop, as they were when [`tree`] looked. Shown, it is an indented list.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Each before its children.
    tasks: Vec<TaskInfo>,
}

/// What is known of a task.
#[derive(Clone, Debug)]
pub struct TaskInfo {
    thread: Thread,
    spawned_at: &'static Location<'static>,
    state: TaskState,
    is_cancelled: bool,
    parent: Option<ThreadId>,
    depth: usize,
}

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// It could run, and others do.
    Ready,
    /// It runs, or is being looked at by itself.
    Running,
    /// It waits.
    Waiting(Wait),
}

/// Looks at all tasks of this thread's event loop that have not ended. No checkpoint.
///
/// A task's parent is the one in whose scope or group it was spawned, which waits for it; one that belongs to nobody has none.
/// Children of the same task come in no particular order. It takes time in proportion to the tasks, and gives each of them a
/// [`Thread`], which stays with it; who does not ask pays nothing.
///
/// ```
/// use kettle_rt::{Builder, EventLoop, TaskState, Wait, scope, sleep, tree, yield_now};
/// use std::time::Duration;
///
/// EventLoop::new()?.run(|| {
///     scope(|s| {
///         let kettle = Builder::new().name("kettle".to_owned()).spawn_scoped(s, || sleep(Duration::MAX)).unwrap();
///         yield_now();
///         let tree = tree();
///         println!("{tree}");
///         // #1 at src/main.rs:5:23: runs
///         //   #2 `kettle` at src/main.rs:7:69: waits for a time
///         let task = tree.get(kettle.thread().id()).unwrap();
///         assert_eq!(task.state(), TaskState::Waiting(Wait::Sleep));
///         assert_eq!(task.parent(), Some(kettle_rt::current().id()));
///         kettle.cancel();
///     });
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn tree() -> Tree {
    let tasks = event_loop::current().map_or_else(Vec::new, |event_loop| event_loop.tasks());
    let mut children: HashMap<_, Vec<TaskRef>> = HashMap::new();
    // The first ones first.
    for task in tasks.into_iter().rev() {
        // One of another loop of the thread is not in here.
        let parent = parent_of(task).filter(|&parent| event_loop::current().is_some_and(|current| current.has(parent)));
        children.entry(parent.map(TaskRef::header)).or_default().push(task);
    }
    let mut found = Vec::new();
    // The last one is next.
    let mut rest: Vec<_> = children.remove(&None).unwrap_or_default().into_iter().rev().map(|task| (task, 0)).collect();
    while let Some((task, depth)) = rest.pop() {
        found.push(TaskInfo::of(task, depth));
        let children = children.remove(&Some(task.header())).unwrap_or_default();
        rest.extend(children.into_iter().rev().map(|child| (child, depth + 1)));
    }
    Tree { tasks: found }
}

fn parent_of(task: TaskRef) -> Option<TaskRef> {
    region::family(task)?.task.get()
}

impl Tree {
    /// All tasks, each before its children.
    pub fn tasks(&self) -> &[TaskInfo] {
        &self.tasks
    }

    /// The task of this number.
    pub fn get(&self, id: ThreadId) -> Option<&TaskInfo> {
        self.tasks.iter().find(|task| task.id() == id)
    }

    /// The tasks that were spawned in scopes and groups of this one.
    pub fn children(&self, id: ThreadId) -> impl Iterator<Item = &TaskInfo> {
        self.tasks.iter().filter(move |task| task.parent == Some(id))
    }
}

impl TaskInfo {
    fn of(task: TaskRef, depth: usize) -> Self {
        let state = match task.state.get() {
            State::Created if task.is(Flags::HELD) => TaskState::Waiting(Wait::Turn),
            State::Created | State::Ready => TaskState::Ready,
            State::Running | State::Ended => TaskState::Running,
            State::Waiting(wait) => TaskState::Waiting(wait),
            State::Operating => TaskState::Waiting(Wait::of_operation(task.outcome.get())),
        };
        Self {
            thread: Thread::of(task),
            spawned_at: task.spawned_at.get(),
            state,
            is_cancelled: task.is(Flags::CANCELLED),
            parent: parent_of(task).map(|parent| Thread::of(parent).id()),
            depth,
        }
    }

    /// What no other task has.
    pub fn id(&self) -> ThreadId {
        self.thread.id()
    }

    /// The name that it was given.
    pub fn name(&self) -> Option<&str> {
        self.thread.name()
    }

    /// The task, to unpark it.
    pub fn thread(&self) -> &Thread {
        &self.thread
    }

    /// Where it was spawned.
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.spawned_at
    }

    /// What it was doing.
    pub fn state(&self) -> TaskState {
        self.state
    }

    /// Whether it is to end.
    pub fn is_cancelled(&self) -> bool {
        self.is_cancelled
    }

    /// The task that waits for it, because it was spawned in a scope or group of that one.
    pub fn parent(&self) -> Option<ThreadId> {
        self.parent
    }

    /// How many tasks it is inside of.
    pub fn depth(&self) -> usize {
        self.depth
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, task) in self.tasks.iter().enumerate() {
            let line = if index == 0 { "" } else { "\n" };
            write!(f, "{line}{:width$}{task}", "", width = 2 * task.depth)?;
        }
        Ok(())
    }
}

impl fmt::Display for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.thread.number())?;
        if let Some(name) = self.name() {
            write!(f, " `{name}`")?;
        }
        write!(f, " at {}: {}", self.spawned_at, self.state)?;
        if self.is_cancelled { f.write_str(", cancelled") } else { Ok(()) }
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("is ready"),
            Self::Running => f.write_str("runs"),
            Self::Waiting(wait) => write!(f, "waits {wait}"),
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sleep => "for a time",
            Self::Park => "to be unparked",
            Self::Join => "for a task's end",
            Self::Tasks => "for its tasks",
            Self::Turn => "for its turn",
            Self::Results => "for results",
            Self::Future => "for a future",
            Self::Callback => "for a callback",
            Self::Mutex => "for a mutex",
            Self::ReadLock => "for a read lock",
            Self::WriteLock => "for a write lock",
            Self::Condvar => "for a condition variable",
            Self::Barrier => "at a barrier",
            Self::Permits => "for a semaphore's permits",
            Self::Once => "for a `Once`",
            Self::Receive => "to receive from a channel",
            Self::Send => "to send to a channel",
            Self::Change => "for a value to change",
            Self::Select => "in a select",
            Self::Notice => "for a notice",
            Self::Read => "to read",
            Self::Write => "to write",
            Self::Accept => "to accept",
            Self::Connect => "to connect",
            Self::Operation => "for an operation",
        })
    }
}
