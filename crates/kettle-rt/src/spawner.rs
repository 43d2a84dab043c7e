//! Owns the way into a task group from outside of its function.
#![forbid(unsafe_code)]

use crate::group::{Door, Group, GroupHandle};
use crate::join::Builder;
use std::error::Error;
use std::fmt;
use std::rc::Rc;

/// Spawns tasks of a [group](crate::task_group()) from anywhere on its thread, as long as the group has not ended. It has no
/// lifetime, so any task may hold it; therefore what it spawns owns what it uses.
///
/// It keeps no group from ending: that ends with its last task.
///
/// ```
/// use kettle_rt::{EventLoop, spawn, task_group};
///
/// EventLoop::new()?.run(|| {
///     let mut outside = None;
///     let all = task_group(|group| {
///         let spawner = group.spawner();
///         outside = Some(spawner.clone());
///         spawn(move || spawner.spawn(|| Err::<(), _>("spilled")).is_ok()).join().unwrap();
///         Ok(())
///     });
///     assert_eq!(all.unwrap_err().first(), Some(&"spilled"));
///
///     let late = outside.unwrap().spawn(|| Ok("tea")).unwrap_err();
///     assert_eq!(late.to_string(), "spawn into a task group that has ended");
///     assert_eq!((late.into_function())(), Ok("tea"));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Spawner<E> {
    door: Rc<Door<E>>,
}

impl<E> Group<'_, '_, E> {
    /// A way in for other tasks; see [`Spawner`].
    pub fn spawner(&self) -> Spawner<E> {
        Spawner { door: self.door_of() }
    }
}

impl<E> Spawner<E> {
    /// Spawns a task of the group. No checkpoint.
    ///
    /// # Errors
    ///
    /// If the group has ended; the error has the function.
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> Result<GroupHandle<T>, SpawnError<F>>
    where
        F: FnOnce() -> Result<T, E> + 'static,
        T: 'static,
    {
        self.door.spawn(Builder::new(), f).map_err(|function| SpawnError { function })
    }

    /// Whether the group has ended, so that nothing can be spawned any more.
    pub fn is_closed(&self) -> bool {
        !self.door.is_open()
    }
}

impl<E> Clone for Spawner<E> {
    fn clone(&self) -> Self {
        Self { door: Rc::clone(&self.door) }
    }
}

impl<E> fmt::Debug for Spawner<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawner").field("is_closed", &self.is_closed()).finish_non_exhaustive()
    }
}

/// What [`Spawner::spawn`] answers when its group has ended. It has the function.
pub struct SpawnError<F> {
    function: F,
}

impl<F> SpawnError<F> {
    /// The function that was not spawned.
    pub fn into_function(self) -> F {
        self.function
    }
}

impl<F> fmt::Display for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("spawn into a task group that has ended")
    }
}

impl<F> fmt::Debug for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnError").finish_non_exhaustive()
    }
}

impl<F> Error for SpawnError<F> {}
