//! Owns a socket and the operations on it that may block: the one place where `net` asks the event loop for something.
//!
//! An operation's buffers are borrowed by the function that asks for it, and it returns when the operation has ended (S3).
//! Where there is no task to suspend, the same operation is tried by its system call and waited for by `poll`; neither
//! depends on the descriptor's `O_NONBLOCK`, which a driver may have set.
//!
//! The unsafe code of this module is operations and system calls, each on a descriptor that the socket owns.

use super::address::Address;
use super::options::{Options, Patience, Timeout};
use kettle_rt::driver::{Interest, Op};
use kettle_rt::{
    Outcome, adopt, attempt as attempt_simulated, cancelled, checkpoint, now, operate, release, simulated,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::{self, ManuallyDrop};
use std::net::{Shutdown, SocketAddr};
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How many buffers the kernel takes at once.
const MOST_BUFFERS: usize = libc::UIO_MAXIOV as usize;

/// A socket of std's, which does all that doesn't block.
pub(super) struct Socket<S: AsFd + Into<OwnedFd>> {
    /// Taken out by `drop` and by `into_inner`, which are the last to use it.
    inner: ManuallyDrop<S>,
    /// Shared by clones. Absent as long as there are none, and everything is as with a new socket.
    options: OnceLock<Arc<Options>>,
}

impl<S: AsFd + Into<OwnedFd>> Socket<S> {
    /// One that was made here: it waits, without end.
    pub(super) fn new(inner: S) -> Self {
        Self::with(inner, OnceLock::new())
    }

    fn with(inner: S, options: OnceLock<Arc<Options>>) -> Self {
        adopt(inner.as_fd());
        Self { inner: ManuallyDrop::new(inner), options }
    }

    /// One that was somebody else's, with the options that it has.
    pub(super) fn adopt(inner: S) -> Self {
        let fd = inner.as_fd();
        let is_nonblocking = is_nonblocking(fd);
        let [read_timeout, write_timeout] = [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO].map(|name| timeout(fd, name));
        let socket = Self::new(inner);
        if is_nonblocking || read_timeout.is_some() || write_timeout.is_some() {
            let options = socket.options();
            options.set_nonblocking(is_nonblocking);
            options.read_timeout.set(read_timeout);
            options.write_timeout.set(write_timeout);
        }
        socket
    }

    /// Another handle of the same socket, which std has made.
    pub(super) fn share(&self, inner: S) -> Self {
        simulated(|network| network.cloned(self.as_fd(), inner.as_fd()));
        Self::with(inner, OnceLock::from(Arc::clone(self.options())))
    }

    /// Gives it away.
    pub(super) fn into_inner(self) -> S {
        let mut this = ManuallyDrop::new(self);
        drop(mem::take(&mut this.options));
        release(this.inner.as_fd());
        // SAFETY: neither it nor the socket is used again: `this` is not dropped.
        unsafe { ManuallyDrop::take(&mut this.inner) }
    }

    pub(super) fn options(&self) -> &Arc<Options> {
        self.options.get_or_init(Arc::default)
    }

    pub(super) fn is_nonblocking(&self) -> bool {
        self.options.get().is_some_and(|options| options.is_nonblocking())
    }

    fn fd(&self) -> RawFd {
        self.inner.as_fd().as_raw_fd()
    }

    #[inline]
    fn patience(&self, timeout: impl FnOnce(&Options) -> &Timeout) -> Patience {
        self.options.get().map_or(Patience::Endless, |options| options.patience(timeout(options)))
    }

    // --- operations ---

    /// Receives into a buffer. A checkpoint, unless there is no room in it.
    #[inline]
    pub(super) fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.recv_with(buf, 0)
    }

    /// Receives what stays there. A checkpoint, unless there is no room in the buffer.
    pub(super) fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.recv_with(buf, libc::MSG_PEEK)
    }

    #[inline]
    fn recv_with(&self, buf: &mut [u8], flags: i32) -> io::Result<usize> {
        let patience = self.patience(|options| &options.read_timeout);
        let flags = flags | patience.flags();
        let op = Op::Recv { fd: self.fd(), buf: buf.as_mut_ptr(), len: buf.len(), flags };
        if buf.is_empty() {
            // SAFETY: no bytes are moved.
            return unsafe { none(op) };
        }
        // SAFETY: the buffer is borrowed until the operation has ended.
        unsafe { perform(op, Interest::Readable, patience) }.map(count)
    }

    /// Sends from a buffer. A checkpoint, unless there is nothing in it.
    #[inline]
    pub(super) fn send(&self, buf: &[u8]) -> io::Result<usize> {
        let patience = self.patience(|options| &options.write_timeout);
        let flags = libc::MSG_NOSIGNAL | patience.flags();
        let op = Op::Send { fd: self.fd(), buf: buf.as_ptr(), len: buf.len(), flags };
        if buf.is_empty() {
            // SAFETY: no bytes are moved.
            return unsafe { none(op) };
        }
        // SAFETY: the buffer is borrowed until the operation has ended.
        unsafe { perform(op, Interest::Writable, patience) }.map(count)
    }

    /// Receives into several buffers. A checkpoint, unless there is no room in any.
    pub(super) fn recv_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if bufs.iter().take(MOST_BUFFERS).all(|buf| buf.is_empty()) {
            // What std says to that, which waits for nothing.
            // SAFETY: no buffers.
            return moved(unsafe { libc::readv(self.fd(), ptr::null(), 0) });
        }
        let patience = self.patience(|options| &options.read_timeout);
        // `IoSliceMut` is an `iovec`: std says so.
        let mut msg = message(bufs.as_mut_ptr().cast(), bufs.len());
        let op = Op::RecvMsg { fd: self.fd(), msg: &raw mut msg, flags: patience.flags() };
        // SAFETY: the buffers are borrowed, and the message is a variable, until the operation has ended.
        unsafe { perform(op, Interest::Readable, patience) }.map(count)
    }

    /// Sends from several buffers. A checkpoint, unless there is nothing in any.
    pub(super) fn send_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if bufs.iter().take(MOST_BUFFERS).all(|buf| buf.is_empty()) {
            // What std says to that, which waits for nothing.
            // SAFETY: no buffers.
            return moved(unsafe { libc::writev(self.fd(), ptr::null(), 0) });
        }
        let patience = self.patience(|options| &options.write_timeout);
        let flags = libc::MSG_NOSIGNAL | patience.flags();
        // `IoSlice` is an `iovec`: std says so. It is only read.
        let msg = message(bufs.as_ptr().cast_mut().cast(), bufs.len());
        let op = Op::SendMsg { fd: self.fd(), msg: &raw const msg, flags };
        // SAFETY: as for `recv_vectored`.
        unsafe { perform(op, Interest::Writable, patience) }.map(count)
    }

    /// Receives a datagram: what there is no room for is gone, and 0 bytes are an empty one. A checkpoint.
    pub(super) fn recv_datagram(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.take_datagram(buf, 0)
    }

    /// Receives a datagram that stays there. A checkpoint.
    pub(super) fn peek_datagram(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.take_datagram(buf, libc::MSG_PEEK)
    }

    fn take_datagram(&self, buf: &mut [u8], flags: i32) -> io::Result<usize> {
        let patience = self.patience(|options| &options.read_timeout);
        let flags = flags | patience.flags();
        let op = Op::Recv { fd: self.fd(), buf: buf.as_mut_ptr(), len: buf.len(), flags };
        // SAFETY: the buffer is borrowed until the operation has ended.
        unsafe { perform(op, Interest::Readable, patience) }.map(count)
    }

    /// Receives a datagram and its sender's address. A checkpoint.
    pub(super) fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.take_datagram_from(buf, 0)
    }

    /// Receives a datagram that stays there, and its sender's address. A checkpoint.
    pub(super) fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.take_datagram_from(buf, libc::MSG_PEEK)
    }

    fn take_datagram_from(&self, buf: &mut [u8], flags: i32) -> io::Result<(usize, SocketAddr)> {
        let patience = self.patience(|options| &options.read_timeout);
        let (mut address, len) = Address::room();
        let mut part = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
        let mut msg = message(&raw mut part, 1);
        msg.msg_name = (&raw mut address).cast();
        msg.msg_namelen = len;
        let op = Op::RecvMsg { fd: self.fd(), msg: &raw mut msg, flags: flags | patience.flags() };
        // SAFETY: the buffer is borrowed, and all else are variables, until the operation has ended.
        let count = unsafe { perform(op, Interest::Readable, patience) }.map(count)?;
        Ok((count, address.get()?))
    }

    /// Sends a datagram to where the socket is connected to. A checkpoint.
    pub(super) fn send_datagram(&self, buf: &[u8]) -> io::Result<usize> {
        let patience = self.patience(|options| &options.write_timeout);
        let flags = libc::MSG_NOSIGNAL | patience.flags();
        let op = Op::Send { fd: self.fd(), buf: buf.as_ptr(), len: buf.len(), flags };
        // SAFETY: the buffer is borrowed until the operation has ended.
        unsafe { perform(op, Interest::Writable, patience) }.map(count)
    }

    /// Sends a datagram to an address. A checkpoint.
    pub(super) fn send_to(&self, buf: &[u8], addr: &SocketAddr) -> io::Result<usize> {
        let patience = self.patience(|options| &options.write_timeout);
        let flags = libc::MSG_NOSIGNAL | patience.flags();
        let (mut address, len) = Address::of(addr);
        // It is only read.
        let mut part = libc::iovec { iov_base: buf.as_ptr().cast_mut().cast(), iov_len: buf.len() };
        let mut msg = message(&raw mut part, 1);
        msg.msg_name = (&raw mut address).cast();
        msg.msg_namelen = len;
        let op = Op::SendMsg { fd: self.fd(), msg: &raw const msg, flags };
        // SAFETY: as for `take_datagram_from`.
        unsafe { perform(op, Interest::Writable, patience) }.map(count)
    }

    /// Accepts a connection. A checkpoint.
    ///
    /// It is tried, and waited for only if there is none: as an operation of its own it would be one in each turn of the
    /// loop on some drivers, which is less than a crowd of clients needs.
    pub(super) fn accept(&self) -> io::Result<(OwnedFd, SocketAddr)> {
        let patience = self.patience(|options| &options.read_timeout);
        loop {
            let outcome = checkpoint();
            if let Some(accepted) = simulated(|network| network.accept(self.as_fd())) {
                match accepted {
                    _ if outcome == Outcome::Cancelled => return Err(cancelled()),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock && outcome != Outcome::NoTask => {
                        persist(self.fd(), Interest::Readable, patience, libc::EAGAIN)?;
                        continue;
                    }
                    accepted => return accepted,
                }
            }
            match outcome {
                Outcome::Cancelled => return Err(cancelled()),
                Outcome::NoTask => {}
                // Each time: a clone may have been given away, and its mode is this one's.
                _ if is_nonblocking(self.as_fd()) => {}
                _ => set_nonblocking(self.as_fd())?,
            }
            match accept(self.as_fd()) {
                Ok((accepted, address)) => return Ok((accepted, address.get()?)),
                Err(errno) => persist(self.fd(), Interest::Readable, patience, errno)?,
            }
        }
    }

    // --- what a simulation answers, where one runs ---

    /// The address of this end, if it is a simulated socket: for what it is printed as.
    pub(super) fn simulated_addr(&self) -> Option<SocketAddr> {
        simulated(|network| network.local_addr(self.as_fd()))?.ok()
    }

    /// The address of this end; `stds` asks the system.
    pub(super) fn local_addr_or(&self, stds: impl FnOnce(&S) -> io::Result<SocketAddr>) -> io::Result<SocketAddr> {
        simulated(|network| network.local_addr(self.as_fd())).unwrap_or_else(|| stds(&self.inner))
    }

    /// The address of the other end; `stds` asks the system.
    pub(super) fn peer_addr_or(&self, stds: impl FnOnce(&S) -> io::Result<SocketAddr>) -> io::Result<SocketAddr> {
        simulated(|network| network.peer_addr(self.as_fd())).unwrap_or_else(|| stds(&self.inner))
    }

    /// Has a socket for datagrams send to one address, and hear of nobody else; `stds` asks the system.
    pub(super) fn associate_or(&self, to: SocketAddr, stds: impl FnOnce(&S) -> io::Result<()>) -> io::Result<()> {
        simulated(|network| network.associate(self.as_fd(), to)).unwrap_or_else(|| stds(&self.inner))
    }

    /// Ends reading or writing; `stds` asks the system.
    pub(super) fn shutdown_or(&self, how: Shutdown, stds: impl FnOnce(&S) -> io::Result<()>) -> io::Result<()> {
        simulated(|network| network.shutdown(self.as_fd(), how)).unwrap_or_else(|| stds(&self.inner))
    }

    /// The socket's error; `stds` asks the system.
    pub(super) fn take_error_or(
        &self,
        stds: impl FnOnce(&S) -> io::Result<Option<io::Error>>,
    ) -> io::Result<Option<io::Error>> {
        simulated(|network| network.take_error(self.as_fd())).unwrap_or_else(|| stds(&self.inner))
    }

    /// Makes a listener's queue as long as the system allows.
    pub(super) fn lengthen_queue(&self) -> io::Result<()> {
        // SAFETY: no pointers.
        match unsafe { libc::listen(self.fd(), i32::MAX) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Connects a socket that is not connected. A checkpoint. `None`: there is no task, and nothing was done.
    pub(super) fn connect(&self, addr: &SocketAddr, patience: Patience) -> Option<io::Result<()>> {
        let (address, addr_len) = Address::of(addr);
        let op = Op::Connect { fd: self.fd(), addr: (&raw const address).cast(), addr_len };
        // SAFETY: the address is a variable until the operation has ended.
        match unsafe { operate(op, patience.deadline()) } {
            Outcome::Done(result) if result < 0 => Some(Err(error(-result))),
            Outcome::Done(_) => Some(Ok(())),
            Outcome::TimedOut => Some(Err(io::Error::new(io::ErrorKind::TimedOut, "connection timed out"))),
            Outcome::Cancelled => Some(Err(cancelled())),
            Outcome::NoTask => None,
        }
    }
}

impl<S: AsFd + Into<OwnedFd>> Deref for Socket<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.inner
    }
}

impl<S: AsFd + Into<OwnedFd>> Drop for Socket<S> {
    fn drop(&mut self) {
        // SAFETY: nobody uses it after this.
        let inner = unsafe { ManuallyDrop::take(&mut self.inner) };
        kettle_rt::close(inner.into());
    }
}

impl Patience {
    fn flags(self) -> i32 {
        if self == Self::None { libc::MSG_DONTWAIT } else { 0 }
    }
}

/// A socket for connections to an address, in blocking mode.
pub(super) fn stream_to(addr: &SocketAddr) -> io::Result<OwnedFd> {
    if let Some(stream) = simulated(|network| network.stream(addr.is_ipv6())) {
        return stream;
    }
    let family = if addr.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it for this call.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Has the task wait for an operation's end, or the thread where there is no task.
///
/// # Safety
///
/// What the operation points to is valid until this returns.
#[inline]
unsafe fn perform(op: Op, interest: Interest, patience: Patience) -> io::Result<i32> {
    loop {
        // SAFETY: by the obligation.
        let errno = match unsafe { operate(op, patience.deadline()) } {
            Outcome::Done(result) if result >= 0 => return Ok(result),
            Outcome::Done(result) => -result,
            Outcome::TimedOut => libc::EAGAIN,
            Outcome::Cancelled => return Err(cancelled()),
            Outcome::NoTask => {
                // SAFETY: by the obligation.
                if let Some(result) = unsafe { attempt_simulated(op) } {
                    // Its time stands still while nobody can wait.
                    return if result < 0 { Err(error(-result)) } else { Ok(result) };
                }
                // SAFETY: by the obligation.
                match unsafe { attempt(&op) } {
                    Ok(result) => return Ok(result),
                    Err(errno) => errno,
                }
            }
        };
        persist(descriptor(&op), interest, patience, errno)?;
    }
}

/// What follows an operation's error: the end, or another try when something has happened.
#[cold]
fn persist(fd: RawFd, interest: Interest, patience: Patience, errno: i32) -> io::Result<()> {
    match errno {
        // io_uring cancels operations that nobody has asked it to: with signals about, when it resorts to threads of its own.
        libc::EINTR | libc::ECANCELED => Ok(()),
        // Outside of tasks; or on a descriptor in non-blocking mode that nobody here has put there.
        libc::EAGAIN if patience != Patience::None => until_ready(fd, interest, patience.deadline()),
        errno => Err(error(errno)),
    }
}

const INTERRUPTED: i32 = -libc::EINTR;
const CANCELLED: i32 = -libc::ECANCELED;

/// Waits until a descriptor is ready. A checkpoint. The end of the time is std's error for it.
fn until_ready(fd: RawFd, interest: Interest, deadline: Option<Instant>) -> io::Result<()> {
    if deadline.is_some_and(|deadline| deadline <= now()) {
        return Err(error(libc::EAGAIN));
    }
    // SAFETY: no pointers.
    match unsafe { operate(Op::Poll { fd, interest }, deadline) } {
        Outcome::Done(0.. | INTERRUPTED | CANCELLED) => Ok(()),
        Outcome::Done(result) => Err(error(-result)),
        Outcome::TimedOut => Err(error(libc::EAGAIN)),
        Outcome::Cancelled => Err(cancelled()),
        Outcome::NoTask => poll(fd, interest, deadline),
    }
}

/// Blocks the thread until a descriptor is ready, a signal has come, or a time: what to do then the next try will tell.
fn poll(fd: RawFd, interest: Interest, deadline: Option<Instant>) -> io::Result<()> {
    let events = match interest {
        Interest::Readable => libc::POLLIN,
        Interest::Writable => libc::POLLOUT,
    };
    let mut asked = libc::pollfd { fd, events, revents: 0 };
    let left = deadline.map(|deadline| deadline.saturating_duration_since(now()));
    // Rounded up: an early end would be another turn.
    let timeout = left.map_or(-1, |left| i32::try_from(left.as_millis() + 1).unwrap_or(i32::MAX));
    // SAFETY: one entry, a variable.
    match unsafe { libc::poll(&raw mut asked, 1, timeout) } {
        0.. => Ok(()),
        _ => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            error => Err(error),
        },
    }
}

/// Makes an operation's system call on this thread, without waiting.
///
/// # Safety
///
/// What the operation points to is valid.
unsafe fn attempt(op: &Op) -> Result<i32, i32> {
    let result = match *op {
        // SAFETY: by the obligation.
        Op::Recv { fd, buf, len, flags } => unsafe { libc::recv(fd, buf.cast(), len, flags | libc::MSG_DONTWAIT) },
        // SAFETY: by the obligation.
        Op::Send { fd, buf, len, flags } => unsafe { libc::send(fd, buf.cast(), len, flags | libc::MSG_DONTWAIT) },
        // SAFETY: by the obligation.
        Op::RecvMsg { fd, msg, flags } => unsafe { libc::recvmsg(fd, msg, flags | libc::MSG_DONTWAIT) },
        // SAFETY: by the obligation.
        Op::SendMsg { fd, msg, flags } => unsafe { libc::sendmsg(fd, msg, flags | libc::MSG_DONTWAIT) },
        _ => unreachable!("invariant: no other operation is performed here"),
    };
    // No more than the kernel moves in one call, which an `i32` can count.
    if result >= 0 { Ok(result as i32) } else { Err(errno()) }
}

/// Moves no bytes: what std says to that, and without waiting for anything.
///
/// # Safety
///
/// The operation's buffer is empty.
#[cold]
unsafe fn none(op: Op) -> io::Result<usize> {
    // SAFETY: no bytes are moved.
    if let Some(result) = unsafe { attempt_simulated(op) } {
        return if result < 0 && result != -libc::EAGAIN { Err(error(-result)) } else { Ok(0) };
    }
    // SAFETY: no bytes are moved.
    match unsafe { attempt(&op) } {
        Ok(_) | Err(libc::EAGAIN | libc::EINTR) => Ok(0),
        Err(errno) => Err(error(errno)),
    }
}

fn descriptor(op: &Op) -> RawFd {
    match *op {
        Op::Recv { fd, .. } | Op::Send { fd, .. } | Op::RecvMsg { fd, .. } | Op::SendMsg { fd, .. } => fd,
        _ => unreachable!("invariant: no other operation is performed here"),
    }
}

/// A message of these buffers, to or from wherever the socket is connected to.
fn message(buffers: *mut libc::iovec, count: usize) -> libc::msghdr {
    // SAFETY: plain numbers and pointers, which may be null. (Some systems' has private fields.)
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = buffers;
    message.msg_iovlen = count.min(MOST_BUFFERS) as _;
    message
}

/// Accepts a connection, in the mode that the listener is in. The new socket is in blocking mode.
fn accept(fd: BorrowedFd<'_>) -> Result<(OwnedFd, Address), i32> {
    let (mut address, mut len) = Address::room();
    let (addr, addr_len) = ((&raw mut address).cast(), &raw mut len);
    // SAFETY: both are variables, with room as said.
    let accepted = unsafe { libc::accept4(fd.as_raw_fd(), addr, addr_len, libc::SOCK_CLOEXEC) };
    if accepted < 0 {
        return Err(errno());
    }
    // SAFETY: the kernel has just made it for this call. It is owned before anything else happens.
    Ok((unsafe { OwnedFd::from_raw_fd(accepted) }, address))
}

fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut on = 1;
    // SAFETY: the argument of this request is an `int`, a variable.
    match unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONBIO, &raw mut on) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn is_nonblocking(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: no pointers.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    flags >= 0 && flags & libc::O_NONBLOCK != 0
}

/// A timeout that the descriptor has, `SO_RCVTIMEO` or `SO_SNDTIMEO`.
fn timeout(fd: BorrowedFd<'_>, name: i32) -> Option<Duration> {
    let mut time = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let mut len = size_of::<libc::timeval>() as libc::socklen_t;
    let (value, len) = ((&raw mut time).cast(), &raw mut len);
    // SAFETY: both are variables, and the option is of this type.
    let got = unsafe { libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, name, value, len) };
    let time = Duration::new(time.tv_sec.try_into().ok()?, u32::try_from(time.tv_usec).ok()? * 1000);
    (got == 0 && !time.is_zero()).then_some(time)
}

/// What a system call on this thread has moved.
fn moved(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

fn count(result: i32) -> usize {
    usize::try_from(result).expect("invariant: not an error")
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

fn error(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}
