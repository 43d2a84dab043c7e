//! Owns the row of values that go both ways.

use super::Sizes;
use crate::measure::{Contender, Row, Target};
use crate::running_total;
use crate::work::{Answer, TotalByHand, mix};
use corosensei::CoroutineResult;
use genawaiter::GeneratorState;
use kettle::{Generator, Step, Yielder};
use std::hint::black_box;
use std::pin::pin;

const BY_HAND: &str = "hand-written state machine";
const GENAWAITER: &str = "genawaiter::rc";
const PINNED: &str = "kettle, pinned";

/// The row.
pub(super) fn row(sizes: &Sizes) -> Row {
    let count = sizes.of(10_000_000);
    let programs = &sizes.programs;
    Row::new("send", format!("{count} values sent and as many taken"))
        .with(Contender::timed(BY_HAND, count, move || by_hand(black_box(count))))
        .with(
            Contender::timed(PINNED, count, move || {
                let count = black_box(count);
                converse(&mut pin!(kettle::generator(async move |y: &mut Yielder<'_, u64, u64>| {
                    running_total!(count, value => y.yield_(value).await.unwrap_or(0))
                })))
            })
            .to_reach(Target::Times(1.1, BY_HAND))
            .to_reach(Target::Times(0.4, GENAWAITER)),
        )
        .with_any(programs.default_profile("send", PINNED))
        .with(Contender::timed("kettle, movable", count, move || {
            let count = black_box(count);
            converse(&mut kettle::generator(async move |y: &mut Yielder<'_, u64, u64>| {
                running_total!(count, value => y.yield_(value).await.unwrap_or(0))
            }))
        }))
        .with(Contender::timed("kettle::BoxGenerator", count, move || {
            let count = black_box(count);
            let boxed = kettle::boxed(kettle::generator(async move |y: &mut Yielder<'_, u64, u64>| {
                running_total!(count, value => y.yield_(value).await.unwrap_or(0))
            }));
            converse(&mut black_box(boxed))
        }))
        .with(Contender::timed("kettle coroutine", count, move || {
            let count = black_box(count);
            converse(&mut kettle::coroutine::<u64, u64, u64>(move |y| {
                running_total!(count, value => y.yield_(value).unwrap_or(0))
            }))
        }))
        .with(Contender::timed(GENAWAITER, count, move || genawaiter(black_box(count))))
        .with(Contender::timed("corosensei", count, move || corosensei(black_box(count))))
        .with(Contender::timed("generator-rs", count, move || generator_rs(black_box(count))))
        .with_any(programs.nightly("nightly #[coroutine]", "send_coroutine", count))
        .with_any(programs.python("send", sizes.of_slow(10_000_000)))
}

/// Sends 0, 3, 6 and so on, and mixes what comes back into a hash.
#[inline(always)]
fn converse(total: &mut impl Generator<Yield = u64, Send = u64, Return = u64>) -> u64 {
    let mut hash = 0;
    let mut sent = 0;
    let mut step = total.resume();
    loop {
        match step {
            Ok(Step::Yielded(value)) => {
                hash = mix(hash, value);
                step = total.send(sent).map_err(kettle::Error::from);
                sent += 3;
            }
            Ok(Step::Returned(value)) => return mix(hash, value),
            Err(error) => panic!("{error}"),
        }
    }
}

fn by_hand(count: u64) -> u64 {
    let mut total = TotalByHand::new(count);
    let mut hash = 0;
    let mut sent = 0;
    let mut answer = total.start();
    loop {
        match answer {
            Answer::Yielded(value) => {
                hash = mix(hash, value);
                answer = total.send(sent);
                sent += 3;
            }
            Answer::Returned(value) => return mix(hash, value),
        }
    }
}

fn genawaiter(count: u64) -> u64 {
    let mut total = genawaiter::rc::Gen::new(|co: genawaiter::rc::Co<u64, u64>| async move {
        running_total!(count, value => co.yield_(value).await)
    });
    let mut hash = 0;
    let mut sent = 0;
    // What the first resume brings is thrown away.
    let mut state = total.resume_with(0);
    loop {
        match state {
            GeneratorState::Yielded(value) => {
                hash = mix(hash, value);
                state = total.resume_with(sent);
                sent += 3;
            }
            GeneratorState::Complete(value) => return mix(hash, value),
        }
    }
}

fn corosensei(count: u64) -> u64 {
    let mut total = corosensei::Coroutine::new(
        move |y: &corosensei::Yielder<u64, u64>, _: u64| running_total!(count, value => y.suspend(value)),
    );
    let mut hash = 0;
    let mut sent = 0;
    let mut result = total.resume(0);
    loop {
        match result {
            CoroutineResult::Yield(value) => {
                hash = mix(hash, value);
                result = total.resume(sent);
                sent += 3;
            }
            CoroutineResult::Return(value) => return mix(hash, value),
        }
    }
}

fn generator_rs(count: u64) -> u64 {
    let mut total = generator::Gn::<u64>::new_scoped(
        move |mut scope| running_total!(count, value => scope.yield_(value).unwrap_or(0)),
    );
    let mut hash = 0;
    let mut sent = 0;
    let mut value = total.raw_send(None);
    while let Some(yielded) = value {
        hash = mix(hash, yielded);
        if total.is_done() {
            break;
        }
        value = total.raw_send(Some(sent));
        sent += 3;
    }
    hash
}
