//! Owns the errors of scenarios (FORMAT section 5): Python's exceptions, their classes and how they print.
//!
//! [`Raised`] travels through generators inside the library's [`Error`]; the two are converted at the border of a body.
//! What the library itself raises is recognised by the library's questions, so that those are tested too.

use crate::value::Value;
use kettle_gen::Error;
use std::fmt;

/// What `raise` and `throw` can raise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `E0` to `E9`.
    Numbered(u8),
    /// `GeneratorExit`.
    Exit,
    /// `StopIteration`.
    Stop,
}

/// An error with its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raised {
    /// `E0` to `E9`.
    Numbered(u8, Value),
    /// `GeneratorExit`.
    Exit,
    /// `StopIteration`, with the returned value.
    Stop(Value),
    /// A body yielded instead of ending.
    IgnoredExit,
    /// A `StopIteration` left a body (PEP 479).
    StopRaised,
    /// A value was sent to a generator that was not started.
    JustStarted,
    /// A running generator was operated on.
    Running,
    /// A value was sent over a plain iterator.
    NoSend,
    /// A body used an empty slot.
    EmptySlot,
    /// Not Python's: the scenario did more than it is allowed. Nothing catches it.
    Limit,
}

/// What a handler catches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// One of `E0` to `E9`.
    One(u8),
    /// `E`: every one of them.
    E,
    /// `RuntimeError`.
    Runtime,
    /// `TypeError`.
    Type,
    /// `ValueError`.
    Value,
    /// `AttributeError`.
    Attribute,
    /// `LookupError`.
    Lookup,
    /// `GeneratorExit`.
    Exit,
    /// `StopIteration`.
    Stop,
    /// Everything but `GeneratorExit`.
    Any,
    /// Everything.
    All,
}

fn numbered(name: &str) -> Option<u8> {
    match name.as_bytes() {
        [b'E', digit @ b'0'..=b'9'] => Some(digit - b'0'),
        _ => None,
    }
}

impl Kind {
    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "GeneratorExit" => Some(Self::Exit),
            "StopIteration" => Some(Self::Stop),
            _ => numbered(name).map(Self::Numbered),
        }
    }

    /// An error of this kind.
    pub fn with(self, payload: Value) -> Raised {
        match self {
            Self::Numbered(number) => Raised::Numbered(number, payload),
            Self::Exit => Raised::Exit,
            Self::Stop => Raised::Stop(payload),
        }
    }
}

impl Class {
    /// The class of this name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "E" => Self::E,
            "RuntimeError" => Self::Runtime,
            "TypeError" => Self::Type,
            "ValueError" => Self::Value,
            "AttributeError" => Self::Attribute,
            "LookupError" => Self::Lookup,
            "GeneratorExit" => Self::Exit,
            "StopIteration" => Self::Stop,
            "any" => Self::Any,
            "all" => Self::All,
            _ => return numbered(name).map(Self::One),
        })
    }

    /// Whether an error is of this class.
    pub fn catches(self, error: &Raised) -> bool {
        match error {
            Raised::Limit => false,
            Raised::Exit => matches!(self, Self::Exit | Self::All),
            _ if matches!(self, Self::Any | Self::All) => true,
            Raised::Numbered(number, _) => self == Self::E || self == Self::One(*number),
            Raised::Stop(_) => self == Self::Stop,
            Raised::IgnoredExit | Raised::StopRaised => self == Self::Runtime,
            Raised::JustStarted => self == Self::Type,
            Raised::Running => self == Self::Value,
            Raised::NoSend => self == Self::Attribute,
            Raised::EmptySlot => self == Self::Lookup,
        }
    }
}

impl Raised {
    /// What a handler binds.
    pub fn payload(&self) -> Value {
        match self {
            Self::Numbered(_, payload) | Self::Stop(payload) => payload.clone(),
            _ => Value::Null,
        }
    }
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Numbered(number, payload) => return write!(f, "E{number} {payload}"),
            Self::Stop(payload) => return write!(f, "StopIteration {payload}"),
            Self::Exit => "GeneratorExit",
            Self::IgnoredExit => "RuntimeError:ignored-exit",
            Self::StopRaised => "RuntimeError:stop-raised",
            Self::JustStarted => "TypeError:just-started",
            Self::Running => "ValueError:already-executing",
            Self::NoSend => "AttributeError:no-send",
            Self::EmptySlot => "LookupError:empty-slot",
            Self::Limit => "Limit",
        })
    }
}

impl std::error::Error for Raised {}

impl From<Raised> for Error {
    fn from(raised: Raised) -> Self {
        match raised {
            Raised::Exit => Error::exit(),
            other => Error::new(other),
        }
    }
}

impl From<Error> for Raised {
    fn from(error: Error) -> Self {
        let error = match error.downcast::<Raised>() {
            Ok(raised) => return raised,
            Err(error) => error,
        };
        if error.is_exit() {
            Self::Exit
        } else if error.is_finished() {
            // Python has no other word for it, and a generator that had ended has no value left.
            Self::Stop(Value::Null)
        } else if error.downcast_ref().is_some_and(Error::is_finished) {
            Self::StopRaised
        } else if error.is_ignored_exit() {
            Self::IgnoredExit
        } else if error.is_not_started() {
            Self::JustStarted
        } else if error.is_running() {
            Self::Running
        } else if error.is_no_send() {
            Self::NoSend
        } else {
            unreachable!("bodies raise `Raised`, and the library what is asked for above: {error:?}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_survives_the_way_through_the_library() {
        for raised in [
            Raised::Numbered(3, Value::Int(7)),
            Raised::Exit,
            Raised::Stop("x".into()),
            Raised::IgnoredExit,
            Raised::StopRaised,
            Raised::JustStarted,
            Raised::Running,
            Raised::NoSend,
            Raised::EmptySlot,
            Raised::Limit,
        ] {
            assert_eq!(Raised::from(Error::from(raised.clone())), raised);
        }
    }

    #[test]
    fn any_is_everything_but_the_exit() {
        assert!(!Class::Any.catches(&Raised::Exit));
        assert!(Class::All.catches(&Raised::Exit));
        assert!(Class::Any.catches(&Raised::Stop(Value::Null)));
        assert!(Class::One(3).catches(&Raised::Numbered(3, Value::Null)));
        assert!(!Class::One(3).catches(&Raised::Numbered(4, Value::Null)));
        assert!(!Class::All.catches(&Raised::Limit));
    }
}
