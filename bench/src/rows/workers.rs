//! Owns the row of workers: many short tasks that one of them spawns, and any of them may do.
//!
//! All contenders have two threads for tasks, of which one spawns them all, waits for all, and adds up what they give. Kettle
//! and tokio give a handle for each, which has the result. rayon's tasks have none: in the first row each writes into a
//! place of its own, which it borrows, and the scope counts them, which is less work; in the second one each has a place that it
//! shares with who spawns it, as a handle does.

use super::Sizes;
use crate::measure::{Contender, Row, Target};
use std::hint::black_box;
use std::sync::{Arc, OnceLock};

const KETTLE: &str = "kettle workers";
const RAYON: &str = "rayon scope";
const RAYON_SHARED: &str = "rayon scope, shared places";
const TOKIO: &str = "tokio multi_thread";

/// The threads of each contender.
const THREADS: usize = 2;

/// The row.
pub(super) fn row(sizes: &Sizes) -> Row {
    let count = sizes.of(1_000_000);
    Row::new(
        "spawn-anywhere",
        format!("{THREADS} threads: one spawns {count} short tasks for any of them, and adds up what they give"),
    )
    .with(
        Contender::timed(KETTLE, count, move || {
            let sums = kettle::workers(THREADS).run(|worker| {
                if worker.index() > 0 {
                    return 0;
                }
                let tasks: Vec<_> = (0..black_box(count)).map(|n| worker.spawn_anywhere(move || n)).collect();
                tasks.into_iter().map(|task| task.join().unwrap_or(0)).sum()
            });
            sums.map_or(0, |sums| sums.into_iter().sum())
        })
        .to_reach(Target::Times(1.0, RAYON))
        .to_reach(Target::Times(1.0, TOKIO)),
    )
    .with(Contender::timed(RAYON, count, move || {
        let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(THREADS).build() else { return 0 };
        let mut results = vec![0; count as usize];
        pool.scope(|scope| {
            for (n, result) in results.iter_mut().enumerate() {
                scope.spawn(move |_| *result = black_box(n as u64));
            }
        });
        results.into_iter().sum()
    }))
    .with(Contender::timed(RAYON_SHARED, count, move || {
        let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(THREADS).build() else { return 0 };
        let mut results = Vec::new();
        pool.scope(|scope| {
            let spawn = |n| {
                let result = Arc::new(OnceLock::new());
                let place = Arc::clone(&result);
                scope.spawn(move |_| {
                    let _ = place.set(n);
                });
                result
            };
            results = (0..black_box(count)).map(spawn).collect();
        });
        results.into_iter().filter_map(|result| result.get().copied()).sum()
    }))
    .with(Contender::timed(TOKIO, count, move || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let Ok(runtime) = runtime.worker_threads(THREADS).build() else { return 0 };
        // In a task: the function of `block_on` is on neither of the two threads.
        let sum = runtime.spawn(async move {
            let tasks: Vec<_> = (0..black_box(count)).map(|n| tokio::spawn(async move { n })).collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap_or(0);
            }
            sum
        });
        runtime.block_on(sum).unwrap_or(0)
    }))
}
