//! What a supervisor tells: on SIGUSR1, and at its socket.

use crate::service::{Service, command, is_pending, kill, pid_in, wait_for_end};
use crate::services::{COUNT, WORD};
use kettle::processes::status_at;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// A path that is this test's own.
fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("kettle-{}-{name}", std::process::id()))
}

fn tells(path: &Path) -> Service {
    Service::start_with("tells", 2, path.to_str().unwrap())
}

#[test]
fn a_signal_has_the_status_said() {
    let mut service = Service::start_with("answers", 2, "");
    let (pids, _) = service.serving(2);
    kill(service.pid(), libc::SIGUSR1);
    let line = service.hear(&["[supervisor ", "ready, 0 reloads"]);
    for pid in pids {
        assert!(line.contains(&format!("pid {pid} ")), "{line}");
    }
    service.assert_ends();
}

#[test]
fn the_status_is_told_at_a_socket_which_goes_at_the_end() {
    let path = path("told");
    let mut service = tells(&path);
    let (pids, _) = service.serving(2);
    let status = status_at(&path).unwrap();
    assert!(status.contains("healthy: ") && status.ends_with('\n'), "{status}");
    assert!(pids.iter().all(|pid| status.contains(&format!("pid {pid} "))), "{status}");
    kill(pids[0], libc::SIGKILL);
    service.serving(1);
    let status = status_at(&path).unwrap();
    assert!(status.contains(", 1 restarts"), "{status}");
    service.assert_ends();
    assert!(!path.exists());
}

#[test]
fn a_socket_that_was_left_behind_is_replaced() {
    let path = path("stale");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let mut service = tells(&path);
    service.serving(2);
    assert!(status_at(&path).is_ok());
    service.assert_ends();
    assert!(!path.exists());
}

#[test]
fn a_socket_at_which_somebody_listens_is_left_to_them() {
    let path = path("taken");
    let listener = UnixListener::bind(&path).unwrap();
    let mut service = tells(&path);
    assert_eq!(service.end().code(), Some(6));
    let text = format!("tell the status at {}", path.display());
    assert!(service.said.iter().any(|line| line.contains(&text)), "{:#?}", service.said);
    assert!(service.pids().is_empty(), "no worker was started");
    drop(listener);
    fs::remove_file(&path).unwrap();
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let path = path("file");
    fs::write(&path, "tea").unwrap();
    let mut service = tells(&path);
    assert_eq!(service.end().code(), Some(6));
    assert_eq!(fs::read_to_string(&path).unwrap(), "tea");
    fs::remove_file(&path).unwrap();
}

#[test]
fn output_that_nobody_reads_keeps_nobody_from_being_looked_after() {
    let path = path("shouts");
    let mut command = command("shouts");
    command.env(COUNT, "1").env(WORD, &path);
    let (mut service, unread) = Service::run_unheard(&mut command);
    // It is full when half of its bytes are there, for writes that don't fit into what is left of a page begin another
    // one.
    while rustix::io::ioctl_fionread(&unread).unwrap() < 8 * 4096 {
        std::thread::yield_now();
    }
    let status = |words: &[&str]| loop {
        match status_at(&path) {
            Ok(status) if words.iter().all(|word| status.contains(word)) => return status,
            // It has not begun, or has not come so far.
            _ => std::thread::yield_now(),
        }
    };
    let pid = pid_in(&status(&["1 ready"]));
    kill(pid, libc::SIGKILL);
    let other = pid_in(&status(&["1 ready", "1 restarts"]));
    assert_ne!(pid, other);
    service.terminate();
    wait_for_end(other);
    // What the program itself says at its end, it would wait to say.
    service.hear_from(unread);
    assert!(service.end().success());
}

#[test]
fn of_lines_that_nobody_reads_some_are_kept_and_the_others_counted() {
    let path = path("silence");
    let mut command = command("tells");
    command.env(COUNT, "1").env(WORD, &path);
    let (mut service, unread) = Service::run_unheard(&mut command);
    // Room for less than a hundred lines.
    // SAFETY: no pointers.
    assert_eq!(unsafe { libc::fcntl(unread.as_raw_fd(), libc::F_SETPIPE_SZ, 4096) }, 4096);
    while !status_at(&path).is_ok_and(|status| status.contains("1 ready")) {
        std::thread::yield_now();
    }
    for _ in 0..300 {
        kill(service.pid(), libc::SIGUSR1);
        // A signal that waits still takes the next one up. Whoever has answered has heard those before.
        while is_pending(service.pid(), libc::SIGUSR1) {
            std::thread::yield_now();
        }
        status_at(&path).unwrap();
    }
    service.hear_from(unread);
    let line = service.hear(&["[supervisor ", " lines were left out"]);
    let left_out: usize = line.split("] ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let told = service.said.iter().filter(|line| line.contains("1 ready, 0 reloads")).count();
    assert!(told < 120 && left_out > 0 && told + left_out <= 300, "{told} and {left_out}");
    service.assert_ends();
}

#[test]
fn lines_are_whole_where_output_and_errors_are_one_pipe() {
    let path = path("one-pipe");
    let mut command = command("shouts");
    command.env(COUNT, "1").env(WORD, &path);
    let mut service = Service::run(&mut command);
    service.hear(&["tea"]);
    for _ in 0..100 {
        kill(service.pid(), libc::SIGUSR1);
        let line = service.hear(&["1 ready, 0 reloads"]);
        assert!(line.starts_with("[supervisor "), "{line}");
        // It shouts a lot.
        service.said.clear();
    }
    service.terminate();
    assert!(service.end().success());
}
