//! A forked child has its parent's driver in memory, and must not use it: not the ring, not the epoll, nothing on drop.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod harness;

use harness::{Loop, *};
use kettle_driver::{Driver, DriverError, Kind, Op, Submitted, Token, Until};
use std::io::Write;
use std::mem::ManuallyDrop;

on_both! {
    a_child_is_told
    a_child_makes_a_driver_of_its_own
    a_child_s_drop_leaves_the_parent_alone
}

/// Runs a function in a forked child; whether it returned true. What it does must need no lock of another thread's:
/// the allocator's are taken care of by the C library.
fn forked(child: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child does what a child of a process with threads may, and ends here.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        let passed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(false);
        // SAFETY: ends the child without the parent's exit handlers.
        unsafe { libc::_exit(i32::from(!passed)) };
    }
    let mut status = 0;
    // SAFETY: a variable.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
}

/// That the parent's driver works, with what was in flight before the fork.
fn works(mut l: Loop, token: Token, mut peer: std::net::TcpStream, buf: &[u8; 8]) {
    l.settle();
    assert!(!l.has(token));
    peer.write_all(b"x").unwrap();
    assert_eq!(l.result(token), 1);
    assert_eq!(buf[0], b'x');
    l.assert_idle();
}

fn a_child_is_told(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, b) = tcp_pair();
    let mut buf = [0; 8];
    let token = l.submit(recv(&a, &mut buf));
    l.settle();
    let driver = &mut l.driver;
    assert!(forked(|| {
        let mut out = Vec::new();
        let error = driver.wait(Until::Forever, &mut out).unwrap_err();
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<DriverError>());
        // SAFETY: no pointers.
        let submitted = unsafe { driver.submit(Op::Nop, Token(1)) };
        driver.cancel(token);
        driver.close(a.try_clone().unwrap().into());
        inner.is_some_and(DriverError::is_forked)
            && submitted == Submitted::Done(-libc::ESTALE)
            && out.is_empty()
            && driver.in_flight() == 1
    }));
    works(l, token, b, &buf);
}

fn a_child_makes_a_driver_of_its_own(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, b) = tcp_pair();
    let mut buf = [0; 8];
    let token = l.submit(recv(&a, &mut buf));
    l.settle();
    assert!(forked(|| {
        let mut driver = Driver::with(config(kind)).unwrap();
        let (mut out, mut done) = (Vec::new(), 0);
        for round in 0..10 {
            // SAFETY: no pointers.
            done += usize::from(unsafe { driver.submit(Op::Nop, Token(round)) } == Submitted::Done(0));
        }
        while driver.in_flight() > 0 {
            driver.wait(Until::Forever, &mut out).unwrap();
        }
        driver.notifier().notify();
        driver.wait(Until::Forever, &mut out).unwrap();
        done + out.len() == 10
    }));
    works(l, token, b, &buf);
}

fn a_child_s_drop_leaves_the_parent_alone(kind: Kind) {
    let mut l = ManuallyDrop::new(Loop::new(kind));
    let (a, b) = tcp_pair();
    let mut buf = [0; 8];
    let token = l.submit(recv(&a, &mut buf));
    l.settle();
    // Pushed, and not yet known to the kernel: the child must not submit it.
    let nop = l.submit(Op::Nop);
    let notifier = l.driver.notifier();
    assert!(forked(|| {
        // SAFETY: the child doesn't use it again.
        unsafe { ManuallyDrop::drop(&mut l) };
        notifier.notify();
        drop(a.try_clone());
        true
    }));
    let mut l = ManuallyDrop::into_inner(l);
    assert_eq!(l.result(nop), 0);
    works(l, token, b, &buf);
}
