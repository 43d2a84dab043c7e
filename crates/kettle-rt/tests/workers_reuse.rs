//! Short functions in a row on one stack, at their worst: what one of them leaves behind is not found by the next one, and what
//! is dropped between them may do all that a task does.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_fiber::{Coroutine, Yielder, coroutine};
use kettle_rt::workers::{self, JoinHandle, Worker, workers};
use kettle_rt::{Cancelled, cancel_scope, checkpoint, is_cancelled, park, scope, sleep, spawn, timeout, yield_now};
use std::cell::RefCell;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

thread_local! {
    /// What a function leaves on its thread.
    static LEFT: RefCell<Vec<Coroutine<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Starts a coroutine, which pauses, and leaves it there.
fn leave(body: impl FnOnce(&mut Yielder<u8>) + 'static) {
    let mut coroutine = coroutine(body);
    assert_eq!(coroutine.next(), Some(1));
    LEFT.with_borrow_mut(|left| left.push(coroutine));
}

#[test]
fn a_cancelled_scope_that_a_coroutine_keeps_open_is_not_the_next_one_s() {
    workers(1)
        .run(|worker| {
            let pause = |n: u32| {
                move || {
                    // Also when it has left a scope of its own, and is in what is around that.
                    let is_left = cancel_scope(|_| is_cancelled());
                    let was_cancelled = is_left != Ok(false) || is_cancelled();
                    match n % 5 {
                        0 => leave(|y| {
                            _ = cancel_scope(|scope| {
                                scope.cancel();
                                y.yield_(1);
                            });
                        }),
                        1 => leave(|y| {
                            _ = timeout(Duration::ZERO, || y.yield_(1));
                        }),
                        2 => leave(|y| {
                            scope(|s| {
                                s.spawn(yield_now);
                                y.yield_(1);
                            });
                        }),
                        // Those that were left are dropped in here.
                        3 => drop(LEFT.take()),
                        _ => _ = checkpoint(),
                    }
                    was_cancelled
                }
            };
            let tasks: Vec<_> = (0..100).map(|n| worker.spawn_anywhere(pause(n))).collect();
            assert!(tasks.into_iter().rev().all(|task| !task.join().unwrap()));
            drop(LEFT.take());
        })
        .unwrap();
}

/// When it is dropped, does this.
struct AtEnd<F: FnMut()>(F);

impl<F: FnMut()> Drop for AtEnd<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn a_result_that_nobody_wants_may_wait_spawn_join_and_cancel_when_it_is_dropped() {
    let ends = AtomicUsize::new(0);
    workers(2)
        .run(|worker| {
            let ends = &ends;
            let tasks: Vec<_> = (0..200)
                .map(|n| {
                    let at_end = move || {
                        match n % 4 {
                            0 => yield_now(),
                            1 => assert_eq!(worker.spawn_anywhere(move || n).join().unwrap(), n),
                            2 => {
                                let parked = worker.spawn_anywhere(park);
                                parked.cancel();
                                assert!(parked.join().unwrap_err().is::<Cancelled>());
                            }
                            _ => {
                                ends.fetch_add(1, Ordering::Relaxed);
                                resume_unwind(Box::new("spilled"));
                            }
                        }
                        ends.fetch_add(1, Ordering::Relaxed);
                    };
                    drop(worker.spawn_anywhere(move || AtEnd(at_end)));
                    worker.spawn_anywhere(move || n)
                })
                .collect();
            for (n, task) in tasks.into_iter().enumerate().rev() {
                assert_eq!(task.join().unwrap(), n);
            }
            while worker.index() == 0 && ends.load(Ordering::Relaxed) < 400 {
                yield_now();
            }
        })
        .unwrap();
    assert_eq!(ends.into_inner(), 400);
}

#[test]
fn what_a_cancelled_one_has_captured_may_spawn_and_join_when_it_is_dropped() {
    let ends = AtomicUsize::new(0);
    workers(1)
        .run(|worker| {
            let ends = &ends;
            let tasks: Vec<_> = (0..100)
                .map(|n| {
                    let at_end = AtEnd(move || {
                        // Who is cancelled can't wait for others, but they begin.
                        drop(worker.spawn_anywhere(move || ends.fetch_add(1, Ordering::Relaxed)));
                        if n % 2 == 0 {
                            resume_unwind(Box::new("spilled"));
                        }
                        worker.spawn_anywhere(|| ()).join().unwrap();
                    });
                    let task = worker.spawn_anywhere(move || drop(at_end));
                    task.cancel();
                    task
                })
                .collect();
            for (n, task) in tasks.into_iter().enumerate().rev() {
                let panic = task.join().unwrap_err();
                assert_eq!(panic.is::<Cancelled>(), n % 2 == 1);
            }
            while ends.load(Ordering::Relaxed) < 100 {
                yield_now();
            }
        })
        .unwrap();
}

#[test]
fn a_flood_of_short_functions_keeps_no_timer_from_going_off() {
    fn again(worker: Worker<'static, 'static>, stop: Arc<AtomicBool>) {
        if !stop.load(Ordering::Relaxed) {
            let next = worker.clone();
            drop(worker.spawn_anywhere(move || again(next, stop)));
        }
    }
    workers(1)
        .run(|_| {
            let stop = Arc::new(AtomicBool::new(false));
            let worker = workers::current().unwrap();
            again(worker, Arc::clone(&stop));
            sleep(Duration::from_millis(5));
            stop.store(true, Ordering::Relaxed);
        })
        .unwrap();
}

#[test]
fn what_borrows_the_worker_and_has_not_begun_is_dropped_before_the_worker() {
    let dropped = AtomicUsize::new(0);
    let run = || {
        workers(2).run(|worker| {
            let dropped = &dropped;
            for n in 0..50 {
                let at_end = AtEnd(move || {
                    // The worker is there, and takes nothing in that would begin.
                    assert!(worker.index() < worker.count());
                    drop(worker.spawn_anywhere(|| ()));
                    drop(worker.spawn_on(n % 2, || ()));
                    dropped.fetch_add(1, Ordering::Relaxed);
                });
                drop(worker.spawn_on(n % 2, move || {
                    park();
                    drop(at_end);
                }));
                let at_end = AtEnd(move || {
                    assert!(worker.index() < worker.count());
                    dropped.fetch_add(1, Ordering::Relaxed);
                });
                // From a thread that is none of them: in the queue of all.
                std::thread::scope(|s| {
                    s.spawn(|| drop(worker.spawn_anywhere(move || drop(at_end))));
                });
            }
            if worker.index() == 1 {
                resume_unwind(Box::new("spilled"));
            }
        })
    };
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"spilled"));
    assert_eq!(dropped.into_inner(), 200);
}

#[test]
fn handles_are_dropped_by_thread_locals_of_a_worker_that_ends() {
    thread_local! {
        static HANDLES: RefCell<Vec<JoinHandle<Arc<()>>>> = const { RefCell::new(Vec::new()) };
    }
    let cup = Arc::new(());
    workers(2)
        .run(|worker| {
            for _ in 0..100 {
                for index in [0, 1] {
                    let cup = Arc::clone(&cup);
                    let task = worker.spawn_on(index, move || cup);
                    HANDLES.with_borrow_mut(|handles| handles.push(task));
                }
            }
            let handles = HANDLES.take();
            while !handles.iter().all(JoinHandle::is_finished) {
                yield_now();
            }
            HANDLES.set(handles);
        })
        .unwrap();
    assert_eq!(Arc::strong_count(&cup), 1);
}

#[test]
fn a_handle_that_many_cancel_is_cancelled_once() {
    workers(2)
        .run(|worker| {
            for n in 0..200 {
                let handle = worker.spawn_on(n % 2, || {
                    let caught = cancel_scope(|_| park());
                    (caught.is_err(), is_cancelled())
                });
                if n % 3 == 0 {
                    yield_now();
                }
                std::thread::scope(|s| {
                    (0..3).for_each(|_| drop(s.spawn(|| handle.cancel())));
                });
                match n % 2 {
                    0 => drop(handle),
                    _ => assert!(handle.join().unwrap_err().is::<Cancelled>()),
                }
            }
        })
        .unwrap();
}

#[test]
fn handles_of_handles_are_dropped_by_the_tasks_that_made_them() {
    fn nest(worker: Worker<'static, 'static>, depth: usize, counted: Arc<()>) -> Box<dyn Send> {
        if depth == 0 {
            return Box::new(counted);
        }
        let next = worker.clone();
        Box::new(worker.spawn_anywhere(move || nest(next, depth - 1, counted)))
    }
    let cup = Arc::new(());
    workers(2)
        .run(|_| {
            let nested = nest(workers::current().unwrap(), 500, Arc::clone(&cup));
            yield_now();
            drop(nested);
        })
        .unwrap();
    assert_eq!(Arc::strong_count(&cup), 1);
}

#[test]
fn results_pass_from_one_to_the_other_in_a_chain_of_joins() {
    let last = Mutex::new(None);
    workers(2)
        .run(|worker| {
            let (send, receive) = mpsc::channel();
            if worker.index() == 0 {
                let mut before = worker.spawn_anywhere(|| 0_usize);
                for _ in 0..1000 {
                    let joined = before;
                    before = worker.spawn_anywhere(move || joined.join().unwrap() + 1);
                }
                send.send(before.join().unwrap()).unwrap();
                *last.lock().unwrap() = receive.recv().ok();
            }
            spawn(|| ()).join().unwrap();
        })
        .unwrap();
    assert_eq!(last.into_inner().unwrap(), Some(1000));
}
