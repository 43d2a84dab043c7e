//! Owns the sockets that tests begin with, on ports that the system chooses.

#![allow(dead_code, reason = "each of the test files that include it uses its part")]

use kettle::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use kettle::thread;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// Whether the network is simulated: then its transfers are short at times, and only time that all wait for passes.
pub(crate) fn is_simulated() -> bool {
    std::env::var_os("KETTLE_DRIVER").is_some_and(|driver| driver == "sim")
}

/// A listener on a port of its own, and its address.
pub(crate) fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// Both ends of a connection.
pub(crate) fn pair() -> (TcpStream, TcpStream) {
    let (listener, addr) = listener();
    let one = TcpStream::connect(addr).unwrap();
    (one, listener.accept().unwrap().0)
}

/// A socket for datagrams on a port of its own, and its address.
pub(crate) fn udp() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// Two sockets for datagrams that are connected to each other.
pub(crate) fn udp_pair() -> (UdpSocket, UdpSocket) {
    let ((one, one_addr), (other, other_addr)) = (udp(), udp());
    one.connect(other_addr).unwrap();
    other.connect(one_addr).unwrap();
    (one, other)
}

/// Both ends of a connection, the second one std's.
pub(crate) fn pair_with_std() -> (TcpStream, std::net::TcpStream) {
    let (one, other) = pair();
    (one, other.into())
}

/// Does it in an event loop for each kind of address that this machine has.
pub(crate) fn each_ip(f: impl Fn(TcpListener, SocketAddr)) {
    kettle::run(|| {
        for ip in ["127.0.0.1:0", "[::1]:0"] {
            match TcpListener::bind(ip) {
                Ok(listener) => {
                    let addr = listener.local_addr().unwrap();
                    f(listener, addr);
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::AddrNotAvailable, "{ip}"),
            }
        }
    });
}

/// An address where nobody listens, nor can as long as these ends of a connection are there.
pub(crate) fn refusing() -> ((TcpStream, TcpStream), SocketAddr) {
    let (one, other) = pair();
    let addr = one.local_addr().unwrap();
    ((one, other), addr)
}

/// A listener which answers nobody, and who is first in the queue.
pub(crate) fn silent() -> (TcpListener, SocketAddr, TcpStream) {
    let (listener, addr) = listener();
    // SAFETY: no pointers; it makes the queue of a listener shorter.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    let first = TcpStream::connect(addr).unwrap();
    (listener, addr, first)
}

/// Closes it with a reset.
pub(crate) fn reset(stream: impl AsFd) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let (fd, value) = (stream.as_fd().as_raw_fd(), (&raw const linger).cast());
    // SAFETY: the option is of this type, and a variable.
    let set = unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, value, size_of_val(&linger) as u32) };
    assert_eq!(set, 0);
    drop(stream);
}

/// Whether it is the error of a cancelled task.
pub(crate) fn is_cancelled(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|source| source.is::<kettle::Cancelled>())
}

/// That a call has ended because its task was cancelled, and says so.
#[track_caller]
pub(crate) fn assert_cancelled<T>(result: io::Result<T>) {
    match result {
        Ok(_) => panic!("it was not cancelled"),
        Err(error) => assert!(is_cancelled(&error) && error.kind() == ErrorKind::Other, "{error:?}"),
    }
}

/// Some turns, so that what waits is under way on each driver.
pub(crate) fn let_others_run() {
    for _ in 0..3 {
        thread::yield_now();
    }
    thread::sleep(Duration::from_nanos(1));
}
