//! Many threads, each with a pool of its own; and what is left of them when they have ended: nothing.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod child;

use kettle_fiber::{Builder, Coroutine, Yielder, coroutine, pool, scoped};
use kettle_gen::Generator;
use std::sync::Barrier;
use std::{fs, thread};

fn body(y: &mut Yielder<usize>) {
    let frame = std::hint::black_box([1_u8; 2000]);
    for (n, one) in frame.iter().enumerate().take(10) {
        y.yield_(n + usize::from(*one));
    }
}

/// Makes coroutines of some sizes, and leaves some finished, some suspended and some not started.
fn work() {
    let make = |n: usize| -> Coroutine<usize> {
        Builder::new().stack_size(64 << 10 << (n % 4)).name("worker").coroutine(body).unwrap()
    };
    let mut all: Vec<_> = (0..40).map(make).collect();
    for (n, co) in all.iter_mut().enumerate() {
        assert_eq!(co.by_ref().take(n % 12).count(), (n % 12).min(10));
    }
    scoped(body, |mut co| assert_eq!(co.next(), Some(1)));
}

fn resident_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn mappings() -> usize {
    fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

fn run_threads(count: usize) {
    for _ in 0..count / 4 {
        let threads: Vec<_> = (0..4).map(|_| thread::spawn(work)).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

#[test]
fn after_a_thousand_threads_mappings_and_memory_are_as_before() {
    // It measures the whole process, so the process is its own.
    if child::is_sanitised() {
        // The sanitizer keeps freed memory for a while.
        return run_threads(20);
    }
    if child::scenario().is_none() {
        let name = "after_a_thousand_threads_mappings_and_memory_are_as_before";
        return child::run(name, "measure").assert_success();
    }
    run_threads(100);
    let (mapped, resident) = (mappings(), resident_kib());
    run_threads(1000);
    // The allocator's arenas and std's thread stacks come and go; a leak of one a thread would be 4 MiB at least.
    assert!(mappings() <= mapped + 20, "{mapped} mappings, then {}", mappings());
    assert!(resident_kib() <= resident + 4096, "{resident} KiB, then {}", resident_kib());
}

#[test]
fn threads_have_pools_of_their_own() {
    let barrier = Barrier::new(8);
    thread::scope(|scope| {
        for n in 1..=8 {
            let barrier = &barrier;
            scope.spawn(move || {
                let all: Vec<_> = (0..n * 10).map(|_| coroutine(body)).collect();
                barrier.wait();
                let in_use: usize = pool::usage().iter().map(|usage| usage.in_use).sum();
                assert_eq!(in_use, n * 10);
                barrier.wait();
                assert_eq!(all.into_iter().map(|mut co| co.next().unwrap()).sum::<usize>(), n * 10);
            });
        }
    });
}

#[test]
fn a_closure_that_makes_a_coroutine_may_change_threads_until_it_runs() {
    let make = || coroutine(body);
    let sum: usize = thread::spawn(move || make().sum()).join().unwrap();
    assert_eq!(sum, 55);
}

#[test]
fn threads_that_end_with_forgotten_coroutines_keep_those_and_no_more() {
    let forget = || {
        for n in 0..4 {
            let mut co = coroutine(body);
            co.by_ref().take(n).for_each(drop);
            std::mem::forget(co);
        }
    };
    (0..20).for_each(|_| thread::spawn(forget).join().unwrap());
    assert_eq!(coroutine(body).sum::<usize>(), 55);
}

#[test]
fn threads_switch_as_if_each_were_alone() {
    let turns = |seed: usize| {
        let mut all: Vec<_> = (0..100).map(|_| coroutine(|y: &mut Yielder<usize>| y.yield_iter(0..))).collect();
        let mut at = seed;
        let mut counts = vec![0; all.len()];
        for _ in 0..20_000 {
            at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let index = (at >> 33) % all.len();
            assert_eq!(all[index].resume().unwrap().yielded(), Some(counts[index]), "seed {seed}");
            counts[index] += 1;
        }
    };
    let threads: Vec<_> = (1..=8).map(|seed| thread::spawn(move || turns(seed))).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}
