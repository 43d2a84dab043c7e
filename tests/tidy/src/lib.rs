//! Holds the repository to its own rules, where a rule can be read off the sources.
//!
//! Each rule is a function from the files of the repository to [`Complaint`]s, so that its own test can give it a small
//! bad example as a string. `tests/repository.rs` gives them the real files.
//!
//! | module | rules |
//! |---|---|
//! | [`tree`] | (the files) |
//! | [`tokens`] | (the words of a Rust file) |
//! | [`manifests`] | layers of crates, a reason for each dependency, shared lints |
//! | [`modules`] | a module imports only those listed above it |
//! | [`sources`] | headers, lengths, names, lints silenced without a reason |
//! | [`unsafety`] | `unsafe` only where SAFETY.md says so |
//! | [`papers`] | paths of one machine, what is left undone, README's commands, CHANGELOG |
#![forbid(unsafe_code)]

pub mod tree;
pub mod tokens;
pub mod manifests;
pub mod modules;
pub mod sources;
pub mod unsafety;
pub mod papers;

pub use tree::{Complaint, Tree};
