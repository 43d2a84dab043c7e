//! What allocates: nothing, once as much has been in flight as before.
//!
//! The allocator counts what this thread asks for, so that tests may run side by side.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod harness;

use harness::{PATIENCE, accept, config, recv, tcp_pair};
use kettle_driver::{Completion, Driver, Interest, Kind, Op, Submitted, Timers, Token, Until};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: what it hands out comes from the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends may allocate when its thread-locals are gone.
        let _ended = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
        // SAFETY: the caller's obligations are the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's obligations are the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

on_both! {
    the_steady_state_allocates_nothing
}

fn round(
    driver: &mut Driver,
    pairs: &[(std::net::TcpStream, std::net::TcpStream)],
    bufs: &mut [[u8; 64]],
    out: &mut Vec<Completion>,
    base: u64,
) {
    let submit = |driver: &mut Driver, op, token| {
        // SAFETY: the buffers stay until all has completed.
        let submitted: Submitted = unsafe { driver.submit(op, Token(token)) };
        usize::from(submitted != Submitted::Pending)
    };
    let mut done = 0;
    let mut token = base;
    for ((a, b), buf) in pairs.iter().zip(bufs) {
        for op in [
            recv(a, buf),
            Op::Poll { fd: a.as_raw_fd(), interest: Interest::Writable },
            Op::Nop,
            accept(&b.as_raw_fd()),
        ] {
            done += submit(driver, op, token);
            token += 1;
        }
    }
    driver.wait(Until::Now, out).unwrap();
    driver.notifier().notify();
    for (index, (_, b)) in pairs.iter().enumerate() {
        if index % 2 == 0 {
            let mut b = b;
            b.write_all(b"x").unwrap();
        } else {
            driver.cancel(Token(base + 4 * index as u64));
        }
    }
    while done + out.len() < 4 * pairs.len() {
        driver.wait(Until::Deadline(Instant::now() + PATIENCE), out).unwrap();
    }
    assert_eq!(driver.in_flight(), 0);
    out.clear();
}

fn the_steady_state_allocates_nothing(kind: Kind) {
    let mut driver = Driver::with(config(kind)).unwrap();
    let pairs: Vec<_> = (0..50).map(|_| tcp_pair()).collect();
    let mut bufs = vec![[0; 64]; 50];
    let mut out = Vec::with_capacity(1000);
    for base in 0..3 {
        round(&mut driver, &pairs, &mut bufs, &mut out, base * 1000);
    }
    let before = ALLOCATIONS.get();
    for base in 3..300 {
        round(&mut driver, &pairs, &mut bufs, &mut out, base * 1000);
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
}

#[test]
fn timers_allocate_nothing_in_the_steady_state() {
    let start = Instant::now();
    let mut timers = Timers::new(start);
    let mut expired = Vec::with_capacity(10_000);
    let mut keys = Vec::with_capacity(1000);
    let mut round = |round: u64| {
        let now = start + Duration::from_millis(round);
        for timer in 0..1000_u64 {
            keys.push(timers.insert(now + Duration::from_micros(timer * timer), Token(timer)));
        }
        for key in keys.drain(..).step_by(2) {
            timers.cancel(key);
        }
        _ = timers.next_deadline();
        timers.expire(now + Duration::from_secs(2), &mut expired);
        expired.clear();
        assert!(timers.is_empty());
    };
    (0..4).for_each(|warm| round(warm * 3000));
    let before = ALLOCATIONS.get();
    (4..100).for_each(|hot| round(hot * 3000));
    assert_eq!(ALLOCATIONS.get() - before, 0);
}
