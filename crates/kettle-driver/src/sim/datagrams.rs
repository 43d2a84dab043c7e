//! Owns what becomes of datagrams in a simulated network: each goes its own way, and arrives once, twice or not at all.
//!
//! As on Linux: what a host sends to itself arrives, once and in its order, if there is room for it. Where nobody is bound,
//! the sender hears of that if it is connected, by its next call. A host that is not there says nothing.
#![forbid(unsafe_code)]

use super::address::Protocol;
use super::datagram::{Datagram, Inbox};
use super::events::{Event, Flight, Id};
use super::flow::Nanos;
use super::sockets::{Socket, State};
use super::world::{Side, World};
use crate::random::Random;
use crate::trace::Note;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The most bytes of a datagram of IPv4: what a packet can have, without two headers.
const MOST_V4: usize = 65_535 - 20 - 8;

/// The same of IPv6, whose own header does not count.
pub(super) const MOST_V6: usize = 65_535 - 8;

/// Where a datagram goes, and where it comes from.
struct Route {
    from: SocketAddr,
    to: SocketAddr,
}

/// What becomes of a datagram: when it arrives, and when again. (Or never.)
struct Fate {
    arrives: Option<Nanos>,
    again: Option<Nanos>,
}

impl World {
    pub(crate) fn is_datagram(&self, id: Id) -> bool {
        self.sockets.get(id).is_some_and(|socket| matches!(socket.state, State::Bound { .. }))
    }

    /// Makes a socket that has no address yet one for datagrams, and gives it one.
    pub(crate) fn bind(&mut self, id: Id, addr: SocketAddr) -> Result<(), i32> {
        let &Socket { host, name, .. } = self.sockets.get(id).ok_or(libc::EBADF)?;
        let local = self.addresses.bind(Protocol::Datagram, host, addr, id)?;
        let random = Random::new(self.conditions.seed).fork(2 + name);
        let inbox = Inbox::new(self.conditions.capacity);
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.local = local;
            socket.state = State::Bound { inbox, random, last: 0 };
        }
        self.tracer.note(Note::Bound { socket: name, port: local.port().into() });
        Ok(())
    }

    /// Has a socket for datagrams send to one address, and hear of nobody else.
    pub(crate) fn associate(&mut self, id: Id, to: SocketAddr) -> Result<(), i32> {
        let Route { from, to } = self.route(id, to)?;
        let socket = self.sockets.get_mut(id).ok_or(libc::EBADF)?;
        socket.peer = Some(in_family(to, socket.local.is_ipv6()));
        if socket.local.ip().is_unspecified() {
            socket.local = in_family(from, socket.local.is_ipv6());
            self.addresses.narrow(Protocol::Datagram, socket.host, from, id);
        }
        Ok(())
    }

    /// How a socket sends to an address.
    fn route(&self, id: Id, named: SocketAddr) -> Result<Route, i32> {
        let &Socket { host, local, .. } = self.sockets.get(id).ok_or(libc::EBADF)?;
        let mut to = SocketAddr::new(named.ip().to_canonical(), named.port());
        if local.is_ipv4() && named.is_ipv6() {
            return Err(libc::EAFNOSUPPORT);
        }
        if to.ip().is_multicast() || to.ip() == IpAddr::V4(Ipv4Addr::BROADCAST) {
            return Err(libc::ENETUNREACH);
        }
        let ours = local.ip().to_canonical();
        if to.ip().is_unspecified() {
            to.set_ip(match to.is_ipv4() {
                _ if !ours.is_unspecified() => ours,
                true => IpAddr::V4(Ipv4Addr::LOCALHOST),
                false => IpAddr::V6(Ipv6Addr::LOCALHOST),
            });
        }
        let from = if ours.is_unspecified() { self.addresses.source(host, to.ip())? } else { ours };
        if from.is_ipv4() != to.is_ipv4() {
            return Err(libc::ENETUNREACH);
        }
        if from.is_loopback() && self.addresses.owner(host, to.ip()) != Some(host) {
            return Err(libc::EINVAL);
        }
        Ok(Route { from: SocketAddr::new(from, local.port()), to })
    }

    /// Sends a datagram to an address, or to where the socket is connected to.
    pub(crate) fn send(&mut self, sender: Id, to: Option<SocketAddr>, bytes: &[u8]) -> Result<(), i32> {
        let &Socket { name, host, peer, .. } = self.sockets.get(sender).ok_or(libc::EBADF)?;
        let to = to.or(peer).ok_or(libc::EDESTADDRREQ)?;
        if to.port() == 0 {
            return Err(libc::EINVAL);
        }
        let Route { from, to } = self.route(sender, to)?;
        if bytes.len() > if to.is_ipv4() { MOST_V4 } else { MOST_V6 } {
            return Err(libc::EMSGSIZE);
        }
        if let Some(errno) = self.take_error(sender) {
            return Err(errno);
        }
        self.tracer.note(Note::Sent { socket: name, bytes: bytes.len() as u64 });
        let Some(to_host) = self.addresses.owner(host, to.ip()) else {
            self.lose(sender, bytes.len());
            return Ok(());
        };
        let Fate { arrives, again } = self.fate(sender, host, to_host);
        let datagram = Datagram { bytes: bytes.into(), from };
        let flight = Box::new(Flight { sender, from_host: host, to_host, to, datagram });
        if let Some(again) = again {
            self.tracer.note(Note::Duplicated { socket: name, bytes: bytes.len() as u64 });
            self.events.push(again, Event::Landing(flight.clone()));
        }
        match arrives {
            Some(arrives) => self.events.push(arrives, Event::Landing(flight)),
            None => self.lose(sender, bytes.len()),
        }
        Ok(())
    }

    /// What becomes of what a socket sends now, by its own random numbers.
    fn fate(&mut self, sender: Id, from: IpAddr, to: IpAddr) -> Fate {
        let now = self.now();
        let conditions = &self.conditions;
        let later = |random: &mut Random| now.saturating_add(conditions.latency(random));
        let Some(State::Bound { random, last, .. }) = self.sockets.get_mut(sender).map(|socket| &mut socket.state)
        else {
            return Fate { arrives: None, again: None };
        };
        let arrives = later(random);
        if from == to {
            *last = arrives.max(*last);
            return Fate { arrives: Some(*last), again: None };
        }
        // Numbers are drawn where hosts are parted as well: what comes afterwards does not depend on that.
        let is_lost = random.once_in(conditions.lost_once_in);
        let again = (!is_lost && random.once_in(conditions.duplicated_once_in)).then(|| later(random));
        match is_lost || self.addresses.are_parted(from, to) {
            true => Fate { arrives: None, again: None },
            false => Fate { arrives: Some(arrives), again },
        }
    }

    fn lose(&mut self, sender: Id, bytes: usize) {
        let socket = self.sockets.get(sender).map_or(0, |socket| socket.name);
        self.tracer.note(Note::Lost { socket, bytes: bytes as u64 });
    }

    /// A datagram arrives where it was sent to.
    pub(super) fn land(&mut self, flight: Flight) {
        let Flight { sender, from_host, to_host, to, mut datagram } = flight;
        let bytes = datagram.bytes.len();
        if self.addresses.are_parted(from_host, to_host) {
            return self.lose(sender, bytes);
        }
        let receiver = self.addresses.find(Protocol::Datagram, to_host, to).and_then(|id| {
            let socket = self.sockets.get(id)?;
            datagram.from = in_family(datagram.from, socket.local.is_ipv6());
            // Who is connected hears of one only.
            socket.peer.is_none_or(|peer| peer == datagram.from).then_some((id, socket.name))
        });
        let Some((id, name)) = receiver else {
            self.lose(sender, bytes);
            return self.send_back(sender, (to_host, to), from_host);
        };
        let receiver = self.sockets.get_mut(id).map(|socket| &mut socket.state);
        if let Some(State::Bound { inbox, .. }) = receiver
            && inbox.push(datagram)
        {
            self.tracer.note(Note::Arrived { socket: name, bytes: bytes as u64 });
            self.touch(id, Side::Read);
        } else {
            self.tracer.note(Note::Overflowed { socket: name, bytes: bytes as u64 });
        }
    }

    /// A host says that nobody is bound where a datagram was sent to.
    fn send_back(&mut self, sender: Id, (from, to): (IpAddr, SocketAddr), sender_host: IpAddr) {
        if let Some(at) = self.fate(sender, sender_host, from).arrives {
            self.events.push(at, Event::Unreachable(sender, to));
        }
    }

    /// That arrives.
    pub(super) fn refuse(&mut self, id: Id, to: SocketAddr) {
        let Some(&Socket { host, name, local, peer: Some(peer), .. }) = self.sockets.get(id) else { return };
        let from = self.addresses.owner(host, to.ip());
        let is_heard = from.is_some_and(|from| !self.addresses.are_parted(host, from));
        // Only who is connected can be told by an error of the socket.
        if !is_heard || peer != in_family(to, local.is_ipv6()) {
            return;
        }
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.error = Some(libc::ECONNREFUSED);
        }
        self.tracer.note(Note::Refused { socket: name, port: to.port().into() });
        self.touch(id, Side::Read);
        self.touch(id, Side::Write);
    }

    /// The first datagram that has arrived at a socket, to be taken or to stay there.
    pub(crate) fn arrived(&mut self, id: Id, stays: bool) -> Result<Option<Datagram>, i32> {
        let socket = self.sockets.get_mut(id).ok_or(libc::EBADF)?;
        if let Some(errno) = socket.error.take() {
            return Err(errno);
        }
        let State::Bound { inbox, .. } = &mut socket.state else { return Err(libc::EINVAL) };
        if stays {
            return Ok(inbox.first().cloned());
        }
        let datagram = inbox.pop();
        if let Some(datagram) = &datagram {
            self.tracer.note(Note::Received { socket: socket.name, bytes: datagram.bytes.len() as u64 });
        }
        Ok(datagram)
    }
}

/// An address as a socket of a family sees it.
fn in_family(addr: SocketAddr, is_ipv6: bool) -> SocketAddr {
    match addr {
        SocketAddr::V4(v4) if is_ipv6 => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        addr => addr,
    }
}
