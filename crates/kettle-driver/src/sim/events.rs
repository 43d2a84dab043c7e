//! Owns what will happen in a simulated network: events by time, those of one time in the order in which they were made.
#![forbid(unsafe_code)]

use super::datagram::Datagram;
use super::flow::Nanos;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, SocketAddr};

/// A socket, by its place and which of those that have had it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Id {
    pub(crate) place: u32,
    pub(crate) generation: u32,
}

/// A datagram that is under way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Flight {
    pub(crate) sender: Id,
    pub(crate) from_host: IpAddr,
    pub(crate) to_host: IpAddr,
    pub(crate) to: SocketAddr,
    pub(crate) datagram: Datagram,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Event {
    /// Something may arrive at a socket.
    Arrival(Id),
    /// A socket's wish to connect arrives, for so many times before in vain.
    Call(Id, u32),
    /// The answer to that arrives: 0, or the error.
    Answer(Id, i32),
    /// A datagram arrives.
    Landing(Box<Flight>),
    /// A socket hears that nobody is bound where it has sent a datagram to.
    Unreachable(Id, SocketAddr),
}

#[derive(Debug, Default)]
pub(crate) struct Events {
    heap: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    made: u64,
}

impl Events {
    pub(crate) fn push(&mut self, at: Nanos, event: Event) {
        self.made += 1;
        self.heap.push(Reverse((at, self.made, event)));
    }

    /// When the next one is.
    pub(crate) fn next_time(&self) -> Option<Nanos> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    /// The next one, if its time has come.
    pub(crate) fn pop(&mut self, now: Nanos) -> Option<Event> {
        let due = self.next_time().is_some_and(|at| at <= now);
        due.then(|| self.heap.pop()).flatten().map(|Reverse((.., event))| event)
    }

    pub(crate) fn clear(&mut self) {
        self.heap.clear();
    }
}
