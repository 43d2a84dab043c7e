//! Many seeds, the first that fails, and the least that it takes to fail.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

#[path = "../../../tests/again.rs"]
mod again;

use again::again;
use kettle_rt::testing::{Failure, Simulation, explore};
use kettle_rt::{EventLoop, scope, spawn, yield_now};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Tasks add one each, with others between looking and writing only if one of them is interrupted.
fn lost_update() {
    let cups = Cell::new(0);
    scope(|s| {
        for _ in 0..3 {
            s.spawn(|| {
                let seen = cups.get();
                kettle_rt::pass();
                cups.set(seen + 1);
            });
        }
    });
    assert_eq!(cups.get(), 3, "a cup is lost");
}

fn find(f: impl Fn()) -> Failure {
    Simulation::new(0).explore(0..1000, f).unwrap_err()
}

#[test]
fn a_lost_update_is_found_and_shortened_to_one_choice() {
    let failure = find(lost_update);
    assert!(failure.is_panic());
    let deviations: Vec<_> = failure.deviations().collect();
    assert_eq!(deviations.len(), 1, "{failure}");
    assert!(deviations[0].ends_with("let others run at a checkpoint"), "{failure}");
    let said = failure.to_string();
    assert!(said.contains("a cup is lost") && said.contains(&format!("KETTLE_SEED={}", failure.replay())), "{said}");
}

#[test]
fn what_is_found_is_the_same_each_time() {
    assert_eq!(find(lost_update).to_string(), find(lost_update).to_string());
}

#[test]
fn what_always_fails_needs_no_choice() {
    let failure = find(|| {
        spawn(yield_now).join().unwrap();
        panic!("no water");
    });
    assert_eq!((failure.seed(), failure.deviations().count()), (0, 0));
    assert!(failure.to_string().contains("also if all is first in, first out"), "{failure}");
    assert_eq!(failure.replay(), "0:");
}

#[test]
fn two_choices_that_are_needed_both_stay() {
    let failure = find(|| {
        let said = RefCell::new(String::new());
        scope(|s| {
            for name in ["a", "b", "c"] {
                let said = &said;
                s.spawn(move || said.borrow_mut().push_str(name));
            }
        });
        assert_ne!(said.take(), "cba");
    });
    assert_eq!(failure.deviations().count(), 2, "{failure}");
}

#[test]
fn a_deadlock_is_found() {
    let failure = find(|| {
        let (is_told, me) = (Cell::new(false), kettle_rt::current());
        scope(|s| {
            s.spawn(|| {
                // Whoever looks before it is said waits for ever.
                if !is_told.get() {
                    kettle_rt::pass();
                    kettle_rt::park();
                }
            });
            s.spawn(|| {
                kettle_rt::pass();
                is_told.set(true);
                me.unpark();
            });
        });
    });
    assert!(failure.is_deadlock(), "{failure}");
}

#[test]
fn seeds_that_do_not_fail_are_counted() {
    let runs = Cell::new(0);
    let count = Simulation::new(0).explore(0..25, || runs.set(runs.get() + 1)).unwrap();
    assert_eq!((count, runs.get()), (25, 25));
    explore(0..3, || ());
}

#[test]
fn explore_panics_with_what_it_has_found() {
    let panic = catch_unwind(AssertUnwindSafe(|| explore(0..1000, lost_update))).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("again with KETTLE_SEED="));
}

#[test]
fn explore_inside_of_run_is_an_error() {
    EventLoop::new().unwrap().run(|| {
        assert!(Simulation::new(0).explore(0..1, || ()).unwrap_err().is_nested());
    });
}

/// What a process says, and whether it ends well, that looks for the lost update with a seed in its environment.
fn with_seed(test: &str, seed: &str) -> (bool, String) {
    let output = again(test, &[("KETTLE_SEED", seed)], || {
        match Simulation::new(0).explore(0..1000, lost_update) {
            Ok(count) => println!("{count} without a failure"),
            Err(failure) => println!("failed: {failure}"),
        }
        println!("chosen {:?}", kettle_rt::testing::simulate(5, || kettle_rt::choose(1 << 30)));
    });
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_environment_replays_a_seed_and_a_shortened_one() {
    let with_seed = |seed: &str| with_seed("the_environment_replays_a_seed_and_a_shortened_one", seed);
    // First, for in the other process it is all there is.
    assert!(with_seed("0:").1.contains("1 without a failure"));
    let failure = find(lost_update);
    for seed in [failure.replay(), failure.seed().to_string()] {
        let (_, said) = with_seed(&seed);
        assert!(said.contains("failed: ") && said.contains("a cup is lost"), "{seed}: {said}");
        assert_eq!(said, with_seed(&seed).1);
    }
}

#[test]
fn a_seed_that_is_none_is_an_error() {
    assert!(!with_seed("a_seed_that_is_none_is_an_error", "tea").0);
}

#[test]
fn to_explore_no_seeds_is_refused() {
    let looked = catch_unwind(|| explore(5..5, || ())).unwrap_err();
    assert!(looked.downcast_ref::<&str>().unwrap().contains("explore no seeds"));
    assert!(catch_unwind(|| Simulation::new(0).explore([], || ())).is_err());
}

#[test]
fn latencies_of_an_empty_range_are_refused() {
    let of = |least, most| Simulation::new(0).latency(Duration::from_millis(least)..=Duration::from_millis(most));
    assert!(catch_unwind(|| of(5, 1)).unwrap_err().downcast_ref::<&str>().unwrap().contains("an empty range"));
    assert!(of(1, 1).run(|| ()).is_ok());
}
