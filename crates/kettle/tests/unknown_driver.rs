//! What `kettle::run` says to a driver that there is none of.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use std::process::Command;

/// The child's part: it can't make a loop.
#[test]
fn in_a_child() {
    if std::env::var_os("KETTLE_TEST_CHILD").is_some() {
        let error = kettle::EventLoop::new().unwrap_err();
        assert!(error.to_string().starts_with("make a driver: KETTLE_DRIVER is \"kqueue\""), "{error}");
        kettle::run(|| unreachable!("there is no loop"));
    }
}

#[test]
fn run_panics_with_the_words_that_there_are() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["in_a_child", "--exact", "--nocapture", "--test-threads=1"]);
    command.env("KETTLE_TEST_CHILD", "").env("KETTLE_DRIVER", "kqueue").env("RUST_BACKTRACE", "0");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let message =
        "make an event loop: make a driver: KETTLE_DRIVER is \"kqueue\", and the drivers are `uring`, `epoll`";
    assert!(!output.status.success() && said.contains(message), "{said}");
}
