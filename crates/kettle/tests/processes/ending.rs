//! How it all ends: gracefully, late, by force, and without a supervisor.

use crate::client::Client;
use crate::service::{Service, is_alive, kill, wait_for_end};
use std::net::TcpStream;

#[test]
fn what_has_begun_is_finished_and_nothing_new_begins() {
    let mut service = Service::start_with("answers", 2, "");
    let (_, addr) = service.serving(2);
    let mut clients: Vec<_> = (0..8).map(|_| Client::connect(addr).unwrap()).collect();
    service.terminate();
    for number in 0..100 {
        clients.iter_mut().for_each(|client| client.ask(number).unwrap());
    }
    drop(clients);
    let status = service.end();
    assert!(status.success(), "{:#?}", service.said);
    assert!(TcpStream::connect(addr).is_err());
    service.assert_nobody_left();
}

#[test]
fn an_interrupt_ends_it_as_well() {
    let mut service = Service::start_with("answers", 2, "");
    service.serving(2);
    kill(service.pid(), libc::SIGINT);
    assert!(service.end().success());
    service.assert_nobody_left();
}

#[test]
fn who_has_not_finished_in_time_is_killed() {
    let mut service = Service::start_with("answers in a hurry", 1, "");
    let (pids, addr) = service.serving(1);
    let client = Client::connect(addr).unwrap();
    service.assert_ends();
    client.assert_closed();
    let text = format!("worker 0 pid {} had not finished within 50ms, and was killed", pids[0]);
    assert!(service.said.iter().any(|line| line.ends_with(&text)), "{:#?}", service.said);
}

#[test]
fn who_is_asked_twice_ends_at_once() {
    let mut service = Service::start_with("answers", 2, "");
    let (_, addr) = service.serving(2);
    let client = Client::connect(addr).unwrap();
    service.terminate();
    // The second time is one only if the first one was heard.
    loop {
        kill(service.pid(), libc::SIGUSR1);
        if service.hear(&["[supervisor ", "healthy: "]).contains("draining") {
            break;
        }
    }
    service.terminate();
    assert_eq!(service.end().code(), Some(3), "{:#?}", service.said);
    client.assert_closed();
    service.assert_nobody_left();
}

#[test]
fn it_can_be_ended_while_workers_start() {
    for program in ["answers", "hangs while it starts"] {
        for signals in 1..=2 {
            let mut service = Service::start_with(program, 4, "");
            if program == "answers" {
                // At any moment of it.
                service.hear(&["] serves "]);
            } else {
                service.hear(&["] hangs"]);
            }
            (0..signals).for_each(|_| service.terminate());
            let status = service.end();
            assert!(matches!(status.code(), Some(0 | 3)), "{status}: {:#?}", service.said);
            service.assert_nobody_left();
        }
    }
}

#[test]
fn a_worker_whose_loop_hangs_is_killed() {
    let mut service = Service::start_with("spins when it is to end", 2, "");
    service.hear(&["serves"]);
    service.hear(&["serves"]);
    service.assert_ends();
    assert_eq!(service.said.iter().filter(|line| line.contains("and was killed")).count(), 2, "{:#?}", service.said);
}

#[test]
fn workers_end_with_a_supervisor_that_is_killed() {
    let mut service = Service::start_with("answers", 2, "");
    let (pids, addr) = service.serving(2);
    let mut client = Client::connect(addr).unwrap();
    kill(service.pid(), libc::SIGKILL);
    service.end();
    // One that nobody wants anything of ends at once, and the other one finishes.
    for &pid in pids.iter().filter(|pid| **pid != client.pid) {
        wait_for_end(pid);
    }
    client.ask(7).unwrap();
    assert!(is_alive(client.pid));
    let pid = client.pid;
    drop(client);
    wait_for_end(pid);
}

#[test]
fn what_a_worker_says_when_its_supervisor_has_gone_does_not_keep_it_from_finishing() {
    let mut service = Service::start_with("says what it answers", 1, "");
    let (pids, addr) = service.serving(1);
    let mut client = Client::connect(addr).unwrap();
    client.ask(0).unwrap();
    kill(service.pid(), libc::SIGKILL);
    service.end();
    (1..100).for_each(|number| client.ask(number).unwrap());
    drop(client);
    wait_for_end(pids[0]);
}

#[test]
fn workers_that_hang_end_with_a_supervisor_that_is_killed() {
    let mut service = Service::start_with("spins when it is to end", 2, "");
    service.hear(&["serves"]);
    service.hear(&["serves"]);
    let pids = service.pids();
    kill(service.pid(), libc::SIGKILL);
    service.end();
    pids.into_iter().for_each(wait_for_end);
    let mut service = Service::start_with("hangs while it starts", 2, "");
    service.hear(&["hangs"]);
    let pids = service.pids();
    kill(service.pid(), libc::SIGKILL);
    service.end();
    pids.into_iter().for_each(wait_for_end);
}
