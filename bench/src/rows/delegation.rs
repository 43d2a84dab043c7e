//! Owns the rows of `yield_from`: what a value costs that comes from so many generators down.
//!
//! The chain is built and its first value taken before the clock starts.

use super::Sizes;
use crate::lazy_range;
use crate::measure::{Contender, Row, Sample, Target};
use crate::raw_stack::{RawStack, Slab};
use crate::work::mix;
use corosensei::CoroutineResult;
use kettle::{BoxGenerator, Coroutine};
use std::hint::black_box;
use std::rc::Rc;
use std::time::Instant;

const DEPTHS: [(u64, &str); 4] =
    [(2, "kettle, depth 2"), (10, "kettle, depth 10"), (100, "kettle, depth 100"), (1000, "kettle, depth 1000")];

/// The rows.
pub(super) fn rows(sizes: &Sizes) -> [Row; 2] {
    [stackless(sizes), stackful(sizes)]
}

fn stackless(sizes: &Sizes) -> Row {
    let count = sizes.of(2_000_000);
    let programs = &sizes.programs;
    let mut row = Row::new("yield_from", "a value from so many stackless generators down");
    for (depth, name) in DEPTHS {
        row = row.with(reach(sampled(name, count, move || range(depth, count)), depth));
    }
    // What nests them passes each value through each one: few values are enough.
    let few = |depth: u64| (count * 4 / depth).max(1000);
    row.with_any(programs.nightly("nightly gen blocks, depth 10", "nested_10", few(10)))
        .with_any(programs.nightly("nightly gen blocks, depth 100", "nested_100", few(100)))
        .with_any(programs.nightly("nightly gen blocks, depth 1000", "nested_1000", few(1000)))
        .with_any(renamed(programs.python("nested_10", few(100)), "CPython, depth 10"))
        .with_any(renamed(programs.python("nested_100", few(1000)), "CPython, depth 100"))
        .with_any(renamed(programs.python("nested_900", few(10_000)), "CPython, depth 900"))
}

fn stackful(sizes: &Sizes) -> Row {
    let count = sizes.of(2_000_000);
    let mut row = Row::new("yield_from-stackful", "a value from so many coroutines down");
    for (depth, name) in DEPTHS {
        row = row.with(reach(sampled(name, count, move || coroutines(depth, count)), depth));
    }
    for (depth, name) in [
        (10, "corosensei, nested, depth 10"),
        (100, "corosensei, nested, depth 100"),
        (1000, "corosensei, nested, depth 1000"),
    ] {
        let count = (count * 4 / depth).max(1000);
        let slab = Slab::new(depth as usize, 64 << 10);
        row = row.with(
            sampled(name, count, move || {
                let mut values = nested(depth, count, &slab);
                std::iter::from_fn(move || match values.resume(()) {
                    CoroutineResult::Yield(value) => Some(value),
                    CoroutineResult::Return(()) => None,
                })
            })
            .unchecked(),
        );
    }
    row
}

fn reach(contender: Contender, depth: u64) -> Contender {
    if depth < 1000 { contender } else { contender.to_reach(Target::Times(1.5, DEPTHS[0].1)) }
}

fn renamed(contender: Option<Contender>, name: &str) -> Option<Contender> {
    contender.map(|contender| contender.named(name))
}

/// Times all values but the first.
fn sampled<I: Iterator<Item = u64>>(name: &str, count: u64, mut make: impl FnMut() -> I + 'static) -> Contender {
    Contender::sampled(name, move || {
        let mut values = make();
        let first = values.next();
        let start = Instant::now();
        let mut hash = first.unwrap_or(0);
        for value in black_box(&mut values) {
            hash = mix(hash, value);
        }
        Some(Sample::per_operation(start.elapsed(), count - 1, hash))
    })
}

fn range(depth: u64, count: u64) -> BoxGenerator<'static, u64> {
    if depth == 1 {
        return kettle::boxed(kettle::generator(async move |y| lazy_range!(count, value => y.yield_(value).await)));
    }
    kettle::boxed(kettle::generator(async move |y| y.yield_from(range(depth - 1, count)).await))
}

fn coroutines(depth: u64, count: u64) -> Coroutine<u64> {
    if depth == 1 {
        return kettle::coroutine(move |y| lazy_range!(count, value => y.yield_(value)));
    }
    kettle::coroutine(move |y| y.yield_from(coroutines(depth - 1, count)))
}

fn nested(depth: u64, count: u64, slab: &Rc<Slab>) -> corosensei::Coroutine<(), u64, (), RawStack> {
    let stack = slab.stack(depth as usize - 1);
    if depth == 1 {
        return corosensei::Coroutine::with_stack(stack, move |y: &corosensei::Yielder<(), u64>, ()| {
            lazy_range!(count, value => y.suspend(value));
        });
    }
    let mut inner = nested(depth - 1, count, slab);
    corosensei::Coroutine::with_stack(stack, move |y: &corosensei::Yielder<(), u64>, ()| {
        while let CoroutineResult::Yield(value) = inner.resume(()) {
            y.suspend(value);
        }
    })
}
