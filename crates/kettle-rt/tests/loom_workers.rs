//! What workers agree by, under loom: meetings of two or three threads, in every order that the memory model allows. The
//! modules are those of the crate, by their files.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p kettle-rt --test loom_workers`
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

#[path = "../src/atomics.rs"]
mod atomics;
#[path = "../src/gate.rs"]
mod gate;
#[path = "../src/idle.rs"]
mod idle;
#[path = "../src/outcome.rs"]
mod outcome;

use gate::Gate;
use idle::Idle;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use outcome::{Completed, Outcome};
use std::ptr;

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

/// Work, and who sleeps until a bell rings: the driver's.
struct Place {
    idle: Idle,
    work: AtomicUsize,
    bells: [Bell; 2],
}

/// A driver's: a notice is kept until the next sleep.
struct Bell(Mutex<bool>, Condvar);

impl Bell {
    fn new() -> Self {
        Self(Mutex::new(false), Condvar::new())
    }

    fn notify(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_one();
    }

    fn wait(&self) {
        let mut is_notified = self.0.lock().unwrap();
        while !*is_notified {
            is_notified = self.1.wait(is_notified).unwrap();
        }
        *is_notified = false;
    }
}

impl Place {
    fn new() -> Arc<Self> {
        Arc::new(Self { idle: Idle::new(2), work: AtomicUsize::new(0), bells: [Bell::new(), Bell::new()] })
    }

    fn put(&self) {
        self.work.fetch_add(1, Ordering::Relaxed);
        self.tell(0);
    }

    fn tell(&self, after: usize) {
        if let Some(worker) = self.idle.wake_one(after) {
            self.bells[worker].notify();
        }
    }

    fn has_work(&self) -> bool {
        self.work.load(Ordering::Relaxed) > 0
    }

    fn take(&self) -> bool {
        self.work.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |work| work.checked_sub(1)).is_ok()
    }

    /// Works until it has done so much.
    fn work(&self, worker: usize, mut count: usize) {
        while count > 0 {
            if self.take() {
                count -= 1;
                if self.has_work() {
                    self.tell(worker);
                }
            } else if self.idle.doze(worker, || self.has_work()) {
                self.bells[worker].wait();
                self.idle.rouse(worker);
            } else {
                // What it has seen may be gone.
                thread::yield_now();
            }
        }
    }
}

#[test]
fn no_worker_sleeps_beside_work() {
    model(|| {
        let place = Place::new();
        let worker = Arc::clone(&place);
        let worker = thread::spawn(move || worker.work(1, 2));
        place.put();
        place.put();
        worker.join().unwrap();
    });
}

#[test]
fn two_that_put_work_wake_two() {
    model(|| {
        let place = Place::new();
        let workers = [0, 1].map(|index| {
            let place = Arc::clone(&place);
            thread::spawn(move || place.work(index, 1))
        });
        place.put();
        place.put();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

/// An address for a waiter.
fn waiter(place: &AtomicBool) -> *mut () {
    ptr::from_ref(place).cast_mut().cast()
}

#[test]
fn who_waits_for_a_result_is_told_and_takes_it() {
    model(|| {
        let outcome = Arc::new((Outcome::new(), AtomicBool::new(false)));
        let there = Arc::clone(&outcome);
        let thread = thread::spawn(move || {
            // SAFETY: once.
            match unsafe { there.0.complete(Box::new(17)) } {
                Completed::Awaited(at) => {
                    assert_eq!(at, waiter(&there.1));
                    there.1.store(true, Ordering::Release);
                }
                Completed::Quietly => {}
                Completed::Unwanted(_) => unreachable!(),
            }
        });
        // SAFETY: this is the handle.
        if unsafe { outcome.0.expect(waiter(&outcome.1)) } {
            while !outcome.1.load(Ordering::Acquire) {
                thread::yield_now();
            }
        }
        // SAFETY: it is complete.
        assert_eq!(unsafe { outcome.0.take() }, Some(Box::new(17)));
        // SAFETY: the last act of the handle.
        assert_eq!(unsafe { outcome.0.abandon() }, None);
        thread.join().unwrap();
    });
}

#[test]
fn who_leaves_is_not_told_or_waits_for_the_notice() {
    model(|| {
        let outcome = Arc::new((Outcome::new(), AtomicBool::new(false)));
        let there = Arc::clone(&outcome);
        let thread = thread::spawn(move || {
            // SAFETY: once.
            match unsafe { there.0.complete(Box::new(17)) } {
                Completed::Awaited(_) => there.1.store(true, Ordering::Release),
                Completed::Quietly => {}
                Completed::Unwanted(result) => assert_eq!(*result, 17),
            }
        });
        let at = waiter(&outcome.1);
        // SAFETY: this is the handle.
        if unsafe { outcome.0.expect(at) } {
            // SAFETY: it waits.
            if unsafe { outcome.0.leave(at) } {
                assert!(!outcome.1.load(Ordering::Relaxed));
            } else {
                while !outcome.1.load(Ordering::Acquire) {
                    thread::yield_now();
                }
            }
        }
        // SAFETY: the last act of the handle; nobody waits.
        drop(unsafe { outcome.0.abandon() });
        thread.join().unwrap();
    });
}

#[test]
fn a_result_is_dropped_by_one_side() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    model(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let outcome = Arc::new(Outcome::new());
        let (there, counted) = (Arc::clone(&outcome), Counted(Arc::clone(&dropped)));
        // SAFETY: once.
        let thread = thread::spawn(move || drop(unsafe { there.complete(counted) }));
        // SAFETY: the last act of the handle.
        drop(unsafe { outcome.abandon() });
        thread.join().unwrap();
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    });
}
