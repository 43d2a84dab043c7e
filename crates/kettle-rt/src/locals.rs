//! Owns where fiber-locals lie: in a list for each task that has some, and one for each thread.
#![forbid(unsafe_code)]

use std::any::{Any, TypeId};
use std::fmt;
use std::rc::Rc;

/// What tells fiber-locals apart: where they are declared, and their type. (The type alone would do against confusion.)
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) address: *const (),
    pub(crate) of: TypeId,
}

/// The values of a task or a thread, in the order in which they were made.
#[derive(Default)]
pub(crate) struct Locals {
    list: Vec<(Key, Place)>,
    /// Whether no more come, and those that were there have gone.
    is_closed: bool,
}

/// What is known of a value.
#[derive(Clone)]
pub(crate) enum Place {
    /// It was not made.
    Unmade,
    /// It is there.
    Made(Rc<dyn Any>),
    /// It was, and has gone.
    Gone,
}

impl Locals {
    /// None.
    pub(crate) const fn new() -> Self {
        Self { list: Vec::new(), is_closed: false }
    }

    pub(crate) fn get(&self, key: Key) -> Place {
        match self.list.iter().find(|(other, _)| *other == key) {
            Some((_, place)) => place.clone(),
            None if self.is_closed => Place::Gone,
            None => Place::Unmade,
        }
    }

    /// Puts a value in, if none is there: making it may have made it. Gives what is there then.
    pub(crate) fn put(&mut self, key: Key, value: Rc<dyn Any>) -> Place {
        let there = self.get(key);
        if !matches!(there, Place::Unmade) {
            return there;
        }
        self.list.push((key, Place::Made(Rc::clone(&value))));
        Place::Made(value)
    }

    /// Takes the value out that was made last. From then on it is gone.
    pub(crate) fn take_last(&mut self) -> Option<Rc<dyn Any>> {
        let (_, place) = self.list.iter_mut().rfind(|(_, place)| matches!(place, Place::Made(_)))?;
        match std::mem::replace(place, Place::Gone) {
            Place::Made(value) => Some(value),
            Place::Unmade | Place::Gone => None,
        }
    }

    /// Forgets all, for good.
    pub(crate) fn close(&mut self) {
        self.list = Vec::new();
        self.is_closed = true;
    }
}

impl fmt::Debug for Locals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locals").field("len", &self.list.len()).finish_non_exhaustive()
    }
}
