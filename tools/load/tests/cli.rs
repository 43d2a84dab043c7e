//! The program as it is called: exit codes, where it writes, and what.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};
use std::thread;

fn load(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_load")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// An echo server of threads, as long as this process lives. `xor` is what it does to the bytes.
fn server(xor: u8) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut buffer) {
                    buffer[..n].iter_mut().for_each(|byte| *byte ^= xor);
                    stream.write_all(&buffer[..n])?;
                }
                std::io::Result::Ok(())
            });
        }
    });
    addr
}

#[test]
fn what_it_does_not_know_is_refused_with_a_message() {
    for args in [&[][..], &["--speed"], &["--addr", "127.0.0.1:1", "--mode", "ftp"]] {
        let output = load(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).starts_with("load: ") && text(&output.stderr).contains("usage: load"), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn help_shows_how_it_is_used() {
    let output = load(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout).matches("\n  load --addr").count(), 3);
}

#[test]
fn a_good_run_is_reported_and_succeeds() {
    let addr = server(0).to_string();
    let output = load(&["--addr", &addr, "--requests", "300", "--connections", "4"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("\n300 answers in ") && text(&output.stdout).ends_with("no errors\n"));
    // No bar where nobody watches.
    assert_eq!(text(&output.stderr), "");

    let output = load(&["--addr", &addr, "--requests", "300", "--mode", "churn", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let line = text(&output.stdout);
    assert!(line.starts_with("{\"mode\":\"churn\"") && line.ends_with("\"errors\":{}}\n"), "{line}");
    assert!(line.contains("\"answered\":300,") && line.contains("\"opened\":300,"), "{line}");
    assert_eq!(line.lines().count(), 1);
}

#[test]
fn a_run_that_leaves_connections_and_watches_the_server_tells_both() {
    let (addr, pid) = (server(0).to_string(), std::process::id().to_string());
    let args = ["--addr", &addr, "--requests", "300", "--disconnect", "0.1", "--seed", "5", "--watch", &pid];
    let output = load(&args);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for word in ["in a request", "in an answer", "half-closed", "reset", "KiB at first", "descriptors at first"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(said.ends_with("no errors\n"), "{said}");
}

#[test]
fn a_wrong_answer_fails_the_run() {
    let output = load(&["--addr", &server(1).to_string(), "--requests", "5", "--connections", "1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("ERROR: wrong answer: "), "{}", text(&output.stdout));
}
