//! What std's own tests ask of `UdpSocket`, with tasks in place of threads, and what they don't ask.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod child;
mod sockets;

use kettle::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use kettle::time::{Duration, Instant};
use kettle::{EventLoop, thread};
use sockets::{is_simulated, udp, udp_pair};
use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;

const SOME: Duration = Duration::from_millis(10);

/// Does it in an event loop for each kind of address that this machine has, with two sockets.
fn each_ip(f: impl Fn(UdpSocket, UdpSocket)) {
    kettle::run(|| {
        for ip in ["127.0.0.1:0", "[::1]:0"] {
            match UdpSocket::bind(ip) {
                Ok(one) => f(one, UdpSocket::bind(ip).unwrap()),
                Err(error) => assert_eq!(error.kind(), ErrorKind::AddrNotAvailable, "{ip}"),
            }
        }
    });
}

// --- what std's tests ask ---

#[test]
fn bind_error() {
    // A documentation address: no machine's own.
    let bind = || assert_eq!(UdpSocket::bind("192.0.2.1:0").unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    bind();
    kettle::run(bind);
}

#[test]
fn socket_smoke_test() {
    each_ip(|server, client| {
        let (server_addr, client_addr) = (server.local_addr().unwrap(), client.local_addr().unwrap());
        let sends = thread::spawn(move || client.send_to(&[99], server_addr).unwrap());
        let mut buf = [0];
        assert_eq!(server.recv_from(&mut buf).unwrap(), (1, client_addr));
        assert_eq!(buf, [99]);
        assert_eq!(sends.join().unwrap(), 1);
    });
}

#[test]
fn socket_and_peer_name() {
    each_ip(|one, other| {
        let (one_addr, other_addr) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        assert_eq!(one.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        assert!(one_addr.ip().is_loopback());
        one.connect(other_addr).unwrap();
        other.connect(one_addr).unwrap();
        assert_eq!((one.peer_addr().unwrap(), other.peer_addr().unwrap()), (other_addr, one_addr));
    });
}

#[test]
fn udp_clone_smoke() {
    each_ip(|one, other| {
        let (one_addr, other_addr) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        let answers = thread::spawn(move || {
            let mut buf = [0; 2];
            assert_eq!(other.recv_from(&mut buf).unwrap(), (1, one_addr));
            assert_eq!(buf[0], 1);
            other.send_to(&[2], one_addr).unwrap();
        });
        let clone = one.try_clone().unwrap();
        let asks = thread::spawn(move || clone.send_to(&[1], other_addr).unwrap());
        let mut buf = [0; 2];
        assert_eq!(one.recv_from(&mut buf).unwrap(), (1, other_addr));
        assert_eq!(buf[0], 2);
        asks.join().unwrap();
        answers.join().unwrap();
    });
}

#[test]
fn udp_clone_two_read() {
    each_ip(|one, other| {
        let addr = one.local_addr().unwrap();
        let clone = one.try_clone().unwrap();
        let readers = [one, clone].map(|socket| {
            thread::spawn(move || {
                let mut buf = [0; 2];
                let (len, from) = socket.recv_from(&mut buf).unwrap();
                (buf[..len].to_vec(), from)
            })
        });
        let from = other.local_addr().unwrap();
        for n in [1, 2] {
            other.send_to(&[n], addr).unwrap();
        }
        let mut heard = readers.map(|reader| reader.join().unwrap());
        heard.sort();
        assert_eq!(heard, [(vec![1], from), (vec![2], from)]);
    });
}

#[test]
fn udp_clone_two_write() {
    each_ip(|one, other| {
        let addr = other.local_addr().unwrap();
        let clone = one.try_clone().unwrap();
        let writers =
            [(one, 1), (clone, 2)].map(|(socket, n)| thread::spawn(move || socket.send_to(&[n], addr).unwrap()));
        let mut heard = [0; 2];
        for n in &mut heard {
            let mut buf = [0; 2];
            assert_eq!(other.recv(&mut buf).unwrap(), 1);
            *n = buf[0];
        }
        heard.sort_unstable();
        assert_eq!(heard, [1, 2]);
        writers.into_iter().for_each(|writer| assert_eq!(writer.join().unwrap(), 1));
    });
}

#[test]
fn debug_is_std_s() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (addr, fd) = (socket.local_addr().unwrap(), socket.as_raw_fd());
    let said = format!("{socket:?}");
    assert_eq!(said, format!("UdpSocket {{ addr: {addr:?}, fd: {fd:?} }}"));
    assert_eq!(said, format!("{:?}", std::net::UdpSocket::from(socket)));
}

#[test]
fn timeouts() {
    each_ip(|socket, _| {
        let long = Duration::from_secs(15410);
        assert_eq!((socket.read_timeout().unwrap(), socket.write_timeout().unwrap()), (None, None));
        socket.set_read_timeout(Some(long)).unwrap();
        socket.set_write_timeout(Some(long)).unwrap();
        assert_eq!((socket.read_timeout().unwrap(), socket.write_timeout().unwrap()), (Some(long), Some(long)));
        socket.set_read_timeout(None).unwrap();
        socket.set_write_timeout(None).unwrap();
        assert_eq!((socket.read_timeout().unwrap(), socket.write_timeout().unwrap()), (None, None));
    });
}

#[test]
fn a_read_timeout_ends_each_call_that_receives() {
    each_ip(|socket, _| {
        socket.set_read_timeout(Some(SOME)).unwrap();
        let waits = |call: fn(&UdpSocket) -> io::Result<()>| {
            let start = Instant::now();
            assert_eq!(call(&socket).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert!(start.elapsed() >= SOME);
        };
        waits(|socket| socket.recv_from(&mut [0]).map(drop));
        waits(|socket| socket.peek_from(&mut [0]).map(drop));
        waits(|socket| socket.recv(&mut []).map(drop));
        waits(|socket| socket.peek(&mut [0]).map(drop));
        // What is there is given.
        socket.send_to(b"hello world", socket.local_addr().unwrap()).unwrap();
        let mut buf = [0; 11];
        assert_eq!(socket.recv_from(&mut buf).unwrap().0, 11);
        assert_eq!(&buf, b"hello world");
        waits(|socket| socket.recv_from(&mut [0]).map(drop));
    });
}

#[test]
fn a_timeout_of_zero_is_an_error() {
    each_ip(|socket, _| {
        assert_eq!(socket.set_write_timeout(Some(Duration::ZERO)).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(socket.set_read_timeout(Some(Duration::ZERO)).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(socket.read_timeout().unwrap(), None);
    });
}

#[test]
fn connect_send_peek_recv() {
    each_ip(|socket, _| {
        socket.connect(socket.local_addr().unwrap()).unwrap();
        assert_eq!(socket.send(b"hello world").unwrap(), 11);
        for _ in 0..2 {
            let mut buf = [0; 11];
            assert_eq!(socket.peek(&mut buf).unwrap(), 11);
            assert_eq!(&buf, b"hello world");
        }
        let mut buf = [0; 11];
        assert_eq!(socket.recv(&mut buf).unwrap(), 11);
        assert_eq!(&buf, b"hello world");
    });
}

#[test]
fn peek_from() {
    each_ip(|socket, _| {
        let addr = socket.local_addr().unwrap();
        socket.send_to(b"hello world", addr).unwrap();
        for _ in 0..2 {
            let mut buf = [0; 11];
            assert_eq!(socket.peek_from(&mut buf).unwrap(), (11, addr));
            assert_eq!(&buf, b"hello world");
        }
        let mut buf = [0; 11];
        assert_eq!(socket.recv_from(&mut buf).unwrap(), (11, addr));
        assert_eq!(&buf, b"hello world");
    });
}

#[test]
fn ttl() {
    each_ip(|socket, _| {
        socket.set_ttl(100).unwrap();
        assert_eq!(socket.ttl().unwrap(), 100);
    });
}

#[test]
fn set_nonblocking() {
    each_ip(|socket, _| {
        let addr = socket.local_addr().unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.set_nonblocking(false).unwrap();
        socket.connect(addr).unwrap();
        socket.set_nonblocking(true).unwrap();
        let clone = socket.try_clone().unwrap();
        let mut buf = [0];
        for error in [
            clone.recv(&mut buf).map(drop),
            clone.peek(&mut buf).map(drop),
            clone.recv_from(&mut buf).map(drop),
            socket.peek_from(&mut buf).map(drop),
        ] {
            assert_eq!(error.unwrap_err().kind(), ErrorKind::WouldBlock);
        }
        assert_eq!(socket.send(&[7]).unwrap(), 1);
        socket.set_nonblocking(false).unwrap();
        assert_eq!(socket.recv(&mut buf).unwrap(), 1);
    });
}

#[test]
#[cfg(target_pointer_width = "64")]
fn a_datagram_that_is_too_large_is_an_error() {
    // Of the larger one no page is ever touched.
    let (large, larger) = (vec![0; 65_508], vec![0; i32::MAX as usize + 1]);
    kettle::run(|| {
        let (socket, addr) = udp();
        for data in [&large, &larger] {
            assert_eq!(socket.send_to(data, addr).unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
        }
        socket.connect(addr).unwrap();
        for data in [&large, &larger] {
            assert_eq!(socket.send(data).unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
        }
        assert_eq!(socket.send(&large[1..]).unwrap(), 65_507);
    });
}

// --- what they don't ---

#[test]
fn sockets_have_std_s_auto_traits() {
    fn has<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe>() {}
    has::<UdpSocket>();
}

#[test]
fn an_empty_datagram_is_no_end() {
    each_ip(|one, other| {
        let (one_addr, other_addr) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        let mut buf = [7; 8];
        let sends = thread::spawn(move || {
            for bytes in [&b""[..], b"tea", b""] {
                assert_eq!(other.send_to(bytes, one_addr).unwrap(), bytes.len());
            }
            other.connect(one_addr).unwrap();
            assert_eq!(other.send(b"").unwrap(), 0);
            other
        });
        for len in [0, 3, 0] {
            assert_eq!(one.recv_from(&mut buf).unwrap(), (len, other_addr));
        }
        assert_eq!(one.recv(&mut buf).unwrap(), 0);
        sends.join().unwrap();
    });
}

#[test]
fn without_room_a_call_waits_for_a_datagram_and_takes_it() {
    each_ip(|one, other| {
        let (one_addr, other_addr) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        let heard = Rc::new(Cell::new(0));
        let hears = thread::spawn({
            let heard = Rc::clone(&heard);
            move || {
                assert_eq!(one.recv(&mut []).unwrap(), 0);
                heard.set(1);
                assert_eq!(one.peek_from(&mut []).unwrap(), (0, other_addr));
                assert_eq!(one.recv_from(&mut []).unwrap(), (0, other_addr));
                heard.set(2);
                one
            }
        });
        thread::yield_now();
        assert_eq!(heard.get(), 0);
        for _ in 0..2 {
            other.send_to(b"tea", one_addr).unwrap();
        }
        let one = hears.join().unwrap();
        one.set_nonblocking(true).unwrap();
        assert_eq!(one.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn what_there_is_no_room_for_is_gone() {
    each_ip(|one, other| {
        let (one_addr, other_addr) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        for bytes in [&b"whistle"[..], b"kettle", b"tea"] {
            other.send_to(bytes, one_addr).unwrap();
        }
        let mut buf = [0; 4];
        assert_eq!((one.recv_from(&mut buf).unwrap(), &buf), ((4, other_addr), b"whis"));
        assert_eq!((one.recv(&mut buf).unwrap(), &buf), (4, b"kett"));
        assert_eq!((one.recv(&mut buf).unwrap(), &buf[..3]), (3, &b"tea"[..]));
    });
}

#[test]
fn a_call_that_waits_lets_other_tasks_run() {
    kettle::run(|| {
        let (one, other) = udp_pair();
        let count = Rc::new(Cell::new(0));
        thread::spawn({
            let count = Rc::clone(&count);
            move || {
                while count.get() < 10 {
                    count.set(count.get() + 1);
                    thread::yield_now();
                }
                other.send(b"tea").unwrap();
                other
            }
        });
        assert_eq!(one.recv(&mut [0; 8]).unwrap(), 3);
        assert_eq!(count.get(), 10);
    });
}

#[test]
fn a_socket_that_always_has_something_does_not_keep_others_from_running() {
    kettle::run(|| {
        let (socket, addr) = udp();
        socket.connect(addr).unwrap();
        let is_done = Rc::new(Cell::new(false));
        thread::spawn({
            let is_done = Rc::clone(&is_done);
            move || is_done.set(true)
        });
        while !is_done.get() {
            socket.send(b"tea").unwrap();
            socket.recv(&mut [0; 8]).unwrap();
        }
    });
}

#[test]
fn where_nobody_is_bound_a_connected_socket_is_refused_once() {
    each_ip(|one, gone| {
        let addr = gone.local_addr().unwrap();
        drop(gone);
        one.connect(addr).unwrap();
        assert_eq!(one.send(b"tea").unwrap(), 3);
        assert_eq!(one.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        one.set_read_timeout(Some(SOME)).unwrap();
        assert_eq!(one.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        // By the next send, or by asking; and who waits is told.
        let waits = thread::spawn({
            let one = one.try_clone().unwrap();
            move || one.recv_from(&mut [0; 8]).unwrap_err().kind()
        });
        thread::yield_now();
        one.send(b"tea").unwrap();
        assert_eq!(waits.join().unwrap(), ErrorKind::ConnectionRefused);
        assert!(one.take_error().unwrap().is_none());
    });
}

#[test]
fn who_is_connected_hears_of_its_peer_only_and_may_connect_again() {
    kettle::run(|| {
        let (one, addr) = udp();
        let ((first, first_addr), (second, second_addr)) = (udp(), udp());
        one.connect(first_addr).unwrap();
        second.send_to(b"noise", addr).unwrap();
        first.send_to(b"tea", addr).unwrap();
        let mut buf = [0; 8];
        assert_eq!(one.recv_from(&mut buf).unwrap(), (3, first_addr));
        one.connect(second_addr).unwrap();
        assert_eq!(one.peer_addr().unwrap(), second_addr);
        second.send_to(b"water", addr).unwrap();
        assert_eq!(one.recv_from(&mut buf).unwrap(), (5, second_addr));
    });
}

#[test]
fn addresses_are_tried_and_refused_as_by_std() {
    let said = |error: io::Error| (error.kind(), error.to_string());
    kettle::run(|| {
        let (one, addr) = udp();
        let nobody_s: SocketAddr = "192.0.2.1:0".parse().unwrap();
        let here = "127.0.0.1:0".parse().unwrap();
        assert!(UdpSocket::bind(&[nobody_s, here][..]).unwrap().local_addr().unwrap().ip().is_loopback());
        let v6: SocketAddr = "[::1]:9".parse().unwrap();
        one.connect(&[v6, addr][..]).unwrap();
        assert_eq!(one.peer_addr().unwrap(), addr);

        let none: &[SocketAddr] = &[];
        let stds = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(said(UdpSocket::bind(none).unwrap_err()), said(std::net::UdpSocket::bind(none).unwrap_err()));
        assert_eq!(said(one.connect(none).unwrap_err()), said(stds.connect(none).unwrap_err()));
        assert_eq!(said(one.send_to(b"x", none).unwrap_err()), said(stds.send_to(b"x", none).unwrap_err()));
        assert_eq!(said(one.send_to(b"x", "no port").unwrap_err()), said(stds.send_to(b"x", "no port").unwrap_err()));
        assert_eq!(said(one.send_to(b"x", v6).unwrap_err()), said(stds.send_to(b"x", v6).unwrap_err()));
        let (unconnected, _) = udp();
        assert_eq!(said(unconnected.send(b"x").unwrap_err()), said(stds.send(b"x").unwrap_err()));
        assert_eq!(said(unconnected.peer_addr().unwrap_err()), said(stds.peer_addr().unwrap_err()));
        assert_eq!(UdpSocket::bind(addr).unwrap_err().kind(), ErrorKind::AddrInUse);
    });
}

#[test]
fn options_are_the_system_s() {
    let (socket, _) = udp();
    for on in [true, false] {
        socket.set_broadcast(on).unwrap();
        socket.set_multicast_loop_v4(on).unwrap();
        assert_eq!((socket.broadcast().unwrap(), socket.multicast_loop_v4().unwrap()), (on, on));
    }
    socket.set_multicast_ttl_v4(7).unwrap();
    assert_eq!((socket.multicast_ttl_v4().unwrap(), socket.take_error().unwrap().is_none()), (7, true));
    if let Ok(socket) = UdpSocket::bind("[::1]:0") {
        socket.set_multicast_loop_v6(false).unwrap();
        assert!(!socket.multicast_loop_v6().unwrap());
    }
}

#[test]
fn groups_are_joined_and_left() {
    if is_simulated() {
        return;
    }
    let group = Ipv4Addr::new(239, 255, 77, 1);
    kettle::run(|| {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let stds = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        let ours = socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST);
        assert_eq!(ours.is_ok(), stds.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST).is_ok());
        if ours.is_ok() {
            // What is sent out by the loop back's interface comes back by it.
            let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
            if sender.send_to(b"tea", (group, socket.local_addr().unwrap().port())).is_ok() {
                assert_eq!(socket.recv_from(&mut [0; 8]).unwrap(), (3, sender.local_addr().unwrap()));
            }
            socket.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST).unwrap();
        }
        assert!(socket.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST).is_err());
        let v6 = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x77);
        if let Ok(socket) = UdpSocket::bind("[::]:0")
            && socket.join_multicast_v6(&v6, 0).is_ok()
        {
            socket.leave_multicast_v6(&v6, 0).unwrap();
            assert!(socket.leave_multicast_v6(&v6, 0).is_err());
        }
    });
}

#[test]
fn every_call_works_outside_of_run() {
    let ((one, one_addr), (other, other_addr)) = (udp(), udp());
    let mut buf = [0; 8];
    let answers = std::thread::spawn(move || {
        let mut buf = [0; 8];
        assert_eq!(other.recv_from(&mut buf).unwrap(), (3, one_addr));
        other.connect(one_addr).unwrap();
        assert_eq!((other.send(b"").unwrap(), other.send(b"water").unwrap()), (0, 5));
    });
    assert_eq!(one.send_to(b"tea", other_addr).unwrap(), 3);
    assert_eq!(one.peek_from(&mut buf).unwrap(), (0, other_addr));
    assert_eq!(one.peek(&mut buf).unwrap(), 0);
    assert_eq!(one.recv(&mut buf).unwrap(), 0);
    assert_eq!(one.recv_from(&mut buf).unwrap(), (5, other_addr));
    answers.join().unwrap();

    one.set_read_timeout(Some(SOME)).unwrap();
    let start = std::time::Instant::now();
    assert_eq!(one.recv_from(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(start.elapsed() >= SOME);
    one.set_nonblocking(true).unwrap();
    assert_eq!(one.recv(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn calls_of_a_task_that_unwinds_block_the_thread() {
    // In a simulation they don't wait: `simulated_udp.rs` has that.
    if is_simulated() {
        return;
    }
    struct Asks(UdpSocket);
    impl Drop for Asks {
        fn drop(&mut self) {
            self.0.send(b"goodbye?").unwrap();
            assert_eq!(self.0.recv(&mut [0; 16]).unwrap(), 7);
        }
    }
    kettle::run(|| {
        let (one, other) = udp_pair();
        let answers = std::thread::spawn(move || {
            assert_eq!(other.recv(&mut [0; 16]).unwrap(), 8);
            other.send(b"goodbye").unwrap();
        });
        let asks = thread::spawn(|| {
            let _asks = Asks(one);
            thread::park();
        });
        thread::yield_now();
        asks.cancel();
        assert!(asks.join().is_err());
        answers.join().unwrap();
    });
}

#[test]
fn sockets_go_through_all_conversions() {
    kettle::run(|| {
        let (one, other) = udp_pair();
        let number = one.as_raw_fd();
        assert_eq!(one.as_fd().as_raw_fd(), number);
        one.set_read_timeout(Some(SOME)).unwrap();
        let one = OwnedFd::from(one);
        let one = std::net::UdpSocket::from(UdpSocket::from(one));
        let one = UdpSocket::from(one).into_raw_fd();
        assert_eq!(one, number);
        // SAFETY: it was given away in the line above.
        let one = unsafe { UdpSocket::from_raw_fd(one) };
        assert_eq!(one.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let one = std::net::UdpSocket::from(one);
        one.set_nonblocking(true).unwrap();
        let one = UdpSocket::from(one);
        assert_eq!(one.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        one.set_nonblocking(false).unwrap();
        one.set_read_timeout(None).unwrap();
        let reads = thread::spawn(move || one.recv(&mut [0; 8]).unwrap());
        thread::yield_now();
        other.send(b"tea").unwrap();
        assert_eq!(reads.join().unwrap(), 3);
    });
}

#[test]
fn a_descriptor_that_is_closed_is_an_error_of_each_call() {
    child::alone("a_descriptor_that_is_closed_is_an_error_of_each_call", || {
        // A number that nobody has.
        const NUMBER: i32 = 999_999;
        let addr = SocketAddr::from(([127, 0, 0, 1], 9));
        let call = || {
            // SAFETY: nobody owns it, and nobody will; what fails on it touches nothing.
            let socket = unsafe { UdpSocket::from_raw_fd(NUMBER) };
            let errors = [
                socket.recv(&mut [0]).unwrap_err(),
                socket.peek(&mut [0]).unwrap_err(),
                socket.recv_from(&mut []).unwrap_err(),
                socket.peek_from(&mut [0]).unwrap_err(),
                socket.send(b"").unwrap_err(),
                socket.send_to(b"x", addr).unwrap_err(),
                socket.local_addr().unwrap_err(),
                socket.connect(addr).unwrap_err(),
                socket.try_clone().unwrap_err(),
                socket.set_nonblocking(true).unwrap_err(),
                socket.set_read_timeout(Some(SOME)).unwrap_err(),
            ];
            for (index, error) in errors.iter().enumerate() {
                assert_eq!(error.raw_os_error(), Some(libc::EBADF), "{index}");
            }
            // std's aborts when it closes what is not open.
            std::mem::forget(socket);
        };
        kettle::run(call);
        call();
    });
}

#[test]
fn a_socket_moves_between_loops_and_threads() {
    // A socket of a simulation stays in it.
    if is_simulated() {
        return;
    }
    let (one, other) = udp_pair();
    let other = std::thread::spawn(move || {
        EventLoop::new().unwrap().run(|| {
            other.send(b"tea").unwrap();
            other.recv(&mut [0; 8]).unwrap();
        });
        other
    });
    kettle::run(|| {
        assert_eq!(one.recv(&mut [0; 8]).unwrap(), 3);
        one.send(b"more").unwrap();
    });
    let other = other.join().unwrap();
    kettle::run(|| {
        let reads = thread::spawn(move || other.recv(&mut [0; 8]).unwrap());
        thread::yield_now();
        one.send(b"water").unwrap();
        assert_eq!(reads.join().unwrap(), 5);
    });
}
