//! Task groups: what fails ends the others, nothing that fails is lost, and all have ended when the group has.
#![allow(clippy::unit_arg, reason = "what a task gives is often nothing")]
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_rt::{
    Builder, Cancelled, EventLoop, GroupError, Reason, Task, TaskGroup, cancel_scope, future, park, scope, shield,
    sleep, spawn, spawn_future, task_group, timeout, yield_now,
};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

const FOREVER: Duration = Duration::MAX;

type Outcome<T = ()> = Result<T, &'static str>;

fn run<T>(f: impl FnOnce() -> T) -> T {
    EventLoop::new().unwrap().run(f)
}

fn all<E: Clone>(error: GroupError<E>) -> Vec<E> {
    error.into_iter().collect()
}

/// Adds itself to the notes when it goes.
struct Note<'a>(&'static str, &'a RefCell<Vec<&'static str>>);

impl Drop for Note<'_> {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

fn panics<T>(payload: &'static str) -> T {
    resume_unwind(Box::new(payload))
}

fn payload<T>(f: impl FnOnce() -> T) -> &'static str {
    *catch_unwind(AssertUnwindSafe(f)).err().unwrap().downcast::<&str>().unwrap()
}

// --- ends ---

#[test]
fn a_group_gives_what_its_function_returns_when_all_tasks_have_ended() {
    run(|| {
        let mut poured = 0;
        let cups = [1, 2, 3];
        let given = task_group(|group| {
            group.spawn(|| {
                yield_now();
                poured = cups.len();
                Outcome::Ok(())
            });
            Ok(7)
        });
        assert_eq!((given.unwrap(), poured), (7, 3));
        assert_eq!(task_group(|_| Outcome::Ok(7)).unwrap(), 7);
    });
}

#[test]
fn tasks_of_a_group_take_turns() {
    run(|| {
        let said = RefCell::new(Vec::new());
        task_group(|group| {
            for name in ["a", "b"] {
                let said = &said;
                group.spawn(move || {
                    for _ in 0..3 {
                        said.borrow_mut().push(name);
                        yield_now();
                    }
                    Outcome::Ok(())
                });
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(*said.borrow(), ["a", "b", "a", "b", "a", "b"]);
    });
}

#[test]
fn an_error_of_a_task_cancels_its_siblings_and_the_function() {
    run(|| {
        let notes = RefCell::new(Vec::new());
        let failed = task_group(|group| {
            group.spawn(|| {
                let _note = Note("sibling", &notes);
                park();
                Outcome::Ok(())
            });
            group.spawn(|| {
                yield_now();
                Outcome::<()>::Err("spilled")
            });
            let _note = Note("function", &notes);
            park();
            Ok(())
        })
        .unwrap_err();
        assert_eq!((failed.first(), failed.others().len(), failed.is_cancelled()), (Some(&"spilled"), 0, false));
        assert_eq!(failed.cancelled().reason(), Reason::Sibling);
        notes.borrow_mut().sort_unstable();
        assert_eq!(*notes.borrow(), ["function", "sibling"]);
    });
}

#[test]
fn an_error_of_the_function_cancels_the_tasks() {
    run(|| {
        let notes = RefCell::new(Vec::new());
        let failed = task_group(|group| {
            group.spawn(|| {
                let _note = Note("task", &notes);
                park();
                Ok(())
            });
            yield_now();
            Outcome::<()>::Err("spilled")
        });
        assert_eq!(all(failed.unwrap_err()), ["spilled"]);
        assert_eq!(*notes.borrow(), ["task"]);
    });
}

#[test]
fn errors_of_a_task_and_the_function_at_once_are_both_kept() {
    run(|| {
        let failed = task_group(|group| {
            // Cancelled, and fails on its way out all the same.
            group.spawn(|| Outcome::<()>::Err(catch_unwind(park).map_or("put back late", |()| "woken")));
            yield_now();
            Outcome::<()>::Err("spilled")
        });
        assert_eq!(all(failed.unwrap_err()), ["spilled", "put back late"]);
    });
}

#[test]
fn errors_of_two_tasks_at_once_are_both_kept() {
    run(|| {
        let failed = task_group(|group| {
            for error in ["first", "second", "third"] {
                group.spawn(move || Outcome::<()>::Err(catch_unwind(yield_now).map_or(error, |()| error)));
            }
            Ok(())
        });
        let failed = failed.unwrap_err();
        assert_eq!(failed.to_string(), "a task group failed: first (and 2 more)");
        assert_eq!((failed.first(), failed.others()), (Some(&"first"), &["second", "third"][..]));
    });
}

#[test]
fn a_group_may_be_spawned_into_by_its_tasks_while_it_waits() {
    run(|| {
        let done = Cell::new(0);
        task_group(|group| {
            group.spawn(|| {
                yield_now();
                group.spawn(|| {
                    yield_now();
                    group.spawn(|| {
                        done.set(done.get() + 1);
                        Ok(())
                    });
                    Ok(())
                });
                Outcome::Ok(())
            });
            Ok(())
        })
        .unwrap();
        assert_eq!(done.get(), 1);
    });
}

#[test]
fn groups_nest_and_an_error_ends_the_inner_one_only_if_it_is_dealt_with() {
    run(|| {
        let outer = task_group(|outer| {
            let notes = RefCell::new(Vec::new());
            let inner = task_group(|inner| {
                inner.spawn(|| {
                    let _note = Note("task", &notes);
                    park();
                    Ok(())
                });
                inner.spawn(|| Outcome::<()>::Err("inner"));
                yield_now();
                yield_now();
                Ok(())
            });
            assert_eq!(all(inner.unwrap_err()), ["inner"]);
            outer.spawn(|| Outcome::Ok(yield_now()));
            yield_now();
            Ok(notes.into_inner())
        });
        assert_eq!(outer.unwrap(), ["task"]);
    });
}

#[test]
fn an_error_in_an_inner_group_passes_through_the_outer_one() {
    run(|| {
        let failed = task_group(|outer| {
            outer.spawn(|| Ok(park()));
            task_group(|inner| {
                inner.spawn(|| Outcome::<()>::Err("inner"));
                Ok(park())
            })
            .map_err(|error| error.into_iter().next().unwrap())
        });
        assert_eq!(all(failed.unwrap_err()), ["inner"]);
    });
}

#[test]
fn a_deep_tree_of_groups_is_cancelled_as_a_whole() {
    fn grow(depth: u32, leaves: &Cell<u32>) -> Outcome {
        task_group(|group| {
            for _ in 0..2 {
                group.spawn(|| {
                    if depth > 0 {
                        return grow(depth - 1, leaves);
                    }
                    let _count = Count(leaves);
                    park();
                    Ok(())
                });
            }
            Ok(())
        })
        .map_err(|_| "passed on")
    }
    run(|| {
        let leaves = Cell::new(0);
        let cancelled = timeout(Duration::from_millis(1), || grow(5, &leaves));
        assert_eq!(cancelled.unwrap_err().reason(), Reason::Deadline);
        assert_eq!(leaves.get(), 64);
    });
}

struct Count<'a>(&'a Cell<u32>);

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

// --- panics ---

#[test]
fn a_panic_cancels_the_siblings_and_is_resumed_when_all_have_ended() {
    run(|| {
        let notes = RefCell::new(Vec::new());
        let panicked = payload(|| {
            task_group(|group| {
                group.spawn(|| {
                    let _note = Note("sibling", &notes);
                    park();
                    Outcome::Ok(())
                });
                yield_now();
                group.spawn(|| panics::<Outcome>("spilled"));
                park();
                Ok(())
            })
        });
        assert_eq!(panicked, "spilled");
        assert_eq!(*notes.borrow(), ["sibling"]);
        let panicked = payload(|| {
            task_group(|group| -> Outcome {
                group.spawn(|| Ok(park()));
                panics("by the function")
            })
        });
        assert_eq!(panicked, "by the function");
    });
}

#[test]
fn panics_and_errors_are_all_kept_where_that_is_asked_for() {
    run(|| {
        let failed = task_group(|group| {
            group.keep_panics();
            for n in 0..4 {
                group.spawn(move || -> Outcome {
                    _ = catch_unwind(yield_now);
                    if n % 2 == 0 { panics("panic") } else { Err("error") }
                });
            }
            Ok(())
        })
        .unwrap_err();
        assert_eq!(failed.to_string(), "a task group failed: error (and 3 more)");
        assert_eq!(failed.iter().count(), 2);
        assert!(!failed.is_cancelled());
        assert_eq!(failed.into_panics().len(), 2);
    });
}

#[test]
fn a_panic_of_a_destructor_that_nobody_catches_is_the_groups() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panics("in a destructor")
        }
    }
    run(|| {
        let said = "a task of a group panicked where it could not be caught: in a destructor, or for want of a stack";
        // Of a result that nobody takes.
        assert_eq!(payload(|| task_group(|group| Outcome::Ok(drop(group.spawn(|| Ok(Panics)))))), said);
        // Of a function that does not begin.
        let of_a_function = payload(|| {
            task_group(|group| {
                let carried = Panics;
                let handle = group.spawn(|| Outcome::Ok(drop(carried)));
                group.cancel();
                // Also if there is a handle.
                Ok(std::mem::forget(handle))
            })
        });
        assert_eq!(of_a_function, said);
        // Its siblings are cancelled by it.
        let cancels = payload(|| {
            task_group(|group| {
                group.spawn(|| Ok(Panics));
                Outcome::Ok(park())
            })
        });
        assert_eq!(cancels, said);
    });
}

#[test]
fn a_destructor_that_panics_while_it_is_cancelled_fails_the_group() {
    struct Checks<'a>(&'a Cell<bool>);
    impl Drop for Checks<'_> {
        fn drop(&mut self) {
            // As cancellation unwinds, a panic here that got out would end the process.
            self.0.set(catch_unwind(|| panics::<()>("caught")).is_err());
        }
    }
    run(|| {
        let caught = Cell::new(false);
        let cancelled = task_group(|group| {
            group.spawn(|| {
                let _checks = Checks(&caught);
                Outcome::Ok(park())
            });
            yield_now();
            group.cancel();
            Ok(())
        });
        assert!(cancelled.is_ok() && caught.get());
    });
}

#[test]
fn a_task_without_a_stack_fails_the_group() {
    run(|| {
        let too_large = || Builder::new().stack_size(1 << 60);
        let spawned = payload(|| {
            task_group(|group| {
                too_large().spawn_grouped(group, || Outcome::Ok(())).unwrap();
                Ok(park())
            })
        });
        assert!(spawned.contains("for want of a stack"), "{spawned}");
    });
}

// --- cancelling ---

#[test]
fn cancelling_a_group_is_no_failure() {
    run(|| {
        let notes = RefCell::new(Vec::new());
        let group = |returns: bool| {
            task_group(|group| {
                group.spawn(|| {
                    let _note = Note("task", &notes);
                    Outcome::Ok(park())
                });
                yield_now();
                group.cancel();
                group.cancel();
                assert!(group.is_cancelled());
                if !returns {
                    park();
                }
                Ok(7)
            })
        };
        assert_eq!(group(true).unwrap(), 7);
        let cancelled = group(false).unwrap_err();
        assert!(cancelled.is_cancelled() && cancelled.first().is_none());
        assert_eq!(cancelled.cancelled().reason(), Reason::Explicit);
        assert_eq!(cancelled.to_string(), "a task group was cancelled: by request");
        assert_eq!(*notes.borrow(), ["task", "task"]);
        yield_now();
    });
}

#[test]
fn a_task_cancels_its_group() {
    run(|| {
        let cancelled = task_group(|group| {
            group.spawn(|| {
                group.cancel();
                Outcome::Ok(())
            });
            Ok(park())
        });
        assert!(cancelled.unwrap_err().is_cancelled());
    });
}

#[test]
fn a_task_that_is_cancelled_by_itself_is_no_failure_and_its_siblings_run_on() {
    run(|| {
        let done = task_group(|group| {
            let cancelled = group.spawn(|| Outcome::Ok(park()));
            let sibling = group.spawn(|| {
                for _ in 0..5 {
                    yield_now();
                }
                Ok(7)
            });
            yield_now();
            cancelled.cancel();
            assert_eq!(cancelled.join().unwrap_err().reason(), Reason::Explicit);
            Ok(sibling.join().unwrap())
        });
        assert_eq!(done.unwrap(), 7);
    });
}

#[test]
fn an_error_by_which_a_cancelled_task_ends_is_its_cancellation() {
    use kettle_rt::{Outcome, checkpoint};
    fn read() -> Result<(), &'static str> {
        loop {
            if checkpoint() == Outcome::Cancelled {
                return Err("cancelled");
            }
        }
    }
    run(|| {
        let failed = task_group(|group| {
            for _ in 0..3 {
                group.spawn(read);
            }
            yield_now();
            Err::<(), _>("spilled")
        });
        assert_eq!(all(failed.unwrap_err()), ["spilled"]);
        let cancelled = task_group(|group| {
            group.spawn(read);
            yield_now();
            group.cancel();
            read()
        });
        assert!(cancelled.unwrap_err().is_cancelled());
        // A time that was up inside of it is its own failure.
        let failed = task_group(|group| {
            group.spawn(|| timeout(Duration::ZERO, read).unwrap());
            Ok(park())
        });
        assert_eq!(all(failed.unwrap_err()), ["cancelled"]);
    });
}

#[test]
fn what_cancels_a_group_from_outside_passes_through_it() {
    run(|| {
        let notes = RefCell::new(Vec::new());
        let late = timeout(Duration::from_millis(1), || {
            _ = task_group(|group| {
                group.spawn(|| {
                    let _note = Note("task", &notes);
                    Outcome::Ok(park())
                });
                Ok(())
            });
            notes.borrow_mut().push("not reached");
        });
        assert_eq!(late.unwrap_err().reason(), Reason::Deadline);
        assert_eq!(*notes.borrow(), ["task"]);
    });
}

#[test]
fn a_failure_is_not_lost_where_a_cancellation_comes_from_outside() {
    run(|| {
        let mut inner = None;
        let outer = cancel_scope(|outer| {
            inner = task_group(|group| {
                group.spawn(|| Outcome::Ok(park()));
                group.spawn(|| Outcome::Ok(park()));
                group.spawn(|| {
                    shield(|| (0..3).for_each(|_| yield_now()));
                    Outcome::<()>::Err("spilled")
                });
                yield_now();
                outer.cancel();
                Ok(park())
            })
            .err();
            // Level-triggered: what is cancelled outside is still cancelled.
            yield_now();
        });
        assert!(outer.is_err());
        assert_eq!(all(inner.unwrap()), ["spilled"]);
    });
}

#[test]
fn a_task_that_is_spawned_into_a_cancelled_group_does_not_begin() {
    run(|| {
        let began = Cell::new(false);
        task_group(|group| {
            group.cancel();
            let task = group.spawn(|| Outcome::Ok(began.set(true)));
            shield(yield_now);
            assert!(task.is_finished());
            Ok(())
        })
        .unwrap();
        assert!(!began.get());
    });
}

#[test]
fn a_group_that_waits_for_its_tasks_is_cancelled_and_waits_on() {
    run(|| {
        let notes = RefCell::new(Vec::new());
        let handle = cancel_scope(|outer| {
            task_group(|group| {
                group.spawn(|| {
                    _ = catch_unwind(park);
                    shield(|| (0..5).for_each(|_| yield_now()));
                    notes.borrow_mut().push("task");
                    Outcome::Ok(())
                });
                group.spawn(|| {
                    yield_now();
                    outer.cancel();
                    Ok(())
                });
                Ok(())
            })
            .is_ok()
        });
        assert!(handle.is_err());
        assert_eq!(*notes.borrow(), ["task"]);
    });
}

#[test]
fn a_shield_in_a_group_holds_until_it_is_left() {
    run(|| {
        let said = RefCell::new(Vec::new());
        let failed = task_group(|group| {
            group.spawn(|| {
                shield(|| {
                    (0..5).for_each(|_| yield_now());
                    said.borrow_mut().push("shielded");
                });
                yield_now();
                said.borrow_mut().push("not reached");
                Outcome::Ok(())
            });
            yield_now();
            Outcome::<()>::Err("spilled")
        });
        assert_eq!(all(failed.unwrap_err()), ["spilled"]);
        assert_eq!(*said.borrow(), ["shielded"]);
    });
}

#[test]
fn a_group_in_a_shield_runs_on_when_the_task_is_cancelled() {
    run(|| {
        let mut inner = None;
        let outer = timeout(Duration::ZERO, || {
            inner = shield(|| {
                task_group(|group| {
                    let task = group.spawn(|| {
                        (0..5).for_each(|_| yield_now());
                        Outcome::Ok(7)
                    });
                    Ok(task.join().unwrap())
                })
            })
            .ok();
            yield_now();
        });
        assert!(outer.is_err());
        assert_eq!(inner, Some(7));
    });
}

#[test]
fn an_error_in_a_shield_cancels_the_siblings_outside_of_it() {
    run(|| {
        let notes = RefCell::new(Vec::new());
        let failed = task_group(|group| {
            group.spawn(|| {
                let _note = Note("sibling", &notes);
                Outcome::Ok(park())
            });
            yield_now();
            shield(|| Outcome::<()>::Err("spilled"))
        });
        assert_eq!(all(failed.unwrap_err()), ["spilled"]);
        assert_eq!(*notes.borrow(), ["sibling"]);
    });
}

#[test]
fn locals_of_cancelled_tasks_are_dropped_before_the_group_ends() {
    run(|| {
        let dropped = Cell::new(0);
        task_group(|group| {
            for _ in 0..10 {
                group.spawn(|| {
                    let _count = Count(&dropped);
                    Outcome::Ok(sleep(FOREVER))
                });
            }
            yield_now();
            group.cancel();
            Ok(())
        })
        .unwrap();
        assert_eq!(dropped.get(), 10);
    });
}

#[test]
fn a_function_that_is_unwound_by_another_tasks_cancellation_ends_its_group() {
    run(|| {
        let task = spawn(park);
        task.cancel();
        let ended = task_group(|group| {
            group.spawn(|| Outcome::Ok(park()));
            task.join().unwrap_or_else(|panic| resume_unwind(panic));
            Ok(())
        });
        assert!(ended.unwrap_err().is_cancelled());
    });
}

// --- results ---

#[test]
fn joining_a_task_that_fails_unwinds_the_function() {
    run(|| {
        let mut joined = false;
        let failed = task_group(|group| {
            let task = group.spawn(|| Outcome::<()>::Err("spilled"));
            _ = task.join();
            joined = true;
            Ok(())
        });
        assert_eq!(all(failed.unwrap_err()), ["spilled"]);
        assert!(!joined);
        // From elsewhere it is an error.
        let mut task = None;
        let failed = task_group(|group| {
            task = Some(group.spawn(|| Outcome::<()>::Err("spilled")));
            Ok(())
        });
        assert!(failed.is_err());
        assert_eq!(task.unwrap().join().unwrap_err().reason(), Reason::Sibling);
    });
}

#[test]
fn results_come_as_their_tasks_finish_or_in_order() {
    run(|| {
        let [finished, ordered] = [false, true].map(|in_order| {
            task_group(|group| {
                let mut results = group.results();
                for turns in [5, 1, 3, 2, 4] {
                    results.spawn(move || {
                        (0..turns).for_each(|_| yield_now());
                        Ok::<_, Cancelled>(turns)
                    });
                }
                let first = results.next();
                assert_eq!(first, Some(1));
                Ok(if in_order { results.in_order()? } else { results.collect() })
            })
            .unwrap()
        });
        assert_eq!(finished, [2, 3, 4, 5]);
        assert_eq!(ordered, [5, 3, 2, 4]);
    });
}

#[test]
fn results_of_cancelled_tasks_are_missing() {
    run(|| {
        task_group(|group| {
            let mut results = group.results();
            let tasks: Vec<_> = (0..3)
                .map(|n| {
                    results.spawn(move || {
                        (0..n).for_each(|_| yield_now());
                        Outcome::Ok(n)
                    })
                })
                .collect();
            tasks[1].cancel();
            assert_eq!(results.by_ref().collect::<Vec<_>>(), [0, 2]);
            results.spawn(|| Ok(3));
            assert!(results.in_order().is_err());
            Ok(())
        })
        .unwrap();
    });
}

#[test]
fn who_waits_for_results_is_unwound_when_a_task_fails() {
    run(|| {
        let failed = task_group(|group| {
            let mut results = group.results();
            results.spawn(|| Outcome::Ok(1));
            results.spawn(|| {
                yield_now();
                Err("spilled")
            });
            results.spawn(|| Ok(park()).map(|()| 3));
            Ok(results.by_ref().inspect(|&result| assert_eq!(result, 1)).count())
        });
        assert_eq!(all(failed.unwrap_err()), ["spilled"]);
    });
}

#[test]
fn results_that_nobody_takes_are_dropped_in_the_group() {
    run(|| {
        let dropped = Cell::new(0);
        task_group(|group| {
            let mut results = group.results();
            for _ in 0..3 {
                results.spawn(|| Outcome::Ok(Count(&dropped)));
            }
            drop(results.next());
            Ok(())
        })
        .unwrap();
        assert_eq!(dropped.get(), 3);
    });
}

// --- limits ---

#[test]
fn tasks_above_the_limit_wait_for_their_turn_in_order() {
    run(|| {
        let (running, most, order) = (Cell::new(0), Cell::new(0), RefCell::new(Vec::new()));
        let (running, most, order) = (&running, &most, &order);
        task_group(|group| {
            group.limit(3).unwrap();
            for n in 0..20 {
                group.spawn(move || {
                    running.set(running.get() + 1);
                    most.set(most.get().max(running.get()));
                    order.borrow_mut().push(n);
                    (0..n % 3).for_each(|_| yield_now());
                    running.set(running.get() - 1);
                    Outcome::Ok(())
                });
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(most.get(), 3);
        assert_eq!(*order.borrow(), (0..20).collect::<Vec<_>>());
    });
}

#[test]
fn a_limit_of_none_is_refused_and_changes_nothing() {
    run(|| {
        let done = task_group(|group| {
            group.limit(1)?;
            let refused = group.limit(0).unwrap_err();
            assert_eq!(refused.to_string(), "limit a task group to no tasks at a time: none of them would ever run");
            for _ in 0..3 {
                group.spawn(|| Ok(()));
            }
            Err::<(), std::io::Error>(refused.into())
        });
        assert_eq!(done.unwrap_err().first().unwrap().kind(), std::io::ErrorKind::InvalidInput);
    });
}

#[test]
fn a_limit_that_is_raised_starts_those_that_wait() {
    run(|| {
        let began = Cell::new(0);
        task_group(|group| {
            group.limit(1).unwrap();
            for _ in 0..5 {
                group.spawn(|| {
                    began.set(began.get() + 1);
                    Outcome::Ok(park())
                });
            }
            yield_now();
            assert_eq!(began.get(), 1);
            group.limit(3).unwrap();
            yield_now();
            assert_eq!(began.get(), 3);
            group.limit(usize::MAX).unwrap();
            yield_now();
            assert_eq!(began.get(), 5);
            group.cancel();
            Ok(())
        })
        .unwrap();
    });
}

#[test]
fn tasks_that_wait_for_their_turn_are_cancelled_without_beginning() {
    run(|| {
        let (began, dropped) = (Cell::new(0), Cell::new(0));
        let failed = task_group(|group| {
            group.limit(2).unwrap();
            let tasks: Vec<_> = (0..100)
                .map(|n| {
                    let count = Count(&dropped);
                    let began = &began;
                    group.spawn(move || {
                        began.set(began.get() + 1);
                        let _count = count;
                        yield_now();
                        if n == 1 { Err("spilled") } else { Ok(park()) }
                    })
                })
                .collect();
            // One of those in the middle, before.
            tasks[50].cancel();
            yield_now();
            assert!(tasks[50].is_finished());
            assert_eq!(dropped.get(), 1);
            Ok(())
        });
        assert_eq!(all(failed.unwrap_err()), ["spilled"]);
        assert_eq!((began.get(), dropped.get()), (2, 100));
    });
}

#[test]
fn a_cancelled_task_of_those_that_wait_takes_no_turn() {
    run(|| {
        let began = RefCell::new(Vec::new());
        task_group(|group| {
            group.limit(1).unwrap();
            let tasks: Vec<_> = (0..10)
                .map(|n| {
                    let began = &began;
                    group.spawn(move || {
                        began.borrow_mut().push(n);
                        yield_now();
                        Outcome::Ok(n)
                    })
                })
                .collect();
            for n in [1, 2, 3, 5, 9] {
                tasks[n].cancel();
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(*began.borrow(), [0, 4, 6, 7, 8]);
    });
}

#[test]
fn what_waits_for_its_turn_when_the_loop_ends_is_dropped() {
    let dropped = Rc::new(Cell::new(0));
    run(|| {
        let dropped = Rc::clone(&dropped);
        spawn(move || {
            _ = task_group(|group| {
                group.limit(1).unwrap();
                for _ in 0..5 {
                    let count = Count(&dropped);
                    group.spawn(move || {
                        let _count = count;
                        Outcome::Ok(park())
                    });
                }
                Ok(())
            });
        });
        yield_now();
        yield_now();
    });
    assert_eq!(dropped.get(), 5);
}

// --- spawners ---

#[test]
fn a_spawner_spawns_from_outside_until_the_group_has_ended() {
    run(|| {
        let mut kept = None;
        let done = Rc::new(Cell::new(0));
        task_group(|group| {
            let spawner = group.spawner();
            kept = Some(spawner.clone());
            let done = Rc::clone(&done);
            spawn(move || {
                // The group's function has returned, and this task of it keeps it open.
                let again = spawner.clone();
                let count = Rc::clone(&done);
                let task = spawner.spawn(move || {
                    let inner = Rc::clone(&count);
                    again.spawn(move || Outcome::Ok(inner.set(inner.get() + 1))).unwrap();
                    yield_now();
                    count.set(count.get() + 1);
                    Ok(())
                });
                task.unwrap().join().unwrap();
            });
            (0..3).for_each(|_| yield_now());
            Ok(())
        })
        .unwrap();
        assert_eq!(done.get(), 2);
        let spawner = kept.unwrap();
        assert!(spawner.is_closed());
        let refused = spawner.spawn(|| Ok(7)).unwrap_err();
        assert_eq!(refused.into_function()(), Ok(7));
    });
}

#[test]
fn a_spawner_outside_of_a_loop_gives_the_function_back() {
    let spawner = run(|| {
        let mut kept = None;
        task_group(|group| {
            kept = Some(group.spawner());
            Outcome::Ok(())
        })
        .unwrap();
        kept.unwrap()
    });
    assert!(spawner.spawn(|| Ok(7)).is_err());
}

// --- coroutines, leaks, misuse ---

#[test]
fn a_group_that_a_coroutine_has_taken_to_another_task_ends_there() {
    use kettle_fiber::{Yielder, coroutine};
    run(|| {
        let mut co = coroutine(|y: &mut Yielder<i32>| {
            let local = Cell::new(0);
            let failed = task_group(|group| {
                group.spawn(|| {
                    (0..3).for_each(|_| yield_now());
                    local.set(local.get() + 1);
                    Outcome::Ok(())
                });
                y.yield_(1);
                Ok(())
            });
            y.yield_(if failed.is_ok() { local.get() + 1 } else { 0 });
        });
        assert_eq!(co.next(), Some(1));
        let there = spawn(move || co.next());
        assert_eq!(there.join().unwrap(), Some(2));
        yield_now();
    });
}

#[test]
fn a_group_in_a_coroutine_that_is_dropped_ends_before_that_stack_goes() {
    use kettle_fiber::{Yielder, coroutine};
    run(|| {
        let ended = Rc::new(Cell::new(false));
        let inside = Rc::clone(&ended);
        let mut co = coroutine(move |y: &mut Yielder<()>| {
            let local = Cell::new(0);
            _ = task_group(|group| {
                group.spawn(|| {
                    let local = &local;
                    _ = catch_unwind(AssertUnwindSafe(park));
                    local.set(1);
                    inside.set(true);
                    Outcome::Ok(())
                });
                y.yield_(());
                Ok(())
            });
        });
        co.next();
        yield_now();
        drop(co);
        assert!(ended.get());
    });
}

#[test]
fn a_group_in_a_coroutine_that_is_forgotten_keeps_what_its_tasks_use() {
    use kettle_fiber::{Yielder, coroutine};
    let seen = Rc::new(Cell::new(0));
    run(|| {
        let inside = Rc::clone(&seen);
        spawn(move || {
            let mut co = coroutine(move |y: &mut Yielder<()>| {
                let local = [7; 100];
                _ = task_group(|group| {
                    group.limit(1).unwrap();
                    for _ in 0..3 {
                        group.spawn(|| {
                            yield_now();
                            inside.set(inside.get() + local[50]);
                            Outcome::Ok(())
                        });
                    }
                    group.spawn(|| Ok(park()));
                    y.yield_(());
                    Ok(())
                });
            });
            co.next();
            std::mem::forget(co);
        })
        .join()
        .unwrap();
        (0..20).for_each(|_| yield_now());
    });
    assert_eq!(seen.get(), 21);
}

#[test]
fn handles_may_be_forgotten_and_outlive_their_group() {
    run(|| {
        let mut kept = None;
        task_group(|group| {
            std::mem::forget(group.spawn(|| Outcome::Ok(String::from("forgotten"))));
            kept = Some(group.spawn(|| Ok(String::from("kept"))));
            Ok(())
        })
        .unwrap();
        let kept = kept.unwrap();
        kept.cancel();
        assert_eq!(kept.join().unwrap(), "kept");
    });
}

#[test]
fn a_group_where_nothing_can_wait_panics() {
    struct Opens;
    impl Drop for Opens {
        fn drop(&mut self) {
            let message = catch_unwind(|| task_group(|_| Outcome::Ok(())).is_ok()).unwrap_err();
            assert!(message.downcast_ref::<&str>().unwrap().starts_with("open a task group where nothing can wait"));
        }
    }
    run(|| {
        assert!(spawn_future(async { drop(Opens) }).join().is_ok());
        let unwound = payload(|| {
            let _opens = Opens;
            panics::<()>("spilled")
        });
        assert_eq!(unwound, "spilled");
    });
}

#[test]
fn a_scope_in_a_group_is_cancelled_with_it() {
    run(|| {
        let notes = RefCell::new(Vec::new());
        let failed = task_group(|group| {
            group.spawn(|| {
                scope(|s| {
                    s.spawn(|| {
                        let _note = Note("in the scope", &notes);
                        park();
                    });
                });
                Outcome::Ok(())
            });
            (0..3).for_each(|_| yield_now());
            Outcome::<()>::Err("spilled")
        });
        assert_eq!(all(failed.unwrap_err()), ["spilled"]);
        assert_eq!(*notes.borrow(), ["in the scope"]);
    });
}

// --- put together beforehand ---

#[test]
fn a_panic_of_a_prepared_task_cancels_the_others() {
    let notes = Rc::new(RefCell::new(Vec::new()));
    let inside = Rc::clone(&notes);
    let waits = Task::new(move || {
        let _note = Note("cancelled", &inside);
        park();
    });
    let tasks = TaskGroup::from([waits, Task::new(|| panics("spilled"))]);
    assert_eq!(payload(|| EventLoop::new().unwrap().run(tasks)), "spilled");
    assert_eq!(*notes.borrow(), ["cancelled"]);
}

// --- futures ---

#[test]
fn a_future_of_a_group_fails_and_is_cancelled_as_tasks_are() {
    run(|| {
        let notes = RefCell::new(Vec::new());
        let cups = [1, 2, 3];
        let given = task_group(|group| {
            let counted = group.spawn_future(async {
                future::yield_now().await;
                Outcome::Ok(cups.len())
            });
            Ok(counted.join())
        });
        assert_eq!(given.unwrap(), Ok(3));

        let failed = task_group(|group| {
            group.spawn_future(async {
                let _note = Note("future", &notes);
                Ok(future::sleep(FOREVER).await)
            });
            group.spawn(|| {
                let _note = Note("task", &notes);
                Ok(park())
            });
            group.spawn_future(async {
                future::yield_now().await;
                Outcome::<()>::Err("spilled")
            });
            let _note = Note("function", &notes);
            Ok(park())
        });
        assert_eq!(all(failed.unwrap_err()), ["spilled"]);
        notes.borrow_mut().sort_unstable();
        assert_eq!(*notes.borrow(), ["function", "future", "task"]);
    });
}

#[test]
fn a_panic_of_a_future_is_resumed_or_kept() {
    run(|| {
        let resumed = payload(|| {
            task_group(|group| {
                group.spawn_future(async { panics::<Outcome>("spilled") });
                Ok(park())
            })
        });
        assert_eq!(resumed, "spilled");

        let kept = task_group(|group| {
            group.keep_panics();
            group.spawn_future(async { panics::<Outcome>("spilled") });
            Ok(park())
        });
        assert_eq!(kept.unwrap_err().into_panics()[0].downcast_ref(), Some(&"spilled"));
    });
}

#[test]
fn a_future_waits_for_its_turn_under_a_limit() {
    run(|| {
        let (now, most) = (Cell::new(0), Cell::new(0));
        let given = task_group(|group| {
            group.limit(2).unwrap();
            for _ in 0..5 {
                group.spawn_future(async {
                    now.set(now.get() + 1);
                    most.set(most.get().max(now.get()));
                    future::yield_now().await;
                    now.set(now.get() - 1);
                    Outcome::Ok(())
                });
            }
            Ok(())
        });
        assert_eq!((given.is_ok(), most.get(), now.get()), (true, 2, 0));
    });
}

#[test]
fn an_error_that_panics_when_it_is_dropped_leaves_no_task_behind() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            resume_unwind(Box::new("the error's"));
        }
    }
    run(|| {
        let has_ended = Cell::new(false);
        let thrown = catch_unwind(AssertUnwindSafe(|| {
            task_group(|group| {
                group.spawn(|| {
                    shield(|| (0..9).for_each(|_| yield_now()));
                    has_ended.set(true);
                    Ok(())
                });
                yield_now();
                group.cancel();
                // Told, so what it gives is taken for its cancellation, and dropped.
                assert_eq!(kettle_rt::checkpoint(), kettle_rt::Outcome::Cancelled);
                Err::<(), _>(Bomb)
            })
            .is_ok()
        }));
        assert_eq!(thrown.unwrap_err().downcast_ref(), Some(&"the error's"));
        assert!(has_ended.get());
    });
}
