//! Owns the running of a test's own binary again, as a child process: for what must abort, or must not touch the others.
//!
//! A test that uses it has two halves: in the child [`scenario`] names what to do, in the parent [`run`] starts it.

#![allow(dead_code, reason = "each of the test files that include it uses its part")]

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

const SCENARIO: &str = "KETTLE_TEST_SCENARIO";

/// What this process is to do, if it is a child.
pub(crate) fn scenario() -> Option<String> {
    std::env::var(SCENARIO).ok()
}

/// Whether this is run with the address sanitizer, whose frames and memory are its own: it needs its options to be set.
pub(crate) fn is_sanitised() -> bool {
    std::env::var_os("ASAN_OPTIONS").is_some()
}

/// The command that runs one test of this binary as a child, to do `scenario`.
pub(crate) fn command(test: &str, scenario: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(SCENARIO, scenario);
    // Messages are compared: no backtraces in them, and a sanitizer leaves faults to the crate.
    command.env("RUST_BACKTRACE", "0");
    if let Ok(options) = std::env::var("ASAN_OPTIONS") {
        command.env("ASAN_OPTIONS", options + ":handle_segv=0:handle_sigbus=0");
    }
    command
}

/// Runs it to its end.
pub(crate) fn run(test: &str, scenario: &str) -> Ended {
    Ended::of(command(test, scenario))
}

/// Runs all tests of this binary again, with the guards of older kernels. For a test that has nothing else to do.
pub(crate) fn all_again_with_mapped_guards() {
    const GUARDS: &str = "KETTLE_GUARDS";
    if std::env::var_os(GUARDS).is_some_and(|guards| guards == "mapped") {
        assert_eq!(kettle_fiber::pool::guards(), kettle_fiber::Guards::Mapped);
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap()).env(GUARDS, "mapped").output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
}

/// How a child ended.
pub(crate) struct Ended {
    output: Output,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn of(mut command: Command) -> Self {
        Self::from(command.output().unwrap())
    }

    /// The signal that ended it.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.output.status.signal()
    }

    /// The code that it ended with by itself.
    pub(crate) fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    /// That it did its scenario to the end. One test ran: a child whose test has another name passes with none.
    pub(crate) fn assert_success(&self) {
        let stdout = String::from_utf8_lossy(&self.output.stdout);
        let ran = stdout.contains("1 passed");
        assert!(self.output.status.success() && ran, "{}\n{stdout}\n{}", self.output.status, self.stderr);
    }

    /// That it was ended by a signal, having said something.
    pub(crate) fn assert_signal(&self, signal: i32, message: &str) {
        let said = self.stderr.contains(message);
        assert!(self.signal() == Some(signal) && said, "{}, wanted {message:?}\n{}", self.output.status, self.stderr);
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { output, stderr }
    }
}
