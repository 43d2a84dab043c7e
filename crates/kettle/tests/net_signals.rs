//! Signals that interrupt system calls: no call of `net` ends for them, in tasks or outside.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod child;
mod sockets;

use child::alone;
use kettle::net::TcpStream;
use kettle::thread;
use sockets::{listener, pair, silent};
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

static SIGNALS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: i32) {
    SIGNALS.fetch_add(1, Relaxed);
}

/// Has SIGALRM counted, which interrupts what it meets.
fn count_signals() {
    // SAFETY: plain numbers, and a function that may be null.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = count as *const () as usize;
    // SAFETY: the handler adds to a number; the old one is not asked for.
    assert_eq!(unsafe { libc::sigaction(libc::SIGALRM, &raw const action, ptr::null_mut()) }, 0);
}

/// Does it while this thread gets signals all the time.
fn interrupted(f: impl FnOnce()) {
    count_signals();
    // SAFETY: nothing can be wrong with it.
    let this_thread = unsafe { libc::pthread_self() };
    let is_over = AtomicBool::new(false);
    std::thread::scope(|s| {
        s.spawn(|| {
            while !is_over.load(Relaxed) {
                // SAFETY: the thread waits for this one.
                assert_eq!(unsafe { libc::pthread_kill(this_thread, libc::SIGALRM) }, 0);
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
        is_over.store(true, Relaxed);
        result.unwrap();
    });
}

fn work() {
    // The timeouts make calls wait through several signals.
    let before = SIGNALS.load(Relaxed);
    while SIGNALS.load(Relaxed) < before + 200 {
        let (mut one, mut other) = pair();
        one.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        one.set_write_timeout(Some(Duration::from_millis(2))).unwrap();
        assert_eq!(one.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(one.peek(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let mut byte = [0];
        let mut bufs = [IoSliceMut::new(&mut byte)];
        assert_eq!(one.read_vectored(&mut bufs).unwrap_err().kind(), ErrorKind::WouldBlock);
        let error = loop {
            if let Err(error) = one.write(&[0; 1 << 16]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        let error = loop {
            if let Err(error) = one.write_vectored(&[IoSlice::new(&[0; 100])]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        other.write_all(&[0; 1 << 16]).unwrap();
        one.read_exact(&mut vec![0; 1 << 16]).unwrap();
        let (_listener, addr, _first) = silent();
        let error = TcpStream::connect_timeout(&addr, Duration::from_millis(2)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}

#[test]
fn calls_in_tasks_are_not_interrupted() {
    alone("calls_in_tasks_are_not_interrupted", || {
        interrupted(|| {
            kettle::run(|| {
                let working = [0; 3].map(|_| thread::spawn(work));
                let (listener, addr) = listener();
                let acceptor = thread::spawn(move || listener.accept().unwrap());
                working.into_iter().for_each(|task| task.join().unwrap());
                TcpStream::connect(addr).unwrap();
                acceptor.join().unwrap();
            });
        });
    });
}

/// Has the system send a signal at each interval.
fn each(interval: Duration) {
    let time = libc::timeval { tv_sec: 0, tv_usec: interval.as_micros() as libc::suseconds_t };
    let timer = libc::itimerval { it_interval: time, it_value: time };
    // SAFETY: a variable; the old one is not asked for.
    assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) }, 0);
}

#[test]
fn an_interval_timer_disturbs_nobody_who_is_served() {
    alone("an_interval_timer_disturbs_nobody_who_is_served", || {
        count_signals();
        each(Duration::from_micros(200));
        kettle::run(|| {
            let (listener, addr) = listener();
            thread::spawn(move || {
                // Until it is cancelled.
                while let Ok((mut stream, _)) = listener.accept() {
                    thread::spawn(move || {
                        let mut buf = [0; 8];
                        while let Ok(8) = stream.read(&mut buf) {
                            stream.write_all(&buf).unwrap();
                        }
                    });
                }
            });
            let clients = [0; 10].map(|_| {
                thread::spawn(move || {
                    let before = SIGNALS.load(Relaxed);
                    let mut round = 0_u64;
                    while SIGNALS.load(Relaxed) < before + 200 {
                        let mut stream = TcpStream::connect(addr).unwrap();
                        for _ in 0..10 {
                            stream.write_all(&round.to_ne_bytes()).unwrap();
                            let mut answer = [0; 8];
                            stream.read_exact(&mut answer).unwrap();
                            assert_eq!(u64::from_ne_bytes(answer), round);
                            round += 1;
                        }
                        // Nothing to do: the wait for events is what is interrupted.
                        thread::sleep(Duration::from_millis(1));
                    }
                })
            });
            clients.into_iter().for_each(|client| client.join().unwrap());
        });
        each(Duration::ZERO);
    });
}

#[test]
fn calls_outside_of_tasks_are_not_interrupted() {
    alone("calls_outside_of_tasks_are_not_interrupted", || {
        interrupted(|| {
            work();
            let (listener, addr) = listener();
            let before = SIGNALS.load(Relaxed);
            let client = std::thread::spawn(move || {
                while SIGNALS.load(Relaxed) < before + 50 {
                    std::thread::yield_now();
                }
                std::net::TcpStream::connect(addr).unwrap()
            });
            listener.accept().unwrap();
            client.join().unwrap();
        });
    });
}

#[test]
fn readers_of_one_stream_are_not_cancelled_by_signals() {
    // Where many wait for the same bytes io_uring resorts to threads of its own, and cancels what it can't hand to one.
    const TIMES: usize = 2000;
    alone("readers_of_one_stream_are_not_cancelled_by_signals", || {
        interrupted(|| {
            // For all threads, and often: 20 µs.
            let often = libc::timeval { tv_sec: 0, tv_usec: 20 };
            let timer = libc::itimerval { it_interval: often, it_value: often };
            // SAFETY: a variable; the old timer is not asked for.
            assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, ptr::null_mut()) }, 0);
            for _ in 0..20 {
                let (mut one, other) = kettle::run(pair);
                let readers = [0; 8].map(|_| {
                    let mut reader = other.try_clone().unwrap();
                    std::thread::spawn(move || {
                        kettle::run(|| {
                            let mut heard = 0;
                            loop {
                                match reader.read(&mut [0; 100]).unwrap() {
                                    0 => return heard,
                                    len => heard += len,
                                }
                            }
                        })
                    })
                });
                kettle::run(|| (0..TIMES).for_each(|_| one.write_all(&[1; 77]).unwrap()));
                drop(one);
                let heard: usize = readers.map(|reader| reader.join().unwrap()).into_iter().sum();
                assert_eq!(heard, TIMES * 77);
            }
        });
    });
}
