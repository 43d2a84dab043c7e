//! What is sent arrives: all sizes, both ways, streams and datagrams, pipes and files, to the end or the reset.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod harness;

use harness::{Loop, *};
use kettle_driver::{Interest, Kind, Op, Submitted, Token, Until};
use std::io::{Read, Seek, Write};
use std::net::{Shutdown, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

on_both! {
    all_sizes_arrive_intact
    what_is_asked_for_at_once_arrives_at_once
    a_stream_is_echoed
    a_receive_takes_what_is_there
    send_all_sends_all_against_a_full_socket
    parts_are_gathered_and_scattered
    datagrams_keep_their_bounds_and_addresses
    datagrams_wait_for_room_at_their_receiver
    an_end_is_zero
    a_half_closed_stream_still_sends
    a_reset_while_receiving_is_an_error
    a_reset_while_sending_is_an_error
    nothing_to_move_is_zero
    a_closed_descriptor_is_ebadf
    what_is_no_socket_is_enotsock
    accept_and_connect
    an_accepted_address_is_the_peer_s
    connect_is_refused
    connect_waits_for_room_in_a_unix_listener_s_queue
    pipes_carry_data
    a_full_pipe_waits
    eventfds_are_read_and_written
    terminals_are_read_and_keep_their_flags
    regular_files_are_read_and_written_in_order
    poll_says_when_it_is_readable
    poll_says_when_it_is_writable
    poll_sees_a_hang_up
    operations_of_one_direction_take_turns
    both_directions_wait_at_once
    an_impatient_operation_answers_at_once
    peeked_bytes_stay
    urgent_data_does_not_hide_what_follows
    the_answer_to_what_came_alone_is_sent_at_once
    answers_to_what_came_together_are_sent_together
    what_is_sent_at_once_overtakes_nothing
    what_can_t_be_sent_at_once_waits
    what_can_never_be_sent_is_an_error_at_once
}

fn all_sizes_arrive_intact(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, b) = tcp_pair();
    let sent = pattern(1 << 17);
    for size in (0..18).flat_map(|bits| [(1_usize << bits) - 1, 1 << bits]).skip(1) {
        for (from, to) in [(&a, &b), (&b, &a)] {
            let mut got = vec![0; size];
            let receives = l.submit(recv_all(to, &mut got));
            let sends = l.submit(send_all(from, &sent[..size]));
            assert_eq!(l.result(sends), size as i32);
            assert_eq!(l.result(receives), size as i32);
            assert!(got == sent[..size], "{size} bytes");
        }
    }
    l.assert_idle();
}

fn what_is_asked_for_at_once_arrives_at_once(kind: Kind) {
    let mut l = Loop::new(kind);
    for _ in 0..3 {
        let token = l.submit(Op::Nop);
        assert_eq!(l.result(token), 0);
    }
    l.assert_idle();
}

fn a_stream_is_echoed(kind: Kind) {
    let mut l = Loop::new(kind);
    let (server, client) = tcp_pair();
    let sent = pattern(3_000_000);
    let reader = reads_all(client.try_clone().unwrap());
    let bytes = sent.clone();
    let writer = std::thread::spawn(move || {
        (&client).write_all(&bytes).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
    });
    let mut buf = vec![0; 7919];
    loop {
        let count = l.run(recv(&server, &mut buf)) as usize;
        if count == 0 {
            break;
        }
        assert_eq!(l.run(send_all(&server, &buf[..count])), count as i32);
    }
    l.driver.close(server.into());
    writer.join().unwrap();
    assert!(reader.join().unwrap() == sent);
    l.assert_idle();
}

fn a_receive_takes_what_is_there(kind: Kind) {
    let mut l = Loop::new(kind);
    for round in 0..3 {
        let (a, mut b) = tcp_pair();
        let mut buf = [0; 100];
        for size in [1, 99, 100, 7] {
            let token = if round == 0 { None } else { Some(l.submit(recv(&a, &mut buf))) };
            if round == 2 {
                l.settle();
            }
            b.write_all(&vec![size; size as usize]).unwrap();
            let token = token.unwrap_or_else(|| l.submit(recv(&a, &mut buf)));
            assert_eq!(l.result(token), i32::from(size));
            assert!(buf[..size as usize].iter().all(|byte| *byte == size));
        }
    }
    l.assert_idle();
}

fn send_all_sends_all_against_a_full_socket(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, b) = unix_pair();
    let sent = pattern(5_000_000);
    let token = l.submit(send_all(&a, &sent));
    l.settle();
    assert!(!l.has(token));
    let reader = reads_all(b);
    assert_eq!(l.result(token), sent.len() as i32);
    l.driver.close(a.into());
    assert!(reader.join().unwrap() == sent);
}

fn parts_are_gathered_and_scattered(kind: Kind) {
    let mut l = Loop::new(kind);
    for (a, b) in [tcp_pair(), tcp_pair()] {
        let sent = pattern(1000);
        let mut parts: Vec<_> = [0..1, 1..1, 1..400, 400..1000]
            .map(|range: std::ops::Range<usize>| libc::iovec {
                iov_base: sent[range.clone()].as_ptr().cast_mut().cast(),
                iov_len: range.len(),
            })
            .into();
        // SAFETY: all zeros is a valid message.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        (message.msg_iov, message.msg_iovlen) = (parts.as_mut_ptr(), parts.len() as _);
        let mut got = vec![0; 1000];
        let (left, right) = got.split_at_mut(123);
        let mut places =
            [left, right].map(|part| libc::iovec { iov_base: part.as_mut_ptr().cast(), iov_len: part.len() });
        // SAFETY: as above.
        let mut place: libc::msghdr = unsafe { std::mem::zeroed() };
        (place.msg_iov, place.msg_iovlen) = (places.as_mut_ptr(), places.len() as _);
        let receives = l.submit(Op::RecvMsg { fd: a.as_raw_fd(), msg: &raw mut place, flags: 0 });
        l.settle();
        let sends = Op::SendMsg { fd: b.as_raw_fd(), msg: &raw const message, flags: libc::MSG_NOSIGNAL };
        assert_eq!(l.run(sends), 1000);
        assert_eq!(l.result(receives), 1000);
        assert!(got == sent);
    }
    l.assert_idle();
}

fn datagrams_keep_their_bounds_and_addresses(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, b) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let (mut to, to_len) = address(a.local_addr().unwrap());
    let sent = pattern(900);
    let mut part = libc::iovec { iov_base: sent.as_ptr().cast_mut().cast(), iov_len: 900 };
    // SAFETY: all zeros is a valid message.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
    (message.msg_name, message.msg_namelen) = ((&raw mut to).cast(), to_len);
    assert_eq!(l.run(Op::SendMsg { fd: b.as_raw_fd(), msg: &raw const message, flags: 0 }), 900);
    let mut short = libc::iovec { iov_len: 10, ..part };
    message.msg_iov = &raw mut short;
    assert_eq!(l.run(Op::SendMsg { fd: b.as_raw_fd(), msg: &raw const message, flags: 0 }), 10);

    let mut buf = [0; 500];
    // SAFETY: all zeros is a valid address.
    let mut from: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut place = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: 500 };
    // SAFETY: as above.
    let mut received: libc::msghdr = unsafe { std::mem::zeroed() };
    (received.msg_iov, received.msg_iovlen) = (&raw mut place, 1);
    (received.msg_name, received.msg_namelen) = ((&raw mut from).cast(), size_of_val(&from) as _);
    // The rest of the first is gone; the second is whole. Asking for all is no reason to wait for a third.
    let flags = libc::MSG_WAITALL;
    assert_eq!(l.run(Op::RecvMsg { fd: a.as_raw_fd(), msg: &raw mut received, flags }), 500);
    assert_eq!(l.run(recv_all(&a, &mut buf)), 10);
    assert_eq!(buf[..10], sent[..10]);
    let expected = address(b.local_addr().unwrap());
    let v4 = (&raw const from).cast::<libc::sockaddr_in>();
    // SAFETY: the kernel has written such an address.
    assert_eq!(unsafe { (*v4).sin_port }, b.local_addr().unwrap().port().to_be());
    assert_eq!(received.msg_namelen, expected.1);
    l.assert_idle();
}

fn datagrams_wait_for_room_at_their_receiver(kind: Kind) {
    if kind == Kind::Uring {
        // Linux sends empty datagrams instead: see `Op::Send`.
        return;
    }
    let mut l = Loop::new(kind);
    let name = SocketAddr::from_abstract_name(format!("kettle {:p}", &raw const l)).unwrap();
    let receiver = UnixDatagram::bind_addr(&name).unwrap();
    let (connected, unconnected) = (UnixDatagram::unbound().unwrap(), UnixDatagram::unbound().unwrap());
    connected.connect_addr(&name).unwrap();
    // SAFETY: all zeros is a valid address.
    let mut to: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut to_len = size_of_val(&to) as libc::socklen_t;
    // SAFETY: room for an address.
    unsafe { libc::getsockname(receiver.as_raw_fd(), (&raw mut to).cast(), &raw mut to_len) };
    let mut part = libc::iovec { iov_base: b"x".as_ptr().cast_mut().cast(), iov_len: 1 };
    // SAFETY: all zeros is a valid message.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
    (message.msg_name, message.msg_namelen) = ((&raw mut to).cast(), to_len);
    let send_to = Op::SendMsg { fd: unconnected.as_raw_fd(), msg: &raw const message, flags: 0 };
    let impatient = Op::Send { fd: connected.as_raw_fd(), buf: b"x".as_ptr(), len: 1, flags: libc::MSG_DONTWAIT };
    for op in [send(&connected, b"x"), send_to, send(&connected, b"x"), send_to] {
        // What fills the receiver's queue comes from one socket, so the other's has no event when it is read.
        let mut sent = 0;
        while l.run(impatient) == 1 {
            sent += 1;
        }
        let waiting = l.submit(op);
        l.settle();
        assert!(!l.has(waiting));
        let end = Instant::now() + Duration::from_millis(3);
        assert_eq!(l.wait(Until::Deadline(end)), 0);
        assert!(Instant::now() >= end);
        for _ in 0..sent + 1 {
            let mut buf = [0; 8];
            assert_eq!(l.run(recv(&receiver, &mut buf)), 1);
            assert_eq!(buf[0], b'x');
        }
        assert_eq!(l.result(waiting), 1);
    }
    l.assert_idle();
}

fn an_end_is_zero(kind: Kind) {
    let mut l = Loop::new(kind);
    let mut buf = [7; 8];
    for waits in [false, true] {
        let (a, b) = tcp_pair();
        let early = waits.then(|| l.submit(recv(&a, &mut buf)));
        l.settle();
        drop(b);
        let token = early.unwrap_or_else(|| l.submit(recv(&a, &mut buf)));
        assert_eq!(l.result(token), 0);
        // It stays the end.
        assert_eq!(l.run(recv(&a, &mut buf)), 0);
    }
    // Bytes before the end come first, although they are fewer than there is room for.
    let (a, mut b) = tcp_pair();
    b.write_all(b"ab").unwrap();
    drop(b);
    assert_eq!(l.run(recv(&a, &mut buf)), 2);
    assert_eq!(l.run(recv(&a, &mut buf)), 0);
    // All that was asked for can't come any more: what came is the result.
    let (a, mut b) = tcp_pair();
    let token = l.submit(recv_all(&a, &mut buf));
    b.write_all(b"abc").unwrap();
    l.settle();
    assert!(!l.has(token));
    drop(b);
    assert_eq!(l.result(token), 3);
    assert_eq!(&buf, b"abc\x07\x07\x07\x07\x07");
    l.assert_idle();
}

fn a_half_closed_stream_still_sends(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, mut b) = tcp_pair();
    let mut buf = [0; 8];
    let token = l.submit(recv(&a, &mut buf));
    l.settle();
    b.shutdown(Shutdown::Write).unwrap();
    assert_eq!(l.result(token), 0);
    assert_eq!(l.run(send(&a, b"still")), 5);
    let mut got = [0; 5];
    b.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"still");
    // Our own end of receiving.
    let (a, _b) = tcp_pair();
    let token = l.submit(recv(&a, &mut buf));
    l.settle();
    a.shutdown(Shutdown::Read).unwrap();
    assert_eq!(l.result(token), 0);
    l.assert_idle();
}

fn a_reset_while_receiving_is_an_error(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, b) = tcp_pair();
    let mut buf = [0; 8];
    let token = l.submit(recv(&a, &mut buf));
    l.settle();
    reset_on_close(&b);
    drop(b);
    assert_eq!(l.result(token), -libc::ECONNRESET);
    assert_eq!(l.run(recv(&a, &mut buf)), 0);
    l.assert_idle();
}

fn a_reset_while_sending_is_an_error(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, b) = tcp_pair();
    let big = vec![0; 64 << 20];
    let token = l.submit(send_all(&a, &big));
    l.settle();
    assert!(!l.has(token));
    reset_on_close(&b);
    drop(b);
    // What had been taken before is told; the error was the stream's, and is known to the next.
    let sent = l.result(token);
    assert!((1..big.len() as i32).contains(&sent), "{sent}");
    let error = l.run(send(&a, b"x"));
    assert!(error == -libc::EPIPE || error == -libc::ECONNRESET, "{error}");
    l.assert_idle();
}

fn nothing_to_move_is_zero(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, mut b) = tcp_pair();
    assert_eq!(l.run(send(&a, &[])), 0);
    assert_eq!(l.run(send_all(&a, &[])), 0);
    b.write_all(b"kept").unwrap();
    assert_eq!(l.run(recv(&a, &mut [])), 0);
    let mut buf = [0; 8];
    assert_eq!(l.run(recv(&a, &mut buf)), 4);
    let (reader, writer) = pipe();
    assert_eq!(l.run(write(&writer, &[])), 0);
    assert_eq!(l.run(read(&reader, &mut [])), 0);
    l.assert_idle();
}

fn a_closed_descriptor_is_ebadf(kind: Kind) {
    let mut l = Loop::new(kind);
    // Far above what any test opens, so that no other thread opens it meanwhile.
    let fd = 1_000_000;
    let mut buf = [0; 8];
    let (address, addr_len) = address("127.0.0.1:1".parse().unwrap());
    // SAFETY: all zeros is a valid message.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    for fd in [fd, -1] {
        for op in [
            recv(&fd, &mut buf),
            send(&fd, b"x"),
            read(&fd, &mut buf),
            write(&fd, b"x"),
            accept(&fd),
            Op::Connect { fd, addr: &raw const address, addr_len },
            Op::RecvMsg { fd, msg: &raw mut message, flags: 0 },
            Op::SendMsg { fd, msg: &raw const message, flags: 0 },
            Op::Poll { fd, interest: Interest::Readable },
        ] {
            assert_eq!(l.run(op), -libc::EBADF, "{op:?}");
        }
    }
    l.assert_idle();
}

fn what_is_no_socket_is_enotsock(kind: Kind) {
    let mut l = Loop::new(kind);
    let (reader, writer) = pipe();
    assert_eq!(l.run(recv(&reader, &mut [0; 8])), -libc::ENOTSOCK);
    assert_eq!(l.run(send(&writer, b"x")), -libc::ENOTSOCK);
    assert_eq!(l.run(accept(&reader)), -libc::ENOTSOCK);
    l.assert_idle();
}

fn accept_and_connect(kind: Kind) {
    let mut l = Loop::new(kind);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, addr_len) = address(listener.local_addr().unwrap());
    for accept_first in [true, false] {
        let socket = tcp_socket();
        let early = accept_first.then(|| l.submit(accept(&listener)));
        l.settle();
        let connect = Op::Connect { fd: socket.as_raw_fd(), addr: &raw const address, addr_len };
        assert_eq!(l.run(connect), 0);
        let token = early.unwrap_or_else(|| l.submit(accept(&listener)));
        let peer = accepted(l.result(token));
        // SAFETY: takes no pointers.
        let flags = unsafe { libc::fcntl(peer.as_raw_fd(), libc::F_GETFD) };
        assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
        // SAFETY: takes no pointers.
        let flags = unsafe { libc::fcntl(peer.as_raw_fd(), libc::F_GETFL) };
        assert_eq!(flags & libc::O_NONBLOCK, 0, "in blocking mode");
        assert_eq!(l.run(send(&socket, b"hello")), 5);
        let mut buf = [0; 8];
        assert_eq!(l.run(recv(&peer, &mut buf)), 5);
        assert_eq!(l.run(connect), -libc::EISCONN);
        l.driver.close(socket);
        assert_eq!(l.run(recv(&peer, &mut buf)), 0);
        l.driver.close(peer);
    }
    l.assert_idle();
}

fn an_accepted_address_is_the_peer_s(kind: Kind) {
    let mut l = Loop::new(kind);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // SAFETY: all zeros is a valid address.
    let mut from: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let mut len = size_of_val(&from) as libc::socklen_t;
    let token = l.submit(Op::Accept { fd: listener.as_raw_fd(), addr: &raw mut from, addr_len: &raw mut len });
    l.settle();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    drop(accepted(l.result(token)));
    assert_eq!(len as usize, size_of::<libc::sockaddr_in>());
    let v4 = (&raw const from).cast::<libc::sockaddr_in>();
    // SAFETY: the kernel has written such an address.
    assert_eq!(unsafe { (*v4).sin_port }, client.local_addr().unwrap().port().to_be());
}

fn connect_is_refused(kind: Kind) {
    let mut l = Loop::new(kind);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (address, addr_len) = address(free);
    let socket = tcp_socket();
    let connect = Op::Connect { fd: socket.as_raw_fd(), addr: &raw const address, addr_len };
    assert_eq!(l.run(connect), -libc::ECONNREFUSED);
    // The error has been taken: a second try is a new one.
    assert_eq!(l.run(connect), -libc::ECONNREFUSED);
    l.assert_idle();
}

fn connect_waits_for_room_in_a_unix_listener_s_queue(kind: Kind) {
    let mut l = Loop::new(kind);
    let (listener, storage, len) = narrow_unix_listener();
    let sockets: [_; 4] = std::array::from_fn(|_| unix_socket());
    let connect =
        |fd: &std::os::fd::OwnedFd| Op::Connect { fd: fd.as_raw_fd(), addr: &raw const *storage, addr_len: len };
    let tokens: [_; 4] = std::array::from_fn(|index| l.submit(connect(&sockets[index])));
    l.settle();
    assert!(!tokens.iter().all(|token| l.has(*token)), "the queue is never full");
    // One more gives up.
    let given_up = unix_socket();
    let token = l.submit(connect(&given_up));
    l.settle();
    l.driver.cancel(token);
    assert_eq!(l.result(token), CANCELLED);
    for _ in 0..4 {
        let fd = l.run(accept(&listener));
        l.driver.close(accepted(fd));
    }
    assert_eq!(tokens.map(|token| l.result(token)), [0; 4]);
    // Where nobody listens it is refused.
    l.driver.close(listener);
    let late = unix_socket();
    assert_eq!(l.run(connect(&late)), -libc::ECONNREFUSED);
    l.assert_idle();
}

fn pipes_carry_data(kind: Kind) {
    let mut l = Loop::new(kind);
    let (reader, writer) = pipe();
    let mut buf = [0; 8];
    let token = l.submit(read(&reader, &mut buf));
    l.settle();
    assert!(!l.has(token));
    assert_eq!(l.run(write(&writer, b"steam")), 5);
    assert_eq!(l.result(token), 5);
    assert_eq!(&buf[..5], b"steam");
    let token = l.submit(read(&reader, &mut buf));
    l.settle();
    l.driver.close(writer);
    assert_eq!(l.result(token), 0);
    l.assert_idle();
}

fn a_full_pipe_waits(kind: Kind) {
    let mut l = Loop::new(kind);
    let (reader, writer) = pipe();
    let sent = pattern(1_000_000);
    let all = reads_all(std::fs::File::from(reader));
    let mut done = 0;
    while done < sent.len() {
        let count = l.run(write(&writer, &sent[done..]));
        assert!(count > 0, "{count}");
        done += count as usize;
    }
    l.driver.close(writer);
    assert!(all.join().unwrap() == sent);
    let (reader, writer) = pipe();
    l.driver.close(reader);
    assert_eq!(l.run(write(&writer, b"x")), -libc::EPIPE);
}

fn eventfds_are_read_and_written(kind: Kind) {
    let mut l = Loop::new(kind);
    // SAFETY: takes no pointers.
    let eventfd = accepted(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) });
    let mut count = [0; 8];
    let token = l.submit(read(&eventfd, &mut count));
    l.settle();
    assert_eq!(l.run(write(&eventfd, &3_u64.to_ne_bytes())), 8);
    assert_eq!(l.result(token), 8);
    assert_eq!(u64::from_ne_bytes(count), 3);
    l.assert_idle();
}

fn terminals_are_read_and_keep_their_flags(kind: Kind) {
    let mut l = Loop::new(kind);
    let (mut ours, mut theirs) = (0, 0);
    let (no_name, no_modes, no_size) = (std::ptr::null_mut(), std::ptr::null(), std::ptr::null());
    // SAFETY: two variables, and nothing else is asked for.
    assert_eq!(unsafe { libc::openpty(&raw mut ours, &raw mut theirs, no_name, no_modes, no_size) }, 0);
    let (ours, theirs) = (accepted(ours), accepted(theirs));
    let mut buf = [0; 16];
    for _ in 0..3 {
        let token = l.submit(read(&theirs, &mut buf));
        l.settle();
        assert!(!l.has(token));
        assert_eq!(l.run(write(&ours, b"tea\n")), 4);
        assert_eq!(l.result(token), 4);
        assert_eq!(&buf[..4], b"tea\n");
        // The echo.
        assert!(l.run(read(&ours, &mut buf)) > 0);
    }
    let token = l.submit(read(&theirs, &mut buf));
    l.settle();
    l.driver.cancel(token);
    assert_eq!(l.result(token), CANCELLED);
    // Others use this terminal as well.
    // SAFETY: takes no pointers.
    assert_eq!(unsafe { libc::fcntl(theirs.as_raw_fd(), libc::F_GETFL) } & libc::O_NONBLOCK, 0);
    l.driver.close(ours);
    l.driver.close(theirs);
    l.assert_idle();
}

fn regular_files_are_read_and_written_in_order(kind: Kind) {
    let mut l = Loop::new(kind);
    // SAFETY: the name is a string with its end.
    let file = accepted(unsafe { libc::memfd_create(c"test".as_ptr(), libc::MFD_CLOEXEC) });
    let mut file = std::fs::File::from(file);
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("regular-{kind}-{}", std::process::id()));
    let mut on_disk = std::fs::File::options().create(true).truncate(true).read(true).write(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    for file in [&mut file, &mut on_disk] {
        assert_eq!(l.run(write(file, b"hot ")), 4);
        assert_eq!(l.run(write(file, b"water")), 5);
        file.rewind().unwrap();
        let mut buf = [0; 20];
        assert_eq!(l.run(read(file, &mut buf[..3])), 3);
        assert_eq!(l.run(read(file, &mut buf[3..])), 6);
        assert_eq!(&buf[..9], b"hot water");
        assert_eq!(l.run(read(file, &mut buf)), 0);
        let interest = Interest::Readable;
        assert_ne!(l.run(Op::Poll { fd: file.as_raw_fd(), interest }) & i32::from(libc::POLLIN), 0);
    }
    l.assert_idle();
}

fn poll_says_when_it_is_readable(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, mut b) = tcp_pair();
    let poll = Op::Poll { fd: a.as_raw_fd(), interest: Interest::Readable };
    let token = l.submit(poll);
    l.settle();
    assert!(!l.has(token));
    b.write_all(b"x").unwrap();
    assert_eq!(l.result(token) & i32::from(libc::POLLIN | libc::POLLOUT), i32::from(libc::POLLIN));
    // Nothing was taken: it is ready still.
    assert_eq!(l.run(poll) & i32::from(libc::POLLIN), i32::from(libc::POLLIN));
    assert_eq!(l.run(recv(&a, &mut [0; 8])), 1);
    let token = l.submit(poll);
    l.settle();
    assert!(!l.has(token));
    drop(b);
    assert_eq!(l.result(token) & i32::from(libc::POLLIN), i32::from(libc::POLLIN));
    l.assert_idle();
}

fn poll_says_when_it_is_writable(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, mut b) = unix_pair();
    let poll = Op::Poll { fd: a.as_raw_fd(), interest: Interest::Writable };
    assert_eq!(l.run(poll) & i32::from(libc::POLLOUT), i32::from(libc::POLLOUT));
    let chunk = [0; 4096];
    let impatient = Op::Send { fd: a.as_raw_fd(), buf: chunk.as_ptr(), len: 4096, flags: libc::MSG_DONTWAIT };
    let mut full = 0;
    loop {
        match l.run(impatient) {
            sent if sent > 0 => full += sent as usize,
            error => break assert_eq!(error, -libc::EAGAIN),
        }
    }
    let token = l.submit(poll);
    l.settle();
    assert!(!l.has(token));
    b.read_exact(&mut vec![0; full]).unwrap();
    assert_eq!(l.result(token) & i32::from(libc::POLLOUT), i32::from(libc::POLLOUT));
    l.assert_idle();
}

fn poll_sees_a_hang_up(kind: Kind) {
    let mut l = Loop::new(kind);
    for interest in [Interest::Readable, Interest::Writable] {
        let (a, b) = unix_pair();
        let poll = Op::Poll { fd: a.as_raw_fd(), interest };
        let token = l.submit(poll);
        l.settle();
        drop(b);
        assert!(l.result(token) > 0);
        assert_ne!(l.run(poll) & i32::from(libc::POLLHUP), 0);
    }
    l.assert_idle();
}

fn operations_of_one_direction_take_turns(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, mut b) = tcp_pair();
    let mut bufs = [[0_u8; 2]; 50];
    let tokens: Vec<_> = bufs.iter_mut().map(|buf| l.submit(recv_all(&a, buf))).collect();
    l.settle();
    for part in pattern(100).chunks(10) {
        b.write_all(part).unwrap();
        l.settle();
    }
    assert!(tokens.into_iter().all(|token| l.result(token) == 2));
    if kind == Kind::Epoll {
        // First come, first served. (io_uring wakes them all, in no promised order.)
        assert_eq!(bufs.concat(), pattern(100));
    }
    l.assert_idle();
}

fn both_directions_wait_at_once(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, b) = unix_pair();
    let sent = pattern(1_000_000);
    let mut buf = [0; 8];
    let sends = l.submit(send_all(&a, &sent));
    let receives = l.submit(recv(&a, &mut buf));
    l.settle();
    assert!(!l.has(sends) && !l.has(receives));
    (&b).write_all(b"go").unwrap();
    assert_eq!(l.result(receives), 2);
    assert!(!l.has(sends));
    let reader = reads_all(b);
    assert_eq!(l.result(sends), sent.len() as i32);
    l.driver.close(a.into());
    assert!(reader.join().unwrap() == sent);
}

fn an_impatient_operation_answers_at_once(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, mut b) = tcp_pair();
    let mut buf = [0; 8];
    let op = |buf: &mut [u8]| Op::Recv {
        fd: a.as_raw_fd(),
        buf: buf.as_mut_ptr(),
        len: buf.len(),
        flags: libc::MSG_DONTWAIT,
    };
    assert_eq!(l.run(op(&mut buf)), -libc::EAGAIN);
    let mut waiting = [0; 1];
    let token = l.submit(recv(&a, &mut waiting));
    l.settle();
    assert_eq!(l.run(op(&mut buf)), -libc::EAGAIN);
    b.write_all(b"abc").unwrap();
    assert_eq!(l.result(token), 1);
    assert_eq!(l.run(op(&mut buf)), 2);
    l.assert_idle();
}

fn peeked_bytes_stay(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, mut b) = tcp_pair();
    let mut buf = [0; 8];
    let peek = Op::Recv { fd: a.as_raw_fd(), buf: buf.as_mut_ptr(), len: 8, flags: libc::MSG_PEEK };
    let token = l.submit(peek);
    l.settle();
    b.write_all(b"tea").unwrap();
    assert_eq!(l.result(token), 3);
    assert_eq!(l.run(peek), 3);
    assert_eq!(l.run(recv(&a, &mut buf)), 3);
    l.assert_idle();
}

fn urgent_data_does_not_hide_what_follows(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, b) = tcp_pair();
    let mut buf = [0; 100];
    // It is registered, and knows that it is dry.
    for _ in 0..2 {
        let token = l.submit(recv(&a, &mut buf));
        l.settle();
        (&b).write_all(b"x").unwrap();
        assert_eq!(l.result(token), 1);
    }
    for round in 0..3 {
        (&b).write_all(b"before").unwrap();
        let urgent = Op::Send { fd: b.as_raw_fd(), buf: b"!".as_ptr(), len: 1, flags: libc::MSG_OOB };
        assert_eq!(l.run(urgent), 1);
        (&b).write_all(b"after").unwrap();
        if round == 1 {
            l.settle();
        }
        // Receiving stops before the urgent byte; what is behind it comes without another event.
        let mut got = Vec::new();
        while got.len() < 11 {
            let count = l.run(recv(&a, &mut buf));
            assert!(count > 0, "{count}");
            got.extend_from_slice(&buf[..count as usize]);
        }
        assert_eq!(got, b"beforeafter");
    }
    l.assert_idle();
}

/// Submits what completes or fails by itself, and does not wait for it.
fn submit(l: &mut Loop, op: Op, token: Token) -> Submitted {
    // SAFETY: what it sends are constants, or live until the end of the test.
    unsafe { l.driver.submit(op, token) }
}

fn message(parts: &mut [libc::iovec]) -> libc::msghdr {
    // SAFETY: all zeros is a valid message.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = parts.as_mut_ptr();
    message.msg_iovlen = parts.len();
    message
}

fn the_answer_to_what_came_alone_is_sent_at_once(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, mut b) = tcp_pair();
    let mut buf = [0; 8];
    for _ in 0..3 {
        let token = l.submit(recv(&a, &mut buf));
        l.settle();
        b.write_all(b"ask").unwrap();
        assert_eq!(l.result(token), 3);
        assert_eq!(submit(&mut l, send(&a, b"answer"), Token(1)), Submitted::Done(6));
        b.read_exact(&mut [0; 6]).unwrap();
    }
    let mut parts = [libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: 3 }; 2];
    let message = message(&mut parts);
    let gathered = Op::SendMsg { fd: a.as_raw_fd(), msg: &raw const message, flags: libc::MSG_NOSIGNAL };
    l.run(Op::Nop);
    assert_eq!(submit(&mut l, gathered, Token(1)), Submitted::Done(6));
    let mut answer = [0; 6];
    b.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"askask");
    l.assert_idle();
}

fn answers_to_what_came_together_are_sent_together(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, mut b) = tcp_pair();
    l.settle();
    let together = [l.submit(Op::Nop), l.submit(Op::Nop)];
    assert_eq!(together.map(|token| l.result(token)), [0, 0]);
    let first = l.submit(send(&a, b"tea"));
    assert_eq!(l.has(first), kind == Kind::Epoll);
    assert_eq!(l.result(first), 3);
    // That one came alone. The second one after it is not the answer to it.
    let (second, third) = (l.submit(send(&a, b"for")), l.submit(send(&a, b"two")));
    assert!(l.has(second));
    assert_eq!(l.has(third), kind == Kind::Epoll);
    assert_eq!([l.result(second), l.result(third)], [3, 3]);
    let mut all = [0; 9];
    b.read_exact(&mut all).unwrap();
    assert_eq!(&all, b"teafortwo");
    l.assert_idle();
}

fn what_is_sent_at_once_overtakes_nothing(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, mut b) = tcp_pair();
    l.run(Op::Nop);
    // All of it must be sent, which may take its time, so it is not tried at once on uring.
    let (first, second) = (l.submit(send_all(&a, b"first ")), l.submit(send(&a, b"second")));
    assert_eq!(l.has(first), kind == Kind::Epoll);
    assert_eq!([l.result(first), l.result(second)], [6, 6]);
    let mut all = [0; 12];
    b.read_exact(&mut all).unwrap();
    assert_eq!(&all, b"first second");
    l.assert_idle();
}

fn what_can_t_be_sent_at_once_waits(kind: Kind) {
    let mut l = Loop::new(kind);
    let (mut a, mut b) = unix_pair();
    a.set_nonblocking(true).unwrap();
    let mut full = 0;
    while let Ok(sent) = a.write(&[7; 4096]) {
        full += sent;
    }
    a.set_nonblocking(false).unwrap();
    l.run(Op::Nop);
    let last = l.submit(send(&a, b"last"));
    l.settle();
    assert!(!l.has(last));
    let mut all = vec![0; full];
    b.read_exact(&mut all).unwrap();
    assert_eq!(l.result(last), 4);
    b.read_exact(&mut all[..4]).unwrap();
    assert_eq!(&all[..4], b"last");
    l.assert_idle();
}

fn what_can_never_be_sent_is_an_error_at_once(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, b) = unix_pair();
    drop(b);
    l.run(Op::Nop);
    assert_eq!(submit(&mut l, send(&a, b"x"), Token(1)), Submitted::Done(-libc::EPIPE));
    let (reader, _writer) = pipe();
    l.run(Op::Nop);
    assert_eq!(submit(&mut l, send(&reader, b"x"), Token(1)), Submitted::Done(-libc::ENOTSOCK));
    l.assert_idle();
}
