//! The servers of `examples/`, each as a process of its own: what they answer, to whom, and what they refuse.
//!
//! They are talked to by std's sockets, from threads. Which driver they use `KETTLE_DRIVER` says. Two are simulations, two are
//! about callbacks; these serve nobody.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod server;
mod arguments;
mod echo;
mod http_plaintext;
mod chat;
mod proxy;
mod kv;
mod kv_clients;
mod kv_redis;
mod simulated;
mod callbacks;
mod scenes;
