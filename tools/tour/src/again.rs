//! Owns running this program again, as another one: for a step that needs a process of its own, and children of that.

use std::env;
use std::io;
use std::process::{Command, Stdio};

/// Set where this process is that other program.
const AGAIN: &str = "KETTLE_TOUR_AGAIN";

/// In a test this program is the test's own binary, which is told which test is the other program.
const ARGS: &[&str] =
    if cfg!(test) { &["chapters::cores::tests::again", "--exact", "--nocapture", "--test-threads=1"] } else { &[] };

/// Whether this process was started by [`again`].
pub(crate) fn is_again() -> bool {
    env::var_os(AGAIN).is_some()
}

/// Starts this program again, waits for its end, and gives what it said on the error output. The numbers of processes are
/// left out: they are others each time.
pub(crate) fn again() -> io::Result<String> {
    let mut command = Command::new(env::current_exe()?);
    let output = command.args(ARGS).env(AGAIN, "").stdin(Stdio::null()).stdout(Stdio::null()).output()?;
    let said = without_pids(&String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said) } else { Err(io::Error::other(format!("{}: {said}", output.status))) }
}

fn without_pids(said: &str) -> String {
    let mut parts = said.split(" pid ");
    let first = parts.next().unwrap_or_default().to_string();
    parts.fold(first, |text, part| text + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_processes_are_left_out() {
        let said = "[supervisor pid 7] worker 0 pid 12 died: exit status: 1\n";
        assert_eq!(without_pids(said), "[supervisor] worker 0 died: exit status: 1\n");
    }
}
