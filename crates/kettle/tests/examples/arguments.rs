//! How the examples are called: without arguments, with bad ones, with addresses that can't be had.

use crate::server::command;
use std::net::TcpListener;
use std::process::Output;

const NAMES: [&str; 6] = ["echo", "http_plaintext", "chat", "proxy", "kv", "processes"];

fn run(name: &str, args: &[&str]) -> Output {
    command(name).args(args).output().unwrap()
}

/// That it ended with a code and a message, and has served nobody.
fn assert_refused(output: &Output, code: i32, words: &[&str]) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert!(words.iter().all(|word| message.contains(word)), "{message}, wanted {words:?}");
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(output.stdout.is_empty());
}

#[test]
fn without_arguments_they_show_something_and_end() {
    for name in NAMES {
        let output = run(name, &[]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {said}");
        assert!(said.starts_with("listening on 127.0.0.1:") && said.lines().count() > 1, "{name}: {said}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{name}");
    }
}

#[test]
fn bad_arguments_are_answered_by_how_it_is_used() {
    for name in NAMES {
        for args in [&["--port", "7"][..], &["--addr"], &["127.0.0.1:0"], &["--addr", "127.0.0.1:0", "more"]] {
            assert_refused(&run(name, args), 2, &[&format!("usage: {name} ")]);
        }
    }
    assert_refused(&run("proxy", &["--addr", "127.0.0.1:0"]), 2, &["usage: proxy --to"]);
    for name in ["echo", "http_plaintext"] {
        for args in [
            &["--addr", "127.0.0.1:0", "--workers", "0"][..],
            &["--workers", "2"],
            &["--addr", ":0", "--workers", "all"],
        ] {
            assert_refused(&run(name, args), 2, &[&format!("usage: {name} ")]);
        }
    }
    for idle in ["0", "-1", "NaN", "soon", "1e99"] {
        assert_refused(&run("http_plaintext", &["--idle", idle]), 2, &["usage: http_plaintext"]);
    }
    for workers in ["0", "-1", "many", "1025"] {
        assert_refused(&run("kv", &["--workers", workers]), 2, &["usage: kv"]);
    }
}

#[test]
fn help_is_given_and_is_no_error() {
    for word in ["--help", "-h"] {
        let output = run("kv", &[word]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && output.stderr.is_empty());
        assert!(["usage: kv ", "--addr", "--workers", "--dir"].iter().all(|part| said.contains(part)), "{said}");
    }
}

#[test]
fn an_address_that_is_none_is_named() {
    for name in NAMES {
        let to = if name == "proxy" { &["--to", "127.0.0.1:1"][..] } else { &[] };
        for addr in ["nonsense", "127.0.0.1:99999", "127.0.0.1"] {
            assert_refused(&run(name, &[&["--addr", addr], to].concat()), 1, &[name, "listen on", addr]);
        }
    }
    assert_refused(&run("proxy", &["--to", "nowhere"]), 1, &["proxy", "pass on to nowhere"]);
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for name in NAMES {
        let to = if name == "proxy" { &["--to", "127.0.0.1:1"][..] } else { &[] };
        assert_refused(&run(name, &[&["--addr", &addr], to].concat()), 1, &[name, &addr, "in use"]);
    }
}
