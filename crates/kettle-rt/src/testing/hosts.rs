//! Owns the hosts of a simulation, and what can happen between them.

use crate::event_loop;
use crate::header::TaskRef;
use crate::operation::simulated;
use kettle_driver::Network;
use std::net::IpAddr;

/// Runs a function on a host of the simulation, by its address: what it listens at and connects from is that host's, and so
/// it is for tasks that it spawns. The host is made if it isn't there. No checkpoint.
///
/// Each host has the addresses of the loop back for itself. Who is on no host is at home, on `127.0.0.1`, and reaches hosts
/// as they reach each other. (Its datagrams come from `192.0.0.8`, so that they can be answered.)
///
/// ```
/// use kettle_rt::testing::{host, simulate};
///
/// let greeting = simulate(1, || host([10, 0, 0, 1], || "hello from 10.0.0.1"));
/// assert_eq!(greeting, "hello from 10.0.0.1");
/// ```
///
/// # Panics
///
/// With the function's panic. Where no simulation runs.
pub fn host<T>(address: impl Into<IpAddr>, f: impl FnOnce() -> T) -> T {
    /// Goes back, however the function ends.
    struct Visit {
        task: TaskRef,
        home: Option<IpAddr>,
    }
    impl Drop for Visit {
        fn drop(&mut self) {
            if let Some(order) = event_loop::current().and_then(|event_loop| event_loop.order()) {
                order.set_host(self.task, self.home);
            }
        }
    }
    let address = address.into();
    network("run on a host", |network| network.add_host(address));
    let _visit = event_loop::current().and_then(|event_loop| {
        let task = event_loop.current_task()?;
        Some(Visit { task, home: event_loop.order()?.set_host(task, Some(address)) })
    });
    f()
}

/// Parts two hosts of the simulation: what one sends does not reach the other one, connects included, until they are
/// [healed](heal). Connections stay; datagrams are lost. No checkpoint.
///
/// ```
/// use kettle_rt::testing::{heal, part, simulate};
///
/// simulate(1, || {
///     part([10, 0, 0, 1], [10, 0, 0, 2]);
///     // Nobody hears of anybody.
///     heal([10, 0, 0, 1], [10, 0, 0, 2]);
/// });
/// ```
///
/// # Panics
///
/// Where no simulation runs.
pub fn part(one: impl Into<IpAddr>, other: impl Into<IpAddr>) {
    network("part hosts", |network| network.part(one.into(), other.into()));
}

/// Opens the way between two hosts again: what connections have sent meanwhile arrives. No checkpoint. See [`part`].
///
/// # Panics
///
/// Where no simulation runs.
pub fn heal(one: impl Into<IpAddr>, other: impl Into<IpAddr>) {
    network("heal hosts", |network| network.heal(one.into(), other.into()));
}

/// Resets all connections between two hosts: reads and writes at both ends fail. Gives how many that were. No checkpoint.
///
/// ```
/// use kettle_rt::testing::{reset, simulate};
///
/// let cut = simulate(1, || reset([10, 0, 0, 1], [10, 0, 0, 2]));
/// assert_eq!(cut, 0);
/// ```
///
/// # Panics
///
/// Where no simulation runs.
pub fn reset(one: impl Into<IpAddr>, other: impl Into<IpAddr>) -> usize {
    network("reset connections", |network| network.reset(one.into(), other.into()))
}

fn network<T>(what: &str, f: impl FnOnce(&mut Network<'_>) -> T) -> T {
    simulated(f).unwrap_or_else(|| panic!("{what} where no simulation runs: call this inside `simulate`"))
}
