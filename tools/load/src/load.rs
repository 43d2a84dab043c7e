//! Owns a run: what all connections share, and their tasks.

use crate::connection;
use crate::payload::Payload;
use crate::plan::{End, Plan};
use crate::random::Random;
use crate::report::Report;
use crate::tickets::Tickets;
use crate::watch::{Sample, Watched};
use kettle::thread;
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

/// How often in a row a connection may fail before it is given up.
const ATTEMPTS: u32 = 10;

/// How long it waits before the next attempt.
const PAUSE: Duration = Duration::from_millis(50);

/// How often the server's process is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How far the run has come, in a thousand parts, when the server has warmed up.
const WARM: u64 = 100;

/// A run, which begins when it is made.
#[derive(Debug)]
pub struct Load {
    pub(crate) plan: Plan,
    pub(crate) payload: Payload,
    pub(crate) tickets: Tickets,
    pub(crate) report: RefCell<Report>,
    start: Instant,
    /// Whether all connections have ended.
    is_over: Cell<bool>,
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
            is_over: Cell::new(false),
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
            let watcher = self.plan.watch.map(|pid| s.spawn(move || self.watch(pid)));
            thread::scope(|s| {
                for number in 0..self.plan.connections {
                    s.spawn(move || self.keep_connection(number as u64));
                }
            });
            self.is_over.set(true);
            if let Some(watcher) = watcher {
                watcher.thread().unpark();
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

    /// Looks at the server's process now and then, until the run is over. If it ends, its connections tell that.
    fn watch(&self, pid: u32) {
        let mut watched: Option<Watched> = None;
        while !self.is_over.get() {
            if let Ok(sample) = Sample::of(pid) {
                match &mut watched {
                    Some(watched) if self.progress() >= WARM => watched.see(sample),
                    _ => watched = Some(Watched::new(sample)),
                }
            }
            thread::park_timeout(LOOK);
        }
        self.report.borrow_mut().watched = watched;
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
