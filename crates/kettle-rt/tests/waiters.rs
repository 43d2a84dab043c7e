//! Waits that others end: tasks of the same loop, of other loops, and plain threads.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_rt::{
    EventLoop, Purpose, Wait, Waiter, Woken, cancel_scope, now, raise_if_cancelled, scope, spawn, timeout, yield_now,
};
use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

fn run<T>(f: impl FnOnce() -> T) -> T {
    EventLoop::new().unwrap().run(f)
}

/// A semaphore, as short as can be: what is handed over is a permit.
#[derive(Default)]
struct Permits {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    free: usize,
    queue: VecDeque<Queued>,
}

#[derive(PartialEq)]
struct Queued(NonNull<Waiter>);

// SAFETY: a waiter may be notified from any thread.
unsafe impl Send for Queued {}

impl Permits {
    fn acquire(&self, deadline: Option<std::time::Instant>) -> Woken {
        let waiter = Waiter::new();
        let queued = NonNull::from(&waiter);
        {
            let mut inner = self.inner.lock().unwrap();
            if inner.free > 0 {
                inner.free -= 1;
                return Woken::Notified;
            }
            inner.queue.push_back(Queued(queued));
        }
        let woken = waiter.wait(deadline);
        if woken != Woken::Notified {
            let mut inner = self.inner.lock().unwrap();
            if let Some(place) = inner.queue.iter().position(|entry| *entry == Queued(queued)) {
                inner.queue.remove(place);
                return woken;
            }
            drop(inner);
            waiter.wait_for_notice();
        }
        Woken::Notified
    }

    fn release(&self) {
        let mut inner = self.inner.lock().unwrap();
        match inner.queue.pop_front() {
            // SAFETY: it was in the queue, so it is there, and it is taken out once.
            Some(Queued(waiter)) => unsafe { Waiter::notify(waiter) },
            None => inner.free += 1,
        }
    }
}

#[test]
fn a_task_of_the_same_loop_ends_a_wait() {
    run(|| {
        let permits = Permits::default();
        scope(|s| {
            s.spawn(|| permits.release());
            assert_eq!(permits.acquire(None), Woken::Notified);
        });
    });
}

#[test]
fn a_wait_has_an_end_by_a_deadline_and_by_a_cancellation() {
    run(|| {
        let permits = Permits::default();
        assert_eq!(permits.acquire(Some(now())), Woken::TimedOut);
        let cancelled = timeout(Duration::from_millis(1), || {
            assert_eq!(permits.acquire(None), Woken::Cancelled);
            raise_if_cancelled();
        });
        assert!(cancelled.is_err());
        let cancelled = cancel_scope(|scope| {
            scope.cancel();
            assert_eq!(permits.acquire(None), Woken::Cancelled);
        });
        assert!(cancelled.is_ok());
        permits.release();
        assert_eq!(permits.acquire(None), Woken::Notified);
    });
}

#[test]
fn what_was_handed_over_while_a_wait_was_cancelled_is_not_lost() {
    run(|| {
        let permits = Permits::default();
        scope(|s| {
            let task = s.spawn(|| permits.acquire(None));
            yield_now();
            // Both before it goes on.
            permits.release();
            task.cancel();
            assert_eq!(task.join().unwrap(), Woken::Notified);
        });
    });
}

#[test]
fn threads_and_tasks_of_several_loops_hand_over_to_each_other() {
    const ROUNDS: usize = 3000;
    let (there, back) = (Permits::default(), Permits::default());
    thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                run(|| {
                    scope(|s| {
                        for _ in 0..4 {
                            s.spawn(|| {
                                for _ in 0..ROUNDS {
                                    assert_eq!(there.acquire(None), Woken::Notified);
                                    back.release();
                                }
                            });
                        }
                    });
                });
            });
        }
        s.spawn(|| (0..8 * ROUNDS).for_each(|_| there.release()));
        (0..8 * ROUNDS).for_each(|_| assert_eq!(back.acquire(None), Woken::Notified));
    });
    assert_eq!(there.inner.lock().unwrap().free, 0);
    assert_eq!(back.inner.lock().unwrap().free, 0);
}

#[test]
fn notices_from_another_thread_cross_timeouts_without_being_lost() {
    const ROUNDS: usize = 2000;
    let permits = Permits::default();
    let taken = thread::scope(|s| {
        s.spawn(|| {
            for _ in 0..ROUNDS {
                permits.release();
                thread::yield_now();
            }
        });
        run(|| {
            let mut taken = 0;
            while taken < ROUNDS {
                if permits.acquire(Some(now() + Duration::from_nanos(500))) == Woken::Notified {
                    taken += 1;
                }
            }
            taken
        })
    });
    assert_eq!((taken, permits.inner.lock().unwrap().free), (ROUNDS, 0));
}

#[test]
fn a_waiter_blocks_its_thread_where_there_is_no_task_to_suspend() {
    assert!(Waiter::new().blocks_thread());
    run(|| {
        assert!(!Waiter::new().blocks_thread());
        struct Unwinds;
        impl Drop for Unwinds {
            fn drop(&mut self) {
                assert!(Waiter::new().blocks_thread());
            }
        }
        let unwound = std::panic::catch_unwind(|| {
            let _unwinds = Unwinds;
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(unwound.is_err());
    });
}

#[test]
#[should_panic(expected = "wait with the waiter of another task")]
fn only_its_own_task_waits_with_a_waiter() {
    run(|| {
        let waiter = Waiter::new();
        spawn(move || waiter.wait(None)).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

#[test]
fn the_end_of_another_task_ends_a_wait_that_asks_for_it() {
    run(|| {
        let mut task = spawn(yield_now);
        let waiter = Waiter::new();
        let ending = task.ending();
        assert!(!ending.has_come());
        // SAFETY: `forget` follows.
        unsafe { ending.expect() };
        assert_eq!(waiter.wait_unless(Purpose::here(Wait::Notice), None, || ending.has_come()), None);
        ending.forget();
        // What has come already does not wait.
        assert_eq!(waiter.wait_unless(Purpose::here(Wait::Notice), None, || ending.has_come()), None);
        assert!(task.join().is_ok());
    });
}

#[test]
fn a_forgotten_end_wakes_nobody() {
    run(|| {
        let mut task = spawn(yield_now);
        let ending = task.ending();
        // SAFETY: `forget` follows.
        unsafe { ending.expect() };
        ending.forget();
        let waiter = Waiter::new();
        let deadline = now() + Duration::from_millis(1);
        assert_eq!(waiter.wait_unless(Purpose::here(Wait::Notice), Some(deadline), || false), Some(Woken::TimedOut));
        assert!(task.is_finished());
    });
}
