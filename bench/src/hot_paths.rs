//! Owns the hot paths whose instructions are counted: one function each, of a number of values.

use crate::work::{hash, mix};
use crate::{lazy_range, running_total};
use kettle::{BoxGenerator, Generator, Step, Yielder};
use std::hint::black_box;
use std::pin::pin;

/// A path: its name and what runs it.
type Path = (&'static str, fn(u64) -> u64);

/// All of them.
pub const PATHS: [Path; 10] = [
    ("pinned-sum", pinned_sum),
    ("pinned-hash", pinned_hash),
    ("pinned-send", pinned_send),
    ("movable-hash", movable_hash),
    ("boxed-next", boxed_next),
    ("boxed-send", boxed_send),
    ("delegated-resume", delegated_resume),
    ("stackful-resume", stackful_resume),
    ("stackful-send", stackful_send),
    ("stackful-creation", stackful_creation),
];

/// Runs one of them. Gives `None` if there is no such path.
pub fn run(name: &str, values: u64) -> Option<u64> {
    let (_, path) = PATHS.iter().find(|(candidate, _)| *candidate == name)?;
    // Nobody is to know which: each is compiled as it stands.
    Some(black_box(path)(values))
}

macro_rules! range {
    ($count:expr) => {
        kettle::generator(async move |y: &mut Yielder<'_, u64>| lazy_range!($count, value => y.yield_(value).await))
    };
}

macro_rules! total {
    ($count:expr) => {
        kettle::generator(async move |y: &mut Yielder<'_, u64, u64>| {
            running_total!($count, value => y.yield_(value).await.unwrap_or(0))
        })
    };
}

fn pinned_sum(values: u64) -> u64 {
    pin!(range!(values)).sum()
}

fn pinned_hash(values: u64) -> u64 {
    hash(pin!(range!(values)))
}

fn pinned_send(values: u64) -> u64 {
    converse(&mut pin!(total!(values)))
}

fn movable_hash(values: u64) -> u64 {
    hash(range!(values))
}

fn boxed_next(values: u64) -> u64 {
    hash(black_box(delegated(1, values)))
}

fn boxed_send(values: u64) -> u64 {
    converse(&mut black_box(kettle::boxed(total!(values))))
}

fn delegated_resume(values: u64) -> u64 {
    hash(black_box(delegated(10, values)))
}

fn stackful_resume(values: u64) -> u64 {
    hash(kettle::coroutine(move |y| lazy_range!(values, value => y.yield_(value))))
}

fn stackful_send(values: u64) -> u64 {
    converse(&mut kettle::coroutine::<u64, u64, u64>(
        move |y| running_total!(values, value => y.yield_(value).unwrap_or(0)),
    ))
}

/// Made, one value, ended, dropped.
fn stackful_creation(times: u64) -> u64 {
    let one = |value| {
        kettle::coroutine(move |y| {
            y.yield_(value);
        })
    };
    hash((0..times).flat_map(one))
}

fn delegated(depth: u64, values: u64) -> BoxGenerator<'static, u64> {
    if depth == 1 {
        return kettle::boxed(range!(values));
    }
    kettle::boxed(kettle::generator(async move |y| y.yield_from(delegated(depth - 1, values)).await))
}

#[inline(always)]
fn converse(total: &mut impl Generator<Yield = u64, Send = u64, Return = u64>) -> u64 {
    let mut hash = 0;
    let mut step = total.resume();
    loop {
        match step {
            Ok(Step::Yielded(value)) => {
                hash = mix(hash, value);
                step = total.send(value).map_err(kettle::Error::from);
            }
            Ok(Step::Returned(value)) => return mix(hash, value),
            Err(error) => panic!("{error}"),
        }
    }
}
