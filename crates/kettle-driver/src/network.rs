//! Owns a simulation's network as its users see it: making sockets, addresses, faults. What waits is an operation.
#![forbid(unsafe_code)]

use crate::conditions::Conditions;
use crate::sim;
use crate::syscalls;
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The network of a simulation, for what is no operation: making sockets, addresses, faults.
///
/// What it is asked for belongs to the host that its caller is on.
#[derive(Debug)]
pub struct Network<'a> {
    sim: &'a mut sim::Sim,
    host: IpAddr,
}

impl<'a> Network<'a> {
    pub(crate) fn new(sim: &'a mut sim::Sim, host: Option<IpAddr>) -> Self {
        Self { sim, host: host.unwrap_or(sim::HOME) }
    }

    /// Adds a host by its address, if it isn't there.
    pub fn add_host(&mut self, host: IpAddr) {
        self.sim.world.add_host(host);
    }

    /// A socket that will connect.
    ///
    /// # Errors
    ///
    /// If the system has no descriptor left.
    pub fn stream(&mut self, is_ipv6: bool) -> io::Result<OwnedFd> {
        let fd = syscalls::tcp_socket(is_ipv6).map_err(io::Error::from_raw_os_error)?;
        let id = self.sim.world.socket(self.host, is_ipv6);
        self.sim.stand_for(fd.as_raw_fd(), id);
        Ok(fd)
    }

    /// A socket that listens.
    ///
    /// # Errors
    ///
    /// As a real one; if the system has no descriptor left.
    pub fn listen(&mut self, addr: SocketAddr) -> io::Result<OwnedFd> {
        let fd = self.stream(addr.is_ipv6())?;
        match self.find(fd.as_fd()).and_then(|id| self.sim.world.listen(id, addr)) {
            Ok(()) => Ok(fd),
            Err(errno) => {
                self.sim.closes(fd.as_raw_fd());
                Err(io::Error::from_raw_os_error(errno))
            }
        }
    }

    /// A socket for datagrams, with an address.
    ///
    /// # Errors
    ///
    /// As a real one; if the system has no descriptor left.
    pub fn bind(&mut self, addr: SocketAddr) -> io::Result<OwnedFd> {
        let fd = syscalls::udp_socket(addr.is_ipv6()).map_err(io::Error::from_raw_os_error)?;
        let id = self.sim.world.socket(self.host, addr.is_ipv6());
        self.sim.stand_for(fd.as_raw_fd(), id);
        match self.sim.world.bind(id, addr) {
            Ok(()) => Ok(fd),
            Err(errno) => {
                self.sim.closes(fd.as_raw_fd());
                Err(io::Error::from_raw_os_error(errno))
            }
        }
    }

    /// Has a socket for datagrams send to one address, and hear of nobody else. (What connects a stream is an operation.)
    ///
    /// # Errors
    ///
    /// As `connect`'s; if it is no such socket of this simulation.
    pub fn associate(&mut self, socket: BorrowedFd<'_>, to: SocketAddr) -> io::Result<()> {
        let found = self.find(socket).and_then(|id| match self.sim.world.is_datagram(id) {
            true => self.sim.world.associate(id, to),
            false => Err(libc::EOPNOTSUPP),
        });
        found.map_err(io::Error::from_raw_os_error)
    }

    /// The next connection that waits at a listener: the error `WouldBlock` if there is none.
    ///
    /// # Errors
    ///
    /// As `accept`'s.
    pub fn accept(&mut self, listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, SocketAddr)> {
        let accepted = self.find(listener).and_then(|id| self.sim.accept(id));
        accepted.and_then(|accepted| accepted.ok_or(libc::EAGAIN)).map_err(io::Error::from_raw_os_error)
    }

    /// A second descriptor stands for the socket of the first one.
    pub fn cloned(&mut self, socket: BorrowedFd<'_>, clone: BorrowedFd<'_>) {
        if let Some(id) = self.sim.world.find(socket.as_raw_fd()) {
            self.sim.stand_for(clone.as_raw_fd(), id);
        }
    }

    /// `getsockname`.
    ///
    /// # Errors
    ///
    /// If it is no socket of this simulation.
    pub fn local_addr(&self, socket: BorrowedFd<'_>) -> io::Result<SocketAddr> {
        let found = self.find(socket).and_then(|id| self.sim.world.local_addr(id));
        found.map_err(io::Error::from_raw_os_error)
    }

    /// `getpeername`.
    ///
    /// # Errors
    ///
    /// If it is not connected; if it is no socket of this simulation.
    pub fn peer_addr(&self, socket: BorrowedFd<'_>) -> io::Result<SocketAddr> {
        let found = self.find(socket).and_then(|id| self.sim.world.peer_addr(id));
        found.map_err(io::Error::from_raw_os_error)
    }

    /// `shutdown`.
    ///
    /// # Errors
    ///
    /// If it is not connected; if it is no socket of this simulation.
    pub fn shutdown(&mut self, socket: BorrowedFd<'_>, how: Shutdown) -> io::Result<()> {
        let done = self.find(socket).and_then(|id| self.sim.world.shutdown(id, how));
        self.sim.settle();
        done.map_err(io::Error::from_raw_os_error)
    }

    /// The error that a socket has, which is cleared by that: `SO_ERROR`.
    ///
    /// # Errors
    ///
    /// If it is no socket of this simulation.
    pub fn take_error(&mut self, socket: BorrowedFd<'_>) -> io::Result<Option<io::Error>> {
        let id = self.find(socket).map_err(io::Error::from_raw_os_error)?;
        Ok(self.sim.world.take_error(id).map(io::Error::from_raw_os_error))
    }

    /// Parts two hosts: what one sends does not reach the other one, until [`heal`](Self::heal). Datagrams that would
    /// arrive meanwhile are lost.
    pub fn part(&mut self, one: IpAddr, other: IpAddr) {
        self.sim.world.part(one, other, true);
    }

    /// Opens the way between two hosts again: what was sent meanwhile by connections arrives.
    pub fn heal(&mut self, one: IpAddr, other: IpAddr) {
        self.sim.world.part(one, other, false);
    }

    /// Resets all connections between two hosts. Gives how many that were.
    pub fn reset(&mut self, one: IpAddr, other: IpAddr) -> usize {
        let count = self.sim.world.reset_between(one, other);
        self.sim.settle();
        count
    }

    /// The conditions, to be read or changed from now on. (The seed has no effect any more.)
    pub fn conditions(&mut self) -> &mut Conditions {
        &mut self.sim.world.conditions
    }

    /// A moment of the clock, as nanoseconds since the simulation's beginning.
    pub fn now(&self) -> u64 {
        self.sim.world.now()
    }

    fn find(&self, socket: BorrowedFd<'_>) -> Result<sim::Id, i32> {
        let fd = socket.as_raw_fd();
        // One that the world doesn't know: the system says what is wrong with it, if it isn't just that.
        let error = || syscalls::socket_option(fd, libc::SO_TYPE).err().unwrap_or(libc::EOPNOTSUPP);
        self.sim.world.find(fd).ok_or_else(error)
    }
}
