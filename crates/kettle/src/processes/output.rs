//! Owns what workers print: whole lines, each with who says it.
//!
//! Invariant: a line goes out as one piece, with nobody else's in between, unless it is longer than [`LONGEST`]; then each part of it
//! does.
#![forbid(unsafe_code)]

use super::descriptor::{Descriptor, write_all};
use crate::sync::Mutex;
use kettle_rt::{shield, timeout};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::PoisonError;
use std::time::Duration;

/// How long a line may be, in bytes.
const LONGEST: usize = 8 * 1024;

/// How long the end of a process's last line may take, if nobody reads it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The standard output, or error, of this process.
pub(super) struct Out<F> {
    file: F,
    turn: Mutex<()>,
}

impl<F: AsFd> Out<F> {
    pub(super) fn new(file: F) -> Self {
        Self { file, turn: Mutex::new(()) }
    }

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
