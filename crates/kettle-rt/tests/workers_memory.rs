//! Workers where there is no memory for a stack. A process of its own: the limit is the process's.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_rt::park;
use kettle_rt::workers::workers;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

const GIB: u64 = 1 << 30;

/// Each first task has a stack of its own, mapped with another one, and only one such pair fits.
#[test]
fn a_worker_whose_function_can_not_begin_ends_the_others() {
    let used = std::fs::read_to_string("/proc/self/statm").unwrap();
    let used = used.split(' ').next().unwrap().parse::<u64>().unwrap() * 4096;
    let limit = libc::rlimit { rlim_cur: used + 10 * GIB, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the limit is a variable of this frame.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
    let begun = AtomicUsize::new(0);
    let run = || {
        workers(2).stack_size(4 * GIB as usize).run(|_| {
            begun.fetch_add(1, Ordering::Relaxed);
            park();
        })
    };
    let panic = catch_unwind(run).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert!(message.contains("stack"), "{message}");
    assert_eq!(begun.into_inner(), 1);
}
