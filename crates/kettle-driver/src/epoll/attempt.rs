//! Owns how an operation is tried: the system call of each [`Op`], made so that it never blocks the thread.
//!
//! Sockets are told so call by call (`MSG_DONTWAIT`), files as well (`RWF_NOWAIT`). What doesn't know that is asked first
//! whether it is ready, as the kernel's io_uring does. Only `accept` and `connect` have no such flag; for them the
//! descriptor's `O_NONBLOCK` is checked each time, because somebody else may have cleared it, or used the number again.

use crate::op::{Interest, MOST_BYTES, Op};
use crate::syscalls::{checked, errno, poll, set_nonblocking, socket_option};
use std::os::fd::RawFd;

/// Asks a read or a write not to wait. The stress build asks for something that no kernel understands, as if it was old.
const NOWAIT: i32 = if cfg!(kettle_stress) { 1 << 30 } else { libc::RWF_NOWAIT };

/// What came of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Attempt {
    /// The operation has ended, with this result.
    Done(i32),
    /// Not yet: try again when the descriptor is ready.
    Blocked,
    /// Not yet, and no event will tell when.
    Stalled,
}

/// Which readiness an operation waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// The descriptor of an operation, and what it waits for there. A `Nop` has none.
pub(crate) fn target(op: &Op) -> Option<(RawFd, Direction)> {
    match *op {
        Op::Recv { fd, .. } | Op::RecvMsg { fd, .. } | Op::Accept { fd, .. } | Op::Read { fd, .. } => {
            Some((fd, Direction::Read))
        }
        Op::Send { fd, .. } | Op::SendMsg { fd, .. } | Op::Connect { fd, .. } | Op::Write { fd, .. } => {
            Some((fd, Direction::Write))
        }
        Op::Poll { fd, interest: Interest::Readable } => Some((fd, Direction::Read)),
        Op::Poll { fd, interest: Interest::Writable } => Some((fd, Direction::Write)),
        Op::Nop => None,
    }
}

/// Whether an operation waits. `MSG_DONTWAIT` asks for an answer now.
pub(crate) fn is_patient(op: &Op) -> bool {
    match *op {
        Op::Recv { flags, .. } | Op::Send { flags, .. } | Op::RecvMsg { flags, .. } | Op::SendMsg { flags, .. } => {
            flags & libc::MSG_DONTWAIT == 0
        }
        _ => true,
    }
}

/// Tries an operation for the first time. `progress` counts the bytes that have been moved, of those that must all be.
///
/// # Safety
///
/// The operation's pointers are valid for what it does with them.
pub(crate) unsafe fn first(op: &Op, progress: &mut usize) -> Attempt {
    match *op {
        Op::Connect { fd, addr, addr_len } => {
            if let Err(errno) = set_nonblocking(fd) {
                return Attempt::Done(-errno);
            }
            // SAFETY: the address is the caller's, valid by this function's contract.
            match checked(unsafe { libc::connect(fd, addr.cast(), addr_len) }) {
                Ok(_) => Attempt::Done(0),
                // After a signal it goes on by itself, too.
                Err(libc::EINPROGRESS | libc::EINTR) => Attempt::Blocked,
                // SAFETY: as above.
                Err(libc::EAGAIN) if unsafe { is_unix(addr) } => Attempt::Stalled,
                Err(errno) => Attempt::Done(-errno),
            }
        }
        // SAFETY: the caller's promise, passed on.
        _ => unsafe { again(op, progress) },
    }
}

/// Tries an operation that was blocked. The readiness that it waited for may have come, or not.
///
/// # Safety
///
/// The operation's pointers are valid for what it does with them.
pub(crate) unsafe fn again(op: &Op, progress: &mut usize) -> Attempt {
    match *op {
        Op::Recv { fd, buf, len, flags } => transfer(fd, len, is_all(flags), progress, |done, left| {
            // SAFETY: `done + left <= len`, and there are `len` bytes at `buf` by this function's contract.
            let to = unsafe { buf.add(done) };
            // SAFETY: as above.
            unsafe { libc::recv(fd, to.cast(), left, flags | libc::MSG_DONTWAIT) }
        }),
        Op::Send { fd, buf, len, flags } => {
            let tried = transfer(fd, len, is_all(flags), progress, |done, left| {
                // SAFETY: as for `Recv`.
                let from = unsafe { buf.add(done) };
                // SAFETY: as above.
                unsafe { libc::send(fd, from.cast(), left, flags | libc::MSG_DONTWAIT) }
            });
            or_stalled(tried, fd)
        }
        Op::RecvMsg { fd, msg, flags } => repeat(|| {
            // SAFETY: the message and what it points to are valid by this function's contract.
            unsafe { libc::recvmsg(fd, msg, flags & !libc::MSG_WAITALL | libc::MSG_DONTWAIT) }
        }),
        Op::SendMsg { fd, msg, flags } => {
            let tried = repeat(|| {
                // SAFETY: as for `RecvMsg`.
                unsafe { libc::sendmsg(fd, msg, flags & !libc::MSG_WAITALL | libc::MSG_DONTWAIT) }
            });
            or_stalled(tried, fd)
        }
        Op::Accept { fd, addr, addr_len } => match set_nonblocking(fd) {
            Err(errno) => Attempt::Done(-errno),
            Ok(()) => repeat(|| {
                // SAFETY: both are null or valid by this function's contract.
                let accepted = unsafe { libc::accept4(fd, addr.cast(), addr_len, libc::SOCK_CLOEXEC) };
                accepted as isize
            }),
        },
        Op::Connect { fd, addr, addr_len } => {
            // Asking again gives the result and ends the socket's connecting. (`SO_ERROR` gives the result only; the
            // next call on the socket then finds it half-way.)
            // SAFETY: the address is the caller's, valid by this function's contract.
            match checked(unsafe { libc::connect(fd, addr.cast(), addr_len) }) {
                Ok(_) | Err(libc::EISCONN) => Attempt::Done(0),
                Err(libc::EALREADY | libc::EINPROGRESS | libc::EINTR) => Attempt::Blocked,
                // SAFETY: as above.
                Err(libc::EAGAIN) if unsafe { is_unix(addr) } => Attempt::Stalled,
                Err(errno) => Attempt::Done(-errno),
            }
        }
        Op::Read { fd, buf, len } => {
            let part = libc::iovec { iov_base: buf.cast(), iov_len: len.min(MOST_BYTES) };
            let tried = repeat(|| {
                // SAFETY: one part, whose bytes are valid by this function's contract.
                unsafe { libc::preadv2(fd, &raw const part, 1, -1, NOWAIT) }
            });
            if_ready(tried, fd, libc::POLLIN, || {
                // SAFETY: as above.
                unsafe { libc::read(fd, buf.cast(), part.iov_len) }
            })
        }
        Op::Write { fd, buf, len } => {
            let part = libc::iovec { iov_base: buf.cast_mut().cast(), iov_len: len.min(MOST_BYTES) };
            let tried = repeat(|| {
                // SAFETY: one part, whose bytes are valid by this function's contract, and are only read.
                unsafe { libc::pwritev2(fd, &raw const part, 1, -1, NOWAIT) }
            });
            if_ready(tried, fd, libc::POLLOUT, || {
                // Being ready means room for so much in a pipe; more could block.
                // SAFETY: as above.
                unsafe { libc::write(fd, buf.cast(), part.iov_len.min(libc::PIPE_BUF)) }
            })
        }
        Op::Poll { fd, interest } => {
            let events = match interest {
                Interest::Readable => libc::POLLIN,
                Interest::Writable => libc::POLLOUT,
            };
            match poll(fd, events) {
                Ok(0) => Attempt::Blocked,
                Ok(ready) => Attempt::Done(i32::from(ready)),
                Err(errno) => Attempt::Done(-errno),
            }
        }
        Op::Nop => Attempt::Done(0),
    }
}

/// Does it now, on this thread, however long it takes: for what can't be waited for.
///
/// # Safety
///
/// The operation's pointers are valid for what it does with them.
pub(crate) unsafe fn blocking(op: &Op) -> i32 {
    let attempt = match *op {
        Op::Read { fd, buf, len } => repeat(|| {
            // SAFETY: the bytes are valid by this function's contract.
            unsafe { libc::read(fd, buf.cast(), len.min(MOST_BYTES)) }
        }),
        Op::Write { fd, buf, len } => repeat(|| {
            // SAFETY: as above.
            unsafe { libc::write(fd, buf.cast(), len.min(MOST_BYTES)) }
        }),
        // All else has answered already that this is no socket, or is ready.
        _ => Attempt::Done(-libc::EOPNOTSUPP),
    };
    match attempt {
        Attempt::Done(result) => result,
        Attempt::Blocked | Attempt::Stalled => -libc::EAGAIN,
    }
}

/// Whether it is the address of a Unix socket. Its listener's queue may be full, and nothing tells when there is room.
///
/// # Safety
///
/// The address is valid.
unsafe fn is_unix(addr: *const libc::sockaddr_storage) -> bool {
    // SAFETY: by this function's contract. Every address begins with its family, wherever it lies.
    let family = unsafe { addr.cast::<libc::sa_family_t>().read_unaligned() };
    i32::from(family) == libc::AF_UNIX
}

/// What an operation that is taken back ends with: what it has moved is not lost.
pub(crate) fn cancelled(progress: usize) -> i32 {
    if progress > 0 { progress as i32 } else { -libc::ECANCELED }
}

/// Makes a call until it has an answer. Where errors other than `EAGAIN` are concerned, the answer is the operation's.
fn repeat(mut call: impl FnMut() -> isize) -> Attempt {
    loop {
        let returned = call();
        if returned >= 0 {
            // At most `MOST_BYTES`.
            return Attempt::Done(returned as i32);
        }
        match errno() {
            libc::EINTR => {}
            libc::EAGAIN => return Attempt::Blocked,
            errno => return Attempt::Done(-errno),
        }
    }
}

/// Whether all bytes must be moved. What is only looked at stays where it is: another look would not bring more.
fn is_all(flags: i32) -> bool {
    flags & (libc::MSG_WAITALL | libc::MSG_PEEK) == libc::MSG_WAITALL
}

/// Moves bytes once, or until all have been moved.
fn transfer(
    fd: RawFd,
    len: usize,
    all: bool,
    progress: &mut usize,
    mut call: impl FnMut(usize, usize) -> isize,
) -> Attempt {
    let len = len.min(MOST_BYTES);
    loop {
        let before = *progress;
        match repeat(|| call(before, len - before)) {
            Attempt::Done(moved) if moved >= 0 => {
                *progress += moved as usize;
                let is_short = all && moved > 0 && *progress < len;
                // One message is all there is to a datagram.
                if !(is_short && socket_option(fd, libc::SO_TYPE) == Ok(libc::SOCK_STREAM)) {
                    return Attempt::Done(*progress as i32);
                }
            }
            Attempt::Done(_) if before > 0 => return Attempt::Done(before as i32),
            ended => return ended,
        }
    }
}

/// Whether a blocked send will be told when there is room. A Unix datagram waits for room at its receiver's, of which the
/// sender's socket has no event unless it was polled while there was none.
fn or_stalled(tried: Attempt, fd: RawFd) -> Attempt {
    let has_no_event = tried == Attempt::Blocked
        && socket_option(fd, libc::SO_DOMAIN) == Ok(libc::AF_UNIX)
        && socket_option(fd, libc::SO_TYPE) == Ok(libc::SOCK_DGRAM);
    if has_no_event { Attempt::Stalled } else { tried }
}

/// Makes a call that may block only if a descriptor is ready, where `RWF_NOWAIT` was not understood.
fn if_ready(tried: Attempt, fd: RawFd, events: i16, call: impl FnMut() -> isize) -> Attempt {
    const UNKNOWN: [i32; 2] = [-libc::EOPNOTSUPP, -libc::ENOSYS];
    match tried {
        Attempt::Done(result) if UNKNOWN.contains(&result) => match poll(fd, events) {
            Ok(0) => Attempt::Blocked,
            Ok(_) => repeat(call),
            Err(errno) => Attempt::Done(-errno),
        },
        tried => tried,
    }
}
