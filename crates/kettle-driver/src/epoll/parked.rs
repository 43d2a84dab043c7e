//! Owns the operations that wait for readiness: a slab of them, in which each queue of a descriptor is a list.
//!
//! Invariant: an operation that is parked is in one queue, and `by_token` leads to it.
#![forbid(unsafe_code)]

use super::attempt::Direction;
use crate::op::{Op, Token};
use crate::tokens::TokenMap;
use std::os::fd::RawFd;

/// No operation: the end of a list.
const NONE: u32 = u32::MAX;

/// An operation, first in first out among those of its descriptor and direction.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) op: Op,
    pub(crate) token: Token,
    pub(crate) fd: RawFd,
    pub(crate) direction: Direction,
    /// How many bytes it has moved, of those that must all be.
    pub(crate) progress: usize,
    /// Whether no event will tell when to try again.
    pub(crate) is_stalled: bool,
    previous: u32,
    next: u32,
}

/// The operations of one descriptor that wait in one direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue {
    first: u32,
    last: u32,
}

impl Queue {
    pub(crate) const EMPTY: Queue = Queue { first: NONE, last: NONE };

    pub(crate) fn is_empty(self) -> bool {
        self.first == NONE
    }

    /// The one whose turn it is.
    pub(crate) fn first(self) -> Option<Index> {
        (self.first != NONE).then_some(Index(self.first))
    }
}

/// An operation's place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Index(u32);

#[derive(Debug, Default)]
pub(crate) struct Slab {
    entries: Vec<Parked>,
    /// Places in `entries` that are free.
    free: Vec<u32>,
    by_token: TokenMap<u32>,
}

impl Slab {
    pub(crate) fn len(&self) -> usize {
        self.by_token.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_token.is_empty()
    }

    /// Parks an operation at the end of a queue.
    pub(crate) fn park(
        &mut self,
        queue: &mut Queue,
        op: Op,
        token: Token,
        (fd, direction): (RawFd, Direction),
        progress: usize,
    ) -> Index {
        let entry = Parked { op, token, fd, direction, progress, is_stalled: false, previous: queue.last, next: NONE };
        let index = match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = entry;
                index
            }
            None => {
                self.entries.push(entry);
                // There are fewer: each has a place in memory at its caller's, and a token of its own.
                (self.entries.len() - 1) as u32
            }
        };
        match queue.last {
            NONE => queue.first = index,
            last => self.entries[last as usize].next = index,
        }
        queue.last = index;
        let before = self.by_token.insert(token, index);
        debug_assert!(before.is_none(), "submit an operation: {token:?} is in flight");
        Index(index)
    }

    pub(crate) fn find(&self, token: Token) -> Option<Index> {
        self.by_token.get(token).copied().map(Index)
    }

    pub(crate) fn get(&self, index: Index) -> &Parked {
        &self.entries[index.0 as usize]
    }

    pub(crate) fn get_mut(&mut self, index: Index) -> &mut Parked {
        &mut self.entries[index.0 as usize]
    }

    /// Takes an operation out of the queue that it is in; what it was called, and how far it has come.
    pub(crate) fn unpark(&mut self, queue: &mut Queue, index: Index) -> (Token, usize) {
        let &Parked { previous, next, token, progress, .. } = self.get(index);
        match previous {
            NONE => queue.first = next,
            previous => self.entries[previous as usize].next = next,
        }
        match next {
            NONE => queue.last = previous,
            next => self.entries[next as usize].previous = previous,
        }
        self.free.push(index.0);
        self.by_token.remove(token);
        (token, progress)
    }
}
