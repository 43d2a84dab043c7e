//! Owns the running of one test in a process of its own: for what counts descriptors, or takes them all.

#![allow(dead_code, reason = "each of the test files that include it uses its part")]

use std::process::Command;

const CHILD: &str = "KETTLE_TEST_CHILD";

/// Does it in a child, which runs this very test and nothing else.
pub(crate) fn alone(test: &str, f: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return f();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, "");
    let output = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // One test ran: a child whose test has another name passes with none.
    assert!(output.status.success() && stdout.contains("1 passed"), "{}\n{stdout}\n{stderr}", output.status);
}

/// How many descriptors this process has.
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Does it in a child, which is to die of it. Gives what the child said before.
pub(crate) fn dies(test: &str, f: impl FnOnce()) -> String {
    if std::env::var_os(CHILD).is_some() {
        f();
        // The parent takes this for a test that passed.
        std::process::exit(0);
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, "");
    let output = command.output().unwrap();
    assert!(!output.status.success() && output.status.code() != Some(101), "{}", output.status);
    String::from_utf8_lossy(&output.stderr).into_owned()
}
