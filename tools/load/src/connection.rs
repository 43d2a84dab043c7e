//! Owns one connection, from its opening to its end: a task that sends requests, and one that receives their answers.
//!
//! Both at once, because a server that can't get rid of an answer need not read the next request. The requests that are
//! under way lie in a queue between the two: the sender puts one in before it writes it, the receiver takes it out with the
//! last byte of its answer and wakes the sender, which may be waiting for room. Whoever ends first shuts down what the other
//! one may be waiting for.

use crate::answers::{Answers, Request};
use crate::load::Load;
use crate::plan::{Leave, Mode};
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

/// What is received at once of an HTTP answer on a connection that is to be left in one: less than any has.
const PIECE: usize = 20;

/// How the sender has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sent {
    /// It has not.
    Not,
    /// With all that it wanted to send. The server owes the rest of the answers.
    All,
    /// It has sent what it wanted to, and the receiver is to wait for nothing; or the other way round.
    Enough,
}

/// How a connection is to be left before the run is over. It is decided when it is opened, for the receiver must know
/// before it receives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Fate {
    /// With which request of the connection, from 0.
    request: u64,
    how: Leave,
}

/// A connection that is open.
struct Connection<'a> {
    load: &'a Load,
    stream: TcpStream,
    /// The sender, which may be parked.
    sender: &'a Thread,
    fate: Fate,
    /// How many requests the sender has made.
    made: Cell<u64>,
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
    let connection = Connection {
        load,
        stream,
        sender,
        fate: Fate::draw(load.plan.disconnect, random),
        made: Cell::new(0),
        pending,
        sent: Cell::new(Sent::Not),
        failure: Cell::new(None),
    };
    thread::scope(|s| {
        s.spawn(|| connection.receive());
        connection.send(first);
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

impl Fate {
    fn draw(disconnect: f64, random: &mut Random) -> Self {
        let request = random.misses(disconnect);
        let how = Leave::ALL[(random.next_u64() % Leave::ALL.len() as u64) as usize];
        Self { request, how }
    }

    /// Whether it is to be left with one of so many requests.
    fn is_met(self, requests: u64) -> bool {
        requests > self.request
    }
}

impl Connection<'_> {
    /// Sends requests as long as there are tickets and room; then waits for the last answer.
    fn send(&self, first: Option<Ticket>) {
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
            let mut last = self.make(ticket, &mut bytes);
            while !self.is_to_be_left()
                && !is_single
                && self.pending.borrow().len() < plan.pipeline
                && bytes.len() < BATCH
            {
                let Some(ticket) = tickets.take_due(Instant::now()) else { break };
                last = self.make(ticket, &mut bytes);
            }
            if self.is_to_be_left() {
                return self.leave(&bytes, last);
            }
            if let Err(error) = (&self.stream).write_all(&bytes) {
                return self.fail(write_failure(&error));
            }
        }
        while self.failure.get().is_none() && !self.pending.borrow().is_empty() {
            thread::park();
        }
        if self.failure.get().is_none() {
            self.end_sending();
        }
    }

    fn take_ticket(&self, is_single: bool) -> Option<Ticket> {
        if is_single { None } else { self.load.tickets.take(Instant::now()) }
    }

    /// Whether the last request that was made is the one to leave with.
    fn is_to_be_left(&self) -> bool {
        self.fate.is_met(self.made.get())
    }

    /// Puts a request into the queue and its bytes to those that are to be written. Gives how many these are.
    fn make(&self, ticket: Ticket, bytes: &mut Vec<u8>) -> usize {
        let before = bytes.len();
        let Load { plan, payload, .. } = self.load;
        let start = payload.start(ticket.number);
        match plan.mode {
            Mode::Echo | Mode::Churn => payload.put(start, plan.size, bytes),
            Mode::Http => bytes.extend_from_slice(GET),
        }
        self.pending.borrow_mut().push_back(Request { start, len: plan.size, since: ticket.due });
        self.made.set(self.made.get() + 1);
        bytes.len() - before
    }

    /// Sends what is to be sent before the connection is left. The last request has so many of the bytes.
    fn leave(&self, bytes: &[u8], last: usize) {
        let a_part = &bytes[..bytes.len() - last.div_ceil(2)];
        let bytes = match self.fate.how {
            Leave::InRequest => a_part,
            // One in two.
            Leave::Reset if self.fate.request.is_multiple_of(2) => a_part,
            Leave::Reset | Leave::InAnswer | Leave::HalfClosed => bytes,
        };
        if let Err(error) = (&self.stream).write_all(bytes) {
            return self.fail(write_failure(&error));
        }
        match self.fate.how {
            Leave::HalfClosed => self.end_sending(),
            // The receiver ends when it has a part of the answer.
            Leave::InAnswer => self.sent.set(Sent::All),
            Leave::InRequest | Leave::Reset => {
                self.sent.set(Sent::Enough);
                // Ends the receiver, and tells the server nothing.
                _ = self.stream.shutdown(Shutdown::Read);
            }
        }
    }

    /// Says that there is no more to come. The server ends its side too then, which ends the receiver.
    fn end_sending(&self) {
        self.sent.set(Sent::All);
        if let Err(error) = self.stream.shutdown(Shutdown::Write) {
            self.fail(write_failure(&error));
        }
    }

    /// Receives answers until the connection has ended.
    fn receive(&self) {
        if let Err(failure) = self.receive_all() {
            self.fail(failure);
        }
    }

    fn receive_all(&self) -> Result<(), Failure> {
        let plan = &self.load.plan;
        let mut answers = Answers::new(plan.mode);
        let mut buffer = [0; BUFFER];
        let room = match (self.fate.how, plan.mode) {
            // So that nothing brings the end of one answer and all of the next.
            (Leave::InAnswer, Mode::Http) => PIECE,
            (Leave::InAnswer, Mode::Echo | Mode::Churn) => plan.size.div_ceil(2).min(BUFFER),
            _ => BUFFER,
        };
        let mut answered = 0;
        let mut was_waiting = false;
        loop {
            let n = match (&self.stream).read(&mut buffer[..room]) {
                Ok(0) => {
                    let is_owed_more = match self.sent.get() {
                        Sent::Not => true,
                        Sent::All => !self.pending.borrow().is_empty(),
                        Sent::Enough => false,
                    };
                    return if is_owed_more { Err(Failure::Closed) } else { Ok(()) };
                }
                Ok(n) => n,
                Err(_) if self.sent.get() == Sent::Enough => return Ok(()),
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
                answered += 1;
            })?;
            self.sender.unpark();
            let reached = answered + u64::from(answers.are_partial());
            if self.fate.how == Leave::InAnswer && self.fate.is_met(reached) {
                if self.sent.get() == Sent::Not {
                    // The server may wait for room for its answer, and the sender for the server.
                    self.sent.set(Sent::Enough);
                    _ = self.stream.shutdown(Shutdown::Both);
                }
                return Ok(());
            }
        }
    }

    /// Ends both tasks of the connection.
    fn fail(&self, failure: Failure) {
        if self.failure.get().is_none() && self.sent.get() != Sent::Enough {
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
        if let Some(failure) = self.failure.get() {
            return Err(failure);
        }
        if self.is_to_be_left() {
            report.leave(self.fate.how);
            if self.fate.how == Leave::Reset {
                // Without it the server only hears a more friendly end.
                _ = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
            }
        }
        Ok(())
    }
}

fn write_failure(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::WouldBlock => Failure::Silent,
        _ => Failure::Write(Cause::from(error)),
    }
}
