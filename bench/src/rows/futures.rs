//! Owns the rows of futures: waiting for one, and tasks that are nothing else.
//!
//! The tasks that tokio and Kettle run here are the same futures; only sleeping is each one's own.

use super::Sizes;
use super::tasks::tokio;
use crate::machine::own_bytes;
use crate::measure::{Contender, Row, Target};
use crate::outside::itself;
use futures_lite::future::block_on;
use kettle::{future, spawn_future, thread, wait};
use std::cell::{Cell, RefCell};
use std::future::{poll_fn, ready};
use std::hint::black_box;
use std::process;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

const TOKIO: &str = "tokio current_thread";
const KETTLE: &str = "kettle futures";
const PARK: &str = "kettle park and unpark";

/// The rows.
pub(super) fn rows(sizes: &Sizes) -> [Row; 4] {
    [wait_ready(sizes), wait_pending(sizes), spawn_all(sizes), asleep(sizes)]
}

fn wait_ready(sizes: &Sizes) -> Row {
    let count = sizes.of(20_000_000);
    Row::new("wait-ready", "a task's wait for a future that is ready")
        .with(Contender::timed("futures-lite block_on", count, move || {
            (0..black_box(count)).map(|n| block_on(black_box(ready(n)))).sum()
        }))
        .with(
            Contender::timed("kettle wait", count, move || {
                kettle::run(|| (0..black_box(count)).map(|n| wait(black_box(ready(n)))).sum())
            })
            .to_reach(Target::AtMost(10.0)),
        )
}

/// One task waits, so many times, and another one of the same loop ends each wait.
fn to_and_fro(count: u64, wait: impl Fn() + 'static, wake: impl Fn(&thread::Thread)) -> u64 {
    kettle::run(|| {
        let waits = thread::spawn(move || (0..black_box(count)).map(|_| wait()).count() as u64);
        while !waits.is_finished() {
            thread::yield_now();
            wake(waits.thread());
        }
        waits.join().unwrap_or(0)
    })
}

fn wait_pending(sizes: &Sizes) -> Row {
    let count = sizes.of(5_000_000);
    Row::new("wait-pending", "a task's wait that another task of its loop ends, with its turn")
        .with(Contender::timed(PARK, count, move || to_and_fro(count, thread::park, thread::Thread::unpark)))
        .with(
            Contender::timed("kettle wait", count, move || {
                let signal = Rc::new((Cell::new(false), RefCell::new(None::<Waker>)));
                let heard = Rc::clone(&signal);
                let waits = move || {
                    wait(poll_fn(|context| {
                        if heard.0.replace(false) {
                            return Poll::Ready(());
                        }
                        heard.1.replace(Some(context.waker().clone()));
                        Poll::Pending
                    }));
                };
                let wakes = |_: &thread::Thread| {
                    signal.0.set(true);
                    if let Some(waker) = signal.1.take() {
                        waker.wake();
                    }
                };
                to_and_fro(count, waits, wakes)
            })
            .to_reach(Target::Times(1.5, PARK)),
        )
}

fn spawn_all(sizes: &Sizes) -> Row {
    let count = sizes.of(1_000_000);
    Row::new("spawn-futures", format!("spawning {count} futures that are ready, then joining all"))
        .with(Contender::timed(TOKIO, count, move || {
            tokio().block_on(async move {
                let tasks: Vec<_> = (0..black_box(count)).map(|n| tokio::spawn(ready(n))).collect();
                let mut sum = 0;
                for task in tasks {
                    sum += task.await.unwrap_or(0);
                }
                sum
            })
        }))
        .with(
            Contender::timed(KETTLE, count, move || {
                kettle::run(|| {
                    let tasks: Vec<_> = (0..black_box(count)).map(|n| spawn_future(ready(n))).collect();
                    tasks.into_iter().map(|task| task.join().unwrap_or(0)).sum()
                })
            })
            .to_reach(Target::Times(0.7, TOKIO)),
        )
}

fn asleep(sizes: &Sizes) -> Row {
    let count: u64 = if sizes.quick { 50_000 } else { 1_000_000 };
    let program = |name, what: &str| itself(name, vec![what.to_owned(), count.to_string()]);
    let mut row = Row::new("asleep-futures", format!("resident memory of each of {count} sleeping futures"));
    row.unit = "bytes";
    row.with(program(TOKIO, "--asleep-tokio"))
        .with(program(KETTLE, "--asleep-futures").to_reach(Target::Times(1.0, TOKIO)))
}

/// Puts so many futures to sleep, and prints what each added to the resident memory.
pub fn sleep_as_futures(count: u64) -> ! {
    kettle::run(|| {
        let before = own_bytes("VmRSS:").unwrap_or(0);
        let tasks: Vec<_> = (0..count).map(|_| spawn_future(future::sleep(Duration::from_secs(3600)))).collect();
        thread::yield_now();
        println!("{}", (own_bytes("VmRSS:").unwrap_or(0) - before) as f64 / count as f64);
        drop(tasks);
        process::exit(0)
    })
}
