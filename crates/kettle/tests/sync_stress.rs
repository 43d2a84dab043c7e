//! All locks at once, by loops on several threads and by plain threads, with waits that are cancelled: nobody is forgotten, and
//! nothing is lost. What is done is decided by seeds, which a failure prints; how it falls together, by the machine.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle::sync::{Barrier, Condvar, Mutex, RwLock, Semaphore};
use kettle::{Cancelled, run, thread, timeout};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const LOOPS: u64 = 3;
const TASKS: u64 = 6;
const THREADS: u64 = 2;
const STEPS: u64 = if cfg!(debug_assertions) { 100 } else { 400 };

/// xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

struct Shared {
    mutex: Mutex<u64>,
    lock: RwLock<(u64, u64)>,
    cups: Mutex<u64>,
    poured: Condvar,
    permits: Semaphore,
    /// How many permits are in use.
    used: AtomicU64,
    /// How often each was counted up for certain.
    added: AtomicU64,
    written: AtomicU64,
}

/// The guard, poisoned or not: whoever was cancelled in the middle had changed nothing.
fn some<G>(result: Result<G, PoisonError<G>>) -> G {
    result.unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn step(&self, random: &mut Random) {
        match random.below(5) {
            0 => {
                let mut guard = some(self.mutex.lock());
                let before = *guard;
                if random.below(4) == 0 {
                    thread::yield_now();
                }
                *guard = before + 1;
                self.added.fetch_add(1, Ordering::Relaxed);
            }
            1 => {
                let guard = some(self.lock.read());
                if random.below(4) == 0 {
                    thread::yield_now();
                }
                assert_eq!(guard.0, guard.1);
            }
            2 => {
                let mut guard = some(self.lock.write());
                if random.below(4) == 0 {
                    thread::yield_now();
                }
                guard.0 += 1;
                guard.1 += 1;
                self.written.fetch_add(1, Ordering::Relaxed);
                if random.below(2) == 0 {
                    let guard = kettle::sync::RwLockWriteGuard::downgrade(guard);
                    assert_eq!(guard.0, guard.1);
                }
            }
            3 => {
                let count = random.below(3) + 1;
                let permit = self.permits.acquire(count as usize).unwrap();
                let before = self.used.fetch_add(count, Ordering::SeqCst);
                assert!(before + count <= 3);
                if random.below(4) == 0 {
                    std::thread::yield_now();
                }
                self.used.fetch_sub(count, Ordering::SeqCst);
                drop(permit);
            }
            _ => {
                let mut cups = some(self.cups.lock());
                if random.below(2) == 0 {
                    *cups += 1;
                    drop(cups);
                    self.poured.notify_one();
                } else {
                    let time = Duration::from_micros(random.below(50));
                    let waited = self.poured.wait_timeout_while(cups, time, |cups| *cups == 0);
                    let (mut cups, result) = some(waited);
                    *cups -= u64::from(!result.timed_out());
                }
            }
        }
    }
}

fn play(seed: u64) {
    println!("seed {seed}");
    let shared = Shared {
        mutex: Mutex::new(0),
        lock: RwLock::new((0, 0)),
        cups: Mutex::new(0),
        poured: Condvar::new(),
        permits: Semaphore::new(3),
        used: AtomicU64::new(0),
        added: AtomicU64::new(0),
        written: AtomicU64::new(0),
    };
    let end = Barrier::new((LOOPS * TASKS + THREADS) as usize);
    let work = |number: u64, is_task: bool| {
        let mut random = Random(seed * 1000 + number + 1);
        for _ in 0..STEPS {
            if is_task && random.below(4) == 0 {
                let time = Duration::from_nanos(random.below(20_000));
                let _: Result<(), Cancelled> = timeout(time, || shared.step(&mut random));
            } else {
                shared.step(&mut random);
            }
        }
        end.wait();
    };
    std::thread::scope(|s| {
        for l in 0..LOOPS {
            let work = &work;
            s.spawn(move || {
                run(|| {
                    thread::scope(|s| {
                        for t in 0..TASKS {
                            s.spawn(move || work(l * TASKS + t, true));
                        }
                    });
                });
            });
        }
        for n in 0..THREADS {
            let work = &work;
            s.spawn(move || work(LOOPS * TASKS + n, false));
        }
    });
    assert_eq!(*some(shared.mutex.lock()), shared.added.into_inner());
    assert_eq!(some(shared.lock.into_inner()), (shared.written.load(Ordering::Relaxed), shared.written.into_inner()));
    assert_eq!(shared.permits.available_permits(), 3);
}

#[test]
fn tasks_loops_and_threads_share_all_kinds_of_locks() {
    for seed in 1..=5 {
        play(seed);
    }
}
