//! What ends the process: a destructor that panics where a stack is unwound; and in a build where panics abort, a
//! suspended coroutine that borrows.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

#[path = "../../../tests/aborting.rs"]
mod aborting;
mod child;

use aborting::PROGRAM;
use kettle_fiber::{Coroutine, Yielder, coroutine};
use kettle_gen::Generator;
use libc::SIGABRT;
use std::panic::resume_unwind;
use std::process::{Command, Output};

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        resume_unwind(Box::new("bomb"));
    }
}

/// Does something when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn with_bomb() -> Coroutine<u32> {
    let mut co = coroutine(|y: &mut Yielder<u32>| {
        let _bomb = Bomb;
        y.yield_(1);
    });
    co.resume().unwrap();
    co
}

/// The child's half of the tests below.
#[test]
fn scenario() {
    match child::scenario().as_deref() {
        Some("drop") => drop(with_bomb()),
        Some("close") => _ = with_bomb().close(),
        Some("throw") => _ = with_bomb().throw(kettle_gen::Error::exit()),
        Some("delegate") => {
            let mut co = coroutine(|y: &mut Yielder<u32>| {
                let inner = coroutine(|y: &mut Yielder<u32>| y.yield_(1));
                let y = std::cell::RefCell::new(y);
                let mut inner = Some(inner);
                let _guard = OnDrop(|| _ = y.borrow_mut().yield_from(inner.take().unwrap()));
                y.borrow_mut().yield_(0);
            });
            co.resume().unwrap();
            drop(co);
        }
        Some(other) => panic!("no scenario {other}"),
        None => return,
    }
    unreachable!("the process should have ended");
}

#[test]
fn a_destructor_that_panics_where_a_suspended_stack_is_unwound_aborts() {
    for scenario in ["drop", "close", "throw"] {
        child::run("scenario", scenario).assert_signal(SIGABRT, "panic in a destructor during cleanup");
    }
}

#[test]
fn delegating_in_a_destructor_of_an_unwinding_body_aborts_and_says_why() {
    let ended = child::run("scenario", "delegate");
    ended.assert_signal(SIGABRT, "delegate from a body that is unwinding");
}

#[test]
fn where_panics_abort_a_suspended_coroutine_is_leaked_if_it_owns_and_ends_the_process_if_it_borrows() {
    let run = |scenario: &str| -> Output { Command::new(&*PROGRAM).arg(scenario).output().unwrap() };
    for scenario in ["owned", "closed", "scoped to its end"] {
        let output = run(scenario);
        let said = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && said.0 == "end\n", "{scenario}: {said:?}");
    }
    let message = "drop a suspended coroutine that borrows: it can't be unwound where panics abort\n";
    child::Ended::from(run("scoped")).assert_signal(SIGABRT, message);
}
