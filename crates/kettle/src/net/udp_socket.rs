//! Owns `UdpSocket`: std's, whose calls suspend the task where std's block the thread.
#![forbid(unsafe_code)]

use super::address::each_addr;
use super::socket::Socket;
use kettle_rt::simulated;
use std::fmt;
use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// A socket for datagrams: [`std::net::UdpSocket`]. Dropping it closes it.
///
/// One that was [bound](Self::bind) sends to any address and receives from any; one that is [connected](Self::connect)
/// as well has one peer. Several tasks may use it at a time: each datagram is received by one of them.
///
/// ```
/// use kettle::net::UdpSocket;
/// use kettle::thread;
///
/// # fn main() -> std::io::Result<()> {
/// kettle::run(|| -> std::io::Result<()> {
///     let server = UdpSocket::bind("127.0.0.1:0")?;
///     let addr = server.local_addr()?;
///     // It serves until `run` has its result, and is cancelled then.
///     thread::spawn(move || -> std::io::Result<()> {
///         let mut buf = [0; 1500];
///         loop {
///             let (len, from) = server.recv_from(&mut buf)?;
///             buf[..len].make_ascii_uppercase();
///             server.send_to(&buf[..len], from)?;
///         }
///     });
///
///     let client = UdpSocket::bind("127.0.0.1:0")?;
///     client.connect(addr)?;
///     client.send(b"tea")?;
///     let mut answer = [0; 1500];
///     let len = client.recv(&mut answer)?;
///     assert_eq!(&answer[..len], b"TEA");
///     Ok(())
/// })
/// # }
/// ```
///
/// # What UDP does not promise
///
/// A datagram may be lost, come twice, or after one that was sent later. In a [simulation](crate::testing) that happens
/// between hosts, by the seed. So whether a program bears it can be tested: here one sends until it is answered, and the
/// other one knows what it has heard already.
///
/// ```
/// use kettle::net::{SocketAddr, UdpSocket};
/// use kettle::testing::{explore, host};
/// use kettle::thread;
/// use std::time::Duration;
///
/// explore(0..20, || {
///     let server = host([10, 0, 0, 1], || UdpSocket::bind("10.0.0.1:7").unwrap());
///     let pours = thread::spawn(move || {
///         let mut cups = 0;
///         let mut buf = [0];
///         while cups < 3 {
///             let (_, from) = server.recv_from(&mut buf).unwrap();
///             // One that was poured already is answered again, but not poured: its answer was lost.
///             if buf[0] == cups {
///                 cups += 1;
///             }
///             server.send_to(&buf, from).unwrap();
///         }
///         cups
///     });
///
///     let client = host([10, 0, 0, 2], || UdpSocket::bind("10.0.0.2:0").unwrap());
///     client.connect(SocketAddr::from(([10, 0, 0, 1], 7))).unwrap();
///     client.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
///     for cup in 0..3 {
///         let mut answer = [u8::MAX];
///         while answer[0] != cup && !pours.is_finished() {
///             // A refusal says that the server has gone, and needs no more.
///             _ = client.send(&[cup]).and_then(|_| client.recv(&mut answer));
///         }
///     }
///     assert_eq!(pours.join().unwrap(), 3);
/// });
/// ```
///
/// # Cancellation
///
/// A call of a cancelled task is an error, whose source is [`Cancelled`](crate::Cancelled), unless it is done already: a
/// datagram that has been taken is the result, and one that has not stays for the next call.
pub struct UdpSocket {
    pub(super) socket: Socket<net::UdpSocket>,
}

impl UdpSocket {
    /// Makes a socket with an address, the first of these that can be had: [`std::net::UdpSocket::bind`].
    ///
    /// Port 0 is one that is free, which [`local_addr`](Self::local_addr) tells. The name of a host is looked up while the
    /// thread waits, see [`net`](crate::net).
    ///
    /// # Errors
    ///
    /// That of the last address, or of looking them up; `InvalidInput` if there are none.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<UdpSocket> {
        if simulated(|_| ()).is_some() {
            return each_addr(addr, |addr| {
                let socket = simulated(|network| network.bind(addr)).expect("invariant: a simulation goes on");
                Ok(UdpSocket { socket: Socket::new(socket?.into()) })
            });
        }
        Ok(UdpSocket { socket: Socket::new(net::UdpSocket::bind(addr)?) })
    }

    /// Waits for a datagram, and gives its length and where it comes from: [`std::net::UdpSocket::recv_from`]. A
    /// checkpoint.
    ///
    /// What there is no room for in the buffer is gone. A length of 0 is an empty datagram.
    ///
    /// # Errors
    ///
    /// `WouldBlock` after the [time](Self::set_read_timeout) or in non-blocking mode; those of the system.
    ///
    /// # Cancellation
    ///
    /// An error, whose source is [`Cancelled`](crate::Cancelled). A datagram is received and given, or not received.
    ///
    /// ```
    /// use kettle::net::UdpSocket;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// kettle::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     socket.send_to(b"whistle", socket.local_addr()?)?;
    ///     let mut buf = [0; 4];
    ///     assert_eq!(socket.recv_from(&mut buf)?, (4, socket.local_addr()?));
    ///     assert_eq!(&buf, b"whis");
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.recv_from(buf)
    }

    /// Waits for a datagram that the next call will receive as well: [`std::net::UdpSocket::peek_from`]. A checkpoint.
    ///
    /// # Errors
    ///
    /// As of [`recv_from`](Self::recv_from).
    ///
    /// # Cancellation
    ///
    /// An error, whose source is [`Cancelled`](crate::Cancelled). Nothing is taken in any case.
    ///
    /// ```
    /// use kettle::net::UdpSocket;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// kettle::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     socket.send_to(b"tea", socket.local_addr()?)?;
    ///     let mut buf = [0; 16];
    ///     assert_eq!(socket.peek_from(&mut buf)?.0, 3);
    ///     assert_eq!(socket.recv_from(&mut buf)?.0, 3);
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.peek_from(buf)
    }

    /// Sends a datagram to an address, the first of these: [`std::net::UdpSocket::send_to`]. A checkpoint.
    ///
    /// It waits only while the system has no room for it, and then is under way: that says nothing about its arrival.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if there is no address; those of the system: an address of the other family, a datagram that is too
    /// large, and what an earlier one of a connected socket has met.
    ///
    /// # Cancellation
    ///
    /// An error, whose source is [`Cancelled`](crate::Cancelled). A datagram is sent as a whole, or not.
    pub fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        match addr.to_socket_addrs()?.next() {
            Some(addr) => self.socket.send_to(buf, &addr),
            None => Err(io::Error::new(io::ErrorKind::InvalidInput, "no addresses to send data to")),
        }
    }

    /// The address that it is connected to: [`std::net::UdpSocket::peer_addr`].
    ///
    /// # Errors
    ///
    /// `NotConnected` if there is none.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr_or(net::UdpSocket::peer_addr)
    }

    /// The address that it is bound to: [`std::net::UdpSocket::local_addr`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr_or(net::UdpSocket::local_addr)
    }

    /// Another handle of the same socket, with the same options: [`std::net::UdpSocket::try_clone`]. A datagram is received
    /// by one of them.
    ///
    /// # Errors
    ///
    /// If there is no descriptor left.
    pub fn try_clone(&self) -> io::Result<UdpSocket> {
        Ok(UdpSocket { socket: self.socket.share(self.socket.try_clone()?) })
    }

    /// How long receiving waits, by all clones; `None` is without end: [`std::net::UdpSocket::set_read_timeout`].
    ///
    /// If nothing has come within that time, it is an error of kind `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a time of zero.
    ///
    /// ```
    /// use kettle::net::UdpSocket;
    /// use std::io::ErrorKind;
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// kettle::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     socket.set_read_timeout(Some(Duration::from_millis(4)))?;
    ///     assert_eq!(socket.recv(&mut [0; 16]).unwrap_err().kind(), ErrorKind::WouldBlock);
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn set_read_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(dur)?;
        self.socket.options().read_timeout.set(dur);
        Ok(())
    }

    /// How long sending waits, by all clones; `None` is without end: [`std::net::UdpSocket::set_write_timeout`].
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a time of zero.
    pub fn set_write_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.socket.set_write_timeout(dur)?;
        self.socket.options().write_timeout.set(dur);
        Ok(())
    }

    /// How long receiving waits, as the system rounds it: [`std::net::UdpSocket::read_timeout`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.socket.read_timeout()
    }

    /// How long sending waits, as the system rounds it: [`std::net::UdpSocket::write_timeout`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.socket.write_timeout()
    }

    /// Whether it may send to everybody (`SO_BROADCAST`): [`std::net::UdpSocket::set_broadcast`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.socket.set_broadcast(broadcast)
    }

    /// Whether it may send to everybody: [`std::net::UdpSocket::broadcast`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.socket.broadcast()
    }

    /// Whether this machine hears what it sends to groups (`IP_MULTICAST_LOOP`):
    /// [`std::net::UdpSocket::set_multicast_loop_v4`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_multicast_loop_v4(&self, multicast_loop_v4: bool) -> io::Result<()> {
        self.socket.set_multicast_loop_v4(multicast_loop_v4)
    }

    /// Whether this machine hears what it sends to groups: [`std::net::UdpSocket::multicast_loop_v4`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.socket.multicast_loop_v4()
    }

    /// How many routers a datagram to a group may pass (`IP_MULTICAST_TTL`): [`std::net::UdpSocket::set_multicast_ttl_v4`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_multicast_ttl_v4(&self, multicast_ttl_v4: u32) -> io::Result<()> {
        self.socket.set_multicast_ttl_v4(multicast_ttl_v4)
    }

    /// How many routers a datagram to a group may pass: [`std::net::UdpSocket::multicast_ttl_v4`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.socket.multicast_ttl_v4()
    }

    /// Whether this machine hears what it sends to groups of IPv6 (`IPV6_MULTICAST_LOOP`):
    /// [`std::net::UdpSocket::set_multicast_loop_v6`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_multicast_loop_v6(&self, multicast_loop_v6: bool) -> io::Result<()> {
        self.socket.set_multicast_loop_v6(multicast_loop_v6)
    }

    /// Whether this machine hears what it sends to groups of IPv6: [`std::net::UdpSocket::multicast_loop_v6`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.socket.multicast_loop_v6()
    }

    /// How many routers a datagram may pass (`IP_TTL`): [`std::net::UdpSocket::set_ttl`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.set_ttl(ttl)
    }

    /// How many routers a datagram may pass: [`std::net::UdpSocket::ttl`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.ttl()
    }

    /// Joins a group, on the interface of an address, or on any for `0.0.0.0`: [`std::net::UdpSocket::join_multicast_v4`].
    ///
    /// # Errors
    ///
    /// The system's. `EOPNOTSUPP` in a simulation, which has no groups.
    pub fn join_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        has_groups()?;
        self.socket.join_multicast_v4(multiaddr, interface)
    }

    /// Joins a group of IPv6, on an interface by its index, or on any for 0: [`std::net::UdpSocket::join_multicast_v6`].
    ///
    /// # Errors
    ///
    /// As of [`join_multicast_v4`](Self::join_multicast_v4).
    pub fn join_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        has_groups()?;
        self.socket.join_multicast_v6(multiaddr, interface)
    }

    /// Leaves a group: [`std::net::UdpSocket::leave_multicast_v4`].
    ///
    /// # Errors
    ///
    /// As of [`join_multicast_v4`](Self::join_multicast_v4), and if it is in no such group.
    pub fn leave_multicast_v4(&self, multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        has_groups()?;
        self.socket.leave_multicast_v4(multiaddr, interface)
    }

    /// Leaves a group of IPv6: [`std::net::UdpSocket::leave_multicast_v6`].
    ///
    /// # Errors
    ///
    /// As of [`leave_multicast_v4`](Self::leave_multicast_v4).
    pub fn leave_multicast_v6(&self, multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()> {
        has_groups()?;
        self.socket.leave_multicast_v6(multiaddr, interface)
    }

    /// The error that the socket has, which is cleared by that (`SO_ERROR`): [`std::net::UdpSocket::take_error`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error_or(net::UdpSocket::take_error)
    }

    /// Has it send to one address, and receive from nobody else: [`std::net::UdpSocket::connect`]. No checkpoint: nothing is
    /// sent by that.
    ///
    /// Of several addresses it is the first that will do. One that is connected may be connected again. If nobody is bound at
    /// the address, and its host says so, a later call gives an error of kind `ConnectionRefused`, once.
    ///
    /// # Errors
    ///
    /// That of the last address, or of looking them up; `InvalidInput` if there are none.
    ///
    /// ```
    /// use kettle::net::UdpSocket;
    /// use std::io::ErrorKind;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// kettle::run(|| -> std::io::Result<()> {
    ///     let gone = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     socket.connect(gone)?;
    ///     socket.send(b"tea?")?;
    ///     assert_eq!(socket.recv(&mut [0; 16]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        each_addr(addr, |addr| self.socket.associate_or(addr, |socket| socket.connect(addr)))
    }

    /// Sends a datagram to the address that it is [connected](Self::connect) to: [`std::net::UdpSocket::send`]. A
    /// checkpoint.
    ///
    /// # Errors
    ///
    /// As of [`send_to`](Self::send_to); if it is not connected.
    ///
    /// # Cancellation
    ///
    /// As of [`send_to`](Self::send_to).
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket.send_datagram(buf)
    }

    /// Waits for a datagram, of its peer if it is [connected](Self::connect), and gives its length:
    /// [`std::net::UdpSocket::recv`]. A checkpoint.
    ///
    /// # Errors
    ///
    /// As of [`recv_from`](Self::recv_from); `ConnectionRefused` if one that was sent has found nobody.
    ///
    /// # Cancellation
    ///
    /// As of [`recv_from`](Self::recv_from).
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.recv_datagram(buf)
    }

    /// Waits for a datagram that the next call will receive as well: [`std::net::UdpSocket::peek`]. A checkpoint.
    ///
    /// # Errors
    ///
    /// As of [`recv`](Self::recv).
    ///
    /// # Cancellation
    ///
    /// As of [`peek_from`](Self::peek_from).
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.peek_datagram(buf)
    }

    /// Whether calls, of all clones, give an error of kind `WouldBlock` instead of waiting:
    /// [`std::net::UdpSocket::set_nonblocking`].
    ///
    /// They are checkpoints all the same: other tasks may run before the answer is there.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use kettle::net::UdpSocket;
    /// use std::io::ErrorKind;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// kettle::run(|| -> std::io::Result<()> {
    ///     let socket = UdpSocket::bind("127.0.0.1:0")?;
    ///     socket.set_nonblocking(true)?;
    ///     assert_eq!(socket.recv(&mut [0; 16]).unwrap_err().kind(), ErrorKind::WouldBlock);
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking)?;
        self.socket.options().set_nonblocking(nonblocking);
        Ok(())
    }
}

impl fmt::Debug for UdpSocket {
    /// As std's: the address and the descriptor.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(addr) = self.socket.simulated_addr() else { return self.socket.fmt(f) };
        f.debug_struct("UdpSocket").field("addr", &addr).field("fd", &self.socket.as_fd().as_raw_fd()).finish()
    }
}

/// A simulation has no groups, and who had joined one would wait for ever.
fn has_groups() -> io::Result<()> {
    match simulated(|_| ()) {
        None => Ok(()),
        Some(()) => Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)),
    }
}
