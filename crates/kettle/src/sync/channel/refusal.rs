//! Owns the error of a value that was not sent in time, which std has and does not show yet.

use std::error::Error;
use std::fmt;

/// Why a value was not sent in a time: std's `SendTimeoutError`, which is not stable yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendTimeoutError<T> {
    /// There was no room in this time.
    Timeout(T),
    /// All receivers have gone.
    Disconnected(T),
}

impl<T> SendTimeoutError<T> {
    /// The value that was to be sent.
    pub fn into_inner(self) -> T {
        match self {
            Self::Timeout(value) | Self::Disconnected(value) => value,
        }
    }
}

impl<T> fmt::Debug for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout(_) => "Timeout(..)",
            Self::Disconnected(_) => "Disconnected(..)",
        })
    }
}

impl<T> fmt::Display for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout(_) => "send to a channel: no room for the value in this time",
            Self::Disconnected(_) => "send to a channel: all receivers have gone",
        })
    }
}

impl<T> Error for SendTimeoutError<T> {}
