//! Owns how an [`Op`] is written down for io_uring.
#![forbid(unsafe_code)]

use crate::op::{Interest, MOST_BYTES, Op, Token};
use io_uring::squeue::Entry;
use io_uring::{opcode, types};
use std::os::fd::RawFd;

/// The current position, or none.
const HERE: u64 = u64::MAX;

/// The entry for an operation. Making it is safe; handing it to the kernel is what needs valid pointers.
pub(super) fn of(op: &Op, token: Token) -> Entry {
    match *op {
        Op::Recv { fd, buf, len, flags } => opcode::Recv::new(types::Fd(fd), buf, bytes(len)).flags(flags).build(),
        Op::Send { fd, buf, len, flags } => opcode::Send::new(types::Fd(fd), buf, bytes(len)).flags(flags).build(),
        Op::RecvMsg { fd, msg, flags } => opcode::RecvMsg::new(types::Fd(fd), msg).flags(partial(flags)).build(),
        Op::SendMsg { fd, msg, flags } => opcode::SendMsg::new(types::Fd(fd), msg).flags(partial(flags)).build(),
        Op::Accept { fd, addr, addr_len } => {
            opcode::Accept::new(types::Fd(fd), addr.cast(), addr_len).flags(libc::SOCK_CLOEXEC).build()
        }
        Op::Connect { fd, addr, addr_len } => opcode::Connect::new(types::Fd(fd), addr.cast(), addr_len).build(),
        Op::Read { fd, buf, len } => opcode::Read::new(types::Fd(fd), buf, bytes(len)).offset(HERE).build(),
        Op::Write { fd, buf, len } => opcode::Write::new(types::Fd(fd), buf, bytes(len)).offset(HERE).build(),
        Op::Poll { fd, interest } => {
            let events = match interest {
                Interest::Readable => libc::POLLIN,
                Interest::Writable => libc::POLLOUT,
            };
            opcode::PollAdd::new(types::Fd(fd), u32::from(events.cast_unsigned())).build()
        }
        Op::Nop => opcode::Nop::new().build(),
    }
    .user_data(token.0)
}

/// The entry that asks to cancel an operation. Its own completion says nothing that counts.
pub(super) fn cancel(token: Token) -> Entry {
    opcode::AsyncCancel::new(token.0).build().user_data(Token::CANCELLED.0)
}

/// The entry that asks to cancel everything.
pub(super) fn cancel_all() -> Entry {
    let all = types::CancelBuilder::any();
    opcode::AsyncCancel2::new(all).build().user_data(Token::CANCELLED.0)
}

/// The entry that waits for each edge of an eventfd.
pub(super) fn listen(eventfd: RawFd) -> Entry {
    let events = u32::from(libc::POLLIN.cast_unsigned());
    opcode::PollAdd::new(types::Fd(eventfd), events).multi(true).build().user_data(Token::NOTIFIED.0)
}

/// The descriptor's place in a mask of those that are used.
pub(super) fn mark(op: &Op) -> u64 {
    match *op {
        Op::Recv { fd, .. }
        | Op::Send { fd, .. }
        | Op::RecvMsg { fd, .. }
        | Op::SendMsg { fd, .. }
        | Op::Accept { fd, .. }
        | Op::Connect { fd, .. }
        | Op::Read { fd, .. }
        | Op::Write { fd, .. }
        | Op::Poll { fd, .. } => mark_of(fd),
        Op::Nop => 0,
    }
}

/// The same for a number.
pub(super) fn mark_of(fd: RawFd) -> u64 {
    1 << (fd.cast_unsigned() % u64::BITS)
}

fn bytes(len: usize) -> u32 {
    len.min(MOST_BYTES) as u32
}

fn partial(flags: i32) -> u32 {
    (flags & !libc::MSG_WAITALL).cast_unsigned()
}
