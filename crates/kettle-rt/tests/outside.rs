//! Outside of `run`: a thread that spawns gets an event loop, and is a task of it.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_rt::{
    EventLoop, Reason, cancel_scope, current, fiber_local, park, park_timeout, scope, shield, sleep, spawn, task_group,
    timeout, tree, yield_now,
};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

const FOREVER: Duration = Duration::MAX;

/// On a thread of its own: what it has outside of `run` goes with it.
fn alone<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(f).join().unwrap()
}

#[test]
fn tasks_run_where_the_thread_waits() {
    alone(|| {
        let order = Rc::new(RefCell::new(Vec::new()));
        let task = spawn({
            let order = Rc::clone(&order);
            move || {
                order.borrow_mut().push("task");
                yield_now();
                order.borrow_mut().push("again");
                7
            }
        });
        order.borrow_mut().push("thread");
        yield_now();
        order.borrow_mut().push("meanwhile");
        assert_eq!(task.join().unwrap(), 7);
        assert_eq!(*order.borrow(), ["thread", "task", "meanwhile", "again"]);
    });
}

#[test]
fn a_scope_outside_of_run_borrows_from_the_thread() {
    alone(|| {
        let cups = [1, 2, 3];
        let sum = Cell::new(0);
        scope(|s| {
            for cup in &cups {
                let sum = &sum;
                s.spawn(move || {
                    sleep(Duration::from_nanos(1));
                    sum.set(sum.get() + cup);
                });
            }
        });
        assert_eq!(sum.get(), 6);
    });
}

#[test]
fn deadlines_hold_outside_of_run() {
    alone(|| {
        let late = timeout(Duration::from_millis(1), || sleep(FOREVER));
        assert_eq!(late.unwrap_err().reason(), Reason::Deadline);
        let never = cancel_scope(|scope| {
            scope.cancel();
            park();
        });
        assert_eq!(never.unwrap_err().reason(), Reason::Explicit);
        yield_now();
    });
}

#[test]
fn a_thread_keeps_its_identity_when_it_gets_a_loop() {
    alone(|| {
        let before = current();
        spawn(|| ()).join().unwrap();
        assert_eq!(before.id(), current().id());
        // A handle from before still finds it.
        let task = spawn(move || before.unpark());
        park();
        task.join().unwrap();
    });
}

#[test]
fn other_threads_unpark_a_thread_with_a_loop_and_one_without() {
    for spawns in [false, true] {
        alone(move || {
            let me = current();
            if spawns {
                spawn(|| ()).join().unwrap();
            }
            for _ in 0..1000 {
                let me = me.clone();
                let other = thread::spawn(move || me.unpark());
                park();
                other.join().unwrap();
                // No token is left.
                park_timeout(Duration::ZERO);
            }
        });
    }
}

#[test]
fn run_works_on_a_thread_that_has_a_loop_and_not_in_its_tasks() {
    alone(|| {
        let mut event_loop = EventLoop::new().unwrap();
        let waits = spawn(park);
        yield_now();
        assert_eq!(event_loop.run(|| spawn(|| 7).join().unwrap()), 7);
        let inside = spawn(|| EventLoop::new().unwrap().run(|| ()));
        assert!(inside.join().is_err());
        // It is the thread that waits for its own tasks, not the loop that runs there.
        let refused = event_loop.run(|| {
            let (waits, mailed) = (&waits, waits.thread());
            mailed.unpark();
            catch_unwind(AssertUnwindSafe(|| assert!(!waits.is_finished()))).is_ok()
        });
        assert!(refused);
        waits.join().unwrap();
    });
}

#[test]
fn a_task_of_the_thread_can_be_cancelled_from_a_loop_that_runs_there() {
    alone(|| {
        let waits = spawn(park);
        yield_now();
        EventLoop::new().unwrap().run(|| waits.cancel());
        assert!(waits.join().unwrap_err().is::<kettle_rt::Cancelled>());
    });
}

#[test]
fn what_a_thread_leaves_behind_is_not_unwound() {
    struct Never;
    impl Drop for Never {
        fn drop(&mut self) {
            std::process::abort();
        }
    }
    alone(|| {
        drop(spawn(|| {
            let _never = Never;
            park();
        }));
        yield_now();
    });
}

#[test]
fn a_thread_that_leaves_nothing_behind_has_no_descriptor_left() {
    alone(|| spawn(|| ()).join().unwrap());
    // Others of this process open some meanwhile, and close them: never more by a thousand.
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    for _ in 0..1000 {
        alone(|| spawn(|| ()).join().unwrap());
        alone(|| drop(spawn(park)));
    }
    assert!(open() < before + 500);
}

#[test]
fn a_group_outside_of_run_ends_as_one_inside() {
    alone(|| {
        let failed = task_group(|group| {
            group.spawn(|| Err::<(), _>("spilled"));
            group.spawn(|| {
                sleep(FOREVER);
                Ok(())
            });
            sleep(FOREVER);
            Ok(())
        });
        assert_eq!(failed.unwrap_err().first(), Some(&"spilled"));
    });
}

#[test]
fn tasks_of_a_group_stay_on_their_loop_when_one_runs_inside() {
    alone(|| {
        let ran = Cell::new(0);
        let all = task_group(|group| {
            group.limit(1).unwrap();
            let held = [(), ()].map(|()| {
                group.spawn(|| {
                    yield_now();
                    ran.set(ran.get() + 1);
                    Ok::<_, String>(())
                })
            });
            EventLoop::new().unwrap().run(|| {
                group.limit(3).unwrap();
                let inside = group.spawn(|| {
                    sleep(FOREVER);
                    Ok(())
                });
                yield_now();
                assert!(held.iter().all(|task| !task.is_finished()));
                assert_eq!(ran.get(), 0);
                inside.cancel();
                assert!(inside.join().is_err());
            });
            Ok(held.map(|task| task.join()))
        });
        assert_eq!(all.unwrap(), [Ok(()), Ok(())]);
        assert_eq!(ran.get(), 2);
    });
}

#[test]
fn a_region_of_the_thread_is_cancelled_on_each_of_its_loops() {
    alone(|| {
        let cancelled = cancel_scope(|tea| {
            scope(|s| {
                let outside = s.spawn(|| sleep(FOREVER));
                yield_now();
                EventLoop::new().unwrap().run(|| {
                    let inside = s.spawn(|| sleep(FOREVER));
                    yield_now();
                    tea.cancel();
                    assert!(shield(|| inside.join()).is_err());
                    assert!(!outside.is_finished());
                });
            });
        });
        assert_eq!(cancelled.unwrap_err().reason(), Reason::Explicit);
    });
}

#[test]
fn a_fiber_local_of_a_thread_is_the_same_when_it_gets_a_loop() {
    fiber_local!(static CUPS: Cell<u32> = const { Cell::new(0) });
    alone(|| {
        CUPS.set(3);
        let other = spawn(|| CUPS.get());
        assert_eq!((CUPS.get(), other.join().unwrap()), (3, 0));
    });
}

#[test]
fn a_thread_is_in_the_tree_as_what_it_is() {
    alone(|| {
        scope(|s| {
            let task = s.spawn(|| sleep(FOREVER));
            yield_now();
            let tree = tree();
            assert_eq!(tree.tasks().len(), 2);
            assert_eq!(tree.tasks()[0].id(), current().id());
            assert_eq!(tree.get(task.thread().id()).unwrap().parent(), Some(current().id()));
            assert_eq!(tree.tasks()[0].spawned_at().file(), file!());
            task.cancel();
        });
    });
}

#[test]
fn a_task_of_the_thread_that_was_named_inside_of_run_is_unparked_where_it_belongs() {
    alone(|| {
        let parks = spawn(|| {
            park();
            "unparked"
        });
        let mut event_loop = EventLoop::new().unwrap();
        let named = event_loop.run(|| parks.thread().clone());
        // It parks.
        yield_now();
        // It has to wait for its own loop's turn.
        event_loop.run(|| {
            named.unpark();
            yield_now();
            assert!(!parks.is_finished());
        });
        assert_eq!(parks.join().unwrap(), "unparked");
    });
}

#[test]
fn a_tree_shows_the_tasks_of_its_loop_whose_parents_are_of_another() {
    alone(|| {
        let thread = current().id();
        scope(|s| {
            EventLoop::new().unwrap().run(|| {
                let task = s.spawn(park);
                yield_now();
                let tree = tree();
                assert_eq!(tree.get(task.thread().id()).unwrap().parent(), Some(thread));
                task.thread().unpark();
            });
        });
    });
}
