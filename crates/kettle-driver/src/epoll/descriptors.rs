//! Owns what epoll knows of each descriptor: a table by its number. An entry is made when an operation has to wait for
//! the first time, and stays.
//!
//! A number is not a file. Who closes a descriptor behind the driver's back leaves an entry that says "registered" about
//! a file that has gone, and the next file with that number would wait for ever. Who takes a descriptor in may say so, and
//! the entry forgets its file. Where nobody has, it is doubted (`unproven`) when an operation parks on the strength of an
//! older registration, until an event helps an operation; doubts that last are settled by asking the kernel. Events carry
//! the entry's generation, so that those of a former file, which a duplicate keeps alive, are told apart.
#![forbid(unsafe_code)]

use super::attempt::Direction;
use super::parked::Queue;
use std::os::fd::RawFd;

/// What is known of the file behind a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptor {
    /// Distinguishes the registrations that this number has had.
    pub(crate) generation: u32,
    pub(crate) registration: Registration,
    /// Whether it is in the list of those in doubt; it may have been proven since.
    pub(crate) is_listed: bool,
    /// Whether a receive that returns less than there was room for has emptied the socket.
    pub(crate) short_is_dry: bool,
    /// Whether there is nothing to receive: an event will say when there is. Only while registered.
    pub(crate) is_dry: bool,
    pub(crate) readers: Queue,
    pub(crate) writers: Queue,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Registration {
    /// Epoll has not been told of it.
    None,
    /// Operations wait because epoll was told once, for a file with this number.
    Unproven,
    /// Epoll knows this file: it was told just now, or an event has helped an operation since.
    Proven,
}

impl Descriptor {
    const UNKNOWN: Descriptor = Descriptor {
        generation: 0,
        registration: Registration::None,
        is_listed: false,
        short_is_dry: false,
        is_dry: false,
        readers: Queue::EMPTY,
        writers: Queue::EMPTY,
    };

    pub(crate) fn queue(&mut self, direction: Direction) -> &mut Queue {
        match direction {
            Direction::Read => &mut self.readers,
            Direction::Write => &mut self.writers,
        }
    }

    /// Whether nothing waits here.
    pub(crate) fn is_idle(&self) -> bool {
        self.readers.is_empty() && self.writers.is_empty()
    }

    /// What its events are to say: which number, which registration. Differs from the bell's, whose number is negative.
    pub(crate) fn data(&self, fd: RawFd) -> u64 {
        u64::from(self.generation) << 32 | u64::from(fd.cast_unsigned())
    }

    /// Forgets the file, not the operations.
    pub(crate) fn forget(&mut self) {
        self.registration = Registration::None;
        self.short_is_dry = false;
        self.is_dry = false;
    }
}

#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Descriptor>);

impl Table {
    /// What is known, if anything.
    pub(crate) fn get_mut(&mut self, fd: RawFd) -> Option<&mut Descriptor> {
        self.0.get_mut(usize::try_from(fd).ok()?)
    }

    /// The entry of a descriptor that the kernel has just accepted: its number is not negative and within its limits.
    pub(crate) fn entry(&mut self, fd: RawFd) -> &mut Descriptor {
        let index = fd.max(0).cast_unsigned() as usize;
        if index >= self.0.len() {
            self.0.resize(index + 1, Descriptor::UNKNOWN);
        }
        &mut self.0[index]
    }
}
