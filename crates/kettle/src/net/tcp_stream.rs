//! Owns `TcpStream`: std's, whose calls suspend the task where std's block the thread.
#![forbid(unsafe_code)]

use super::options::Patience;
use super::socket::{Socket, stream_to};
use kettle_rt::simulated;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{self, Shutdown, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// A connection between a local and a remote socket: [`std::net::TcpStream`].
///
/// Reading and writing are by [`Read`] and [`Write`], for the stream and for a reference to it, so that one task can read
/// while another writes. Each is a checkpoint. Dropping the stream closes it.
///
/// ```
/// use kettle::net::{Shutdown, TcpListener, TcpStream};
/// use kettle::thread;
/// use std::io::{Read, Write};
///
/// # fn main() -> std::io::Result<()> {
/// kettle::run(|| -> std::io::Result<()> {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let addr = listener.local_addr()?;
///     let echo = thread::spawn(move || {
///         let (stream, _) = listener.accept()?;
///         std::io::copy(&mut &stream, &mut &stream)
///     });
///
///     let mut stream = TcpStream::connect(addr)?;
///     stream.write_all(b"put the kettle on")?;
///     stream.shutdown(Shutdown::Write)?;
///     let mut heard = String::new();
///     stream.read_to_string(&mut heard)?;
///     assert_eq!(heard, "put the kettle on");
///     assert_eq!(echo.join().unwrap()?, 17);
///     Ok(())
/// })
/// # }
/// ```
///
/// # Cancellation
///
/// A read or write of a cancelled task is an error, whose source is [`Cancelled`](crate::Cancelled), unless something has
/// been moved already: then that is the result.
pub struct TcpStream {
    pub(super) socket: Socket<net::TcpStream>,
}

impl TcpStream {
    /// Opens a connection: [`std::net::TcpStream::connect`]. A checkpoint.
    ///
    /// Addresses are tried in their order until one answers. The name of a host is looked up while the thread waits, see
    /// [`net`](crate::net).
    ///
    /// # Errors
    ///
    /// That of the last address, or of looking them up; `InvalidInput` if there are none.
    ///
    /// # Cancellation
    ///
    /// An error, whose source is [`Cancelled`](crate::Cancelled); the connection is closed, as far as it had come.
    ///
    /// ```
    /// use kettle::net::{TcpListener, TcpStream};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// kettle::run(|| -> std::io::Result<()> {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let stream = TcpStream::connect(listener.local_addr()?)?;
    ///     assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        let mut last = None;
        for addr in addr.to_socket_addrs()? {
            match Self::connect_to(&addr, Patience::Endless) {
                Ok(stream) => return Ok(stream),
                Err(error) if kettle_rt::is_cancelled() => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "could not resolve to any addresses")))
    }

    /// Opens a connection to one address within a time: [`std::net::TcpStream::connect_timeout`]. A checkpoint.
    ///
    /// # Errors
    ///
    /// `TimedOut` if the time is over before; `InvalidInput` if it is zero; what else can happen to a connection.
    ///
    /// # Cancellation
    ///
    /// As of [`connect`](Self::connect).
    ///
    /// ```
    /// use kettle::net::{TcpListener, TcpStream};
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// kettle::run(|| -> std::io::Result<()> {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     TcpStream::connect_timeout(&listener.local_addr()?, Duration::from_secs(10))?;
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        if timeout.is_zero() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "cannot set a 0 duration timeout"));
        }
        Self::connect_to(addr, Patience::of(timeout))
    }

    fn connect_to(addr: &SocketAddr, patience: Patience) -> io::Result<TcpStream> {
        let socket = Socket::new(net::TcpStream::from(stream_to(addr)?));
        match socket.connect(addr, patience) {
            Some(Ok(())) => {
                // Some drivers connect in non-blocking mode.
                socket.set_nonblocking(false)?;
                Ok(TcpStream { socket })
            }
            Some(Err(error)) => Err(error),
            // A simulation's time stands still while nobody can wait.
            None if simulated(|_| ()).is_some() => Err(io::ErrorKind::WouldBlock.into()),
            None => {
                let connected = match patience.time_left() {
                    Some(left) => net::TcpStream::connect_timeout(addr, left),
                    None => net::TcpStream::connect(addr),
                };
                Ok(TcpStream { socket: Socket::new(connected?) })
            }
        }
    }

    /// The address of the remote end: [`std::net::TcpStream::peer_addr`].
    ///
    /// # Errors
    ///
    /// If the stream is connected no more.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr_or(net::TcpStream::peer_addr)
    }

    /// The address of the local end: [`std::net::TcpStream::local_addr`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr_or(net::TcpStream::local_addr)
    }

    /// Ends reading, writing, or both, for all clones: [`std::net::TcpStream::shutdown`].
    ///
    /// Tasks that wait for what is ended go on: a read with 0 bytes, a write with an error.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the stream is connected no more.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown_or(how, |stream| stream.shutdown(how))
    }

    /// Another handle of the same stream, with the same options: [`std::net::TcpStream::try_clone`].
    ///
    /// # Errors
    ///
    /// If there is no descriptor left.
    pub fn try_clone(&self) -> io::Result<TcpStream> {
        Ok(TcpStream { socket: self.socket.share(self.socket.try_clone()?) })
    }

    /// How long reads wait, of all clones; `None` is without end: [`std::net::TcpStream::set_read_timeout`].
    ///
    /// A read for which nothing has come within that time is an error of kind `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a time of zero.
    ///
    /// ```
    /// use kettle::net::{TcpListener, TcpStream};
    /// use std::io::{ErrorKind, Read};
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// kettle::run(|| -> std::io::Result<()> {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let mut stream = TcpStream::connect(listener.local_addr()?)?;
    ///     stream.set_read_timeout(Some(Duration::from_millis(4)))?;
    ///     assert_eq!(stream.read(&mut [0; 16]).unwrap_err().kind(), ErrorKind::WouldBlock);
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn set_read_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(dur)?;
        self.socket.options().read_timeout.set(dur);
        Ok(())
    }

    /// How long writes wait, of all clones; `None` is without end: [`std::net::TcpStream::set_write_timeout`].
    ///
    /// A write that could move nothing within that time is an error of kind `WouldBlock`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a time of zero.
    pub fn set_write_timeout(&self, dur: Option<Duration>) -> io::Result<()> {
        self.socket.set_write_timeout(dur)?;
        self.socket.options().write_timeout.set(dur);
        Ok(())
    }

    /// How long reads wait, as the system rounds it: [`std::net::TcpStream::read_timeout`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.socket.read_timeout()
    }

    /// How long writes wait, as the system rounds it: [`std::net::TcpStream::write_timeout`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.socket.write_timeout()
    }

    /// Reads what the next read will read as well: [`std::net::TcpStream::peek`]. A checkpoint.
    ///
    /// # Errors
    ///
    /// As of a read.
    ///
    /// # Cancellation
    ///
    /// An error, whose source is [`Cancelled`](crate::Cancelled). Nothing is taken out of the stream in any case.
    ///
    /// ```
    /// use kettle::net::{TcpListener, TcpStream};
    /// use std::io::{Read, Write};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// kettle::run(|| -> std::io::Result<()> {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     TcpStream::connect(listener.local_addr()?)?.write_all(b"tea")?;
    ///     let (mut stream, _) = listener.accept()?;
    ///     let mut first = [0];
    ///     stream.peek(&mut first)?;
    ///     assert_eq!(&first, b"t");
    ///     stream.read(&mut first)?;
    ///     assert_eq!(&first, b"t");
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.peek(buf)
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`): [`std::net::TcpStream::set_nodelay`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket.set_nodelay(nodelay)
    }

    /// Whether small writes are sent at once: [`std::net::TcpStream::nodelay`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket.nodelay()
    }

    /// How many routers a packet may pass (`IP_TTL`): [`std::net::TcpStream::set_ttl`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.set_ttl(ttl)
    }

    /// How many routers a packet may pass: [`std::net::TcpStream::ttl`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.ttl()
    }

    /// The error that the socket has, which is cleared by that (`SO_ERROR`): [`std::net::TcpStream::take_error`].
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error_or(net::TcpStream::take_error)
    }

    /// Whether calls, of all clones, give an error of kind `WouldBlock` instead of waiting:
    /// [`std::net::TcpStream::set_nonblocking`].
    ///
    /// They are checkpoints all the same: other tasks may run before the answer is there, so that a task which asks again
    /// and again does not keep from happening what it asks for.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use kettle::net::{TcpListener, TcpStream};
    /// use std::io::{ErrorKind, Read};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// kettle::run(|| -> std::io::Result<()> {
    ///     let listener = TcpListener::bind("127.0.0.1:0")?;
    ///     let mut stream = TcpStream::connect(listener.local_addr()?)?;
    ///     stream.set_nonblocking(true)?;
    ///     assert_eq!(stream.read(&mut [0; 16]).unwrap_err().kind(), ErrorKind::WouldBlock);
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

impl Read for TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.socket.recv_vectored(bufs)
    }
}

impl Read for &TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.socket.recv_vectored(bufs)
    }
}

impl Write for TcpStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.socket.send(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.send_vectored(bufs)
    }

    /// Nothing is held back.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for &TcpStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.socket.send(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.send_vectored(bufs)
    }

    /// Nothing is held back.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for TcpStream {
    /// As std's: the addresses of both ends, and the descriptor.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(addr) = self.socket.simulated_addr() else { return self.socket.fmt(f) };
        let mut told = f.debug_struct("TcpStream");
        told.field("addr", &addr);
        if let Ok(peer) = self.peer_addr() {
            told.field("peer", &peer);
        }
        told.field("fd", &self.socket.as_fd().as_raw_fd()).finish()
    }
}
