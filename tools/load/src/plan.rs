//! Owns what a run is to do.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// What a run is to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Where the server listens.
    pub addr: SocketAddr,
    /// What is asked.
    pub mode: Mode,
    /// How many connections there are at a time.
    pub connections: usize,
    /// When it is over.
    pub end: End,
    /// How many bytes a request has. Those of [`Mode::Http`] are what they are.
    pub size: usize,
    /// How many requests may be under way on a connection.
    pub pipeline: usize,
    /// How many requests are due in a second, all connections together.
    pub pace: Pace,
    /// How likely a request is to be the last one of its connection, which is left in one of the ways of [`Leave`].
    pub disconnect: f64,
    /// What random numbers and payloads begin with.
    pub seed: u64,
    /// The server's process, if its memory and its descriptors are to be watched.
    pub watch: Option<u32>,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Bytes, which come back.
    Echo,
    /// `GET /` of HTTP/1.1, answered by "Hello, World!".
    Http,
    /// As `Echo`, with a connection for each request.
    Churn,
}

/// How a connection is left with a request that is not the last one of the run. All are equally likely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leave {
    /// A part of the request is sent, then it is closed.
    InRequest,
    /// A part of the answer is received, then it is closed.
    InAnswer,
    /// The request is sent, then the sending side is shut down: the server owes all answers, and the end after them.
    HalfClosed,
    /// A part of the request is sent, or all of it, then it is closed with a reset.
    Reset,
}

impl Leave {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::InRequest, Self::InAnswer, Self::HalfClosed, Self::Reset];
}

/// When a run is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// When so many requests have been made.
    Requests(u64),
    /// When this time has passed, and what is under way then has been answered.
    After(Duration),
}

/// When requests are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As soon as the answers before them allow.
    Asap,
    /// So many a second, whether or not the server keeps up. A request that has to wait for its turn is measured from the
    /// time when it was due.
    PerSecond(f64),
}

impl Plan {
    /// Eight connections, 64 bytes, one request at a time, for ten seconds.
    pub fn new(addr: SocketAddr, mode: Mode) -> Self {
        Self {
            addr,
            mode,
            connections: 8,
            end: End::After(Duration::from_secs(10)),
            size: 64,
            pipeline: 1,
            pace: Pace::Asap,
            disconnect: 0.0,
            seed: 1,
            watch: None,
        }
    }
}

impl fmt::Display for Leave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::InRequest => "in a request",
            Self::InAnswer => "in an answer",
            Self::HalfClosed => "half-closed",
            Self::Reset => "reset",
        })
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Echo => "echo",
            Self::Http => "http",
            Self::Churn => "churn",
        })
    }
}
