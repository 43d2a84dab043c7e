//! Owns what is said about the choice between drivers: which one runs, how, and why no other.
#![forbid(unsafe_code)]

use crate::kind::{Absence, Kind};
use std::fmt;

/// Which driver runs, and why the other one doesn't. `Display` makes one line of it, for a log.
///
/// ```
/// let driver = kettle_driver::Driver::new().unwrap();
/// println!("{}", driver.choice());
/// // uring (single_issuer, defer_taskrun, coop_taskrun); epoll: not needed
/// ```
#[derive(Clone, Debug)]
pub struct Choice {
    pub(crate) kind: Kind,
    pub(crate) modes: &'static str,
    pub(crate) other: Kind,
    pub(crate) absence: Absence,
}

impl Choice {
    /// The one that runs.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How it runs: what it uses of its kernel, for people to read.
    pub fn modes(&self) -> &'static str {
        self.modes
    }

    /// The one that doesn't run, and why.
    pub fn other(&self) -> (Kind, &Absence) {
        (self.other, &self.absence)
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}); {}: {}", self.kind, self.modes, self.other, self.absence)
    }
}
