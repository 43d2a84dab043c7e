//! Owns the connections of a simulated network: who listens, who calls whom, what the ends send each other, and how a
//! connection breaks.
//!
//! Invariant: two sockets that are connected know each other, until one goes; a socket's inbound flow has what its peer
//! sent.
#![forbid(unsafe_code)]

use super::address::Protocol;
use super::events::{Event, Id};
use super::flow::{Flow, Nanos, Segment};
use super::sockets::{Socket, State, Stream};
use super::world::{Ready, Side, World};
use crate::random::Random;
use crate::trace::Note;
use std::collections::VecDeque;
use std::net::{IpAddr, Shutdown, SocketAddr};

/// After so many calls without an answer a connect has failed, as Linux has it.
const MOST_CALLS: u32 = 6;

/// How long the first of them waits for its answer; each next one twice as long.
const PATIENCE: Nanos = 1_000_000_000;

impl World {
    // --- connecting ---

    pub(crate) fn listen(&mut self, id: Id, addr: SocketAddr) -> Result<(), i32> {
        let Some(socket) = self.sockets.get(id) else { return Err(libc::EBADF) };
        let (host, name) = (socket.host, socket.name);
        let local = self.addresses.bind(Protocol::Stream, host, addr, id)?;
        self.tracer.note(Note::Listening { socket: name, port: local.port().into() });
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.local = local;
            socket.state = State::Listening(VecDeque::new());
        }
        Ok(())
    }

    pub(crate) fn connect(&mut self, id: Id, to: SocketAddr) -> Result<(), i32> {
        let socket = self.sockets.get(id).ok_or(libc::EBADF)?;
        match socket.state {
            State::Fresh => {}
            State::Connected => return Err(libc::EISCONN),
            _ => return Err(libc::EALREADY),
        }
        let (host, name) = (socket.host, socket.name);
        let local = self.addresses.local(host, to)?;
        self.tracer.note(Note::Connecting { socket: name, port: to.port().into() });
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.local = local;
            socket.has_port = true;
            socket.state = State::Calling(to);
        }
        let at = self.later();
        self.events.push(at, Event::Call(id, 0));
        Ok(())
    }

    /// How a connect has ended, if it has.
    pub(crate) fn connected(&mut self, id: Id) -> Option<i32> {
        let Some(socket) = self.sockets.get_mut(id) else { return Some(libc::EBADF) };
        match socket.state {
            State::Answered(errno) => {
                socket.state = if errno == 0 { State::Connected } else { State::Fresh };
                Some(errno)
            }
            _ => None,
        }
    }

    /// A wish to connect arrives where it was sent to, or gets lost.
    pub(super) fn call(&mut self, id: Id, before: u32) {
        let Some(&Socket { host, local, state: State::Calling(to), .. }) = self.sockets.get(id) else { return };
        let back = self.later();
        let Some(owner) = self.addresses.owner(host, to.ip()) else {
            return self.events.push(back, Event::Answer(id, libc::EHOSTUNREACH));
        };
        if !self.addresses.are_parted(host, owner) {
            let Some(listener) = self.addresses.find(Protocol::Stream, owner, to) else {
                return self.events.push(back, Event::Answer(id, libc::ECONNREFUSED));
            };
            if self.welcome(listener, id, (owner, to), (host, local), back) {
                return self.events.push(back, Event::Answer(id, 0));
            }
        }
        let again = self.now().saturating_add(PATIENCE << before);
        let event = if before == MOST_CALLS { Event::Answer(id, libc::ETIMEDOUT) } else { Event::Call(id, before + 1) };
        self.events.push(again, event);
    }

    /// A listener takes a caller in, if it has a place for it.
    fn welcome(
        &mut self,
        listener: Id,
        caller: Id,
        (owner, to): (IpAddr, SocketAddr),
        (host, from): (IpAddr, SocketAddr),
        back: Nanos,
    ) -> bool {
        let backlog = self.conditions.backlog;
        match self.sockets.get(listener).map(|socket| &socket.state) {
            Some(State::Listening(waiting)) if waiting.len() < backlog => {}
            _ => return false,
        }
        let here = if to.ip().is_unspecified() { SocketAddr::new(from.ip(), to.port()) } else { to };
        let id = self.make(owner, here, State::Connected);
        let names = [caller, id].map(|id| self.sockets.get(id).map_or(0, |socket| socket.name));
        let flow = |name: u64, earliest: Nanos| {
            let random = Random::new(self.conditions.seed).fork(2 + name);
            Flow::new(self.conditions.capacity, random, earliest)
        };
        let stream = |other: Id, peer_host: IpAddr, inbound: Flow| Stream {
            other: Some(other),
            peer_host,
            inbound,
            is_read_shut: false,
            is_write_shut: false,
            is_reset: false,
            is_rejected: false,
        };
        let ours = stream(caller, host, flow(names[1], self.now()));
        // Nothing is heard before the answer.
        let theirs = stream(id, owner, flow(names[0], back));
        if let Some(socket) = self.sockets.get_mut(id) {
            socket.peer = Some(from);
            socket.stream = Some(ours);
        }
        if let Some(socket) = self.sockets.get_mut(caller) {
            socket.peer = Some(here);
            socket.stream = Some(theirs);
        }
        if let Some(socket) = self.sockets.get_mut(listener)
            && let State::Listening(waiting) = &mut socket.state
        {
            waiting.push_back(id);
            let name = socket.name;
            self.tracer.note(Note::Incoming { socket: name, accepted: names[1] });
        }
        self.touch(listener, Side::Read);
        true
    }

    pub(super) fn answer(&mut self, id: Id, errno: i32) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let name = socket.name;
        socket.state = State::Answered(errno);
        if errno != 0 && std::mem::take(&mut socket.has_port) {
            let (host, port) = (socket.host, socket.local.port());
            self.addresses.give_back(host, port);
        }
        self.tracer.note(Note::Connected { socket: name, errno: errno.unsigned_abs().into() });
        self.touch(id, Side::Write);
    }

    /// The next connection that waits at a listener.
    pub(crate) fn accept(&mut self, id: Id) -> Result<Option<Id>, i32> {
        match self.sockets.get_mut(id).ok_or(libc::EBADF)?.state {
            State::Listening(ref mut waiting) => Ok(waiting.pop_front()),
            _ => Err(libc::EINVAL),
        }
    }

    /// Puts a connection back that could not be accepted.
    pub(crate) fn unaccept(&mut self, listener: Id, id: Id) {
        if let Some(State::Listening(waiting)) = self.sockets.get_mut(listener).map(|socket| &mut socket.state) {
            waiting.push_front(id);
        }
    }

    // --- transfers ---

    /// How many bytes can be received, after so many. A part of them, if the conditions say so.
    pub(crate) fn receivable(&mut self, id: Id, skip: usize, most: usize) -> Ready {
        let short = self.conditions.short_once_in;
        let Some(socket) = self.sockets.get_mut(id) else { return Ready::Error(libc::EBADF) };
        let Some(stream) = socket.stream.as_mut().filter(|_| matches!(socket.state, State::Connected)) else {
            return Ready::Error(libc::ENOTCONN);
        };
        match stream.inbound.arrived().saturating_sub(skip) {
            0 => match socket.error.take() {
                Some(errno) => Ready::Error(errno),
                None if stream.inbound.has_ended() || stream.is_read_shut || stream.is_reset => Ready::Bytes(0),
                None => Ready::Blocked,
            },
            there => Ready::Bytes(part(&mut stream.inbound.random, there.min(most), short)),
        }
    }

    /// What has arrived at a socket.
    pub(crate) fn inbound(&mut self, id: Id) -> Option<&mut Flow> {
        self.sockets.get_mut(id)?.stream.as_mut().map(|stream| &mut stream.inbound)
    }

    /// Bytes were received: there is room for others.
    pub(crate) fn received(&mut self, id: Id, bytes: usize) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let (name, other) = (socket.name, socket.stream.as_ref().and_then(|stream| stream.other));
        self.tracer.note(Note::Received { socket: name, bytes: bytes as u64 });
        if let Some(other) = other {
            self.touch(other, Side::Write);
        }
    }

    /// How many bytes can be sent. A part of them, if the conditions say so.
    pub(crate) fn sendable(&mut self, id: Id, most: usize) -> Ready {
        let (short, resets) = (self.conditions.short_once_in, self.conditions.reset_once_in);
        let Some(socket) = self.sockets.get_mut(id) else { return Ready::Error(libc::EBADF) };
        let Some(stream) = socket.stream.as_mut().filter(|_| matches!(socket.state, State::Connected)) else {
            return Ready::Error(libc::EPIPE);
        };
        if let Some(errno) = socket.error.take() {
            return Ready::Error(errno);
        }
        if stream.is_write_shut || stream.is_reset {
            return Ready::Error(libc::EPIPE);
        }
        let Some(other) = stream.other else {
            return if stream.is_rejected { Ready::Blocked } else { Ready::Bytes(most) };
        };
        let Some(flow) = self.inbound(other) else { return Ready::Bytes(most) };
        if flow.random.once_in(resets) {
            self.reset(id);
            return Ready::Error(libc::ECONNRESET);
        }
        match flow.space() {
            0 => Ready::Blocked,
            space => Ready::Bytes(part(&mut flow.random, space.min(most), short)),
        }
    }

    /// Where a socket's bytes go to. `None`: nobody will read them.
    pub(crate) fn outbound(&mut self, id: Id) -> Option<&mut Flow> {
        let other = self.sockets.get(id)?.stream.as_ref()?.other?;
        self.inbound(other)
    }

    /// Bytes were put into the outbound flow, or thrown away where there is none.
    pub(crate) fn sent(&mut self, id: Id, bytes: usize) {
        let Some(socket) = self.sockets.get(id) else { return };
        let (name, other) = (socket.name, socket.stream.as_ref().and_then(|stream| stream.other));
        self.tracer.note(Note::Sent { socket: name, bytes: bytes as u64 });
        match other {
            Some(other) => self.push(other, Segment::Bytes(bytes)),
            // There and back again: who is not there says so.
            None => {
                if let Some(stream) = self.sockets.get_mut(id).and_then(|socket| socket.stream.as_mut()) {
                    stream.is_rejected = true;
                }
                let (there, back) = (self.later(), self.later());
                let at = there.saturating_add(back.saturating_sub(self.now()));
                self.push_at(id, Segment::Reset, at);
            }
        }
    }

    pub(crate) fn shutdown(&mut self, id: Id, how: Shutdown) -> Result<(), i32> {
        let socket = self.sockets.get_mut(id).ok_or(libc::EBADF)?;
        let stream = socket.stream.as_mut().filter(|stream| !stream.is_reset).ok_or(libc::ENOTCONN)?;
        let (reads, writes) = (how != Shutdown::Write, how != Shutdown::Read);
        let ends = writes && !stream.is_write_shut;
        stream.is_write_shut |= writes;
        stream.is_read_shut |= reads;
        if let Some(other) = stream.other.filter(|_| ends) {
            self.push(other, Segment::End);
        }
        self.touch(id, Side::Read);
        self.touch(id, Side::Write);
        Ok(())
    }

    /// A socket with this end of a connection has gone. Its peer hears of it, after what was sent before.
    pub(super) fn hang_up(&mut self, stream: Stream, resets: bool) {
        let Some(other) = stream.other else { return };
        let resets = resets || stream.inbound.is_unread();
        match (resets, stream.is_write_shut) {
            (true, _) => self.push(other, Segment::Reset),
            (false, false) => self.push(other, Segment::End),
            (false, true) => {}
        }
        if let Some(stream) = self.sockets.get_mut(other).and_then(|other| other.stream.as_mut()) {
            stream.other = None;
        }
    }

    fn push(&mut self, to: Id, segment: Segment) {
        let now = self.now();
        let Some(stream) = self.sockets.get_mut(to).and_then(|socket| socket.stream.as_mut()) else { return };
        let at = now.saturating_add(self.conditions.latency(&mut stream.inbound.random));
        self.push_at(to, segment, at);
    }

    fn push_at(&mut self, to: Id, segment: Segment, at: Nanos) {
        if let Some(flow) = self.inbound(to) {
            let at = flow.push(segment, at);
            self.events.push(at, Event::Arrival(to));
        }
    }

    pub(super) fn arrive(&mut self, id: Id) {
        let now = self.now();
        let Some(socket) = self.sockets.get(id) else { return };
        let (name, host) = (socket.name, socket.host);
        let Some(peer_host) = socket.stream.as_ref().map(|stream| stream.peer_host) else { return };
        if self.addresses.are_parted(host, peer_host) {
            return;
        }
        while let Some(segment) = self.inbound(id).and_then(|flow| flow.arrive(now)) {
            match segment {
                Segment::Bytes(bytes) => self.tracer.note(Note::Arrived { socket: name, bytes: bytes as u64 }),
                Segment::End => self.tracer.note(Note::Finished { socket: name }),
                Segment::Reset => self.break_off(id),
            }
            self.touch(id, Side::Read);
        }
    }

    // --- faults ---

    /// A connection is no more; both ends know it.
    pub(crate) fn reset(&mut self, id: Id) {
        let other = self.sockets.get(id).and_then(|socket| socket.stream.as_ref()?.other);
        self.break_off(id);
        if let Some(other) = other {
            self.break_off(other);
        }
    }

    fn break_off(&mut self, id: Id) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let name = socket.name;
        let Some(stream) = socket.stream.as_mut().filter(|stream| !stream.is_reset) else { return };
        stream.is_reset = true;
        stream.other = None;
        socket.error = Some(libc::ECONNRESET);
        self.tracer.note(Note::Reset { socket: name });
        self.touch(id, Side::Read);
        self.touch(id, Side::Write);
    }

    /// All connections between two hosts are no more. Gives how many that were.
    pub(crate) fn reset_between(&mut self, one: IpAddr, other: IpAddr) -> usize {
        let between = self.between(one, other);
        for &id in &between {
            self.break_off(id);
        }
        between.len().div_ceil(2)
    }

    /// Nothing goes from one host to another one, or it does again.
    pub(crate) fn part(&mut self, one: IpAddr, other: IpAddr, parts: bool) {
        if !self.addresses.part(one, other, parts) {
            return;
        }
        self.tracer.note(if parts { Note::Parted } else { Note::Healed });
        if !parts {
            // What was lost is sent again.
            for id in self.between(one, other) {
                let at = self.later();
                if self.inbound(id).is_some_and(|flow| flow.delay(at)) {
                    self.events.push(at, Event::Arrival(id));
                }
            }
        }
    }

    /// The sockets of connections between two hosts.
    fn between(&self, one: IpAddr, other: IpAddr) -> Vec<Id> {
        let found = self.sockets.iter().filter(|(_, socket)| {
            let stream = socket.stream.as_ref().filter(|stream| !stream.is_reset);
            let pair = stream.map(|stream| (socket.host, stream.peer_host));
            pair == Some((one, other)) || pair == Some((other, one))
        });
        found.map(|(id, _)| id).collect()
    }
}

/// All of it, or once in a while a part.
fn part(random: &mut Random, all: usize, short_once_in: u32) -> usize {
    if all > 1 && random.once_in(short_once_in) { 1 + random.below(all as u64 - 1) as usize } else { all }
}
