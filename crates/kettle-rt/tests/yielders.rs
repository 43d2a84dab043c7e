//! A coroutine's yielder and tasks: it pauses what its resumer waits for, and that never is another task.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_fiber::{Builder, Coroutine, Scoped, Yielder};
use kettle_gen::{Generator, State, Step};
use kettle_rt::{EventLoop, JoinHandle, scope, spawn, yield_now};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

/// Runs a task with room for a panic that prints a backtrace.
fn run<T>(f: impl FnOnce() -> T) -> T {
    EventLoop::builder().stack_size(256 * 1024).build().unwrap().run(f)
}

/// The same for a coroutine.
fn coroutine<R: 'static, Y: 'static>(body: impl FnOnce(&mut Yielder<Y>) -> R + 'static) -> Coroutine<Y, (), R> {
    Builder::new().stack_size(256 * 1024).coroutine(body).map_err(drop).unwrap()
}

fn scoped<Y, T>(body: impl FnOnce(&mut Yielder<Y>), consumer: impl FnOnce(Scoped<'_, Y>) -> T) -> T {
    Builder::new().stack_size(256 * 1024).scoped(body, consumer).map_err(drop).unwrap()
}

/// The words of a panic of the library's.
fn words(payload: &(dyn Any + Send)) -> &str {
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap()
}

fn is_refusal(payload: &(dyn Any + Send)) -> bool {
    words(payload).starts_with("yield from another task than the coroutine runs in")
}

/// Counts how often something is dropped.
#[derive(Clone, Default)]
struct Drops(Rc<Cell<usize>>);

impl Drops {
    fn guard(&self) -> impl Drop + use<> {
        struct Guard(Drops);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.0.set(self.0.0.get() + 1);
            }
        }
        Guard(self.clone())
    }
}

/// Calls a function when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn a_task_of_a_scope_does_not_yield_for_the_coroutine_that_opened_it() {
    let drops = Drops::default();
    run(|| {
        let drops = drops.clone();
        let mut co = coroutine(move |y: &mut Yielder<u8>| {
            let _body = drops.guard();
            let refused = scope(|s| {
                let task = s.spawn(|| {
                    let _task = drops.guard();
                    y.yield_(1);
                    Box::new(42_u64)
                });
                is_refusal(&*task.join().unwrap_err())
            });
            assert!(refused);
            y.yield_(2);
        });
        assert_eq!(co.resume().unwrap(), Step::Yielded(2));
        assert_eq!(co.resume().unwrap(), Step::Returned(()));
    });
    assert_eq!(drops.0.get(), 2);
}

#[test]
fn a_root_does_not_yield_for_the_coroutine_that_called_run() {
    type Shared<T> = Rc<RefCell<Option<T>>>;
    let drops = Drops::default();
    let handle: Shared<JoinHandle<Box<u64>>> = Shared::default();
    let (out, guards) = (Rc::clone(&handle), drops.clone());
    let mut co = coroutine(move |y: &mut Yielder<u8>| {
        let _body = guards.guard();
        run(|| {
            let _root = guards.guard();
            let other = guards.guard();
            *out.borrow_mut() = Some(spawn(move || {
                let _other = other;
                yield_now();
                Box::new(42_u64)
            }));
            y.yield_(1);
        });
    });
    let panic = catch_unwind(AssertUnwindSafe(|| co.resume())).unwrap_err();
    assert!(is_refusal(&*panic));
    assert_eq!((co.state(), drops.0.get()), (State::Finished, 3));
    // Its loop has cancelled what was left.
    let handle = handle.take().unwrap();
    assert!(handle.is_finished() && handle.join().is_err());
    // And the thread can run another.
    assert_eq!(run(|| 1), 1);
}

#[test]
fn no_word_of_a_yielder_pauses_from_another_task() {
    run(|| {
        type Word = fn(&mut Yielder<u8>);
        let inner = || coroutine(|y: &mut Yielder<u8>| _ = y.yield_(3));
        let words: [(Word, &str); 4] = [
            (|y| _ = y.yield_(1), "yield from another task"),
            (|y| drop(y.try_yield(1)), "yield from another task"),
            (|y| y.yield_iter([1, 2]), "yield from another task"),
            (|y| drop(y.try_yield_iter([1, 2])), "yield from another task"),
        ];
        for (word, refusal) in words {
            refuses(word, refusal);
        }
        refuses(move |y| y.yield_from(inner()), "delegate from the stack of");
        refuses(move |y| drop(y.try_yield_from(inner())), "delegate from the stack of");
    });
}

fn refuses(word: impl FnOnce(&mut Yielder<u8>) + 'static, refusal: &'static str) {
    let mut co = coroutine(move |y: &mut Yielder<u8>| {
        scope(|s| {
            let panic = s.spawn(|| word(y)).join().unwrap_err();
            assert!(words(&*panic).starts_with(refusal), "{}", words(&*panic));
        });
    });
    assert_eq!(co.resume().unwrap(), Step::Returned(()));
}

#[test]
fn coroutines_between_a_task_and_the_yielder_change_nothing() {
    run(|| {
        let mut co = coroutine(|y: &mut Yielder<u8>| {
            // One that the task makes, and one that it was handed, half-way.
            scope(|s| s.spawn(|| scoped(|_: &mut Yielder<u8>| _ = y.yield_(1), |co| co.for_each(drop))).join())
                .unwrap_err();
            scoped(
                |inner: &mut Yielder<u8>| {
                    y.yield_(2);
                    inner.yield_(3);
                    y.yield_(4);
                },
                |mut inner| {
                    assert_eq!(inner.next(), Some(3));
                    let panic = scope(|s| s.spawn(|| inner.next()).join()).unwrap_err();
                    assert!(is_refusal(&*panic));
                    assert_eq!(inner.state(), State::Finished);
                },
            );
        });
        assert_eq!(co.by_ref().collect::<Vec<_>>(), [2]);
    });
}

/// Yields 1 to 4, from four stacks: its own, and those of three coroutines within each other.
fn nested() -> Coroutine<u8> {
    coroutine(|a: &mut Yielder<u8>| {
        a.yield_(1);
        yield_now();
        scoped(
            |b: &mut Yielder<u8>| {
                a.yield_(2);
                yield_now();
                scoped(
                    |c: &mut Yielder<u8>| {
                        a.yield_(3);
                        yield_now();
                        b.yield_(11);
                        scoped(
                            |_: &mut Yielder<u8>| {
                                yield_now();
                                a.yield_(4);
                                b.yield_(12);
                                c.yield_(21);
                            },
                            |co| co.for_each(drop),
                        );
                    },
                    |co| assert_eq!(co.collect::<Vec<_>>(), [21]),
                );
            },
            |co| assert_eq!(co.collect::<Vec<_>>(), [11, 12]),
        );
    })
}

#[test]
fn a_coroutine_yields_from_those_within_it_whose_task_waits_meanwhile() {
    run(|| {
        let tasks: Vec<_> = (0..10).map(|_| spawn(|| nested().collect::<Vec<_>>())).collect();
        for task in tasks {
            assert_eq!(task.join().unwrap(), [1, 2, 3, 4]);
        }
    });
    assert_eq!(nested().collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn a_coroutine_goes_on_in_another_task_each_time() {
    run(|| {
        let co = RefCell::new(nested());
        for expected in [Some(1), Some(2), Some(3), Some(4), None] {
            let given = scope(|s| s.spawn(|| co.borrow_mut().next()).join().unwrap());
            assert_eq!(given, expected);
        }
    });
}

#[test]
fn dropping_one_in_another_task_unwinds_all_of_its_stacks() {
    for yields in 0..=4 {
        run(|| {
            let mut co = nested();
            assert_eq!(co.by_ref().take(yields).count(), yields);
            spawn_scoped_drop(co);
        });
    }
}

fn spawn_scoped_drop(co: Coroutine<u8>) {
    scope(|s| s.spawn(move || drop(co)).join().unwrap());
}

#[test]
fn a_destructor_of_another_task_does_not_yield() {
    run(|| {
        let mut co = coroutine(|y: &mut Yielder<u8>| {
            let panic = scope(|s| s.spawn(|| drop(OnDrop(|| _ = y.yield_(1)))).join()).unwrap_err();
            assert!(is_refusal(&*panic));
        });
        assert_eq!(co.resume().unwrap(), Step::Returned(()));
    });
}

#[test]
fn a_yield_in_a_destructor_of_a_task_that_unwinds_does_nothing() {
    run(|| {
        let reached = Rc::new(Cell::new(false));
        let seen = Rc::clone(&reached);
        let mut co = coroutine(move |y: &mut Yielder<u8>| {
            let panic = scope(|s| {
                let task = s.spawn(|| {
                    let _yields = OnDrop(|| {
                        assert_eq!(y.yield_(1), None);
                        assert!(y.try_yield(1).unwrap_err().is_exit());
                        y.yield_iter([1]);
                        seen.set(true);
                    });
                    resume_unwind(Box::new("spilled"));
                });
                task.join().unwrap_err()
            });
            assert_eq!(words(&*panic), "spilled");
        });
        assert_eq!(co.resume().unwrap(), Step::Returned(()));
        assert!(reached.get());
    });
}

#[test]
fn a_refused_yield_in_a_coroutine_that_a_destructor_resumes_while_unwinding_is_an_ordinary_panic() {
    let refused = Cell::new(false);
    let mut co = Some(coroutine(|y: &mut Yielder<u8>| {
        let refusal = catch_unwind(AssertUnwindSafe(|| run(|| y.yield_(1)))).unwrap_err();
        is_refusal(&*refusal)
    }));
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _resumes = OnDrop(|| refused.set(co.take().unwrap().resume().unwrap() == Step::Returned(true)));
        resume_unwind(Box::new("spilled"));
    }));
    assert_eq!(words(&*unwound.unwrap_err()), "spilled");
    assert!(refused.get());
}

#[test]
fn what_was_to_be_yielded_is_dropped_with_the_refusal() {
    let drops = Drops::default();
    run(|| {
        let drops = drops.clone();
        let mut co = coroutine(move |y: &mut Yielder<Box<dyn Any>>| {
            let value = Box::new(drops.guard());
            scope(|s| _ = s.spawn(move || _ = y.yield_(value)).join().unwrap_err());
        });
        assert!(co.next().is_none());
    });
    assert_eq!(drops.0.get(), 1);
}
