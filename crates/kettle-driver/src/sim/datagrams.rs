//! Owns what becomes of datagrams in a simulated network: each goes its own way, and arrives once, twice or not at all.
//!
//! As on Linux: what a host sends to itself arrives, once and in its order, if there is room for it. Where nobody is bound,
//! the sender hears of that if it is connected, by its next call. A host that is not there says nothing.
#![forbid(unsafe_code)]

use super::address::Protocol;
use super::datagram::{Datagram, Flight, Inbox};
use super::events::{Event, Id};
use super::flow::Nanos;
use super::sockets::{Socket, State};
use super::world::{Side, World};
use crate::random::Random;
use crate::trace::Note;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The most bytes of a datagram of IPv4: what a packet can have, without two headers.
const MOST_V4: usize = 65_535 - 20 - 8;

/// The same of IPv6, whose own header does not count.
const MOST_V6: usize = 65_535 - 8;

/// Where a datagram goes, and where it comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    from: SocketAddr,
    to: SocketAddr,
}

/// What becomes of a datagram: when it arrives, and when again. (Or never.)
#[derive(Clone, Copy, Debug)]
struct Fate {
    arrives: Option<Nanos>,
    again: Option<Nanos>,
}

impl World {
    pub(crate) fn is_datagram(&self, id: Id) -> bool {
        self.sockets.get(id).is_some_and(|socket| socket.inbox.is_some())
    }

    /// Makes a socket that has no address yet one for datagrams, and gives it one.
    pub(crate) fn bind(&mut self, id: Id, addr: SocketAddr) -> Result<(), i32> {
        let &Socket { host, name, .. } = self.sockets.get(id).ok_or(libc::EBADF)?;
        let local = self.addresses.bind(Protocol::Datagram, host, addr, id)?;
        let random = Random::new(self.conditions.seed).fork(2 + name);
        let inbox = Inbox::new(self.conditions.capacity, random);
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.local = local;
            socket.state = State::Bound;
            socket.inbox = Some(inbox);
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

    /// Whether a socket can send so many bytes to an address, or to where it is connected to: how they go.
    pub(crate) fn sends(&mut self, id: Id, to: Option<SocketAddr>, bytes: usize) -> Result<Route, i32> {
        let socket = self.sockets.get(id).ok_or(libc::EBADF)?;
        if bytes > MOST_V6 {
            return Err(libc::EMSGSIZE);
        }
        let to = to.or(socket.peer).ok_or(libc::EDESTADDRREQ)?;
        if to.port() == 0 {
            return Err(libc::EINVAL);
        }
        let route = self.route(id, to)?;
        if route.to.is_ipv4() && bytes > MOST_V4 {
            return Err(libc::EMSGSIZE);
        }
        match self.take_error(id) {
            Some(errno) => Err(errno),
            None => Ok(route),
        }
    }

    /// Sends a datagram.
    pub(crate) fn send(&mut self, sender: Id, Route { from, to }: Route, bytes: &[u8]) {
        let Some(&Socket { name, host, .. }) = self.sockets.get(sender) else { return };
        self.tracer.note(Note::Sent { socket: name, bytes: bytes.len() as u64 });
        let Some(to_host) = self.addresses.owner(host, to.ip()) else { return self.lose(sender, bytes.len()) };
        let Fate { arrives, again } = self.fate(sender, host, to_host);
        let datagram = Datagram { bytes: bytes.into(), from };
        let flight = Flight { sender, from_host: host, to_host, to, datagram };
        if let Some(again) = again {
            self.tracer.note(Note::Duplicated { socket: name, bytes: bytes.len() as u64 });
            self.fly(flight.clone(), again);
        }
        match arrives {
            Some(arrives) => self.fly(flight, arrives),
            None => self.lose(sender, bytes.len()),
        }
    }

    /// What becomes of what a socket sends now, by its own random numbers.
    fn fate(&mut self, sender: Id, from: IpAddr, to: IpAddr) -> Fate {
        let now = self.now();
        let (lost, duplicated) = (self.conditions.lost_once_in, self.conditions.duplicated_once_in);
        let Some(mut random) = self.inbox(sender).map(|inbox| inbox.random.clone()) else {
            return Fate { arrives: None, again: None };
        };
        let later = |random: &mut Random| Some(now.saturating_add(self.latency(random)));
        let mut fate = Fate { arrives: later(&mut random), again: None };
        if from != to {
            if random.once_in(lost) {
                fate.arrives = None;
            } else if random.once_in(duplicated) {
                fate.again = later(&mut random);
            }
            if self.addresses.are_parted(from, to) {
                fate = Fate { arrives: None, again: None };
            }
        }
        if let Some(inbox) = self.inbox(sender) {
            inbox.random = random;
            if from == to {
                inbox.last = inbox.last.max(fate.arrives.unwrap_or(now));
                fate.arrives = Some(inbox.last);
            }
        }
        fate
    }

    fn fly(&mut self, flight: Flight, at: Nanos) {
        let number = self.flights.insert(flight);
        self.events.push(at, Event::Landing(number));
    }

    fn lose(&mut self, sender: Id, bytes: usize) {
        let socket = self.sockets.get(sender).map_or(0, |socket| socket.name);
        self.tracer.note(Note::Lost { socket, bytes: bytes as u64 });
    }

    /// A datagram arrives where it was sent to.
    pub(super) fn land(&mut self, number: u64) {
        let Some(flight) = self.flights.remove(number) else { return };
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
        if self.inbox(id).is_some_and(|inbox| inbox.push(datagram)) {
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
        let Some(inbox) = &mut socket.inbox else { return Err(libc::EINVAL) };
        if stays {
            return Ok(inbox.first().cloned());
        }
        let datagram = inbox.pop();
        if let Some(datagram) = &datagram {
            self.tracer.note(Note::Received { socket: socket.name, bytes: datagram.bytes.len() as u64 });
        }
        Ok(datagram)
    }

    fn inbox(&mut self, id: Id) -> Option<&mut Inbox> {
        self.sockets.get_mut(id)?.inbox.as_mut()
    }
}

/// An address as a socket of a family sees it.
fn in_family(addr: SocketAddr, is_ipv6: bool) -> SocketAddr {
    match addr {
        SocketAddr::V4(v4) if is_ipv6 => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        addr => addr,
    }
}
