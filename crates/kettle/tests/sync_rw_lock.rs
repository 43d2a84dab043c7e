//! What [`kettle::sync::RwLock`] promises: readers together, a writer alone, both in the order in which they came.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle::sync::{RwLock, RwLockWriteGuard, TryLockError};
use kettle::{cancel_scope, run, thread, timeout};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

#[test]
fn readers_read_together() {
    run(|| {
        let lock = RwLock::new(1);
        thread::scope(|s| {
            let own = lock.read().unwrap();
            let others = [(); 10].map(|()| {
                s.spawn(|| {
                    let guard = lock.read().unwrap();
                    thread::yield_now();
                    *guard
                })
            });
            assert_eq!(others.map(|other| other.join().unwrap()), [1; 10]);
            assert_eq!(*own, 1);
        });
    });
}

#[test]
fn who_waits_is_served_in_the_order_in_which_he_came() {
    run(|| {
        let (lock, order) = (RwLock::new(()), RefCell::new(Vec::new()));
        thread::scope(|s| {
            let guard = lock.write().unwrap();
            for (n, writes) in [false, false, true, false, true, true, false].into_iter().enumerate() {
                let (lock, order) = (&lock, &order);
                s.spawn(move || {
                    if writes {
                        let _guard = lock.write().unwrap();
                        thread::yield_now();
                        order.borrow_mut().push(n);
                    } else {
                        let _guard = lock.read().unwrap();
                        order.borrow_mut().push(n);
                    }
                });
            }
            thread::yield_now();
            drop(guard);
        });
        assert_eq!(order.into_inner(), [0, 1, 2, 3, 4, 5, 6]);
    });
}

#[test]
fn readers_that_keep_coming_do_not_keep_a_writer_out() {
    run(|| {
        let lock = RwLock::new(0);
        thread::scope(|s| {
            let first = lock.read().unwrap();
            let writer = s.spawn(|| *lock.write().unwrap() += 1);
            thread::yield_now();
            assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
            let late = s.spawn(|| *lock.read().unwrap());
            thread::yield_now();
            drop(first);
            assert_eq!(late.join().unwrap(), 1);
            writer.join().unwrap();
        });
    });
}

#[test]
fn a_writer_that_is_cancelled_lets_those_in_who_waited_for_him() {
    run(|| {
        let lock = RwLock::new(0);
        thread::scope(|s| {
            let guard = lock.read().unwrap();
            let writer = s.spawn(|| *lock.write().unwrap() += 1);
            thread::yield_now();
            let readers = [(); 2].map(|()| s.spawn(|| *lock.read().unwrap()));
            thread::yield_now();
            assert!(readers.iter().all(|reader| !reader.is_finished()));
            writer.cancel();
            assert_eq!(readers.map(|reader| reader.join().unwrap()), [0; 2]);
            assert_eq!(*guard, 0);
        });
        assert!(lock.try_write().is_ok() && !lock.is_poisoned());
    });
}

#[test]
fn what_was_handed_over_to_who_is_cancelled_goes_to_the_next() {
    run(|| {
        let lock = RwLock::new(0);
        thread::scope(|s| {
            let guard = lock.write().unwrap();
            let tasks = [(); 2].map(|()| s.spawn(|| *lock.write().unwrap() += 1));
            thread::yield_now();
            drop(guard);
            tasks[0].cancel();
        });
        assert!(lock.try_write().is_ok());
    });
}

#[test]
fn who_need_not_wait_is_not_cancelled_and_who_has_to_is() {
    run(|| {
        let lock = RwLock::new(0);
        let result = cancel_scope(|scope| {
            scope.cancel();
            drop(lock.read());
            drop(lock.write());
        });
        assert!(result.is_ok());
        let guard = lock.write().unwrap();
        assert!(timeout(Duration::from_millis(1), || drop(lock.read())).is_err());
        assert!(timeout(Duration::from_millis(1), || drop(lock.write())).is_err());
        drop(guard);
        assert!(lock.try_write().is_ok());
    });
}

#[test]
fn a_writer_goes_on_reading_without_anybody_in_between() {
    run(|| {
        let lock = RwLock::new(0);
        thread::scope(|s| {
            let mut guard = lock.write().unwrap();
            let reader = s.spawn(|| *lock.read().unwrap());
            let writer = s.spawn(|| *lock.write().unwrap() += 1);
            thread::yield_now();
            *guard = 10;
            let guard = RwLockWriteGuard::downgrade(guard);
            assert_eq!(reader.join().unwrap(), 10);
            assert!(!writer.is_finished());
            assert_eq!(*guard, 10);
            drop(guard);
            writer.join().unwrap();
        });
        assert_eq!(*lock.read().unwrap(), 11);
    });
}

#[test]
fn who_unwinds_poisons_it_if_he_writes() {
    let lock = RwLock::new(0);
    let unwind = |writes: bool| {
        catch_unwind(AssertUnwindSafe(|| {
            let _guards = if writes { (lock.write().ok(), None) } else { (None, lock.read().ok()) };
            resume_unwind(Box::new(()));
        }))
    };
    assert!(unwind(false).is_err() && !lock.is_poisoned());
    assert!(unwind(true).is_err() && lock.is_poisoned());
    assert!(lock.read().is_err() && lock.write().is_err() && lock.try_read().is_err());
    lock.clear_poison();
    assert!(lock.read().is_ok());
}

#[test]
fn loops_and_threads_read_and_write_it() {
    const ROUNDS: u32 = 1000;
    let lock = RwLock::new((0, 0));
    let work = |n: u32| {
        for round in 0..ROUNDS {
            if (round + n).is_multiple_of(4) {
                let mut guard = lock.write().unwrap();
                guard.0 += 1;
                if round % 64 == 0 {
                    thread::yield_now();
                }
                guard.1 += 1;
            } else {
                let guard = lock.read().unwrap();
                assert_eq!(guard.0, guard.1);
            }
        }
    };
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                run(|| {
                    thread::scope(|s| {
                        for n in 0..3 {
                            s.spawn(move || work(n));
                        }
                    });
                });
            });
            s.spawn(|| work(3));
        }
    });
    assert_eq!(lock.into_inner().unwrap(), (8 * ROUNDS / 4, 8 * ROUNDS / 4));
}

#[test]
fn a_thread_that_writes_and_locks_it_again_panics_instead_of_waiting_for_ever() {
    let lock = RwLock::new(());
    let guard = lock.write().unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(lock.read()))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(lock.write()))).is_err());
    drop(guard);
    assert!(lock.try_write().is_ok());
}

#[test]
fn it_shows_its_data_and_whether_it_can() {
    let lock = RwLock::new(1);
    let guard = lock.read().unwrap();
    assert_eq!(format!("{lock:?} {guard:?} {guard}"), "RwLock { data: 1, poisoned: false, .. } 1 1");
    drop(guard);
    let guard = lock.write().unwrap();
    assert_eq!(format!("{lock:?} {guard:?} {guard}"), "RwLock { data: <locked>, poisoned: false, .. } 1 1");
}
