//! Owns running a scenario in a process of its own, for what ends the process, counts what it has, or wants another
//! environment: the test that asks for it is run again, and does nothing else.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use std::process::{Command, Output};

const SCENARIO: &str = "KETTLE_TEST_SCENARIO";

/// Runs a scenario in a process of its own, with variables of its environment set. A test has one scenario.
pub(crate) fn again(test: &str, variables: &[(&str, &str)], scenario: impl FnOnce()) -> Output {
    if std::env::var(SCENARIO).is_ok_and(|word| word == test) {
        scenario();
        std::process::exit(0);
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(SCENARIO, test).env("RUST_BACKTRACE", "0");
    let output = command.envs(variables.iter().copied()).output().unwrap();
    // A process whose test has another name does nothing, and ends well.
    let ran = String::from_utf8_lossy(&output.stdout).contains("running 1 test\n");
    assert!(ran, "no test is {test}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
