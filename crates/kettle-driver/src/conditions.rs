//! Owns what a simulated world is like: its seed, and how its network treats those who use it.
#![forbid(unsafe_code)]

use crate::random::Random;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How a simulation is to be; only the driver [`Kind::Sim`](crate::Kind::Sim) looks at it.
///
/// ```
/// use kettle_driver::{Conditions, Config, Driver, Kind};
/// use std::time::Duration;
///
/// let conditions = Conditions { seed: 7, latency: Duration::ZERO..=Duration::from_millis(90), ..Conditions::default() };
/// let driver = Driver::with(Config { kind: Some(Kind::Sim), conditions, ..Config::default() }).unwrap();
/// assert_eq!(driver.choice().kind(), Kind::Sim);
/// ```
#[derive(Clone, Debug)]
pub struct Conditions {
    /// What all that is not decided otherwise follows from.
    pub seed: u64,
    /// How long bytes are under way, one way. Each send takes a time of its own from this range. A connection's bytes keep
    /// their order all the same, and so do the datagrams that a socket sends to its own host; others overtake each other.
    pub latency: RangeInclusive<Duration>,
    /// Once in how many transfers only a part is moved of what could be; never if it is 0.
    pub short_once_in: u32,
    /// Once in how many sends the connection is reset instead; never if it is 0.
    pub reset_once_in: u32,
    /// Once in how many sends of a datagram to another host it is lost; never if it is 0.
    pub lost_once_in: u32,
    /// Once in how many sends of a datagram to another host it arrives twice; never if it is 0.
    pub duplicated_once_in: u32,
    /// How many bytes may be under way to a socket and in its buffer: the next ones wait. What a buffer of datagrams has no
    /// room for is lost when it arrives; each takes 256 bytes there besides its own.
    pub capacity: usize,
    /// How many connections may wait at a listener.
    pub backlog: usize,
    /// Whether the trace keeps its records, besides its hash.
    pub keeps_trace: bool,
}

impl Conditions {
    /// How long something that is sent now is under way, in nanoseconds.
    pub(crate) fn latency(&self, random: &mut Random) -> u64 {
        let (least, most) = (self.latency.start().as_nanos(), self.latency.end().as_nanos());
        let range = u64::try_from(most.saturating_sub(least)).unwrap_or(u64::MAX);
        (least as u64).saturating_add(random.below(range.saturating_add(1)))
    }
}

impl Default for Conditions {
    /// Seed 0; 50 microseconds to 2 milliseconds; a short transfer in eight; no resets; of 16 datagrams one is lost, of 32 one
    /// comes twice; 64 KiB; 128 connections.
    fn default() -> Self {
        Self {
            seed: 0,
            latency: Duration::from_micros(50)..=Duration::from_millis(2),
            short_once_in: 8,
            reset_once_in: 0,
            lost_once_in: 16,
            duplicated_once_in: 32,
            capacity: 64 * 1024,
            backlog: 128,
            keeps_trace: false,
        }
    }
}
