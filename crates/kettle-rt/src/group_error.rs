//! Owns the error of a task group: all that failed in it, in the order in which it failed.
#![forbid(unsafe_code)]

use crate::cancelled::Cancelled;
use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::{slice, vec};

/// What a task panicked with.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Why a [task group](crate::task_group()) has given no result: the errors of its tasks and of its function. The first one is
/// what cancelled the others; those that failed all the same, on their way out or at the same time, are the others.
///
/// ```
/// use kettle_rt::{EventLoop, task_group};
///
/// let spilled = EventLoop::new()?.run(|| {
///     task_group(|group| {
///         group.spawn(|| Err::<(), _>("no water"));
///         group.spawn(|| Err::<(), _>("no fire"));
///         Err::<(), _>("no tea")
///     })
/// });
/// let error = spilled.unwrap_err();
/// assert_eq!(error.first(), Some(&"no tea"));
/// // The tasks had not begun when the group was cancelled.
/// assert!(error.others().is_empty());
/// assert_eq!(error.to_string(), "a task group failed: no tea");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct GroupError<E> {
    errors: Vec<E>,
    /// Only where they are kept. (Payloads are not `Sync`, and errors had better be.)
    panics: Mutex<Vec<Payload>>,
    cancelled: Cancelled,
}

impl<E> GroupError<E> {
    pub(crate) fn new(errors: Vec<E>, panics: Vec<Payload>, cancelled: Cancelled) -> Self {
        Self { errors, panics: Mutex::new(panics), cancelled }
    }

    /// The error that cancelled the group. `None` if there is none, because the group was [cancelled](Self::is_cancelled), or
    /// because a task has panicked and panics are [kept](crate::Group::keep_panics).
    pub fn first(&self) -> Option<&E> {
        self.errors.first()
    }

    /// The errors that came after the first one.
    pub fn others(&self) -> &[E] {
        self.errors.get(1..).unwrap_or_default()
    }

    /// All errors, the first one first.
    pub fn iter(&self) -> slice::Iter<'_, E> {
        self.errors.iter()
    }

    /// Whether nothing has failed: the group was cancelled by [`cancel`](crate::Group::cancel), so its function did not return a
    /// result.
    pub fn is_cancelled(&self) -> bool {
        self.errors.is_empty() && self.panics.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// What the group's tasks and its function were cancelled with.
    pub fn cancelled(&self) -> Cancelled {
        self.cancelled
    }

    /// What tasks have panicked with, the first one first, if that was [kept](crate::Group::keep_panics).
    pub fn into_panics(self) -> Vec<Box<dyn Any + Send>> {
        self.panics.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first error, and how many followed it.
    fn tell(&self, f: &mut fmt::Formatter<'_>, first: Option<&dyn fmt::Display>) -> fmt::Result {
        let panics = self.panics.lock().unwrap_or_else(PoisonError::into_inner).len();
        match first {
            Some(first) => write!(f, "a task group failed: {first}")?,
            None if panics > 0 => f.write_str("a task of a group panicked")?,
            None => return write!(f, "a task group was {}", self.cancelled),
        }
        let others = (self.errors.len() + panics).saturating_sub(1);
        if others > 0 { write!(f, " (and {others} more)") } else { Ok(()) }
    }
}

impl<E> IntoIterator for GroupError<E> {
    type Item = E;
    type IntoIter = vec::IntoIter<E>;

    /// All errors, the first one first.
    fn into_iter(self) -> vec::IntoIter<E> {
        self.errors.into_iter()
    }
}

impl<'a, E> IntoIterator for &'a GroupError<E> {
    type Item = &'a E;
    type IntoIter = slice::Iter<'a, E>;

    fn into_iter(self) -> slice::Iter<'a, E> {
        self.iter()
    }
}

impl<E: fmt::Display> fmt::Display for GroupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tell(f, self.first().map(|first| first as _))
    }
}

impl<E: fmt::Debug> fmt::Debug for GroupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let panics = self.panics.lock().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("GroupError")
            .field("errors", &self.errors)
            .field("panics", &panics)
            .field("cancelled", &self.cancelled)
            .finish()
    }
}

impl<E: Error + 'static> Error for GroupError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.first() {
            Some(first) => Some(first),
            None => Some(&self.cancelled),
        }
    }
}

impl From<GroupError<io::Error>> for io::Error {
    /// The error itself, if it is the only one; otherwise one of the first's kind that has all of them.
    fn from(mut error: GroupError<io::Error>) -> Self {
        match error.errors.first().map(io::Error::kind) {
            _ if error.is_cancelled() => error.cancelled.into(),
            Some(_) if error.errors.len() == 1 => error.errors.remove(0),
            kind => io::Error::new(kind.unwrap_or(io::ErrorKind::Other), error),
        }
    }
}
