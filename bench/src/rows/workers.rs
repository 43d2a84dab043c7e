//! Owns the row of workers: many short tasks that one of them spawns, and any of them may do.
//!
//! All contenders have two threads for tasks, of which one spawns them all, and then waits for each. rayon's have no
//! handles: each of its tasks writes into a place of its own, and its scope counts them.

use super::Sizes;
use crate::measure::{Contender, Row, Target};
use std::hint::black_box;

const KETTLE: &str = "kettle workers";
const RAYON: &str = "rayon scope";
const TOKIO: &str = "tokio multi_thread";

/// The threads of each contender.
const THREADS: usize = 2;

/// The row.
pub(super) fn row(sizes: &Sizes) -> Row {
    let count = sizes.of(1_000_000);
    Row::new("spawn-anywhere", format!("{THREADS} threads: one spawns {count} tasks that do nothing, for any of them"))
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
