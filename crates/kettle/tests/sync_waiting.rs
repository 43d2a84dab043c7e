//! What the waiting kinds of [`kettle::sync`] promise.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle::sync::{Barrier, Condvar, LazyLock, Mutex, Once, OnceLock};
use kettle::{Cancelled, cancel_scope, run, thread, timeout};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

const SOME: Duration = Duration::from_millis(1);

#[test]
fn who_has_waited_longest_is_notified_first() {
    run(|| {
        let (mutex, condvar, order) = (Mutex::new(0), Condvar::new(), RefCell::new(Vec::new()));
        thread::scope(|s| {
            for n in 0..4 {
                let (mutex, condvar, order) = (&mutex, &condvar, &order);
                s.spawn(move || {
                    drop(condvar.wait(mutex.lock().unwrap()).unwrap());
                    order.borrow_mut().push(n);
                });
            }
            thread::yield_now();
            condvar.notify_one();
            thread::yield_now();
            assert_eq!(*order.borrow(), [0]);
            condvar.notify_all();
        });
        assert_eq!(order.into_inner(), [0, 1, 2, 3]);
    });
}

#[test]
fn ten_thousand_wait_and_all_are_notified() {
    run(|| {
        let (mutex, condvar, said) = (Mutex::new(0), Condvar::new(), Cell::new(false));
        thread::scope(|s| {
            for _ in 0..10_000 {
                s.spawn(|| *condvar.wait_while(mutex.lock().unwrap(), |_| !said.get()).unwrap() += 1);
            }
            thread::yield_now();
            said.set(true);
            condvar.notify_all();
        });
        assert_eq!(mutex.into_inner().unwrap(), 10_000);
    });
}

#[test]
fn loops_and_threads_pass_a_word_around() {
    const ROUNDS: u32 = 1000;
    let (turn, condvar) = (Mutex::new(0), Condvar::new());
    let take_turns = |own: u32| {
        for _ in 0..ROUNDS {
            let mut turn = condvar.wait_while(turn.lock().unwrap(), |turn| *turn % 4 != own).unwrap();
            *turn += 1;
            condvar.notify_all();
        }
    };
    std::thread::scope(|s| {
        s.spawn(|| take_turns(0));
        s.spawn(|| {
            run(|| {
                thread::scope(|s| {
                    s.spawn(|| take_turns(1));
                    take_turns(2);
                });
            });
        });
        s.spawn(|| run(|| take_turns(3)));
    });
    assert_eq!(*turn.lock().unwrap(), 4 * ROUNDS);
}

#[test]
fn a_notice_that_comes_together_with_a_cancellation_is_heard_or_goes_to_another() {
    run(|| {
        let (mutex, condvar, heard) = (Mutex::new(0), Condvar::new(), Cell::new(0));
        thread::scope(|s| {
            let wait = || {
                drop(condvar.wait(mutex.lock().unwrap()).unwrap());
                heard.set(heard.get() + 1);
            };
            let tasks = [s.spawn(wait), s.spawn(wait)];
            thread::yield_now();
            tasks[0].cancel();
            condvar.notify_one();
            thread::yield_now();
            assert_eq!(heard.get(), 1);
            condvar.notify_all();
        });
        assert!(!mutex.is_poisoned());
    });
}

#[test]
fn who_has_been_notified_when_he_hears_that_he_is_cancelled_goes_on_until_his_next_checkpoint() {
    run(|| {
        let (mutex, condvar, heard) = (Mutex::new(()), Condvar::new(), Cell::new(0));
        thread::scope(|s| {
            let waits = s.spawn(|| {
                drop(condvar.wait(mutex.lock().unwrap()).unwrap());
                heard.set(1);
                thread::yield_now();
                heard.set(2);
            });
            thread::yield_now();
            condvar.notify_one();
            waits.cancel();
            assert!(waits.join().unwrap_err().is::<Cancelled>());
        });
        assert_eq!((heard.get(), mutex.is_poisoned()), (1, false));
    });
}

#[test]
fn notices_from_another_thread_cross_cancellations_without_being_lost() {
    const ROUNDS: u32 = 500;
    let (cups, condvar) = (Mutex::new(0), Condvar::new());
    let (cups, condvar) = (&cups, &condvar);
    std::thread::scope(|s| {
        // It needs each notice that the tasks which are cancelled don't.
        let drinks = s.spawn(|| {
            for _ in 0..ROUNDS {
                *condvar.wait_while(cups.lock().unwrap(), |cups| *cups == 0).unwrap() -= 1;
            }
        });
        s.spawn(move || {
            run(|| {
                while !drinks.is_finished() {
                    thread::scope(|s| {
                        for n in 0..3 {
                            s.spawn(move || {
                                timeout(Duration::from_nanos(n * 300), || {
                                    drop(condvar.wait(cups.lock().unwrap()).unwrap());
                                    // It was heard, and is not needed here.
                                    condvar.notify_one();
                                })
                            });
                        }
                    });
                }
            });
        });
        for _ in 0..ROUNDS {
            *cups.lock().unwrap() += 1;
            condvar.notify_one();
        }
    });
    assert!(!cups.is_poisoned());
}

#[test]
fn who_is_cancelled_in_a_wait_does_not_poison_the_mutex() {
    run(|| {
        let (mutex, condvar) = (Mutex::new(()), Condvar::new());
        assert!(timeout(SOME, || drop(condvar.wait(mutex.lock().unwrap()))).is_err());
        let already = cancel_scope(|scope| {
            scope.cancel();
            drop(condvar.wait(mutex.lock().unwrap()));
        });
        assert!(already.is_err() && mutex.try_lock().is_ok() && !mutex.is_poisoned());
        condvar.notify_one();
    });
}

#[test]
fn who_is_notified_gets_the_mutex_back_though_he_is_cancelled_then() {
    run(|| {
        let (mutex, condvar, got) = (Mutex::new(()), Condvar::new(), Cell::new(false));
        thread::scope(|s| {
            let task = s.spawn(|| {
                let _guard = condvar.wait(mutex.lock().unwrap()).unwrap();
                got.set(true);
            });
            thread::yield_now();
            let guard = mutex.lock().unwrap();
            condvar.notify_one();
            thread::yield_now();
            task.cancel();
            thread::yield_now();
            assert!(!task.is_finished());
            drop(guard);
            task.join().unwrap();
        });
        assert!(got.get());
    });
}

#[test]
fn a_wait_has_its_time_and_takes_the_mutex_back() {
    for inside in [true, false] {
        let wait = || {
            let (mutex, condvar) = (Mutex::new(1), Condvar::new());
            let start = kettle::time::Instant::now();
            let (guard, result) = condvar.wait_timeout(mutex.lock().unwrap(), SOME).unwrap();
            assert!(result.timed_out() && start.elapsed() >= SOME && mutex.try_lock().is_err());
            drop(guard);
            let (guard, result) = condvar.wait_timeout_while(mutex.lock().unwrap(), SOME, |n| *n == 1).unwrap();
            assert!(result.timed_out());
            drop(guard);
            let (_guard, result) = condvar.wait_timeout_while(mutex.lock().unwrap(), SOME, |n| *n == 0).unwrap();
            assert!(!result.timed_out());
        };
        if inside { run(wait) } else { wait() }
    }
}

#[test]
fn a_wait_says_that_the_mutex_is_poisoned() {
    run(|| {
        let (mutex, condvar) = (Mutex::new(()), Condvar::new());
        thread::scope(|s| {
            let task = s.spawn(|| condvar.wait(mutex.lock().unwrap()).is_err());
            thread::yield_now();
            let unwound = catch_unwind(AssertUnwindSafe(|| {
                let _guard = mutex.lock().unwrap();
                condvar.notify_one();
                resume_unwind(Box::new(()));
            }));
            assert!(unwound.is_err() && task.join().unwrap());
        });
    });
}

#[test]
fn notices_from_another_thread_cross_timeouts_without_being_lost() {
    const ROUNDS: u32 = 500;
    let (mutex, condvar) = (Mutex::new(0), Condvar::new());
    std::thread::scope(|s| {
        s.spawn(|| {
            for _ in 0..ROUNDS {
                *mutex.lock().unwrap() += 1;
                condvar.notify_one();
            }
        });
        run(|| {
            let mut taken = 0;
            while taken < ROUNDS {
                let time = Duration::from_nanos(500);
                let (mut cups, _) = condvar.wait_timeout_while(mutex.lock().unwrap(), time, |cups| *cups == 0).unwrap();
                taken += std::mem::take(&mut *cups);
            }
            assert_eq!(taken, ROUNDS);
        });
    });
}

#[test]
fn a_barrier_lets_all_go_when_the_last_has_come_and_one_leads() {
    let barrier = Barrier::new(4);
    let rounds = || (0..100).filter(|_| barrier.wait().is_leader()).count();
    let leaders: usize = std::thread::scope(|s| {
        let plain = s.spawn(rounds);
        let tasks = s.spawn(|| {
            run(|| {
                thread::scope(|s| {
                    let other = s.spawn(rounds);
                    rounds() + other.join().unwrap()
                })
            })
        });
        rounds() + plain.join().unwrap() + tasks.join().unwrap()
    });
    assert_eq!(leaders, 100);
}

#[test]
fn who_is_cancelled_at_a_barrier_has_not_come() {
    run(|| {
        let barrier = Barrier::new(2);
        assert!(timeout(SOME, || barrier.wait()).is_err());
        thread::scope(|s| {
            let other = s.spawn(|| barrier.wait().is_leader());
            thread::yield_now();
            assert!(!other.is_finished());
            assert!(barrier.wait().is_leader() && !other.join().unwrap());
        });
    });
}

#[test]
fn a_function_is_called_once_and_the_others_wait_for_it() {
    run(|| {
        let (once, calls) = (Once::new(), Cell::new(0));
        thread::scope(|s| {
            for _ in 0..10 {
                s.spawn(|| {
                    once.call_once(|| {
                        thread::yield_now();
                        calls.set(calls.get() + 1);
                    });
                    assert_eq!(calls.get(), 1);
                });
            }
            once.wait();
            assert_eq!(calls.get(), 1);
        });
    });
}

#[test]
fn a_once_whose_function_panics_or_is_cancelled_is_poisoned() {
    run(|| {
        let once = Once::new();
        assert!(timeout(SOME, || once.call_once(|| thread::sleep(Duration::MAX))).is_err());
        let refused = catch_unwind(|| once.call_once(|| ())).unwrap_err();
        assert!(refused.downcast_ref::<String>().unwrap().contains("poisoned"));
        assert!(catch_unwind(|| once.wait()).is_err());
        once.call_once_force(|state| assert!(state.is_poisoned()));
        once.wait_force();
        once.call_once(|| unreachable!());
    });
}

#[test]
fn those_that_wait_for_a_function_that_panics_try_themselves() {
    run(|| {
        let (cell, calls) = (OnceLock::new(), Cell::new(0));
        thread::scope(|s| {
            let fails = s.spawn(|| {
                cell.get_or_init(|| {
                    calls.set(calls.get() + 1);
                    thread::yield_now();
                    resume_unwind(Box::new(()))
                });
            });
            let succeeds = s.spawn(|| *cell.get_or_init(|| 7));
            let waits = s.spawn(|| *cell.wait());
            assert!(fails.join().is_err());
            assert_eq!((succeeds.join().unwrap(), waits.join().unwrap(), calls.get()), (7, 7, 1));
        });
    });
}

#[test]
fn who_is_cancelled_while_another_computes_leaves_him_alone() {
    run(|| {
        let cell = OnceLock::new();
        thread::scope(|s| {
            s.spawn(|| {
                cell.get_or_init(|| {
                    (0..100).for_each(|_| thread::yield_now());
                    1
                });
            });
            thread::yield_now();
            let cancelled = cancel_scope(|scope| {
                scope.cancel();
                cell.get_or_init(|| 2);
            });
            assert!(cancelled.is_err());
            assert_eq!((cell.wait(), cell.set(3)), (&1, Err(3)));
        });
    });
}

#[test]
fn loops_and_threads_see_one_value() {
    for _ in 0..50 {
        let (cell, computed) = (OnceLock::new(), std::sync::atomic::AtomicU32::new(0));
        let get = || {
            *cell.get_or_init(|| {
                thread::yield_now();
                computed.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
            })
        };
        std::thread::scope(|s| {
            let plain = s.spawn(get);
            let tasks = s.spawn(|| {
                run(|| {
                    thread::scope(|s| {
                        let other = s.spawn(get);
                        get() + other.join().unwrap()
                    })
                })
            });
            assert_eq!(plain.join().unwrap() + tasks.join().unwrap() + get(), 0);
        });
    }
}

#[test]
fn a_thread_whose_function_calls_its_own_once_panics_instead_of_waiting_for_ever() {
    let once = Once::new();
    let refused = catch_unwind(|| once.call_once(|| once.call_once(|| ()))).unwrap_err();
    assert!(refused.downcast_ref::<&str>().unwrap().contains("this thread runs"));
    let lazy: LazyLock<u32, Box<dyn Fn() -> u32>> = LazyLock::new(Box::new(|| resume_unwind(Box::new(()))));
    assert!(catch_unwind(AssertUnwindSafe(|| *lazy)).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| *lazy)).unwrap_err().is::<String>());
}

#[test]
fn a_lazy_value_is_computed_by_a_function_that_waits() {
    static LAZY: LazyLock<u32> = LazyLock::new(|| {
        thread::sleep(SOME);
        7
    });
    run(|| {
        let tasks = [(); 3].map(|()| thread::spawn(|| *LAZY));
        assert_eq!(tasks.map(|task| task.join().unwrap()), [7; 3]);
    });
    assert_eq!(format!("{LAZY:?}"), "LazyLock(7)");
}

#[test]
fn a_cell_drops_its_value_and_lets_it_borrow() {
    let dropped = Cell::new(0);
    struct Counts<'a>(&'a Cell<u32>);
    impl Drop for Counts<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let cell = OnceLock::new();
    assert!(cell.set(Counts(&dropped)).is_ok() && cell.set(Counts(&dropped)).is_err());
    assert_eq!(dropped.get(), 1);
    drop(cell);
    drop(LazyLock::new(|| Counts(&dropped)));
    assert_eq!(dropped.get(), 2);
}
