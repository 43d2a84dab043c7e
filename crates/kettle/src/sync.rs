//! `std::sync` for tasks: what waits here suspends the task, and its thread runs others meanwhile.

// Their users come next; until then nothing but their tests calls them.
#[allow(dead_code, reason = "locks and channels are made of them")]
mod system;
#[allow(dead_code, reason = "locks and channels are made of it")]
mod wait_queue;
