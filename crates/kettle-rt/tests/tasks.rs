//! Tasks: how they are run, joined, left alone, and how they end.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_rt::{Builder, Cancelled, EventLoop, JoinHandle, Task, TaskGroup, sleep, spawn, yield_now};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

type Notes = Rc<RefCell<Vec<&'static str>>>;

/// Writes its name when it is dropped.
struct Note(&'static str, Notes);

impl Drop for Note {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

fn run<T>(f: impl FnOnce() -> T) -> T {
    EventLoop::new().unwrap().run(f)
}

fn forever() {
    sleep(Duration::MAX);
}

#[test]
fn run_gives_what_its_function_returns_and_may_borrow() {
    let mut cups = vec![1];
    let len = run(|| {
        cups.push(2);
        cups.len()
    });
    assert_eq!((len, cups), (2, vec![1, 2]));
}

#[test]
fn a_loop_can_run_again() {
    let mut event_loop = EventLoop::new().unwrap();
    for n in 0..3 {
        assert_eq!(event_loop.run(|| spawn(move || n).join().unwrap()), n);
    }
}

#[test]
fn a_panic_of_the_root_passes_through_run_when_the_others_have_ended() {
    let notes = Notes::default();
    let log = Rc::clone(&notes);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        run(|| {
            spawn(move || {
                let _note = Note("left behind", log);
                forever();
            });
            yield_now();
            resume_unwind(Box::new("spilled"));
        })
    }));
    assert_eq!(*panic.unwrap_err().downcast::<&str>().unwrap(), "spilled");
    assert_eq!(*notes.borrow(), ["left behind"]);
}

#[test]
fn a_run_inside_of_a_run_panics_and_says_what_to_do() {
    let panic = run(|| catch_unwind(|| run(|| ())).unwrap_err());
    assert!(panic.downcast::<&str>().unwrap().contains("spawn a task instead"));
}

#[test]
fn a_refused_run_keeps_nothing_of_what_its_function_borrows() {
    let text = String::from("borrowed");
    let mut inner = EventLoop::new().unwrap();
    run(|| {
        let drops = Cell::new(0);
        struct Counts<'a>(&'a Cell<u32>);
        impl Drop for Counts<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        let counts = Counts(&drops);
        assert!(catch_unwind(AssertUnwindSafe(|| inner.run(move || drop(counts)))).is_err());
        assert_eq!(drops.get(), 1);
    });
    assert_eq!(inner.run(|| text.len()), 8);
}

#[test]
fn threads_have_loops_of_their_own() {
    let threads: Vec<_> =
        (0..4).map(|n| std::thread::spawn(move || run(|| spawn(move || n * 2).join().unwrap()))).collect();
    let sum: i32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(sum, 12);
}

#[test]
fn tasks_run_in_the_order_in_which_they_were_spawned() {
    let order = Rc::new(RefCell::new(Vec::new()));
    run(|| {
        let tasks: Vec<_> = (0..100)
            .map(|n| {
                let order = Rc::clone(&order);
                spawn(move || order.borrow_mut().push(n))
            })
            .collect();
        assert!(order.borrow().is_empty(), "nothing runs before its turn");
        for task in tasks {
            task.join().unwrap();
        }
    });
    assert_eq!(*order.borrow(), (0..100).collect::<Vec<_>>());
}

#[test]
fn tasks_that_yield_take_turns() {
    let order = Rc::new(RefCell::new(Vec::new()));
    run(|| {
        let task = |name| {
            let order = Rc::clone(&order);
            move || {
                for _ in 0..3 {
                    order.borrow_mut().push(name);
                    yield_now();
                }
            }
        };
        let (a, b) = (spawn(task('a')), spawn(task('b')));
        a.join().unwrap();
        b.join().unwrap();
    });
    assert_eq!(order.borrow().iter().collect::<String>(), "ababab");
}

#[test]
fn a_task_that_never_waits_for_long_does_not_keep_others_from_waking() {
    run(|| {
        let done = Rc::new(Cell::new(false));
        let sleeper = Rc::clone(&done);
        spawn(move || {
            sleep(Duration::from_millis(1));
            sleeper.set(true);
        });
        while !done.get() {
            yield_now();
        }
    });
}

#[test]
fn joining_gives_the_payload_of_a_panic_and_others_are_unharmed() {
    let in_use = || kettle_fiber::pool::usage().iter().map(|size| size.in_use).sum::<usize>();
    let before = in_use();
    run(|| {
        let mut tasks: Vec<JoinHandle<u32>> = (0..10_000)
            .map(|n| {
                spawn(move || {
                    yield_now();
                    if n == 5000 {
                        resume_unwind(Box::new("spilled"));
                    }
                    n
                })
            })
            .collect();
        let one = tasks.remove(5000);
        assert_eq!(*one.join().unwrap_err().downcast::<&str>().unwrap(), "spilled");
        let sum: u32 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
        assert_eq!(sum, (0..10_000).sum::<u32>() - 5000);
        // The root's.
        assert_eq!(in_use(), before + 1);
    });
    assert_eq!(in_use(), before);
}

#[test]
fn a_dropped_handle_lets_the_task_run_on() {
    let done = Rc::new(Cell::new(false));
    run(|| {
        let detached = Rc::clone(&done);
        drop(spawn(move || {
            yield_now();
            detached.set(true);
        }));
        while !done.get() {
            yield_now();
        }
    });
}

#[test]
fn a_forgotten_handle_is_harmless() {
    let held = Rc::new(());
    run(|| {
        let result = Rc::clone(&held);
        std::mem::forget(spawn(move || result));
        yield_now();
    });
    assert_eq!(Rc::strong_count(&held), 2, "the result of a forgotten handle is forgotten");
}

#[test]
fn a_result_that_nobody_asks_for_is_dropped() {
    let notes = Notes::default();
    run(|| {
        let note = Note("result", Rc::clone(&notes));
        drop(spawn(move || note));
        yield_now();
        assert_eq!(*notes.borrow(), ["result"]);
        let note = Note("later", Rc::clone(&notes));
        let handle = spawn(move || note);
        yield_now();
        assert_eq!(*notes.borrow(), ["result"]);
        drop(handle);
        assert_eq!(*notes.borrow(), ["result", "later"]);
    });
}

#[test]
fn a_result_whose_destructor_panics_harms_nobody() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            resume_unwind(Box::new("boom"));
        }
    }
    run(|| {
        drop(spawn(|| Bomb));
        yield_now();
        let handle = spawn(|| Bomb);
        yield_now();
        assert!(catch_unwind(AssertUnwindSafe(|| drop(handle))).is_err());
    });
}

#[test]
fn what_still_runs_when_the_root_returns_is_unwound_where_it_waits() {
    let notes = Notes::default();
    run(|| {
        for name in ["first", "second", "third"] {
            let note = Note(name, Rc::clone(&notes));
            spawn(move || {
                let _note = note;
                forever();
            });
        }
        yield_now();
    });
    assert_eq!(*notes.borrow(), ["third", "second", "first"], "the last ones first");
}

#[test]
fn what_has_not_started_when_the_root_returns_is_dropped_and_never_runs() {
    let notes = Notes::default();
    let handle = run(|| {
        let note = Note("captured", Rc::clone(&notes));
        spawn(move || note.1.borrow_mut().push("ran"))
    });
    assert_eq!(*notes.borrow(), ["captured"]);
    assert!(handle.join().unwrap_err().is::<Cancelled>());
}

#[test]
fn swallowing_a_cancellation_does_not_help() {
    let rounds = Rc::new(Cell::new(0));
    let count = Rc::clone(&rounds);
    run(|| {
        spawn(move || {
            // One attempt too few to stop it: it is raised again at each checkpoint.
            for _ in 0..3 {
                assert!(catch_unwind(forever).unwrap_err().is::<Cancelled>());
                count.set(count.get() + 1);
            }
            forever();
        });
        yield_now();
    });
    assert_eq!(rounds.get(), 3);
}

#[test]
fn a_cancellation_is_an_error_once_and_then_unwinds_whoever_ignores_errors() {
    use kettle_rt::{Outcome, checkpoint};
    let told = Rc::new(Cell::new(0));
    let count = Rc::clone(&told);
    let handle = run(|| {
        let handle = spawn(move || {
            loop {
                yield_now_without_unwinding();
                if checkpoint() == Outcome::Cancelled {
                    count.set(count.get() + 1);
                }
            }
        });
        yield_now();
        handle
    });
    assert!(handle.join().unwrap_err().is::<Cancelled>());
    assert_eq!(told.get(), 1);
}

/// Lets the root go first, which cancels.
fn yield_now_without_unwinding() {
    _ = catch_unwind(yield_now);
}

#[test]
fn a_destructor_of_a_cancelled_task_may_spawn_and_that_task_is_cancelled_too() {
    struct Spawns(Notes);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let note = Note("spawned late", Rc::clone(&self.0));
            spawn(move || note.1.borrow_mut().push("ran"));
        }
    }
    let notes = Notes::default();
    run(|| {
        let spawns = Spawns(Rc::clone(&notes));
        spawn(move || {
            let _spawns = spawns;
            forever();
        });
        yield_now();
    });
    assert_eq!(*notes.borrow(), ["spawned late"]);
}

#[test]
fn a_handle_outlives_its_loop() {
    let (ended, cancelled) = run(|| {
        let handles = (spawn(|| vec![1, 2, 3]), spawn(forever));
        yield_now();
        handles
    });
    assert!(ended.is_finished() && cancelled.is_finished());
    assert_eq!(ended.join().unwrap(), [1, 2, 3]);
    assert!(cancelled.join().unwrap_err().is::<Cancelled>());
    let left = run(|| spawn(|| Box::new(5)));
    drop(left);
}

#[test]
fn joining_oneself_panics() {
    run(|| {
        let own = Rc::new(RefCell::new(None::<JoinHandle<()>>));
        let inside = Rc::clone(&own);
        // A panic with a message prints a backtrace.
        let roomy = Builder::new().stack_size(256 * 1024);
        let joins_itself = move || {
            let own = inside.borrow_mut().take().unwrap();
            let panic = catch_unwind(AssertUnwindSafe(|| own.join())).unwrap_err();
            assert!(panic.downcast::<String>().unwrap().contains("join a task from itself"));
        };
        let handle = roomy.spawn(joins_itself).unwrap();
        *own.borrow_mut() = Some(handle);
        yield_now();
        assert!(own.borrow().is_none());
    });
}

#[test]
fn the_message_of_a_wrong_call_names_the_line_that_made_it() {
    use std::panic::{set_hook, take_hook};
    use std::sync::{Arc, Mutex};
    thread_local! {
        static FILES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }
    let printed = Arc::new(Mutex::new(take_hook()));
    let before = Arc::clone(&printed);
    set_hook(Box::new(move |info| {
        FILES.with(|files| files.borrow_mut().push(info.location().unwrap().file().into()));
        before.lock().unwrap()(info);
    }));
    run(|| {
        assert!(catch_unwind(|| run(|| ())).is_err());
        let panics = || kettle_rt::scope(|s| drop(s.spawn(|| resume_unwind(Box::new("boom")))));
        assert!(catch_unwind(panics).is_err());
    });
    assert_eq!(FILES.take(), [file!(); 2]);
}

#[test]
fn functions_and_results_of_any_size_and_alignment_are_kept() {
    #[repr(align(256))]
    struct Aligned([u8; 256]);
    run(|| {
        assert_eq!(spawn(|| ()).join().unwrap(), ());
        let large = [7_u8; 30_000];
        let handle = Builder::new().stack_size(256 * 1024).spawn(move || large).unwrap();
        assert!(handle.join().unwrap().iter().all(|byte| *byte == 7));
        let aligned = Aligned([9; 256]);
        let handle = spawn(move || {
            assert!((&raw const aligned).addr().is_multiple_of(256));
            aligned
        });
        let aligned = handle.join().unwrap();
        assert!((&raw const aligned).addr().is_multiple_of(256));
        assert!(aligned.0.iter().all(|byte| *byte == 9));
        for size in [0, 8, 100, 1000] {
            let text = "k".repeat(size);
            assert_eq!(spawn(move || (text, [size; 20])).join().unwrap().0.len(), size);
        }
    });
}

#[test]
fn the_three_parts_by_their_names() {
    let kettle = Task::new(|| "the water boils").name("kettle");
    let tasks = TaskGroup::from([kettle, Task::new(|| "television")]);
    assert_eq!(EventLoop::new().unwrap().run(tasks), ["the water boils", "television"]);
}

#[test]
fn a_group_panics_with_its_first_panic_when_all_have_ended() {
    struct Ended(Rc<Cell<i32>>);
    impl Drop for Ended {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let done = Rc::new(Cell::new(0));
    let task = |fails: bool| {
        let ended = Ended(Rc::clone(&done));
        Task::new(move || {
            let _ended = ended;
            yield_now();
            if fails {
                resume_unwind(Box::new("spilled"));
            }
        })
    };
    let group: TaskGroup<()> = [task(false), task(true), task(false)].into_iter().collect();
    let panic = catch_unwind(AssertUnwindSafe(|| run(|| group.join_all()))).unwrap_err();
    assert!(panic.is::<&str>());
    assert_eq!(done.get(), 3);
}

#[test]
fn a_stack_that_can_not_be_had_is_what_joining_gives() {
    run(|| {
        let held = Rc::new(());
        let captured = Rc::clone(&held);
        let handle = Builder::new().stack_size(usize::MAX / 4).spawn(move || drop(captured)).unwrap();
        let panic = handle.join().unwrap_err();
        assert!(panic.downcast::<String>().unwrap().contains("bytes of memory"));
        assert_eq!(Rc::strong_count(&held), 1);
    });
}

#[test]
fn a_million_tasks_end() {
    let count = Rc::new(Cell::new(0));
    run(|| {
        let tasks: Vec<_> = (0..1_000_000)
            .map(|_| {
                let count = Rc::clone(&count);
                spawn(move || count.set(count.get() + 1))
            })
            .collect();
        for task in tasks {
            task.join().unwrap();
        }
    });
    assert_eq!(count.get(), 1_000_000);
}
