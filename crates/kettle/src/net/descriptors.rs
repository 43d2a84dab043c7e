//! Owns what turns sockets into descriptors and into std's sockets, and back. Who gives one away gives it in the mode that
//! was asked for.
//!
//! The unsafe code of this module passes an obligation on.

use super::socket::Socket;
use super::tcp_listener::TcpListener;
use super::tcp_stream::TcpStream;
use super::udp_socket::UdpSocket;
use std::net;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl IntoRawFd for TcpStream {
    fn into_raw_fd(self) -> RawFd {
        net::TcpStream::from(self).into_raw_fd()
    }
}

impl FromRawFd for TcpStream {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the obligation is the same.
        Self::from(unsafe { net::TcpStream::from_raw_fd(fd) })
    }
}

impl From<OwnedFd> for TcpStream {
    /// With the timeouts and in the mode that it has.
    fn from(fd: OwnedFd) -> Self {
        Self::from(net::TcpStream::from(fd))
    }
}

impl From<TcpStream> for OwnedFd {
    fn from(stream: TcpStream) -> Self {
        net::TcpStream::from(stream).into()
    }
}

impl From<net::TcpStream> for TcpStream {
    /// With the timeouts and in the mode that it has.
    fn from(stream: net::TcpStream) -> Self {
        Self { socket: Socket::adopt(stream) }
    }
}

impl From<TcpStream> for net::TcpStream {
    fn from(stream: TcpStream) -> Self {
        stream.socket.into_inner()
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl IntoRawFd for TcpListener {
    fn into_raw_fd(self) -> RawFd {
        net::TcpListener::from(self).into_raw_fd()
    }
}

impl FromRawFd for TcpListener {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the obligation is the same.
        Self::from(unsafe { net::TcpListener::from_raw_fd(fd) })
    }
}

impl From<OwnedFd> for TcpListener {
    /// In the mode that it has.
    fn from(fd: OwnedFd) -> Self {
        Self::from(net::TcpListener::from(fd))
    }
}

impl From<TcpListener> for OwnedFd {
    fn from(listener: TcpListener) -> Self {
        net::TcpListener::from(listener).into()
    }
}

impl From<net::TcpListener> for TcpListener {
    /// In the mode that it has.
    fn from(listener: net::TcpListener) -> Self {
        Self { socket: Socket::adopt(listener) }
    }
}

impl From<TcpListener> for net::TcpListener {
    fn from(listener: TcpListener) -> Self {
        let is_nonblocking = listener.socket.is_nonblocking();
        let listener = listener.socket.into_inner();
        // A driver that accepts in non-blocking mode has left it in that. What this can't change, nobody can use.
        _ = listener.set_nonblocking(is_nonblocking);
        listener
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl IntoRawFd for UdpSocket {
    fn into_raw_fd(self) -> RawFd {
        net::UdpSocket::from(self).into_raw_fd()
    }
}

impl FromRawFd for UdpSocket {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the obligation is the same.
        Self::from(unsafe { net::UdpSocket::from_raw_fd(fd) })
    }
}

impl From<OwnedFd> for UdpSocket {
    /// With the timeouts and in the mode that it has.
    fn from(fd: OwnedFd) -> Self {
        Self::from(net::UdpSocket::from(fd))
    }
}

impl From<UdpSocket> for OwnedFd {
    fn from(socket: UdpSocket) -> Self {
        net::UdpSocket::from(socket).into()
    }
}

impl From<net::UdpSocket> for UdpSocket {
    /// With the timeouts and in the mode that it has.
    fn from(socket: net::UdpSocket) -> Self {
        Self { socket: Socket::adopt(socket) }
    }
}

impl From<UdpSocket> for net::UdpSocket {
    fn from(socket: UdpSocket) -> Self {
        socket.socket.into_inner()
    }
}
