//! Late in a thread's end: in the destructor of a thread-local that goes after all of this crate's.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

#[path = "../../../tests/ending.rs"]
mod ending;

use ending::late_after;
use kettle_rt::future::wait;
use kettle_rt::{Builder, EventLoop, Thread, callback, current, park, park_timeout, scope, sleep, spawn, yield_now};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How far a thread has come to know this crate before it ends.
const LIVES: [fn(); 4] = [
    || (),
    || drop(current()),
    || drop(spawn(|| ()).join()),
    || {
        drop(current());
        spawn(|| ()).join().unwrap();
        EventLoop::new().unwrap().run(|| spawn(|| ()).join()).unwrap();
    },
];

/// The same of each kind of life.
fn late(late: fn()) {
    LIVES.into_iter().for_each(|life| late_after(life, || (), move |()| late()));
}

/// Has another thread set a flag, and then unpark this one.
fn unpark_from_elsewhere(thread: Thread) -> impl Fn() -> bool {
    let flag = Arc::new(AtomicBool::new(false));
    let sets = Arc::clone(&flag);
    thread::spawn(move || {
        sets.store(true, Ordering::Relaxed);
        thread.unpark();
    });
    move || flag.load(Ordering::Relaxed)
}

#[test]
fn a_token_that_was_given_late_is_there() {
    late(|| {
        current().unpark();
        park();
    });
}

#[test]
fn a_token_that_was_given_early_is_there_late() {
    for life in LIVES {
        late_after(life, || current().unpark(), |()| park());
    }
}

#[test]
fn a_handle_from_before_unparks_late() {
    for life in LIVES {
        late_after(life, current, |me| {
            assert_eq!(me.id(), current().id());
            let is_set = unpark_from_elsewhere(me);
            while !is_set() {
                park();
            }
        });
    }
}

#[test]
fn a_handle_from_late_unparks_from_elsewhere() {
    late(|| {
        let is_set = unpark_from_elsewhere(current());
        while !is_set() {
            park_timeout(Duration::MAX);
        }
    });
}

#[test]
fn one_thread_s_end_unparks_tasks_of_others() {
    for life in LIVES {
        EventLoop::new().unwrap().run(|| {
            let me = current();
            let flag = Arc::new(AtomicBool::new(false));
            let sets = Arc::clone(&flag);
            let ends = thread::spawn(move || {
                late_after(
                    life,
                    || (),
                    move |()| {
                        sets.store(true, Ordering::Relaxed);
                        me.unpark();
                    },
                );
            });
            while !flag.load(Ordering::Relaxed) {
                park();
            }
            ends.join().unwrap();
        });
    }
}

#[test]
fn what_waits_as_with_std_does_so_late() {
    late(|| {
        sleep(Duration::from_nanos(1));
        yield_now();
        park_timeout(Duration::from_nanos(1));
        assert_eq!(wait(async { 7 }), 7);
        assert_eq!(callback(|done| thread::spawn(move || done.call(7))), Ok(7));
        let woken = kettle_rt::Waiter::new().wait(Some(kettle_rt::now()));
        assert_eq!(woken, kettle_rt::Woken::TimedOut);
    });
}

#[test]
fn a_loop_runs_late() {
    late(|| {
        let mut event_loop = EventLoop::new().unwrap();
        let sum = event_loop.run(|| {
            let tasks: Vec<_> = (0..3).map(|n| spawn(move || (yield_now(), n).1)).collect();
            sleep(Duration::from_nanos(1));
            scope(|s| s.spawn(current).join()).unwrap().unpark();
            tasks.into_iter().map(|task| task.join().unwrap()).sum::<i32>()
        });
        assert_eq!(sum, 3);
    });
}

#[test]
fn who_spawns_when_the_thread_s_own_loop_has_gone_is_told_so() {
    for life in [LIVES[2], LIVES[3]] {
        late_after(
            life,
            || (),
            |()| {
                let refused = Builder::new().spawn(|| ()).unwrap_err().to_string();
                assert_eq!(refused, "the thread is about to end, and its event loop has gone");
                assert!(catch_unwind(|| scope(|_| ())).is_err());
            },
        );
    }
    // A thread that has none yet gets one, also then.
    late_after(LIVES[0], || (), |()| assert_eq!(spawn(|| 7).join().unwrap(), 7));
}

#[test]
fn a_handle_outlives_the_thread_s_own_loop() {
    late_after(
        LIVES[0],
        || {
            let ended = spawn(|| "tea".to_owned());
            yield_now();
            (ended, spawn(park))
        },
        |(ended, left)| {
            assert_eq!(ended.join().unwrap(), "tea");
            left.cancel();
            left.thread().unpark();
            assert!(!left.is_finished());
            assert!(catch_unwind(AssertUnwindSafe(|| left.join())).is_err());
        },
    );
}
