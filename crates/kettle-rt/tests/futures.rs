//! Futures and tasks: a task waits for a future, is one, and is waited for by one.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_fiber::{Yielder, coroutine};
use kettle_rt::future::{self, wait};
use kettle_rt::testing::Clock;
use kettle_rt::{
    Builder, Cancelled, EventLoop, JoinHandle, Reason, Thread, cancel_scope, current, in_fiber, now, park, scope,
    sleep, spawn, spawn_future, timeout, yield_now,
};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

const SOON: Duration = Duration::from_millis(1);
const FOREVER: Duration = Duration::MAX;

fn run<T>(f: impl FnOnce() -> T) -> T {
    EventLoop::new().unwrap().run(f)
}

/// A value that somebody gives, from any thread, and a future that waits for it.
struct Promise<T>(Arc<Mutex<(Option<T>, Option<Waker>)>>);

impl<T> Promise<T> {
    fn new() -> Self {
        Self(Arc::new(Mutex::new((None, None))))
    }

    fn give(&self, value: T) {
        let waker = {
            let mut inner = self.0.lock().unwrap();
            inner.0 = Some(value);
            inner.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll(&self, context: &Context<'_>) -> Poll<T> {
        let mut inner = self.0.lock().unwrap();
        inner.1 = Some(context.waker().clone());
        inner.0.take().map_or(Poll::Pending, Poll::Ready)
    }

    fn take(&self) -> impl Future<Output = T> + use<T> {
        let this = Self(Arc::clone(&self.0));
        poll_fn(move |context| this.poll(context))
    }
}

impl<T> Clone for Promise<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Count<'a>(&'a Cell<usize>);

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn a_task_waits_for_a_future_that_borrows() {
    run(|| {
        let mut cups = vec![1, 2];
        wait(async { cups.push(ready(3).await) });
        assert_eq!(cups, [1, 2, 3]);
    });
}

#[test]
fn a_future_is_woken_by_a_task_of_the_loop() {
    run(|| {
        let promise = Promise::new();
        let gives = spawn({
            let promise = promise.clone();
            move || promise.give(7)
        });
        assert_eq!(wait(promise.take()), 7);
        gives.join().unwrap();
    });
}

#[test]
fn a_future_is_woken_from_other_threads_again_and_again() {
    const ROUNDS: usize = 3000;
    run(|| {
        let (there, back) = (Promise::new(), Promise::new());
        let other = thread::spawn({
            let (there, back) = (there.clone(), back.clone());
            move || run(|| (0..ROUNDS).for_each(|n| back.give(wait(there.take()) + n)))
        });
        for n in 0..ROUNDS {
            there.give(1);
            assert_eq!(wait(back.take()), n + 1);
        }
        other.join().unwrap();
    });
}

#[test]
fn a_waker_may_outlive_its_task_and_its_loop() {
    let mut wakers = Vec::new();
    run(|| {
        wakers.push(wait(poll_fn(|context| Poll::Ready(context.waker().clone()))));
        let task = spawn(|| wait(poll_fn(|context| Poll::Ready(context.waker().clone()))));
        wakers.push(task.join().unwrap());
        let task = spawn_future(poll_fn(|context| Poll::Ready(context.waker().clone())));
        wakers.push(task.join().unwrap());
        wakers.iter().for_each(Waker::wake_by_ref);
        yield_now();
    });
    for waker in wakers {
        thread::spawn(move || waker.wake()).join().unwrap();
    }
}

#[test]
fn a_waker_may_be_cloned_and_woken_by_a_thread_that_sees_it_during_a_poll() {
    run(|| {
        let mut is_first = true;
        wait(poll_fn(|context| {
            if !std::mem::take(&mut is_first) {
                return Poll::Ready(());
            }
            let waker = context.waker();
            // It wakes when the poll is over, by a clone that it has made itself.
            thread::scope(|s| s.spawn(|| waker.clone()).join().unwrap()).wake();
            Poll::Pending
        }));
        let mut polls = 0;
        wait(poll_fn(|context| {
            polls += 1;
            let waker = context.waker();
            thread::scope(|s| s.spawn(|| waker.wake_by_ref()).join().unwrap());
            if polls < 3 { Poll::Pending } else { Poll::Ready(()) }
        }));
        assert_eq!(polls, 3);
    });
}

#[test]
fn a_waker_that_a_thread_has_cloned_wakes_nobody_when_it_is_not_the_last_or_its_task_has_ended() {
    run(|| {
        let wakers = Rc::new(RefCell::new(Vec::new()));
        let polls = Rc::new(Cell::new(0));
        let task = spawn({
            let (wakers, polls) = (Rc::clone(&wakers), Rc::clone(&polls));
            move || {
                wait(poll_fn(|context| {
                    polls.set(polls.get() + 1);
                    let waker = context.waker();
                    let cloned = thread::scope(|s| s.spawn(|| waker.clone()).join().unwrap());
                    wakers.borrow_mut().push(cloned);
                    if polls.get() < 3 { Poll::Pending } else { Poll::Ready(()) }
                }));
            }
        });
        for polled in 1..=3 {
            yield_now();
            assert_eq!(polls.get(), polled);
            wakers.borrow().last().unwrap().wake_by_ref();
        }
        task.join().unwrap();
        // Another task lies where that one has lain.
        let parked = spawn(park);
        yield_now();
        wakers.take().into_iter().for_each(Waker::wake);
        yield_now();
        assert!(!parked.is_finished());
        parked.thread().unpark();
        parked.join().unwrap();
    });
}

#[test]
fn a_waker_of_an_earlier_wait_ends_no_other_one() {
    run(|| {
        let waker = Rc::new(RefCell::new(None));
        let task = spawn({
            let waker = Rc::clone(&waker);
            move || {
                wait(poll_fn(|context| {
                    waker.replace(Some(context.waker().clone()));
                    Poll::Ready(())
                }));
                park();
                let mut polls = 0;
                wait(poll_fn(|context| {
                    polls += 1;
                    context.waker().wake_by_ref();
                    if polls < 3 { Poll::Pending } else { Poll::Ready(()) }
                }));
                polls
            }
        });
        yield_now();
        waker.borrow().as_ref().unwrap().wake_by_ref();
        yield_now();
        assert!(!task.is_finished());
        task.thread().unpark();
        assert_eq!(task.join().unwrap(), 3);
    });
}

#[test]
fn a_future_that_wakes_itself_lets_others_run() {
    run(|| {
        let others = Rc::new(Cell::new(0));
        spawn({
            let others = Rc::clone(&others);
            move || {
                for _ in 0..10 {
                    others.set(others.get() + 1);
                    yield_now();
                }
            }
        });
        wait(async {
            for _ in 0..10 {
                future::yield_now().await;
            }
        });
        assert!(others.get() >= 9);
    });
}

#[test]
fn a_wait_inside_a_poll_takes_no_wake_up_of_the_outer_one() {
    run(|| {
        let outer = Promise::new();
        let inner = Promise::new();
        let gives = spawn({
            let (outer, inner) = (outer.clone(), inner.clone());
            move || {
                // While the inner one waits.
                outer.give(1);
                yield_now();
                inner.give(2);
            }
        });
        let mut seen = None;
        let first = wait(poll_fn(|context| {
            let polled = outer.poll(context);
            if polled.is_pending() && seen.is_none() {
                seen = Some(wait(inner.take()));
            }
            polled
        }));
        assert_eq!((first, seen), (1, Some(2)));
        gives.join().unwrap();
    });
}

#[test]
fn a_wait_inside_a_poll_passes_on_what_it_has_heard_for_the_outer_one() {
    run(|| {
        let mut polls = 0;
        wait(poll_fn(|context| {
            polls += 1;
            let outer = context.waker().clone();
            let mut is_first = true;
            // Woken by the outer one's waker alone, while it runs.
            wait(poll_fn(|_| {
                if !std::mem::take(&mut is_first) {
                    return Poll::Ready(());
                }
                outer.wake_by_ref();
                Poll::Pending
            }));
            if polls == 1 { Poll::Pending } else { Poll::Ready(()) }
        }));
        assert_eq!(polls, 2);
    });
}

/// A coroutine that has begun to wait for a future, whose first poll yields out of it, and whose second one is ready.
fn half_polled() -> impl Iterator<Item = u8> {
    coroutine(|y: &mut Yielder<u8>| {
        let mut polls = 0;
        wait(poll_fn(|context| {
            polls += 1;
            y.yield_(polls);
            // By another task, or by none.
            drop(context.waker().clone());
            if polls == 1 { Poll::Pending } else { Poll::Ready(()) }
        }));
    })
}

#[test]
fn a_coroutine_may_take_a_wait_to_another_task_in_the_middle_of_a_poll() {
    let half = run(|| {
        // The first task has ended when the other one goes on, or waits for it.
        let mut ended = spawn(|| {
            let mut half = half_polled();
            assert_eq!(half.next(), Some(1));
            half
        })
        .join()
        .unwrap();
        spawn(move || assert_eq!((ended.next(), ended.next()), (Some(2), None))).join().unwrap();
        let mut waits = half_polled();
        assert_eq!(waits.next(), Some(1));
        spawn(move || assert_eq!((waits.next(), waits.next()), (Some(2), None))).join().unwrap();
        let mut dropped = half_polled();
        assert_eq!(dropped.next(), Some(1));
        spawn(move || drop(dropped)).join().unwrap();
        let mut half = half_polled();
        assert_eq!(half.next(), Some(1));
        half
    });
    // Its loop has gone.
    let mut half = half;
    assert_eq!((half.next(), half.next()), (Some(2), None));
}

#[test]
fn a_waker_may_drop_what_was_due_at_the_same_time() {
    thread_local! {
        static OTHERS: RefCell<Vec<Pin<Box<future::Sleep>>>> = const { RefCell::new(Vec::new()) };
    }
    struct DropsOthers;
    impl Wake for DropsOthers {
        fn wake(self: Arc<Self>) {
            drop(OTHERS.take());
        }
    }
    run(|| {
        let waker = Waker::from(Arc::new(DropsOthers));
        let due = now() + SOON;
        for _ in 0..4 {
            let mut sleep = Box::pin(future::sleep_until(due));
            assert!(sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            OTHERS.with_borrow_mut(|others| others.push(sleep));
        }
        while !OTHERS.with_borrow(Vec::is_empty) {
            sleep(SOON);
        }
    });
}

#[test]
fn a_waker_that_panics_when_it_is_dropped_takes_nothing_from_the_task() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Panics {
        fn drop(&mut self) {
            if !thread::panicking() {
                std::panic::resume_unwind(Box::new("a waker has gone"));
            }
        }
    }
    run(|| {
        let mut handle = Builder::new().name("kettle".into()).spawn(yield_now).unwrap();
        let waker = Waker::from(Arc::new(Panics));
        assert!(Pin::new(&mut handle).poll(&mut Context::from_waker(&waker)).is_pending());
        drop(waker);
        let polled = catch_unwind(AssertUnwindSafe(|| {
            _ = Pin::new(&mut handle).poll(&mut Context::from_waker(Waker::noop()));
        }));
        assert!(polled.is_err());
        assert_eq!(handle.thread().name(), Some("kettle"));
        handle.join().unwrap();
    });
}

#[test]
fn a_future_is_a_task_with_a_handle_like_others() {
    run(|| {
        let handle = spawn_future(async {
            future::yield_now().await;
            7
        });
        assert!(!handle.is_finished());
        assert_eq!(handle.join().unwrap(), 7);
        let panics = spawn_future(async { panic!("in a future") });
        let payload: Box<dyn std::any::Any + Send> = panics.join().err().unwrap();
        assert_eq!(payload.downcast_ref(), Some(&"in a future"));
        drop(spawn_future(async { future::sleep(SOON).await }));
        let large = spawn_future(async {
            let bytes = [7_u8; 10_000];
            future::yield_now().await;
            bytes
        });
        assert!(large.join().unwrap().iter().all(|byte| *byte == 7));
    });
}

#[test]
fn cancelling_a_future_drops_it_where_it_waits() {
    run(|| {
        let dropped = Rc::new(Cell::new(0));
        let waits = |dropped: Rc<Cell<usize>>| async move {
            let _count = Count(&dropped);
            pending::<()>().await;
        };
        let handle = spawn_future(waits(Rc::clone(&dropped)));
        yield_now();
        handle.cancel();
        let payload = handle.join().unwrap_err();
        assert_eq!(payload.downcast_ref::<Cancelled>().unwrap().reason(), Reason::Explicit);
        assert_eq!(dropped.get(), 1);
        // What a loop leaves behind as well.
        drop(run_with_leftover(waits(Rc::clone(&dropped))));
        assert_eq!(dropped.get(), 2);
    });

    fn run_with_leftover(future: impl Future<Output = ()> + 'static) -> impl Drop {
        struct Nothing;
        impl Drop for Nothing {
            fn drop(&mut self) {}
        }
        let handle = spawn_future(future);
        yield_now();
        handle.cancel();
        drop(handle.join());
        Nothing
    }
}

#[test]
fn futures_of_a_scope_borrow_and_are_cancelled_with_it() {
    run(|| {
        let dropped = Cell::new(0);
        let sum = Cell::new(0);
        scope(|s| {
            for n in 0..10 {
                let sum = &sum;
                s.spawn_future(async move {
                    future::yield_now().await;
                    sum.set(sum.get() + n);
                });
            }
        });
        assert_eq!(sum.get(), 45);
        let cancelled = timeout(SOON, || {
            scope(|s| {
                for _ in 0..10 {
                    s.spawn_future(async {
                        let _count = Count(&dropped);
                        pending::<()>().await;
                    });
                }
            });
        });
        assert!(cancelled.is_err());
        assert_eq!(dropped.get(), 10);
    });
}

#[test]
fn cancelling_a_wait_drops_its_future() {
    run(|| {
        let dropped = Cell::new(0);
        let cancelled = timeout(SOON, || {
            wait(async {
                let _count = Count(&dropped);
                pending::<()>().await;
            });
        });
        assert_eq!(cancelled.unwrap_err().reason(), Reason::Deadline);
        assert_eq!(dropped.get(), 1);
        let cancelled = cancel_scope(|scope| {
            scope.cancel();
            wait(ready(7))
        });
        assert!(cancelled.is_err(), "it is a checkpoint");
    });
}

#[test]
fn handles_are_futures() {
    run(|| {
        let (a, b) = (spawn(|| 1), spawn_future(ready(2)));
        assert_eq!(wait(async { a.await.unwrap() + b.await.unwrap() }), 3);
        let sleeps = spawn(|| sleep(SOON));
        let outer = spawn_future(async { sleeps.await.is_ok() });
        assert!(outer.join().unwrap());
        let ended = spawn(|| 7);
        yield_now();
        let mut ended = ended;
        assert_eq!(wait(Pin::new(&mut ended)).unwrap(), 7);
        let again = catch_unwind(AssertUnwindSafe(|| wait(Pin::new(&mut ended))));
        assert!(again.is_err());
    });
}

#[test]
fn a_handle_that_was_polled_by_a_task_that_has_gone_is_harmless() {
    run(|| {
        let mut handle = spawn(|| sleep(SOON));
        let polls = spawn(move || {
            wait(poll_fn(|context| {
                assert!(Pin::new(&mut handle).poll(context).is_pending());
                Poll::Ready(())
            }));
            handle
        });
        let handle = polls.join().unwrap();
        handle.join().unwrap();
    });
}

#[test]
fn sleeping_takes_as_long_as_it_says_whoever_polls() {
    run(|| {
        let start = now();
        wait(future::sleep(SOON));
        wait(future::sleep_until(start + 2 * SOON));
        assert!(start.elapsed() >= 2 * SOON);
        assert!(wait(future::timeout(SOON, future::sleep(FOREVER))).is_err());
        assert_eq!(wait(future::timeout(FOREVER, ready(7))), Ok(7));
        // Two at once, of which the later one is polled first.
        let (long, short) = (future::sleep(FOREVER / 4), future::sleep(SOON));
        wait(async {
            let (mut long, mut short) = (pin!(long), pin!(short));
            poll_fn(|context| {
                assert!(long.as_mut().poll(context).is_pending());
                short.as_mut().poll(context)
            })
            .await;
        });
    });
}

#[test]
fn a_sleep_that_was_begun_on_a_loop_that_has_gone_may_be_dropped_or_go_on() {
    let begun = || {
        run(|| {
            let mut sleep = Box::pin(future::sleep(2 * SOON));
            let task = spawn(move || {
                wait(poll_fn(|context| {
                    assert!(sleep.as_mut().poll(context).is_pending());
                    Poll::Ready(())
                }));
                sleep
            });
            task.join().unwrap()
        })
    };
    drop(begun());
    let sleep = begun();
    run(|| wait(sleep));
    // The same loop again, which still has the timer.
    let mut event_loop = EventLoop::new().unwrap();
    let mut sleep = Box::pin(future::sleep(2 * SOON));
    assert!(event_loop.run(|| wait(poll_fn(|context| Poll::Ready(sleep.as_mut().poll(context).is_pending())))));
    event_loop.run(|| kettle_rt::sleep(4 * SOON));
    event_loop.run(|| wait(sleep));
}

#[test]
fn sequential_code_is_a_future() {
    run(|| {
        let brewed = wait(async {
            let tea = in_fiber(|| {
                sleep(SOON);
                "tea"
            });
            let milk = async { "milk" };
            (tea.await, milk.await)
        });
        assert_eq!(brewed, ("tea", "milk"));
        let panics = catch_unwind(AssertUnwindSafe(|| wait(in_fiber(|| panic!("in a fiber")))));
        assert!(panics.is_err());
        let ended = Rc::new(Cell::new(0));
        let given_up = wait(future::timeout(SOON, {
            let ended = Rc::clone(&ended);
            in_fiber(move || {
                let _count = Count(&ended);
                park();
            })
        }));
        assert!(given_up.is_err());
        yield_now();
        yield_now();
        assert_eq!(ended.get(), 1);
    });
}

#[test]
fn outside_of_run_a_thread_waits_as_well() {
    thread::spawn(|| {
        let promise = Promise::new();
        let other = thread::spawn({
            let promise = promise.clone();
            move || promise.give(7)
        });
        assert_eq!(wait(promise.take()), 7);
        other.join().unwrap();
        assert_eq!(wait(async { spawn_future(ready(7)).await.unwrap() }), 7);
    })
    .join()
    .unwrap();
}

#[test]
fn who_would_block_the_loop_inside_of_a_future_is_told() {
    run(|| {
        let waits = spawn_future(async { wait(future::sleep(FOREVER)) });
        assert!(waits.join().is_err());
        let opens = spawn_future(async { scope(|_| ()) });
        assert!(opens.join().is_err());
        let joins = spawn_future(async { spawn(park).join().is_ok() });
        assert!(joins.join().is_err());
    });
}

#[test]
fn ten_thousand_futures_sleep_and_wake() {
    run(|| {
        let tasks: Vec<_> = (0..10_000)
            .map(|n| {
                spawn_future(async move {
                    future::sleep(Duration::from_micros(n % 997)).await;
                    n
                })
            })
            .collect();
        let sum: u64 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
        assert_eq!(sum, 49_995_000);
    });
}

#[test]
fn a_waker_may_drop_futures_whose_time_has_come_too() {
    thread_local! {
        static SECOND: RefCell<Option<Pin<Box<Option<future::Sleep>>>>> = const { RefCell::new(None) };
    }
    struct Drops;
    impl Wake for Drops {
        fn wake(self: Arc<Self>) {
            // In its place: what the event loop knows of it can be looked at, and is empty.
            SECOND.with_borrow_mut(|second| second.as_mut().unwrap().set(None));
        }
    }
    struct Nothing;
    impl Wake for Nothing {
        fn wake(self: Arc<Self>) {}
    }
    Clock::jumping().run(|| {
        let at = now() + SOON;
        let mut first = Box::pin(future::sleep_until(at));
        let mut second = Box::pin(Some(future::sleep_until(at)));
        let waker = Arc::new(Nothing);
        assert!(first.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::new(Drops)))).is_pending());
        let pinned = second.as_mut().as_pin_mut().unwrap();
        assert!(pinned.poll(&mut Context::from_waker(&Waker::from(Arc::clone(&waker)))).is_pending());
        SECOND.set(Some(second));
        sleep(2 * SOON);
        assert!(SECOND.with_borrow(|second| second.as_ref().unwrap().is_none()));
        assert_eq!(Arc::strong_count(&waker), 1, "its waker went once");
    });
}

#[test]
fn a_waker_that_a_handle_lets_go_may_look_at_the_task() {
    struct Looks;
    impl Wake for Looks {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Looks {
        fn drop(&mut self) {
            SEEN.set(Some(current()));
        }
    }
    thread_local! {
        static SEEN: Cell<Option<Thread>> = const { Cell::new(None) };
    }
    run(|| {
        let own: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
        let is_found = Rc::new(Cell::new(false));
        let task = spawn({
            let (own, is_found) = (Rc::clone(&own), Rc::clone(&is_found));
            move || {
                let mut handle = own.take().unwrap();
                let mut poll = |waker: &Waker| Pin::new(&mut handle).poll(&mut Context::from_waker(waker)).is_pending();
                assert!(poll(&Waker::from(Arc::new(Looks))));
                assert!(poll(Waker::noop()));
                is_found.set(SEEN.take().unwrap().id() == current().id());
            }
        });
        own.replace(Some(task));
        yield_now();
        assert!(is_found.get());
    });
}
