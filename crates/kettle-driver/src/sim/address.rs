//! Owns which addresses are whose: hosts, each with an address of its own and those of the loop back; ports, of streams and
//! of datagrams; who listens, and who is bound.
//!
//! A host is called by its own address. The one that everybody is on who says nothing else is `127.0.0.1`, and has
//! addresses of the loop back only, but for one that answers to its datagrams are sent to.
#![forbid(unsafe_code)]

use super::events::Id;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The host of those who say nothing else.
pub(crate) const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Where the datagrams of [`HOME`] come from, as other hosts see it. It is nobody's in the real world: RFC 7600 has it as
/// the address of who has none.
const ABROAD: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 0, 8));

/// The first of the ports that are given to who asks for none.
const FIRST_PORT: u16 = 32_768;

/// The last of them.
const LAST_PORT: u16 = 60_999;

/// What a port is for: each has ports of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Protocol {
    Stream,
    Datagram,
}

#[derive(Debug, Default)]
pub(crate) struct Addresses {
    /// Those that exist, with the port that was given last there.
    hosts: BTreeMap<IpAddr, u16>,
    /// Who listens or is bound, by host and port; an address each.
    bound: BTreeMap<(Protocol, IpAddr, u16), Vec<(IpAddr, Id)>>,
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
        if ip == ABROAD {
            return Some(HOME);
        }
        self.hosts.contains_key(&ip).then_some(ip)
    }

    /// Has a socket of a host listen, or be bound. Gives the address, with a port.
    pub(crate) fn bind(
        &mut self,
        protocol: Protocol,
        host: IpAddr,
        addr: SocketAddr,
        id: Id,
    ) -> Result<SocketAddr, i32> {
        if self.owner(host, addr.ip()) != Some(host) {
            return Err(libc::EADDRNOTAVAIL);
        }
        let port = match addr.port() {
            0 => self.free_port(protocol, host)?,
            port => port,
        };
        let there = self.bound.entry((protocol, host, port)).or_default();
        let ip = addr.ip().to_canonical();
        if there.iter().any(|(other, _)| covers(*other, ip) || covers(ip, *other)) {
            return Err(libc::EADDRINUSE);
        }
        there.push((ip, id));
        Ok(SocketAddr::new(addr.ip(), port))
    }

    /// A socket has its port at one address only from now on.
    pub(crate) fn narrow(&mut self, protocol: Protocol, host: IpAddr, to: SocketAddr, id: Id) {
        let there = self.bound.get_mut(&(protocol, host, to.port()));
        for (ip, _) in there.into_iter().flatten().filter(|(_, other)| *other == id) {
            *ip = to.ip().to_canonical();
        }
    }

    /// A socket listens no more, or is bound no more.
    pub(crate) fn unbind(&mut self, protocol: Protocol, host: IpAddr, port: u16, id: Id) {
        let place = (protocol, host, port);
        if let Some(there) = self.bound.get_mut(&place) {
            there.retain(|(_, other)| *other != id);
            if there.is_empty() {
                self.bound.remove(&place);
            }
        }
    }

    /// Who listens at an address of a host, or is bound to it.
    pub(crate) fn find(&self, protocol: Protocol, host: IpAddr, addr: SocketAddr) -> Option<Id> {
        let there = self.bound.get(&(protocol, host, addr.port()))?;
        let to = addr.ip().to_canonical();
        there.iter().find(|(ip, _)| covers(*ip, to) || to.is_unspecified()).map(|(_, id)| *id)
    }

    /// The address from which a host's datagrams come, as their receiver sees it.
    pub(crate) fn source(&self, host: IpAddr, to: IpAddr) -> Result<IpAddr, i32> {
        let source = match self.owner(host, to) {
            _ if to.is_loopback() && to.is_ipv4() => HOME,
            _ if to.is_loopback() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            Some(owner) if owner == host => to,
            _ if host == HOME => ABROAD,
            _ => host,
        };
        if source.is_ipv4() == to.is_ipv4() { Ok(source) } else { Err(libc::ENETUNREACH) }
    }

    /// The address from which a host speaks to another one: with a port that is its connection's, until it is given back.
    pub(crate) fn local(&mut self, host: IpAddr, to: SocketAddr) -> Result<SocketAddr, i32> {
        let ip = if to.ip().is_loopback() || to.ip().is_unspecified() {
            if to.is_ipv4() { HOME } else { IpAddr::V6(Ipv6Addr::LOCALHOST) }
        } else {
            host
        };
        let port = self.free_port(Protocol::Stream, host)?;
        self.used.insert((host, port));
        Ok(SocketAddr::new(ip, port))
    }

    pub(crate) fn give_back(&mut self, host: IpAddr, port: u16) {
        self.used.remove(&(host, port));
    }

    /// The next port of a host that nobody has.
    fn free_port(&mut self, protocol: Protocol, host: IpAddr) -> Result<u16, i32> {
        self.add_host(host);
        for _ in FIRST_PORT..=LAST_PORT {
            let last = self.hosts.entry(host).or_insert(LAST_PORT);
            *last = if *last >= LAST_PORT { FIRST_PORT } else { *last + 1 };
            let port = *last;
            let is_used = protocol == Protocol::Stream && self.used.contains(&(host, port));
            if !is_used && !self.bound.contains_key(&(protocol, host, port)) {
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

/// Whether who is bound to an address hears what is sent to another one. At `::` that is IPv4 as well.
fn covers(bound: IpAddr, ip: IpAddr) -> bool {
    bound == ip || bound.is_unspecified() && (bound.is_ipv6() || ip.is_ipv4())
}
