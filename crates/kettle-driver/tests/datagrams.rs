//! Datagrams on every driver: whole, with their senders' addresses, the empty ones too, and none lost by a cancel.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod harness;

use harness::{Loop, *};
use kettle_driver::{Interest, Kind, Op, Token, Until};
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};

/// Makes a test of each function, on each driver and in a simulation; the last ones use other threads and no simulation.
macro_rules! on_all {
    ($($name:ident)*; $($threaded:ident)*) => {
        on_both! { $($name)* $($threaded)* }
        mod sim {
            $(#[test] fn $name() { super::$name(kettle_driver::Kind::Sim) })*
        }
    };
}

on_all! {
    datagrams_come_whole_and_with_their_sender_s_address
    an_empty_datagram_is_no_end
    without_room_a_datagram_is_taken_and_gone
    parts_are_gathered_and_scattered
    what_is_cut_is_said_to_be
    a_peeked_datagram_stays
    who_peeks_leaves_it_to_those_behind
    who_is_connected_hears_of_one_only
    without_an_address_nothing_is_sent
    what_is_too_large_is_an_error
    where_nobody_is_bound_the_next_call_is_refused
    a_poll_tells_of_datagrams
    each_of_those_who_wait_has_one
    a_cancelled_receive_takes_nothing
    cancelling_at_any_time_loses_no_datagram
    closing_ends_what_waits;
    cancelling_in_a_race_loses_no_datagram
}

/// A socket on a port of its own.
fn bound(l: &mut Loop) -> (OwnedFd, SocketAddr) {
    let here = "127.0.0.1:0".parse::<SocketAddr>().unwrap();
    if let Some(mut network) = l.driver.network(None) {
        let socket = network.bind(here).unwrap();
        let addr = network.local_addr(std::os::fd::AsFd::as_fd(&socket)).unwrap();
        return (socket, addr);
    }
    let socket = UdpSocket::bind(here).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket.into(), addr)
}

fn connect(l: &mut Loop, socket: &OwnedFd, to: SocketAddr) -> i32 {
    let (storage, addr_len) = address(to);
    l.run(Op::Connect { fd: socket.as_raw_fd(), addr: &raw const storage, addr_len })
}

/// Two that are connected to each other.
fn connected(l: &mut Loop) -> (OwnedFd, OwnedFd) {
    let ((one, one_addr), (other, other_addr)) = (bound(l), bound(l));
    assert_eq!(connect(l, &one, other_addr), 0);
    assert_eq!(connect(l, &other, one_addr), 0);
    (one, other)
}

/// A message with an address and one part, all where it stays.
struct Message {
    header: Box<libc::msghdr>,
    _part: Box<libc::iovec>,
    name: Box<libc::sockaddr_storage>,
}

impl Message {
    fn of(start: *mut u8, len: usize, name: libc::sockaddr_storage, name_len: libc::socklen_t) -> Self {
        let mut part = Box::new(libc::iovec { iov_base: start.cast(), iov_len: len });
        let mut name = Box::new(name);
        // SAFETY: all zeros is a valid message.
        let mut header: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        (header.msg_iov, header.msg_iovlen) = (&raw mut *part, 1);
        (header.msg_name, header.msg_namelen) = ((&raw mut *name).cast(), name_len);
        Self { header, _part: part, name }
    }

    /// One that is sent.
    fn to(addr: SocketAddr, bytes: &[u8]) -> Self {
        let (storage, len) = address(addr);
        Self::of(bytes.as_ptr().cast_mut(), bytes.len(), storage, len)
    }

    /// One that is received.
    fn room(buf: &mut [u8]) -> Self {
        // SAFETY: all zeros is a valid address.
        let storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        Self::of(buf.as_mut_ptr(), buf.len(), storage, size_of_val(&storage) as libc::socklen_t)
    }

    fn send(&self, from: &OwnedFd) -> Op {
        Op::SendMsg { fd: from.as_raw_fd(), msg: &raw const *self.header, flags: libc::MSG_NOSIGNAL }
    }

    fn recv(&mut self, at: &OwnedFd, flags: i32) -> Op {
        Op::RecvMsg { fd: at.as_raw_fd(), msg: &raw mut *self.header, flags }
    }

    /// Whose address was written.
    fn from(&self) -> SocketAddr {
        assert_eq!(self.header.msg_namelen as usize, size_of::<libc::sockaddr_in>());
        // SAFETY: there is room for it, and any bytes are one.
        let v4 = unsafe { (&raw const *self.name).cast::<libc::sockaddr_in>().read() };
        assert_eq!(i32::from(v4.sin_family), libc::AF_INET);
        SocketAddrV4::new(v4.sin_addr.s_addr.to_ne_bytes().into(), u16::from_be(v4.sin_port)).into()
    }
}

/// Receives with a sender's address.
fn receive(l: &mut Loop, at: &OwnedFd, buf: &mut [u8], flags: i32) -> (i32, SocketAddr) {
    let mut message = Message::room(buf);
    let result = l.run(message.recv(at, flags));
    (result, message.from())
}

fn datagrams_come_whole_and_with_their_sender_s_address(kind: Kind) {
    let mut l = Loop::new(kind);
    let ((one, one_addr), (other, other_addr), (third, third_addr)) = (bound(&mut l), bound(&mut l), bound(&mut l));
    let mut buf = vec![0; 70_000];
    for size in [1, 7, 900, 1472, 1473, 10_000, 65_507] {
        let sent = pattern(size);
        for (from, from_addr) in [(&other, other_addr), (&third, third_addr)] {
            assert_eq!(l.run(Message::to(one_addr, &sent).send(from)), size as i32);
            assert_eq!(receive(&mut l, &one, &mut buf, 0), (size as i32, from_addr));
            assert!(buf[..size] == sent);
        }
    }
    l.assert_idle();
}

fn an_empty_datagram_is_no_end(kind: Kind) {
    let mut l = Loop::new(kind);
    let ((one, one_addr), (other, other_addr)) = (bound(&mut l), bound(&mut l));
    let mut buf = [7; 8];
    for waits in [false, true] {
        let mut message = Message::room(&mut buf);
        let early = waits.then(|| l.submit(message.recv(&one, 0)));
        l.settle();
        assert_eq!(l.run(Message::to(one_addr, &[]).send(&other)), 0);
        let token = early.unwrap_or_else(|| l.submit(message.recv(&one, 0)));
        assert_eq!((l.result(token), message.from()), (0, other_addr));
    }
    // By the operations without addresses as well.
    assert_eq!(connect(&mut l, &other, one_addr), 0);
    for bytes in [&b""[..], b"tea", b""] {
        assert_eq!(l.run(send(&other, bytes)), bytes.len() as i32);
        assert_eq!(l.run(recv(&one, &mut buf)), bytes.len() as i32);
    }
    l.assert_idle();
}

fn without_room_a_datagram_is_taken_and_gone(kind: Kind) {
    let mut l = Loop::new(kind);
    let (one, other) = connected(&mut l);
    for waits in [false, true] {
        let early = waits.then(|| l.submit(recv(&one, &mut [])));
        l.settle();
        assert!(early.is_none_or(|token| !l.has(token)), "it waits for one");
        assert_eq!(l.run(send(&other, b"tea")), 3);
        let token = early.unwrap_or_else(|| l.submit(recv(&one, &mut [])));
        assert_eq!(l.result(token), 0);
    }
    assert_eq!(l.run(send(&other, b"!")), 1);
    let mut buf = [0; 8];
    assert_eq!((l.run(recv(&one, &mut buf)), buf[0]), (1, b'!'));
    l.assert_idle();
}

fn parts_are_gathered_and_scattered(kind: Kind) {
    let mut l = Loop::new(kind);
    let (one, other) = connected(&mut l);
    let part = |bytes: &[u8]| libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let parts = [part(b"put "), part(b""), part(b"the kettle on")];
    // SAFETY: all zeros is a valid message.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (parts.as_ptr().cast_mut(), 3);
    let sends = Op::SendMsg { fd: one.as_raw_fd(), msg: &raw const message, flags: libc::MSG_NOSIGNAL };
    assert_eq!(l.run(sends), 17);
    let (mut first, mut second) = ([0_u8; 5], [0_u8; 30]);
    let mut parts = [
        libc::iovec { iov_base: first.as_mut_ptr().cast(), iov_len: 5 },
        libc::iovec { iov_base: second.as_mut_ptr().cast(), iov_len: 30 },
    ];
    (message.msg_iov, message.msg_iovlen) = (parts.as_mut_ptr(), 2);
    assert_eq!(l.run(Op::RecvMsg { fd: other.as_raw_fd(), msg: &raw mut message, flags: 0 }), 17);
    assert_eq!((&first, &second[..12]), (b"put t", &b"he kettle on"[..]));
    l.assert_idle();
}

fn what_is_cut_is_said_to_be(kind: Kind) {
    let mut l = Loop::new(kind);
    let (one, other) = connected(&mut l);
    let mut buf = [0; 4];
    for (bytes, cut) in [(&b"kettle"[..], true), (b"tea", false)] {
        l.run(send(&one, bytes));
        let mut message = Message::room(&mut buf);
        let count = bytes.len().min(4);
        assert_eq!(l.run(message.recv(&other, 0)), count as i32);
        assert_eq!(message.header.msg_flags & libc::MSG_TRUNC != 0, cut);
        assert_eq!(buf[..count], bytes[..count]);
    }
    l.assert_idle();
}

fn a_peeked_datagram_stays(kind: Kind) {
    let mut l = Loop::new(kind);
    let ((one, one_addr), (other, other_addr)) = (bound(&mut l), bound(&mut l));
    l.run(Message::to(one_addr, b"first").send(&other));
    l.run(Message::to(one_addr, b"second").send(&other));
    let mut buf = [0; 9];
    for _ in 0..3 {
        assert_eq!(receive(&mut l, &one, &mut buf, libc::MSG_PEEK), (5, other_addr));
        assert_eq!(&buf[..5], b"first");
        assert_eq!(receive(&mut l, &one, &mut buf[..2], libc::MSG_PEEK), (2, other_addr));
    }
    assert_eq!(receive(&mut l, &one, &mut buf, 0), (5, other_addr));
    assert_eq!(receive(&mut l, &one, &mut buf, 0), (6, other_addr));
    assert_eq!(&buf[..6], b"second");
    l.assert_idle();
}

fn who_peeks_leaves_it_to_those_behind(kind: Kind) {
    let mut l = Loop::new(kind);
    let (one, other) = connected(&mut l);
    let (mut seen, mut taken) = ([0; 4], [0; 4]);
    let looks = Op::Recv { fd: one.as_raw_fd(), buf: seen.as_mut_ptr(), len: 4, flags: libc::MSG_PEEK };
    let polls = Op::Poll { fd: one.as_raw_fd(), interest: Interest::Readable };
    let [looks, polls, takes] = [looks, polls, recv(&one, &mut taken)].map(|op| l.submit(op));
    l.settle();
    assert_eq!(l.run(send(&other, b"tea")), 3);
    assert_eq!(l.result(takes), 3);
    l.settle();
    // A kernel may serve who takes it first. Then there is the next one to see.
    if !(l.has(looks) && l.has(polls)) {
        assert_eq!(l.run(send(&other, b"tea")), 3);
    }
    assert_eq!((l.result(looks), l.result(polls)), (3, i32::from(libc::POLLIN)));
    assert_eq!((&seen, &taken), (b"tea\0", b"tea\0"));
    l.assert_idle();
}

fn who_is_connected_hears_of_one_only(kind: Kind) {
    let mut l = Loop::new(kind);
    let ((one, one_addr), (other, other_addr), (third, _)) = (bound(&mut l), bound(&mut l), bound(&mut l));
    assert_eq!(connect(&mut l, &one, other_addr), 0);
    l.run(Message::to(one_addr, b"noise").send(&third));
    l.run(Message::to(one_addr, b"tea").send(&other));
    let mut buf = [0; 9];
    assert_eq!(receive(&mut l, &one, &mut buf, 0), (3, other_addr));
    let impatient = Op::Recv { fd: one.as_raw_fd(), buf: buf.as_mut_ptr(), len: 9, flags: libc::MSG_DONTWAIT };
    assert_eq!(l.run(impatient), -libc::EAGAIN);
    l.assert_idle();
}

fn without_an_address_nothing_is_sent(kind: Kind) {
    let mut l = Loop::new(kind);
    let (one, addr) = bound(&mut l);
    assert_eq!(l.run(send(&one, b"tea")), -libc::EDESTADDRREQ);
    assert_eq!(l.run(Message::to(SocketAddr::new(addr.ip(), 0), b"tea").send(&one)), -libc::EINVAL);
    let mut short = Message::to(addr, b"tea");
    short.header.msg_namelen = 7;
    assert_eq!(l.run(short.send(&one)), -libc::EINVAL);
    l.assert_idle();
}

fn what_is_too_large_is_an_error(kind: Kind) {
    let mut l = Loop::new(kind);
    let (one, other) = connected(&mut l);
    let sent = pattern(65_508);
    assert_eq!(l.run(send(&one, &sent)), -libc::EMSGSIZE);
    assert_eq!(l.run(send(&one, &sent[1..])), 65_507);
    let mut buf = vec![0; 65_508];
    assert_eq!(l.run(recv(&other, &mut buf)), 65_507);
    l.assert_idle();
}

fn where_nobody_is_bound_the_next_call_is_refused(kind: Kind) {
    let mut l = Loop::new(kind);
    let ((one, _), (gone, addr)) = (bound(&mut l), bound(&mut l));
    l.driver.close(gone);
    // Who is not connected is not told.
    assert_eq!(l.run(Message::to(addr, b"tea").send(&one)), 3);
    let poll = Op::Poll { fd: one.as_raw_fd(), interest: Interest::Readable };
    let polls = l.submit(poll);
    l.settle();
    assert!(!l.has(polls));
    assert_eq!(connect(&mut l, &one, addr), 0);
    assert_eq!(l.run(send(&one, b"tea")), 3);
    assert!(l.result(polls) & i32::from(libc::POLLERR) != 0);
    let mut buf = [0; 9];
    assert_eq!(l.run(recv(&one, &mut buf)), -libc::ECONNREFUSED);
    // It is said once.
    let waits = l.submit(recv(&one, &mut buf));
    l.settle();
    assert!(!l.has(waits));
    // And to who waits.
    assert_eq!(l.run(send(&one, b"tea")), 3);
    assert_eq!(l.result(waits), -libc::ECONNREFUSED);
    l.assert_idle();
}

fn a_poll_tells_of_datagrams(kind: Kind) {
    let mut l = Loop::new(kind);
    let (one, other) = connected(&mut l);
    let writable = Op::Poll { fd: one.as_raw_fd(), interest: Interest::Writable };
    assert_eq!(l.run(writable), i32::from(libc::POLLOUT));
    let readable = l.submit(Op::Poll { fd: one.as_raw_fd(), interest: Interest::Readable });
    l.settle();
    assert!(!l.has(readable));
    assert_eq!(l.run(send(&other, b"")), 0);
    assert_eq!(l.result(readable), i32::from(libc::POLLIN));
    assert_eq!(l.run(recv(&one, &mut [0; 8])), 0);
    l.assert_idle();
}

fn each_of_those_who_wait_has_one(kind: Kind) {
    const WAITERS: usize = 100;
    let mut l = Loop::new(kind);
    let (one, other) = connected(&mut l);
    let mut bufs = vec![[0; 4]; WAITERS];
    let tokens: Vec<_> = bufs.iter_mut().map(|buf| l.submit(recv(&one, buf))).collect();
    l.settle();
    for n in 0..WAITERS as u32 {
        assert_eq!(l.run(send(&other, &n.to_ne_bytes())), 4);
    }
    tokens.into_iter().for_each(|token| assert_eq!(l.result(token), 4));
    let mut heard: Vec<_> = bufs.iter().map(|buf| u32::from_ne_bytes(*buf)).collect();
    heard.sort_unstable();
    assert!(heard.into_iter().eq(0..WAITERS as u32));
    l.assert_idle();
}

fn a_cancelled_receive_takes_nothing(kind: Kind) {
    let mut l = Loop::new(kind);
    let ((one, one_addr), (other, other_addr)) = (bound(&mut l), bound(&mut l));
    let mut buf = [0xaa; 16];
    let mut message = Message::room(&mut buf);
    let token = l.submit(message.recv(&one, 0));
    l.settle();
    l.driver.cancel(token);
    assert_eq!(l.result(token), CANCELLED);
    l.run(Message::to(one_addr, b"tea").send(&other));
    l.settle();
    assert_eq!((buf, message.header.msg_namelen as usize), ([0xaa; 16], size_of::<libc::sockaddr_storage>()));
    assert_eq!(receive(&mut l, &one, &mut buf, 0), (3, other_addr));
    l.assert_idle();
}

/// A receive that is cancelled at some point of a datagram's way: before it is sent, before it has been heard of, after.
fn cancelling_at_any_time_loses_no_datagram(kind: Kind) {
    const ROUNDS: u32 = 300;
    let mut l = Loop::new(kind);
    let ((one, one_addr), (other, other_addr)) = (bound(&mut l), bound(&mut l));
    let mut expected = 0..ROUNDS;
    let mut buf = [0; 16];
    let mut take = |result: i32, message: &Message, buf: &[u8; 16]| {
        assert_eq!((result, message.from()), (4, other_addr));
        assert_eq!(Some(u32::from_ne_bytes(buf[..4].try_into().unwrap())), expected.next());
    };
    for round in 0..ROUNDS {
        let mut message = Message::room(&mut buf);
        let token = l.submit(message.recv(&one, 0));
        for _ in 0..round % 3 {
            l.wait(Until::Now);
        }
        assert_eq!(l.run(Message::to(one_addr, &round.to_ne_bytes()).send(&other)), 4);
        if round % 4 > 1 {
            // Not for ever: it may have been heard of with the send.
            let soon = l.driver.clock().now() + std::time::Duration::from_micros(u64::from(round % 7) * 300);
            l.wait(Until::Deadline(soon));
        }
        l.driver.cancel(token);
        match l.result(token) {
            CANCELLED => {
                let mut message = Message::room(&mut buf);
                let result = l.run(message.recv(&one, 0));
                take(result, &message, &buf);
            }
            result => take(result, &message, &buf),
        }
    }
    assert_eq!(expected.next(), None);
    l.assert_idle();
}

fn cancelling_in_a_race_loses_no_datagram(kind: Kind) {
    const ROUNDS: u32 = 2000;
    let mut l = Loop::new(kind);
    let (one, addr) = bound(&mut l);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let from = socket.local_addr().unwrap();
    let (turns, sender) =
        takes_turns(ROUNDS, move |round| assert_eq!(socket.send_to(&round.to_ne_bytes(), addr).unwrap(), 4));
    let mut expected = 1_u32;
    let mut buf = [0; 16];
    let mut take = |result: i32, message: &Message, buf: &[u8; 16]| {
        assert_eq!((result, message.from()), (4, from));
        assert_eq!(u32::from_ne_bytes(buf[..4].try_into().unwrap()), expected);
        expected += 1;
        expected
    };
    let mut next = 1;
    for round in 1..=ROUNDS {
        let mut message = Message::room(&mut buf);
        let token = l.submit(message.recv(&one, 0));
        match l.cancel_in_turn(token, &turns, round) {
            CANCELLED => {}
            result => next = take(result, &message, &buf),
        }
        // The socket's buffer is not to be what loses them.
        while next + 50 < round {
            let mut message = Message::room(&mut buf);
            let result = l.run(message.recv(&one, 0));
            next = take(result, &message, &buf);
        }
    }
    while next <= ROUNDS {
        let mut message = Message::room(&mut buf);
        let result = l.run(message.recv(&one, 0));
        next = take(result, &message, &buf);
    }
    drop(sender.join().unwrap());
    l.assert_idle();
}

fn closing_ends_what_waits(kind: Kind) {
    let mut l = Loop::new(kind);
    let (mut one, _) = bound(&mut l);
    if kind != Kind::Sim {
        // There a socket of another test may have the number as soon as this one is closed.
        one = at(one, number(500, kind));
    }
    let mut buf = [0; 16];
    let token: Token = l.submit(recv(&one, &mut buf));
    l.settle();
    let fd = one.as_raw_fd();
    l.driver.close(one);
    if kind == Kind::Uring {
        // There the file stays open for what waits.
        l.driver.cancel(token);
    }
    assert_eq!(l.result(token), CANCELLED);
    assert_eq!(l.run(Op::Recv { fd, buf: buf.as_mut_ptr(), len: 16, flags: 0 }), -libc::EBADF);
    l.assert_idle();
}
