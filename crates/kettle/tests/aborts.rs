//! Where panics abort, a cancelled task is not unwound out of locks, channels and sockets.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

#[path = "../../../tests/aborting.rs"]
mod aborting;

use aborting::PROGRAM;
use std::process::Command;

#[test]
fn where_panics_abort_channels_and_sockets_tell_and_locks_go_on_waiting() {
    let output = Command::new(&*PROGRAM).output().unwrap();
    let said = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.0 == "end\n", "{said:?}");
}
