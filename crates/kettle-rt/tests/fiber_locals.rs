//! Fiber-locals: each task has its own, and they end with it.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_rt::future::{self, wait};
use kettle_rt::{EventLoop, fiber_local, in_fiber, scope, spawn, spawn_future, yield_now};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

fn run<T>(f: impl FnOnce() -> T) -> T {
    EventLoop::new().unwrap().run(f)
}

type Notes = Rc<RefCell<Vec<String>>>;

/// Notes when it goes, and what it finds then.
struct Ends {
    name: &'static str,
    notes: Notes,
    looks: fn() -> String,
}

impl Drop for Ends {
    fn drop(&mut self) {
        let seen = (self.looks)();
        self.notes.borrow_mut().push(format!("{}{seen}", self.name));
    }
}

fiber_local! {
    static COUNT: Cell<u32> = const { Cell::new(7) };
    static FIRST: RefCell<Option<Ends>> = RefCell::new(None);
    static SECOND: RefCell<Option<Ends>> = RefCell::new(None);
    static LAZY: RefCell<Vec<u32>> = RefCell::new(vec![COUNT.get()]);
}

fn ends(name: &'static str, notes: &Notes, looks: fn() -> String) -> Option<Ends> {
    Some(Ends { name, notes: Rc::clone(notes), looks })
}

fn nothing() -> String {
    String::new()
}

#[test]
fn each_task_has_its_own_and_so_has_the_thread() {
    COUNT.set(1);
    run(|| {
        assert_eq!(COUNT.get(), 7);
        COUNT.set(2);
        scope(|s| {
            for n in 10..13 {
                s.spawn(move || {
                    assert_eq!(COUNT.replace(n), 7);
                    yield_now();
                    assert_eq!(COUNT.take(), n);
                    assert_eq!(COUNT.get(), 0);
                });
            }
        });
        assert_eq!(COUNT.get(), 2);
    });
    assert_eq!(COUNT.get(), 1);
}

#[test]
fn values_are_made_when_they_are_looked_at() {
    run(|| {
        COUNT.set(3);
        assert_eq!(LAZY.take(), [3]);
        LAZY.with_borrow_mut(|lazy| lazy.push(4));
        assert_eq!(LAZY.with_borrow(Vec::len), 1);
        assert_eq!(LAZY.replace(vec![]), [4]);
        spawn(|| {
            LAZY.set(vec![1, 2]);
            assert_eq!(LAZY.take(), [1, 2]);
        })
        .join()
        .unwrap();
    });
}

#[test]
fn values_end_with_their_task_the_last_one_first() {
    let endings: [fn(); 3] = [|| (), || resume_unwind(Box::new(())), kettle_rt::park];
    for (number, ending) in endings.into_iter().enumerate() {
        let notes = Notes::default();
        run(|| {
            let inside = Rc::clone(&notes);
            let task = spawn(move || {
                FIRST.set(ends("first", &inside, nothing));
                SECOND.set(ends("second", &inside, nothing));
                let _local = ends("local", &inside, nothing);
                ending();
            });
            yield_now();
            task.cancel();
            assert_eq!(task.join().is_ok(), number == 0);
            assert_eq!(*notes.borrow(), ["local", "second", "first"]);
        });
    }
}

#[test]
fn a_destructor_finds_what_was_made_before_and_is_told_what_has_gone() {
    let looks = || {
        let first = FIRST.try_with(|_| ()).map_or_else(|error| error.to_string(), |()| "there".to_owned());
        let second = SECOND.try_with(|_| ()).map_or_else(|error| error.to_string(), |()| "there".to_owned());
        format!(": {first}; {second}; {}", COUNT.get())
    };
    let notes = Notes::default();
    let gone = "look at a fiber-local that has gone: its task or thread is ending";
    let expected = [format!("second: there; {gone}; 7"), format!("first: {gone}; {gone}; 7")];
    let make = move |notes: &Notes| {
        assert_eq!(COUNT.get(), 7);
        FIRST.set(ends("first", notes, looks));
        SECOND.set(ends("second", notes, looks));
    };
    run(|| {
        let inside = Rc::clone(&notes);
        spawn(move || make(&inside)).join().unwrap();
    });
    assert_eq!(*notes.borrow(), expected);
    // The same outside of tasks, where a thread ends.
    let (said, heard) = mpsc::channel();
    struct Tells(Notes, mpsc::Sender<Vec<String>>);
    impl Drop for Tells {
        fn drop(&mut self) {
            self.1.send(self.0.take()).unwrap();
        }
    }
    fiber_local!(static TELLS: RefCell<Option<Tells>> = RefCell::new(None));
    thread::spawn(move || {
        let notes = Notes::default();
        TELLS.set(Some(Tells(Rc::clone(&notes), said)));
        make(&notes);
    })
    .join()
    .unwrap();
    assert_eq!(heard.recv().unwrap(), expected);
}

#[test]
fn a_value_that_is_made_while_others_end_ends_as_well() {
    let notes = Notes::default();
    run(|| {
        let inside = Rc::clone(&notes);
        spawn(move || {
            thread_local!(static NOTES: RefCell<Notes> = RefCell::default());
            NOTES.set(Rc::clone(&inside));
            FIRST.set(ends("first", &inside, || {
                SECOND.set(ends("second", &NOTES.take(), nothing));
                String::new()
            }));
        })
        .join()
        .unwrap();
        assert_eq!(*notes.borrow(), ["first", "second"]);
    });
}

#[test]
fn a_destructor_may_wait_and_its_panic_is_the_tasks() {
    struct Waits(Rc<Cell<bool>>);
    impl Drop for Waits {
        fn drop(&mut self) {
            yield_now();
            self.0.set(true);
            resume_unwind(Box::new("spilled"));
        }
    }
    fiber_local!(static WAITS: RefCell<Option<Waits>> = RefCell::new(None));
    run(|| {
        let ended = Rc::new(Cell::new(false));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            scope(|s| {
                s.spawn(|| WAITS.set(Some(Waits(Rc::clone(&ended)))));
            });
        }));
        assert!(panicked.is_err());
        assert!(ended.get());
    });
}

#[test]
fn looking_may_suspend_and_make_others() {
    run(|| {
        let tasks: Vec<_> = (0..10)
            .map(|n| {
                spawn(move || {
                    COUNT.with(|count| {
                        count.set(n);
                        yield_now();
                        LAZY.set(vec![]);
                        FIRST.with_borrow(|_| SECOND.with_borrow(|_| yield_now()));
                        count.get()
                    })
                })
            })
            .collect();
        for (n, task) in (0..).zip(tasks) {
            assert_eq!(task.join().unwrap(), n);
        }
    });
}

#[test]
fn a_value_that_a_coroutine_looks_at_outlives_its_task() {
    use kettle_fiber::{Yielder, coroutine};
    let notes = Notes::default();
    let make = || {
        let notes = Rc::clone(&notes);
        run(|| {
            spawn(move || {
                FIRST.set(ends("first", &notes, nothing));
                let mut co = coroutine(|y: &mut Yielder<&'static str>| {
                    FIRST.with(|first| {
                        y.yield_("looking");
                        y.yield_(first.borrow().as_ref().unwrap().name);
                    });
                    // This task's or thread's own.
                    assert!(FIRST.with_borrow(Option::is_none));
                });
                assert_eq!(co.next(), Some("looking"));
                co
            })
            .join()
            .unwrap()
        })
    };
    let mut co = make();
    assert!(notes.borrow().is_empty());
    assert_eq!(co.next(), Some("first"));
    assert_eq!(co.next(), None);
    assert_eq!(*notes.borrow(), ["first"]);
    // One that is forgotten keeps it for good.
    std::mem::forget(make());
    assert_eq!(notes.borrow().len(), 1);
}

#[test]
fn a_value_that_is_made_while_it_is_made_is_made_once() {
    fiber_local!(static TWICE: RefCell<u32> = RefCell::new(inner()));
    fn inner() -> u32 {
        TWICE.set(1);
        2
    }
    run(|| assert_eq!(TWICE.take(), 1));
}

#[test]
fn a_task_that_is_a_future_sees_those_of_its_thread() {
    fiber_local!(static CUPS: Cell<u32> = const { Cell::new(0) });
    thread::spawn(|| {
        CUPS.set(1);
        run(|| {
            CUPS.set(10);
            let polled = spawn_future(async {
                CUPS.set(CUPS.get() + 1);
                future::yield_now().await;
                // What it calls a fiber of has its own.
                let fiber = in_fiber(|| CUPS.get()).await;
                CUPS.set(CUPS.get() + 1);
                (CUPS.get(), fiber)
            });
            assert_eq!(polled.join().unwrap(), (3, 0));
            // Two of them share it, and the task that waits for a future has its own in there.
            let other = spawn_future(async { CUPS.get() });
            assert_eq!((wait(async { CUPS.get() }), other.join().unwrap()), (10, 3));
        });
        assert_eq!(CUPS.get(), 3);
    })
    .join()
    .unwrap();
}
