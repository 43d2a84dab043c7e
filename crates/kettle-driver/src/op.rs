//! Owns the words that are spoken with a driver: an [`Op`] goes in, a [`Completion`] comes out, a [`Token`] says whose.
//!
//! An `Op` is plain data with raw descriptors and pointers. What makes them valid is the promise of whoever submits it
//! (SAFETY.md, S3).
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::RawFd;

/// An operation. Its result is what the system call of the same name returns, or the negative of its `errno`.
///
/// Lengths above 2,147,479,552 bytes are cut to that, as Linux does. No operation ends early for a signal.
///
/// # Descriptors and `O_NONBLOCK`
///
/// An operation waits, whatever the descriptor's `O_NONBLOCK` says, with one exception that is the kernel's: io_uring
/// answers `-EAGAIN` at once where the flag is set. So keep descriptors blocking on [`Kind::Uring`](crate::Kind). On
/// [`Kind::Epoll`](crate::Kind) [`Accept`](Op::Accept) and [`Connect`](Op::Connect) set the flag, and leave it set; the
/// others leave it alone.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// `recv`. With `MSG_WAITALL` a stream is read until `len` bytes are there, or its end, an error, or a cancel. Of
    /// datagrams it takes one, and what of that there is no room for is gone; 0 is an empty one.
    Recv {
        /// The socket.
        fd: RawFd,
        /// Where the bytes go.
        buf: *mut u8,
        /// How many at most.
        len: usize,
        /// `MSG_…`.
        flags: i32,
    },
    /// `send`. With `MSG_WAITALL` a stream takes all `len` bytes, unless there is an error or a cancel: then the result
    /// is how many it took. Without `MSG_NOSIGNAL` a peer that has gone is a `SIGPIPE`.
    ///
    /// On a Unix datagram socket pass `MSG_DONTWAIT`, and try again later: where it would have to wait for room at the
    /// receiver's, Linux's io_uring (seen in 6.18) sends an empty datagram instead, and the data is lost. Epoll waits.
    Send {
        /// The socket.
        fd: RawFd,
        /// What to send.
        buf: *const u8,
        /// How many bytes.
        len: usize,
        /// `MSG_…`.
        flags: i32,
    },
    /// `recvmsg`: several buffers, addresses of datagrams, control data. `MSG_WAITALL` has no effect.
    RecvMsg {
        /// The socket.
        fd: RawFd,
        /// The message; what it points to is a buffer as well.
        msg: *mut libc::msghdr,
        /// `MSG_…`.
        flags: i32,
    },
    /// `sendmsg`: several buffers, addresses of datagrams, control data. `MSG_WAITALL` has no effect. For Unix datagrams
    /// see [`Send`](Op::Send).
    SendMsg {
        /// The socket.
        fd: RawFd,
        /// The message; what it points to is a buffer as well.
        msg: *const libc::msghdr,
        /// `MSG_…`.
        flags: i32,
    },
    /// `accept4` with `SOCK_CLOEXEC`. The result is the new descriptor, in blocking mode; it is the caller's.
    Accept {
        /// The listening socket.
        fd: RawFd,
        /// Where the peer's address goes; may be null, together with `addr_len`.
        addr: *mut libc::sockaddr_storage,
        /// In: the room at `addr`. Out: the address's length.
        addr_len: *mut libc::socklen_t,
    },
    /// `connect`, with all queues waited for. A connect that was cancelled leaves the socket half-way: close it.
    Connect {
        /// The socket.
        fd: RawFd,
        /// The peer's address.
        addr: *const libc::sockaddr_storage,
        /// The address's length.
        addr_len: libc::socklen_t,
    },
    /// `read` at the current position: pipes, eventfds, terminals. What can't be waited for (a regular file) is read at
    /// once: by uring beside the thread, by epoll on it.
    Read {
        /// The file.
        fd: RawFd,
        /// Where the bytes go.
        buf: *mut u8,
        /// How many at most.
        len: usize,
    },
    /// `write` at the current position; otherwise as [`Read`](Op::Read).
    Write {
        /// The file.
        fd: RawFd,
        /// What to write.
        buf: *const u8,
        /// How many bytes.
        len: usize,
    },
    /// Waits until a descriptor is ready, once. The result is the `revents` of `poll`, errors and hang-ups included.
    Poll {
        /// What is waited for.
        fd: RawFd,
        /// For what.
        interest: Interest,
    },
    /// Completes at once with 0: for tests, for measuring, to yield to the events.
    Nop,
}

/// What a [`Poll`](Op::Poll) waits for. Who waits for both submits two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interest {
    /// There is something to read or to accept, or the end of it.
    Readable,
    /// There is room to write, or a connect has ended.
    Writable,
}

/// The caller's name for an operation: any number but the two that [`is_reserved`](Token::is_reserved) knows.
///
/// Operations in flight have different tokens; a token may be used again when its completion has been handed out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Token(pub u64);

impl Token {
    /// What the driver's own wait for its [`Notifier`](crate::Notifier) is called.
    pub(crate) const NOTIFIED: Token = Token(u64::MAX);
    /// What the driver's own requests to cancel are called.
    pub(crate) const CANCELLED: Token = Token(u64::MAX - 1);

    /// Whether it is one of the two that a driver keeps for itself: `u64::MAX` and `u64::MAX - 1`.
    ///
    /// ```
    /// use kettle_driver::Token;
    ///
    /// assert!(Token(u64::MAX).is_reserved() && Token(u64::MAX - 1).is_reserved());
    /// assert!(!Token(0).is_reserved());
    /// ```
    pub const fn is_reserved(self) -> bool {
        self.0 >= Token::CANCELLED.0
    }
}

/// How an operation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "the result may be a descriptor, or data that would be lost"]
pub struct Completion {
    /// Which one.
    pub token: Token,
    /// Bytes, a descriptor, a mask of events; or the negative of an `errno`.
    pub result: i32,
}

impl Completion {
    /// The result in std's words.
    ///
    /// # Errors
    ///
    /// The operation's own. One that was cancelled has `ECANCELED`.
    ///
    /// ```
    /// use kettle_driver::{Completion, Token};
    ///
    /// let token = Token(7);
    /// assert_eq!(Completion { token, result: 12 }.into_result().unwrap(), 12);
    /// let refused = Completion { token, result: -libc::ECONNREFUSED }.into_result().unwrap_err();
    /// assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    /// ```
    pub fn into_result(self) -> io::Result<usize> {
        usize::try_from(self.result).map_err(|_| io::Error::from_raw_os_error(self.result.wrapping_neg()))
    }
}

/// What came of submitting an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "an operation that is done has no completion"]
pub enum Submitted {
    /// It has ended, with this result, and there will be no completion: see [`Completion::result`].
    Done(i32),
    /// It is in flight. Its completion comes out of [`Driver::wait`](crate::Driver::wait), once.
    Pending,
}

/// How many bytes Linux moves at most in one call.
pub(crate) const MOST_BYTES: usize = 0x7fff_f000;
