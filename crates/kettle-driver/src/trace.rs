//! Owns the trace of a simulation: each decision and each event of its network, as a few bytes, and a hash of all of them.
//!
//! ```text
//!   record │ nanoseconds since the last one │ code │ first number │ second number │     all but the code: 7 bits a byte
//! ```
//!
//! Nothing in it comes from outside of the simulation: tasks, sockets and choices are counted in their own order. So the
//! same seed writes the same bytes.
#![forbid(unsafe_code)]

use crate::clock::Clock;
use crate::random::Random;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

/// One thing that has happened in a simulation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Note {
    /// A task was made, by another one (or by itself: the first).
    Spawned {
        /// The new one.
        task: u64,
        /// Who has made it.
        by: u64,
    },
    /// A task has gone on.
    Resumed {
        /// Which.
        task: u64,
    },
    /// A task has ended.
    Ended {
        /// Which.
        task: u64,
    },
    /// One of several was chosen.
    Chosen {
        /// Which, from 0.
        index: u64,
        /// Of how many.
        of: u64,
    },
    /// A time has come that a task waits for.
    Expired {
        /// Which task, or `u64::MAX` for a deadline of a part of a task.
        task: u64,
    },
    /// Another thread has had something to say to a task. When, the seed does not decide.
    Foreign,
    /// A socket listens.
    Listening {
        /// The socket.
        socket: u64,
        /// Its port.
        port: u64,
    },
    /// A socket begins to connect.
    Connecting {
        /// The socket.
        socket: u64,
        /// The port it connects to.
        port: u64,
    },
    /// A connect has ended.
    Connected {
        /// The socket.
        socket: u64,
        /// 0, or the error's number.
        errno: u64,
    },
    /// A connection has come to a listener.
    Incoming {
        /// The listener.
        socket: u64,
        /// The socket of the connection.
        accepted: u64,
    },
    /// A socket has sent bytes.
    Sent {
        /// The socket.
        socket: u64,
        /// How many.
        bytes: u64,
    },
    /// Bytes have come to a socket.
    Arrived {
        /// The socket.
        socket: u64,
        /// How many.
        bytes: u64,
    },
    /// A socket has received bytes; 0 is the end of a connection, or an empty datagram.
    Received {
        /// The socket.
        socket: u64,
        /// How many.
        bytes: u64,
    },
    /// The end of what the peer sends has come to a socket.
    Finished {
        /// The socket.
        socket: u64,
    },
    /// A socket's connection was reset.
    Reset {
        /// The socket.
        socket: u64,
    },
    /// A socket was closed.
    Closed {
        /// The socket.
        socket: u64,
    },
    /// Nothing goes from one host to another any more.
    Parted,
    /// The way between two hosts is open again.
    Healed,
    /// A socket for datagrams has its address.
    Bound {
        /// The socket.
        socket: u64,
        /// Its port.
        port: u64,
    },
    /// A datagram will arrive twice.
    Duplicated {
        /// The socket that has sent it.
        socket: u64,
        /// Its size.
        bytes: u64,
    },
    /// A datagram will not arrive.
    Lost {
        /// The socket that has sent it; 0 if it is closed.
        socket: u64,
        /// Its size.
        bytes: u64,
    },
    /// A datagram has come to a socket that has no room for it.
    Overflowed {
        /// The socket.
        socket: u64,
        /// Its size.
        bytes: u64,
    },
    /// A socket hears that nobody receives the datagrams that it sends.
    Refused {
        /// The socket.
        socket: u64,
        /// The port that it sends to.
        port: u64,
    },
}

impl Note {
    fn parts(self) -> (u8, u64, u64) {
        match self {
            Note::Spawned { task, by } => (0, task, by),
            Note::Resumed { task } => (1, task, 0),
            Note::Ended { task } => (2, task, 0),
            Note::Chosen { index, of } => (3, index, of),
            Note::Expired { task } => (4, task, 0),
            Note::Foreign => (5, 0, 0),
            Note::Listening { socket, port } => (6, socket, port),
            Note::Connecting { socket, port } => (7, socket, port),
            Note::Connected { socket, errno } => (8, socket, errno),
            Note::Incoming { socket, accepted } => (9, socket, accepted),
            Note::Sent { socket, bytes } => (10, socket, bytes),
            Note::Arrived { socket, bytes } => (11, socket, bytes),
            Note::Received { socket, bytes } => (12, socket, bytes),
            Note::Finished { socket } => (13, socket, 0),
            Note::Reset { socket } => (14, socket, 0),
            Note::Closed { socket } => (15, socket, 0),
            Note::Parted => (16, 0, 0),
            Note::Healed => (17, 0, 0),
            Note::Bound { socket, port } => (18, socket, port),
            Note::Duplicated { socket, bytes } => (19, socket, bytes),
            Note::Lost { socket, bytes } => (20, socket, bytes),
            Note::Overflowed { socket, bytes } => (21, socket, bytes),
            Note::Refused { socket, port } => (22, socket, port),
        }
    }

    fn whole(code: u8, first: u64, second: u64) -> Option<Self> {
        Some(match code {
            0 => Note::Spawned { task: first, by: second },
            1 => Note::Resumed { task: first },
            2 => Note::Ended { task: first },
            3 => Note::Chosen { index: first, of: second },
            4 => Note::Expired { task: first },
            5 => Note::Foreign,
            6 => Note::Listening { socket: first, port: second },
            7 => Note::Connecting { socket: first, port: second },
            8 => Note::Connected { socket: first, errno: second },
            9 => Note::Incoming { socket: first, accepted: second },
            10 => Note::Sent { socket: first, bytes: second },
            11 => Note::Arrived { socket: first, bytes: second },
            12 => Note::Received { socket: first, bytes: second },
            13 => Note::Finished { socket: first },
            14 => Note::Reset { socket: first },
            15 => Note::Closed { socket: first },
            16 => Note::Parted,
            17 => Note::Healed,
            18 => Note::Bound { socket: first, port: second },
            19 => Note::Duplicated { socket: first, bytes: second },
            20 => Note::Lost { socket: first, bytes: second },
            21 => Note::Overflowed { socket: first, bytes: second },
            22 => Note::Refused { socket: first, port: second },
            _ => return None,
        })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Spawned { task, by } => write!(f, "task {by} spawns task {task}"),
            Note::Resumed { task } => write!(f, "task {task} runs"),
            Note::Ended { task } => write!(f, "task {task} ends"),
            Note::Chosen { index, of } => write!(f, "choice {index} of {of}"),
            Note::Expired { task: u64::MAX } => write!(f, "a deadline has come"),
            Note::Expired { task } => write!(f, "the time of task {task} has come"),
            Note::Foreign => write!(f, "another thread wakes somebody"),
            Note::Listening { socket, port } => write!(f, "socket {socket} listens at port {port}"),
            Note::Connecting { socket, port } => write!(f, "socket {socket} connects to port {port}"),
            Note::Connected { socket, errno: 0 } => write!(f, "socket {socket} is connected"),
            Note::Connected { socket, errno } => write!(f, "socket {socket} is not connected: error {errno}"),
            Note::Incoming { socket, accepted } => write!(f, "socket {accepted} waits at socket {socket}"),
            Note::Sent { socket, bytes } => write!(f, "socket {socket} sends {bytes} bytes"),
            Note::Arrived { socket, bytes } => write!(f, "{bytes} bytes arrive at socket {socket}"),
            Note::Received { socket, bytes } => write!(f, "socket {socket} receives {bytes} bytes"),
            Note::Finished { socket } => write!(f, "the end arrives at socket {socket}"),
            Note::Reset { socket } => write!(f, "socket {socket} is reset"),
            Note::Closed { socket } => write!(f, "socket {socket} is closed"),
            Note::Parted => write!(f, "two hosts are parted"),
            Note::Healed => write!(f, "two hosts find each other again"),
            Note::Bound { socket, port } => write!(f, "socket {socket} is bound to port {port}"),
            Note::Duplicated { socket, bytes } => write!(f, "{bytes} bytes of socket {socket} will arrive twice"),
            Note::Lost { socket, bytes } => write!(f, "{bytes} bytes of socket {socket} are lost"),
            Note::Overflowed { socket, bytes } => write!(f, "socket {socket} has no room for {bytes} bytes"),
            Note::Refused { socket, port } => write!(f, "socket {socket} hears that nobody is at port {port}"),
        }
    }
}

/// What has happened in a simulation, in its order.
///
/// Its [`hash`](Self::hash) is there always, the records only if they were asked for: [`Display`](fmt::Display) lists
/// them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Trace {
    hash: u64,
    records: u64,
    time: Duration,
    bytes: Vec<u8>,
}

impl Trace {
    /// A number that all of it goes into, kept or not.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many notes were made.
    pub fn len(&self) -> u64 {
        self.records
    }

    /// Whether nothing has happened.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// How much virtual time has passed until the last of them.
    pub fn time(&self) -> Duration {
        self.time
    }

    /// The records as they are kept; none if they were not asked for.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What was kept: each note with its time.
    pub fn notes(&self) -> impl Iterator<Item = (Duration, Note)> {
        let (mut left, mut time) = (&self.bytes[..], 0);
        std::iter::from_fn(move || {
            time += number(&mut left)?;
            let code = number(&mut left)?;
            let note = Note::whole(code as u8, number(&mut left)?, number(&mut left)?)?;
            Some((Duration::from_nanos(time), note))
        })
    }

    fn note(&mut self, now: Duration, note: Note, keeps: bool) {
        let since = now.saturating_sub(self.time).as_nanos() as u64;
        self.time = now;
        self.records += 1;
        let (code, first, second) = note.parts();
        for number in [since, u64::from(code), first, second] {
            self.hash = Random::new(self.hash ^ number).next();
            if keeps {
                write_number(&mut self.bytes, number);
            }
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (time, note) in self.notes() {
            writeln!(f, "{:>14.6}  {note}", time.as_secs_f64())?;
        }
        write!(f, "{} notes, hash {:016x}", self.records, self.hash)
    }
}

/// Seven bits a byte, the lowest first; all but the last have the eighth bit.
fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(number);
        }
        shift += 7;
    }
}

/// Whoever writes the trace: clones write the same one.
#[derive(Clone, Debug)]
pub struct Tracer {
    trace: Rc<RefCell<Trace>>,
    clock: Clock,
    keeps: bool,
}

impl Tracer {
    pub(crate) fn new(clock: Clock, keeps: bool) -> Self {
        Self { trace: Rc::default(), clock, keeps }
    }

    /// Adds a note, with the time that the clock tells.
    pub fn note(&self, note: Note) {
        self.trace.borrow_mut().note(self.clock.elapsed(), note, self.keeps);
    }

    /// Takes what was written, and begins again.
    pub fn take(&self) -> Trace {
        self.trace.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let clock = Clock::stopped();
        let tracer = Tracer::new(clock.clone(), true);
        let notes = [
            Note::Spawned { task: 300, by: 0 },
            Note::Expired { task: u64::MAX },
            Note::Foreign,
            Note::Arrived { socket: 5, bytes: 1 << 40 },
            Note::Healed,
        ];
        for note in notes {
            clock.advance_to(clock.now() + Duration::from_secs(3600));
            tracer.note(note);
        }
        let trace = tracer.take();
        assert_eq!(trace.notes().map(|(_, note)| note).collect::<Vec<_>>(), notes);
        assert_eq!(trace.notes().map(|(at, _)| at).last(), Some(Duration::from_secs(5 * 3600)));
        assert_eq!((trace.len(), trace.time()), (5, Duration::from_secs(5 * 3600)));
        assert_ne!(trace.hash(), tracer.take().hash());
    }

    #[test]
    fn codes_are_those_of_their_notes() {
        for code in 0..=22 {
            assert_eq!(Note::whole(code, 1, 2).map(|note| note.parts().0), Some(code));
        }
        assert_eq!(Note::whole(23, 0, 0), None);
    }
}
