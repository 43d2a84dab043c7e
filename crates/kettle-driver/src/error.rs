//! Owns why there is no driver: the crate's one error type. Errors of operations are numbers in their completions.
#![forbid(unsafe_code)]

use crate::kind::{Absence, Kind, VARIABLE};
use std::ffi::OsString;
use std::{fmt, io};

/// Why a driver could not be made, or is of no use here.
#[derive(Debug)]
pub struct DriverError(Reason);

#[derive(Debug)]
pub(crate) enum Reason {
    UnknownWord(OsString),
    Absent { kind: Kind, absence: Absence },
    System { doing: &'static str, error: io::Error },
    Forked,
}

impl DriverError {
    /// Whether [`KETTLE_DRIVER`](VARIABLE) has a word that names no driver.
    pub fn is_unknown_word(&self) -> bool {
        matches!(self.0, Reason::UnknownWord(_))
    }

    /// Whether the driver that was asked for does not run here; [`absence`](Self::absence) says why.
    pub fn is_unavailable(&self) -> bool {
        matches!(self.0, Reason::Absent { .. })
    }

    /// Why the driver that was asked for does not run here.
    pub fn absence(&self) -> Option<&Absence> {
        match &self.0 {
            Reason::Absent { absence, .. } => Some(absence),
            _ => None,
        }
    }

    /// Whether the driver is the parent's: this process is a fork of the one that made it.
    pub fn is_forked(&self) -> bool {
        matches!(self.0, Reason::Forked)
    }

    /// What the system said, if it refused a descriptor or memory.
    pub fn io_error(&self) -> Option<&io::Error> {
        match &self.0 {
            Reason::System { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl From<Reason> for DriverError {
    fn from(reason: Reason) -> Self {
        Self(reason)
    }
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::UnknownWord(word) => {
                write!(f, "make a driver: {VARIABLE} is {word:?}, and the drivers are")?;
                Kind::ALL.iter().chain([&Kind::Sim]).enumerate().try_for_each(|(index, kind)| {
                    write!(f, "{} `{kind}`", if index == 0 { "" } else { "," }) //
                })
            }
            Reason::Absent { kind, absence } => write!(f, "make the driver `{kind}`: {absence}"),
            Reason::System { doing, error } => write!(f, "make a driver: {doing}: {error}"),
            Reason::Forked => {
                write!(f, "use a driver in a forked process: it is the parent's, make one of your own after the fork")
            }
        }
    }
}

impl std::error::Error for DriverError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Reason::System { error, .. } => Some(error),
            _ => None,
        }
    }
}
