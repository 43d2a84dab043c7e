//! Owns waits that keep the thread of a simulation: in a destructor that runs by unwinding, inside of a future, on the event
//! loop's own stack. No task runs meanwhile and no time passes, so nobody but another thread can end one. Without that the
//! process ends, and says who waits for what: it would hang.
#![forbid(unsafe_code)]

use crate::event_loop::{self, Loop};
use crate::header::Purpose;
use std::panic::panic_any;
use std::thread;
use std::time::{Duration, Instant};

/// How long other threads are waited for, by the system's time.
const PATIENCE: Duration = Duration::from_secs(1);

fn simulation<'a>() -> Option<&'a Loop> {
    event_loop::current().filter(|event_loop| event_loop.order().is_some())
}

/// Keeps the thread of a simulation until another one has made this so, which unparks it, and ends the process if none does in
/// a second of real time. Gives whether this is a simulation; where it is none, nothing was waited for.
#[cold]
pub(crate) fn wait_for_threads(purpose: Purpose, is_over: impl Fn() -> bool) -> bool {
    let Some(simulation) = simulation() else { return false };
    let end = Instant::now() + PATIENCE;
    while !is_over() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            simulation.abort_simulation(
                "it waits where no other task can run: in a destructor that runs by unwinding, or inside of a future",
                Some(purpose),
            );
        }
        thread::park_timeout(left);
    }
    true
}

/// Something that would let others run was called where none can. In a simulation the process ends if that goes on and on.
#[cold]
pub(crate) fn turn_in_vain() {
    if let Some(simulation) = simulation()
        && let Some(order) = simulation.order()
        && order.takes_too_many_steps()
    {
        simulation.abort_simulation(
            "it lets others run, on and on, where none can: in a destructor that runs by unwinding, or inside of a future",
            None,
        );
    }
}

/// A cancellation is raised. In a simulation the process ends if the task has caught that again and again.
pub(crate) fn raised() {
    if let Some(simulation) = simulation()
        && let Some(order) = simulation.order()
        && order.is_told_in_vain()
    {
        simulation.abort_simulation(
            "it is cancelled and catches that, on and on: resume the unwinding if the payload is `Cancelled`",
            None,
        );
    }
}

/// Says that what is to be waited for can't come, by a panic. In a destructor that runs by unwinding that ends the process; so
/// does this in a simulation, with the list of its tasks.
///
/// # Panics
///
/// With the message.
#[cold]
#[track_caller]
pub fn refuse_to_wait(purpose: Purpose, message: &'static str) -> ! {
    if thread::panicking()
        && let Some(simulation) = simulation()
    {
        simulation.abort_simulation(message, Some(purpose));
    }
    panic_any(message)
}
