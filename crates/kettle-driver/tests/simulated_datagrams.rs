//! Datagrams of the simulated driver: late, lost, doubled and out of order between hosts, by the seed; refused, parted, and
//! without room.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod harness;

use harness::{Loop, address, recv, send};
use kettle_driver::{Conditions, Config, Kind, Note, Op, Until};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
const MILLISECOND: Duration = Duration::from_millis(1);

/// One in which datagrams are a millisecond under way, and all arrive once.
fn calm() -> Conditions {
    Conditions {
        latency: MILLISECOND..=MILLISECOND,
        lost_once_in: 0,
        duplicated_once_in: 0,
        keeps_trace: true,
        ..Conditions::default()
    }
}

fn world(conditions: Conditions) -> Loop {
    Loop::with(Config { kind: Some(Kind::Sim), conditions, ..Config::default() })
}

/// A socket of a host, at an address of its own.
fn bound(l: &mut Loop, host: IpAddr) -> (OwnedFd, SocketAddr) {
    bound_to(l, host, SocketAddr::new(host, 0)).unwrap()
}

fn bound_to(l: &mut Loop, host: IpAddr, addr: SocketAddr) -> std::io::Result<(OwnedFd, SocketAddr)> {
    let mut network = l.driver.network(Some(host)).unwrap();
    let socket = network.bind(addr)?;
    let addr = network.local_addr(socket.as_fd())?;
    Ok((socket, addr))
}

fn connect(l: &mut Loop, socket: &OwnedFd, to: SocketAddr) -> Result<(), i32> {
    let associated = l.driver.network(None).unwrap().associate(socket.as_fd(), to);
    associated.map_err(|error| error.raw_os_error().unwrap())
}

/// Two sockets of two hosts that are connected to each other.
fn connected(l: &mut Loop, hosts: [IpAddr; 2]) -> [OwnedFd; 2] {
    let [(one, one_addr), (other, other_addr)] = hosts.map(|host| bound(l, host));
    connect(l, &one, other_addr).unwrap();
    connect(l, &other, one_addr).unwrap();
    [one, other]
}

/// All that has come, when nothing more comes.
fn heard(l: &mut Loop, at: &OwnedFd) -> Vec<Vec<u8>> {
    while !l.driver.is_quiet() {
        l.wait(Until::Forever);
    }
    let mut heard = Vec::new();
    let mut buf = [0; 64];
    loop {
        let op = Op::Recv { fd: at.as_raw_fd(), buf: buf.as_mut_ptr(), len: 64, flags: libc::MSG_DONTWAIT };
        match l.run(op) {
            errno if errno == -libc::EAGAIN => return heard,
            count => heard.push(buf[..count as usize].to_vec()),
        }
    }
}

/// Sends datagrams that tell their places, and gives the places that come.
fn sent(l: &mut Loop, hosts: [IpAddr; 2], count: u8) -> Vec<u8> {
    let [one, other] = connected(l, hosts);
    for n in 0..count {
        assert_eq!(l.run(send(&one, &[n])), 1);
    }
    heard(l, &other).concat()
}

#[test]
fn datagrams_take_their_latency_and_no_real_time() {
    let mut l = world(calm());
    let [one, other] = connected(&mut l, [A, B]);
    let start = l.driver.clock().now();
    l.run(send(&one, b"tea"));
    assert_eq!(l.driver.clock().now(), start);
    assert_eq!(l.run(recv(&other, &mut [0; 8])), 3);
    assert_eq!(l.driver.clock().now(), start + MILLISECOND);
}

#[test]
fn between_hosts_they_are_lost_as_often_as_the_conditions_say() {
    let lost =
        |once_in, hosts| 200 - sent(&mut world(Conditions { lost_once_in: once_in, ..calm() }), hosts, 200).len();
    assert_eq!((lost(0, [A, B]), lost(1, [A, B]), lost(1, [A, A])), (0, 200, 0));
    assert!((20..80).contains(&lost(4, [A, B])));
}

#[test]
fn between_hosts_they_come_twice_as_often_as_the_conditions_say() {
    let count =
        |once_in, hosts| sent(&mut world(Conditions { duplicated_once_in: once_in, ..calm() }), hosts, 100).len();
    assert_eq!((count(0, [A, B]), count(1, [A, B]), count(1, [A, A])), (100, 200, 100));
    assert!((110..150).contains(&count(4, [A, B])));
}

#[test]
fn between_hosts_they_overtake_each_other() {
    let order = |hosts| sent(&mut world(Conditions { latency: Duration::ZERO..=MILLISECOND, ..calm() }), hosts, 100);
    let mut mixed = order([A, B]);
    assert!(!mixed.is_sorted());
    mixed.sort_unstable();
    assert!(mixed.into_iter().eq(0..100));
    assert!(order([A, A]).into_iter().eq(0..100), "but not on their way to their own host");
}

#[test]
fn parted_hosts_lose_what_is_sent_and_what_is_under_way() {
    let mut l = world(calm());
    let [one, other] = connected(&mut l, [A, B]);
    l.run(send(&one, b"under way"));
    l.driver.network(None).unwrap().part(A, B);
    l.run(send(&one, b"sent"));
    assert!(heard(&mut l, &other).is_empty());
    l.driver.network(None).unwrap().heal(A, B);
    l.run(send(&one, b"healed"));
    assert_eq!(heard(&mut l, &other), [b"healed"]);
    // Also one that is sent while they are parted, and would arrive afterwards.
    l.driver.network(None).unwrap().part(A, B);
    l.run(send(&one, b"sent"));
    l.driver.network(None).unwrap().heal(A, B);
    assert!(heard(&mut l, &other).is_empty());
}

#[test]
fn a_full_buffer_loses_what_comes_last() {
    let mut l = world(Conditions { capacity: 1000, ..calm() });
    let [one, other] = connected(&mut l, [A, A]);
    for n in 0..10_u8 {
        assert_eq!(l.run(send(&one, &[n])), 1, "who sends is not told");
    }
    assert_eq!(heard(&mut l, &other), [[0], [1], [2]]);
    l.run(send(&one, b"!"));
    assert_eq!(heard(&mut l, &other), [b"!"]);
    let trace = l.driver.tracer().unwrap().take();
    assert_eq!(trace.notes().filter(|(_, note)| matches!(note, Note::Overflowed { .. })).count(), 7);
}

#[test]
fn who_is_connected_to_nobody_is_refused_a_round_trip_later() {
    for hosts in [[A, A], [A, B]] {
        let mut l = world(calm());
        let [one, other] = connected(&mut l, hosts);
        let (waits, _) = bound(&mut l, A);
        l.driver.close(other);
        let start = l.driver.clock().now();
        l.run(send(&one, b"tea"));
        assert_eq!(l.run(recv(&one, &mut [0; 8])), -libc::ECONNREFUSED);
        assert_eq!(l.driver.clock().now(), start + 2 * MILLISECOND);
        // The next send as well, which is not made then.
        l.run(send(&one, b"tea"));
        assert!(heard(&mut l, &waits).is_empty());
        assert_eq!(l.run(send(&one, b"tea")), -libc::ECONNREFUSED);
        l.run(send(&one, b"tea"));
        assert!(heard(&mut l, &waits).is_empty());
        let error = l.driver.network(None).unwrap().take_error(one.as_fd()).unwrap();
        assert_eq!(error.unwrap().raw_os_error(), Some(libc::ECONNREFUSED));
        assert!(heard(&mut l, &one).is_empty());
    }
}

#[test]
fn of_a_host_that_is_not_there_or_is_parted_nothing_is_heard() {
    let mut l = world(calm());
    let (one, _) = bound(&mut l, A);
    connect(&mut l, &one, SocketAddr::from(([10, 9, 9, 9], 80))).unwrap();
    assert_eq!(l.run(send(&one, b"tea")), 3);
    assert!(heard(&mut l, &one).is_empty());

    let (_, gone) = bound(&mut l, B);
    let addr = SocketAddr::new(B, gone.port() + 1);
    connect(&mut l, &one, addr).unwrap();
    l.run(send(&one, b"tea"));
    l.wait(Until::Forever);
    l.driver.network(None).unwrap().part(A, B);
    assert!(heard(&mut l, &one).is_empty());
    let error = l.driver.network(None).unwrap().take_error(one.as_fd()).unwrap();
    assert!(error.is_none());
}

#[test]
fn an_address_is_had_by_one_socket_and_streams_have_others() {
    let mut l = world(calm());
    let here = SocketAddr::from(([127, 0, 0, 1], 53));
    let (socket, _) = bound_to(&mut l, A, here).unwrap();
    let errno = |l: &mut Loop, addr: SocketAddr| bound_to(l, A, addr).err().map(|error| error.raw_os_error().unwrap());
    assert_eq!(errno(&mut l, here), Some(libc::EADDRINUSE));
    assert_eq!(errno(&mut l, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 53))), Some(libc::EADDRINUSE));
    assert_eq!(errno(&mut l, SocketAddr::new(B, 53)), Some(libc::EADDRNOTAVAIL));
    assert_eq!(errno(&mut l, SocketAddr::new(A, 53)), None);
    assert_eq!(errno(&mut l, "[::1]:53".parse().unwrap()), None);
    l.driver.network(Some(A)).unwrap().listen(here).unwrap();
    bound_to(&mut l, B, here).unwrap();
    l.driver.close(socket);
    assert_eq!(errno(&mut l, here), None);
}

#[test]
fn a_port_of_both_families_is_nobody_else_s() {
    let mut l = world(calm());
    let bind = |l: &mut Loop, ip: &str, port| bound_to(l, A, SocketAddr::new(ip.parse().unwrap(), port));
    // As Linux has it, of sockets that hear IPv4 at `::`.
    for (first, second, are_both) in [
        ("::", "0.0.0.0", false),
        ("::", "127.0.0.1", false),
        ("::", "::1", false),
        ("::1", "0.0.0.0", true),
        ("::1", "127.0.0.1", true),
        ("::ffff:127.0.0.1", "127.0.0.1", false),
        ("::ffff:0.0.0.0", "127.0.0.1", false),
    ] {
        for (first, second) in [(first, second), (second, first)] {
            let (_socket, addr) = bind(&mut l, first, 0).unwrap();
            let errno = bind(&mut l, second, addr.port()).err().map(|error| error.raw_os_error().unwrap());
            assert_eq!(errno, (!are_both).then_some(libc::EADDRINUSE), "{first} and {second}");
        }
    }
}

#[test]
fn answers_find_their_way_from_each_host() {
    let mut l = world(calm());
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let home = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let abroad = IpAddr::V4(Ipv4Addr::new(192, 0, 0, 8));
    for (host, at, source) in [(A, B, A), (B, B, B), (B, home, home), (home, home, home), (home, B, abroad)] {
        let on = if host == at { host } else { B };
        let (server, to) = bound_to(&mut l, on, SocketAddr::new(at, 0)).unwrap();
        let (client, client_addr) = bound_to(&mut l, host, any).unwrap();
        connect(&mut l, &client, to).unwrap();
        let local = l.driver.network(None).unwrap().local_addr(client.as_fd()).unwrap();
        assert_eq!(local, SocketAddr::new(source, client_addr.port()));
        assert_eq!(l.run(send(&client, b"tea?")), 4);
        assert_eq!(l.run(recv(&server, &mut [0; 8])), 4);
        connect(&mut l, &server, local).unwrap();
        l.run(send(&server, b"tea"));
        assert_eq!(l.run(recv(&client, &mut [0; 8])), 3, "{host}");
    }
}

#[test]
fn addresses_that_lead_nowhere_are_errors() {
    let mut l = world(calm());
    let (loopback, _) = bound_to(&mut l, A, SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let (v4, _) = bound(&mut l, A);
    let (v6, _) = bound_to(&mut l, A, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))).unwrap();
    for (socket, to, errno) in [
        (&loopback, "10.0.0.2:80", libc::EINVAL),
        (&v4, "[::1]:80", libc::EAFNOSUPPORT),
        (&v4, "224.0.0.1:80", libc::ENETUNREACH),
        (&v4, "255.255.255.255:80", libc::ENETUNREACH),
        (&v6, "[fd00::1]:80", libc::ENETUNREACH),
    ] {
        assert_eq!(connect(&mut l, socket, to.parse().unwrap()), Err(errno), "{to}");
    }
}

#[test]
fn a_socket_of_both_families_hears_both() {
    let mut l = world(calm());
    let (both, addr) = bound_to(&mut l, A, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))).unwrap();
    let (v4, v4_addr) = bound(&mut l, A);
    let (v6, v6_addr) = bound_to(&mut l, A, SocketAddr::from((Ipv6Addr::LOCALHOST, 0))).unwrap();
    connect(&mut l, &v4, SocketAddr::new(A, addr.port())).unwrap();
    connect(&mut l, &v6, SocketAddr::from((Ipv6Addr::LOCALHOST, addr.port()))).unwrap();
    l.run(send(&v4, b"4"));
    l.run(send(&v6, b"6"));
    assert_eq!(heard(&mut l, &both), [b"4", b"6"]);
    // It answers to either, the first one by an address of its own family.
    let IpAddr::V4(ip) = v4_addr.ip() else { panic!("it is one") };
    let mapped = SocketAddr::from((ip.to_ipv6_mapped(), v4_addr.port()));
    connect(&mut l, &both, mapped).unwrap();
    let network = l.driver.network(None).unwrap();
    assert_eq!(network.peer_addr(both.as_fd()).unwrap(), mapped);
    assert!(network.local_addr(both.as_fd()).unwrap().is_ipv6());
    assert_eq!(l.run(send(&both, b"tea")), 3);
    assert_eq!(heard(&mut l, &v4), [b"tea"]);
    assert_eq!(connect(&mut l, &both, v6_addr), Err(libc::ENETUNREACH), "its own address is of the other one now");
}

#[test]
fn an_unspecified_address_is_the_own_host_s() {
    let mut l = world(calm());
    let (one, addr) = bound_to(&mut l, A, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))).unwrap();
    let (storage, addr_len) = address(SocketAddr::from((Ipv4Addr::UNSPECIFIED, addr.port())));
    assert_eq!(l.run(Op::Connect { fd: one.as_raw_fd(), addr: &raw const storage, addr_len }), 0);
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, addr.port()));
    let network = l.driver.network(None).unwrap();
    assert_eq!((network.local_addr(one.as_fd()).unwrap(), network.peer_addr(one.as_fd()).unwrap()), (here, here));
    l.run(send(&one, b"tea"));
    assert_eq!(heard(&mut l, &one), [b"tea"]);
}

#[test]
fn the_same_seed_writes_the_same_trace() {
    let run = |seed| {
        let mut l = world(Conditions { seed, keeps_trace: true, ..Conditions::default() });
        let [one, other] = connected(&mut l, [A, B]);
        for _ in 0..200 {
            l.run(send(&one, b"put the kettle on"));
            heard(&mut l, &other);
        }
        l.driver.close(other);
        for _ in 0..20 {
            l.run(send(&one, b"tea"));
            while !l.driver.is_quiet() {
                l.wait(Until::Forever);
            }
        }
        l.driver.tracer().unwrap().take()
    };
    let trace = run(7);
    assert_eq!(trace.as_bytes(), run(7).as_bytes());
    assert_ne!(trace.hash(), run(8).hash());
    for (what, is) in [
        ("lost", (|note| matches!(note, Note::Lost { .. })) as fn(Note) -> bool),
        ("duplicated", |note| matches!(note, Note::Duplicated { .. })),
        ("arrived", |note| matches!(note, Note::Arrived { bytes: 17, .. })),
        ("received", |note| matches!(note, Note::Received { bytes: 17, .. })),
        ("refused", |note| matches!(note, Note::Refused { .. })),
    ] {
        assert!(trace.notes().any(|(_, note)| is(note)), "{what}");
    }
}
