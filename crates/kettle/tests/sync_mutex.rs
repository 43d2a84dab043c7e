//! What [`kettle::sync::Mutex`] promises: one at a time, wherever he is; fair; cancellable; poisoned as std's.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod child;

use kettle::sync::{Mutex, TryLockError};
use kettle::{Cancelled, cancel_scope, run, thread, timeout};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn tasks_of_a_loop_have_it_one_at_a_time() {
    run(|| {
        let (mutex, inside) = (Mutex::new(0), Cell::new(false));
        thread::scope(|s| {
            for _ in 0..100 {
                s.spawn(|| {
                    let mut guard = mutex.lock().unwrap();
                    assert!(!inside.replace(true));
                    thread::yield_now();
                    *guard += 1;
                    inside.set(false);
                });
            }
        });
        assert_eq!(*mutex.lock().unwrap(), 100);
    });
}

#[test]
fn loops_on_several_threads_and_plain_threads_have_it_one_at_a_time() {
    const ROUNDS: u32 = 2000;
    let mutex = Mutex::new(0);
    let add = || {
        for n in 0..ROUNDS {
            let mut guard = mutex.lock().unwrap();
            let before = *guard;
            if n % 64 == 0 {
                thread::yield_now();
            }
            *guard = before + 1;
        }
    };
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                run(|| {
                    thread::scope(|s| {
                        s.spawn(add);
                        s.spawn(add);
                    });
                });
            });
            s.spawn(add);
        }
    });
    assert_eq!(mutex.into_inner().unwrap(), 6 * ROUNDS);
}

#[test]
fn ten_thousand_wait_and_come_in_their_order() {
    const TASKS: u32 = 10_000;
    run(|| {
        let (mutex, order) = (Mutex::new(()), RefCell::new(Vec::new()));
        thread::scope(|s| {
            let guard = mutex.lock().unwrap();
            for n in 0..TASKS {
                let (mutex, order) = (&mutex, &order);
                s.spawn(move || {
                    let _guard = mutex.lock().unwrap();
                    order.borrow_mut().push(n);
                });
            }
            thread::yield_now();
            drop(guard);
        });
        assert!(order.into_inner().into_iter().eq(0..TASKS));
    });
}

#[test]
fn who_always_takes_it_again_at_once_keeps_nobody_waiting_for_ever() {
    run(|| {
        let (mutex, has_been_in) = (Mutex::new(()), Cell::new(false));
        let mut turns = 0;
        thread::scope(|s| {
            s.spawn(|| {
                let _guard = mutex.lock().unwrap();
                has_been_in.set(true);
            });
            while !has_been_in.get() {
                let _guard = mutex.lock().unwrap();
                thread::yield_now();
                turns += 1;
            }
        });
        // Its own first, one in which the other queues, one in which it is woken in vain.
        assert!(turns <= 4, "{turns} turns of another one");
    });
}

#[test]
fn who_need_not_wait_is_not_suspended_and_not_cancelled() {
    run(|| {
        let mutex = Mutex::new(0);
        let result = cancel_scope(|scope| {
            scope.cancel();
            *mutex.lock().unwrap() += 1;
            drop(mutex.try_lock().unwrap());
        });
        assert!(result.is_ok());
        assert_eq!(*mutex.lock().unwrap(), 1);
        let others = Rc::new(Cell::new(0));
        let other = thread::spawn({
            let others = Rc::clone(&others);
            move || others.set(1)
        });
        drop(mutex.lock().unwrap());
        assert_eq!(others.get(), 0);
        other.join().unwrap();
    });
}

#[test]
fn who_is_cancelled_while_waiting_is_unwound_and_leaves_the_queue() {
    run(|| {
        let mutex = Mutex::new(0);
        let guard = mutex.lock().unwrap();
        let waited = timeout(Duration::from_millis(1), || drop(mutex.lock()));
        assert!(waited.is_err());
        let already = cancel_scope(|scope| {
            scope.cancel();
            drop(mutex.lock());
        });
        assert!(already.is_err());
        drop(guard);
        assert!(mutex.try_lock().is_ok() && !mutex.is_poisoned());
    });
}

#[test]
fn the_turn_of_who_is_cancelled_when_it_was_woken_goes_to_the_next() {
    run(|| {
        let mutex = Mutex::new(0);
        thread::scope(|s| {
            let guard = mutex.lock().unwrap();
            let first = s.spawn(|| *mutex.lock().unwrap() += 1);
            let second = s.spawn(|| *mutex.lock().unwrap() += 10);
            thread::yield_now();
            // The first is woken, and cancelled before it runs: it may have it, or the second one; somebody has.
            drop(guard);
            first.cancel();
            second.join().unwrap();
        });
        assert!(mutex.try_lock().is_ok());
    });
}

#[test]
fn who_has_been_given_it_when_he_hears_that_he_is_cancelled_has_it_until_his_next_checkpoint() {
    run(|| {
        let (mutex, after) = (Mutex::new(0), Cell::new(false));
        thread::scope(|s| {
            let guard = mutex.lock().unwrap();
            let waits = s.spawn(|| {
                *mutex.lock().unwrap() += 1;
                thread::yield_now();
                after.set(true);
            });
            thread::yield_now();
            drop(guard);
            waits.cancel();
            assert!(waits.join().unwrap_err().is::<Cancelled>());
        });
        assert_eq!((*mutex.lock().unwrap(), after.get()), (1, false));
    });
}

#[test]
fn what_is_handed_over_crosses_cancellations_without_being_lost() {
    const ROUNDS: u32 = 300;
    let mutex = Mutex::new(());
    std::thread::scope(|s| {
        s.spawn(|| {
            for _ in 0..ROUNDS {
                let _guard = mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                std::thread::yield_now();
            }
        });
        run(|| {
            for n in 0..ROUNDS {
                thread::scope(|s| {
                    for m in 0..3 {
                        let mutex = &mutex;
                        s.spawn(move || {
                            timeout(Duration::from_nanos(u64::from(n * m) * 100), || {
                                drop(mutex.lock());
                            })
                        });
                    }
                });
            }
        });
    });
    assert!(mutex.try_lock().is_ok());
}

#[test]
fn who_panics_while_he_has_it_poisons_it_and_so_does_who_is_cancelled() {
    run(|| {
        let mutex = Arc::new(Mutex::new(1));
        let task = thread::spawn({
            let mutex = Arc::clone(&mutex);
            move || {
                let _guard = mutex.lock().unwrap();
                resume_unwind(Box::new("a cup fell down"));
            }
        });
        assert!(task.join().is_err());
        assert!(mutex.is_poisoned());
        assert_eq!(*mutex.lock().unwrap_err().into_inner(), 1);
        assert!(matches!(mutex.try_lock(), Err(TryLockError::Poisoned(_))));
        mutex.clear_poison();
        let cancelled: Result<(), Cancelled> = timeout(Duration::from_millis(1), || {
            let _guard = mutex.lock().unwrap();
            thread::sleep(Duration::MAX);
        });
        assert!(cancelled.is_err() && mutex.is_poisoned());
        assert_eq!(Arc::try_unwrap(mutex).unwrap().into_inner().unwrap_err().into_inner(), 1);
    });
}

#[test]
fn a_destructor_that_unwinds_takes_it_from_another_thread_and_does_not_poison_it() {
    struct Locks<'a>(&'a Mutex<u32>);
    impl Drop for Locks<'_> {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    let mutex = Mutex::new(0);
    let (tells, told) = std::sync::mpsc::channel();
    std::thread::scope(|s| {
        let guard = mutex.lock().unwrap();
        s.spawn(|| {
            run(|| {
                thread::scope(|s| {
                    // A task of the same loop that waits before it must not stand in its way.
                    s.spawn(|| *mutex.lock().unwrap() += 10);
                    thread::yield_now();
                    tells.send(()).unwrap();
                    let unwound = catch_unwind(AssertUnwindSafe(|| {
                        let _locks = Locks(&mutex);
                        resume_unwind(Box::new(()));
                    }));
                    assert!(unwound.is_err());
                });
            });
        });
        told.recv().unwrap();
        drop(guard);
    });
    assert_eq!(mutex.into_inner().unwrap(), 11);
}

#[test]
fn a_thread_that_locks_it_twice_panics_instead_of_waiting_for_ever() {
    let mutex = Mutex::new(());
    let _guard = mutex.lock().unwrap();
    let second = catch_unwind(AssertUnwindSafe(|| drop(mutex.lock())));
    assert!(second.unwrap_err().downcast_ref::<&str>().unwrap().contains("what this thread has locked already"));
    assert!(mutex.try_lock().is_err());
}

#[test]
fn a_task_that_locks_it_twice_waits_until_it_is_cancelled() {
    run(|| {
        let mutex = Mutex::new(());
        let guard = mutex.lock().unwrap();
        assert!(timeout(Duration::from_millis(1), || drop(mutex.lock())).is_err());
        drop(guard);
        assert!(mutex.lock().is_ok());
    });
}

#[test]
fn a_destructor_that_unwinds_and_wants_what_a_task_of_its_thread_has_ends_the_process() {
    struct Locks<'a>(&'a Mutex<()>);
    impl Drop for Locks<'_> {
        fn drop(&mut self) {
            drop(self.0.lock());
        }
    }
    let stderr =
        child::dies("a_destructor_that_unwinds_and_wants_what_a_task_of_its_thread_has_ends_the_process", || {
            run(|| {
                let mutex = Mutex::new(());
                thread::scope(|s| {
                    s.spawn(|| {
                        let _guard = mutex.lock().unwrap();
                        thread::sleep(Duration::MAX);
                    });
                    thread::yield_now();
                    let _locks = Locks(&mutex);
                    resume_unwind(Box::new(()));
                });
            });
        });
    assert!(stderr.contains("lock what this thread has locked already"), "{stderr}");
}

#[test]
fn a_forgotten_guard_keeps_it_locked() {
    let mutex = Mutex::new(());
    std::mem::forget(mutex.lock());
    assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
}

#[test]
fn a_coroutine_carries_its_guard_to_another_task() {
    run(|| {
        let mutex = Rc::new(Mutex::new(0));
        let mut holds = kettle::coroutine({
            let mutex = Rc::clone(&mutex);
            move |y: &mut kettle::fiber::Yielder<()>| {
                let mut guard = mutex.lock().unwrap();
                y.yield_(());
                *guard += 1;
            }
        });
        assert!(holds.next().is_some());
        let waits = thread::spawn({
            let mutex = Rc::clone(&mutex);
            move || *mutex.lock().unwrap() += 10
        });
        thread::yield_now();
        thread::spawn(move || assert!(holds.next().is_none())).join().unwrap();
        waits.join().unwrap();
        assert_eq!(*mutex.lock().unwrap(), 11);
    });
}

#[test]
fn a_coroutine_waits_for_it_in_the_task_that_resumes_it() {
    run(|| {
        let mutex = Rc::new(Mutex::new(0));
        let guard = mutex.lock().unwrap();
        let task = thread::spawn({
            let mutex = Rc::clone(&mutex);
            move || {
                kettle::coroutine(move |y: &mut kettle::fiber::Yielder<u32>| {
                    let value = *mutex.lock().unwrap();
                    y.yield_(value);
                })
                .next()
            }
        });
        thread::yield_now();
        drop(guard);
        assert_eq!(task.join().unwrap(), Some(0));
    });
}

#[test]
fn it_shows_its_data_and_whether_it_can() {
    let mutex = Mutex::new(1);
    assert_eq!(format!("{mutex:?}"), "Mutex { data: 1, poisoned: false, .. }");
    let guard = mutex.lock().unwrap();
    assert_eq!(format!("{mutex:?} {guard:?} {guard}"), "Mutex { data: <locked>, poisoned: false, .. } 1 1");
}
