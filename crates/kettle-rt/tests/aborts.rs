//! Where panics abort, a cancelled task is not unwound: it is told by errors and by waits that end early.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

#[path = "../../../tests/aborting.rs"]
mod aborting;

use aborting::PROGRAM;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

#[test]
fn where_panics_abort_cancelled_tasks_are_told_and_return() {
    let output = Command::new(&*PROGRAM).output().unwrap();
    let said = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.0 == "end\n", "{said:?}");
}

#[test]
fn where_panics_abort_a_group_that_has_nothing_to_give_ends_the_process() {
    let output = Command::new(&*PROGRAM).arg("join_all").output().unwrap();
    assert_eq!((output.status.signal(), &*output.stdout), (Some(libc::SIGABRT), &b""[..]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("end a task group that has no results to give, where panics abort: a task group was cancelled"),
        "{said}"
    );
}
