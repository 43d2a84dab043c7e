//! Owns which addresses are whose: hosts, each with an address of its own and those of the loop back; ports; listeners.
//!
//! A host is called by its own address. The one that everybody is on who says nothing else is `127.0.0.1`, and has
//! addresses of the loop back only.
#![forbid(unsafe_code)]

use super::events::Id;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The host of those who say nothing else.
pub(crate) const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The first of the ports that are given to who asks for none.
const FIRST_PORT: u16 = 32_768;

/// The last of them.
const LAST_PORT: u16 = 60_999;

#[derive(Debug, Default)]
pub(crate) struct Addresses {
    /// Those that exist, with the port that was given last there.
    hosts: BTreeMap<IpAddr, u16>,
    /// Who listens, by host and port; an address each.
    listeners: BTreeMap<(IpAddr, u16), Vec<(IpAddr, Id)>>,
    /// The local ports of connections.
    used: BTreeSet<(IpAddr, u16)>,
    /// Pairs of hosts between which nothing goes; the lesser one first.
    parted: BTreeSet<(IpAddr, IpAddr)>,
}

impl Addresses {
    pub(crate) fn add_host(&mut self, host: IpAddr) {
        self.hosts.entry(host).or_insert(LAST_PORT);
    }

    /// Whose an address is, for somebody on a host. `None`: nobody's.
    pub(crate) fn owner(&self, host: IpAddr, ip: IpAddr) -> Option<IpAddr> {
        let ip = ip.to_canonical();
        if ip.is_loopback() || ip.is_unspecified() {
            return Some(host);
        }
        self.hosts.contains_key(&ip).then_some(ip)
    }

    /// Has a socket of a host listen. Gives the address, with a port.
    pub(crate) fn listen(&mut self, host: IpAddr, addr: SocketAddr, id: Id) -> Result<SocketAddr, i32> {
        if self.owner(host, addr.ip()) != Some(host) {
            return Err(libc::EADDRNOTAVAIL);
        }
        let port = match addr.port() {
            0 => self.free_port(host)?,
            port => port,
        };
        let there = self.listeners.entry((host, port)).or_default();
        let ip = addr.ip();
        let is_taken = |(other, _): &(IpAddr, Id)| {
            ip.is_ipv4() == other.is_ipv4() && (*other == ip || other.is_unspecified() || ip.is_unspecified())
        };
        if there.iter().any(is_taken) {
            return Err(libc::EADDRINUSE);
        }
        there.push((ip, id));
        Ok(SocketAddr::new(ip, port))
    }

    /// A socket listens no more.
    pub(crate) fn unlisten(&mut self, host: IpAddr, port: u16, id: Id) {
        if let Some(there) = self.listeners.get_mut(&(host, port)) {
            there.retain(|(_, other)| *other != id);
            if there.is_empty() {
                self.listeners.remove(&(host, port));
            }
        }
    }

    /// Who listens at an address of a host.
    pub(crate) fn listener(&self, host: IpAddr, addr: SocketAddr) -> Option<Id> {
        let there = self.listeners.get(&(host, addr.port()))?;
        let hears = |(ip, _): &&(IpAddr, Id)| {
            *ip == addr.ip() || ip.is_unspecified() && (ip.is_ipv6() || addr.is_ipv4()) || addr.ip().is_unspecified()
        };
        there.iter().find(hears).map(|(_, id)| *id)
    }

    /// The address from which a host speaks to another one: with a port that is its connection's, until it is given back.
    pub(crate) fn local(&mut self, host: IpAddr, to: SocketAddr) -> Result<SocketAddr, i32> {
        let ip = if to.ip().is_loopback() || to.ip().is_unspecified() {
            if to.is_ipv4() { HOME } else { IpAddr::V6(std::net::Ipv6Addr::LOCALHOST) }
        } else {
            host
        };
        let port = self.free_port(host)?;
        self.used.insert((host, port));
        Ok(SocketAddr::new(ip, port))
    }

    pub(crate) fn give_back(&mut self, host: IpAddr, port: u16) {
        self.used.remove(&(host, port));
    }

    /// The next port of a host that nobody has.
    fn free_port(&mut self, host: IpAddr) -> Result<u16, i32> {
        self.add_host(host);
        for _ in FIRST_PORT..=LAST_PORT {
            let last = self.hosts.entry(host).or_insert(LAST_PORT);
            *last = if *last >= LAST_PORT { FIRST_PORT } else { *last + 1 };
            let port = *last;
            if !self.used.contains(&(host, port)) && !self.listeners.contains_key(&(host, port)) {
                return Ok(port);
            }
        }
        Err(libc::EADDRNOTAVAIL)
    }

    /// Parts two hosts, or lets them find each other again. Gives whether that changes something.
    pub(crate) fn part(&mut self, one: IpAddr, other: IpAddr, parts: bool) -> bool {
        let pair = (one.min(other), one.max(other));
        if parts { self.parted.insert(pair) } else { self.parted.remove(&pair) }
    }

    pub(crate) fn are_parted(&self, one: IpAddr, other: IpAddr) -> bool {
        !self.parted.is_empty() && self.parted.contains(&(one.min(other), one.max(other)))
    }
}
