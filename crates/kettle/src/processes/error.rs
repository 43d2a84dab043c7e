//! Owns why workers as processes could not be run, or ran no longer.
#![forbid(unsafe_code)]

use super::crew::{CrashLoop, Failure};
use std::error;
use std::fmt;
use std::io;
use std::process::ExitStatus;

/// Why [`Processes::run`](super::Processes::run) has failed.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// What could not be done.
    System(String, io::Error),
    CrashLoop(CrashLoop),
    Forced,
    Worker(usize, io::Error),
}

impl Error {
    pub(super) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        |error| Self { kind: Kind::System(what.into(), error) }
    }

    pub(super) fn worker(index: usize, error: io::Error) -> Self {
        Self { kind: Kind::Worker(index, error) }
    }

    /// Whether a worker has died again and again; [`exit_status`](Self::exit_status) says how the last time.
    pub fn is_crash_loop(&self) -> bool {
        matches!(self.kind, Kind::CrashLoop(_))
    }

    /// Whether a second SIGTERM or SIGINT has ended the workers before they had finished.
    pub fn is_forced(&self) -> bool {
        matches!(self.kind, Kind::Forced)
    }

    /// Whether this process is a worker, and its function has given the error that is this one's source.
    pub fn is_worker(&self) -> bool {
        matches!(self.kind, Kind::Worker(..))
    }

    /// How a worker has died the last time, if this is a [crash loop](Self::is_crash_loop), and it could be started.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        match &self.kind {
            Kind::CrashLoop(CrashLoop { last, .. }) => last.status(),
            _ => None,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self {
            kind: match failure {
                Failure::CrashLoop(crashes) => Kind::CrashLoop(crashes),
                Failure::Forced => Kind::Forced,
            },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::System(what, error) => write!(f, "{what}: {error}"),
            Kind::CrashLoop(crashes) => write!(f, "run workers: {crashes}"),
            Kind::Forced => f.write_str("end workers: they were killed, for they were asked to end a second time"),
            Kind::Worker(index, error) => write!(f, "worker {index}: {error}"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.kind {
            Kind::System(_, error) | Kind::Worker(_, error) => Some(error),
            Kind::CrashLoop(_) | Kind::Forced => None,
        }
    }
}
