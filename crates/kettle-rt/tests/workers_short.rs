//! Many short functions on one worker: nothing tells that one has run where another one did. And the memory that they lie in,
//! which handles may keep. (They are joined from the last one on: who is told of a result has the next turn.)
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_rt::workers::{self, JoinHandle, workers};
use kettle_rt::{
    Cancelled, cancel_scope, checkpoint, fiber_local, is_cancelled, park, spawn, timeout, tree, yield_now,
};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// Counts how often it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Panics when it is dropped, without the hook's message.
struct Spills;

impl Drop for Spills {
    fn drop(&mut self) {
        resume_unwind(Box::new("spilled"));
    }
}

#[test]
fn each_has_a_number_of_its_own() {
    workers(1)
        .run(|worker| {
            let tasks: Vec<_> = (0..300).map(|_| worker.spawn_anywhere(|| kettle_rt::current().id())).collect();
            let ids: HashSet<_> = tasks.into_iter().rev().map(|task| task.join().unwrap()).collect();
            assert_eq!(ids.len(), 300);
        })
        .unwrap();
}

#[test]
fn each_has_values_of_its_own() {
    fiber_local!(static CUPS: Cell<u32> = const { Cell::new(0) });
    workers(1)
        .run(|worker| {
            // Every other one looks at it.
            let fill = |n: u32| move || if n.is_multiple_of(2) { CUPS.replace(n + 1) } else { 0 };
            let tasks: Vec<_> = (0..300).map(|n| worker.spawn_anywhere(fill(n))).collect();
            assert!(tasks.into_iter().rev().all(|task| task.join().unwrap() == 0));
        })
        .unwrap();
}

#[test]
fn each_says_where_it_was_spawned() {
    workers(1)
        .run(|worker| {
            let look = || {
                let running = |info: &&kettle_rt::TaskInfo| info.state() == kettle_rt::TaskState::Running;
                tree().tasks().iter().find(running).map(|info| info.spawned_at().line())
            };
            let lines = [worker.spawn_anywhere(look), {
                worker.spawn_anywhere(look) // The next line.
            }];
            let [first, second] = lines;
            let second = second.join().unwrap().unwrap();
            let first = first.join().unwrap().unwrap();
            assert_eq!(first + 1, second);
        })
        .unwrap();
}

#[test]
fn one_that_has_caught_its_cancellation_leaves_the_next_one_alone() {
    workers(1)
        .run(|worker| {
            let (send, receive) = mpsc::channel::<JoinHandle<bool>>();
            let first = worker.spawn_anywhere(move || {
                receive.recv().unwrap().cancel();
                is_cancelled()
            });
            // The same one: it cancels itself.
            let (send_own, receive_own) = mpsc::channel::<JoinHandle<()>>();
            let was_cancelled = Arc::new(AtomicBool::new(false));
            let there = Arc::clone(&was_cancelled);
            let own = worker.spawn_anywhere(move || {
                receive_own.recv().unwrap().cancel();
                there.store(is_cancelled(), Ordering::Relaxed);
            });
            send_own.send(own).unwrap();
            let next = worker.spawn_anywhere(|| {
                checkpoint();
                is_cancelled()
            });
            // It has not begun, so it does not begin.
            send.send(worker.spawn_anywhere(|| true)).unwrap();
            let last = worker.spawn_anywhere(is_cancelled);
            assert!([last, next, first].into_iter().all(|task| !task.join().unwrap()));
            assert!(was_cancelled.load(Ordering::Relaxed));
        })
        .unwrap();
}

#[test]
fn one_that_is_cancelled_before_it_begins_is_dropped_in_its_turn() {
    let dropped = AtomicUsize::new(0);
    workers(1)
        .run(|worker| {
            let tasks: Vec<_> = (0..300)
                .map(|n| {
                    let counted = Counted(&dropped);
                    let task = worker.spawn_anywhere(move || drop(counted));
                    if n % 3 == 1 {
                        task.cancel();
                    }
                    task
                })
                .collect();
            for (n, task) in tasks.into_iter().enumerate().rev() {
                let result = task.join();
                assert_eq!(result.is_err_and(|panic| panic.is::<Cancelled>()), n % 3 == 1);
            }
        })
        .unwrap();
    assert_eq!(dropped.into_inner(), 300);
}

#[test]
fn one_that_panics_leaves_the_next_one_alone() {
    workers(1)
        .run(|worker| {
            let tasks: Vec<_> = (0..30)
                .map(|n| {
                    // Nobody has the result, so the task drops it.
                    drop(worker.spawn_anywhere(|| Spills));
                    worker.spawn_anywhere(move || if n % 3 == 1 { resume_unwind(Box::new("spilled")) } else { n })
                })
                .collect();
            for (n, task) in tasks.into_iter().enumerate().rev() {
                match task.join() {
                    Ok(result) => assert_eq!(result, n),
                    Err(panic) => assert_eq!((panic.downcast_ref(), n % 3), (Some(&"spilled"), 1)),
                }
            }
        })
        .unwrap();
}

#[test]
fn one_that_has_waited_is_followed_by_others() {
    workers(1)
        .run(|worker| {
            let wait = |n: u32| {
                move || match n % 4 {
                    0 => yield_now(),
                    1 => timeout(Duration::from_secs(1), yield_now).unwrap(),
                    2 => cancel_scope(|_| spawn(yield_now).join().unwrap()).unwrap(),
                    _ => {}
                }
            };
            let tasks: Vec<_> = (0..300).map(|n| worker.spawn_anywhere(wait(n))).collect();
            tasks.into_iter().rev().for_each(|task| task.join().unwrap());
        })
        .unwrap();
}

#[test]
fn what_becomes_ready_has_its_turn_before_the_next_one() {
    workers(1)
        .run(|worker| {
            let run = Arc::new(AtomicUsize::new(0));
            let there = Arc::clone(&run);
            let parked = spawn(move || {
                park();
                there.load(Ordering::Relaxed)
            });
            yield_now();
            for n in 0..100 {
                let (run, parked) = (Arc::clone(&run), parked.thread().clone());
                drop(worker.spawn_anywhere(move || {
                    run.fetch_add(1, Ordering::Relaxed);
                    if n == 10 {
                        parked.unpark();
                    }
                }));
            }
            assert_eq!(parked.join().unwrap(), 11);
        })
        .unwrap();
}

#[test]
fn those_that_go_on_for_ever_keep_no_mail_away() {
    fn again(stop: Arc<AtomicBool>) {
        if !stop.load(Ordering::Relaxed)
            && let Some(worker) = workers::current()
        {
            drop(worker.spawn_anywhere(move || again(stop)));
        }
    }
    workers(1)
        .run(|worker| {
            let stop = Arc::new(AtomicBool::new(false));
            let there = Arc::clone(&stop);
            worker.spawn_anywhere(move || again(there)).join().unwrap();
            let stops = thread::scope(|s| {
                let spawn = || worker.spawn_on(0, move || stop.store(true, Ordering::Relaxed));
                s.spawn(spawn).join().unwrap()
            });
            stops.join().unwrap();
        })
        .unwrap();
}

#[test]
fn handles_may_be_joined_and_dropped_anywhere_when_the_workers_have_ended() {
    let dropped = Box::leak(Box::new(AtomicUsize::new(0)));
    let there = &*dropped;
    let handles = workers(2).run(|worker| {
        let tasks: Vec<_> = (0..100).map(|_| worker.spawn_anywhere(move || Counted(there))).collect();
        while !tasks.iter().all(JoinHandle::is_finished) {
            yield_now();
        }
        tasks
    });
    let threads = handles.unwrap().into_iter().map(|mut tasks| {
        thread::spawn(move || {
            let joined = tasks.split_off(50);
            drop(tasks);
            joined.into_iter().for_each(|task| drop(task.join().unwrap()));
        })
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(there.load(Ordering::Relaxed), 200);
}

#[test]
fn handles_come_back_from_others_while_more_is_spawned() {
    workers(2)
        .run(|worker| {
            let (send, receive) = mpsc::channel::<JoinHandle<usize>>();
            thread::scope(|s| {
                let joins = s.spawn(|| receive.into_iter().map(|task| task.join().unwrap()).sum::<usize>());
                for n in 0..10_000 {
                    send.send(worker.spawn_anywhere(move || n)).unwrap();
                    if n % 100 == 0 {
                        yield_now();
                    }
                }
                drop(send);
                while !joins.is_finished() {
                    yield_now();
                }
                assert_eq!(joins.join().unwrap(), 49_995_000);
            });
        })
        .unwrap();
}

#[test]
fn functions_and_results_may_be_large_and_aligned() {
    #[derive(Clone, Copy)]
    #[repr(align(256))]
    struct Aligned(u8);
    workers(2)
        .run(|worker| {
            for n in 0..50_u8 {
                let (large, small, aligned) = ([n; 5000], [n; 100], Aligned(n));
                let tasks = [
                    worker.spawn_anywhere(move || large[4999]),
                    worker.spawn_anywhere(move || small[99]),
                    worker.spawn_anywhere(move || {
                        assert!((&raw const aligned).addr().is_multiple_of(256));
                        aligned.0
                    }),
                ];
                assert!(tasks.into_iter().all(|task| task.join().unwrap() == n));
                assert_eq!(worker.spawn_anywhere(move || [n; 5000]).join().unwrap()[4999], n);
                let aligned = worker.spawn_anywhere(move || Aligned(n)).join().unwrap();
                assert_eq!(aligned.0, n);
            }
        })
        .unwrap();
}

#[test]
fn a_cancellation_arrives_when_its_handle_has_gone() {
    fiber_local!(static LAST: RefCell<Option<Arc<()>>> = const { RefCell::new(None) });
    workers(2)
        .run(|worker| {
            let cup = Arc::new(());
            for _ in 0..100 {
                let (cup, there) = (Arc::clone(&cup), Arc::clone(&cup));
                let (send, receive) = mpsc::channel();
                let task = worker.spawn_on(1 - worker.index(), move || {
                    LAST.set(Some(cup));
                    send.send(()).unwrap();
                    park();
                    drop(there);
                });
                while receive.try_recv().is_err() {
                    yield_now();
                }
                task.cancel();
            }
            while Arc::strong_count(&cup) > 1 {
                yield_now();
            }
        })
        .unwrap();
}
