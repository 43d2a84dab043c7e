//! When a wait ends: by completions, by its time, by a notification, by a signal; and not otherwise.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod harness;

use harness::{Loop, *};
use kettle_driver::{Config, Kind, Notifier, Op, Until};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::time::{Duration, Instant};

on_both! {
    a_deadline_is_waited_for
    a_deadline_that_has_passed_does_not_wait
    a_deadline_that_never_comes_is_for_ever
    a_deadline_is_not_cut_short_by_what_helps_nobody
    now_does_not_wait
    a_notification_before_a_wait_prevents_it
    a_notification_during_a_wait_ends_it
    notifications_from_many_threads_are_all_seen
    notifications_become_one
    what_was_written_before_a_notification_is_seen
    a_late_notification_does_not_end_the_next_wait
    a_notifier_outlives_its_driver
    a_signal_ends_a_wait
    a_signal_handler_may_notify
    completions_come_while_spinning
    spinning_ends_in_sleep
}

const SHORT: Duration = Duration::from_millis(10);

fn a_deadline_is_waited_for(kind: Kind) {
    let mut l = Loop::new(kind);
    for micros in [1, 50, 999, 1000, 1001, 3333, 25_000, 30_001] {
        let end = Instant::now() + Duration::from_micros(micros);
        assert_eq!(l.wait(Until::Deadline(end)), 0);
        assert!(Instant::now() >= end, "{micros} microseconds");
    }
}

fn a_deadline_that_has_passed_does_not_wait(kind: Kind) {
    let mut l = Loop::new(kind);
    let past = Instant::now();
    let (a, mut b) = tcp_pair();
    let mut buf = [0; 8];
    let token = l.submit(recv(&a, &mut buf));
    assert_eq!(l.wait(Until::Deadline(past)), 0);
    b.write_all(b"x").unwrap();
    // It collects what there is, all the same.
    while !l.has(token) {
        l.wait(Until::Deadline(past));
    }
    assert_eq!(l.result(token), 1);
}

fn a_deadline_that_never_comes_is_for_ever(kind: Kind) {
    let mut l = Loop::new(kind);
    for seconds in [1 << 20, 1 << 33, 1 << 40, 1 << 62] {
        let notifier = l.driver.notifier();
        let thread = std::thread::spawn(move || notifier.notify());
        let never = Instant::now() + Duration::from_secs(seconds);
        assert_eq!(l.wait(Until::Deadline(never)), 0, "an error would have been told");
        thread.join().unwrap();
    }
}

fn a_deadline_is_not_cut_short_by_what_helps_nobody(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, b) = tcp_pair();
    let mut buf = [0; 8];
    let token = l.submit(recv(&a, &mut buf));
    l.settle();
    l.driver.cancel(token);
    assert_eq!(l.result(token), CANCELLED);
    // The socket is known, and there are events that no operation waits for; a request to cancel finds nothing.
    for _ in 0..20 {
        (&b).write_all(b"x").unwrap();
        l.driver.cancel(token);
        let end = Instant::now() + SHORT / 10;
        assert_eq!(l.wait(Until::Deadline(end)), 0);
        assert!(Instant::now() >= end);
    }
}

fn now_does_not_wait(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, _b) = tcp_pair();
    let mut buf = [0; 8];
    let token = l.submit(recv(&a, &mut buf));
    for _ in 0..1000 {
        assert_eq!(l.wait(Until::Now), 0);
    }
    l.driver.cancel(token);
    assert_eq!(l.result(token), CANCELLED);
}

fn a_notification_before_a_wait_prevents_it(kind: Kind) {
    let mut l = Loop::new(kind);
    let notifier = l.driver.notifier();
    for _ in 0..100 {
        assert!(!notifier.notify(), "nobody sleeps");
        assert_eq!(l.wait(Until::Forever), 0);
        // Submitting is not put off by it.
        let token = l.submit(Op::Nop);
        notifier.notify();
        while !l.has(token) {
            l.wait(Until::Forever);
        }
        assert_eq!(l.result(token), 0);
        l.settle();
    }
    l.assert_idle();
}

fn a_notification_during_a_wait_ends_it(kind: Kind) {
    let mut l = Loop::new(kind);
    let notifier = l.driver.notifier();
    let told = Arc::new(AtomicU32::new(0));
    let seen = told.clone();
    let barrier = Arc::new(Barrier::new(2));
    let theirs = barrier.clone();
    let thread = std::thread::spawn(move || {
        for round in 1..=300 {
            theirs.wait();
            for _ in 0..round * 7 % 1000 {
                std::hint::spin_loop();
            }
            told.store(round, Ordering::Relaxed);
            notifier.notify();
        }
    });
    for round in 1..=300 {
        barrier.wait();
        while seen.load(Ordering::Relaxed) < round {
            l.wait(Until::Forever);
        }
    }
    thread.join().unwrap();
}

fn notifications_from_many_threads_are_all_seen(kind: Kind) {
    const THREADS: u32 = 4;
    const ROUNDS: u32 = 5000;
    let mut l = Loop::new(kind);
    let sum = Arc::new(AtomicU32::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (notifier, sum) = (l.driver.notifier(), sum.clone());
            std::thread::spawn(move || {
                for _ in 0..ROUNDS {
                    sum.fetch_add(1, Ordering::Relaxed);
                    notifier.notify();
                }
            })
        })
        .collect();
    // A lost wake-up is a hang.
    while sum.load(Ordering::Relaxed) < THREADS * ROUNDS {
        l.wait(Until::Forever);
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

fn notifications_become_one(kind: Kind) {
    let mut l = Loop::new(kind);
    let notifier = l.driver.notifier();
    for _ in 0..1000 {
        notifier.clone().notify();
    }
    assert_eq!(l.wait(Until::Forever), 0);
    let end = Instant::now() + SHORT;
    assert_eq!(l.wait(Until::Deadline(end)), 0);
    assert!(Instant::now() >= end, "no second one was left");
}

fn what_was_written_before_a_notification_is_seen(kind: Kind) {
    let mut l = Loop::new(kind);
    let (notifier, value) = (l.driver.notifier(), Arc::new(AtomicU32::new(0)));
    let theirs = value.clone();
    let thread = std::thread::spawn(move || {
        for next in 1..=1000 {
            theirs.store(next, Ordering::Relaxed);
            notifier.notify();
        }
    });
    let mut last = 0;
    while last < 1000 {
        l.wait(Until::Forever);
        last = value.load(Ordering::Relaxed);
    }
    thread.join().unwrap();
}

/// The eventfd's event may come when the notification has been seen already, by a wait that ended for another reason.
fn a_late_notification_does_not_end_the_next_wait(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, b) = tcp_pair();
    for _ in 0..200 {
        let notifier = l.driver.notifier();
        let mut b = b.try_clone().unwrap();
        let mut buf = [0; 1];
        let token = l.submit(recv(&a, &mut buf));
        l.wait(Until::Now);
        let thread = std::thread::spawn(move || {
            notifier.notify();
            b.write_all(b"x").unwrap();
        });
        assert_eq!(l.result(token), 1);
        thread.join().unwrap();
        l.wait(Until::Now);
        let end = Instant::now() + SHORT / 20;
        assert_eq!(l.wait(Until::Deadline(end)), 0);
        assert!(Instant::now() >= end);
    }
}

fn a_notifier_outlives_its_driver(kind: Kind) {
    let l = Loop::new(kind);
    let notifier = l.driver.notifier();
    drop(l);
    notifier.notify();
    notifier.clone().notify();
    std::thread::spawn(move || notifier.notify()).join().unwrap();
}

/// Sends this thread a signal each millisecond, until it is dropped.
struct Signals(Arc<AtomicBool>, Option<std::thread::JoinHandle<()>>);

impl Signals {
    fn start(signal: i32, handler: extern "C" fn(i32)) -> Self {
        // SAFETY: all zeros is a valid `sigaction`.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handler as *const () as usize;
        // SAFETY: the handlers here do what a handler may.
        assert_eq!(unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) }, 0);
        // SAFETY: asks for this thread.
        let target = unsafe { libc::pthread_self() };
        let ended = Arc::new(AtomicBool::new(false));
        let theirs = ended.clone();
        let thread = std::thread::spawn(move || {
            while !theirs.load(Ordering::Relaxed) {
                // SAFETY: the thread that is named waits for this one before it ends.
                unsafe { libc::pthread_kill(target, signal) };
                std::thread::park_timeout(Duration::from_millis(1));
            }
        });
        Self(ended, Some(thread))
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.take().unwrap().join().unwrap();
    }
}

fn a_signal_ends_a_wait(kind: Kind) {
    static HANDLED: AtomicU32 = AtomicU32::new(0);
    extern "C" fn count(_: i32) {
        HANDLED.fetch_add(1, Ordering::Relaxed);
    }
    let mut l = Loop::new(kind);
    let (a, _b) = tcp_pair();
    let mut buf = [0; 8];
    let token = l.submit(recv(&a, &mut buf));
    let signals = Signals::start(libc::SIGUSR1, count);
    // Each of these ends, although nothing completes; what is in flight is not disturbed.
    for _ in 0..20 {
        assert_eq!(l.wait(Until::Forever), 0);
    }
    drop(signals);
    assert!(HANDLED.load(Ordering::Relaxed) > 0);
    l.driver.cancel(token);
    assert_eq!(l.result(token), CANCELLED);
}

fn a_signal_handler_may_notify(kind: Kind) {
    static NOTIFIERS: [OnceLock<Notifier>; 3] = [const { OnceLock::new() }; 3];
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    static HANDLED: AtomicU32 = AtomicU32::new(0);
    extern "C" fn notify(_: i32) {
        NOTIFIERS.iter().filter_map(OnceLock::get).for_each(|notifier| _ = notifier.notify());
        HANDLED.fetch_add(1, Ordering::Relaxed);
    }
    let mut l = Loop::new(kind);
    NOTIFIERS[TAKEN.fetch_add(1, Ordering::Relaxed) as usize].set(l.driver.notifier()).unwrap();
    let signals = Signals::start(libc::SIGUSR2, notify);
    let start = HANDLED.load(Ordering::Relaxed);
    while HANDLED.load(Ordering::Relaxed) < start + 20 {
        l.wait(Until::Forever);
    }
    drop(signals);
}

fn completions_come_while_spinning(kind: Kind) {
    let mut l = Loop::with(Config { spin: Duration::from_millis(1), ..config(kind) });
    let (a, b) = tcp_pair();
    let echo = std::thread::spawn(move || {
        let mut buf = [0; 1];
        while matches!(std::io::Read::read(&mut (&b), &mut buf), Ok(1)) {
            (&b).write_all(&buf).unwrap();
        }
    });
    for byte in 0..200 {
        assert_eq!(l.run(send(&a, &[byte])), 1);
        let mut buf = [0];
        assert_eq!(l.run(recv(&a, &mut buf)), 1);
        assert_eq!(buf, [byte]);
    }
    let notifier = l.driver.notifier();
    let thread = std::thread::spawn(move || notifier.notify());
    assert_eq!(l.wait(Until::Forever), 0);
    thread.join().unwrap();
    l.driver.close(a.into());
    echo.join().unwrap();
    l.assert_idle();
}

fn spinning_ends_in_sleep(kind: Kind) {
    let mut l = Loop::with(Config { spin: Duration::from_micros(50), ..config(kind) });
    let (a, _b) = tcp_pair();
    let mut buf = [0; 8];
    let token = l.submit(recv(&a, &mut buf));
    for _ in 0..5 {
        let end = Instant::now() + SHORT;
        assert_eq!(l.wait(Until::Deadline(end)), 0);
        assert!(Instant::now() >= end);
        let end = Instant::now() + SHORT / 1000;
        assert_eq!(l.wait(Until::Deadline(end)), 0);
        assert!(Instant::now() >= end);
    }
    l.driver.cancel(token);
    assert_eq!(l.result(token), CANCELLED);
    assert!(a.as_raw_fd() >= 0);
}
