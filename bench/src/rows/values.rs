//! Owns the rows of `lazy_range`: values out of one generator, consumed in several ways.

use super::Sizes;
use crate::lazy_range;
use crate::measure::{Contender, Row, Target};
use crate::work::{RangeByHand, hash, hash_dynamic};
use corosensei::CoroutineResult;
use futures_core::Stream;
use kettle::{BoxGenerator, Yielder};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

const BY_HAND: &str = "hand-written iterator";
const PINNED: &str = "kettle, pinned";
const MOVABLE: &str = "kettle, movable";

/// The rows.
pub(super) fn rows(sizes: &Sizes) -> [Row; 4] {
    [sum(sizes), hashed(sizes), boxed(sizes), dynamic(sizes)]
}

/// A stackless generator that runs where it is pinned, in a macro: a function could not return it.
macro_rules! pinned {
    ($count:expr) => {
        pin!(kettle::generator(async move |y: &mut Yielder<'_, u64>| lazy_range!($count, value => y.yield_(value).await)))
    };
}

/// A stackless generator of known type that may be moved: it boxes its body when it is first resumed.
macro_rules! movable {
    ($count:expr) => {
        kettle::generator(async move |y: &mut Yielder<'_, u64>| lazy_range!($count, value => y.yield_(value).await))
    };
}

macro_rules! genawaiter {
    ($count:expr) => {
        genawaiter::rc::Gen::new(|co| async move { lazy_range!($count, value => co.yield_(value).await) })
    };
}

fn sum(sizes: &Sizes) -> Row {
    let count = sizes.of(10_000_000);
    let programs = &sizes.programs;
    Row::new("sum", format!("sum of lazy_range({count})"))
        .with(Contender::timed(BY_HAND, count, move || RangeByHand::new(black_box(count)).sum()))
        .with(
            Contender::timed(PINNED, count, move || {
                let count = black_box(count);
                pinned!(count).sum()
            })
            .to_reach(Target::AtMost(0.2)),
        )
        .with_any(programs.default_profile("sum", PINNED))
        .with(Contender::timed(MOVABLE, count, move || {
            let count = black_box(count);
            movable!(count).sum()
        }))
        .with_any(programs.default_profile("sum", MOVABLE))
        .with(Contender::timed("async-stream, pinned", count, move || {
            let count = black_box(count);
            Ready(pin!(stream(count))).sum()
        }))
        .with(Contender::timed("genawaiter::rc", count, move || {
            let count = black_box(count);
            genawaiter!(count).into_iter().sum()
        }))
        .with_any(programs.nightly("nightly gen block", "sum", count))
        .with_any(programs.python("sum", sizes.of_slow(10_000_000)))
}

fn hashed(sizes: &Sizes) -> Row {
    let count = sizes.of(10_000_000);
    let programs = &sizes.programs;
    Row::new("hash", format!("each value of lazy_range({count}) mixed into a hash, pinned"))
        .with(Contender::timed(BY_HAND, count, move || hash(RangeByHand::new(black_box(count)))))
        .with_any(programs.default_profile("hash", BY_HAND))
        .with(
            Contender::timed(PINNED, count, move || {
                let count = black_box(count);
                hash(pinned!(count))
            })
            .to_reach(Target::Times(1.05, BY_HAND)),
        )
        .with_any(programs.default_profile("hash", PINNED))
        .with(Contender::timed("async-stream, pinned", count, move || {
            let count = black_box(count);
            hash(Ready(pin!(stream(count))))
        }))
        .with(Contender::timed("corosensei", count, move || {
            let count = black_box(count);
            let mut values = corosensei::Coroutine::new(move |y: &corosensei::Yielder<(), u64>, ()| {
                lazy_range!(count, value => y.suspend(value));
            });
            hash(std::iter::from_fn(|| match values.resume(()) {
                CoroutineResult::Yield(value) => Some(value),
                CoroutineResult::Return(()) => None,
            }))
        }))
        .with(Contender::timed("kettle coroutine", count, move || {
            let count = black_box(count);
            hash(kettle::coroutine(move |y| lazy_range!(count, value => y.yield_(value))))
        }))
        .with(Contender::timed("generator-rs", count, move || {
            let count = black_box(count);
            hash(generator::Gn::<()>::new_scoped(move |mut scope| {
                lazy_range!(count, value => { scope.yield_(value); });
                generator::done!()
            }))
        }))
        .with_any(programs.nightly("nightly gen block", "hash", count))
        .with_any(programs.nightly("nightly #[coroutine]", "hash_coroutine", count))
        .with_any(programs.python("hash", sizes.of_slow(10_000_000)))
}

fn boxed(sizes: &Sizes) -> Row {
    let count = sizes.of(10_000_000);
    let programs = &sizes.programs;
    Row::new("boxed", format!("the same, from a box whose type is known, {count} values"))
        .with(Contender::timed(BY_HAND, count, move || hash(RangeByHand::new(black_box(count)))))
        .with(Contender::timed("hand-written iterator in a box", count, move || {
            hash(black_box(Box::new(RangeByHand::new(black_box(count)))))
        }))
        .with(
            Contender::timed(MOVABLE, count, move || {
                let count = black_box(count);
                hash(movable!(count))
            })
            .to_reach(Target::Times(1.10, BY_HAND)),
        )
        .with_any(programs.default_profile("boxed", MOVABLE))
        .with(Contender::timed("genawaiter::rc", count, move || {
            let count = black_box(count);
            hash(genawaiter!(count))
        }))
        .with_any(programs.python("hash", sizes.of_slow(10_000_000)))
}

fn dynamic(sizes: &Sizes) -> Row {
    const DYNAMIC: &str = "Box<dyn Iterator> by hand";
    const GENAWAITER: &str = "genawaiter::rc, Box<dyn Iterator>";
    const NIGHTLY: &str = "nightly gen block, Box<dyn Iterator>";
    const BOXED: &str = "kettle::BoxGenerator";
    let count = sizes.of(10_000_000);
    let programs = &sizes.programs;
    let mut kettle = Contender::timed(BOXED, count, move || {
        let count = black_box(count);
        hash_boxed(kettle::boxed(movable!(count)))
    })
    .to_reach(Target::Times(1.5, DYNAMIC))
    .to_reach(Target::LessThan(GENAWAITER));
    let nightly = programs.nightly(NIGHTLY, "dynamic", count);
    if nightly.is_some() {
        kettle = kettle.to_reach(Target::LessThan(NIGHTLY));
    }
    Row::new("dynamic", format!("the same, from a box whose type nobody knows, {count} values"))
        .with(Contender::timed(DYNAMIC, count, move || hash_dynamic(Box::new(RangeByHand::new(black_box(count))))))
        .with(kettle)
        .with_any(programs.default_profile("dynamic", BOXED))
        .with(Contender::timed("kettle, movable, Box<dyn Iterator>", count, move || {
            let count = black_box(count);
            hash_dynamic(Box::new(movable!(count)))
        }))
        .with(Contender::timed(GENAWAITER, count, move || {
            let count = black_box(count);
            hash_dynamic(Box::new(genawaiter!(count).into_iter()))
        }))
        .with_any(nightly)
        .with_any(programs.python("hash", sizes.of_slow(10_000_000)))
}

/// As [`hash_dynamic`].
#[inline(never)]
fn hash_boxed(values: BoxGenerator<'_, u64>) -> u64 {
    hash(black_box(values))
}

fn stream(count: u64) -> impl Stream<Item = u64> {
    async_stream::stream! { lazy_range!(count, value => yield value) }
}

/// A stream that never waits, as an iterator.
struct Ready<'s, S>(Pin<&'s mut S>);

impl<S: Stream> Iterator for Ready<'_, S> {
    type Item = S::Item;

    #[inline(always)]
    fn next(&mut self) -> Option<S::Item> {
        match self.0.as_mut().poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(item) => item,
            Poll::Pending => unreachable!("nothing is awaited"),
        }
    }
}
