//! Listeners that a process manager has passed (`LISTEN_FDS`), and connections that wait in them.

use crate::client::Client;
use crate::service::{Service, command};
use crate::services::COUNT;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Starts a program as systemd does: with these descriptors, from 3.
fn start(program: &str, fds: &[i32], names: &str) -> Service {
    let inner = command(program);
    // The process's own number is known in it only.
    let mut shell = Command::new("sh");
    shell.args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\""]).arg(inner.get_program()).args(inner.get_args());
    shell.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env(COUNT, "2").env("LISTEN_FDS", fds.len().to_string()).env("LISTEN_FDNAMES", names);
    let fds = fds.to_vec();
    let pass = move || {
        // Out of the way first.
        for (place, &fd) in (20..).zip(&fds) {
            // SAFETY: no pointers.
            unsafe { libc::dup2(fd, place) };
        }
        for (place, _) in (0..).zip(&fds) {
            // SAFETY: no pointers.
            unsafe { libc::dup2(20 + place, 3 + place) };
            // SAFETY: no pointers. The copies are not passed on.
            unsafe { libc::close(20 + place) };
        }
        Ok(())
    };
    // SAFETY: system calls on numbers.
    unsafe { shell.pre_exec(pass) };
    Service::run(&mut shell)
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

#[test]
fn a_passed_listener_is_served_and_outlives_the_service() {
    let (listener, addr) = listener();
    // Before there is anybody to serve it.
    let early = TcpStream::connect(addr).unwrap();
    let mut service = start("answers", &[listener.as_raw_fd()], "kettle.socket");
    let (_, served) = service.serving(2);
    assert_eq!(served, addr);
    Client::after_connecting(early).unwrap().ask(7).unwrap();
    service.assert_ends();
    // Nobody is refused while it is started again.
    let waiting = TcpStream::connect(addr).unwrap();
    let mut service = start("answers", &[listener.as_raw_fd()], "");
    Client::after_connecting(waiting).unwrap().ask(8).unwrap();
    service.serving(2);
    service.assert_ends();
}

#[test]
fn listeners_are_found_by_name() {
    let ((first, first_addr), (admin, admin_addr)) = (listener(), listener());
    let fds = [admin.as_raw_fd(), first.as_raw_fd()];
    let mut service = start("answers at two", &fds, "admin:kettle.socket");
    let line = service.hear(&["listeners"]);
    let expected = format!("listeners [(None, {first_addr}), (Some(\"admin\"), {admin_addr})]");
    assert!(line.ends_with(&expected), "{line}");
    service.assert_ends();
}

#[test]
fn what_was_passed_must_be_what_is_asked_for() {
    let (first, _) = listener();
    let unix = std::env::temp_dir().join(format!("kettle-{}-unix", std::process::id()));
    let other = UnixListener::bind(&unix).unwrap();
    let connected = TcpStream::connect(first.local_addr().unwrap()).unwrap();
    let first = first.as_raw_fd();
    for (program, fds, words) in [
        ("answers at two", &[first][..], &["admin", "LISTEN_FDS"][..]),
        ("answers", &[first, first], &["take 1 listeners", "passed 2"]),
        ("answers", &[other.as_raw_fd()], &["descriptor 3", "no listener for TCP"]),
        ("answers", &[connected.as_raw_fd()], &["descriptor 3", "no listener for TCP"]),
        ("answers", &[0], &["descriptor 3"]),
        ("answers", &[9999], &["descriptor 3"]),
    ] {
        let mut service = start(program, fds, "");
        assert_eq!(service.end().code(), Some(6), "{:#?}", service.said);
        let last = service.said.last().unwrap();
        assert!(words.iter().all(|word| last.contains(word)), "{last}, wanted {words:?}");
    }
    std::fs::remove_file(unix).unwrap();
}

#[test]
fn words_for_another_process_are_not_heard() {
    let mut service = Service::run(command("answers").env("LISTEN_PID", "1").env("LISTEN_FDS", "7").env(COUNT, "1"));
    service.serving(1);
    service.assert_ends();
}
