//! The parts of the key-value example, each by itself, and all of them in simulations. As a process it is tested with
//! the other servers.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]
#![allow(dead_code, reason = "the example's `main` uses the rest")]

#[path = "../../examples/kv/bytes.rs"]
mod bytes;
#[path = "../../examples/kv/input.rs"]
mod input;
#[path = "../../examples/kv/resp.rs"]
mod resp;
#[path = "../../examples/kv/glob.rs"]
mod glob;
#[path = "../../examples/kv/store.rs"]
mod store;
#[path = "../../examples/kv/pubsub.rs"]
mod pubsub;
#[path = "../../examples/kv/command.rs"]
mod command;
#[path = "../../examples/kv/snapshot.rs"]
mod snapshot;
#[path = "../../examples/kv/parcel.rs"]
mod parcel;
#[path = "../../examples/kv/shard.rs"]
mod shard;
#[path = "../../examples/kv/disk.rs"]
mod disk;
#[path = "../../examples/kv/session.rs"]
mod session;
#[path = "../../examples/kv/requests.rs"]
mod requests;
#[path = "../../examples/kv/connection.rs"]
mod connection;
#[path = "../../examples/kv/server.rs"]
mod server;

mod random;
mod parsing;
mod storing;
mod snapshots;
mod script;
mod client;
mod simulations;
