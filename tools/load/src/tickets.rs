//! Owns which requests are made, and when: connections take tickets, as many as there are until the end.

use crate::plan::{End, Pace};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// The right to make one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ticket {
    /// Which one, from 0.
    pub number: u64,
    /// When it is due: now, if there is no pace.
    pub due: Instant,
}

/// All of a run.
#[derive(Debug)]
pub struct Tickets {
    taken: Cell<u64>,
    end: End,
    pace: Pace,
    start: Instant,
}

impl Tickets {
    /// Those of a run that starts at a time.
    pub fn new(end: End, pace: Pace, start: Instant) -> Self {
        Self { taken: Cell::new(0), end, pace, start }
    }

    /// The next one, unless the run is over.
    pub fn take(&self, now: Instant) -> Option<Ticket> {
        let ticket = self.next(now)?;
        self.taken.set(ticket.number + 1);
        Some(ticket)
    }

    /// The next one if it is due already.
    pub fn take_due(&self, now: Instant) -> Option<Ticket> {
        self.next(now).filter(|ticket| ticket.due <= now)?;
        self.take(now)
    }

    /// Whether there will be no more.
    pub fn are_out(&self, now: Instant) -> bool {
        self.next(now).is_none()
    }

    fn next(&self, now: Instant) -> Option<Ticket> {
        let number = self.taken.get();
        let due = match self.pace {
            Pace::Asap => now,
            Pace::PerSecond(rate) => {
                let time = Duration::try_from_secs_f64(number as f64 / rate).ok()?;
                self.start.checked_add(time)?
            }
        };
        let is_left = match self.end {
            End::Requests(count) => number < count,
            End::After(time) => due.saturating_duration_since(self.start) < time,
        };
        is_left.then_some(Ticket { number, due })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_as_were_asked_for() {
        let start = Instant::now();
        let tickets = Tickets::new(End::Requests(3), Pace::Asap, start);
        let numbers: Vec<u64> = std::iter::from_fn(|| tickets.take(start)).map(|ticket| ticket.number).collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert!(tickets.are_out(start));
    }

    #[test]
    fn time_ends_them() {
        let start = Instant::now();
        let tickets = Tickets::new(End::After(Duration::from_secs(1)), Pace::Asap, start);
        assert!(tickets.take(start + Duration::from_millis(999)).is_some());
        assert!(tickets.are_out(start + Duration::from_secs(1)));
    }

    #[test]
    fn a_pace_says_when_each_is_due_however_late_it_is_taken() {
        let start = Instant::now();
        let tickets = Tickets::new(End::After(Duration::from_secs(1)), Pace::PerSecond(4.0), start);
        let late = start + Duration::from_secs(100);
        let due: Vec<_> = std::iter::from_fn(|| tickets.take(late)).map(|ticket| ticket.due - start).collect();
        assert_eq!(due, [0, 250, 500, 750].map(Duration::from_millis));
    }

    #[test]
    fn what_is_not_due_is_left() {
        let start = Instant::now();
        let tickets = Tickets::new(End::Requests(9), Pace::PerSecond(2.0), start);
        assert_eq!(tickets.take_due(start).map(|ticket| ticket.number), Some(0));
        assert_eq!(tickets.take_due(start), None);
        assert_eq!(tickets.take(start).map(|ticket| ticket.due - start), Some(Duration::from_millis(500)));
    }
}
