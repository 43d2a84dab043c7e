//! Wakers of other executors, woken by the event loop: what they do there is contained.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_rt::future;
use kettle_rt::testing::Clock;
use kettle_rt::{EventLoop, JoinHandle, fiber_local, now, sleep, spawn, spawn_future, yield_now};
use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

const SOON: Duration = Duration::from_millis(1);

fn run<T>(f: impl FnOnce() -> T) -> T {
    EventLoop::new().unwrap().run(f)
}

/// A waker that counts, and panics then.
#[derive(Default)]
struct Panics {
    woken: AtomicUsize,
}

/// A payload that panics when it is dropped, with another one.
struct Again(usize);

impl Drop for Again {
    fn drop(&mut self) {
        if self.0 > 0 {
            resume_unwind(Box::new(Self(self.0 - 1)));
        }
    }
}

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::Relaxed);
        resume_unwind(Box::new(Again(3)));
    }
}

/// A waker that panics when it is dropped, and only then; it counts both.
struct PanicsAtItsEnd(Arc<[AtomicUsize; 2]>);

impl Wake for PanicsAtItsEnd {
    fn wake(self: Arc<Self>) {
        self.0[0].fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for PanicsAtItsEnd {
    fn drop(&mut self) {
        self.0[1].fetch_add(1, Ordering::Relaxed);
        resume_unwind(Box::new("a waker has gone"));
    }
}

fn panics() -> (Arc<Panics>, Waker) {
    let panics = Arc::new(Panics::default());
    (Arc::clone(&panics), Waker::from(panics))
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

#[test]
fn a_waker_that_panics_at_a_task_s_end_harms_nobody() {
    let (panics, waker) = panics();
    run(|| {
        let after = Rc::new(Cell::new(0));
        let joined = spawn(yield_now);
        let counts = Rc::clone(&after);
        let mut kettle: JoinHandle<i32> = spawn(move || {
            yield_now();
            counts.set(counts.get() + 1);
            7
        });
        let mut boils = spawn_future(async { future::yield_now().await });
        assert!(poll(&mut kettle, &waker).is_pending());
        assert!(poll(&mut boils, &waker).is_pending());
        joined.join().unwrap();
        while !kettle.is_finished() || !boils.is_finished() {
            yield_now();
        }
        assert_eq!(kettle.join().unwrap(), 7);
        boils.join().unwrap();
        assert_eq!((after.get(), spawn(|| 8).join().unwrap()), (1, 8));
    });
    assert_eq!(panics.woken.load(Ordering::Relaxed), 2);
}

#[test]
fn a_waker_that_panics_when_a_time_has_come_keeps_no_other_from_being_woken() {
    let (panics, waker) = panics();
    Clock::jumping().run(|| {
        let due = now() + SOON;
        let mut sleeps: Vec<_> = (0..4).map(|_| Box::pin(future::sleep_until(due))).collect();
        for sleep in &mut sleeps {
            assert!(poll(sleep, &waker).is_pending());
        }
        sleep(SOON);
        while panics.woken.load(Ordering::Relaxed) < 4 {
            yield_now();
        }
        assert!(sleeps.iter_mut().all(|sleep| poll(sleep, &waker).is_ready()));
    });
    assert_eq!(panics.woken.load(Ordering::Relaxed), 4);
}

#[test]
fn a_waker_that_panics_when_it_is_dropped_is_no_harm_either() {
    let counts = Arc::new([0, 0].map(AtomicUsize::new));
    let counted = || counts.each_ref().map(|count| count.load(Ordering::Relaxed));
    run(|| {
        let mut task = spawn(|| 7);
        let waker = Waker::from(Arc::new(PanicsAtItsEnd(Arc::clone(&counts))));
        assert!(poll(&mut task, &waker).is_pending());
        // The loop has the last one.
        drop(waker);
        yield_now();
        assert_eq!(task.join().unwrap(), 7);
        assert_eq!(counted(), [1, 1]);
        // One that is woken by a time is no other.
        let mut slept = Box::pin(future::sleep(SOON));
        let waker = Waker::from(Arc::new(PanicsAtItsEnd(Arc::clone(&counts))));
        assert!(poll(&mut slept, &waker).is_pending());
        drop(waker);
        while counted() != [2, 2] {
            yield_now();
        }
    });
}

#[test]
fn a_task_whose_locals_panic_with_payloads_that_do_ends_all_the_same() {
    struct Spills;
    impl Drop for Spills {
        fn drop(&mut self) {
            resume_unwind(Box::new(Again(3)));
        }
    }
    fiber_local!(static SPILLS: RefCell<Option<Spills>> = const { RefCell::new(None) });
    run(|| {
        let task = spawn(|| SPILLS.set(Some(Spills)));
        yield_now();
        assert!(task.is_finished());
        task.join().unwrap();
    });
}
