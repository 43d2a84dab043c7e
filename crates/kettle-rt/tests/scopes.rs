//! Scopes: their tasks borrow, and have ended when the scope has.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_rt::{Cancelled, EventLoop, scope, sleep, spawn, yield_now};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

fn run<T>(f: impl FnOnce() -> T) -> T {
    EventLoop::new().unwrap().run(f)
}

#[test]
fn tasks_of_a_scope_borrow_from_their_parent() {
    run(|| {
        let cups = [1, 2, 3];
        let mut poured = 0;
        let sum = scope(|s| {
            let sum = s.spawn(|| cups.iter().sum::<i32>());
            s.spawn(|| poured = cups.len());
            sum.join().unwrap()
        });
        assert_eq!((sum, poured), (6, 3));
    });
}

#[test]
fn a_scope_waits_for_tasks_that_nobody_joins() {
    run(|| {
        let done = Cell::new(0);
        scope(|s| {
            for _ in 0..10 {
                s.spawn(|| {
                    yield_now();
                    done.set(done.get() + 1);
                });
            }
        });
        assert_eq!(done.get(), 10);
    });
}

#[test]
fn a_task_of_a_scope_spawns_others_of_it() {
    run(|| {
        let order = RefCell::new(Vec::new());
        scope(|s| {
            s.spawn(|| {
                s.spawn(|| {
                    yield_now();
                    order.borrow_mut().push("grandchild");
                });
                order.borrow_mut().push("child");
            });
        });
        assert_eq!(*order.borrow(), ["child", "grandchild"]);
    });
}

#[test]
fn forgetting_a_handle_does_not_keep_a_scope_from_ending() {
    run(|| {
        let mut n = 0;
        scope(|s| std::mem::forget(s.spawn(|| n = 1)));
        assert_eq!(n, 1);
    });
}

#[test]
fn when_the_parent_panics_its_tasks_end_before_its_frame_goes() {
    let notes = Rc::new(RefCell::new(Vec::new()));
    run(|| {
        let panic = catch_unwind(AssertUnwindSafe(|| {
            let local = String::from("still there");
            let notes = Rc::clone(&notes);
            scope(|s| {
                s.spawn(|| {
                    yield_now();
                    notes.borrow_mut().push(local.clone());
                });
                resume_unwind(Box::new("spilled"));
            })
        }));
        assert_eq!(*panic.unwrap_err().downcast::<&str>().unwrap(), "spilled");
        assert_eq!(*notes.borrow(), ["still there"]);
    });
}

#[test]
fn a_panic_that_nobody_joins_is_the_scopes() {
    run(|| {
        let others = Cell::new(0);
        let panic = catch_unwind(AssertUnwindSafe(|| {
            scope(|s| {
                s.spawn(|| resume_unwind(Box::new(())));
                s.spawn(|| {
                    yield_now();
                    others.set(1);
                });
            })
        }));
        assert_eq!(*panic.unwrap_err().downcast::<&str>().unwrap(), "a scoped task panicked");
        assert_eq!(others.get(), 1);
        // Also if its handle is dropped when it has panicked.
        let panic = catch_unwind(|| {
            scope(|s| {
                let handle = s.spawn(|| resume_unwind(Box::new(())));
                yield_now();
                drop(handle);
            })
        });
        assert!(panic.is_err());
    });
}

#[test]
fn a_panic_whose_handle_is_forgotten_is_the_scopes() {
    run(|| {
        let forget = || scope(|s| std::mem::forget(s.spawn(|| resume_unwind(Box::new("boom")))));
        assert!(catch_unwind(forget).is_err());
    });
}

#[test]
fn a_panic_that_is_joined_is_not_the_scopes() {
    run(|| {
        scope(|s| {
            let handle = s.spawn(|| resume_unwind(Box::new("spilled")));
            let _: Result<(), _> = handle.join().map(|(): ()| ()).map_err(|panic| assert!(panic.is::<&str>()));
        });
    });
}

#[test]
fn a_cancelled_parent_waits_for_its_scope_and_is_unwound_then() {
    struct Note<'a>(&'static str, &'a RefCell<Vec<&'static str>>);
    impl Drop for Note<'_> {
        fn drop(&mut self) {
            self.1.borrow_mut().push(self.0);
        }
    }
    let notes = Rc::new(RefCell::new(Vec::new()));
    let handle = run(|| {
        let log = Rc::clone(&notes);
        let handle = spawn(move || {
            let _parent = Note("parent", &log);
            scope(|s| {
                s.spawn(|| {
                    let _child = Note("child", &log);
                    sleep(Duration::MAX);
                });
                sleep(Duration::MAX);
            });
            log.borrow_mut().push("not reached");
        });
        yield_now();
        yield_now();
        handle
    });
    assert!(handle.join().unwrap_err().is::<Cancelled>());
    assert_eq!(*notes.borrow(), ["child", "parent"]);
}

#[test]
fn a_scope_whose_tasks_are_cancelled_is_cancelled_and_has_not_panicked() {
    let handle = run(|| {
        let handle = spawn(|| scope(|s| s.spawn(kettle_rt::park).is_finished()));
        yield_now();
        yield_now();
        handle
    });
    assert!(handle.join().unwrap_err().is::<Cancelled>());
}

#[test]
fn a_result_that_waits_while_it_is_dropped_is_still_of_the_scope() {
    struct Slow<'a>(&'a Cell<u32>);
    impl Drop for Slow<'_> {
        fn drop(&mut self) {
            for _ in 0..5 {
                yield_now();
                self.0.set(self.0.get() + 1);
            }
        }
    }
    run(|| {
        let drops = Cell::new(0);
        scope(|s| {
            s.spawn(|| Slow(&drops));
        });
        assert_eq!(drops.get(), 5);
    });
}

#[test]
fn scopes_nest() {
    run(|| {
        let total = Cell::new(0);
        scope(|outer| {
            for _ in 0..3 {
                outer.spawn(|| {
                    scope(|inner| {
                        for _ in 0..3 {
                            inner.spawn(|| total.set(total.get() + 1));
                        }
                    });
                    total.set(total.get() + 10);
                });
            }
        });
        assert_eq!(total.get(), 39);
    });
}

#[test]
fn a_scope_in_a_coroutine_that_is_dropped_ends_before_that_stack_goes() {
    use kettle_fiber::{Yielder, coroutine};
    run(|| {
        let ended = Rc::new(Cell::new(false));
        let inside = Rc::clone(&ended);
        let mut co = coroutine(move |y: &mut Yielder<()>| {
            let local = Cell::new(0);
            scope(|s| {
                s.spawn(|| {
                    for _ in 0..3 {
                        yield_now();
                        local.set(local.get() + 1);
                    }
                    inside.set(true);
                });
                y.yield_(());
            });
        });
        co.next();
        drop(co);
        assert!(ended.get());
    });
}

#[test]
fn a_scope_that_a_coroutine_has_taken_to_another_task_is_waited_for_there() {
    use kettle_fiber::{Yielder, coroutine};
    run(|| {
        let mut co = coroutine(|y: &mut Yielder<u32>| {
            let local = Cell::new(0);
            scope(|s| {
                s.spawn(|| {
                    for _ in 0..3 {
                        yield_now();
                        local.set(local.get() + 1);
                    }
                });
                y.yield_(1);
            });
            y.yield_(local.get());
        });
        assert_eq!(co.next(), Some(1));
        let there = spawn(move || co.next());
        assert_eq!(there.join().unwrap(), Some(3));
    });
}
