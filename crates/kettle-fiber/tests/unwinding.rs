//! Bodies that unwind and yields that meet it (S4): a body never switches away from a panic of its own, and whoever else
//! runs on the thread sees nothing of it.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_fiber::{Coroutine, Yielder, coroutine, scoped};
use kettle_gen::{Generator, State, Step};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Mutex;
use std::thread;

fn raise(payload: &'static str) -> ! {
    resume_unwind(Box::new(payload))
}

fn caught<T>(f: impl FnOnce() -> T) -> Option<&'static str> {
    catch_unwind(AssertUnwindSafe(f)).err()?.downcast_ref().copied()
}

/// Does something when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn a_body_that_swallows_its_unwinding_is_unwound_from_its_next_yield() {
    let steps = Rc::new(Cell::new(0));
    let count = Rc::clone(&steps);
    let mut co = coroutine(move |y: &mut Yielder<u32>| {
        for n in 0..10 {
            let swallowed = catch_unwind(AssertUnwindSafe(|| y.yield_(n))).is_err();
            count.set(count.get() + u32::from(swallowed));
        }
    });
    co.resume().unwrap();
    drop(co);
    assert_eq!(steps.get(), 10, "each yield unwinds once, then the body ends");
    assert!(!thread::panicking());
}

#[test]
fn a_body_that_swallows_its_unwinding_once_is_unwound_by_its_endless_loop() {
    let mut co = coroutine(|y: &mut Yielder<u32>| {
        let _ = catch_unwind(AssertUnwindSafe(|| {
            loop {
                y.yield_(1);
            }
        }));
        loop {
            y.yield_(2);
        }
    });
    co.resume().unwrap();
    assert_eq!(co.close().unwrap(), None);
    assert_eq!(co.state(), State::Finished);
}

#[test]
fn what_a_body_returns_after_swallowing_its_unwinding_is_dropped() {
    let dropped = Rc::new(Cell::new(false));
    let flag = Rc::clone(&dropped);
    let mut co = coroutine(move |y: &mut Yielder<u32>| {
        let _ = catch_unwind(AssertUnwindSafe(|| y.yield_(1)));
        OnDrop(move || flag.set(true))
    });
    co.resume().unwrap();
    assert!(co.close().unwrap().is_none());
    assert!(dropped.get());
}

#[test]
fn a_body_that_turns_its_unwinding_into_a_panic_panics() {
    let make = || {
        let mut co = coroutine(|y: &mut Yielder<u32>| {
            if catch_unwind(AssertUnwindSafe(|| y.yield_(1))).is_err() {
                raise("turned");
            }
        });
        co.resume().unwrap();
        co
    };
    assert_eq!(caught(|| drop(make())), Some("turned"));
    assert_eq!(caught(|| make().close()), Some("turned"));
    assert!(!thread::panicking());
}

#[test]
fn delegating_and_iterating_after_swallowing_the_unwinding_do_not_come_back() {
    let went_on = Rc::new(Cell::new(0));
    for choice in 0..4 {
        let count = Rc::clone(&went_on);
        let mut co = coroutine(move |y: &mut Yielder<u32>| {
            assert!(catch_unwind(AssertUnwindSafe(|| y.yield_(0))).is_err());
            let inner = coroutine(|y: &mut Yielder<u32>| y.yield_iter(0..3));
            match choice {
                0 => y.yield_from(inner),
                1 => y.try_yield_from(inner).unwrap(),
                2 => y.yield_iter(0..3),
                _ => y.try_yield_iter(0..3).unwrap(),
            }
            count.set(count.get() + 1);
        });
        co.resume().unwrap();
        drop(co);
    }
    assert_eq!(went_on.get(), 0);
}

#[test]
fn a_yield_in_a_destructor_of_an_unwinding_body_does_not_pause() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&seen);
    let mut co = coroutine(move |y: &mut Yielder<u32, u32>| {
        let y = RefCell::new(y);
        let _guard = OnDrop(|| {
            let mut y = y.borrow_mut();
            log.borrow_mut().push(format!("{:?}", y.yield_(7)));
            log.borrow_mut().push(format!("{:?}", y.try_yield(8)));
            y.yield_iter(0..1000);
            log.borrow_mut().push(format!("{:?}", y.try_yield_iter(0..1000)));
            let inner = coroutine(|y: &mut Yielder<u32, u32>| y.yield_(9));
            log.borrow_mut().push(format!("{:?}", y.try_yield_from(inner)));
        });
        y.borrow_mut().yield_(1);
        raise("boo");
    });
    let expected = ["None", "Err(Exit)", "Err(Exit)", "Err(Exit)"];
    co.resume().unwrap();
    assert_eq!(caught(|| co.resume()), Some("boo"));
    assert_eq!(*seen.borrow(), expected);
    assert!(!thread::panicking());
}

#[test]
fn a_yield_in_a_destructor_of_a_body_that_is_dropped_does_not_pause_either() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&seen);
    let mut co = coroutine(move |y: &mut Yielder<u32, u32>| {
        let y = RefCell::new(y);
        let _guard = OnDrop(|| {
            let mut y = y.borrow_mut();
            log.borrow_mut().push((y.yield_(7), y.try_yield(8).unwrap_err().is_exit()));
        });
        y.borrow_mut().yield_(1);
    });
    co.resume().unwrap();
    drop(co);
    assert_eq!(*seen.borrow(), [(None, true)]);
    assert!(!thread::panicking());
}

#[test]
fn a_yield_in_a_destructor_that_runs_in_peace_pauses() {
    let mut co = coroutine(|y: &mut Yielder<u32>| {
        drop(OnDrop(|| {
            y.yield_(7);
        }));
        y.yield_(8);
    });
    assert_eq!(co.by_ref().collect::<Vec<_>>(), [7, 8]);
    // Dropped while it waits there, it unwinds out of the destructor.
    let mut co = coroutine(|y: &mut Yielder<u32>| {
        drop(OnDrop(|| {
            y.yield_(7);
        }));
    });
    assert_eq!(co.next(), Some(7));
    drop(co);
    assert!(!thread::panicking());
}

#[test]
fn nobody_else_sees_a_body_panic_and_no_mutex_of_theirs_is_poisoned() {
    static LOCK: Mutex<u32> = Mutex::new(0);
    let mut bystander = coroutine(|y: &mut Yielder<bool>| {
        loop {
            let guard = LOCK.lock().unwrap();
            y.yield_(thread::panicking());
            drop(guard);
            y.yield_(thread::panicking());
        }
    });
    let mut victim = coroutine(|y: &mut Yielder<u32>| {
        let y = RefCell::new(y);
        let _guard = OnDrop(|| _ = y.borrow_mut().yield_(2));
        y.borrow_mut().yield_(1);
        raise("boo");
    });
    assert_eq!(bystander.next(), Some(false));
    victim.resume().unwrap();
    assert_eq!(caught(|| victim.resume()), Some("boo"));
    // The lock is given back here, while nobody panics.
    assert_eq!(bystander.next(), Some(false));
    assert!(LOCK.lock().is_ok());
    let mut victim = coroutine(|y: &mut Yielder<u32>| {
        let y = RefCell::new(y);
        let _guard = OnDrop(|| _ = y.borrow_mut().yield_(2));
        y.borrow_mut().yield_(1);
    });
    victim.resume().unwrap();
    assert_eq!(bystander.next(), Some(false));
    drop(victim);
    assert_eq!(bystander.next(), Some(false));
    drop(bystander);
    assert!(LOCK.lock().is_ok());
}

#[test]
fn a_lock_that_is_held_across_a_drop_of_the_body_is_poisoned_as_by_any_unwinding() {
    let lock = Rc::new(Mutex::new(0));
    let inner = Rc::clone(&lock);
    let mut co = coroutine(move |y: &mut Yielder<u32>| {
        let _guard = inner.lock().unwrap();
        y.yield_(1);
    });
    co.resume().unwrap();
    drop(co);
    assert!(lock.is_poisoned());
}

#[test]
fn coroutines_can_be_resumed_by_a_destructor_of_a_panicking_thread() {
    let mut co = coroutine(|y: &mut Yielder<u32>| {
        for n in 0..5 {
            y.yield_(n);
        }
    });
    let seen = RefCell::new(Vec::new());
    let payload = caught(|| {
        let _guard = OnDrop(|| seen.borrow_mut().extend(co.by_ref().take(3)));
        raise("boo");
    });
    assert_eq!(payload, Some("boo"));
    assert_eq!(*seen.borrow(), [0, 1, 2]);
    assert_eq!(co.next(), Some(3));
    assert!(!thread::panicking());
}

#[test]
fn coroutines_can_be_dropped_by_a_panicking_thread() {
    fn body(y: &mut Yielder<u32>, unwound: &Cell<u32>) {
        let _guard = OnDrop(|| unwound.set(unwound.get() + 1));
        y.yield_(1);
    }
    let unwound = Rc::new(Cell::new(0));
    let make = || -> Coroutine<u32> {
        let unwound = Rc::clone(&unwound);
        let mut co = coroutine(move |y: &mut Yielder<u32>| body(y, &unwound));
        co.resume().unwrap();
        co
    };
    let payload = caught(|| {
        let _all: Vec<_> = (0..10).map(|_| make()).collect();
        scoped(
            |y: &mut Yielder<u32>| body(y, &unwound),
            |mut co| {
                co.resume().unwrap();
                raise("boo")
            },
        )
    });
    assert_eq!(payload, Some("boo"));
    assert_eq!(unwound.get(), 11);
    assert!(!thread::panicking());
}

#[test]
fn one_that_swallows_its_unwinding_is_unwound_again_also_by_a_panicking_thread() {
    let notes = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&notes);
    let mut co = coroutine(move |y: &mut Yielder<u32>| {
        for _ in 0..3 {
            _ = catch_unwind(AssertUnwindSafe(|| y.yield_(1)));
            log.borrow_mut().push("swallowed");
        }
        loop {
            y.yield_(2);
        }
    });
    assert_eq!(co.next(), Some(1));
    let panic = caught(move || {
        let _dropped_by_unwinding = co;
        raise("of the thread");
    });
    assert_eq!(panic, Some("of the thread"));
    assert_eq!(*notes.borrow(), ["swallowed"; 3]);
}

#[test]
fn one_that_handles_errors_is_asked_to_end_by_a_panicking_thread_as_well() {
    let mut co = coroutine(|y: &mut Yielder<u32>| {
        let asked = y.try_yield(1).unwrap_err().is_exit();
        // It may yield in answer: the panic is not its own.
        let _ = y.try_yield(u32::from(asked));
    });
    co.resume().unwrap();
    assert_eq!(
        caught(|| {
            let _co = co;
            raise("boo")
        }),
        Some("boo")
    );
    assert!(!thread::panicking());
}

#[test]
fn a_panic_inside_a_coroutine_that_a_panicking_threads_destructor_resumes_is_its_own() {
    let seen = RefCell::new(None);
    let payload = caught(|| {
        let _guard = OnDrop(|| {
            let mut co = coroutine(|y: &mut Yielder<u32>| {
                y.yield_(1);
                raise("inner");
            });
            co.resume().unwrap();
            *seen.borrow_mut() = caught(|| co.resume());
        });
        raise("outer");
    });
    assert_eq!((payload, *seen.borrow()), (Some("outer"), Some("inner")));
    assert!(!thread::panicking());
}

#[test]
fn a_threads_scope_inside_a_body_is_joined_when_the_body_is_dropped() {
    let (give, take) = std::sync::mpsc::channel::<()>();
    let mut co = coroutine(move |y: &mut Yielder<u32>| {
        let total = Mutex::new(0);
        let take = take;
        thread::scope(|scope| {
            let (total, take) = (&total, take);
            scope.spawn(move || {
                while take.recv().is_ok() {
                    *total.lock().unwrap() += 1;
                }
            });
            y.yield_(1);
        });
    });
    assert_eq!(co.resume().unwrap(), Step::Yielded(1));
    give.send(()).unwrap();
    drop(give);
    drop(co);
    assert!(!thread::panicking());
}
