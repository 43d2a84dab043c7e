//! Runs scenarios of the generator-protocol conformance format on the library's generators (`corpus/FORMAT.md`).
//!
//! ```
//! use conformance::{Bodies, drive, parse};
//!
//! let line = br#"{"id":"one","defs":[[["yield","x",["v","n"]],["return",["v","x"]]]],
//!                 "drive":[["new",0,0,1],["next",0],["send",0,2]]}"#;
//! let trace = drive::trace(parse::scenario(line)?, Bodies::Stackless);
//! assert_eq!(trace, "> new 0 0 1\n> next 0\n= yield 1\n> send 0 2\n= return 2\n> drop 0\n");
//! # Ok::<(), String>(())
//! ```
//!
//! Modules, bottom-up.

#![forbid(unsafe_code)]

pub mod value;
pub mod error;
pub mod scenario;
pub mod parse;
mod world;
mod interpret;
mod stackless;
mod stackful;
pub mod drive;

/// Which bodies the generators have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bodies {
    /// State machines.
    Stackless,
    /// Stacks of their own.
    Stackful,
    /// Stackless for definitions of even number, stackful for the others.
    Mixed,
}

impl Bodies {
    /// The bodies of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "stackless" => Some(Self::Stackless),
            "stackful" => Some(Self::Stackful),
            "mixed" => Some(Self::Mixed),
            _ => None,
        }
    }

    /// Whether the generators of a definition are stackful.
    fn is_stackful(self, definition: usize) -> bool {
        match self {
            Self::Stackless => false,
            Self::Stackful => true,
            Self::Mixed => !definition.is_multiple_of(2),
        }
    }
}
