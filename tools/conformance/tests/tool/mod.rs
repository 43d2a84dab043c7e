//! Owns running the built tool: scenarios in, what it printed out. Used by every test program.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::thread;

/// The three ways to run every scenario.
pub(crate) const BODIES: [&str; 3] = ["stackless", "stackful", "mixed"];

/// Runs the tool on an input.
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_conformance"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool starts");
    let mut stdin = tool.stdin.take().expect("it has an input");
    thread::scope(|scope| {
        // A tool that has seen enough closes its input: that it stopped shows in its output.
        scope.spawn(move || stdin.write_all(input).err());
        tool.wait_with_output().expect("the tool ends")
    })
}
