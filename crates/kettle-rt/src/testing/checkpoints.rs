//! Owns the questions whether a function can be cancelled and lets others run, or does neither.
#![forbid(unsafe_code)]

use crate::event_loop;
use crate::header::Flags;

/// Runs a function, and makes sure that it has passed a checkpoint: trio's `assert_checkpoints`.
///
/// ```
/// use kettle_rt::testing::assert_checkpoints;
/// use kettle_rt::{EventLoop, yield_now};
///
/// EventLoop::new()?.run(|| assert_checkpoints(yield_now));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
///
/// If it has passed none. With its own panic. Where no task runs.
pub fn assert_checkpoints<T>(f: impl FnOnce() -> T) -> T {
    let (value, has_passed) = watch(f);
    assert!(has_passed, "it has passed no checkpoint");
    value
}

/// Runs a function, and makes sure that it has passed no checkpoint: that no other task has run, and that it can't have been
/// cancelled in there. It is trio's `assert_no_checkpoints`.
///
/// ```
/// use kettle_rt::testing::assert_no_checkpoints;
/// use kettle_rt::{EventLoop, spawn};
///
/// EventLoop::new()?.run(|| {
///     let kettle = assert_no_checkpoints(|| spawn(|| "the water boils"));
///     assert_eq!(kettle.join().unwrap(), "the water boils");
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
///
/// If it has passed one. With its own panic. Where no task runs.
pub fn assert_no_checkpoints<T>(f: impl FnOnce() -> T) -> T {
    let (value, has_passed) = watch(f);
    assert!(!has_passed, "it has passed a checkpoint");
    value
}

fn watch<T>(f: impl FnOnce() -> T) -> (T, bool) {
    let Some((_, task)) = event_loop::task() else { panic!("look for checkpoints where no task runs") };
    let before = task.is(Flags::PASSED);
    task.clear(Flags::PASSED);
    let value = f();
    let has_passed = task.is(Flags::PASSED);
    if before {
        task.set(Flags::PASSED);
    }
    (value, has_passed)
}
