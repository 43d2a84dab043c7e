//! Owns fiber-locals' face: values of which each task has its own, and so has each thread outside of tasks.
//!
//! A value is shared between its task and whoever looks at it at the moment ([`FiberKey::with`]): looking may suspend, and a
//! coroutine may take it to another task, and stay there longer than the task lives. Then the value ends later, and nobody
//! looks at what has gone.
#![forbid(unsafe_code)]

use crate::cancelled::Cancelled;
use crate::event_loop::{self, Loop};
use crate::foreign::discard;
use crate::header::{Flags, TaskRef};
use crate::locals::{Key, Locals, Place};
use std::any::TypeId;
use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

/// Declares values of which each task has its own: `std::thread_local!` for tasks, with its syntax.
///
/// A value is made when it is first looked at, in the task that looks, and dropped when that task has ended, however it ends;
/// of several the last one first. Outside of tasks each thread has its own, which ends with the thread.
///
/// ```
/// use kettle_rt::{EventLoop, fiber_local, spawn, yield_now};
/// use std::cell::{Cell, RefCell};
///
/// fiber_local! {
///     /// Who is served.
///     static GUEST: RefCell<String> = RefCell::new("nobody".to_owned());
///     static CUPS: Cell<u32> = const { Cell::new(0) };
/// }
///
/// EventLoop::new()?.run(|| {
///     let tasks = ["zhang", "li"].map(|name| {
///         spawn(move || {
///             GUEST.set(name.to_owned());
///             CUPS.set(CUPS.get() + 1);
///             yield_now();
///             (GUEST.take(), CUPS.get())
///         })
///     });
///     assert_eq!(tasks.map(|task| task.join().unwrap()), [("zhang".to_owned(), 1), ("li".to_owned(), 1)]);
///     assert_eq!(GUEST.with_borrow(String::clone), "nobody");
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// A coroutine sees the values of whichever task resumes it; a task that is a future ([`spawn_future`](crate::spawn_future)),
/// those of its thread, which it shares with all others of that kind, and with what runs outside of tasks. What it calls by
/// [`in_fiber`](crate::in_fiber) is a task with its own.
#[macro_export]
macro_rules! fiber_local {
    () => {};
    ($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty = $init:expr $(; $($rest:tt)*)?) => {
        $(#[$attribute])*
        $visibility static $name: $crate::FiberKey<$type> = $crate::FiberKey::new(|| $init);
        $($crate::fiber_local!($($rest)*);)?
    };
}

/// A value of which each task has its own: `std::thread::LocalKey` for tasks. Declared by [`fiber_local!`](crate::fiber_local!).
pub struct FiberKey<T: 'static> {
    make: fn() -> T,
}

/// A fiber-local's value has gone, because its task or thread is ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessError(());

thread_local! {
    /// The values of a thread outside of tasks. It needs no destructor, so it is there until the thread has ended.
    static OUTSIDE: ManuallyDrop<RefCell<Locals>> = const { ManuallyDrop::new(RefCell::new(Locals::new())) };

    /// Ends them.
    static END: End = const { End };
}

struct End;

/// The task that runs. A thread outside of `run` has the same values before it becomes a task of its loop and after.
fn current_task() -> Option<TaskRef> {
    event_loop::current().and_then(Loop::current_task).filter(|task| !task.is(Flags::THREAD))
}

/// Looks at the values of the task that runs, or of the thread if none does. Nothing of a user's runs in `f`.
fn of_this<R>(f: impl FnOnce(&mut Locals) -> R) -> R {
    match current_task() {
        Some(task) => task.with_rare(|rare| f(&mut rare.locals)),
        None => OUTSIDE.with(|outside| f(&mut outside.borrow_mut())),
    }
}

impl<T> FiberKey<T> {
    /// For [`fiber_local!`](crate::fiber_local!).
    #[doc(hidden)]
    pub const fn new(make: fn() -> T) -> Self {
        Self { make }
    }

    /// Looks at the value of the task that runs, or of the thread where none does. It is made if it was not. The function may wait.
    ///
    /// ```
    /// use kettle_rt::fiber_local;
    ///
    /// fiber_local!(static TEA: String = "green".to_owned());
    ///
    /// assert_eq!(TEA.with(|tea| tea.len()), 5);
    /// ```
    ///
    /// # Panics
    ///
    /// If the value has gone: in a destructor of another one, when the task or the thread ends.
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.try_with(f).unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`with`](Self::with).
    ///
    /// # Errors
    ///
    /// If the value has gone.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        let value = self.get_or_make(self.make)?;
        Ok(f(&value))
    }

    /// Makes the value of this one, or gives it back, if there is one.
    fn begin_with<V>(&'static self, value: V, make: fn(V) -> T) -> Option<V> {
        let mut value = Some(value);
        let begin = || make(value.take().expect("invariant: called once"));
        _ = self.get_or_make(begin).unwrap_or_else(|error| panic!("{error}"));
        value
    }

    fn get_or_make(&'static self, make: impl FnOnce() -> T) -> Result<Rc<T>, AccessError> {
        let key = Key { address: ptr::from_ref(self).cast(), of: TypeId::of::<T>() };
        let place = match of_this(|locals| locals.get(key)) {
            Place::Unmade => {
                let made = Rc::new(make());
                // Its end is that of the thread, as long as that is not ending already.
                if current_task().is_none() {
                    _ = END.try_with(|End| ());
                }
                let value = Rc::clone(&made);
                of_this(|locals| locals.put(key, value))
            }
            place => place,
        };
        match place {
            Place::Made(value) => Ok(value.downcast().expect("invariant: the key has the type")),
            Place::Unmade | Place::Gone => Err(AccessError(())),
        }
    }
}

impl<T> FiberKey<Cell<T>> {
    /// Puts a value in, without making the one that it would begin with.
    ///
    /// # Panics
    ///
    /// If the value has gone; see [`with`](Self::with).
    pub fn set(&'static self, value: T) {
        if let Some(value) = self.begin_with(value, Cell::new) {
            self.with(|cell| cell.set(value));
        }
    }

    /// A copy of the value.
    ///
    /// # Panics
    ///
    /// If the value has gone; see [`with`](Self::with).
    pub fn get(&'static self) -> T
    where
        T: Copy,
    {
        self.with(Cell::get)
    }

    /// Takes the value, and leaves the default one.
    ///
    /// # Panics
    ///
    /// If the value has gone; see [`with`](Self::with).
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(Cell::take)
    }

    /// Takes the value, and leaves another.
    ///
    /// # Panics
    ///
    /// If the value has gone; see [`with`](Self::with).
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

impl<T> FiberKey<RefCell<T>> {
    /// Looks at the value, borrowed. The function may wait; the value stays borrowed.
    ///
    /// # Panics
    ///
    /// If it is borrowed mutably, or has gone; see [`with`](Self::with).
    pub fn with_borrow<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.with(|cell| f(&cell.borrow()))
    }

    /// Looks at the value, borrowed mutably. The function may wait; the value stays borrowed.
    ///
    /// # Panics
    ///
    /// If it is borrowed, or has gone; see [`with`](Self::with).
    pub fn with_borrow_mut<R>(&'static self, f: impl FnOnce(&mut T) -> R) -> R {
        self.with(|cell| f(&mut cell.borrow_mut()))
    }

    /// Puts a value in, without making the one that it would begin with.
    ///
    /// # Panics
    ///
    /// If it is borrowed, or has gone; see [`with`](Self::with).
    pub fn set(&'static self, value: T) {
        if let Some(value) = self.begin_with(value, RefCell::new) {
            self.with(|cell| cell.replace(value));
        }
    }

    /// Takes the value, and leaves the default one.
    ///
    /// # Panics
    ///
    /// If it is borrowed, or has gone; see [`with`](Self::with).
    pub fn take(&'static self) -> T
    where
        T: Default,
    {
        self.with(RefCell::take)
    }

    /// Takes the value, and leaves another.
    ///
    /// # Panics
    ///
    /// If it is borrowed, or has gone; see [`with`](Self::with).
    pub fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}

/// Ends the values of the current task, the last one first. Gives whether a destructor has panicked.
pub(crate) fn end(task: TaskRef) -> bool {
    let mut panicked = false;
    while let Some(value) = task.with_rare(|rare| rare.locals.take_last()) {
        // The panic hook has said it.
        let ended = catch_unwind(AssertUnwindSafe(|| drop(value)));
        if let Err(payload) = ended {
            panicked |= !payload.is::<Cancelled>();
            discard(payload);
        }
    }
    panicked
}

impl Drop for End {
    fn drop(&mut self) {
        while let Some(value) = OUTSIDE.with(|outside| outside.borrow_mut().take_last()) {
            drop(value);
        }
        OUTSIDE.with(|outside| outside.borrow_mut().close());
    }
}

impl<T> fmt::Debug for FiberKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FiberKey").finish_non_exhaustive()
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("look at a fiber-local that has gone: its task or thread is ending")
    }
}

impl Error for AccessError {}
