//! Owns a run: what all connections share, and their tasks.

use crate::connection;
use crate::payload::Payload;
use crate::plan::{End, Plan};
use crate::random::Random;
use crate::report::Report;
use crate::tickets::Tickets;
use kettle::thread;
use std::cell::RefCell;
use std::time::{Duration, Instant};

/// How often in a row a connection may fail before it is given up.
const ATTEMPTS: u32 = 10;

/// How long it waits before the next attempt.
const PAUSE: Duration = Duration::from_millis(50);

/// A run, which begins when it is made.
#[derive(Debug)]
pub struct Load {
    pub(crate) plan: Plan,
    pub(crate) payload: Payload,
    pub(crate) tickets: Tickets,
    pub(crate) report: RefCell<Report>,
    start: Instant,
}

impl Load {
    /// A run of a plan.
    pub fn new(plan: Plan) -> Self {
        let start = Instant::now();
        Self {
            payload: Payload::new(plan.seed),
            tickets: Tickets::new(plan.end, plan.pace, start),
            report: RefCell::default(),
            start,
            plan,
        }
    }

    /// Runs it, in a task, and gives what came of it. A checkpoint.
    ///
    /// # Panics
    ///
    /// Outside of tasks.
    pub fn run(&self) -> Report {
        thread::scope(|s| {
            for number in 0..self.plan.connections {
                s.spawn(move || self.keep_connection(number as u64));
            }
        });
        let mut report = self.report.take();
        report.elapsed = self.start.elapsed();
        report
    }

    /// How many requests have been answered so far.
    pub fn answered(&self) -> u64 {
        self.report.borrow().answered
    }

    /// How far it has come, in a thousand parts.
    pub fn progress(&self) -> u64 {
        let part = match self.plan.end {
            End::Requests(count) => self.answered() as f64 / count as f64,
            End::After(time) => self.start.elapsed().div_duration_f64(time),
        };
        (part * 1000.0) as u64
    }

    /// Has one connection, and after it another one, until the run is over.
    fn keep_connection(&self, number: u64) {
        let me = thread::current();
        let mut random = Random::new(self.plan.seed, number);
        let mut failed = 0;
        while failed < ATTEMPTS && !self.tickets.are_out(Instant::now()) {
            let before = self.answered();
            match connection::converse(self, &me, &mut random) {
                Ok(()) => failed = 0,
                Err(failure) => {
                    self.report.borrow_mut().fail(failure);
                    failed = if self.answered() > before { 1 } else { failed + 1 };
                    thread::sleep(PAUSE);
                }
            }
        }
    }
}
