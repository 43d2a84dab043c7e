//! The network benchmarks: servers, a load, and rows that bring them together.
//!
//! `serving` and `plaintext` are what the servers share, so that they differ in how they wait and in nothing else; the
//! Rust ones are in `src/bin` and `rivals`. `load` is the client, `clients` one on each of several processors. `rows` has
//! the work and the targets.

pub mod buffers;
pub mod plaintext;
pub mod serving;
pub mod latency;
pub mod load;
pub mod server;
pub mod clients;
pub mod fleet;
pub mod rows;
