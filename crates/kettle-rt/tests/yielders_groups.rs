//! Coroutines that have a task group open when they are dropped: what unwinds them is no failure of the group's.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_fiber::{Coroutine, Yielder, coroutine};
use kettle_gen::{Generator, State};
use kettle_rt::{
    Cancelled, EventLoop, Group, Reason, cancel_scope, park, scope, spawn, task_group, timeout, yield_now,
};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

fn run<T>(f: impl FnOnce() -> T) -> T {
    EventLoop::new().unwrap().run(f)
}

/// What a body has come to.
type Said = Rc<RefCell<Vec<&'static str>>>;

/// A coroutine that yields in a group, and what it says if it goes on after that.
fn yields_in_group(
    prepare: impl for<'scope> FnOnce(&'scope Group<'scope, '_, &'static str>) + 'static,
) -> (Coroutine<u8>, Said) {
    let said = Said::default();
    let says = Rc::clone(&said);
    let mut co = coroutine(move |y: &mut Yielder<u8>| {
        struct Ends(Said);
        impl Drop for Ends {
            fn drop(&mut self) {
                self.0.borrow_mut().push("unwound");
            }
        }
        let _ends = Ends(Rc::clone(&says));
        let group = task_group(|group| {
            prepare(group);
            y.yield_(1);
            Ok(())
        });
        says.borrow_mut().push(if group.is_ok() { "ok" } else { "failed" });
        y.yield_(2);
    });
    assert_eq!(co.next(), Some(1));
    (co, said)
}

/// The same, begun by a task that has ended: so nobody is cancelled with the group but its tasks.
fn orphan(
    prepare: impl for<'scope> FnOnce(&'scope Group<'scope, '_, &'static str>) + 'static,
) -> (Coroutine<u8>, Said) {
    spawn(|| yields_in_group(prepare)).join().unwrap()
}

#[test]
fn a_group_that_keeps_panics_passes_on_what_drops_a_coroutine() {
    run(|| {
        let (co, said) = yields_in_group(|group| group.keep_panics());
        drop(co);
        assert_eq!(*said.borrow(), ["unwound"]);
        let (mut co, said) = yields_in_group(|group| group.keep_panics());
        co.close().unwrap();
        assert_eq!((co.state(), &**said.borrow()), (State::Finished, &["unwound"][..]));
    });
}

#[test]
fn a_group_whose_coroutine_is_dropped_ends_its_tasks_and_waits_for_them() {
    for keeps in [false, true] {
        let tasks = Rc::new(RefCell::new(Vec::new()));
        run(|| {
            let began = Rc::clone(&tasks);
            let (co, said) = orphan(move |group| {
                if keeps {
                    group.keep_panics();
                }
                for reason in [false, true] {
                    let began = Rc::clone(&began);
                    group.spawn(move || {
                        let ended = catch_unwind(AssertUnwindSafe(park)).unwrap_err();
                        began.borrow_mut().push(ended.downcast_ref::<Cancelled>().unwrap().reason());
                        // An error of a task that was cancelled from elsewhere is dropped with the rest.
                        if reason { Err("late") } else { Ok(()) }
                    });
                }
            });
            yield_now();
            // By another task than the one that has resumed it.
            spawn(move || drop(co)).join().unwrap();
            assert_eq!((&**said.borrow(), &**tasks.borrow()), (&["unwound"][..], &[Reason::Explicit; 2][..]));
        });
    }
}

#[test]
fn a_panic_of_a_task_goes_before_what_drops_the_coroutine() {
    for keeps in [false, true] {
        run(|| {
            let (co, said) = orphan(move |group| {
                if keeps {
                    group.keep_panics();
                }
                group.spawn(|| -> Result<(), _> { resume_unwind(Box::new("spilled")) });
            });
            yield_now();
            let dropped = catch_unwind(AssertUnwindSafe(|| drop(co))).unwrap_err();
            assert_eq!((dropped.downcast_ref(), &**said.borrow()), (Some(&"spilled"), &["unwound"][..]));
        });
    }
}

#[test]
fn a_coroutine_that_is_dropped_by_the_unwinding_of_its_task_gives_no_panic() {
    let (root, said) = run(|| {
        let said = Rc::new(Cell::new(None));
        let says = Rc::clone(&said);
        let root = spawn(move || {
            let (_co, said) = yields_in_group(|group| {
                group.spawn(|| -> Result<(), _> { resume_unwind(Box::new("spilled")) });
            });
            says.set(Some(said));
            // The group is open in this task, and cancelled by its task's panic.
            yield_now();
        });
        (root.join(), said.take().unwrap())
    });
    let cancelled = *root.unwrap_err().downcast::<Cancelled>().unwrap();
    assert_eq!((cancelled.reason(), &**said.borrow()), (Reason::Sibling, &["unwound"][..]));
}

#[test]
fn what_drops_a_coroutine_passes_through_all_that_catches() {
    run(|| {
        let ended = Rc::new(Cell::new(0));
        let counts = Rc::clone(&ended);
        let mut co = coroutine(move |y: &mut Yielder<u8>| {
            _ = timeout(Duration::MAX, || {
                _ = cancel_scope(|_| {
                    scope(|s| {
                        s.spawn(|| ());
                        kettle_rt::shield(|| y.yield_(1));
                        counts.set(counts.get() + 1);
                    });
                    counts.set(counts.get() + 1);
                });
                counts.set(counts.get() + 1);
            });
            counts.set(counts.get() + 1);
        });
        assert_eq!(co.next(), Some(1));
        drop(co);
        assert_eq!(ended.get(), 0);
    });
}
