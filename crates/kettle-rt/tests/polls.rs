//! Polls within polls of one task, and those that a coroutine has left half-way: each wait hears what was meant for it.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_fiber::{Yielder, coroutine};
use kettle_rt::future::{self, wait};
use kettle_rt::testing::Clock;
use kettle_rt::{spawn, timeout, yield_now};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

const SOON: Duration = Duration::from_millis(1);

/// Runs what would go on waiting for ever if it missed its only wake-up.
fn run<T>(f: impl FnOnce() -> T) -> T {
    Clock::jumping().run(|| timeout(Duration::from_secs(1000), f)).expect("it was not woken")
}

/// A coroutine that waits for a future, and yields in the poll with this number.
fn yields_in_poll(number: u32) -> impl Iterator<Item = u32> {
    coroutine(move |y: &mut Yielder<u32>| {
        let mut polls = 0;
        wait(poll_fn(|context| {
            polls += 1;
            if polls < number {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            y.yield_(polls);
            Poll::Ready(())
        }));
    })
}

fn wake_clone(waker: &Waker) {
    let clone = waker.clone();
    clone.wake();
}

/// How a poll's waker is woken: as it is lent, by a clone, by one on another thread.
const WAYS: [fn(&Waker); 3] =
    [Waker::wake_by_ref, wake_clone, |waker| thread::scope(|s| s.spawn(|| wake_clone(waker)).join()).unwrap()];

#[test]
fn a_poll_that_was_left_half_way_takes_no_wake_up_of_the_outer_one() {
    for wake in WAYS {
        for number in 1..3 {
            run(|| {
                let mut polls = 0;
                let mut left = None;
                wait(poll_fn(|context| {
                    polls += 1;
                    if polls > 1 {
                        return Poll::Ready(());
                    }
                    wake(context.waker());
                    let inner = left.insert(yields_in_poll(number));
                    assert_eq!(inner.next(), Some(number));
                    Poll::Pending
                }));
                assert_eq!((polls, left.unwrap().next()), (2, None));
            });
        }
    }
}

#[test]
fn a_poll_that_was_left_half_way_takes_none_that_comes_while_it_waits() {
    run(|| {
        let outer: Rc<Cell<Option<Waker>>> = Rc::default();
        let inner: Rc<Cell<Option<Waker>>> = Rc::default();
        let wakes = spawn({
            let (outer, inner) = (Rc::clone(&outer), Rc::clone(&inner));
            move || {
                // Both, while the inner one waits.
                outer.take().unwrap().wake();
                inner.take().unwrap().wake();
            }
        });
        let mut polls = 0;
        let mut left = None;
        wait(poll_fn(|context| {
            polls += 1;
            if polls > 1 {
                return Poll::Ready(());
            }
            outer.set(Some(context.waker().clone()));
            let inner = Rc::clone(&inner);
            let half = left.insert(coroutine(move |y: &mut Yielder<()>| {
                let mut is_first = true;
                wait(poll_fn(|context| {
                    if std::mem::take(&mut is_first) {
                        inner.set(Some(context.waker().clone()));
                        return Poll::Pending;
                    }
                    y.yield_(());
                    Poll::Ready(())
                }));
            }));
            assert_eq!(half.next(), Some(()));
            Poll::Pending
        }));
        wakes.join().unwrap();
        assert_eq!((polls, left.unwrap().next()), (2, None));
    });
}

#[test]
fn a_time_that_comes_while_an_inner_wait_is_left_half_way_ends_the_outer_one() {
    run(|| {
        let mut sleep = Box::pin(future::sleep(SOON));
        let mut left = None;
        wait(poll_fn(|context| {
            let slept = sleep.as_mut().poll(context);
            if slept.is_pending() {
                let half = left.insert(coroutine(|y: &mut Yielder<()>| {
                    let mut is_first = true;
                    let mut sleep = Box::pin(future::sleep(2 * SOON));
                    wait(poll_fn(|context| {
                        let slept = sleep.as_mut().poll(context);
                        if slept.is_ready() && std::mem::take(&mut is_first) {
                            y.yield_(());
                        }
                        slept
                    }));
                }));
                assert_eq!(half.next(), Some(()));
            }
            slept
        }));
        assert_eq!(left.unwrap().next(), None);
    });
}

#[test]
fn who_has_been_woken_for_an_inner_wait_alone_waits_again() {
    // An outer poll that waits within itself, and is not ready: it is polled once more for each wake-up that was heard, and waits.
    run(|| {
        let polls = Rc::new(Cell::new(0));
        let outer: Rc<RefCell<Option<Waker>>> = Rc::default();
        let waits = spawn({
            let (polls, outer) = (Rc::clone(&polls), Rc::clone(&outer));
            move || {
                wait(poll_fn(|context| {
                    outer.replace(Some(context.waker().clone()));
                    polls.set(polls.get() + 1);
                    match polls.get() {
                        1 => {
                            wait(future::sleep(SOON));
                            wait(future::yield_now());
                            Poll::Pending
                        }
                        2 => Poll::Pending,
                        _ => Poll::Ready(()),
                    }
                }));
            }
        });
        kettle_rt::sleep(10 * SOON);
        (0..10).for_each(|_| yield_now());
        assert_eq!((polls.get(), waits.is_finished()), (2, false));
        outer.take().unwrap().wake();
        waits.join().unwrap();
    });
}

#[test]
fn a_clone_that_another_thread_has_made_wakes_the_outer_wait_after_an_inner_one() {
    let clone_elsewhere = |waker: &Waker| thread::scope(|s| s.spawn(|| waker.clone()).join()).unwrap();
    run(|| {
        let outer: Rc<Cell<Option<Waker>>> = Rc::default();
        let mut polls = 0;
        let wakes = spawn({
            let outer = Rc::clone(&outer);
            move || {
                // When the outer one waits.
                kettle_rt::sleep(SOON);
                let waker = outer.take().unwrap();
                thread::spawn(move || waker.wake()).join().unwrap();
            }
        });
        wait(poll_fn(|context| {
            polls += 1;
            if polls > 1 {
                return Poll::Ready(());
            }
            outer.set(Some(clone_elsewhere(context.waker())));
            let mut inner_polls = 0;
            wait(poll_fn(|context| {
                inner_polls += 1;
                if inner_polls == 3 {
                    return Poll::Ready(());
                }
                clone_elsewhere(context.waker());
                context.waker().wake_by_ref();
                Poll::Pending
            }));
            Poll::Pending
        }));
        wakes.join().unwrap();
    });
}
