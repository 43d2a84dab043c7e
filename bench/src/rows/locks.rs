//! Owns the rows of locks: one that nobody else wants, beside std's, and one that two tasks want, beside tokio's.

use super::Sizes;
use super::tasks::{Turn, tokio};
use crate::measure::{Contender, Row, Target};
use kettle::thread;
use std::hint::black_box;
use std::rc::Rc;

const STD: &str = "std::sync";
const KETTLE: &str = "kettle::sync";
const TOKIO: &str = "tokio current_thread";

/// The rows.
pub(super) fn rows(sizes: &Sizes) -> Vec<Row> {
    vec![uncontended(sizes), handed_over(sizes)]
}

fn uncontended(sizes: &Sizes) -> Row {
    let count = sizes.of(20_000_000);
    Row::new("lock", "locking a mutex that nobody else wants, adding one, and unlocking it")
        .with(Contender::timed(STD, count, move || {
            let mutex = std::sync::Mutex::new(0);
            for _ in 0..black_box(count) {
                *black_box(&mutex).lock().expect("not poisoned") += 1;
            }
            mutex.into_inner().expect("not poisoned")
        }))
        .with(
            Contender::timed(KETTLE, count, move || {
                kettle::run(|| {
                    let mutex = kettle::sync::Mutex::new(0);
                    for _ in 0..black_box(count) {
                        *black_box(&mutex).lock().expect("not poisoned") += 1;
                    }
                    mutex.into_inner().expect("not poisoned")
                })
            })
            .to_reach(Target::Times(1.2, STD)),
        )
        .with(Contender::timed(TOKIO, count, move || {
            tokio().block_on(async move {
                let mutex = tokio::sync::Mutex::new(0);
                for _ in 0..black_box(count) {
                    *black_box(&mutex).lock().await += 1;
                }
                mutex.into_inner()
            })
        }))
}

fn handed_over(sizes: &Sizes) -> Row {
    const TASKS: u64 = 2;
    let turns = sizes.of(2_000_000) / TASKS;
    let all = turns * TASKS;
    Row::new("lock-2", "having a mutex that two tasks want, each of which lets others go first while it has it")
        .with(Contender::timed(TOKIO, all, move || {
            tokio().block_on(async move {
                let mutex = std::sync::Arc::new(tokio::sync::Mutex::new(0));
                let task = || {
                    let mutex = std::sync::Arc::clone(&mutex);
                    tokio::spawn(async move {
                        for _ in 0..black_box(turns) {
                            let mut guard = mutex.lock().await;
                            Turn(false).await;
                            *guard += 1;
                        }
                    })
                };
                let tasks = [(); TASKS as usize].map(|()| task());
                for task in tasks {
                    task.await.expect("it does not panic");
                }
                let sum = *mutex.lock().await;
                sum
            })
        }))
        .with(
            Contender::timed(KETTLE, all, move || {
                kettle::run(|| {
                    let mutex = Rc::new(kettle::sync::Mutex::new(0));
                    let task = || {
                        let mutex = Rc::clone(&mutex);
                        thread::spawn(move || {
                            for _ in 0..black_box(turns) {
                                let mut guard = mutex.lock().expect("not poisoned");
                                thread::yield_now();
                                *guard += 1;
                            }
                        })
                    };
                    let tasks = [(); TASKS as usize].map(|()| task());
                    for task in tasks {
                        task.join().expect("it does not panic");
                    }
                    let sum = *mutex.lock().expect("not poisoned");
                    sum
                })
            })
            .to_reach(Target::Times(1.0, TOKIO)),
        )
}
