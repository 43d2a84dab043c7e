//! What keeps workers from being started at all.

use crate::service::Service;
use std::net::TcpListener;

/// That nothing is started, for this reason.
fn assert_refuses(mut service: Service, words: &[&str]) {
    assert_eq!(service.end().code(), Some(6), "{:#?}", service.said);
    let last = service.said.last().unwrap();
    assert!(words.iter().all(|word| last.contains(word)), "{last}");
    assert!(service.pids().is_empty(), "{:#?}", service.said);
}

#[test]
fn no_workers_are_too_few() {
    assert_refuses(Service::start_with("answers", 0, ""), &["run 0 workers"]);
}

#[test]
fn more_workers_than_a_system_can_have_are_too_many() {
    let text = format!("run {} workers", usize::MAX);
    assert_refuses(Service::start_with("answers", usize::MAX, ""), &[&text, "4194304"]);
}

#[test]
fn an_address_that_is_none_or_in_use_is_named() {
    assert_refuses(Service::start_with("answers at", 2, "nowhere"), &["listen on nowhere"]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    assert_refuses(Service::start_with("answers at", 2, &addr), &["listen on", &addr, "in use"]);
}

#[test]
fn a_simulation_has_no_processes() {
    let mut command = crate::service::command("answers");
    assert_refuses(Service::run(command.env("KETTLE_DRIVER", "sim")), &["processes can't be simulated"]);
}

#[test]
fn an_environment_that_no_supervisor_has_made_is_an_error() {
    for word in ["", "1", "0 7", "x y z w"] {
        let mut command = crate::service::command("answers");
        assert_refuses(Service::run(command.env("KETTLE_WORKER", word)), &["no supervisor"]);
    }
}

#[test]
fn one_process_runs_workers_once() {
    let mut service = Service::start("runs twice");
    service.serving(2);
    service.terminate();
    // The second run is refused in the supervisor, and in each worker.
    assert_eq!(service.end().code(), Some(6), "{:#?}", service.said);
    let said = service.said.iter().filter(|line| line.contains("one process runs them once"));
    assert_eq!(said.count(), 3, "{:#?}", service.said);
}
