//! Owns a load by several threads, each on a processor of its own: for servers that are on the same processors.

use crate::latency::Latencies;
use crate::load::{Connected, Exchange, Load, Pace, Run};
use crate::server::{BOTH, take_turns};
use crate::serving::pin;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// Connections to one server, which threads have among them. The threads end when this is dropped.
pub struct Clients(Vec<Client>);

/// Which connections a thread has.
#[derive(Clone, Copy)]
pub enum Deal {
    /// As many of each worker: of two that follow each other both workers have one. There are two threads.
    Mixed,
    /// Those of the worker on its own processor, and for each worker there is a thread.
    Own,
}

/// A thread, which has a ring of its own: what it is told to do, and what has come of that.
struct Client {
    orders: Sender<Duration>,
    runs: Receiver<io::Result<Run>>,
}

impl Clients {
    /// Opens so many connections, to these addresses in turns.
    ///
    /// # Errors
    ///
    /// Those of connecting.
    pub fn open(servers: &[SocketAddr], count: usize, exchange: Exchange, deal: Deal) -> io::Result<Self> {
        let connected = Connected::to(servers, count, exchange)?;
        let parts = match deal {
            Deal::Mixed => connected.deal(BOTH.len(), 2),
            Deal::Own => connected.deal(servers.len(), 1),
        };
        Ok(Self(parts.into_iter().enumerate().map(|(processor, part)| Client::begin(part, processor)).collect()))
    }

    /// Has all of them send for a time, and wait for the last answer.
    ///
    /// # Errors
    ///
    /// Those of [`Load::run`], and of its beginning.
    pub fn run(&self, time: Duration) -> io::Result<Run> {
        for client in &self.0 {
            client.orders.send(time).map_err(io::Error::other)?;
        }
        let mut all = Run { answered: 0, latencies: Latencies::default() };
        // All have ended when this returns, whatever has come of it.
        let runs: Vec<_> = self.0.iter().map(|client| client.runs.recv().map_err(io::Error::other)).collect();
        for run in runs {
            let run = run??;
            all.answered += run.answered;
            all.latencies.add_all(&run.latencies);
        }
        Ok(all)
    }
}

impl Client {
    fn begin(connected: Connected, processor: usize) -> Self {
        let (orders, ordered) = channel::<Duration>();
        let (done, runs) = channel();
        thread::spawn(move || {
            pin(&[processor]);
            take_turns();
            let mut load = Load::on(connected);
            for time in ordered {
                let run = match &mut load {
                    Ok(load) => load.run(time, Pace::Closed),
                    Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
                };
                if done.send(run).is_err() {
                    break;
                }
            }
        });
        Self { orders, runs }
    }
}
