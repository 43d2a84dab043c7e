//! Simulations: time and order that follow from a seed, and what is said when one can't go on.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

#[path = "../../../tests/again.rs"]
mod again;

use again::again;
use kettle_rt::testing::{Note, Simulation, simulate};
use kettle_rt::{
    Builder, Cancelled, EventLoop, GroupError, Instant, Waiter, cancel_scope, choose, now, park, pass, scope, shield,
    sleep, sleep_until, spawn, task_group, timeout, yield_now,
};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The order in which five tasks get to run, which each let others run twice.
fn order(seed: u64) -> Vec<u32> {
    simulate(seed, || {
        let order = RefCell::new(Vec::new());
        scope(|s| {
            for task in 0..5 {
                let order = &order;
                s.spawn(move || {
                    for _ in 0..2 {
                        order.borrow_mut().push(task);
                        yield_now();
                    }
                });
            }
        });
        order.take()
    })
}

#[test]
fn time_passes_only_when_all_tasks_wait() {
    simulate(1, || {
        let start = Instant::now();
        let (one, two) = (spawn(|| sleep(DAY)), spawn(|| sleep(2 * DAY)));
        for _ in 0..100 {
            yield_now();
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        one.join().unwrap();
        assert_eq!(start.elapsed(), DAY);
        two.join().unwrap();
        assert_eq!(start.elapsed(), 2 * DAY);
        assert_eq!(now(), (start + 2 * DAY).into());
    });
}

#[test]
fn deadlines_come_at_their_time() {
    simulate(1, || {
        let start = Instant::now();
        assert!(timeout(DAY, || sleep(2 * DAY)).is_err());
        assert_eq!(start.elapsed(), DAY);
        sleep_until(start + 3 * DAY);
        assert_eq!(start.elapsed(), 3 * DAY);
        assert!(timeout(DAY, || spawn(park).join()).is_err());
    });
}

#[test]
fn the_same_seed_gives_the_same_order_and_others_give_others() {
    let orders: HashSet<_> = (0..50).map(order).collect();
    assert!(orders.len() > 10, "{} orders in 50 seeds", orders.len());
    for seed in 0..50 {
        assert_eq!(order(seed), order(seed));
    }
    assert!(orders.contains(&[0, 1, 2, 3, 4, 0, 1, 2, 3, 4][..]), "first in, first out is one of them");
}

#[test]
fn the_same_seed_writes_the_same_trace_byte_for_byte() {
    let run = |seed| {
        let body = || {
            let tasks: Vec<_> =
                (0..20).map(|n| spawn(move || sleep(Duration::from_millis(choose(5) as u64 + n / 4)))).collect();
            tasks.into_iter().for_each(|task| task.join().unwrap());
        };
        Simulation::new(seed).recorded().run(body).unwrap().trace
    };
    for seed in 0..10 {
        assert_eq!(run(seed).as_bytes(), run(seed).as_bytes());
        assert_eq!(run(seed).hash(), run(seed).hash());
    }
    assert_ne!(run(0).hash(), run(1).hash());
}

#[test]
fn the_hash_is_the_same_whether_the_records_are_kept_or_not() {
    let body = || spawn(|| sleep(DAY)).join().unwrap();
    let kept = Simulation::new(3).recorded().run(body).unwrap().trace;
    let dropped = Simulation::new(3).run(body).unwrap().trace;
    assert_eq!((kept.hash(), kept.len(), kept.time()), (dropped.hash(), dropped.len(), dropped.time()));
    assert!(dropped.as_bytes().is_empty());
    assert_eq!(kept.notes().count() as u64, kept.len());
    assert_eq!(kept.notes().next(), Some((Duration::ZERO, Note::Spawned { task: 0, by: 0 })));
    assert!(kept.to_string().contains("task 1 ends"));
}

#[test]
fn timers_of_one_moment_come_in_any_order() {
    let order = |seed| {
        simulate(seed, || {
            let (order, at) = (RefCell::new(Vec::new()), Instant::now() + DAY);
            scope(|s| {
                for task in 0..4 {
                    let order = &order;
                    s.spawn(move || {
                        sleep_until(at);
                        order.borrow_mut().push(task);
                    });
                }
            });
            order.take()
        })
    };
    let orders: HashSet<_> = (0..200).map(order).collect();
    assert!(orders.len() > 12, "{} of 24", orders.len());
}

#[test]
fn what_is_chosen_follows_from_the_seed() {
    let chosen = |seed| simulate(seed, || (0..20).map(|_| choose(10)).collect::<Vec<_>>());
    assert_eq!(chosen(1), chosen(1));
    assert_ne!(chosen(1), chosen(2));
}

#[test]
fn a_task_pauses_at_a_checkpoint_where_it_need_not_wait() {
    let is_interrupted = |seed| {
        simulate(seed, || {
            let other_ran = Rc::new(Cell::new(false));
            spawn({
                let other_ran = Rc::clone(&other_ran);
                move || other_ran.set(true)
            });
            pass();
            other_ran.get()
        })
    };
    let interrupted = (0..100).filter(|&seed| is_interrupted(seed)).count();
    assert!((5..95).contains(&interrupted), "{interrupted} of 100");
}

#[test]
fn a_deadlock_tells_each_task_and_where_it_waits() {
    let failure = Simulation::new(1)
        .run(|| {
            let parked = Builder::new().name("kettle".into()).spawn(park).unwrap();
            parked.join().unwrap();
        })
        .unwrap_err();
    assert!(failure.is_deadlock() && !failure.is_panic() && !failure.is_livelock() && !failure.is_nested());
    let said = failure.to_string();
    assert!(said.contains("task 0 waits for the end of task 1 `kettle`"), "{said}");
    assert!(said.contains("task 1 `kettle` is parked"), "{said}");
    assert!(said.ends_with("again with KETTLE_SEED=1"), "{said}");
}

#[test]
fn a_scope_whose_tasks_wait_for_ever_is_a_deadlock() {
    let failure = Simulation::new(1).run(|| scope(|s| drop(s.spawn(park)))).unwrap_err();
    assert!(failure.to_string().contains("task 0 waits for the tasks of its scope"), "{failure}");
}

#[test]
fn who_waits_for_what_never_comes_is_deadlocked() {
    let failure = Simulation::new(1).run(|| spawn(|| sleep(Duration::MAX)).join().unwrap()).unwrap_err();
    assert!(failure.to_string().contains("task 1 sleeps for more than a lifetime"), "{failure}");
    simulate(1, || sleep(99 * 365 * DAY));
}

#[test]
fn tasks_that_poll_are_told_so() {
    let failure = Simulation::new(1)
        .run(|| {
            let start = Instant::now();
            while start.elapsed() < DAY {
                yield_now();
            }
        })
        .unwrap_err();
    assert!(failure.is_livelock() && !failure.is_deadlock());
    assert!(failure.to_string().contains("task 0 is ready to run"), "{failure}");
}

#[test]
fn a_task_that_sleeps_while_others_poll_is_said_to_sleep_and_no_more() {
    let failure = Simulation::new(1)
        .run(|| {
            drop(spawn(|| sleep(DAY)));
            loop {
                yield_now();
            }
        })
        .unwrap_err();
    let said = failure.to_string();
    assert!(failure.is_livelock() && said.contains("task 1 sleeps, at ") && !said.contains("lifetime"), "{said}");
}

#[test]
fn a_task_that_is_held_back_by_a_limit_is_said_to_wait_for_its_turn() {
    let failure = Simulation::new(1)
        .run(|| {
            let group: Result<(), GroupError<()>> = task_group(|group| {
                group.limit(1).unwrap();
                group.spawn(|| {
                    park();
                    Ok(())
                });
                group.spawn(|| Ok(()));
                Ok(())
            });
            group.unwrap();
        })
        .unwrap_err();
    let said = failure.to_string();
    assert!(failure.is_deadlock() && said.contains("task 2 waits for its turn"), "{said}");
}

#[test]
fn a_destructor_that_waits_in_vain_is_told_with_what_the_others_do() {
    struct Waits;
    impl Drop for Waits {
        fn drop(&mut self) {
            Waiter::new().wait(None);
        }
    }
    let output = again("a_destructor_that_waits_in_vain_is_told_with_what_the_others_do", &[], || {
        simulate(1, || {
            drop(spawn(|| sleep(DAY)));
            yield_now();
            drop(spawn(|| ()));
            let _waits = Waits;
            panic!("no water");
        });
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("no water"), "{said}");
    assert!(said.contains("task 0 waits for a notice, at ") && said.contains("task 1 sleeps, at "), "{said}");
    assert!(said.contains("task 2 is ready to run") && said.contains("no other task runs meanwhile"), "{said}");
    assert!(!said.contains("deadlock"), "{said}");
}

#[test]
fn a_task_that_catches_its_cancellation_on_and_on_ends_the_process() {
    let output = again("a_task_that_catches_its_cancellation_on_and_on_ends_the_process", &[], || {
        // SAFETY: it sets an alarm, which nobody else uses here: if this hangs, it ends.
        unsafe { libc::alarm(120) };
        simulate(1, || {
            spawn(|| {
                loop {
                    _ = catch_unwind(park);
                }
            });
            drop(spawn(|| sleep(DAY)));
            yield_now();
        });
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{said}");
    assert!(said.contains("it is cancelled and catches that, on and on") && said.contains("task 1 runs"), "{said}");
    assert!(!said.contains("deadlock"), "{said}");
}

#[test]
fn a_loop_that_catches_panics_and_lets_a_cancellation_pass_ends() {
    simulate(1, || {
        let serves = spawn(|| {
            let mut panics = 0;
            loop {
                let caught = catch_unwind(|| {
                    sleep(DAY);
                    std::panic::resume_unwind(Box::new("spilled"))
                });
                if let Err::<(), _>(payload) = caught {
                    if payload.is::<Cancelled>() {
                        std::panic::resume_unwind(payload);
                    }
                    panics += 1;
                }
                assert!(panics < 3);
            }
        });
        sleep(DAY + DAY / 2);
        serves.cancel();
        assert!(serves.join().unwrap_err().is::<Cancelled>());
    });
}

#[test]
fn a_deadlock_unwinds_its_tasks() {
    let dropped = Rc::new(Cell::new(0));
    struct Counts(Rc<Cell<u32>>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let counts = [0; 2].map(|_| Counts(Rc::clone(&dropped)));
    let failed = Simulation::new(1).run(|| {
        let [mine, other] = counts;
        spawn(move || {
            let _other = other;
            park();
        });
        let _mine = mine;
        cancel_scope(|_| shield(|| timeout(DAY, yield_now))).unwrap().unwrap();
        park();
    });
    assert!(failed.unwrap_err().is_deadlock());
    assert_eq!(dropped.get(), 2);
}

#[test]
fn simulate_panics_with_a_deadlock() {
    let panic = catch_unwind(|| simulate(1, park)).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("deadlock"));
}

#[test]
fn a_panic_of_the_function_passes() {
    let panic = catch_unwind(|| simulate(1, || std::panic::resume_unwind(Box::new(7)))).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&7));
    let failure = Simulation::new(1).run(|| panic!("no water")).unwrap_err();
    assert!(failure.is_panic());
    assert!(failure.to_string().contains("no water"));
    assert!(failure.into_panic().is_some());
}

#[test]
fn a_panic_that_nobody_joins_is_a_failure() {
    let failure = Simulation::new(1)
        .run(|| {
            drop(Builder::new().name("kettle".into()).spawn(|| std::panic::resume_unwind(Box::new(()))).unwrap());
            sleep(DAY);
        })
        .unwrap_err();
    assert!(failure.is_panic());
    assert!(failure.to_string().contains("`kettle` panicked, and nobody joins it"), "{failure}");
    let heard = Simulation::new(1).run(|| spawn(|| std::panic::resume_unwind(Box::new(()))).join().is_err());
    assert!(heard.unwrap().value);
}

#[test]
fn simulate_inside_of_run_is_an_error_that_says_so() {
    EventLoop::new().unwrap().run(|| {
        let failure = Simulation::new(1).run(|| ()).unwrap_err();
        assert!(failure.is_nested());
        assert_eq!(
            failure.to_string(),
            "simulate inside of an event loop that runs on this thread: call it outside of `run`"
        );
        let panic = catch_unwind(AssertUnwindSafe(|| simulate(1, || ()))).unwrap_err();
        assert!(panic.downcast_ref::<String>().unwrap().contains("outside of `run`"));
    });
    simulate(1, || assert!(Simulation::new(1).run(|| ()).unwrap_err().is_nested()));
}

#[test]
fn a_destructor_of_a_task_that_unwinds_does_not_wait_in_real_time() {
    struct Sleeps;
    impl Drop for Sleeps {
        fn drop(&mut self) {
            sleep(DAY);
            kettle_rt::park_timeout(DAY);
        }
    }
    simulate(1, || {
        let task = spawn(|| {
            let _sleeps = Sleeps;
            sleep(Duration::MAX);
        });
        sleep(DAY);
        task.cancel();
        assert!(task.join().is_err());
    });
}

#[test]
fn tasks_that_are_left_are_cancelled() {
    let left = simulate(1, || spawn(|| sleep(DAY)));
    assert!(left.join().unwrap_err().is::<Cancelled>());
}

#[test]
fn a_simulation_is_over_before_the_next_one() {
    for seed in 0..3 {
        assert_eq!(simulate(seed, || Instant::now().elapsed()), Duration::ZERO);
    }
    EventLoop::new().unwrap().run(|| spawn(yield_now).join().unwrap());
}

#[test]
fn a_task_that_can_not_be_ended_ends_the_process_and_is_named() {
    let output = again("a_task_that_can_not_be_ended_ends_the_process_and_is_named", &[], || {
        simulate(1, || {
            spawn(|| shield(park));
            yield_now();
            yield_now();
        });
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("tasks that are to end go on waiting") && said.contains("task 1 is parked"), "{said}");
}

#[test]
fn a_task_that_can_not_be_ended_is_waited_for_if_another_thread_wakes_it() {
    simulate(1, || {
        let me = spawn(|| shield(park)).thread().clone();
        yield_now();
        std::thread::spawn(move || {
            std::thread::yield_now();
            me.unpark();
        });
    });
}

#[test]
fn what_another_thread_does_is_noted_and_does_not_wake_who_never_looks() {
    let trace = Simulation::new(1)
        .recorded()
        .run(|| {
            let me = kettle_rt::current();
            std::thread::spawn(move || me.unpark()).join().unwrap();
            park();
        })
        .unwrap()
        .trace;
    // The token was there before it was asked for.
    assert!(trace.notes().all(|(_, note)| note != Note::Foreign));
}

#[test]
fn a_thread_with_tasks_of_its_own_simulates_as_it_runs() {
    std::thread::spawn(|| {
        let own = spawn(yield_now);
        let start = std::time::Instant::now();
        let slept = simulate(1, || {
            let start = now();
            spawn(|| sleep(DAY)).join().unwrap();
            now() - start
        });
        assert_eq!(slept, DAY);
        assert!(!own.is_finished(), "its own tasks stand still meanwhile");
        own.join().unwrap();
        assert!(start.elapsed() < DAY);
        // In a task of it there is no simulation.
        assert!(spawn(|| Simulation::new(1).run(|| ()).unwrap_err().is_nested()).join().unwrap());
    })
    .join()
    .unwrap();
}
