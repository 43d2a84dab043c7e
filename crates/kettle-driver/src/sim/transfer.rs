//! Owns moving bytes between an operation's buffers and a simulated connection, or the datagrams of a socket, and reading
//! and writing the addresses of both.
//!
//! The unsafe code of this module is using the pointers of operations.

use super::datagrams::MOST_V6;
use super::events::Id;
use super::world::{Ready, World};
use crate::op::MOST_BYTES;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::{ptr, slice};

/// What has been moved, or the negative of an error; `None` if nothing could be yet.
pub(super) type Moved = Option<i32>;

/// Receives into a buffer, behind the bytes that it has got already.
///
/// # Safety
///
/// There are `len` bytes at `buf`, and nobody else uses them.
pub(super) unsafe fn receive(world: &mut World, id: Id, buf: *mut u8, len: usize, flags: i32) -> Moved {
    if world.is_datagram(id) {
        let part = libc::iovec { iov_base: buf.cast(), iov_len: len };
        // SAFETY: by the obligation.
        return unsafe { receive_datagram(world, id, &[part], flags) }.map(|received| received.result);
    }
    let peeks = flags & libc::MSG_PEEK != 0;
    if len == 0 {
        return Some(0);
    }
    match world.receivable(id, 0, len.min(MOST_BYTES)) {
        Ready::Bytes(count) => {
            if let Some(flow) = world.inbound(id) {
                // SAFETY: `count <= len`.
                unsafe { fill(buf, count, |to| flow.peek(0, to)) };
                if !peeks {
                    flow.consume(count);
                }
            }
            if !peeks {
                world.received(id, count);
            }
            Some(count as i32)
        }
        Ready::Blocked => None,
        Ready::Error(errno) => Some(-errno),
    }
}

/// Sends from a buffer.
///
/// # Safety
///
/// There are `len` bytes at `buf`, and nobody writes them.
pub(super) unsafe fn send(world: &mut World, id: Id, buf: *const u8, len: usize) -> Moved {
    if world.is_datagram(id) {
        let part = libc::iovec { iov_base: buf.cast_mut().cast(), iov_len: len };
        // SAFETY: by the obligation.
        return Some(unsafe { send_datagram(world, id, &[part], None) });
    }
    match world.sendable(id, len.min(MOST_BYTES)) {
        Ready::Bytes(_) if len == 0 => Some(0),
        Ready::Bytes(count) => {
            // SAFETY: `count <= len`.
            let bytes = unsafe { bytes(buf, count) };
            if let Some(flow) = world.outbound(id) {
                flow.push_bytes(bytes);
            }
            world.sent(id, count);
            Some(count as i32)
        }
        Ready::Blocked => None,
        Ready::Error(errno) => Some(-errno),
    }
}

/// Receives into the buffers of a message.
///
/// # Safety
///
/// The message and its buffers are valid, and nobody else uses them.
pub(super) unsafe fn receive_message(world: &mut World, id: Id, msg: *mut libc::msghdr, flags: i32) -> Moved {
    // SAFETY: by the obligation.
    let parts = unsafe { parts(msg) };
    if world.is_datagram(id) {
        // SAFETY: by the obligation.
        let Received { result, from, is_cut } = unsafe { receive_datagram(world, id, parts, flags) }?;
        // SAFETY: by the obligation: the message is this function's.
        let msg = unsafe { &mut *msg };
        if let Some(from) = from {
            // SAFETY: by the obligation: there is as much room as the message says, or none.
            unsafe { write_address(from, msg.msg_name.cast(), &raw mut msg.msg_namelen) };
            msg.msg_controllen = 0;
            msg.msg_flags = if is_cut { libc::MSG_TRUNC } else { 0 };
        }
        return Some(result);
    }
    let room = parts.iter().map(|part| part.iov_len).sum::<usize>();
    let count = match world.receivable(id, 0, room.min(MOST_BYTES)) {
        Ready::Bytes(count) => count,
        Ready::Blocked => return None,
        Ready::Error(errno) => return Some(-errno),
    };
    let peeks = flags & libc::MSG_PEEK != 0;
    if let Some(flow) = world.inbound(id) {
        let mut done = 0;
        for part in parts {
            let here = part.iov_len.min(count - done);
            // SAFETY: by the obligation.
            unsafe { fill(part.iov_base.cast(), here, |to| flow.peek(done, to)) };
            done += here;
        }
        if !peeks {
            flow.consume(count);
        }
    }
    if !peeks {
        world.received(id, count);
    }
    Some(count as i32)
}

/// Sends from the buffers of a message.
///
/// # Safety
///
/// The message and its buffers are valid, and nobody writes them.
pub(super) unsafe fn send_message(world: &mut World, id: Id, msg: *const libc::msghdr) -> Moved {
    // SAFETY: by the obligation.
    let parts = unsafe { parts(msg) };
    if world.is_datagram(id) {
        // SAFETY: by the obligation.
        let msg = unsafe { &*msg };
        let to = match msg.msg_name.is_null() {
            true => None,
            // SAFETY: by the obligation.
            false => match unsafe { address(msg.msg_name.cast(), msg.msg_namelen) } {
                Ok(to) => Some(to),
                Err(errno) => return Some(-errno),
            },
        };
        // SAFETY: by the obligation.
        return Some(unsafe { send_datagram(world, id, parts, to) });
    }
    let all = parts.iter().map(|part| part.iov_len).sum::<usize>();
    let count = match world.sendable(id, all.min(MOST_BYTES)) {
        Ready::Bytes(count) => count,
        Ready::Blocked => return None,
        Ready::Error(errno) => return Some(-errno),
    };
    if let Some(flow) = world.outbound(id) {
        let mut left = count;
        for part in parts {
            let here = part.iov_len.min(left);
            // SAFETY: by the obligation.
            flow.push_bytes(unsafe { bytes(part.iov_base.cast(), here) });
            left -= here;
        }
    }
    world.sent(id, count);
    Some(count as i32)
}

/// What came of receiving a datagram.
struct Received {
    /// How many bytes, or the negative of an error.
    result: i32,
    /// Whose it was, if there was one.
    from: Option<SocketAddr>,
    /// Whether there was no room for all of it.
    is_cut: bool,
}

/// Receives a datagram into buffers; what they have no room for is gone. `None`: none has come.
///
/// # Safety
///
/// The buffers are valid, and nobody else uses them.
unsafe fn receive_datagram(world: &mut World, id: Id, parts: &[libc::iovec], flags: i32) -> Option<Received> {
    let datagram = match world.arrived(id, flags & libc::MSG_PEEK != 0) {
        Ok(datagram) => datagram?,
        Err(errno) => return Some(Received { result: -errno, from: None, is_cut: false }),
    };
    let mut left = &datagram.bytes[..];
    for part in parts {
        let (here, rest) = left.split_at(part.iov_len.min(left.len()));
        // SAFETY: by the obligation; there is room for so many.
        unsafe { ptr::copy_nonoverlapping(here.as_ptr(), part.iov_base.cast(), here.len()) };
        left = rest;
    }
    let whole = datagram.bytes.len();
    let count = if flags & libc::MSG_TRUNC != 0 { whole } else { whole - left.len() };
    Some(Received { result: count as i32, from: Some(datagram.from), is_cut: !left.is_empty() })
}

/// Sends what is in buffers as a datagram. Gives how many bytes that were, or the negative of an error.
///
/// # Safety
///
/// The buffers are valid, and nobody writes them.
unsafe fn send_datagram(world: &mut World, id: Id, parts: &[libc::iovec], to: Option<SocketAddr>) -> i32 {
    let count = parts.iter().map(|part| part.iov_len).sum();
    if count > MOST_V6 {
        return -libc::EMSGSIZE;
    }
    let mut all = Vec::with_capacity(count);
    for part in parts {
        // SAFETY: by the obligation.
        all.extend_from_slice(unsafe { bytes(part.iov_base.cast(), part.iov_len) });
    }
    world.send(id, to, &all).map_or_else(|errno| -errno, |()| count as i32)
}

/// The address that a connect or a datagram is to, if it is one of the internet.
///
/// # Safety
///
/// There are `len` bytes at `addr`.
pub(super) unsafe fn address(addr: *const libc::sockaddr_storage, len: libc::socklen_t) -> Result<SocketAddr, i32> {
    let len = len as usize;
    if len < size_of::<libc::sa_family_t>() {
        return Err(libc::EINVAL);
    }
    // SAFETY: there are so many bytes. Every address begins with its family, wherever it lies.
    let family = unsafe { addr.cast::<libc::sa_family_t>().read_unaligned() };
    match i32::from(family) {
        libc::AF_INET if len >= size_of::<libc::sockaddr_in>() => {
            // SAFETY: there are so many bytes, and any are one of these.
            let v4 = unsafe { addr.cast::<libc::sockaddr_in>().read_unaligned() };
            let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
            Ok(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 if len >= size_of::<libc::sockaddr_in6>() => {
            // SAFETY: there are so many bytes, and any are one of these.
            let v6 = unsafe { addr.cast::<libc::sockaddr_in6>().read_unaligned() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Ok(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), v6.sin6_flowinfo, v6.sin6_scope_id).into())
        }
        libc::AF_INET | libc::AF_INET6 => Err(libc::EINVAL),
        _ => Err(libc::EAFNOSUPPORT),
    }
}

/// Writes the address of who has connected, or has sent a datagram, as far as there is room.
///
/// # Safety
///
/// Both pointers are null, or valid: `addr` for as many bytes as `len` says.
pub(super) unsafe fn write_address(peer: SocketAddr, addr: *mut libc::sockaddr_storage, len: *mut libc::socklen_t) {
    if addr.is_null() || len.is_null() {
        return;
    }
    // SAFETY: by the obligation.
    let room = unsafe { len.read() } as usize;
    let written = match peer {
        SocketAddr::V4(peer) => {
            let v4 = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: peer.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(peer.ip().octets()) },
                sin_zero: [0; 8],
            };
            // SAFETY: by the obligation.
            unsafe { copy(&v4, addr.cast(), room) }
        }
        SocketAddr::V6(peer) => {
            let v6 = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: peer.port().to_be(),
                sin6_flowinfo: peer.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: peer.ip().octets() },
                sin6_scope_id: peer.scope_id(),
            };
            // SAFETY: by the obligation.
            unsafe { copy(&v6, addr.cast(), room) }
        }
    };
    // SAFETY: by the obligation.
    unsafe { len.write(written as libc::socklen_t) };
}

/// Copies as much of a value as there is room for. Gives its size.
///
/// # Safety
///
/// There are `room` bytes at `to`.
unsafe fn copy<T>(value: &T, to: *mut u8, room: usize) -> usize {
    let from = ptr::from_ref(value).cast::<MaybeUninit<u8>>();
    // SAFETY: by the obligation; they are not the same place.
    unsafe { ptr::copy_nonoverlapping(from, to.cast(), size_of::<T>().min(room)) };
    size_of::<T>()
}

/// The buffers of a message.
///
/// # Safety
///
/// The message is valid for as long as this is used.
unsafe fn parts<'a>(msg: *const libc::msghdr) -> &'a [libc::iovec] {
    // SAFETY: by the obligation.
    let msg = unsafe { &*msg };
    let (start, count) = (msg.msg_iov, msg.msg_iovlen);
    if start.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: by the obligation.
    unsafe { slice::from_raw_parts(start, count as _) }
}

/// # Safety
///
/// There are `count` bytes at `start` for as long as this is used, and nobody writes them.
unsafe fn bytes<'a>(start: *const u8, count: usize) -> &'a [u8] {
    if count == 0 {
        return &[];
    }
    // SAFETY: by the obligation.
    unsafe { slice::from_raw_parts(start, count) }
}

/// Has a function fill a buffer.
///
/// # Safety
///
/// There are `count` bytes at `start`, and nobody else uses them meanwhile.
unsafe fn fill(start: *mut u8, count: usize, f: impl FnOnce(&mut [u8]) -> usize) {
    if count > 0 {
        // A buffer may be one that nobody has written yet.
        // SAFETY: by the obligation.
        unsafe { start.write_bytes(0, count) };
        // SAFETY: by the obligation, and they have just been written.
        f(unsafe { slice::from_raw_parts_mut(start, count) });
    }
}
