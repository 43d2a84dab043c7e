//! Owns running a function late in a thread's end: in the destructor of a thread-local that goes after all others.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;

/// What is called when the thread ends.
struct Last(Cell<Option<Box<dyn FnOnce()>>>);

impl Drop for Last {
    fn drop(&mut self) {
        if let Some(last) = self.0.take() {
            last();
        }
    }
}

thread_local! {
    /// Those that were used first go last.
    static LAST: Last = const { Last(Cell::new(None)) };
}

/// Runs a function late in the end of a thread, which has lived and then given something to it. Gives what the function gives.
pub(crate) fn late_after<E: 'static, T: Send + 'static>(
    life: fn(),
    early: impl FnOnce() -> E + Send + 'static,
    late: impl FnOnce(E) -> T + Send + 'static,
) -> T {
    let (tell, told) = mpsc::channel();
    let thread = thread::spawn(move || {
        LAST.with(|_| ());
        life();
        let given = early();
        LAST.with(|last| {
            last.0.set(Some(Box::new(move || {
                // A panic out of a thread-local's destructor would end the process.
                tell.send(catch_unwind(AssertUnwindSafe(|| late(given)))).unwrap();
            })))
        });
    });
    let result = told.recv().unwrap();
    thread.join().unwrap();
    result.unwrap()
}
