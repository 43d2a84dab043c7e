//! Owns the task group: tasks that borrow from the one that spawns them, and end together. It is the tutorial's task manager,
//! and trio's nursery.
//!
//! A group is a scope (see there for why its tasks may borrow) whose region can fail: the first task of it that gives an error
//! or panics cancels the region, and so the other tasks and the group's function. What failed is noted in the group, in the
//! frame of `task_group`, by the task itself, before it ends.
//!
//! Tasks come in by the group, whose lifetime is that of the function; or by a [`Spawner`](crate::Spawner), which has none and
//! goes through a door that is closed when the last task has ended.
//!
//! The unsafe code of this module is making tasks of functions that borrow, and of those that know the group by its address.

use crate::blocked::refuse_to_wait;
use crate::cancelled::{Cancelled, Reason};
use crate::event_loop;
use crate::group_error::{GroupError, Payload};
use crate::header::{Flags, Purpose, Region, TaskRef, Turns, Wait};
use crate::join::{Builder, JoinHandle, expect};
use crate::outside;
use crate::region;
use crate::scope::{leave, wait_for_members};
use crate::task;
use crate::thread::Thread;
use crate::wait;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::pin;
use std::ptr::NonNull;
use std::rc::Rc;
use std::task::Poll;
use std::thread;

/// Tasks that borrow from the one that spawns them, and end together. See [`task_group`].
pub struct Group<'scope, 'env: 'scope, E> {
    inner: Inner<E>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// A group, whatever borrows in its tasks.
pub(crate) struct Inner<E> {
    region: Region,
    errors: RefCell<Vec<E>>,
    panics: RefCell<Vec<Payload>>,
    /// What drops the coroutine that has opened the group: it has come out of the group's function.
    unwinding: Cell<Option<Payload>>,
    keeps_panics: Cell<bool>,
    /// Where spawners find the group, if there are any.
    door: OnceCell<Rc<Door<E>>>,
}

/// What spawners have of a group: its address, until it has ended.
pub(crate) struct Door<E>(Cell<Option<NonNull<Inner<E>>>>);

/// Closes a group's door when it is dropped, if it has one by then.
struct Closes<'a, E>(&'a OnceCell<Rc<Door<E>>>);

impl<E> Drop for Closes<'_, E> {
    fn drop(&mut self) {
        if let Some(door) = self.0.get() {
            door.0.set(None);
        }
    }
}

/// Runs a function that may spawn tasks which borrow from around it, and waits for all of them. If one of them fails, the others
/// are cancelled, and so is the function. A checkpoint.
///
/// It is `std::thread::scope` for tasks that can fail, trio's nursery, Python's `asyncio.TaskGroup`.
///
/// ```
/// use kettle_rt::{EventLoop, task_group};
///
/// fn length(of: &str) -> Result<usize, String> {
///     if of.is_empty() { Err("nothing to fetch".to_owned()) } else { Ok(of.len()) }
/// }
///
/// EventLoop::new()?.run(|| {
///     let urls = ["tea", "kettle"];
///     let lengths = task_group(|group| {
///         let lengths: Vec<_> = urls.iter().map(|url| group.spawn(|| length(url))).collect();
///         Ok(lengths.into_iter().map(|length| length.join()).collect::<Result<Vec<_>, _>>())
///     });
///     assert_eq!(lengths.unwrap(), Ok(vec![3, 6]));
///
///     let failed = task_group(|group| {
///         group.spawn(|| length(""));
///         group.spawn(|| Ok(kettle_rt::park()));
///         Ok(())
///     });
///     assert_eq!(failed.unwrap_err().first().unwrap(), "nothing to fetch");
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// What counts as a failure: an `Err` that a task or the function returns, and a panic. What does not: being cancelled. A
/// cancelled task is told so by the first operation that it waits in, with an error, and passes that on as a rule; so an `Err`
/// of a task that is cancelled and has been told is taken for its cancellation.
///
/// # Errors
///
/// [`GroupError`] with all failures; or with none, if the group was cancelled by [`cancel`](Group::cancel) and the function was
/// unwound. If it has returned a result all the same, that is given, although tasks were cancelled.
///
/// # Panics
///
/// With the first panic of the function or a task, when all tasks have ended. What failed besides is dropped then; who wants to
/// have it calls [`keep_panics`](Group::keep_panics), and is given panics and errors together. If there is no event loop on this
/// thread and none can be made; inside of a future, or in a destructor that runs by unwinding; in a simulation the last of these
/// ends the process instead, which says so.
///
/// A coroutine that is dropped while it is suspended in the function is unwound through the group. That is no failure: it
/// cancels the tasks, waits for them, and goes on; unless one of them has panicked, for that is given first. (If it is dropped
/// by unwinding, nothing can be given.)
///
/// # Cancellation
///
/// What cancels the group from outside cancels its tasks. It waits for them all the same, and unwinds then, unless something has
/// failed: that is given first. Where panics abort, nothing is unwound: the result is given, or an error that
/// [is cancelled](GroupError::is_cancelled).
#[track_caller]
pub fn task_group<'env, F, R, E>(f: F) -> Result<R, GroupError<E>>
where
    F: for<'scope> FnOnce(&'scope Group<'scope, 'env, E>) -> Result<R, E>,
{
    // Outside of `run` the thread becomes a task.
    _ = expect(outside::event_loop());
    let Some((_, task)) = event_loop::task() else {
        refuse_to_wait(
            Purpose::here(Wait::Tasks),
            "open a task group where nothing can wait for its tasks: inside of a future, or in a destructor that runs by \
             unwinding",
        )
    };
    let group = Group { inner: Inner::new(), scope: PhantomData, env: PhantomData };
    region::enter(task, &group.inner.region);
    let result = group.inner.hear(|| f(&group));
    if let Err(cancelled) = result
        && !group.is_cancelled()
    {
        // Unwound by the cancellation of another task, which it has passed on. It spawns no more, and nobody else ends these.
        group.inner.cancel(cancelled.reason());
    }
    group.inner.end(result)
}

impl<E> Inner<E> {
    fn new() -> Self {
        Self {
            region: Region { is_group: true, ..Region::default() },
            errors: RefCell::default(),
            panics: RefCell::default(),
            unwinding: Cell::default(),
            keeps_panics: Cell::new(false),
            door: OnceCell::new(),
        }
    }

    /// Waits for all tasks, and puts together what became of them and of the function.
    #[track_caller]
    fn end<R>(&self, result: Result<R, Cancelled>) -> Result<R, GroupError<E>> {
        // Nothing runs between the end of the last task and this; and in a forked child the wait panics.
        let closes = Closes(&self.door);
        wait_for_members(&self.region);
        drop(closes);
        leave(&self.region);
        let errors = self.errors.take();
        let mut panics = self.panics.take();
        if self.region.unheard.get() > 0 {
            panics.push(Box::new(
                "a task of a group panicked where it could not be caught: in a destructor, or for want of a stack",
            ));
        }
        let unwinding = self.unwinding.take();
        let keeps_panics = match unwinding {
            // What is dropped can't give them. But a panic out of a destructor that runs by unwinding would end the process.
            Some(_) => thread::panicking(),
            None => self.keeps_panics.get(),
        };
        if !keeps_panics && !panics.is_empty() {
            resume_unwind(panics.swap_remove(0));
        }
        if let Some(unwinding) = unwinding {
            resume_unwind(unwinding);
        }
        let why = self.region.asked.get().unwrap_or(Reason::Explicit);
        if !errors.is_empty() || !panics.is_empty() {
            return Err(GroupError::new(errors, panics, Cancelled::new(why)));
        }
        if let Some((_, task)) = event_loop::task() {
            // Its tasks may have been cancelled with it, so what it would return is not whole.
            wait::check(task);
        }
        result.map_err(|cancelled| {
            GroupError::new(errors, panics, self.region.asked.get().map_or(cancelled, Cancelled::new))
        })
    }

    /// Runs the current task's function, or the group's, and notes how it fails. It does not panic, also if dropping an error does.
    fn hear<T>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<T, Cancelled> {
        catch_unwind(AssertUnwindSafe(|| f().map_err(|error| self.fail(error))))
            .unwrap_or_else(|panic| Err(self.panic(panic)))
    }

    /// The current task, or the function, ends with an error. Gives what it is told instead.
    fn fail(&self, error: E) -> Cancelled {
        if let Some(task) = running()
            && task.is(Flags::CANCELLED)
            && task.is(Flags::TOLD)
        {
            drop(error);
            return region::cancelled(task);
        }
        self.errors.borrow_mut().push(error);
        self.cancel(Reason::Sibling);
        Cancelled::new(Reason::Sibling)
    }

    /// The current task, or the function, is unwinding.
    fn panic(&self, panic: Payload) -> Cancelled {
        match panic.downcast() {
            Ok(cancelled) => *cancelled,
            Err(unwinding) if kettle_fiber::is_unwinding(&*unwinding) => {
                self.unwinding.set(Some(unwinding));
                self.cancel(Reason::Explicit);
                Cancelled::new(Reason::Explicit)
            }
            Err(panic) => {
                self.panics.borrow_mut().push(panic);
                self.cancel(Reason::Sibling);
                Cancelled::new(Reason::Sibling)
            }
        }
    }

    fn cancel(&self, reason: Reason) {
        if let Some(event_loop) = self.region.task.get().and_then(event_loop::home_of).or_else(event_loop::current) {
            event_loop.cancel_region(&self.region, reason);
        }
    }

    /// Spawns a task of this group.
    ///
    /// # Safety
    ///
    /// What `f` borrows is valid as long as the group waits for its tasks, and what its result borrows as long as the handle is
    /// there.
    #[track_caller]
    unsafe fn spawn<F, T>(&self, builder: Builder, f: F) -> io::Result<GroupHandle<T>>
    where
        F: FnOnce() -> Result<T, E>,
    {
        let event_loop = outside::event_loop()?;
        let group = NonNull::from(self);
        let function = move || {
            // SAFETY: the group waits for this task.
            let group = unsafe { group.as_ref() };
            group.hear(f)
        };
        // SAFETY: 1. by the obligation; and the group is there until the task has ended. 2. The handle takes such a result.
        let task = unsafe { task::make(event_loop, function, builder.place(), builder.rare()) };
        // SAFETY: the same, and it is the only handle.
        let handle = unsafe { JoinHandle::new(task) };
        event_loop.admit_to(&self.region, task);
        Ok(GroupHandle { handle })
    }

    /// Spawns a future as a task of this group.
    ///
    /// # Safety
    ///
    /// As of `spawn`, of the future.
    #[track_caller]
    unsafe fn spawn_future<F, T>(&self, future: F) -> GroupHandle<T>
    where
        F: Future<Output = Result<T, E>>,
    {
        let event_loop = expect(outside::event_loop());
        let group = NonNull::from(self);
        let reporting = async move {
            let mut future = pin!(future);
            poll_fn(|context| {
                // SAFETY: the group waits for this task.
                let group = unsafe { group.as_ref() };
                let poll = || match future.as_mut().poll(context) {
                    Poll::Pending => Ok(Poll::Pending),
                    Poll::Ready(result) => result.map(Poll::Ready),
                };
                match group.hear(poll) {
                    Ok(polled) => polled.map(Ok),
                    Err(cancelled) => Poll::Ready(Err(cancelled)),
                }
            })
            .await
        };
        // SAFETY: as in `spawn`.
        let task = unsafe { task::make_future(event_loop, reporting, Location::caller(), None) };
        // SAFETY: the same, and it is the only handle.
        let handle = unsafe { JoinHandle::new(task) };
        event_loop.admit_to(&self.region, task);
        GroupHandle { handle }
    }

    fn door(&self) -> Rc<Door<E>> {
        Rc::clone(self.door.get_or_init(|| Rc::new(Door(Cell::new(Some(NonNull::from(self)))))))
    }
}

impl<E> Door<E> {
    /// Spawns a task of the group, or gives the function back if the group has ended, or is the parent's in a forked child.
    #[track_caller]
    pub(crate) fn spawn<F, T>(&self, builder: Builder, f: F) -> Result<GroupHandle<T>, F>
    where
        F: FnOnce() -> Result<T, E> + 'static,
    {
        let (Some(group), Some(_)) = (self.0.get(), event_loop::current()) else { return Err(f) };
        // SAFETY: the door is closed before the group goes.
        let group = unsafe { group.as_ref() };
        // SAFETY: the function borrows nothing that could go, and its result is its own.
        Ok(expect(unsafe { group.spawn(builder, f) }))
    }

    /// Whether the group has not ended.
    pub(crate) fn is_open(&self) -> bool {
        self.0.get().is_some()
    }
}

/// The task that runs, also if it is unwinding.
fn running() -> Option<TaskRef> {
    event_loop::current().and_then(event_loop::Loop::current_task)
}

impl<'scope, E> Group<'scope, '_, E> {
    /// Spawns a task of this group. It may borrow whatever outlives the group, and the group itself: to spawn others, or to cancel.
    ///
    /// It begins when its turn comes; if the group has been cancelled before that, it does not begin.
    ///
    /// # Panics
    ///
    /// If there is no event loop on this thread and none can be made.
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> GroupHandle<T>
    where
        F: FnOnce() -> Result<T, E> + 'scope,
        T: 'scope,
    {
        expect(Builder::new().spawn_grouped(self, f))
    }

    /// Runs a future as a task of this group, without a stack. It fails as other tasks do: by the `Err` that it gives, or a panic.
    ///
    /// ```
    /// use kettle_rt::{EventLoop, future, task_group};
    /// use std::time::Duration;
    ///
    /// EventLoop::new()?.run(|| {
    ///     let failed = task_group(|group| {
    ///         group.spawn_future(async { Err::<(), _>("spilled") });
    ///         group.spawn_future(async { Ok(future::sleep(Duration::MAX).await) });
    ///         Ok(())
    ///     });
    ///     assert_eq!(failed.unwrap_err().first(), Some(&"spilled"));
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Panics
    ///
    /// As [`spawn`](Self::spawn).
    #[track_caller]
    pub fn spawn_future<F, T>(&'scope self, future: F) -> GroupHandle<T>
    where
        F: Future<Output = Result<T, E>> + 'scope,
        T: 'scope,
    {
        // SAFETY: what it borrows outlives 'scope, and the task ends before that: the group waits. What its result borrows is in
        // the handle's type.
        unsafe { self.inner.spawn_future(future) }
    }

    /// Has all tasks of the group and its function end. No checkpoint; the second time it does nothing.
    ///
    /// ```
    /// use kettle_rt::{EventLoop, park, task_group};
    ///
    /// EventLoop::new()?.run(|| {
    ///     // The first answer is enough.
    ///     let mut answer = None;
    ///     let raced = task_group(|group| {
    ///         group.spawn(|| Ok::<(), String>(park()));
    ///         group.spawn(|| {
    ///             answer = Some("tea");
    ///             group.cancel();
    ///             Ok(())
    ///         });
    ///         Ok(())
    ///     });
    ///     assert!(raced.is_ok());
    ///     assert_eq!(answer, Some("tea"));
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn cancel(&self) {
        self.inner.cancel(Reason::Explicit);
    }

    /// Whether what runs in the group is to end: because it has failed, was cancelled, or is cancelled from outside.
    pub fn is_cancelled(&self) -> bool {
        self.inner.region.is_cancelled.get()
    }

    /// Lets only so many tasks of the group run at a time. Those that are spawned beyond that wait for their turn, in the order in
    /// which they were spawned, and need no stack until then. It may be changed at any time; those that run already run on.
    ///
    /// A task that waits for one that has no turn waits for ever, if it keeps that turn for itself.
    ///
    /// ```
    /// use kettle_rt::{EventLoop, task_group, yield_now};
    /// use std::cell::Cell;
    ///
    /// EventLoop::new()?.run(|| {
    ///     let (now, most) = (Cell::new(0), Cell::new(0));
    ///     let all = task_group(|group| {
    ///         group.limit(2).unwrap();
    ///         for _ in 0..10 {
    ///             group.spawn(|| {
    ///                 now.set(now.get() + 1);
    ///                 most.set(most.get().max(now.get()));
    ///                 yield_now();
    ///                 now.set(now.get() - 1);
    ///                 Ok::<(), String>(())
    ///             });
    ///         }
    ///         Ok(())
    ///     });
    ///     assert!(all.is_ok());
    ///     assert_eq!(most.get(), 2);
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If it is 0: then no task would ever run. The limit stays what it was.
    pub fn limit(&self, most: usize) -> Result<(), NoTurns> {
        if most == 0 {
            return Err(NoTurns(()));
        }
        let region = &self.inner.region;
        match &mut *region.turns.borrow_mut() {
            Some(turns) => turns.most = most,
            turns => *turns = Some(Box::new(Turns { most, held: 0, queue: VecDeque::new() })),
        }
        if let Some(event_loop) = event_loop::current() {
            event_loop.give_turns(region);
        }
        Ok(())
    }

    /// Has panics be given by the group's [`GroupError`], together with the errors, instead of being resumed: then nothing of
    /// what has failed is lost. [`GroupError::into_panics`] has what they carry.
    ///
    /// ```
    /// use kettle_rt::{EventLoop, task_group};
    ///
    /// EventLoop::new()?.run(|| {
    ///     let failed = task_group(|group| {
    ///         group.keep_panics();
    ///         group.spawn(|| -> Result<(), String> { std::panic::resume_unwind(Box::new("spilled")) });
    ///         Ok(())
    ///     });
    ///     let panics = failed.unwrap_err().into_panics();
    ///     assert_eq!(panics[0].downcast_ref(), Some(&"spilled"));
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn keep_panics(&self) {
        self.inner.keeps_panics.set(true);
    }

    pub(crate) fn door_of(&self) -> Rc<Door<E>> {
        self.inner.door()
    }
}

impl<E> fmt::Debug for Group<'_, '_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks = self.inner.region.members.borrow().len();
        f.debug_struct("Group")
            .field("tasks", &tasks)
            .field("is_cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// Spawns a task of a group; see [`Group::spawn`].
    ///
    /// # Errors
    ///
    /// If there is no event loop on this thread and none can be made.
    #[track_caller]
    pub fn spawn_grouped<'scope, F, T, E>(self, group: &'scope Group<'scope, '_, E>, f: F) -> io::Result<GroupHandle<T>>
    where
        F: FnOnce() -> Result<T, E> + 'scope,
        T: 'scope,
    {
        // SAFETY: what it borrows outlives 'scope, and the task ends before that: the group waits. What its result borrows is in
        // the handle's type.
        unsafe { group.inner.spawn(self, f) }
    }
}

/// A task of a group that may be waited for. Dropping it lets the task run on; the group waits for it, and hears of its failure,
/// either way.
pub struct GroupHandle<T> {
    handle: JoinHandle<Result<T, Cancelled>>,
}

impl<T> GroupHandle<T> {
    /// Waits for the task to end, and gives what it returned. A checkpoint, unless it has ended.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], if there is no result: because the task was cancelled, or has failed. (Its failure is the group's, which
    /// cancels its function and its other tasks: those are unwound here. So this is for who joins from elsewhere.)
    ///
    /// # Panics
    ///
    /// As [`JoinHandle::join`]. With a panic of the task that could not be caught inside it: if there was no stack for it.
    ///
    /// # Cancellation
    ///
    /// A task that is cancelled while it waits here is unwound. Where panics abort it goes on waiting.
    #[track_caller]
    pub fn join(self) -> Result<T, Cancelled> {
        let result = match self.handle.join() {
            Ok(result) => result,
            Err(panic) => panic.downcast().map_or_else(|panic| resume_unwind(panic), |cancelled| Err(*cancelled)),
        };
        if result.is_err()
            && let Some((_, task)) = event_loop::task()
        {
            wait::check(task);
        }
        result
    }

    /// Has the task end, and no other; see [`JoinHandle::cancel`]. It does not fail by that.
    pub fn cancel(&self) {
        self.handle.cancel();
    }

    /// Whether the task has ended, so that [`join`](Self::join) does not wait.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// The task, to unpark it or to tell it apart.
    pub fn thread(&self) -> &Thread {
        self.handle.thread()
    }
}

impl<T> fmt::Debug for GroupHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupHandle").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}

/// What [`Group::limit`] answers to 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTurns(());

impl fmt::Display for NoTurns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("limit a task group to no tasks at a time: none of them would ever run")
    }
}

impl Error for NoTurns {}

impl From<NoTurns> for io::Error {
    /// An error of the kind [`InvalidInput`](io::ErrorKind::InvalidInput).
    fn from(error: NoTurns) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}
