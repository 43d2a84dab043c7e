//! Outside of `run`: a thread that spawns gets an event loop, and is a task of it.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_rt::{
    EventLoop, Reason, cancel_scope, current, park, park_timeout, scope, sleep, spawn, timeout, yield_now,
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
