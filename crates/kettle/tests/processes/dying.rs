//! Workers that die, of themselves and of others, and crash loops.

use crate::client::Client;
use crate::service::{Service, kill};
use std::net::TcpListener;

/// That it gives up, saying this of the last death.
fn assert_gives_up(program: &str, word: &str, words: &[&str]) {
    let mut service = Service::start_with(program, 2, word);
    let status = service.end();
    assert_eq!(status.code(), Some(4), "{program}: {:#?}", service.said);
    let last = service.said.last().unwrap();
    assert!(words.iter().all(|word| last.contains(word)), "{program}: {last}");
    assert!(last.contains("has died 4 times within 600s"), "{last}");
    service.assert_nobody_left();
}

#[test]
fn workers_that_end_at_once_are_a_crash_loop() {
    assert_gives_up("returns at once", "", &["exit status: 0, though nobody had asked it to end"]);
    assert_gives_up("panics at once", "", &["the last time by: exit status: 101"]);
    assert_gives_up("fails at once", "", &["the last time by: exit status: 5"]);
    assert_gives_up("is never ready", "", &["was not ready within 20ms", "that is None"]);
}

#[test]
fn one_worker_s_crash_loop_ends_the_others() {
    let mut service = Service::start_with("exits in one worker", 3, "");
    assert_eq!(service.end().code(), Some(4));
    let last = service.said.last().unwrap();
    assert!(last.contains("worker 1 has died 4 times") && last.contains("exit status: 42"), "{last}");
    service.assert_nobody_left();
}

#[test]
fn a_port_in_use_in_a_worker_is_a_crash_loop_that_says_why() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    assert_gives_up("binds in each worker", &addr, &["exit status: 5"]);
    let mut service = Service::start_with("binds in each worker", 1, &addr);
    service.hear(&["[worker 0 pid ", "in use"]);
}

#[test]
fn a_port_that_one_worker_has_is_in_use_in_the_others() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut service = Service::start_with("binds in each worker", 2, &free);
    assert_eq!(service.end().code(), Some(4));
    assert!(service.said.iter().any(|line| line.contains(&format!("bound {free}"))), "{:#?}", service.said);
    assert!(service.said.iter().any(|line| line.contains("in use")), "{:#?}", service.said);
    service.assert_nobody_left();
}

#[test]
fn a_worker_that_is_killed_is_replaced_and_its_connections_are_all_that_is_lost() {
    let mut service = Service::start_with("answers", 2, "");
    let (pids, addr) = service.serving(2);
    let mut clients = Vec::new();
    // Who comes first accepts; both do in time.
    while !pids.iter().all(|pid| clients.iter().any(|client: &Client| client.pid == *pid)) {
        clients.push(Client::connect(addr).unwrap());
    }
    kill(pids[0], libc::SIGKILL);
    service.hear(&["[supervisor ", &format!("pid {} died", pids[0]), "SIGKILL"]);
    service.serving(1);
    for client in &mut clients {
        assert_eq!(client.ask(7).is_ok(), client.pid != pids[0]);
    }
    Client::connect(addr).unwrap().ask(8).unwrap();
    drop(clients);
    service.assert_ends();
}
