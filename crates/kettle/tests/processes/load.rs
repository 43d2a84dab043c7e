//! What clients notice of workers that are killed and replaced, while they ask without a pause.
//!
//! `KETTLE_ROUNDS` says how often it happens; 100 is what is promised.

use crate::client::Client;
use crate::service::{Service, kill};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

const CLIENTS: usize = 8;

/// How many requests a connection has.
const REQUESTS: u64 = 20;

fn rounds() -> usize {
    std::env::var("KETTLE_ROUNDS").map_or(10, |rounds| rounds.parse().unwrap())
}

/// What a client has seen.
#[derive(Default)]
struct Seen {
    answers: u64,
    /// Who had accepted those connections that failed; nothing if that is not known, for it had not said it yet.
    failures: Vec<Option<u32>>,
}

/// Clients that ask until they are told to stop.
struct Load {
    is_over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Seen>>,
}

impl Load {
    fn start(addr: SocketAddr) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let clients = (0..CLIENTS as u64).map(|client| {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || ask(addr, client << 32, &is_over))
        });
        Self { clients: clients.collect(), is_over }
    }

    fn end(self) -> Seen {
        self.is_over.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for client in self.clients {
            let seen = client.join().unwrap();
            assert!(seen.answers > 0, "each client was served");
            all.answers += seen.answers;
            all.failures.extend(seen.failures);
        }
        all
    }
}

fn ask(addr: SocketAddr, first: u64, is_over: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let mut number = first;
    while !is_over.load(Ordering::Relaxed) {
        let Ok(mut client) = Client::connect(addr) else {
            seen.failures.push(None);
            continue;
        };
        for _ in 0..REQUESTS {
            number += 1;
            // A wrong answer is a panic.
            if client.ask(number).is_err() {
                seen.failures.push(Some(client.pid));
                break;
            }
            seen.answers += 1;
        }
    }
    seen
}

#[test]
fn killing_workers_under_load_loses_what_they_had_begun_and_nothing_else() {
    let mut service = Service::start_with("answers whatever happens", 3, "");
    let (mut pids, addr) = service.serving(3);
    let descriptors = service.descriptors();
    let load = Load::start(addr);
    let mut killed = BTreeSet::new();
    let mut random = 0x9e37_79b9_u64;
    for _ in 0..rounds() {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let victim = pids.swap_remove((random >> 33) as usize % pids.len());
        killed.insert(victim);
        kill(victim, libc::SIGKILL);
        pids.push(service.serving(1).0[0]);
    }
    let seen = load.end();
    println!("{} killed, {} answers, {} failures", killed.len(), seen.answers, seen.failures.len());
    assert!(seen.failures.len() <= killed.len() * CLIENTS);
    assert!(seen.failures.iter().flatten().all(|pid| killed.contains(pid)), "{:?} of {killed:?}", seen.failures);
    service.assert_descriptors(descriptors);
    service.assert_ends();
}

#[test]
fn reloads_under_load_fail_no_request() {
    let mut service = Service::start_with("answers", 2, "");
    let (_, addr) = service.serving(2);
    let load = Load::start(addr);
    for _ in 0..rounds() {
        kill(service.pid(), libc::SIGHUP);
        service.hear(&["reloaded"]);
    }
    let seen = load.end();
    println!("{} reloads, {} answers, {} failures", rounds(), seen.answers, seen.failures.len());
    assert_eq!(seen.failures, []);
    service.assert_ends();
    assert!(!service.said.iter().any(|line| line.contains("died")), "{:#?}", service.said);
}
