//! Owns the sockets of a simulation, and which descriptors stand for which.
//!
//! Invariant: a socket has its place until it is taken out; then whoever names it by its [`Id`] finds nothing, also when
//! the place has another one.
#![forbid(unsafe_code)]

use super::datagram::Inbox;
use super::events::Id;
use super::flow::{Flow, Nanos};
use crate::random::Random;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;

#[derive(Debug, Default)]
pub(crate) struct Sockets {
    places: Vec<Place>,
    free: Vec<u32>,
    by_fd: Vec<Option<Id>>,
}

#[derive(Debug, Default)]
struct Place {
    generation: u32,
    socket: Option<Socket>,
}

#[derive(Debug)]
pub(crate) struct Socket {
    /// What traces call it.
    pub(crate) name: u64,
    pub(crate) host: IpAddr,
    pub(crate) local: SocketAddr,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) state: State,
    pub(crate) stream: Option<Stream>,
    /// Whether `local`'s port is its own.
    pub(crate) has_port: bool,
    /// How many descriptors it has.
    pub(crate) handles: u32,
    pub(crate) error: Option<i32>,
}

#[derive(Debug)]
pub(crate) enum State {
    Fresh,
    Listening(VecDeque<Id>),
    Calling(SocketAddr),
    /// It has ended with this, which nobody has heard.
    Answered(i32),
    Connected,
    /// It has an address, for datagrams.
    Bound {
        inbox: Inbox,
        /// The numbers of what it sends, which others do not disturb.
        random: Random,
        /// When the last one arrives that it has sent to its own host.
        last: Nanos,
    },
}

#[derive(Debug)]
pub(crate) struct Stream {
    /// The other end, as long as it is there.
    pub(crate) other: Option<Id>,
    pub(crate) peer_host: IpAddr,
    pub(crate) inbound: Flow,
    pub(crate) is_read_shut: bool,
    pub(crate) is_write_shut: bool,
    pub(crate) is_reset: bool,
    /// Whether it has sent to a peer that has gone, and will be told.
    pub(crate) is_rejected: bool,
}

impl Sockets {
    pub(crate) fn insert(&mut self, socket: Socket) -> Id {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            (self.places.len() - 1) as u32
        });
        let there = &mut self.places[place as usize];
        there.socket = Some(socket);
        Id { place, generation: there.generation }
    }

    pub(crate) fn remove(&mut self, id: Id) -> Option<Socket> {
        let there = self.places.get_mut(id.place as usize).filter(|there| there.generation == id.generation)?;
        let socket = there.socket.take()?;
        there.generation = there.generation.wrapping_add(1);
        self.free.push(id.place);
        Some(socket)
    }

    pub(crate) fn get(&self, id: Id) -> Option<&Socket> {
        self.places.get(id.place as usize).filter(|there| there.generation == id.generation)?.socket.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> Option<&mut Socket> {
        self.places.get_mut(id.place as usize).filter(|there| there.generation == id.generation)?.socket.as_mut()
    }

    /// All of them, in the order of their places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id, &Socket)> {
        self.places.iter().enumerate().filter_map(|(place, there)| {
            let id = Id { place: place as u32, generation: there.generation };
            there.socket.as_ref().map(|socket| (id, socket))
        })
    }

    /// What a descriptor stands for.
    pub(crate) fn find(&self, fd: RawFd) -> Option<Id> {
        *self.by_fd.get(usize::try_from(fd).ok()?)?
    }

    /// A descriptor that stands for nothing stands for a socket now, besides those that do so already.
    pub(crate) fn stand_for(&mut self, fd: RawFd, id: Id) {
        if let Some(socket) = self.get_mut(id) {
            socket.handles += 1;
            let place = fd.max(0).cast_unsigned() as usize;
            if place >= self.by_fd.len() {
                self.by_fd.resize(place + 1, None);
            }
            self.by_fd[place] = Some(id);
        }
    }

    /// A descriptor stands for nothing any more. Gives the socket that it was the last one of.
    pub(crate) fn let_go(&mut self, fd: RawFd) -> Option<Id> {
        let id = self.by_fd.get_mut(usize::try_from(fd).ok()?)?.take()?;
        let socket = self.get_mut(id)?;
        socket.handles -= 1;
        (socket.handles == 0).then_some(id)
    }
}
