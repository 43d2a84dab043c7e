//! What workers do: answer, print, talk with their supervisor, keep within limits.

use crate::client::Client;
use crate::service::{Service, is_alive, kill, pid_in, wait_for_end};
use std::net::TcpStream;

#[test]
fn all_workers_answer_at_one_address() {
    let mut service = Service::start_with("answers", 3, "");
    let (pids, addr) = service.serving(3);
    let mut clients: Vec<_> = (0..30).map(|_| Client::connect(addr).unwrap()).collect();
    for (number, client) in (0..).zip(&mut clients) {
        client.ask(number).unwrap();
        assert!(pids.contains(&client.pid));
    }
    drop(clients);
    service.assert_ends();
}

#[test]
fn what_workers_print_comes_line_by_line_with_who_says_it() {
    let mut service = Service::start_with("prints", 1, "");
    let pid = pid_in(&service.hear(&["] a line"]));
    service.assert_ends();
    let prefix = format!("[worker 0 pid {pid}] ");
    let count = |text: &str| service.said.iter().filter(|line| **line == format!("{prefix}{text}")).count();
    assert_eq!(["a line", "and 0 more", "and a part of one"].map(count), [1, 1, 1], "{:#?}", service.said);
    // What is said last comes behind a line that was not ended.
    let (part, rest) = ("x".repeat(8192), "x".repeat(10_000 - 8192) + "ended");
    assert_eq!([part, rest].map(|text| count(&text)), [1, 1], "{:#?}", service.said);
}

#[test]
fn workers_may_print_without_the_supervisor() {
    let mut service = Service::start_with("prints itself", 2, "");
    for _ in 0..2 {
        // The test runner's words may stand before it.
        let line = service.hear(&["no prefix"]);
        assert!(!line.contains("[worker "), "{line}");
    }
    service.terminate();
    assert!(service.end().success());
}

#[test]
fn supervisor_and_workers_talk_by_typed_channels() {
    let mut service = Service::start_with("talks", 2, "");
    // The last one to be heard ends it.
    let status = service.end();
    assert!(status.success(), "{:#?}", service.said);
    assert_eq!(service.said.iter().filter(|line| line.contains("has heard")).count(), 2, "{:#?}", service.said);
    assert!(service.said.iter().any(|line| line.ends_with("has heard 2000")));
    service.assert_nobody_left();
}

#[test]
fn what_is_no_message_is_an_error_that_is_told() {
    let mut service = Service::start_with("is talked nonsense to", 1, "");
    let line = service.hear(&["[supervisor ", "attend to worker 0"]);
    assert!(line.contains("none of this type"), "{line}");
    service.assert_ends();
}

#[test]
fn a_panic_of_who_attends_ends_the_channel_and_nobody() {
    let mut service = Service::start_with("panics while it attends", 1, "");
    let pid = pid_in(&service.hear(&["serves on"]));
    assert!(is_alive(pid));
    service.assert_ends();
    assert!(service.said.iter().any(|line| line.contains("it panicked")), "{:#?}", service.said);
}

#[test]
fn workers_keep_within_their_limits() {
    let mut service = Service::start_with("is limited", 2, "");
    for _ in 0..2 {
        let line = service.hear(&["few files"]);
        assert!(line.ends_with("few files true, much memory false"), "{line}");
    }
    service.assert_ends();
}

#[test]
fn accepting_pauses_when_no_descriptors_are_left() {
    let mut service = Service::start_with("has few descriptors", 1, "");
    let (_, addr) = service.serving(1);
    let _clients: Vec<_> = (0..60).map(|_| TcpStream::connect(addr).unwrap()).collect();
    for _ in 0..3 {
        let line = service.hear(&["] paused "]);
        assert!(line.contains("paused true: "), "{line}");
    }
    service.assert_ends();
}

#[test]
fn limits_that_can_t_be_had_are_named() {
    let mut service = Service::start("has too high limits");
    assert_eq!(service.end().code(), Some(4));
    let text = format!("limit a worker to {} open files", u64::MAX);
    assert!(service.said.iter().any(|line| line.contains(&text)), "{:#?}", service.said);
}

#[test]
fn a_child_of_a_worker_is_no_worker() {
    let mut service = Service::start_with("has children", 1, "");
    let line = service.hear(&["a child said"]);
    assert!(line.contains("listen on nowhere"), "{line}");
    service.assert_ends();
}

#[test]
fn a_worker_that_is_told_to_end_by_itself_is_replaced() {
    let mut service = Service::start_with("answers", 1, "");
    for _ in 0..8 {
        let (pids, addr) = service.serving(1);
        let mut client = Client::connect(addr).unwrap();
        kill(pids[0], libc::SIGTERM);
        service.hear(&["was asked to end"]);
        client.ask(7).unwrap();
        // Its last connection goes, and so does it.
    }
    service.serving(1);
    service.assert_ends();
    assert!(!service.said.iter().any(|line| line.contains("died")), "{:#?}", service.said);
}

#[test]
fn a_worker_that_is_told_to_end_and_ends_at_once_has_not_died() {
    // Nothing that it prints holds up the news of its end.
    let mut service = Service::start_with("prints itself", 1, "");
    for _ in 0..10 {
        service.hear(&["no prefix"]);
        let pid = loop {
            kill(service.pid(), libc::SIGUSR1);
            let status = service.hear(&["[supervisor ", "healthy: "]);
            if status.contains(" ready ") && !status.contains("draining") {
                break pid_in(status.split("; ").nth(1).unwrap());
            }
        };
        // The supervisor learns of both at once: what the worker has said, and its end.
        kill(service.pid(), libc::SIGSTOP);
        kill(pid, libc::SIGTERM);
        wait_for_end(pid);
        kill(service.pid(), libc::SIGCONT);
        service.hear(&["was asked to end"]);
    }
    service.assert_ends();
    assert!(!service.said.iter().any(|line| line.contains("died")), "{:#?}", service.said);
}

#[test]
fn other_signals_of_a_terminal_are_the_supervisor_s_affair() {
    let mut service = Service::start_with("answers", 1, "");
    let (pids, addr) = service.serving(1);
    for signal in [libc::SIGINT, libc::SIGHUP, libc::SIGUSR1] {
        kill(pids[0], signal);
    }
    let mut client = Client::connect(addr).unwrap();
    client.ask(7).unwrap();
    assert_eq!(client.pid, pids[0]);
    drop(client);
    service.assert_ends();
}
