//! Owns the rows of channels: ping-pong between two tasks of one loop, and between two threads; streaming between threads.
//!
//! Between threads each side is what its runtime takes: an event loop of its own, a `current_thread` runtime, a plain thread.

use super::Sizes;
use crate::measure::{Contender, Row, Target};
use kettle::sync::mpsc;
use kettle::thread;
use std::hint::black_box;
use tokio::sync::mpsc as tokio_mpsc;

const TOKIO: &str = "tokio mpsc, unbounded";
const KETTLE: &str = "kettle mpsc";
const FLUME: &str = "flume, threads";
const CROSSBEAM: &str = "crossbeam, threads";

/// The rows.
pub(super) fn rows(sizes: &Sizes) -> [Row; 4] {
    [ping_pong(sizes), ping_pong_across(sizes), stream(sizes), stream_bounded(sizes)]
}

fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("tokio has a runtime")
}

/// A ball goes to and fro; what comes back is counted.
macro_rules! tokio_ping_pong {
    ($count:expr, $spawn:path, $join:expr) => {{
        let (there, mut from_here) = tokio_mpsc::unbounded_channel();
        let (back, mut from_there) = tokio_mpsc::unbounded_channel();
        let other = $spawn(async move {
            while let Some(ball) = from_here.recv().await {
                if back.send(ball).is_err() {
                    break;
                }
            }
        });
        let mut sum = 0;
        for n in 0..black_box($count) {
            _ = there.send(n);
            sum += from_there.recv().await.unwrap_or(0);
        }
        drop(there);
        $join(other).await;
        sum
    }};
}

macro_rules! ping_pong {
    ($count:expr, $channel:path, $spawn:expr) => {{
        let (there, from_here) = $channel();
        let (back, from_there) = $channel();
        let other = $spawn(move || {
            while let Ok(ball) = from_here.recv() {
                if back.send(ball).is_err() {
                    break;
                }
            }
        });
        let mut sum = 0;
        for n in 0..black_box($count) {
            _ = there.send(n);
            sum += from_there.recv().unwrap_or(0);
        }
        drop(there);
        _ = other.join();
        sum
    }};
}

fn in_loop(f: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
    std::thread::spawn(|| kettle::run(f))
}

fn in_tokio(f: impl Future<Output = ()> + Send + 'static) -> std::thread::JoinHandle<()> {
    std::thread::spawn(|| tokio().block_on(f))
}

async fn join_thread(thread: std::thread::JoinHandle<()>) {
    _ = thread.join();
}

async fn join_task(task: tokio::task::JoinHandle<()>) {
    _ = task.await;
}

fn ping_pong(sizes: &Sizes) -> Row {
    let count = sizes.of(2_000_000);
    Row::new("ping-pong", "a value to another task of the thread and back")
        .with(Contender::timed(TOKIO, count, move || {
            tokio().block_on(async move { tokio_ping_pong!(count, tokio::spawn, join_task) })
        }))
        .with(
            Contender::timed(KETTLE, count, move || {
                kettle::run(|| ping_pong!(count, mpsc::channel::<u64>, thread::spawn))
            })
            .to_reach(Target::Times(0.25, TOKIO))
            .to_reach(Target::Times(0.15, "Go")),
        )
        .with_any(sizes.programs.go("ping-pong", count))
}

fn ping_pong_across(sizes: &Sizes) -> Row {
    let count = sizes.of_slow(1_000_000);
    Row::new("ping-pong-threads", "a value to another thread and back")
        .with(Contender::timed(TOKIO, count, move || {
            tokio().block_on(async move { tokio_ping_pong!(count, in_tokio, join_thread) })
        }))
        .with(
            Contender::timed(KETTLE, count, move || kettle::run(|| ping_pong!(count, mpsc::channel::<u64>, in_loop)))
                .to_reach(Target::Times(1.0, TOKIO))
                .to_reach(Target::Times(1.0, FLUME))
                .to_reach(Target::Times(1.0, CROSSBEAM)),
        )
        .with(Contender::timed("kettle mpsc, threads", count, move || {
            ping_pong!(count, mpsc::channel::<u64>, std::thread::spawn)
        }))
        .with(Contender::timed(FLUME, count, move || ping_pong!(count, flume::unbounded::<u64>, std::thread::spawn)))
        .with(Contender::timed(CROSSBEAM, count, move || {
            ping_pong!(count, crossbeam_channel::unbounded::<u64>, std::thread::spawn)
        }))
        .with_any(sizes.programs.go("ping-pong-threads", count))
}

macro_rules! stream {
    ($count:expr, $channel:expr, $spawn:expr) => {{
        let (sender, receiver) = $channel;
        let count = black_box($count);
        let other = $spawn(move || {
            for n in 0..count {
                _ = sender.send(n);
            }
        });
        let mut sum = 0;
        while let Ok(n) = receiver.recv() {
            sum += n;
        }
        _ = other.join();
        sum
    }};
}

fn stream(sizes: &Sizes) -> Row {
    let count = sizes.of(4_000_000);
    Row::new("stream-threads", "a value of a stream to another thread")
        .with(Contender::timed(TOKIO, count, move || {
            tokio().block_on(async move {
                let (sender, mut receiver) = tokio_mpsc::unbounded_channel();
                let other = in_tokio(async move {
                    for n in 0..black_box(count) {
                        _ = sender.send(n);
                    }
                });
                let mut sum = 0;
                while let Some(n) = receiver.recv().await {
                    sum += n;
                }
                _ = other.join();
                sum
            })
        }))
        .with(
            Contender::timed(KETTLE, count, move || kettle::run(|| stream!(count, mpsc::channel::<u64>(), in_loop)))
                .to_reach(Target::Times(1.0, TOKIO))
                .to_reach(Target::Times(1.0, FLUME))
                .to_reach(Target::Times(1.0, CROSSBEAM)),
        )
        .with(Contender::timed(FLUME, count, move || stream!(count, flume::unbounded::<u64>(), std::thread::spawn)))
        .with(Contender::timed(CROSSBEAM, count, move || {
            stream!(count, crossbeam_channel::unbounded::<u64>(), std::thread::spawn)
        }))
}

/// So many values wait at most.
const BOUND: usize = 128;

fn stream_bounded(sizes: &Sizes) -> Row {
    let count = sizes.of(2_000_000);
    Row::new("stream-threads-bounded", format!("a value of a stream to another thread, {BOUND} of which may wait"))
        .with(Contender::timed("tokio mpsc, bounded", count, move || {
            tokio().block_on(async move {
                let (sender, mut receiver) = tokio_mpsc::channel(BOUND);
                let other = in_tokio(async move {
                    for n in 0..black_box(count) {
                        _ = sender.send(n).await;
                    }
                });
                let mut sum = 0;
                while let Some(n) = receiver.recv().await {
                    sum += n;
                }
                _ = other.join();
                sum
            })
        }))
        .with(
            Contender::timed(KETTLE, count, move || {
                kettle::run(|| stream!(count, mpsc::sync_channel::<u64>(BOUND), in_loop))
            })
            .to_reach(Target::Times(1.0, "tokio mpsc, bounded"))
            .to_reach(Target::Times(1.0, FLUME))
            .to_reach(Target::Times(1.0, CROSSBEAM)),
        )
        .with(Contender::timed(FLUME, count, move || stream!(count, flume::bounded::<u64>(BOUND), std::thread::spawn)))
        .with(Contender::timed(CROSSBEAM, count, move || {
            stream!(count, crossbeam_channel::bounded::<u64>(BOUND), std::thread::spawn)
        }))
        .with_any(sizes.programs.go("stream-threads-bounded", count))
}
