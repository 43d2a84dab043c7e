//! Ends that safe code has no business to reach in any other way than these: each was once a way to read freed memory, to
//! hang, or to leak.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

#[path = "../../../tests/again.rs"]
mod again;

use again::again;
use kettle_fiber::{Yielder, coroutine};
use kettle_rt::{Builder, EventLoop, current, park, park_timeout, scope, sleep, spawn, yield_now};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const FOREVER: Duration = Duration::MAX;

/// More than any machine has.
const TOO_LARGE: usize = 1 << 50;

fn run<T>(f: impl FnOnce() -> T) -> T {
    EventLoop::new().unwrap().run(f)
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A payload whose destructor panics, with one whose destructor panics.
struct Bomb(u32);

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 > 0 {
            panic_any(Self(self.0 - 1));
        }
    }
}

#[test]
fn a_scope_that_cannot_wait_for_its_tasks_ends_the_process_even_if_panics_are_caught() {
    let output =
        again("a_scope_that_cannot_wait_for_its_tasks_ends_the_process_even_if_panics_are_caught", &[], || {
            run(|| {
                let mut coroutine = coroutine(|y: &mut Yielder<u8>| {
                    _ = catch_unwind(AssertUnwindSafe(|| {
                        scope(|s| {
                            s.spawn(park);
                            y.yield_(1);
                        });
                    }));
                    unreachable!("the scope's task runs");
                });
                assert_eq!(coroutine.next(), Some(1));
                let unwinds = spawn(move || {
                    let _resumes = OnDrop(|| _ = coroutine.next());
                    panic!("first");
                });
                drop(unwinds.join());
            });
        });
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{said}");
    assert!(said.contains("end a scope whose tasks run, where nothing can wait for them"), "{said}");
}

#[test]
fn a_function_that_is_dropped_by_the_loop_can_end_no_scope_there() {
    let output = again("a_function_that_is_dropped_by_the_loop_can_end_no_scope_there", &[], || {
        run(|| {
            let mut coroutine = coroutine(|y: &mut Yielder<u8>| {
                scope(|s| {
                    s.spawn(park);
                    y.yield_(1);
                });
            });
            assert_eq!(coroutine.next(), Some(1));
            let task = Builder::new().stack_size(TOO_LARGE).spawn(move || drop(coroutine)).unwrap();
            drop(task.join());
        });
    });
    assert_eq!(output.status.signal(), Some(libc::SIGABRT));
}

#[test]
fn payloads_that_panic_when_they_are_dropped_stay_in_their_task() {
    let untouched = String::from("borrowed by the root");
    run(|| {
        let bomb = Bomb(3);
        drop(Builder::new().stack_size(TOO_LARGE).spawn(move || drop(bomb)).unwrap());
        drop(spawn(|| panic_any(Bomb(3))));
        drop(spawn(|| Bomb(3)));
        for _ in 0..3 {
            yield_now();
        }
        assert_eq!(untouched.len(), 20);
    });
}

#[test]
fn a_task_that_gets_no_stack_says_so_although_nobody_joins_it() {
    let output = again("a_task_that_gets_no_stack_says_so_although_nobody_joins_it", &[], || {
        run(|| {
            drop(Builder::new().stack_size(TOO_LARGE).spawn(|| ()).unwrap());
            yield_now();
        });
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("stack"), "{said}");
}

#[test]
fn what_is_in_the_mail_when_a_loop_ends_keeps_no_descriptor() {
    let output = again("what_is_in_the_mail_when_a_loop_ends_keeps_no_descriptor", &[], || {
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        run(|| ());
        let before = open();
        let handles: Vec<_> = (0..100)
            .map(|_| {
                run(|| {
                    let task = spawn(park);
                    yield_now();
                    let handle = task.thread().clone();
                    thread::scope(|s| s.spawn(|| handle.unpark()).join().unwrap());
                    handle
                })
            })
            .collect();
        assert_eq!(open(), before);
        handles.iter().for_each(|handle| handle.unpark());
    });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn no_unpark_is_lost_that_comes_while_a_token_is_taken() {
    const ROUNDS: u64 = 200_000;
    let (data, turn) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    run(|| {
        let me = current();
        let other = thread::spawn({
            let (data, turn, me) = (Arc::clone(&data), Arc::clone(&turn), me.clone());
            move || {
                for n in 1..=ROUNDS {
                    while turn.load(Ordering::Acquire) < n {
                        std::hint::spin_loop();
                    }
                    data.store(n, Ordering::Relaxed);
                    me.unpark();
                }
            }
        });
        for n in 1..=ROUNDS {
            // The token is there when the other thread makes it available.
            me.unpark();
            turn.store(n, Ordering::Release);
            while data.load(Ordering::Relaxed) < n {
                park();
            }
        }
        other.join().unwrap();
    });
}

#[test]
fn parking_in_a_destructor_that_runs_by_unwinding_hears_an_unpark() {
    run(|| {
        let unwinds = spawn(|| {
            let _parks = OnDrop(|| {
                let me = current();
                let unparked = Arc::new(AtomicU64::new(0));
                let other = thread::spawn({
                    let unparked = Arc::clone(&unparked);
                    move || {
                        unparked.store(1, Ordering::Relaxed);
                        me.unpark();
                    }
                });
                while unparked.load(Ordering::Relaxed) == 0 {
                    park();
                    park_timeout(FOREVER);
                }
                other.join().unwrap();
            });
            panic!("unwinds");
        });
        assert!(unwinds.join().is_err());
    });
}

#[test]
fn tasks_of_scopes_are_unwound_before_those_that_would_have_to_wait_for_them() {
    let output = again("tasks_of_scopes_are_unwound_before_those_that_would_have_to_wait_for_them", &[], || {
        run(|| {
            for large in [false, true] {
                let ballast = [1_u8; 400];
                let holds = move || {
                    let mut coroutine = coroutine(|y: &mut Yielder<u8>| {
                        scope(|s| {
                            s.spawn(|| sleep(FOREVER));
                            y.yield_(1);
                        });
                    });
                    assert_eq!(coroutine.next(), Some(1));
                    sleep(FOREVER);
                };
                if large {
                    spawn(move || {
                        holds();
                        std::hint::black_box(ballast);
                    });
                } else {
                    spawn(holds);
                }
            }
            yield_now();
            yield_now();
        });
    });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_process_that_exits_in_a_task_resumes_no_other() {
    struct Waits;
    impl Drop for Waits {
        fn drop(&mut self) {
            yield_now();
        }
    }
    thread_local! {
        static WAITS: Waits = const { Waits };
        static CUPS: Vec<u64> = vec![42; 4];
    }
    let output = again("a_process_that_exits_in_a_task_resumes_no_other", &[], || {
        WAITS.with(|_| ());
        run(|| {
            spawn(|| {
                CUPS.with(|cups| {
                    yield_now();
                    // By now it has been destroyed.
                    unreachable!("{cups:?}");
                });
            });
            yield_now();
            std::process::exit(0);
        });
    });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("unreachable"));
}
