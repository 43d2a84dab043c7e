//! Workers leave nothing behind. A test of its own: others open descriptors and threads meanwhile.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_rt::workers::workers;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

/// What the process has: descriptors and threads.
fn held() -> [usize; 2] {
    ["/proc/self/fd", "/proc/self/task"].map(|path| fs::read_dir(path).unwrap().count())
}

fn round(n: usize) {
    let run = || {
        workers(2).run(|worker| {
            let tasks = [(); 10].map(|()| worker.spawn_anywhere(|| 1));
            drop(worker.spawn_on(n % 2, kettle_rt::park));
            if n % 5 == worker.index() {
                resume_unwind(Box::new("spilled"));
            }
            tasks.into_iter().map(|task| task.join().unwrap()).sum::<usize>()
        })
    };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(results) => assert_eq!(results.unwrap(), [10, 10]),
        Err(panic) => assert_eq!(panic.downcast_ref(), Some(&"spilled")),
    }
}

#[test]
fn two_hundred_runs_leave_no_descriptor_and_no_thread() {
    round(0);
    let before = held();
    (0..200).for_each(round);
    // A thread that has been joined may be seen a moment longer.
    while held()[1] > before[1] {
        thread::yield_now();
    }
    assert_eq!(held(), before);
}
