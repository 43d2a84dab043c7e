//! Owns what workers print: whole lines, each with who says it; and that they may print when nobody is there to hear
//! it.
//!
//! Invariant: a line goes out as one piece, with nobody else's in between, unless it is longer than [`LONGEST`]; then
//! each part of it does.
#![forbid(unsafe_code)]

use super::descriptor::{Descriptor, write_all};
use crate::sync::Mutex;
use kettle_rt::{shield, timeout};
use rustix::fs::fstat;
use std::fs::{self, File};
use std::io::{self, Stderr, Stdout};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::rc::Rc;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

/// How long a line may be, in bytes.
const LONGEST: usize = 8 * 1024;

/// How long the end of a process's last line may take, if nobody reads it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The standard output, or error, of this process.
pub(super) struct Out<F> {
    file: F,
    /// Who has it writes.
    turn: Rc<Mutex<()>>,
}

/// The standard output, and error. They take turns if they are one pipe, say: each is written to in pieces when it is
/// nearly full.
pub(super) fn outs() -> (Out<Stdout>, Out<Stderr>) {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let turn = Rc::new(Mutex::new(()));
    let other_turn = if is_same_file(stdout.as_fd(), stderr.as_fd()) { Rc::clone(&turn) } else { Rc::default() };
    (Out { file: stdout, turn }, Out { file: stderr, turn: other_turn })
}

fn is_same_file(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let id = |fd| fstat(fd).map(|file| (file.st_dev, file.st_ino));
    id(one).is_ok_and(|one| id(other) == Ok(one))
}

impl<F: AsFd> Out<F> {
    /// Writes lines. A checkpoint. That nobody hears them is nobody's fault.
    fn write(&self, lines: &[u8]) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        _ = write_all(self.file.as_fd(), lines);
    }

    /// Writes one line.
    pub(super) fn say(&self, prefix: &str, text: &str) {
        self.write(format!("{prefix}{text}\n").as_bytes());
    }

    /// Writes what comes out of a pipe, until it ends. A checkpoint.
    pub(super) fn relay(&self, pipe: &Descriptor<File>, prefix: &str) -> io::Result<()> {
        let mut lines = Lines::new(prefix);
        let mut chunk = [0; 4096];
        let result = loop {
            match pipe.read(&mut chunk) {
                Ok(0) => break Ok(()),
                Ok(len) => lines.push(&chunk[..len]),
                Err(error) => break Err(error),
            }
            if !lines.whole.is_empty() {
                self.write(&lines.whole);
                lines.whole.clear();
            }
        };
        lines.finish();
        if !lines.whole.is_empty() {
            // Also at the end of all, but not for ever.
            _ = shield(|| timeout(PATIENCE, || self.write(&lines.whole)));
        }
        result
    }
}

/// The other ends of the pipes into which this worker prints, which its supervisor reads. With them here printing is no
/// error when that has gone.
#[derive(Default)]
pub(super) struct Ends(Vec<File>);

impl Ends {
    /// Those of the standard output and error, if they are pipes.
    pub(super) fn of_this_process() -> Self {
        let end = |fd| {
            let path = format!("/proc/self/fd/{fd}");
            let is_pipe = fs::metadata(&path).is_ok_and(|file| file.file_type().is_fifo());
            // Without it a worker that prints ends earlier: no reason not to begin.
            is_pipe.then(|| File::open(path).ok()).flatten()
        };
        Self([libc::STDOUT_FILENO, libc::STDERR_FILENO].into_iter().filter_map(end).collect())
    }

    /// Nobody else reads them any more: takes out what is printed, so that who prints need not wait for room. By
    /// threads that end with the process.
    pub(super) fn read_to_nowhere(self) {
        for mut end in self.0 {
            _ = thread::Builder::new()
                .name("kettle-output".to_owned())
                .spawn(move || io::copy(&mut end, &mut io::sink()));
        }
    }
}

/// Makes lines of what comes in any pieces.
struct Lines<'a> {
    prefix: &'a str,
    /// What is to be written.
    whole: Vec<u8>,
    /// The beginning of a line.
    part: Vec<u8>,
}

impl<'a> Lines<'a> {
    fn new(prefix: &'a str) -> Self {
        Self { prefix, whole: Vec::new(), part: Vec::new() }
    }

    fn push(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.extend(&bytes[..end]);
            self.end_line();
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    fn extend(&mut self, mut bytes: &[u8]) {
        while self.part.len() + bytes.len() > LONGEST {
            let (fits, rest) = bytes.split_at(LONGEST - self.part.len());
            self.part.extend_from_slice(fits);
            self.end_line();
            bytes = rest;
        }
        self.part.extend_from_slice(bytes);
    }

    fn end_line(&mut self) {
        self.whole.extend_from_slice(self.prefix.as_bytes());
        self.whole.append(&mut self.part);
        self.whole.push(b'\n');
    }

    /// Whoever has died in the middle of a line has said that much.
    fn finish(&mut self) {
        if !self.part.is_empty() {
            self.end_line();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> String {
        let mut lines = Lines::new("[7] ");
        pieces.iter().for_each(|piece| lines.push(piece));
        lines.finish();
        String::from_utf8(lines.whole).unwrap()
    }

    #[test]
    fn lines_are_whole_however_they_come() {
        assert_eq!(
            lines(&[b"put the ", b"kettle", b" on\nwe'll all have tea\n\n"]),
            "[7] put the kettle on\n[7] we'll all have tea\n[7] \n"
        );
        assert_eq!(lines(&[b"a\nb\nhalf a li"]), "[7] a\n[7] b\n[7] half a li\n");
        assert_eq!(lines(&[]), "");
        let text = "put\nthe\nkettle\non";
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(lines(&bytes), lines(&[text.as_bytes()]));
    }

    #[test]
    fn a_line_without_an_end_comes_in_parts() {
        let long = vec![b'x'; LONGEST * 2 + 1];
        let text = lines(&[&long[..5], &long[5..], b"\ny\n"]);
        let lens: Vec<_> = text.lines().map(|line| line.len() - 4).collect();
        assert_eq!(lens, [LONGEST, LONGEST, 1, 1]);
        assert_eq!(lines(&[&long[..LONGEST], b"\n"]).lines().count(), 1);
    }
}
