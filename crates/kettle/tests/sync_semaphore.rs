//! What [`kettle::sync::Semaphore`] promises: never more than there are, in the order in which they were asked for.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle::sync::Semaphore;
use kettle::{cancel_scope, run, thread, timeout};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[test]
fn never_more_have_permits_than_there_are() {
    const ROUNDS: usize = 500;
    let (permits, inside) = (Semaphore::new(3), AtomicUsize::new(0));
    let work = |n: usize| {
        for round in 0..ROUNDS {
            let count = (n + round) % 3 + 1;
            let permit = permits.acquire(count).unwrap();
            assert!(inside.fetch_add(count, Ordering::SeqCst) + count <= 3);
            if round % 32 == 0 {
                thread::yield_now();
            }
            inside.fetch_sub(count, Ordering::SeqCst);
            drop(permit);
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
    assert_eq!(permits.available_permits(), 3);
}

#[test]
fn who_came_first_is_served_first_however_much_he_wants() {
    run(|| {
        let (permits, order) = (Semaphore::new(4), RefCell::new(Vec::new()));
        thread::scope(|s| {
            let all = permits.acquire(4).unwrap();
            for (n, count) in [3, 1, 4, 1].into_iter().enumerate() {
                let (permits, order) = (&permits, &order);
                s.spawn(move || {
                    let _permit = permits.acquire(count).unwrap();
                    order.borrow_mut().push(n);
                });
            }
            thread::yield_now();
            drop(all);
            assert!(permits.try_acquire(1).unwrap_err().would_block());
        });
        assert_eq!(order.into_inner(), [0, 1, 2, 3]);
    });
}

#[test]
fn more_than_the_maximum_is_refused_and_never_waited_for() {
    let permits = Semaphore::with_maximum(1, 2);
    let error = permits.acquire(3).unwrap_err();
    assert!(error.is_above_maximum() && error.permits() == 3);
    assert!(permits.try_acquire(3).unwrap_err().is_above_maximum());
    assert!(permits.try_acquire(2).unwrap_err().would_block());
    let held = permits.acquire(1).unwrap();
    assert!(permits.add_permits(2).unwrap_err().is_above_maximum());
    permits.add_permits(1).unwrap();
    assert!(permits.add_permits(usize::MAX).unwrap_err().is_above_maximum());
    drop(held);
    assert_eq!(permits.available_permits(), 2);
    assert!(permits.acquire(0).is_ok());
}

#[test]
fn what_is_added_goes_to_those_who_wait() {
    run(|| {
        let permits = Semaphore::with_maximum(0, 10);
        thread::scope(|s| {
            let task = s.spawn(|| permits.acquire(2).unwrap().forget());
            thread::yield_now();
            permits.add_permits(1).unwrap();
            thread::yield_now();
            assert!(!task.is_finished());
            permits.add_permits(3).unwrap();
            task.join().unwrap();
        });
        assert_eq!(permits.available_permits(), 2);
        permits.add_permits(8).unwrap();
    });
}

#[test]
fn who_is_cancelled_lets_those_go_who_waited_behind_him() {
    run(|| {
        let permits = Semaphore::new(2);
        thread::scope(|s| {
            let one = permits.acquire(1).unwrap();
            let wants_two = s.spawn(|| permits.acquire(2).map(drop));
            thread::yield_now();
            let wants_one = s.spawn(|| permits.acquire(1).map(drop));
            thread::yield_now();
            assert!(!wants_one.is_finished());
            wants_two.cancel();
            wants_one.join().unwrap().unwrap();
            drop(one);
        });
        assert_eq!(permits.available_permits(), 2);
        let all = permits.acquire(2).unwrap();
        assert!(timeout(Duration::from_millis(1), || drop(permits.acquire(1))).is_err());
        drop(all);
        let not_waiting = cancel_scope(|scope| {
            scope.cancel();
            drop(permits.acquire(2));
        });
        assert!(not_waiting.is_ok());
        assert_eq!(permits.available_permits(), 2);
    });
}

#[test]
fn what_was_handed_over_while_the_task_was_cancelled_is_not_lost() {
    run(|| {
        let permits = Semaphore::new(1);
        thread::scope(|s| {
            let held = permits.acquire(1).unwrap();
            let tasks = [(); 2].map(|()| s.spawn(|| drop(permits.acquire(1).unwrap())));
            thread::yield_now();
            drop(held);
            tasks[0].cancel();
        });
        assert_eq!(permits.available_permits(), 1);
    });
}

#[test]
fn closing_wakes_all_with_an_error() {
    run(|| {
        let permits = Semaphore::new(1);
        thread::scope(|s| {
            let held = permits.acquire(1).unwrap();
            let tasks = [(); 3].map(|()| s.spawn(|| permits.acquire(1).map(drop)));
            thread::yield_now();
            permits.close();
            permits.close();
            assert!(tasks.map(|task| task.join().unwrap().unwrap_err().is_closed()).into_iter().all(|closed| closed));
            drop(held);
            assert!(permits.is_closed() && permits.try_acquire(1).unwrap_err().is_closed());
        });
    });
}

#[test]
fn permits_are_given_back_from_anywhere() {
    let permits = Arc::new(Semaphore::new(2));
    run(|| {
        let (one, other) = (permits.acquire_owned(1).unwrap(), permits.try_acquire_owned(1).unwrap());
        std::thread::scope(|s| {
            s.spawn(move || drop(one));
            drop(permits.acquire(1).unwrap());
        });
        other.forget();
    });
    assert_eq!(permits.available_permits(), 1);
    assert!(permits.add_permits(1).is_ok());
    assert_eq!(Arc::strong_count(&permits), 1);
    assert_eq!(format!("{permits:?}"), "Semaphore { available: 2, maximum: 2, is_closed: false, .. }");
}

#[test]
fn ten_thousand_wait_for_one_permit() {
    run(|| {
        let permits = Semaphore::new(1);
        thread::scope(|s| {
            let held = permits.acquire(1).unwrap();
            for _ in 0..10_000 {
                s.spawn(|| drop(permits.acquire(1).unwrap()));
            }
            thread::yield_now();
            drop(held);
        });
        assert_eq!(permits.available_permits(), 1);
    });
}
