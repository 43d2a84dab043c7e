//! Which driver runs, what is said about it, and what happens where one can't run.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_driver::{Absence, Config, Driver, Kind, Op, Token, Until, VARIABLE};
use std::process::{Command, Output};

const SCENARIO: &str = "KETTLE_TEST_SCENARIO";

/// Runs the test `in_a_child` of this binary again, with a variable set so.
fn child(scenario: &str, variable: Option<&str>) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["in_a_child", "--exact", "--nocapture", "--test-threads=1"]).env(SCENARIO, scenario);
    match variable {
        Some(word) => command.env(VARIABLE, word),
        None => command.env_remove(VARIABLE),
    };
    command.output().unwrap()
}

/// What a child printed about its choice.
#[track_caller]
fn said(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let line = stdout.lines().find_map(|line| line.split_once("SAID: "));
    line.unwrap_or_else(|| panic!("{stdout}\n{}", String::from_utf8_lossy(&output.stderr))).1.to_owned()
}

#[test]
fn in_a_child() {
    let Ok(scenario) = std::env::var(SCENARIO) else { return };
    match scenario.as_str() {
        "plain" => {}
        "no_io_uring" => forbid_io_uring(libc::EPERM),
        "no_such_call" => forbid_io_uring(libc::ENOSYS),
        other => panic!("{other}"),
    }
    match Driver::new() {
        Ok(mut driver) => {
            // SAFETY: no pointers.
            _ = unsafe { driver.submit(Op::Nop, Token(1)) };
            let mut out = Vec::new();
            driver.wait(Until::Now, &mut out).unwrap();
            println!("\nSAID: {}", driver.choice());
        }
        Err(error) => println!("\nSAID: {error}; {} {}", error.is_unknown_word(), error.is_unavailable()),
    }
}

/// As a container does it: a filter of system calls.
fn forbid_io_uring(errno: i32) {
    let op = |code: u32, value: u32, jump: u8| libc::sock_filter { code: code as u16, jt: jump, jf: 0, k: value };
    let (load, equal, answer) = (
        libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
        libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
        libc::BPF_RET | libc::BPF_K,
    );
    let mut program = [
        op(load, 0, 0),
        op(equal, libc::SYS_io_uring_setup as u32, 1),
        op(answer, libc::SECCOMP_RET_ALLOW, 0),
        op(answer, libc::SECCOMP_RET_ERRNO | errno as u32, 0),
    ];
    let filter = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
    // SAFETY: takes no pointers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: a program of four instructions.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) }, 0);
}

fn has_uring() -> bool {
    Driver::with(Config { kind: Some(Kind::Uring), ..Config::default() }).is_ok()
}

#[test]
fn the_variable_forces_a_driver() {
    assert!(
        said(&child("plain", Some("epoll")))
            .starts_with("epoll (edge-triggered); uring: not asked for by KETTLE_DRIVER")
    );
    if has_uring() {
        let said = said(&child("plain", Some("uring")));
        assert!(said.starts_with("uring (") && said.ends_with("; epoll: not asked for by KETTLE_DRIVER"), "{said}");
    }
}

#[test]
fn without_the_variable_the_best_runs() {
    for variable in [None, Some("")] {
        let said = said(&child("plain", variable));
        if has_uring() {
            assert!(said.starts_with("uring (") && said.ends_with("; epoll: not needed"), "{said}");
        } else {
            assert!(said.starts_with("epoll"), "{said}");
        }
    }
}

#[test]
fn an_unknown_word_is_an_error_that_lists_the_words() {
    for word in ["kqueue", "URING", "uring "] {
        let said = said(&child("plain", Some(word)));
        let expected = format!(
            "make a driver: KETTLE_DRIVER is {word:?}, and the drivers are `uring`, `epoll`, `sim`; true false"
        );
        assert_eq!(said, expected);
    }
}

#[test]
fn where_io_uring_is_forbidden_epoll_runs_and_says_so() {
    let forbidden = said(&child("no_io_uring", None));
    assert_eq!(forbidden, "epoll (edge-triggered); uring: forbidden by a seccomp filter or a security module");
    let unknown = said(&child("no_such_call", None));
    assert_eq!(unknown, "epoll (edge-triggered); uring: this kernel lacks io_uring");
}

#[test]
fn who_insists_on_io_uring_where_it_is_forbidden_gets_an_error() {
    let said = said(&child("no_io_uring", Some("uring")));
    assert_eq!(said, "make the driver `uring`: forbidden by a seccomp filter or a security module; false true");
}

#[test]
fn the_config_comes_before_the_variable() {
    for kind in Kind::ALL {
        let Ok(driver) = Driver::with(Config { kind: Some(kind), ..Config::default() }) else { continue };
        let choice = driver.choice();
        assert_eq!(choice.kind(), kind);
        assert_ne!(choice.other().0, kind);
        assert_eq!(choice.other().1, &Absence::Forced { by: "Config::kind" });
        assert!(!choice.modes().is_empty());
    }
}

#[test]
fn every_kind_has_a_word() {
    for kind in Kind::ALL {
        assert_eq!(Kind::named(&kind.to_string()), Some(kind));
    }
    assert_eq!(Kind::named(""), None);
}
