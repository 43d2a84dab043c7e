//! `std::net` for tasks: the same names, with std's signatures and meaning. A call that would block suspends the task, and
//! the thread runs others meanwhile.
//!
//! ```
//! use kettle::net::{TcpListener, TcpStream};
//! use kettle::thread;
//! use std::io::{Read, Write};
//!
//! # fn main() -> std::io::Result<()> {
//! let heard = kettle::run(|| -> std::io::Result<String> {
//!     let listener = TcpListener::bind("127.0.0.1:0")?;
//!     let addr = listener.local_addr()?;
//!     let kettle = thread::spawn(move || TcpStream::connect(addr)?.write_all(b"the water boils"));
//!
//!     let (mut stream, _) = listener.accept()?;
//!     let mut heard = String::new();
//!     stream.read_to_string(&mut heard)?;
//!     kettle.join().unwrap()?;
//!     Ok(heard)
//! })?;
//! assert_eq!(heard, "the water boils");
//! # Ok(())
//! # }
//! ```
//!
//! # Outside of tasks
//!
//! Where no event loop runs, and in a task that is unwinding, each call does what std's does: it blocks the thread. Sockets
//! are `Send` and `Sync`, may move between threads and loops, and several tasks may use one at a time.
//!
//! # In a simulation
//!
//! Where the event loop is a [simulation](crate::testing), so is the network: sockets that are made there reach each other,
//! and nobody else. Their options are kept and have no effect, but for timeouts, the non-blocking mode, and a reset on close
//! (`SO_LINGER` with a time of zero). A socket that was made elsewhere gives errors in there (`EOPNOTSUPP`) where it would
//! wait, and one of a simulation is connected to nothing outside. A call of a task that is unwinding does not wait, for
//! nobody would have time pass: it gives an error of kind `WouldBlock` instead.
//!
//! What a host sends to itself by UDP arrives, once and in its order, if the receiver has room for it. Between hosts some
//! datagrams are lost, come twice, or out of order; see [`UdpSocket`]. There are no groups to join and nothing that reaches
//! everybody: multicast and broadcast give errors.
//!
//! # Cancellation
//!
//! A call of a cancelled task gives an error, whose source is [`Cancelled`](crate::Cancelled); nothing that has arrived is
//! lost by that, and no descriptor. A task that goes on all the same is unwound by its next call.
//!
//! # Names of hosts
//!
//! Looking up a name ([`ToSocketAddrs`]) blocks the thread, and all tasks on it, as it does in std. Addresses that are
//! written out, like `"127.0.0.1:80"` and `("::1", 80)`, are not looked up.
//!
//! # Descriptors
//!
//! `AsFd`, `Into<OwnedFd>` and all their kin are there, as are conversions from and into std's types. Timeouts and the
//! non-blocking mode are the descriptor's own as well, so they go with it either way; what is changed about them by way of
//! a borrowed descriptor is not noticed here. A listener that is borrowed may be in non-blocking mode, because an event
//! loop's driver has put it there; one that is given away by value is in the mode that was asked for.
//!
//! A socket belongs to no loop. One that moves to another thread's loop, and has a number that this loop knows from a socket
//! closed on a third thread, may be heard there with a delay of some milliseconds, once.

mod address;
mod options;
mod socket;
mod tcp_stream;
mod tcp_listener;
mod udp_socket;
mod descriptors;

pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs,
};
pub use tcp_listener::{Incoming, TcpListener};
pub use tcp_stream::TcpStream;
pub use udp_socket::UdpSocket;
