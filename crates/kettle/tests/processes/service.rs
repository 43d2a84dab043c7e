//! Owns a supervisor that runs, from its start to the end of the test that has started it.

use crate::services::{COUNT, PROGRAM, WORD, make};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, PipeReader, pipe};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Whoever waits longer waits in vain.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Service {
    child: Child,
    lines: Receiver<String>,
    /// What it has said so far.
    pub(crate) said: Vec<String>,
}

/// The command that runs a program of `services`.
pub(crate) fn command(program: &str) -> Command {
    command_of(&std::env::current_exe().unwrap(), program)
}

/// The same, of another copy of this test.
pub(crate) fn command_of(executable: &Path, program: &str) -> Command {
    let mut command = Command::new(executable);
    command.args(["services::service", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(PROGRAM, program).env("RUST_BACKTRACE", "0").stdin(Stdio::null());
    command
}

impl Service {
    pub(crate) fn start(program: &str) -> Self {
        Self::run(&mut command(program))
    }

    pub(crate) fn start_with(program: &str, count: usize, word: &str) -> Self {
        Self::run(command(program).env(COUNT, count.to_string()).env(WORD, word))
    }

    pub(crate) fn run(command: &mut Command) -> Self {
        let (mut service, reader) = Self::run_unheard(command);
        service.hear_from(reader);
        service
    }

    /// What it says stays in a pipe.
    pub(crate) fn run_unheard(command: &mut Command) -> (Self, PipeReader) {
        let (reader, writer) = pipe().unwrap();
        let child = command.stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
        // The command has copies of the pipe's end, which would keep it open.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let (_, nothing) = channel();
        (Self { child, lines: nothing, said: Vec::new() }, reader)
    }

    pub(crate) fn hear_from(&mut self, reader: PipeReader) {
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(reader).lines() {
                // A test that has failed listens no more.
                _ = sender.send(line.unwrap());
            }
        });
        self.lines = lines;
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next line that has these words in it.
    pub(crate) fn hear(&mut self, words: &[&str]) -> String {
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else { panic!("{words:?} not heard in {:#?}", self.said) };
            self.said.push(line.clone());
            if words.iter().all(|word| line.contains(word)) {
                return line;
            }
        }
    }

    /// The same, unless it was heard before.
    pub(crate) fn have_heard(&mut self, words: &[&str]) {
        if !self.said.iter().any(|line| words.iter().all(|word| line.contains(word))) {
            self.hear(words);
        }
    }

    /// Waits until so many workers serve, and gives them, and where.
    pub(crate) fn serving(&mut self, count: usize) -> (Vec<u32>, SocketAddr) {
        let lines: Vec<_> = (0..count).map(|_| self.hear(&["] serves "])).collect();
        let addr = lines[0].split("serves ").nth(1).unwrap().parse().unwrap();
        (lines.iter().map(|line| pid_in(line)).collect(), addr)
    }

    /// Waits for the end of it, and of all that it says.
    pub(crate) fn end(&mut self) -> ExitStatus {
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.said.push(line);
        }
        self.child.wait().unwrap()
    }

    pub(crate) fn terminate(&self) {
        kill(self.pid(), libc::SIGTERM);
    }

    /// That it ends as it should when it is asked to, and leaves nobody.
    pub(crate) fn assert_ends(&mut self) {
        self.terminate();
        let status = self.end();
        assert!(status.success(), "{status}: {:#?}", self.said);
        self.assert_nobody_left();
    }

    /// That none of the processes that have said something is there any more.
    pub(crate) fn assert_nobody_left(&self) {
        for pid in self.pids() {
            assert!(!is_alive(pid), "{pid} is left: {:#?}", self.said);
        }
    }

    /// The workers that have said something.
    pub(crate) fn pids(&self) -> BTreeSet<u32> {
        self.said.iter().filter(|line| line.starts_with("[worker ")).map(|line| pid_in(line)).collect()
    }

    /// That it has so many descriptors, when it has heard of all ends.
    pub(crate) fn assert_descriptors(&mut self, count: usize) {
        for _ in 0..100 {
            // It does one thing after the other, so something has happened between two answers.
            kill(self.pid(), libc::SIGUSR1);
            self.hear(&["[supervisor ", "healthy"]);
            if self.descriptors() == count {
                return;
            }
        }
        panic!("{} descriptors, and not {count}", self.descriptors());
    }

    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // One that has ended by itself can't be killed. The workers end with it.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The process in a line's prefix.
pub(crate) fn pid_in(line: &str) -> u32 {
    line.split("pid ")
        .nth(1)
        .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next())
        .unwrap()
        .parse()
        .unwrap()
}

pub(crate) fn kill(pid: u32, signal: i32) {
    // SAFETY: no pointers.
    assert_eq!(unsafe { libc::kill(pid as i32, signal) }, 0, "send {signal} to {pid}");
}

/// Whether a process runs. One that has ended, and that nobody has waited for, does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

/// Whether a signal that was sent to a process has not reached any of its threads yet.
pub(crate) fn is_pending(pid: u32, signal: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).map(str::trim);
    mask.is_some_and(|mask| u64::from_str_radix(mask, 16).unwrap() & 1 << (signal - 1) != 0)
}

/// Waits until a process has ended, which need not be a child.
pub(crate) fn wait_for_end(pid: u32) {
    // SAFETY: no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as i32;
    if fd < 0 {
        return;
    }
    let mut asked = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, a variable; a descriptor that was just made.
    assert_eq!(unsafe { libc::poll(&raw mut asked, 1, PATIENCE.as_millis() as i32) }, 1, "{pid} does not end");
    // SAFETY: it is this function's.
    unsafe { libc::close(fd) };
}

/// What an answer should be.
pub(crate) fn expected(number: u64) -> String {
    make(number).to_string()
}
