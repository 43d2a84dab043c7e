//! Owns one connection, from its opening to its end: a task that sends requests, and one that receives their answers.
//!
//! Both at once, because a server that can't get rid of an answer need not read the next request. The requests that are
//! under way lie in a queue between the two: the sender puts one in before it writes it, the receiver takes it out with the
//! last byte of its answer and wakes the sender, which may be waiting for room. Whoever ends first shuts down what the other
//! one may be waiting for.

use crate::answers::{Answers, Request};
use crate::load::Load;
use crate::plan::Mode;
use crate::random::Random;
use crate::report::{Cause, Failure};
use crate::tickets::Ticket;
use kettle::net::{Shutdown, TcpStream};
use kettle::thread::{self, Thread};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

/// A server that says nothing, or takes nothing, for so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much is written at once, where there is more than one request to be made.
const BATCH: usize = 16 * 1024;

/// What is read at once. It lies on the receiver's stack.
const BUFFER: usize = 16 * 1024;

/// What every request of HTTP is.
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: kettle\r\n\r\n";

/// How the sender has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sent {
    /// It has not.
    Not,
    /// All there was, and all of it has been answered.
    All,
    /// It has dropped the connection on purpose, and closes it so.
    Dropped(Closing),
}

/// How a connection is closed that is dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Closing {
    /// In order, as far as the server can see.
    Plain,
    /// With a reset.
    Reset,
}

/// A connection that is open.
struct Connection<'a> {
    load: &'a Load,
    stream: TcpStream,
    /// The sender, which may be parked.
    sender: &'a Thread,
    /// Requests under way.
    pending: RefCell<VecDeque<Request>>,
    sent: Cell<Sent>,
    /// Why it ended, if that was nobody's purpose; the first reason counts.
    failure: Cell<Option<Failure>>,
}

/// Opens a connection and uses it: for one request that is due, or as long as there are tickets.
///
/// # Errors
///
/// How it failed.
pub(crate) fn converse(load: &Load, sender: &Thread, random: &mut Random) -> Result<(), Failure> {
    let first = if load.plan.mode == Mode::Churn {
        // Opening the connection is part of the request.
        let Some(ticket) = load.tickets.take(Instant::now()) else { return Ok(()) };
        thread::sleep(ticket.due.saturating_duration_since(Instant::now()));
        Some(ticket)
    } else {
        None
    };
    let opened = open(load).map_err(|error| Failure::Connect(Cause::from(&error)));
    let stream = opened.inspect_err(|_| load.report.borrow_mut().unanswered += u64::from(first.is_some()))?;
    load.report.borrow_mut().connections += 1;
    let pending = RefCell::new(VecDeque::with_capacity(load.plan.pipeline.min(1024)));
    let connection = Connection { load, stream, sender, pending, sent: Cell::new(Sent::Not), failure: Cell::new(None) };
    thread::scope(|s| {
        s.spawn(|| connection.receive());
        connection.send(first, random);
    });
    connection.end()
}

fn open(load: &Load) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&load.plan.addr, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

impl Connection<'_> {
    /// Sends requests as long as there are tickets and room; then waits for the last answer.
    fn send(&self, first: Option<Ticket>, random: &mut Random) {
        let Load { plan, tickets, .. } = self.load;
        let is_single = first.is_some();
        let mut next = first;
        let mut bytes = Vec::new();
        while self.failure.get().is_none() {
            if self.pending.borrow().len() >= plan.pipeline {
                thread::park();
                continue;
            }
            let Some(ticket) = next.take().or_else(|| self.take_ticket(is_single)) else { break };
            thread::sleep(ticket.due.saturating_duration_since(Instant::now()));
            bytes.clear();
            self.make(ticket, &mut bytes);
            let mut is_last = random.chance(plan.disconnect);
            while !is_last && !is_single && self.pending.borrow().len() < plan.pipeline && bytes.len() < BATCH {
                let Some(ticket) = tickets.take_due(Instant::now()) else { break };
                self.make(ticket, &mut bytes);
                is_last = random.chance(plan.disconnect);
            }
            if is_last {
                return self.drop_on_purpose(&bytes, random);
            }
            if let Err(error) = (&self.stream).write_all(&bytes) {
                return self.fail(write_failure(&error));
            }
        }
        while self.failure.get().is_none() && !self.pending.borrow().is_empty() {
            thread::park();
        }
        if self.failure.get().is_none() {
            self.sent.set(Sent::All);
            // The server ends its side too then, which ends the receiver.
            if let Err(error) = self.stream.shutdown(Shutdown::Write) {
                self.fail(write_failure(&error));
            }
        }
    }

    fn take_ticket(&self, is_single: bool) -> Option<Ticket> {
        if is_single { None } else { self.load.tickets.take(Instant::now()) }
    }

    /// Puts a request into the queue and its bytes to those that are to be written.
    fn make(&self, ticket: Ticket, bytes: &mut Vec<u8>) {
        let Load { plan, payload, .. } = self.load;
        let start = payload.start(ticket.number);
        match plan.mode {
            Mode::Echo | Mode::Churn => payload.put(start, plan.size, bytes),
            Mode::Http => bytes.extend_from_slice(GET),
        }
        self.pending.borrow_mut().push_back(Request { start, len: plan.size, since: ticket.due });
    }

    /// Sends some of what is to be sent, or all of it, and leaves.
    fn drop_on_purpose(&self, bytes: &[u8], random: &mut Random) {
        let some = &bytes[..bytes.len() / 2];
        let (bytes, closing) = match random.next_u64() % 3 {
            0 => (some, Closing::Reset),
            1 => (bytes, Closing::Reset),
            _ => (bytes, Closing::Plain),
        };
        if let Err(error) = (&self.stream).write_all(bytes) {
            return self.fail(write_failure(&error));
        }
        self.sent.set(Sent::Dropped(closing));
        // Ends the receiver, and tells the server nothing.
        _ = self.stream.shutdown(Shutdown::Read);
    }

    /// Receives answers until the connection has ended.
    fn receive(&self) {
        if let Err(failure) = self.receive_all() {
            self.fail(failure);
        }
    }

    fn receive_all(&self) -> Result<(), Failure> {
        let mut answers = Answers::new(self.load.plan.mode);
        let mut buffer = [0; BUFFER];
        let mut was_waiting = false;
        loop {
            let n = match (&self.stream).read(&mut buffer) {
                Ok(0) if self.sent.get() == Sent::Not => return Err(Failure::Closed),
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(_) if matches!(self.sent.get(), Sent::Dropped(_)) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // The first time a request may have been made a moment ago only.
                    let is_waiting = !self.pending.borrow().is_empty() || self.sent.get() == Sent::All;
                    if is_waiting && was_waiting {
                        return Err(Failure::Silent);
                    }
                    was_waiting = is_waiting;
                    continue;
                }
                Err(error) => return Err(Failure::Read(Cause::from(&error))),
            };
            was_waiting = false;
            let now = Instant::now();
            let mut report = self.load.report.borrow_mut();
            let mut pending = self.pending.borrow_mut();
            answers.take(&buffer[..n], &self.load.payload, &mut pending, |request, bytes| {
                let time = now.saturating_duration_since(request.since);
                report.latency.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
                report.answered += 1;
                report.bytes += bytes as u64;
            })?;
            self.sender.unpark();
        }
    }

    /// Ends both tasks of the connection.
    fn fail(&self, failure: Failure) {
        if self.failure.get().is_none() && !matches!(self.sent.get(), Sent::Dropped(_)) {
            self.failure.set(Some(failure));
        }
        // What can't be shut down is closed already.
        _ = self.stream.shutdown(Shutdown::Both);
        self.sender.unpark();
    }

    /// Closes it, when both tasks have ended.
    fn end(self) -> Result<(), Failure> {
        let mut report = self.load.report.borrow_mut();
        report.unanswered += self.pending.borrow().len() as u64;
        if let Sent::Dropped(closing) = self.sent.get() {
            report.disconnects += 1;
            if closing == Closing::Reset {
                // Without it the server only hears a more friendly end.
                _ = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
            }
        }
        self.failure.get().map_or(Ok(()), Err)
    }
}

fn write_failure(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::WouldBlock => Failure::Silent,
        _ => Failure::Write(Cause::from(error)),
    }
}
