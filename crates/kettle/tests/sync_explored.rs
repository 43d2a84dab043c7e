//! What `explore` finds in programs that use locks: it has tasks wait before each lock, also where there is no checkpoint
//! between two of them, and what it finds repeats.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle::sync::{Mutex, RwLock};
use kettle::testing::{Failure, Simulation, assert_no_checkpoints, simulate};
use kettle::thread;
use std::collections::HashSet;

/// So few seeds are enough for what takes one choice.
const SEEDS: u64 = 100;

fn find(f: impl Fn()) -> Failure {
    Simulation::new(0).explore(0..SEEDS, f).unwrap_err()
}

/// Two tasks that lock two mutexes, each in its order, with nothing between.
fn locks_in_two_orders() {
    let (tea, milk) = (Mutex::new(0), Mutex::new(0));
    thread::scope(|s| {
        s.spawn(|| {
            let mut tea = tea.lock().unwrap();
            *tea += *milk.lock().unwrap();
        });
        s.spawn(|| {
            let mut milk = milk.lock().unwrap();
            *milk += *tea.lock().unwrap();
        });
    });
}

#[test]
fn two_orders_of_locking_are_a_deadlock_that_one_choice_leads_to() {
    let failure = find(locks_in_two_orders);
    assert!(failure.is_deadlock(), "{failure}");
    let said = failure.to_string();
    for task in [1, 2] {
        assert!(said.contains(&format!("task {task} waits for a mutex, at {}:", file!())), "{said}");
    }
    let deviations: Vec<_> = failure.deviations().collect();
    assert_eq!(deviations.len(), 1, "{failure}");
    assert!(deviations[0].contains(&format!("let others run before it locked, at {}:", file!())), "{failure}");
    assert_eq!(find(locks_in_two_orders).to_string(), said, "it is the same each time");
}

#[test]
fn readers_and_writers_in_two_orders_are_a_deadlock() {
    let failure = find(|| {
        let (tea, milk) = (RwLock::new(0), RwLock::new(0));
        thread::scope(|s| {
            s.spawn(|| {
                let tea = tea.read().unwrap();
                *milk.write().unwrap() += *tea;
            });
            s.spawn(|| {
                let milk = milk.read().unwrap();
                *tea.write().unwrap() += *milk;
            });
        });
    });
    assert!(failure.is_deadlock(), "{failure}");
}

#[test]
fn an_update_that_is_lost_between_two_locks_is_found() {
    let failure = find(|| {
        let cups = Mutex::new(0);
        thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    let seen = *cups.lock().unwrap();
                    *cups.lock().unwrap() = seen + 1;
                });
            }
        });
        assert_eq!(*cups.lock().unwrap(), 2, "a cup is lost");
    });
    assert!(failure.is_panic() && failure.to_string().contains("a cup is lost"), "{failure}");
    assert_eq!(failure.deviations().count(), 1, "{failure}");
}

#[test]
fn one_order_of_locking_holds_under_all_seeds() {
    let count = Simulation::new(0).explore(0..SEEDS, || {
        let (tea, milk) = (Mutex::new(0), RwLock::new(0));
        thread::scope(|s| {
            for _ in 0..3 {
                s.spawn(|| {
                    let mut tea = tea.lock().unwrap();
                    *milk.write().unwrap() += 1;
                    *tea += *milk.read().unwrap();
                });
            }
        });
        assert_eq!((*tea.lock().unwrap(), *milk.read().unwrap()), (6, 3));
    });
    assert_eq!(count.unwrap(), SEEDS);
}

#[test]
fn a_simulation_with_locks_writes_the_same_trace_byte_for_byte() {
    let run = |seed| {
        let body = || {
            let (tea, milk) = (Mutex::new(0), RwLock::new(0));
            thread::scope(|s| {
                for _ in 0..5 {
                    s.spawn(|| {
                        *tea.lock().unwrap() += 1;
                        *milk.write().unwrap() += *tea.lock().unwrap();
                        _ = *milk.read().unwrap();
                    });
                }
            });
        };
        Simulation::new(seed).recorded().run(body).unwrap().trace
    };
    let hashes: HashSet<_> = (0..20)
        .map(|seed| {
            let trace = run(seed);
            assert_eq!(trace.as_bytes(), run(seed).as_bytes());
            trace.hash()
        })
        .collect();
    assert!(hashes.len() > 10, "{} of 20 seeds differ", hashes.len());
}

#[test]
fn outside_of_simulations_a_lock_that_is_free_lets_nobody_run() {
    kettle::run(|| {
        let (mutex, lock) = (Mutex::new(0), RwLock::new(0));
        for _ in 0..3 {
            assert_no_checkpoints(|| {
                *mutex.lock().unwrap() += 1;
                *lock.write().unwrap() += 1;
                assert_eq!(*lock.read().unwrap(), *mutex.lock().unwrap());
            });
        }
    });
}

#[test]
fn a_lock_keeps_its_poison_whether_or_not_it_has_been_locked() {
    let poison = || {
        let (mutex, lock) = (Mutex::new(0), RwLock::new(0));
        assert!(!mutex.is_poisoned() && !lock.is_poisoned());
        for _ in 0..2 {
            let panicked = std::panic::catch_unwind(|| {
                let _guards = (mutex.lock().unwrap(), lock.write().unwrap());
                std::panic::resume_unwind(Box::new(()));
            });
            assert!(panicked.is_err() && mutex.is_poisoned() && lock.is_poisoned());
            assert!(
                mutex.lock().is_err() && mutex.try_lock().is_err() && lock.read().is_err() && lock.write().is_err()
            );
            mutex.clear_poison();
            lock.clear_poison();
            assert!(mutex.lock().is_ok() && mutex.try_lock().is_ok() && lock.read().is_ok() && lock.write().is_ok());
        }
        assert_eq!((mutex.into_inner().unwrap(), lock.into_inner().unwrap()), (0, 0));
    };
    poison();
    kettle::run(poison);
    (0..20).for_each(|seed| simulate(seed, poison));
}
