//! Owns the rows on both processors: servers of two workers, and a load of two threads that is on both of them as well.

use super::{Figure, Place, Sizes, contender, empty, reaching};
use crate::clients::{Clients, Deal};
use crate::fleet::names::*;
use crate::load::Exchange;
use crate::server::Server;
use bench::measure::{Row, Target};
use std::time::Duration;

const ALL: [&str; 9] =
    [RAW_2, RAW_EPOLL_2, KETTLE_2, KETTLE_2_PINNED, KETTLE_EPOLL_2, TOKIO_2, MONOIO_2, COMPIO_2, GO_2];

/// How many connections each worker has where one worker is compared with two.
const OF_EACH: usize = 64;

/// Echo on so many connections, of which each worker has half.
pub(super) fn echo(sizes: &Sizes, name: &'static str, connections: usize) -> Row {
    let work = format!("64 bytes echoed on {connections} connections, by 2 workers on 2 processors");
    against_tokio(sizes, name, work, connections, Exchange::Echo(64))
}

/// HTTP, the same.
pub(super) fn http(sizes: &Sizes, name: &'static str) -> Row {
    let work = "HTTP requests on 64 connections, by 2 workers on 2 processors".to_owned();
    against_tokio(sizes, name, work, 64, Exchange::Plaintext(1))
}

/// What a second worker costs. Each worker is on a processor of its own, and all that it serves are the connections of a
/// client's thread on that processor: so what is added is the same again.
pub(super) fn scaling(sizes: &Sizes, name: &'static str, [one, two]: [&'static str; 2]) -> Row {
    let work = format!(
        "64 bytes echoed on {OF_EACH} connections of each worker, which has a processor with its part of the load"
    );
    let alone = Setup { connections: OF_EACH, exchange: Exchange::Echo(64), deal: Deal::Own, processors: 1 };
    let both = Setup { connections: 2 * OF_EACH, processors: 2, ..alone };
    row(sizes, name, work, &[(one, alone), (two, both)], |name| {
        if [KETTLE_2_APART, KETTLE_EPOLL_2_APART].contains(&name) { vec![Target::Times(1.05, one)] } else { vec![] }
    })
}

fn against_tokio(sizes: &Sizes, name: &'static str, work: String, connections: usize, exchange: Exchange) -> Row {
    let setup = Setup { connections, exchange, deal: Deal::Mixed, processors: 2 };
    row(sizes, name, work, &ALL.map(|name| (name, setup)), |name| {
        if name == KETTLE_2 { vec![Target::Times(0.80, TOKIO_2)] } else { vec![] }
    })
}

/// How connections are loaded.
#[derive(Clone, Copy)]
struct Setup {
    connections: usize,
    exchange: Exchange,
    deal: Deal,
    /// How many processors server and load have.
    processors: usize,
}

fn row(
    sizes: &Sizes,
    name: &'static str,
    work: String,
    servers: &[(&'static str, Setup)],
    targets: impl Fn(&str) -> Vec<Target>,
) -> Row {
    let present = servers.iter().filter(|(name, _)| sizes.fleet.has(name));
    present.fold(empty(name, work), |row, &(name, setup)| {
        let mut clients = None;
        let run = move |server: &Server, time: Duration| {
            let clients = match &clients {
                Some(clients) => clients,
                None => {
                    clients.insert(Clients::open(&server.addresses, setup.connections, setup.exchange, setup.deal)?)
                }
            };
            clients.run(time)
        };
        let (service, place) = (setup.exchange.service(), Place::Together(setup.processors));
        row.with(reaching(contender(sizes, name, service, Figure::Processor, place, run), targets(name)))
    })
}
