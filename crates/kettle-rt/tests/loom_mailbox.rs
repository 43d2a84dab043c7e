//! The end of a mailbox, under loom: meetings of two or three threads, in every order that the memory model allows. The
//! modules are those of the crate, by their files.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p kettle-rt --test loom_mailbox`
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]
#![allow(dead_code, unreachable_pub, reason = "the modules are a crate's")]

#[path = "../src/atomics.rs"]
mod atomics;
#[path = "../src/gate.rs"]
mod gate;

use gate::Gate;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

/// Runs a meeting in every order, but for those that take more than three preemptions.
fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(f);
}

/// A value that says when it is used after its end.
struct Alive(AtomicBool);

impl Alive {
    fn new() -> Self {
        Self(AtomicBool::new(true))
    }

    fn check(&self) {
        assert!(self.0.load(Ordering::Relaxed));
    }
}

#[test]
fn nobody_is_inside_when_the_value_is_taken_away() {
    model(|| {
        let gate = Arc::new(Gate::new(Alive::new()));
        let threads = [(); 2].map(|()| {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                if let Some(inside) = gate.enter() {
                    inside.check();
                    inside.check();
                }
            })
        });
        if let Some(alive) = gate.close() {
            alive.0.store(false, Ordering::Relaxed);
        }
        assert!(gate.enter().is_none());
        assert!(gate.close().is_none());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}
