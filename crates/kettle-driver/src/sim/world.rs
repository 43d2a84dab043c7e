//! Owns the simulated network: its sockets, its time, and what happens in it. What becomes of what sockets send is in
//! `connections` and `datagrams`.
//!
//! It knows nothing of operations. Where something has changed that one may wait for, it leaves a note in `touched`, and
//! who keeps the operations tries those again. A socket is one or several descriptor numbers, which real sockets of the
//! kernel keep for it; it goes with the last of them.
//!
//! Invariant: all lists are walked in the order of their places, so that nothing depends on addresses or on hashes.
#![forbid(unsafe_code)]

use super::address::{Addresses, HOME, Protocol};
use super::events::{Event, Events, Id};
use super::flow::Nanos;
use super::sockets::{Socket, Sockets, State};
use crate::clock::Clock;
use crate::conditions::Conditions;
use crate::random::Random;
use crate::trace::{Note, Tracer};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::RawFd;

/// Which operations of a socket may go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Read,
    Write,
}

/// What a socket has for who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ready {
    /// So many bytes, or places for them; 0 is the end.
    Bytes(usize),
    /// Nothing yet.
    Blocked,
    Error(i32),
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) conditions: Conditions,
    pub(crate) clock: Clock,
    pub(crate) tracer: Tracer,
    pub(super) random: Random,
    pub(super) addresses: Addresses,
    pub(super) events: Events,
    pub(super) sockets: Sockets,
    /// How many sockets there have been.
    named: u64,
    /// Where operations are to be tried again.
    pub(crate) touched: VecDeque<(Id, Side)>,
}

impl World {
    pub(crate) fn new(conditions: Conditions, clock: Clock, tracer: Tracer) -> Self {
        let random = Random::new(conditions.seed).fork(1);
        let mut addresses = Addresses::default();
        addresses.add_host(HOME);
        Self {
            conditions,
            clock,
            tracer,
            random,
            addresses,
            events: Events::default(),
            sockets: Sockets::default(),
            named: 0,
            touched: VecDeque::new(),
        }
    }

    // --- time ---

    pub(crate) fn now(&self) -> Nanos {
        self.clock.elapsed().as_nanos() as Nanos
    }

    /// When something happens next.
    pub(crate) fn next_time(&self) -> Option<Nanos> {
        self.events.next_time()
    }

    /// Has the next thing happen whose time has come. Gives whether there was one.
    pub(crate) fn happen(&mut self) -> bool {
        let Some(event) = self.events.pop(self.now()) else { return false };
        match event {
            Event::Arrival(id) => self.arrive(id),
            Event::Call(id, before) => self.call(id, before),
            Event::Answer(id, errno) => self.answer(id, errno),
            Event::Landing(flight) => self.land(*flight),
            Event::Unreachable(id, to) => self.refuse(id, to),
        }
        true
    }

    /// Nothing happens any more.
    pub(crate) fn end(&mut self) {
        self.events.clear();
        self.sockets = Sockets::default();
    }

    /// When something that is sent now arrives.
    pub(super) fn later(&mut self) -> Nanos {
        self.now().saturating_add(self.conditions.latency(&mut self.random))
    }

    // --- descriptors ---

    pub(crate) fn find(&self, fd: RawFd) -> Option<Id> {
        self.sockets.find(fd)
    }

    /// A descriptor that stands for nothing stands for a socket now.
    pub(crate) fn stand_for(&mut self, fd: RawFd, id: Id) {
        self.sockets.stand_for(fd, id);
    }

    /// A socket of a host, for a descriptor to stand for.
    pub(crate) fn socket(&mut self, host: IpAddr, is_ipv6: bool) -> Id {
        self.addresses.add_host(host);
        let ip = if is_ipv6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
        self.make(host, SocketAddr::new(ip, 0), State::Fresh)
    }

    /// A descriptor is closed. Gives its socket, if that goes with it.
    pub(crate) fn close(&mut self, fd: RawFd, resets: bool) -> Option<Id> {
        let id = self.sockets.let_go(fd)?;
        self.remove(id, resets);
        Some(id)
    }

    pub(super) fn make(&mut self, host: IpAddr, local: SocketAddr, state: State) -> Id {
        self.named += 1;
        self.sockets.insert(Socket {
            name: self.named,
            host,
            local,
            peer: None,
            state,
            stream: None,
            has_port: false,
            handles: 0,
            error: None,
        })
    }

    /// Takes a socket out. Its peer hears of it, after what was sent before.
    fn remove(&mut self, id: Id, resets: bool) {
        let Some(socket) = self.sockets.remove(id) else { return };
        self.tracer.note(Note::Closed { socket: socket.name });
        if socket.has_port {
            self.addresses.give_back(socket.host, socket.local.port());
        }
        match socket.state {
            State::Bound { .. } => {
                self.addresses.unbind(Protocol::Datagram, socket.host, socket.local.port(), id);
            }
            State::Listening(waiting) => {
                self.addresses.unbind(Protocol::Stream, socket.host, socket.local.port(), id);
                for waiting in waiting {
                    self.remove(waiting, true);
                }
            }
            _ => {}
        }
        if let Some(stream) = socket.stream {
            self.hang_up(stream, resets);
        }
    }

    // --- addresses ---

    pub(crate) fn add_host(&mut self, host: IpAddr) {
        self.addresses.add_host(host);
    }

    pub(crate) fn local_addr(&self, id: Id) -> Result<SocketAddr, i32> {
        self.sockets.get(id).map(|socket| socket.local).ok_or(libc::EBADF)
    }

    pub(crate) fn peer_addr(&self, id: Id) -> Result<SocketAddr, i32> {
        let socket = self.sockets.get(id).ok_or(libc::EBADF)?;
        let is_reset = socket.stream.as_ref().is_some_and(|stream| stream.is_reset);
        socket.peer.filter(|_| !is_reset).ok_or(libc::ENOTCONN)
    }

    pub(crate) fn take_error(&mut self, id: Id) -> Option<i32> {
        self.sockets.get_mut(id)?.error.take()
    }

    /// What it is, for people.
    pub(crate) fn describe(&self, id: Id) -> String {
        match self.sockets.get(id) {
            None => "a socket that is closed".to_owned(),
            Some(Socket { local, state: State::Listening(_), .. }) => format!("listener {local}"),
            Some(Socket { local, state: State::Bound { .. }, .. }) => format!("datagram socket {local}"),
            Some(Socket { state: State::Calling(to), .. }) => format!("a connection to {to}"),
            Some(Socket { local, peer: Some(peer), .. }) => format!("connection {local} to {peer}"),
            Some(_) => "a socket that is not connected".to_owned(),
        }
    }

    pub(crate) fn listens(&self, id: Id) -> bool {
        matches!(self.sockets.get(id), Some(Socket { state: State::Listening(_), .. }))
    }

    /// What `poll` would tell of a socket.
    pub(crate) fn polled(&self, id: Id, side: Side) -> i16 {
        let Some(socket) = self.sockets.get(id) else { return libc::POLLNVAL };
        let mut mask = 0;
        match (&socket.state, &socket.stream) {
            (State::Listening(waiting), _) if !waiting.is_empty() => mask |= libc::POLLIN,
            (State::Fresh, _) => mask |= libc::POLLOUT | libc::POLLHUP,
            (State::Answered(_), _) => mask |= libc::POLLOUT,
            (State::Connected, Some(stream)) => {
                let is_readable = stream.inbound.arrived() > 0 || stream.inbound.has_ended() || stream.is_read_shut;
                let other = stream.other.and_then(|other| self.sockets.get(other)?.stream.as_ref());
                let is_writable = other.is_none_or(|other| other.inbound.space() > 0) || stream.is_write_shut;
                mask |= if is_readable { libc::POLLIN } else { 0 };
                mask |= if is_writable { libc::POLLOUT } else { 0 };
                mask |= if stream.is_reset { libc::POLLIN | libc::POLLOUT | libc::POLLERR | libc::POLLHUP } else { 0 };
            }
            (State::Bound { inbox, .. }, _) => {
                mask |= libc::POLLOUT;
                mask |= if inbox.first().is_some() { libc::POLLIN } else { 0 };
                mask |= if socket.error.is_some() { libc::POLLERR } else { 0 };
            }
            _ => {}
        }
        let asked = if side == Side::Read { libc::POLLIN } else { libc::POLLOUT };
        mask & (asked | libc::POLLERR | libc::POLLHUP)
    }

    pub(super) fn touch(&mut self, id: Id, side: Side) {
        self.touched.push_back((id, side));
    }
}
