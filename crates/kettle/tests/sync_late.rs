//! Locks and channels late in a thread's end, when the library's thread-locals have gone.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

#[path = "../../../tests/ending.rs"]
mod ending;

use ending::late_after;
use kettle::sync::{Condvar, Mutex, OnceLock, RwLock, Semaphore, channel, mpsc, oneshot, select as arms};
use kettle::thread::{park, spawn, yield_now};
use kettle::{select, wait};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

/// A thread that has not waited for anything, one that has, and one with an event loop of its own.
const LIVES: [fn(); 3] = [|| (), || park_with_token(), || spawn(|| ()).join().unwrap()];

fn park_with_token() {
    kettle::thread::current().unpark();
    park();
}

fn late<E: 'static, T: Send + 'static>(early: fn() -> E, late: fn(E) -> T) -> Vec<T> {
    LIVES.into_iter().map(|life| late_after(life, early, late)).collect()
}

#[test]
fn values_are_sent_and_received_late() {
    late(mpsc::channel, |(sender, receiver)| {
        let thread = thread::spawn(move || (0..100).for_each(|n| sender.send(n).unwrap()));
        assert!(receiver.iter().eq(0..100));
        thread.join().unwrap();
    });
    late(
        || mpsc::sync_channel(0),
        |(sender, receiver)| {
            let thread = thread::spawn(move || assert!(receiver.iter().eq(0..100)));
            (0..100).for_each(|n| sender.send(n).unwrap());
            drop(sender);
            thread.join().unwrap();
        },
    );
    late(oneshot::channel, |(sender, receiver)| {
        let thread = thread::spawn(move || sender.send(7).unwrap());
        assert_eq!(wait(receiver), Ok(7));
        thread.join().unwrap();
    });
    late(channel::unbounded, |(sender, receiver)| {
        let (_nothing, never) = channel::unbounded::<u8>();
        let thread = thread::spawn(move || sender.send(7).unwrap());
        let value = select! {
            value = arms::recv(&receiver) => value,
            _ = arms::recv(&never) => unreachable!(),
        };
        assert_eq!(value, Ok(7));
        thread.join().unwrap();
    });
}

#[test]
fn who_waits_for_a_thread_hears_of_it_late() {
    for life in LIVES {
        kettle::run(move || {
            let (sender, receiver) = mpsc::channel();
            let (tell, told) = oneshot::channel();
            thread::spawn(move || {
                late_after(
                    life,
                    || (sender, tell),
                    |(sender, tell)| {
                        tell.send(7).unwrap();
                        // Dropped here.
                        sender.send(8).unwrap();
                    },
                );
            });
            assert_eq!((told.recv(), receiver.iter().collect()), (Ok(7), vec![8]));
        });
    }
}

#[test]
fn locks_are_taken_late_by_turns_with_other_threads() {
    let all = || Arc::new((Mutex::new(0), Condvar::new(), RwLock::new(0), OnceLock::new(), Semaphore::new(1)));
    late(all, |all| {
        let other = Arc::clone(&all);
        let thread = thread::spawn(move || {
            let (mutex, turn, ..) = &*other;
            for n in 0..100 {
                let mut count = turn.wait_while(mutex.lock().unwrap(), |count| *count % 2 == 0).unwrap();
                *count += 1;
                turn.notify_one();
                drop(count);
                let _permit = other.4.acquire(1).unwrap();
                *other.2.write().unwrap() = n;
            }
            other.3.set(7).unwrap();
        });
        let (mutex, turn, shared, once, semaphore) = &*all;
        for _ in 0..100 {
            drop(semaphore.acquire(1).unwrap());
            *mutex.lock().unwrap() += 1;
            turn.notify_one();
            assert!(*shared.read().unwrap() < 100);
            drop(turn.wait_while(mutex.lock().unwrap(), |count| *count % 2 == 1).unwrap());
        }
        assert_eq!(*once.wait(), 7);
        thread.join().unwrap();
    });
}

#[test]
fn what_a_thread_has_left_behind_is_not_resumed_and_not_waited_for() {
    late_after(
        || (),
        || {
            let (sender, receiver) = channel::bounded(0);
            let mutex = Arc::new(Mutex::new(()));
            let held = Arc::clone(&mutex);
            drop(spawn(move || {
                let _held = held.lock().unwrap();
                receiver.recv().unwrap();
                std::process::abort();
            }));
            yield_now();
            (sender, mutex)
        },
        |(sender, mutex)| {
            sender.send(7).unwrap();
            assert!(mutex.try_lock().is_err());
            // As where a task of the thread has it and can't run.
            assert!(catch_unwind(AssertUnwindSafe(|| drop(mutex.lock()))).is_err());
        },
    );
}
