//! Owns the rows of tasks: spawning, taking turns, sleeping.
//!
//! tokio's are those of its `current_thread` runtime, which like Kettle's loop runs on one thread; its cheapest way to
//! let others go first is a future that wakes itself and is pending once.

use super::Sizes;
use crate::machine::own_bytes;
use crate::measure::{Contender, Row, Sample, Target};
use crate::outside::itself;
use futures_lite::future::block_on;
use kettle::net::{TcpListener, TcpStream};
use kettle::thread;
use std::cell::Cell;
use std::convert::Infallible;
use std::hint::black_box;
use std::io::Read;
use std::process;
use std::time::{Duration, Instant};

const TOKIO: &str = "tokio current_thread";
const KETTLE: &str = "kettle tasks";
const EXECUTOR: &str = "async-executor LocalExecutor";

/// The rows.
pub(super) fn rows(sizes: &Sizes) -> Vec<Row> {
    let mut rows = vec![spawn_all(sizes), spawn_each(sizes)];
    for (name, tasks, times) in [("yield-2", 2, 0.30), ("yield-1000", 1000, 0.45)] {
        rows.push(take_turns(name, tasks, times, sizes));
    }
    rows.extend(asleep(sizes));
    rows.push(cancel_all(sizes));
    rows
}

pub(super) fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("tokio has a runtime")
}

fn spawn_all(sizes: &Sizes) -> Row {
    let count = sizes.of(1_000_000);
    Row::new("spawn-all", format!("spawning {count} tasks that do nothing, then joining all"))
        .with(Contender::timed(TOKIO, count, move || {
            tokio().block_on(async move {
                let tasks: Vec<_> = (0..black_box(count)).map(|n| tokio::spawn(async move { n })).collect();
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
                    let tasks: Vec<_> = (0..black_box(count)).map(|n| thread::spawn(move || n)).collect();
                    tasks.into_iter().map(|task| task.join().unwrap_or(0)).sum()
                })
            })
            .to_reach(Target::Times(0.25, TOKIO)),
        )
        .with(Contender::timed(EXECUTOR, count, move || {
            let executor = async_executor::LocalExecutor::new();
            block_on(executor.run(async {
                let tasks: Vec<_> = (0..black_box(count)).map(|n| executor.spawn(async move { n })).collect();
                let mut sum = 0;
                for task in tasks {
                    sum += task.await;
                }
                sum
            }))
        }))
}

fn spawn_each(sizes: &Sizes) -> Row {
    let count = sizes.of(1_000_000);
    Row::new("spawn-each", format!("{count} times: spawning a task, and joining it"))
        .with(Contender::timed(TOKIO, count, move || {
            tokio().block_on(async move {
                let mut sum = 0;
                for n in 0..black_box(count) {
                    sum += tokio::spawn(async move { n }).await.unwrap_or(0);
                }
                sum
            })
        }))
        .with(
            Contender::timed(KETTLE, count, move || {
                kettle::run(|| (0..black_box(count)).map(|n| thread::spawn(move || n).join().unwrap_or(0)).sum())
            })
            .to_reach(Target::Times(0.25, TOKIO)),
        )
        .with(Contender::timed(EXECUTOR, count, move || {
            let executor = async_executor::LocalExecutor::new();
            block_on(executor.run(async {
                let mut sum = 0;
                for n in 0..black_box(count) {
                    sum += executor.spawn(async move { n }).await;
                }
                sum
            }))
        }))
}

/// Pending once, and awake at once.
pub(super) struct Turn(pub(super) bool);

impl Future for Turn {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        if self.0 {
            return std::task::Poll::Ready(());
        }
        self.0 = true;
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    }
}

fn take_turns(name: &'static str, tasks: u64, times: f64, sizes: &Sizes) -> Row {
    let turns = sizes.of(4_000_000) / tasks;
    let all = turns * tasks;
    Row::new(name, format!("a turn, of {tasks} tasks that let each other go first"))
        .with(Contender::timed(TOKIO, all, move || {
            tokio().block_on(async move {
                let tasks: Vec<_> = (0..tasks)
                    .map(|_| {
                        tokio::spawn(async move {
                            for _ in 0..black_box(turns) {
                                Turn(false).await;
                            }
                            turns
                        })
                    })
                    .collect();
                let mut sum = 0;
                for task in tasks {
                    sum += task.await.unwrap_or(0);
                }
                sum
            })
        }))
        .with(
            Contender::timed(KETTLE, all, move || {
                kettle::run(|| {
                    let turns = move || {
                        for _ in 0..black_box(turns) {
                            thread::yield_now();
                        }
                        turns
                    };
                    let tasks: Vec<_> = (0..tasks).map(|_| thread::spawn(turns)).collect();
                    tasks.into_iter().map(|task| task.join().unwrap_or(0)).sum()
                })
            })
            .to_reach(Target::Times(times, TOKIO))
            // A hundred million switches a second.
            .to_reach(Target::AtMost(10.0)),
        )
        .with(Contender::timed(EXECUTOR, all, move || {
            let executor = async_executor::LocalExecutor::new();
            block_on(executor.run(async {
                let turn = || async {
                    for _ in 0..black_box(turns) {
                        Turn(false).await;
                    }
                    turns
                };
                let tasks: Vec<_> = (0..tasks).map(|_| executor.spawn(turn())).collect();
                let mut sum = 0;
                for task in tasks {
                    sum += task.await;
                }
                sum
            }))
        }))
}

/// What a million sleeping tasks are to cost at most.
const MOST_BYTES: f64 = 4.6 * 1024.0;

/// Sleeping tasks: what they cost, and what waking them costs. Each in a process of its own.
fn asleep(sizes: &Sizes) -> [Row; 2] {
    let count: u64 = if sizes.quick { 50_000 } else { 1_000_000 };
    let program = |name, what: &str| itself(name, vec![what.to_owned(), count.to_string()]);
    let mut bytes = Row::new("asleep-memory", format!("resident memory of each of {count} sleeping tasks"));
    bytes.unit = "bytes";
    [
        bytes
            .with(program(TOKIO, "--asleep-tokio"))
            .with(program(KETTLE, "--asleep-kettle").to_reach(Target::AtMost(MOST_BYTES))),
        Row::new("asleep-wake", format!("waking each of {count} tasks whose time has come"))
            .with(program(TOKIO, "--wake-tokio"))
            .with(program(KETTLE, "--wake-kettle").to_reach(Target::Times(1.0, TOKIO))),
    ]
}

/// Cancelling tasks that wait: for sockets, several for each, for times, and to be woken.
fn cancel_all(sizes: &Sizes) -> Row {
    let count = sizes.of(100_000);
    Row::new("cancel-all", format!("cancelling each of {count} tasks that wait for sockets, times and each other"))
        .with(
            Contender::sampled(KETTLE, move || {
                kettle::run(|| {
                    let mut began = None;
                    let ended = Cell::new(0);
                    let sockets: Vec<_> = (0..count / 100 + 1).map(|_| connected()).collect::<Option<_>>()?;
                    kettle::task_group(|group| {
                        for n in 0..count {
                            let (ended, socket) = (&ended, &sockets[n as usize % sockets.len()].0);
                            group.spawn(move || -> Result<(), Infallible> {
                                let _ended = Ended(ended);
                                match n % 3 {
                                    0 => _ = (&*socket).read(&mut [0; 64]),
                                    1 => thread::sleep(Duration::from_secs(3600)),
                                    _ => thread::park(),
                                }
                                Ok(())
                            });
                        }
                        thread::yield_now();
                        thread::yield_now();
                        began = Some(Instant::now());
                        group.cancel();
                        Ok::<(), Infallible>(())
                    })
                    .ok()?;
                    Some(Sample::per_operation(began?.elapsed(), count, ended.get()))
                })
            })
            // Microseconds.
            .to_reach(Target::AtMost(10_000.0)),
        )
}

/// Two ends of a connection.
fn connected() -> Option<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").ok()?;
    let one = TcpStream::connect(listener.local_addr().ok()?).ok()?;
    Some((one, listener.accept().ok()?.0))
}

/// Counts, when it goes.
struct Ended<'a>(&'a Cell<u64>);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// Puts so many tasks to sleep, and prints what each added to the resident memory, or the nanoseconds that waking each
/// took when the time had come for all of them.
pub fn sleep(count: u64, by_tokio: bool, wakes: bool) -> ! {
    // Long enough to put a million to sleep, and then for the wheel to turn.
    let time = if wakes { Duration::from_secs(4) } else { Duration::from_secs(3600) };
    let figure = if by_tokio {
        tokio().block_on(async move {
            let before = own_bytes("VmRSS:").unwrap_or(0);
            let end = Instant::now() + time;
            let tasks: Vec<_> = (0..count).map(|_| tokio::spawn(tokio::time::sleep_until(end.into()))).collect();
            tokio::task::yield_now().await;
            if !wakes {
                return (own_bytes("VmRSS:").unwrap_or(0) - before) as f64 / count as f64;
            }
            for task in tasks {
                _ = task.await;
            }
            end.elapsed().as_nanos() as f64 / count as f64
        })
    } else {
        kettle::run(|| {
            let before = own_bytes("VmRSS:").unwrap_or(0);
            let end = Instant::now() + time;
            let tasks: Vec<_> = (0..count).map(|_| thread::spawn(move || kettle::time::sleep_until(end))).collect();
            thread::yield_now();
            if !wakes {
                let figure = (own_bytes("VmRSS:").unwrap_or(0) - before) as f64 / count as f64;
                println!("{figure}");
                process::exit(0);
            }
            for task in tasks {
                _ = task.join();
            }
            end.elapsed().as_nanos() as f64 / count as f64
        })
    };
    println!("{figure}");
    process::exit(0)
}
