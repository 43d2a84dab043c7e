//! Owns a datagram, and those that have arrived at a socket and wait there.
//!
//! Invariant: what waits at a socket takes no more than its capacity, or is one datagram.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;

/// What one takes in a buffer besides its bytes, about as much as in the kernel's: so that empty ones fill it as well.
const OVERHEAD: usize = 256;

/// What was sent, and by whom.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Datagram {
    pub(crate) bytes: Rc<[u8]>,
    pub(crate) from: SocketAddr,
}

/// Those that wait at a socket.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: VecDeque<Datagram>,
    size: usize,
    capacity: usize,
}

impl Inbox {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { queue: VecDeque::new(), size: 0, capacity }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(len: usize) -> Datagram {
        Datagram { bytes: vec![7; len].into(), from: SocketAddr::from(([127, 0, 0, 1], 1)) }
    }

    #[test]
    fn a_full_box_takes_no_more() {
        let mut inbox = Inbox::new(1000);
        assert!(inbox.push(datagram(400)) && !inbox.push(datagram(89)) && inbox.push(datagram(88)));
        assert!(!inbox.push(datagram(0)), "an empty one takes room as well");
        assert_eq!(inbox.first(), Some(&datagram(400)));
        assert_eq!(inbox.pop(), Some(datagram(400)));
        assert!(inbox.push(datagram(400)));
        assert_eq!((inbox.pop(), inbox.pop(), inbox.pop()), (Some(datagram(88)), Some(datagram(400)), None));
    }

    #[test]
    fn one_datagram_always_has_room() {
        let mut inbox = Inbox::new(1);
        assert!(inbox.push(datagram(60_000)) && !inbox.push(datagram(0)));
        assert_eq!(inbox.pop(), Some(datagram(60_000)));
        assert!(inbox.push(datagram(0)));
    }
}
