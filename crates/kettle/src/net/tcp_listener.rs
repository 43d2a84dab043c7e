//! Owns `TcpListener`: std's, whose `accept` suspends the task where std's blocks the thread.
#![forbid(unsafe_code)]

use super::address::each_addr;
use super::socket::Socket;
use super::tcp_stream::TcpStream;
use kettle_rt::simulated;
use std::fmt;
use std::io;
use std::iter::FusedIterator;
use std::net::{self, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd};

/// A socket that listens for connections: [`std::net::TcpListener`]. Dropping it closes it.
///
/// ```
/// use kettle::net::{TcpListener, TcpStream};
/// use kettle::thread;
/// use std::io::{Read, Write};
///
/// # fn main() -> std::io::Result<()> {
/// kettle::run(|| -> std::io::Result<()> {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let addr = listener.local_addr()?;
///     // It serves until `run` has its result, and is cancelled then.
///     thread::spawn(move || {
///         for stream in listener.incoming() {
///             let mut stream = stream?;
///             thread::spawn(move || stream.write_all(b"tea"));
///         }
///         std::io::Result::Ok(())
///     });
///
///     for _ in 0..3 {
///         let mut served = String::new();
///         TcpStream::connect(addr)?.read_to_string(&mut served)?;
///         assert_eq!(served, "tea");
///     }
///     Ok(())
/// })
/// # }
/// ```
pub struct TcpListener {
    pub(super) socket: Socket<net::TcpListener>,
}

impl TcpListener {
    /// Listens at an address, the first of these that can be had: [`std::net::TcpListener::bind`].
    ///
    /// Port 0 is one that is free, which [`local_addr`](Self::local_addr) tells. The name of a host is looked up while the
    /// thread waits, see [`net`](crate::net).
    ///
    /// Connections that nobody has accepted yet wait in a queue as long as the system allows (`somaxconn`); std's has 128
    /// places. Who accepts shares a thread with all that the other tasks do.
    ///
    /// # Errors
    ///
    /// That of the last address, or of looking them up.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        if simulated(|_| ()).is_some() {
            return each_addr(addr, |addr| {
                let listener = simulated(|network| network.listen(addr)).expect("invariant: a simulation goes on");
                Ok(TcpListener { socket: Socket::new(listener?.into()) })
            });
        }
        let socket = Socket::new(net::TcpListener::bind(addr)?);
        socket.lengthen_queue()?;
        Ok(TcpListener { socket })
    }

    /// One that others accept from as well, each with a descriptor of the same listener. Its mode is theirs, too, so it
    /// is no word of how this one is to wait: it waits.
    pub(crate) fn inherited(listener: net::TcpListener) -> Self {
        Self { socket: Socket::new(listener) }
    }

    /// The address that it listens at: [`std::net::TcpListener::local_addr`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr_or(net::TcpListener::local_addr)
    }

    /// Another handle of the same listener: [`std::net::TcpListener::try_clone`]. A connection is accepted by one of them.
    ///
    /// # Errors
    ///
    /// If there is no descriptor left.
    pub fn try_clone(&self) -> io::Result<TcpListener> {
        Ok(TcpListener { socket: self.socket.share(self.socket.try_clone()?) })
    }

    /// Waits for a connection, and gives it with the address that it comes from: [`std::net::TcpListener::accept`]. A
    /// checkpoint.
    ///
    /// # Errors
    ///
    /// Those of the system. With no descriptor left it is an error at once, and the connection stays where it is: a server
    /// that tries again should close or wait for something first.
    ///
    /// # Cancellation
    ///
    /// An error, whose source is [`Cancelled`](crate::Cancelled). A connection is accepted and given, or not accepted.
    ///
    /// ```
    /// use kettle::net::{TcpListener, TcpStream};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// kettle::run(|| -> std::io::Result<()> {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let there = TcpStream::connect(listener.local_addr()?)?;
    ///     let (here, addr) = listener.accept()?;
    ///     assert_eq!(addr, there.local_addr()?);
    ///     assert_eq!(here.peer_addr()?, addr);
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, addr) = self.socket.accept()?;
        Ok((TcpStream { socket: Socket::new(stream.into()) }, addr))
    }

    /// The connections as they come: [`std::net::TcpListener::incoming`]. It does not end; each `next` is an
    /// [`accept`](Self::accept).
    ///
    /// As of std's, what skips errors (`flatten`) tries again and again while there are no descriptors left. Its neighbours run
    /// meanwhile, and it goes on when one of them closes something; a server that expects that pauses at an error.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// How many routers a packet may pass (`IP_TTL`): [`std::net::TcpListener::set_ttl`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.set_ttl(ttl)
    }

    /// How many routers a packet may pass: [`std::net::TcpListener::ttl`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.ttl()
    }

    /// The error that the socket has, which is cleared by that (`SO_ERROR`): [`std::net::TcpListener::take_error`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error_or(net::TcpListener::take_error)
    }

    /// Whether accepting, by all clones, gives an error of kind `WouldBlock` instead of waiting:
    /// [`std::net::TcpListener::set_nonblocking`].
    ///
    /// It is a checkpoint all the same: other tasks may run before the answer is there. Connections that are accepted wait.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use kettle::net::TcpListener;
    /// use std::io::ErrorKind;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// kettle::run(|| -> std::io::Result<()> {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     listener.set_nonblocking(true)?;
    ///     assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
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

impl fmt::Debug for TcpListener {
    /// As std's: the address and the descriptor.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(addr) = self.socket.simulated_addr() else { return self.socket.fmt(f) };
        f.debug_struct("TcpListener").field("addr", &addr).field("fd", &self.socket.as_fd().as_raw_fd()).finish()
    }
}

/// The connections of a [`TcpListener`], without an end: [`std::net::Incoming`].
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    /// Waits for the next connection. A checkpoint.
    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}

impl FusedIterator for Incoming<'_> {}
