//! Owns one direction of a simulated connection: the bytes that are under way to a socket, and those that have arrived.
//!
//! ```text
//!   bytes   │ arrived … │ segment │ segment │ …        one queue; a segment is a count of bytes, and when they arrive
//! ```
//!
//! Invariant: segments arrive in the order in which they were sent, and the bytes of all of them follow what has arrived.
#![forbid(unsafe_code)]

use crate::random::Random;
use std::collections::VecDeque;

/// Nanoseconds of the virtual clock.
pub(crate) type Nanos = u64;

#[derive(Debug)]
pub(crate) struct Flow {
    bytes: VecDeque<u8>,
    arrived: usize,
    segments: VecDeque<(Nanos, Segment)>,
    /// When the last segment arrives.
    last: Nanos,
    /// Whether all has arrived that the peer sends.
    has_ended: bool,
    capacity: usize,
    /// The numbers of this flow, which others do not disturb.
    pub(crate) random: Random,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Segment {
    Bytes(usize),
    /// The peer sends nothing after this.
    End,
    /// The connection is no more.
    Reset,
}

impl Flow {
    /// Nothing, of which nothing arrives before a time.
    pub(crate) fn new(capacity: usize, random: Random, earliest: Nanos) -> Self {
        Self {
            bytes: VecDeque::new(),
            arrived: 0,
            segments: VecDeque::new(),
            last: earliest,
            has_ended: false,
            capacity,
            random,
        }
    }

    /// How many bytes the sender may send.
    pub(crate) fn space(&self) -> usize {
        self.capacity.saturating_sub(self.bytes.len())
    }

    /// How many bytes can be received.
    pub(crate) fn arrived(&self) -> usize {
        self.arrived
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether closing would lose something.
    pub(crate) fn is_unread(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Sends bytes. `push` is followed by the segment that they are.
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// Sends a segment, not to arrive before a time. Gives when it does.
    pub(crate) fn push(&mut self, segment: Segment, at: Nanos) -> Nanos {
        self.last = self.last.max(at);
        self.segments.push_back((self.last, segment));
        self.last
    }

    /// What has arrived by now, one after the other.
    pub(crate) fn arrive(&mut self, now: Nanos) -> Option<Segment> {
        let &(at, segment) = self.segments.front()?;
        if at > now {
            return None;
        }
        self.segments.pop_front();
        match segment {
            Segment::Bytes(count) => self.arrived += count,
            Segment::End | Segment::Reset => self.has_ended = true,
        }
        Some(segment)
    }

    /// Has what should have arrived arrive at a later time. Gives whether there is anything.
    pub(crate) fn delay(&mut self, until: Nanos) -> bool {
        for (at, _) in &mut self.segments {
            *at = (*at).max(until);
        }
        self.last = self.last.max(until);
        !self.segments.is_empty()
    }

    /// Copies what has arrived, from its beginning or after so many bytes. Gives how many it was.
    pub(crate) fn peek(&self, skip: usize, to: &mut [u8]) -> usize {
        let count = to.len().min(self.arrived.saturating_sub(skip));
        let (first, second) = self.bytes.as_slices();
        let from_first = &first[skip.min(first.len())..];
        let from_second = &second[skip.saturating_sub(first.len()).min(second.len())..];
        let in_first = count.min(from_first.len());
        to[..in_first].copy_from_slice(&from_first[..in_first]);
        to[in_first..count].copy_from_slice(&from_second[..count - in_first]);
        count
    }

    /// Takes out what was received.
    pub(crate) fn consume(&mut self, count: usize) {
        self.bytes.drain(..count);
        self.arrived -= count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> Flow {
        Flow::new(8, Random::new(0), 0)
    }

    #[test]
    fn bytes_arrive_in_their_order_and_at_their_time() {
        let mut flow = flow();
        flow.push_bytes(b"tea");
        assert_eq!(flow.push(Segment::Bytes(3), 50), 50);
        flow.push_bytes(b"pot");
        assert_eq!(flow.push(Segment::Bytes(3), 20), 50, "it does not overtake");
        assert_eq!((flow.space(), flow.arrived()), (2, 0));
        assert_eq!(flow.arrive(49), None);
        assert_eq!(flow.arrive(50), Some(Segment::Bytes(3)));
        let mut buffer = [0; 5];
        assert_eq!(flow.peek(0, &mut buffer), 3);
        assert_eq!(&buffer[..3], b"tea");
        assert_eq!(flow.arrive(50), Some(Segment::Bytes(3)));
        assert_eq!(flow.peek(1, &mut buffer), 5);
        assert_eq!(&buffer, b"eapot");
        flow.consume(4);
        assert_eq!((flow.space(), flow.arrived()), (6, 2));
    }

    #[test]
    fn what_is_peeked_may_lie_around_the_end_of_the_queue() {
        let mut flow = flow();
        for round in 0..100_u8 {
            let sent = [round, round + 1, round + 2];
            flow.push_bytes(&sent);
            flow.push(Segment::Bytes(3), 0);
            flow.arrive(0);
            let mut buffer = [0; 3];
            assert_eq!(flow.peek(0, &mut buffer), 3);
            assert_eq!(buffer, sent);
            assert_eq!(flow.peek(2, &mut buffer), 1);
            assert_eq!(buffer[0], sent[2]);
            flow.consume(3);
        }
    }

    #[test]
    fn delays_hold_everything_back() {
        let mut flow = flow();
        assert!(!flow.delay(10));
        flow.push(Segment::End, 20);
        assert!(flow.delay(30));
        assert_eq!(flow.arrive(29), None);
        assert_eq!(flow.arrive(30), Some(Segment::End));
        assert!(flow.has_ended());
    }
}
