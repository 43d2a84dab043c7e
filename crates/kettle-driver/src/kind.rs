//! Owns the names of the drivers, and what can be said of one that does not run.
//!
//! [`Kind`] is the closed list: the event scheduler is chosen among its members once, and a new one is added here and
//! in `driver`, without a change for those who call.
#![forbid(unsafe_code)]

use std::fmt;

/// The environment variable that forces a driver.
pub const VARIABLE: &str = "KETTLE_DRIVER";

/// Which event scheduler.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// io_uring: operations are handed to the kernel in batches.
    Uring,
    /// epoll: system calls are tried, and tried again when a descriptor is ready. For kernels and containers that
    /// forbid io_uring.
    Epoll,
    /// A simulation: a virtual clock, and a network that is not there. It is never chosen by itself.
    Sim,
}

impl Kind {
    /// All that do something in the world, the preferred one first.
    pub const ALL: [Kind; 2] = [Kind::Uring, Kind::Epoll];

    /// Its word, as [`VARIABLE`] has it.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Uring => "uring",
            Kind::Epoll => "epoll",
            Kind::Sim => "sim",
        }
    }

    /// The one with that word.
    ///
    /// ```
    /// use kettle_driver::Kind;
    ///
    /// assert_eq!(Kind::named("epoll"), Some(Kind::Epoll));
    /// assert_eq!(Kind::named("kqueue"), None);
    /// ```
    pub fn named(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().chain([Kind::Sim]).find(|kind| kind.name() == word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a driver does not run.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Absence {
    /// The preferred one runs.
    NotNeeded,
    /// Another one was asked for: by [`VARIABLE`], or by [`Config::kind`](crate::Config::kind).
    Forced {
        /// Who asked: the variable's or the field's name.
        by: &'static str,
    },
    /// The kernel lacks something that it needs.
    TooOld {
        /// What it lacks.
        lacks: &'static str,
    },
    /// The administrator has switched it off, with the sysctl `kernel.io_uring_disabled`.
    Disabled {
        /// The sysctl's value: 1 allows it for a group and the privileged, 2 for nobody.
        level: u32,
    },
    /// The system call is forbidden: by a seccomp filter, as containers have it, or by a security module.
    Forbidden,
    /// The kernel refused for another reason, such as a limit.
    Refused {
        /// Its `errno`.
        errno: i32,
    },
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Absence::NotNeeded => write!(f, "not needed"),
            Absence::Forced { by } => write!(f, "not asked for by {by}"),
            Absence::TooOld { lacks } => write!(f, "this kernel lacks {lacks}"),
            Absence::Disabled { level } => write!(f, "switched off by sysctl kernel.io_uring_disabled = {level}"),
            Absence::Forbidden => write!(f, "forbidden by a seccomp filter or a security module"),
            Absence::Refused { errno } => write!(f, "{}", std::io::Error::from_raw_os_error(*errno)),
        }
    }
}
