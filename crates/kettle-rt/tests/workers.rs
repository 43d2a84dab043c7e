//! Workers: what runs where, how it ends, and that nothing is left.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_rt::workers::{self, JoinHandle, Worker, workers};
use kettle_rt::{Cancelled, EventLoop, Reason, cancel_scope, park, scope, sleep, spawn, timeout, yield_now};
use std::cell::Cell;
use std::collections::HashSet;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

/// Until others have come so far: lets tasks and threads run.
fn until(is_so_far: impl Fn() -> bool) {
    while !is_so_far() {
        yield_now();
        thread::yield_now();
    }
}

/// Panics without the hook's message.
fn panic_quietly(what: &'static str) -> ! {
    resume_unwind(Box::new(what))
}

#[test]
fn what_a_worker_spawns_may_borrow_it() {
    let indices = workers(2).run(|worker| {
        let other = 1 - worker.index();
        let task = worker.spawn_on(other, move || {
            // On the other one, by the first one's own handle.
            let back = worker.spawn_on(worker.index(), || worker.index());
            back.join().unwrap()
        });
        task.join().unwrap()
    });
    assert_eq!(indices.unwrap(), [0, 1]);
}

#[test]
fn each_worker_calls_the_function_on_a_thread_of_its_own() {
    let name = || thread::current().name().unwrap().to_owned();
    let results = workers(3).run(|worker| (worker.index(), worker.count(), name())).unwrap();
    let expected: Vec<_> = (0..3).map(|index| (index, 3, format!("worker-{index}"))).collect();
    assert_eq!(results, expected);
}

#[test]
fn the_function_borrows_and_so_does_what_its_worker_spawns() {
    let numbers: Vec<u64> = (1..=100).collect();
    let counted = AtomicUsize::new(0);
    let sums = workers(2)
        .run(|worker| {
            counted.fetch_add(1, Ordering::Relaxed);
            let halves = [worker.spawn_anywhere(|| numbers[..50].iter().sum::<u64>()), {
                worker.spawn_on(1 - worker.index(), || numbers[50..].iter().sum())
            }];
            halves.into_iter().map(|half| half.join().unwrap()).sum::<u64>()
        })
        .unwrap();
    assert_eq!(sums, [5050, 5050]);
    assert_eq!(counted.into_inner(), 2);
}

#[test]
fn results_may_borrow() {
    let words = ["put", "the", "kettle"];
    let longest =
        workers(2).run(|worker| worker.spawn_anywhere(|| words.iter().max_by_key(|word| word.len())).join().unwrap());
    assert_eq!(longest.unwrap(), [Some(&"kettle"); 2]);
}

#[test]
fn a_task_is_spawned_on_the_worker_that_is_named() {
    workers(3)
        .run(|worker| {
            for index in 0..worker.count() {
                let there = worker.spawn_on(index, || workers::current().unwrap().index());
                assert_eq!(there.join().unwrap(), index);
            }
        })
        .unwrap();
}

#[test]
fn a_task_stays_where_it_has_begun() {
    workers(2)
        .run(|worker| {
            let tasks: Vec<_> = (0..100)
                .map(|_| {
                    worker.spawn_anywhere(|| {
                        let local = Rc::new(Cell::new(0));
                        let thread = thread::current().id();
                        for _ in 0..20 {
                            yield_now();
                            local.set(local.get() + 1);
                            assert_eq!(thread::current().id(), thread);
                        }
                        local.get()
                    })
                })
                .collect();
            assert!(tasks.into_iter().all(|task| task.join().unwrap() == 20));
        })
        .unwrap();
}

#[test]
fn an_idle_worker_takes_what_has_not_begun() {
    workers(2)
        .run(|worker| {
            if worker.index() > 0 {
                return;
            }
            // This worker does not look around, so the other one has to do it.
            let task = worker.spawn_anywhere(|| workers::current().unwrap().index());
            while !task.is_finished() {
                thread::yield_now();
            }
            assert_eq!(task.join().unwrap(), 1);
        })
        .unwrap();
}

#[test]
fn as_many_workers_wake_as_there_is_work() {
    const COUNT: usize = 4;
    workers(COUNT)
        .run(|worker| {
            if worker.index() > 0 {
                return;
            }
            // Each of them keeps its worker until all have begun, wherever they were when they were taken.
            let begun = Arc::new(Barrier::new(COUNT));
            let tasks: Vec<_> = (1..COUNT)
                .map(|_| {
                    let begun = Arc::clone(&begun);
                    worker.spawn_anywhere(move || {
                        begun.wait();
                        workers::current().unwrap().index()
                    })
                })
                .collect();
            begun.wait();
            let places: HashSet<_> = tasks.into_iter().map(|task| task.join().unwrap()).collect();
            assert_eq!(places, HashSet::from([1, 2, 3]));
        })
        .unwrap();
}

#[test]
fn each_function_begins_once_and_its_result_can_be_joined_on_another_worker() {
    const COUNT: usize = 10_000;
    let begun: Vec<_> = (0..COUNT).map(|_| AtomicUsize::new(0)).collect();
    workers(3)
        .run(|worker| {
            if worker.index() > 0 {
                return;
            }
            let tasks: Vec<JoinHandle<usize>> = (0..COUNT)
                .map(|n| {
                    let begun = &begun;
                    worker.spawn_anywhere(move || {
                        begun[n].fetch_add(1, Ordering::Relaxed);
                        if n % 7 == 0 {
                            yield_now();
                        }
                        n
                    })
                })
                .collect();
            let sum = worker.spawn_on(1, || tasks.into_iter().map(|task| task.join().unwrap()).sum::<usize>());
            assert_eq!(sum.join().unwrap(), COUNT * (COUNT - 1) / 2);
        })
        .unwrap();
    assert!(begun.iter().all(|begun| begun.load(Ordering::Relaxed) == 1));
}

#[test]
fn tasks_that_are_stolen_spawn_others() {
    fn count(worker: &Worker<'_, '_>, depth: u32) -> usize {
        if depth == 0 {
            return 1;
        }
        let halves = [(); 2].map(|()| worker.spawn_anywhere(move || count(&workers::current().unwrap(), depth - 1)));
        halves.into_iter().map(|half| half.join().unwrap()).sum()
    }
    assert_eq!(workers(2).run(|worker| count(worker, 8)).unwrap(), [256, 256]);
}

#[test]
fn plain_threads_spawn_too_and_wait_for_what_they_have_spawned() {
    workers(2)
        .run(|worker| {
            if worker.index() > 0 {
                return;
            }
            // Another thread's tasks are begun by whoever is idle, or by this one when it waits.
            thread::scope(|threads| {
                let worker = worker.clone();
                let thread = threads.spawn(move || {
                    let index = |worker: Option<Worker<'_, '_>>| worker.map(|worker| worker.index());
                    assert!(index(workers::current()).is_none());
                    let anywhere = worker.spawn_anywhere(move || index(workers::current())).join().unwrap();
                    let there = worker.spawn_on(1, move || index(workers::current())).join().unwrap();
                    (anywhere, there)
                });
                assert_eq!(thread.join().unwrap(), (Some(1), Some(1)));
            });
        })
        .unwrap();
}

#[test]
fn a_worker_whose_function_has_returned_works_on() {
    let returned = AtomicBool::new(false);
    workers(2)
        .run(|worker| {
            if worker.index() == 1 {
                returned.store(true, Ordering::Relaxed);
                return;
            }
            until(|| returned.load(Ordering::Relaxed));
            for n in 0..100 {
                assert_eq!(worker.spawn_on(1, move || n).join().unwrap(), n);
            }
        })
        .unwrap();
}

#[test]
fn what_still_runs_when_all_functions_have_returned_is_cancelled() {
    struct End(Arc<Mutex<Vec<usize>>>);
    impl Drop for End {
        fn drop(&mut self) {
            self.0.lock().unwrap().push(workers::current().unwrap().index());
        }
    }
    let ends = Arc::new(Mutex::new(Vec::new()));
    let handles = workers(2)
        .run(|worker| {
            let (sender, receiver) = mpsc::channel();
            let ends = Arc::clone(&ends);
            let other = workers::current().unwrap();
            let waits = other.spawn_on(1 - worker.index(), move || {
                let _end = End(ends);
                sender.send(()).unwrap();
                park();
            });
            // It has begun when the function returns, and unwinds then.
            until(|| receiver.try_recv().is_ok());
            waits
        })
        .unwrap();
    for handle in handles {
        let cancelled = handle.join().unwrap_err();
        assert_eq!(cancelled.downcast_ref::<Cancelled>().unwrap().reason(), Reason::Shutdown);
    }
    let mut ends = ends.lock().unwrap().clone();
    ends.sort_unstable();
    assert_eq!(ends, [0, 1]);
}

#[test]
fn what_has_not_begun_when_all_functions_have_returned_is_dropped() {
    let kept = Arc::new(());
    let handles = workers(2)
        .run(|worker| {
            let anywhere = workers::current().unwrap();
            let spawn = |_| {
                let kept = Arc::clone(&kept);
                let task = move || drop(kept);
                if worker.index() == 0 { anywhere.spawn_anywhere(task) } else { anywhere.spawn_on(0, task) }
            };
            (0..100).map(spawn).collect::<Vec<_>>()
        })
        .unwrap();
    for result in handles.into_iter().flatten().map(JoinHandle::join) {
        // Some may have begun before that.
        assert!(result.map_or_else(|panic| panic.is::<Cancelled>(), |()| true));
    }
    assert_eq!(Arc::strong_count(&kept), 1);
}

#[test]
fn what_is_dropped_at_the_end_may_join_what_has_not_begun_either() {
    type Slot = Arc<Mutex<Option<JoinHandle<()>>>>;
    struct Joins(Slot, Arc<AtomicUsize>);
    impl Drop for Joins {
        fn drop(&mut self) {
            let behind = self.0.lock().unwrap().take().unwrap();
            assert!(behind.join().unwrap_err().is::<Cancelled>());
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }
    let joined = Arc::new(AtomicUsize::new(0));
    workers(1)
        .run(|_| {
            let anywhere = workers::current().unwrap();
            let spawn: [&dyn Fn(Option<Joins>) -> JoinHandle<()>; 2] =
                [&|joins| anywhere.spawn_anywhere(|| drop(joins)), &|joins| {
                    // By another thread, so that it is mail.
                    thread::scope(|threads| threads.spawn(|| anywhere.spawn_on(0, || drop(joins))).join().unwrap())
                }];
            for spawn in spawn {
                let slot = Slot::default();
                drop(spawn(Some(Joins(Arc::clone(&slot), Arc::clone(&joined)))));
                *slot.lock().unwrap() = Some(spawn(None));
            }
        })
        .unwrap();
    assert_eq!(joined.load(Ordering::Relaxed), 2);
}

#[test]
fn spawning_when_the_workers_have_ended_gives_cancelled() {
    let worker = workers(1).run(|_| workers::current().unwrap()).unwrap().remove(0);
    for handle in [worker.spawn_anywhere(|| 1), worker.spawn_on(0, || 1)] {
        assert!(handle.is_finished());
        handle.cancel();
        assert!(handle.join().unwrap_err().is::<Cancelled>());
    }
    assert_eq!(worker.load(0), 0);
}

#[test]
fn a_panic_goes_to_who_joins() {
    workers(2)
        .run(|worker| {
            let spilled = worker.spawn_on(1 - worker.index(), || panic_quietly("spilled"));
            let panic: Result<(), _> = spilled.join();
            assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"spilled"));
        })
        .unwrap();
}

#[test]
fn a_worker_s_panic_cancels_the_others_and_is_resumed() {
    let reasons = Mutex::new(Vec::new());
    let run = || {
        workers(3).run(|worker| {
            if worker.index() == 1 {
                panic_quietly("spilled");
            }
            let unwound = catch_unwind(park).unwrap_err();
            reasons.lock().unwrap().push(unwound.downcast_ref::<Cancelled>().unwrap().reason());
            resume_unwind(unwound)
        })
    };
    let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"spilled"));
    assert_eq!(reasons.into_inner().unwrap(), [Reason::Sibling; 2]);
}

#[test]
fn when_all_workers_panic_one_of_them_is_resumed() {
    let run = || workers(3).run(|_| panic_quietly("spilled"));
    let panic = catch_unwind(|| run().map(|_: Vec<()>| ())).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"spilled"));
}

#[test]
fn a_panic_is_resumed_though_destructors_of_the_others_results_panic() {
    struct Spills;
    impl Drop for Spills {
        fn drop(&mut self) {
            panic_quietly("spilled");
        }
    }
    let run = || {
        workers(3).run(|worker| match worker.index() {
            0 => panic_quietly("first"),
            _ => Spills,
        })
    };
    let panic = catch_unwind(|| run().map(drop)).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"first"));
    // Nor do they hide that who waits was cancelled.
    let late = EventLoop::new().unwrap().run(|| {
        let has_begun = AtomicBool::new(false);
        cancel_scope(|tea| {
            scope(|s| {
                s.spawn(|| {
                    until(|| has_begun.load(Ordering::Relaxed));
                    tea.cancel();
                });
                let run = workers(2).run(|_| {
                    has_begun.store(true, Ordering::Relaxed);
                    let unwound = catch_unwind(park).unwrap_err();
                    assert!(unwound.is::<Cancelled>());
                    Spills
                });
                run.map(drop)
            })
        })
    });
    assert_eq!(late.unwrap_err().reason(), Reason::Explicit);
}

#[test]
fn a_worker_that_catches_its_panic_leaves_the_others_alone() {
    let results = workers(2).run(|worker| {
        catch_unwind(|| {
            if worker.index() == 0 {
                panic_quietly("spilled");
            }
            worker.spawn_on(0, || "served").join().unwrap()
        })
    });
    let [spilled, served] = results.unwrap().try_into().unwrap();
    assert!(spilled.is_err());
    assert_eq!(served.unwrap(), "served");
}

#[test]
fn a_panic_is_preferred_to_the_cancellations_that_it_makes() {
    for _ in 0..20 {
        let run = || {
            workers(2).run(|worker| match worker.index() {
                0 => panic_quietly("first"),
                // Its destructors are told by unwinding, and one of them panics.
                _ => catch_unwind(park).map_err(|_| panic_quietly("second")).unwrap(),
            })
        };
        let panic = catch_unwind(run).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"first"));
    }
}

#[test]
fn a_task_is_cancelled_from_another_worker() {
    workers(2)
        .run(|worker| {
            let (sender, receiver) = mpsc::channel();
            let task = worker.spawn_on(1 - worker.index(), move || {
                sender.send(()).unwrap();
                park();
            });
            until(|| receiver.try_recv().is_ok());
            task.cancel();
            task.cancel();
            let cancelled = task.join().unwrap_err();
            assert_eq!(cancelled.downcast_ref::<Cancelled>().unwrap().reason(), Reason::Explicit);
        })
        .unwrap();
}

#[test]
fn a_task_that_is_cancelled_before_it_begins_does_not_begin() {
    let begun = AtomicBool::new(false);
    workers(1)
        .run(|worker| {
            let task = worker.spawn_anywhere(|| begun.store(true, Ordering::Relaxed));
            let other = worker.spawn_on(0, || begun.store(true, Ordering::Relaxed));
            task.cancel();
            other.cancel();
            assert!(task.join().unwrap_err().is::<Cancelled>());
            assert!(other.join().unwrap_err().is::<Cancelled>());
        })
        .unwrap();
    assert!(!begun.into_inner());
}

#[test]
fn cancelling_what_has_ended_does_nothing() {
    workers(2)
        .run(|worker| {
            let task = worker.spawn_on(1 - worker.index(), || "tea");
            until(|| task.is_finished());
            task.cancel();
            assert_eq!(task.join().unwrap(), "tea");
        })
        .unwrap();
}

#[test]
fn who_waits_can_be_cancelled_and_the_task_runs_on() {
    workers(2)
        .run(|worker| {
            let goes_on = Arc::new(AtomicBool::new(false));
            let done = Arc::new(AtomicBool::new(false));
            let task = worker.spawn_on(1 - worker.index(), {
                let (goes_on, done) = (Arc::clone(&goes_on), Arc::clone(&done));
                move || {
                    until(|| goes_on.load(Ordering::Relaxed));
                    done.store(true, Ordering::Relaxed);
                }
            });
            let late = timeout(Duration::ZERO, || task.join());
            assert_eq!(late.unwrap_err().reason(), Reason::Deadline);
            goes_on.store(true, Ordering::Relaxed);
            until(|| done.load(Ordering::Relaxed));
        })
        .unwrap();
}

#[test]
fn handles_may_be_dropped_before_during_and_after() {
    struct Counted<'a>(&'a AtomicUsize);
    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let dropped = AtomicUsize::new(0);
    workers(2)
        .run(|worker| {
            for n in 0..300 {
                let counted = Counted(&dropped);
                let task = worker.spawn_anywhere(move || {
                    yield_now();
                    counted
                });
                match n % 3 {
                    0 => drop(task),
                    1 => {
                        yield_now();
                        drop(task);
                    }
                    _ => {
                        until(|| task.is_finished());
                        drop(task);
                    }
                }
            }
        })
        .unwrap();
    assert_eq!(dropped.into_inner(), 600);
}

#[test]
fn a_result_whose_destructor_panics_harms_nobody() {
    struct Spills;
    impl Drop for Spills {
        fn drop(&mut self) {
            panic_quietly("spilled");
        }
    }
    workers(2)
        .run(|worker| {
            // It can't begin before its handle has gone.
            drop(worker.spawn_on(worker.index(), || Spills));
            let other = 1 - worker.index();
            assert_eq!(worker.spawn_on(other, || 1).join().unwrap(), 1);
            // Not begun, and dropped at the end.
            let spills = Spills;
            drop(worker.spawn_anywhere(move || drop(spills)));
        })
        .unwrap();
}

#[test]
fn a_task_that_joins_itself_is_told() {
    workers(1)
        .run(|worker| {
            let own = Arc::new(Mutex::new(None::<JoinHandle<()>>));
            let there = Arc::clone(&own);
            let task = worker.spawn_anywhere(move || {
                let own = there.lock().unwrap().take().unwrap();
                let panic = catch_unwind(AssertUnwindSafe(|| own.join())).unwrap_err();
                let message = panic.downcast_ref::<&str>().unwrap();
                assert!(message.contains("from itself"), "{message}");
            });
            *own.lock().unwrap() = Some(task);
            until(|| own.lock().is_ok_and(|own| own.is_none()));
        })
        .unwrap();
}

#[test]
fn it_may_be_run_in_a_task_whose_neighbours_run_on() {
    EventLoop::new().unwrap().run(|| {
        let turns = Rc::new(Cell::new(0));
        let goes_on = Arc::new(AtomicBool::new(false));
        let other = spawn({
            let (turns, goes_on) = (Rc::clone(&turns), Arc::clone(&goes_on));
            move || {
                (0..10).for_each(|_| yield_now());
                turns.set(10);
                goes_on.store(true, Ordering::Relaxed);
            }
        });
        let results = workers(2).run(|worker| {
            until(|| goes_on.load(Ordering::Relaxed));
            worker.index()
        });
        assert_eq!(results.unwrap(), [0, 1]);
        assert_eq!(turns.get(), 10);
        other.join().unwrap();
    });
}

#[test]
fn it_may_be_run_in_a_worker() {
    let results = workers(2).run(|outer| {
        let inner = workers(2).run(|inner| (inner.index(), workers::current().unwrap().count()));
        (outer.index(), workers::current().unwrap().count(), inner.unwrap())
    });
    let inner = vec![(0, 2), (1, 2)];
    assert_eq!(results.unwrap(), [(0, 2, inner.clone()), (1, 2, inner)]);
}

#[test]
fn cancelling_the_task_that_runs_it_cancels_all_workers() {
    EventLoop::new().unwrap().run(|| {
        let parked = Arc::new(AtomicUsize::new(0));
        let unwound = Arc::new(AtomicUsize::new(0));
        let late = cancel_scope(|tea| {
            scope(|s| {
                s.spawn(|| {
                    until(|| parked.load(Ordering::Relaxed) == 2);
                    tea.cancel();
                });
                workers(2).run(|_| {
                    parked.fetch_add(1, Ordering::Relaxed);
                    let panic = catch_unwind(|| sleep(Duration::MAX)).unwrap_err();
                    assert_eq!(panic.downcast_ref::<Cancelled>().unwrap().reason(), Reason::Explicit);
                    unwound.fetch_add(1, Ordering::Relaxed);
                    resume_unwind(panic)
                })
            })
            .map(|_: Vec<()>| ())
        });
        assert_eq!(late.unwrap_err().reason(), Reason::Explicit);
        assert_eq!(unwound.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn no_workers_are_an_error() {
    let error = workers(0).run(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "run 0 workers: nobody would call the function");
}

#[test]
fn more_workers_than_a_system_can_have_are_an_error() {
    for count in [usize::MAX, 1 << 40, (1 << 22) + 1] {
        let error = workers(count).run(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), format!("run {count} workers: Linux has at most 4194304 threads"));
    }
}

#[test]
fn there_are_none_in_a_simulation() {
    let error = kettle_rt::testing::simulate(1, || workers(2).run(|_| ()).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn more_workers_than_cores_work_and_are_told() {
    let cores = thread::available_parallelism().unwrap().get();
    let many = workers(cores + 3);
    assert_eq!(many.excess(), 3);
    assert_eq!(workers(cores).excess(), 0);
    assert_eq!(many.run(|worker| worker.index()).unwrap().len(), cores + 3);
}

#[test]
fn pinned_workers_stay_on_their_cores() {
    let cores = allowed();
    let places = workers(cores.len() + 1).pinned().run(|_| allowed()).unwrap();
    for (index, place) in places.into_iter().enumerate() {
        assert_eq!(place, [cores[index % cores.len()]]);
    }
    // Those of the thread that has run them are what they were.
    assert_eq!(allowed(), cores);
}

/// The cores that this thread may run on, as the system tells.
fn allowed() -> Vec<usize> {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    list.trim()
        .split(',')
        .flat_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            first.parse::<usize>().unwrap()..=last.parse().unwrap()
        })
        .collect()
}

#[test]
fn a_load_that_piles_up_is_visible() {
    workers(2)
        .run(|worker| {
            if worker.index() > 0 {
                return;
            }
            let goes_on = Arc::new(AtomicBool::new(false));
            // One keeps the worker, and the others wait behind it.
            let tasks: Vec<_> = (0..10)
                .map(|_| {
                    let goes_on = Arc::clone(&goes_on);
                    worker.spawn_on(1, move || {
                        while !goes_on.load(Ordering::Relaxed) {
                            thread::yield_now();
                        }
                    })
                })
                .collect();
            until(|| worker.load(1) >= 11);
            assert!(worker.load(1) > worker.load(0));
            assert_eq!(worker.least_loaded(), 0);
            goes_on.store(true, Ordering::Relaxed);
            tasks.into_iter().for_each(|task| task.join().unwrap());
            // What is left is what calls the function.
            until(|| worker.load(1) == 1);
        })
        .unwrap();
}

#[test]
fn new_work_avoids_a_worker_that_is_busy() {
    workers(3)
        .run(|worker| {
            if worker.index() > 0 {
                return;
            }
            let goes_on = Arc::new(AtomicBool::new(false));
            let begun = Arc::new(AtomicBool::new(false));
            let busy = worker.spawn_on(1, {
                let (goes_on, begun) = (Arc::clone(&goes_on), Arc::clone(&begun));
                move || {
                    begun.store(true, Ordering::Relaxed);
                    while !goes_on.load(Ordering::Relaxed) {
                        thread::yield_now();
                    }
                }
            });
            until(|| begun.load(Ordering::Relaxed));
            for _ in 0..100 {
                let task = worker.spawn_anywhere(|| workers::current().unwrap().index());
                // Neither this worker nor the busy one.
                while !task.is_finished() {
                    thread::yield_now();
                }
                assert_eq!(task.join().unwrap(), 2);
            }
            goes_on.store(true, Ordering::Relaxed);
            busy.join().unwrap();
        })
        .unwrap();
}

#[test]
fn a_worker_that_does_not_exist_is_named() {
    let panic = catch_unwind(|| workers(2).run(|worker| worker.spawn_on(2, || ()).join())).unwrap_err();
    assert_eq!(panic.downcast_ref::<String>().unwrap(), "there is no worker 2: they are 2, and count from 0");
}
