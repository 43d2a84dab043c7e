//! Owns datagrams: those that are under way, and those that have arrived at a socket and wait there.
//!
//! Invariant: what waits at a socket takes no more than its capacity, or is one datagram.
#![forbid(unsafe_code)]

use super::events::Id;
use super::flow::Nanos;
use crate::random::Random;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// What one takes in a buffer besides its bytes, about as much as in the kernel's: so that empty ones fill it as well.
const OVERHEAD: usize = 256;

/// One that has arrived.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Datagram {
    pub(crate) bytes: Rc<[u8]>,
    pub(crate) from: SocketAddr,
}

/// What a socket for datagrams has, besides what all have.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: VecDeque<Datagram>,
    size: usize,
    capacity: usize,
    /// When the last one arrives that the socket has sent to its own host.
    pub(crate) last: Nanos,
    /// The numbers of what the socket sends, which others do not disturb.
    pub(crate) random: Random,
}

impl Inbox {
    pub(crate) fn new(capacity: usize, random: Random) -> Self {
        Self { queue: VecDeque::new(), size: 0, capacity, last: 0, random }
    }

    /// Takes one in that has arrived. Gives whether there was room for it.
    pub(crate) fn push(&mut self, datagram: Datagram) -> bool {
        let size = self.size + datagram.bytes.len() + OVERHEAD;
        let has_room = size <= self.capacity || self.queue.is_empty();
        if has_room {
            self.size = size;
            self.queue.push_back(datagram);
        }
        has_room
    }

    /// The first of them.
    pub(crate) fn first(&self) -> Option<&Datagram> {
        self.queue.front()
    }

    /// Takes the first one out.
    pub(crate) fn pop(&mut self) -> Option<Datagram> {
        let datagram = self.queue.pop_front()?;
        self.size -= datagram.bytes.len() + OVERHEAD;
        Some(datagram)
    }
}

/// One that is under way.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    pub(crate) sender: Id,
    pub(crate) from_host: IpAddr,
    pub(crate) to_host: IpAddr,
    pub(crate) to: SocketAddr,
    pub(crate) datagram: Datagram,
}

/// All that are under way, by the numbers that events have of them.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    under_way: BTreeMap<u64, Flight>,
    begun: u64,
}

impl Flights {
    pub(crate) fn insert(&mut self, flight: Flight) -> u64 {
        self.begun += 1;
        self.under_way.insert(self.begun, flight);
        self.begun
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<Flight> {
        self.under_way.remove(&number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(len: usize) -> Datagram {
        Datagram { bytes: vec![7; len].into(), from: SocketAddr::from(([127, 0, 0, 1], 1)) }
    }

    #[test]
    fn a_full_box_takes_no_more() {
        let mut inbox = Inbox::new(1000, Random::new(0));
        assert!(inbox.push(datagram(400)) && !inbox.push(datagram(89)) && inbox.push(datagram(88)));
        assert!(!inbox.push(datagram(0)), "an empty one takes room as well");
        assert_eq!(inbox.first(), Some(&datagram(400)));
        assert_eq!(inbox.pop(), Some(datagram(400)));
        assert!(inbox.push(datagram(400)));
        assert_eq!((inbox.pop(), inbox.pop(), inbox.pop()), (Some(datagram(88)), Some(datagram(400)), None));
    }

    #[test]
    fn one_datagram_always_has_room() {
        let mut inbox = Inbox::new(1, Random::new(0));
        assert!(inbox.push(datagram(60_000)) && !inbox.push(datagram(0)));
        assert_eq!(inbox.pop(), Some(datagram(60_000)));
        assert!(inbox.push(datagram(0)));
    }
}
