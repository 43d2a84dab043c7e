//! Looking out: when a thread does, and when it does so no more.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_rt::testing::simulate;
use kettle_rt::{EventLoop, Lookout, park, spawn, yield_now};
use std::thread;

fn run<T>(f: impl FnOnce() -> T) -> T {
    EventLoop::new().unwrap().run(f)
}

/// How often a lookout looks that sees nothing.
fn looks(lookout: &Lookout) -> usize {
    let mut looks = 0;
    let seen = lookout.look(|| {
        looks += 1;
        None::<()>
    });
    assert_eq!(seen, None);
    looks
}

#[test]
fn who_would_sleep_looks_several_times() {
    assert!(looks(&Lookout::new()) > 1);
    run(|| assert!(looks(&Lookout::new()) > 1));
}

#[test]
fn what_is_seen_is_given_at_once() {
    let mut looks = 0;
    let seen = Lookout::new().look(|| {
        looks += 1;
        (looks == 2).then_some("it boils")
    });
    assert_eq!((seen, looks), (Some("it boils"), 2));
}

#[test]
fn nobody_looks_out_while_another_task_is_ready() {
    run(|| {
        let other = spawn(|| ());
        assert_eq!(looks(&Lookout::new()), 0);
        other.join().unwrap();
        assert!(looks(&Lookout::new()) > 1);
    });
}

#[test]
fn nobody_looks_out_in_a_simulation() {
    assert_eq!(simulate(1, || looks(&Lookout::new())), 0);
}

#[test]
fn who_has_looked_in_vain_looks_once_and_seldom_more() {
    let lookout = Lookout::new();
    let often = looks(&lookout);
    assert!(often > 1);
    while looks(&lookout) > 1 {}
    let waits: Vec<_> = (0..100).map(|_| looks(&lookout)).collect();
    assert!(waits.iter().all(|&looks| looks == 1 || looks == often), "{waits:?}");
    let hopes = waits.iter().filter(|&&looks| looks > 1).count();
    assert!((1..10).contains(&hopes), "{waits:?}");
}

#[test]
fn one_that_has_seen_something_hopes_again() {
    let lookout = Lookout::new();
    while looks(&lookout) > 1 {}
    assert_eq!(lookout.look(|| Some(1)), Some(1));
    // That was no look-out: it was there.
    assert_eq!(looks(&lookout), 1);
    let seen = (0..100).find_map(|_| {
        let mut looks = 0;
        lookout.look(|| {
            looks += 1;
            (looks > 1).then_some(())
        })
    });
    assert_eq!(seen, Some(()));
    assert!(looks(&lookout) > 1);
}

/// What has come for its loop may come soon: then it keeps the processor for itself.
#[test]
fn a_loop_that_is_wanted_does_not_give_its_processor_away() {
    run(|| {
        let parked = spawn(park);
        yield_now();
        let idle = looks(&Lookout::new());
        let handle = parked.thread().clone();
        thread::spawn(move || handle.unpark()).join().unwrap();
        assert!(looks(&Lookout::new()) < idle);
        parked.join().unwrap();
    });
}
