//! Owns the rows: which load, on which servers, and what is to be reached. Those on both processors are in `cores`.

mod cores;

use crate::fleet::{Fleet, names::*};
use crate::load::{Connected, Exchange, Load, Pace, Run, churn};
use crate::server::{Server, idle_connections, scheduled};
use crate::serving::Service;
use bench::measure::{Contender, Row, Sample, Target};
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

/// How much is measured.
pub struct Sizes {
    /// The servers.
    pub fleet: Rc<Fleet>,
    /// How long a server is loaded before another one has its turn.
    pub slice: Duration,
    /// How many connections there are where there are to be 4,096.
    pub many: usize,
    /// How many slices have failed.
    pub failures: Rc<Cell<usize>>,
}

/// What is shown of a slice.
#[derive(Clone, Copy)]
enum Figure {
    /// The server's processor time for a request.
    Processor,
    /// Half of the answers come sooner.
    Median,
    /// One of a hundred answers comes later.
    P99,
}

/// Who takes part in a row.
const ALL: [&str; 12] = [RAW, RAW_EPOLL, KETTLE, KETTLE_EPOLL, TOKIO, MONOIO, COMPIO, SMOL, MAY, GO, UVLOOP, ASYNCIO];
const FEW: [&str; 8] = [RAW, RAW_EPOLL, KETTLE, KETTLE_EPOLL, TOKIO, MONOIO, COMPIO, GO];

/// The raw loop, and what of it a target allows.
const RAW_LIMIT: Target = Target::Times(1.05, RAW);
/// What is to be reached on epoll in all rows.
const EPOLL: Target = Target::Times(1.03, TOKIO);

/// The names of the rows, in their order, with what makes them: nothing is started before.
pub const ROWS: [(&str, fn(&Sizes, &'static str) -> Row); 24] = [
    ("echo-16", |sizes, name| echo(sizes, name, 16, 0.90)),
    ("echo-64", |sizes, name| echo(sizes, name, 64, 0.85)),
    ("echo-512", |sizes, name| echo(sizes, name, 512, 0.90)),
    ("echo-1k", |sizes, name| {
        let load = Setup { exchange: Exchange::Echo(1024), ..Setup::echo(64) };
        row(sizes, name, "1 KiB echoed on 64 connections", &ALL, load, Figure::Processor, tokio(0.85))
    }),
    ("http", |sizes, name| {
        let load = Setup { exchange: Exchange::Plaintext(1), ..Setup::echo(64) };
        row(sizes, name, "HTTP requests on 64 connections", &with_example(), load, Figure::Processor, tokio(0.85))
    }),
    ("http-pipelined", |sizes, name| {
        let load = Setup { exchange: Exchange::Plaintext(16), ..Setup::echo(64) };
        let work = "HTTP requests, 16 at once, on 64 connections";
        row(sizes, name, work, &with_example(), load, Figure::Processor, tokio(0.90))
    }),
    ("echo-4096", |sizes, name| many(sizes, name, Figure::Processor, tokio(0.90))),
    ("echo-4096-p99", |sizes, name| many(sizes, name, Figure::P99, tokio(1.00))),
    ("one", |sizes, name| one(sizes, name, Pace::Closed, Figure::Processor, tokio(1.05))),
    ("one-p50", |sizes, name| one(sizes, name, Pace::Closed, Figure::Median, spinning)),
    ("one-p50-polled", |sizes, name| one(sizes, name, Pace::Polled, Figure::Median, spinning)),
    ("paced", |sizes, name| paced(sizes, name, Figure::Processor, tokio(1.05))),
    ("paced-p50", |sizes, name| paced(sizes, name, Figure::Median, |_| vec![])),
    ("paced-p99", |sizes, name| paced(sizes, name, Figure::P99, |_| vec![])),
    ("churn", |sizes, name| {
        let contenders: Vec<&'static str> = ALL.to_vec();
        let row = empty(name, "64 bytes echoed on a connection of its own, 16 at a time");
        contenders.into_iter().filter(|name| sizes.fleet.has(name)).fold(row, |row, name| {
            let visit = move |server: &Server, time| churn(server.addresses[0], 16, time);
            let contender = contender(sizes, name, Service::Echo, Figure::Processor, Place::Apart, visit);
            row.with(reaching(contender, tokio(1.00)(name)))
        })
    }),
    ("idle-tasks", |sizes, name| idle(sizes, name, [KETTLE, KETTLE_IDLE])),
    ("idle-tasks-epoll", |sizes, name| idle(sizes, name, [KETTLE_EPOLL, KETTLE_EPOLL_IDLE])),
    ("cores-echo-16", |sizes, name| cores::echo(sizes, name, 16)),
    ("cores-echo-64", |sizes, name| cores::echo(sizes, name, 64)),
    ("cores-echo-512", |sizes, name| cores::echo(sizes, name, 512)),
    ("cores-http", cores::http),
    ("cores-scaling", |sizes, name| cores::scaling(sizes, name, [KETTLE_1_APART, KETTLE_2_APART])),
    ("cores-scaling-epoll", |sizes, name| cores::scaling(sizes, name, [KETTLE_EPOLL_1_APART, KETTLE_EPOLL_2_APART])),
    ("cores-scaling-raw", |sizes, name| cores::scaling(sizes, name, [RAW_1, RAW_2])),
];

/// How connections are loaded.
#[derive(Clone, Copy)]
struct Setup {
    connections: usize,
    exchange: Exchange,
    pace: Pace,
}

impl Setup {
    fn echo(connections: usize) -> Self {
        Self { connections, exchange: Exchange::Echo(64), pace: Pace::Closed }
    }
}

fn echo(sizes: &Sizes, name: &'static str, connections: usize, of_tokio: f64) -> Row {
    let work = format!("64 bytes echoed on {connections} connections");
    row(sizes, name, work, &ALL, Setup::echo(connections), Figure::Processor, move |name| match name {
        KETTLE => vec![RAW_LIMIT, Target::Times(of_tokio, TOKIO), Target::Times(1.02, MONOIO)],
        KETTLE_EPOLL => vec![EPOLL],
        _ => vec![],
    })
}

fn many(sizes: &Sizes, name: &'static str, figure: Figure, targets: impl Fn(&str) -> Vec<Target>) -> Row {
    let work = format!("64 bytes echoed on {} connections", sizes.many);
    row(sizes, name, work, &FEW, Setup::echo(sizes.many), figure, targets)
}

fn one(sizes: &Sizes, name: &'static str, pace: Pace, figure: Figure, targets: impl Fn(&str) -> Vec<Target>) -> Row {
    let contenders = [RAW, RAW_EPOLL, KETTLE, KETTLE_EPOLL, KETTLE_SPIN, TOKIO, MONOIO, GO];
    let work = match pace {
        Pace::Polled => "64 bytes echoed on 1 connection, for a client that never sleeps",
        _ => "64 bytes echoed on 1 connection",
    };
    row(sizes, name, work, &contenders, Setup { pace, ..Setup::echo(1) }, figure, targets)
}

fn paced(sizes: &Sizes, name: &'static str, figure: Figure, targets: impl Fn(&str) -> Vec<Target>) -> Row {
    let contenders = [RAW, RAW_EPOLL, KETTLE, KETTLE_EPOLL, KETTLE_SPIN, TOKIO, MONOIO, GO];
    let load = Setup { pace: Pace::Open(30_000), ..Setup::echo(64) };
    let work = "64 bytes echoed, 30,000 times a second over 64 connections";
    row(sizes, name, work, &contenders, load, figure, targets)
}

fn idle(sizes: &Sizes, name: &'static str, [alone, crowded]: [&'static str; 2]) -> Row {
    let (tasks, connections) = (sizes.fleet.idle, idle_connections(sizes.fleet.idle));
    let work = format!("64 bytes echoed on 64 connections, beside {tasks} tasks that wait on {connections} others");
    row(sizes, name, work, &[alone, crowded], Setup::echo(64), Figure::Processor, |name| {
        if name == crowded { vec![Target::Times(1.10, alone)] } else { vec![] }
    })
}

fn with_example() -> Vec<&'static str> {
    let mut contenders = ALL.to_vec();
    contenders.insert(4, KETTLE_EXAMPLE);
    contenders
}

/// What Kettle is to reach of tokio, on its best driver and on epoll.
fn tokio(most: f64) -> impl Fn(&str) -> Vec<Target> {
    move |name| match name {
        KETTLE => vec![Target::Times(most, TOKIO)],
        KETTLE_EPOLL => vec![EPOLL],
        _ => vec![],
    }
}

/// What a loop that looks for events before it sleeps is to reach.
fn spinning(name: &str) -> Vec<Target> {
    if name == KETTLE_SPIN { vec![Target::Times(0.40, TOKIO)] } else { vec![] }
}

fn empty(name: &'static str, work: impl Into<String>) -> Row {
    Row { unit: "us", ..Row::new(name, work) }
}

fn row(
    sizes: &Sizes,
    name: &'static str,
    work: impl Into<String>,
    contenders: &[&'static str],
    setup: Setup,
    figure: Figure,
    targets: impl Fn(&str) -> Vec<Target>,
) -> Row {
    let service = setup.exchange.service();
    let present = contenders.iter().filter(|name| sizes.fleet.has(name));
    present.fold(empty(name, work), |row, name| {
        let mut load = None;
        let run = move |server: &Server, time: Duration| {
            let load = match &mut load {
                Some(load) => load,
                None => {
                    let connected = Connected::to(&server.addresses, setup.connections, setup.exchange)?;
                    load.insert(Load::on(connected)?)
                }
            };
            load.run(time, setup.pace)
        };
        row.with(reaching(contender(sizes, name, service, figure, Place::Apart, run), targets(name)))
    })
}

/// Targets that can be missed: those against servers that are there.
fn reaching(contender: Contender, targets: Vec<Target>) -> Contender {
    targets.into_iter().fold(contender, Contender::to_reach)
}

/// How much of a slice may be lost to other processes before it is measured again, and how often that is done.
const MOST_DISTURBED: f64 = 0.03;
const TURNS: usize = 3;

/// Where load and server run.
#[derive(Clone, Copy)]
enum Place {
    /// On a processor each. What is lost is how long the load has waited for its own.
    Apart,
    /// Both on so many. What is lost is what neither of them has had of these.
    Together(usize),
}

impl Place {
    /// Which part of this time was lost, of which load and server have had so much.
    fn lost(self, elapsed: Duration, waited: u64, had: u64) -> f64 {
        match self {
            Self::Apart => waited as f64 / elapsed.as_nanos() as f64,
            Self::Together(count) => 1.0 - had as f64 / (count as u128 * elapsed.as_nanos()) as f64,
        }
    }
}

/// A server that is loaded for a slice at a time.
fn contender(
    sizes: &Sizes,
    name: &'static str,
    service: Service,
    figure: Figure,
    place: Place,
    mut run: impl FnMut(&Server, Duration) -> io::Result<Run> + 'static,
) -> Contender {
    let (fleet, slice, failures) = (Rc::clone(&sizes.fleet), sizes.slice, Rc::clone(&sizes.failures));
    Contender::sampled(name, move || {
        let server = fleet.server(name, service);
        let mut measure = || -> io::Result<f64> {
            let server = server.as_ref().ok_or_else(|| io::Error::other("it is not up"))?;
            // What the last turn of another server has driven out of the caches.
            run(server, slice / 5)?;
            let (mut best, mut least) = (f64::NAN, f64::INFINITY);
            for _ in 0..TURNS {
                settle();
                let (before, (ran, waited)) = (server.processor_time(), scheduled(std::process::id()));
                let start = Instant::now();
                let run = run(server, slice)?;
                let elapsed = start.elapsed();
                settle();
                let spent = server.processor_time() - before;
                let (ran_now, waited_now) = scheduled(std::process::id());
                let disturbed = place.lost(elapsed, waited_now - waited, ran_now - ran + spent);
                let time = spent as f64 / 1000.0;
                if disturbed < least {
                    least = disturbed;
                    best = match figure {
                        Figure::Processor => time / run.answered as f64,
                        Figure::Median => run.latencies.quantile(0.5),
                        Figure::P99 => run.latencies.quantile(0.99),
                    };
                }
                if disturbed <= MOST_DISTURBED {
                    break;
                }
            }
            Ok(best)
        };
        match measure() {
            Ok(figure) => Some(Sample::figure(figure)),
            Err(error) => {
                eprintln!("FAILED: {name}: {error}");
                failures.set(failures.get() + 1);
                None
            }
        }
    })
}

/// The server has answered all, and goes to sleep.
fn settle() {
    thread::sleep(Duration::from_millis(1));
}
