//! Owns the rows of stackful coroutines: switching to one, to many in turn, and making one.

use super::Sizes;
use crate::measure::{Contender, Row, Target};
use crate::raw_stack::{RawStack, Slab};
use corosensei::CoroutineResult;
use kettle::fiber::Builder;
use kettle::{Coroutine, Generator, Step};
use std::hint::black_box;

const COROSENSEI: &str = "corosensei";
/// Of stacks, for both sides.
const STACK_SIZE: usize = 64 << 10;

/// The rows.
pub(super) fn rows(sizes: &Sizes) -> Vec<Row> {
    let mut rows = vec![round_trip(sizes)];
    for (name, count, times) in
        [("round-robin-16", 16, 0.60), ("round-robin-1000", 1000, 0.85), ("round-robin-100000", 100_000, 0.95)]
    {
        // A small size would be another measurement: fewer coroutines fit the caches.
        rows.push(round_robin(name, if sizes.quick { count.min(5000) } else { count }, times));
    }
    rows.push(creation(sizes));
    rows
}

fn round_trip(sizes: &Sizes) -> Row {
    let count = sizes.of(10_000_000);
    Row::new("round-trip", format!("{count} resumes of one coroutine that yields"))
        .with(Contender::timed(COROSENSEI, count, move || {
            let mut coroutine = corosensei::Coroutine::new(|y: &corosensei::Yielder<(), u64>, ()| {
                for value in 0.. {
                    y.suspend(value);
                }
            });
            let mut last = 0;
            for _ in 0..black_box(count) {
                last = match coroutine.resume(()) {
                    CoroutineResult::Yield(value) => value,
                    CoroutineResult::Return(()) => unreachable!("it does not end"),
                };
            }
            last
        }))
        .with(
            Contender::timed("kettle coroutine", count, move || {
                let mut coroutine = counter();
                let mut last = 0;
                for _ in 0..black_box(count) {
                    last = value_of(&mut coroutine);
                }
                last
            })
            .to_reach(Target::Times(1.05, COROSENSEI)),
        )
        .with(Contender::timed("generator-rs", count, move || {
            let mut coroutine = generator::Gn::<()>::new_scoped(|mut scope| {
                for value in 0..u64::MAX {
                    scope.yield_(value);
                }
                generator::done!()
            });
            let mut last = 0;
            for _ in 0..black_box(count) {
                last = coroutine.resume().unwrap_or(0);
            }
            last
        }))
}

fn counter() -> Coroutine<u64> {
    let body = |y: &mut kettle::fiber::Yielder<u64>| {
        for value in 0.. {
            y.yield_(value);
        }
    };
    Builder::new().stack_size(STACK_SIZE).coroutine(body).unwrap_or_else(|error| panic!("{error}"))
}

#[inline(always)]
fn value_of(coroutine: &mut Coroutine<u64>) -> u64 {
    match coroutine.resume() {
        Ok(Step::Yielded(value)) => value,
        _ => unreachable!("it does not end"),
    }
}

/// The coroutines are made when the contender first runs, and stay: what is measured is going around.
fn round_robin(name: &'static str, count: usize, times: f64) -> Row {
    let around = (2_000_000 / count).max(10);
    let resumes = (around * count) as u64;
    let mut by_corosensei = Vec::new();
    let mut by_kettle = Vec::new();
    let mut round = (0, 0);
    Row::new(name, format!("a resume, of {count} coroutines in turn"))
        .with(Contender::timed(COROSENSEI, resumes, move || {
            if by_corosensei.is_empty() {
                let slab = Slab::new(count, STACK_SIZE);
                by_corosensei.extend((0..count).map(|index| page_aligned(slab.stack(index))));
            }
            round.0 += 1;
            let mut last = 0;
            for _ in 0..around {
                for coroutine in &mut by_corosensei {
                    last = match coroutine.resume(()) {
                        CoroutineResult::Yield(value) => value,
                        CoroutineResult::Return(()) => unreachable!("it does not end"),
                    };
                }
            }
            last - (round.0 - 1) * around as u64
        }))
        .with(
            Contender::timed("kettle coroutines", resumes, move || {
                if by_kettle.is_empty() {
                    by_kettle.extend((0..count).map(|_| counter()));
                }
                round.1 += 1;
                let mut last = 0;
                for _ in 0..around {
                    for coroutine in &mut by_kettle {
                        last = value_of(coroutine);
                    }
                }
                last - (round.1 - 1) * around as u64
            })
            .to_reach(Target::Times(times, COROSENSEI)),
        )
}

/// A counter whose stack begins at a page's end.
fn page_aligned(stack: RawStack) -> corosensei::Coroutine<(), u64, (), RawStack> {
    corosensei::Coroutine::with_stack(stack, |y: &corosensei::Yielder<(), u64>, ()| {
        for value in 0.. {
            y.suspend(value);
        }
    })
}

fn creation(sizes: &Sizes) -> Row {
    const REUSED: &str = "corosensei, one reused raw stack";
    let count = sizes.of(1_000_000);
    let mut stack = None;
    Row::new("creation", format!("{count} times: made, one value, ended, dropped"))
        .with(Contender::timed(REUSED, count, move || {
            let mut free = stack.take().unwrap_or_else(|| Slab::new(1, STACK_SIZE).stack(0));
            let mut sum = 0u64;
            for index in 0..black_box(count) {
                let mut coroutine =
                    corosensei::Coroutine::with_stack(free, move |y: &corosensei::Yielder<(), u64>, ()| {
                        y.suspend(index)
                    });
                while let CoroutineResult::Yield(value) = coroutine.resume(()) {
                    sum = sum.wrapping_add(value);
                }
                free = coroutine.into_stack();
            }
            stack = Some(free);
            sum
        }))
        .with(
            Contender::timed("kettle coroutine", count, move || {
                let mut sum = 0u64;
                for index in 0..black_box(count) {
                    for value in kettle::coroutine(move |y| {
                        y.yield_(index);
                    }) {
                        sum = sum.wrapping_add(value);
                    }
                }
                sum
            })
            .to_reach(Target::Times(1.0, REUSED)),
        )
        .with(Contender::timed("kettle, stackless, movable", count, move || {
            let mut sum = 0u64;
            for index in 0..black_box(count) {
                for value in black_box(kettle::generator(async move |y| {
                    y.yield_(index).await;
                })) {
                    sum = sum.wrapping_add(value);
                }
            }
            sum
        }))
        .with({
            // It maps and unmaps a stack each time.
            let count = count / 50;
            Contender::timed("generator-rs", count, move || {
                for index in 0..black_box(count) {
                    for value in generator::Gn::<()>::new_scoped(move |mut scope| {
                        scope.yield_(index);
                        generator::done!()
                    }) {
                        black_box(value);
                    }
                }
                0
            })
            .unchecked()
        })
}
