//! What tests on a real driver have: a clock that doesn't make them wait, an order, and who passes checkpoints.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_rt::testing::{Clock, Sequencer, assert_checkpoints, assert_no_checkpoints};
use kettle_rt::{Cancelled, EventLoop, Instant, checkpoint, park, pass, scope, sleep, spawn, timeout, yield_now};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn run<T>(f: impl FnOnce() -> T) -> T {
    EventLoop::new().unwrap().run(f)
}

#[test]
fn a_jumping_clock_does_not_make_a_test_wait() {
    let clock = Clock::jumping();
    clock.run(|| {
        let start = Instant::now();
        let (one, two) = (spawn(|| sleep(DAY)), spawn(|| sleep(2 * DAY)));
        one.join().unwrap();
        assert_eq!(start.elapsed(), DAY);
        two.join().unwrap();
        assert!(timeout(DAY, park).is_err());
        assert_eq!(start.elapsed(), 3 * DAY);
    });
    assert_eq!(clock.elapsed(), 3 * DAY);
}

#[test]
fn a_jumping_clock_waits_for_the_world() {
    Clock::jumping_after(Duration::from_secs(1000)).run(|| {
        let start = Instant::now();
        let me = kettle_rt::current();
        let thread = std::thread::spawn(move || me.unpark());
        kettle_rt::park_timeout(DAY);
        assert_eq!(start.elapsed(), Duration::ZERO);
        thread.join().unwrap();
    });
}

#[test]
fn a_stopped_clock_goes_on_when_it_is_told_to() {
    let clock = Clock::stopped();
    clock.run(|| {
        let order = RefCell::new(Vec::new());
        scope(|s| {
            for days in [2, 1] {
                let order = &order;
                s.spawn(move || {
                    sleep(days * DAY);
                    order.borrow_mut().push(days);
                });
            }
            yield_now();
            assert!(order.borrow().is_empty());
            clock.advance(DAY);
            sleep(Duration::ZERO);
            s.spawn(|| clock.advance(DAY));
        });
        assert_eq!(order.take(), [1, 2]);
    });
    assert_eq!(clock.elapsed(), 2 * DAY);
}

#[test]
fn a_sequencer_orders_tasks_and_threads() {
    let (order, said) = (Arc::new(Sequencer::new()), Arc::new(std::sync::Mutex::new(Vec::new())));
    let threads = [3, 1].map(|number| {
        let (order, said) = (Arc::clone(&order), Arc::clone(&said));
        std::thread::spawn(move || {
            let _turn = order.at(number);
            said.lock().unwrap().push(number);
        })
    });
    run(|| {
        scope(|s| {
            for number in [4, 2, 0] {
                let (order, said) = (&order, &said);
                s.spawn(move || {
                    let _turn = order.at(number);
                    yield_now();
                    said.lock().unwrap().push(number);
                });
            }
        });
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(*said.lock().unwrap(), [0, 1, 2, 3, 4]);
}

#[test]
fn a_turn_can_be_taken_once() {
    run(|| {
        let order = Sequencer::new();
        drop(order.at(0));
        assert!(catch_unwind(AssertUnwindSafe(|| drop(order.at(0)))).is_err());
        drop(order.at(1));
    });
}

#[test]
fn who_is_unwound_while_waiting_for_a_turn_breaks_the_order() {
    run(|| {
        let order = Rc::new(Sequencer::new());
        let take = |number| {
            let order = Rc::clone(&order);
            spawn(move || drop(order.at(number)))
        };
        let (one, two) = (take(1), take(2));
        yield_now();
        one.cancel();
        assert!(one.join().unwrap_err().is::<Cancelled>());
        assert!(!two.join().unwrap_err().is::<Cancelled>());
    });
}

#[test]
fn checkpoints_are_seen() {
    run(|| {
        assert_checkpoints(yield_now);
        assert_checkpoints(pass);
        assert_checkpoints(checkpoint);
        assert_checkpoints(|| sleep(Duration::ZERO));
        assert_checkpoints(|| kettle_rt::park_timeout(Duration::ZERO));
        assert_checkpoints(|| scope(|s| drop(s.spawn(|| ()))));
        assert_eq!(assert_checkpoints(|| spawn(|| 7).join().unwrap()), 7);
        assert_no_checkpoints(|| drop(spawn(|| ())));
        assert_no_checkpoints(|| kettle_rt::current().unpark());
        assert_no_checkpoints(Instant::now);
        assert_no_checkpoints(kettle_rt::is_cancelled);
    });
}

#[test]
fn a_checkpoint_too_many_or_too_few_is_a_panic() {
    run(|| {
        assert!(catch_unwind(|| assert_checkpoints(|| ())).is_err());
        assert!(catch_unwind(|| assert_no_checkpoints(yield_now)).is_err());
        // They nest.
        assert_checkpoints(|| {
            yield_now();
            assert_no_checkpoints(|| ());
        });
        let seen = Cell::new(false);
        assert!(
            catch_unwind(AssertUnwindSafe(|| assert_no_checkpoints(|| {
                assert_checkpoints(yield_now);
                seen.set(true);
            })))
            .is_err()
        );
        assert!(seen.get());
    });
    assert!(catch_unwind(|| assert_checkpoints(|| ())).is_err());
}
