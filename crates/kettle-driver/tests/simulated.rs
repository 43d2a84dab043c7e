//! The simulated driver: operations on a network that is not there, at times that follow from a seed.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_driver::{Completion, Conditions, Config, Driver, Interest, Kind, Note, Op, Submitted, Token, Until};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);

/// A driver, and what has completed in it.
struct World {
    driver: Driver,
    results: HashMap<u64, i32>,
    tokens: u64,
}

/// One whose bytes are a millisecond under way, and come whole.
fn calm() -> World {
    world(Conditions {
        latency: MILLISECOND..=MILLISECOND,
        short_once_in: 0,
        keeps_trace: true,
        ..Conditions::default()
    })
}

fn world(conditions: Conditions) -> World {
    let config = Config { kind: Some(Kind::Sim), conditions, ..Config::default() };
    World { driver: Driver::with(config).unwrap(), results: HashMap::new(), tokens: 0 }
}

impl World {
    /// Begins an operation; its result comes under the number that this gives.
    ///
    /// # Safety
    ///
    /// Its pointers are valid until then.
    unsafe fn submit(&mut self, op: Op) -> u64 {
        self.tokens += 1;
        // SAFETY: the caller's promise, and a token of its own.
        if let Submitted::Done(result) = unsafe { self.driver.submit(op, Token(self.tokens)) } {
            self.results.insert(self.tokens, result);
        }
        self.tokens
    }

    /// Its result. Time passes, but not if there is nothing to wait for.
    fn result(&mut self, of: u64) -> i32 {
        loop {
            if let Some(result) = self.results.remove(&of) {
                return result;
            }
            assert!(!self.driver.is_quiet(), "operation {of} waits for nothing: {:?}", self.driver.describe(Token(of)));
            self.wait(Until::Forever);
        }
    }

    fn wait(&mut self, until: Until) {
        let mut out = Vec::new();
        self.driver.wait(until, &mut out).unwrap();
        self.results.extend(out.into_iter().map(|Completion { token, result }| (token.0, result)));
    }

    fn listen(&mut self, addr: &str) -> (OwnedFd, SocketAddr) {
        let mut network = self.driver.network(None).unwrap();
        let listener = network.listen(addr.parse().unwrap()).unwrap();
        let addr = network.local_addr(listener.as_fd()).unwrap();
        (listener, addr)
    }

    /// Begins to connect from a host.
    fn call(&mut self, from: Option<IpAddr>, to: SocketAddr) -> (OwnedFd, u64) {
        let SocketAddr::V4(v4) = to else { panic!("not in this test") };
        let fd = self.driver.network(from).unwrap().stream(false).unwrap();
        // SAFETY: plain numbers.
        let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        let addr = libc::sockaddr_in {
            sin_family: libc::AF_INET as _,
            sin_port: v4.port().to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
            sin_zero: [0; 8],
        };
        // SAFETY: it has room for all addresses.
        unsafe { (&raw mut storage).cast::<libc::sockaddr_in>().write(addr) };
        let op = Op::Connect { fd: fd.as_raw_fd(), addr: &raw const storage, addr_len: size_of_val(&addr) as u32 };
        // SAFETY: the address is read at once.
        (fd, unsafe { self.submit(op) })
    }

    /// Both ends of a connection.
    fn pair(&mut self) -> (OwnedFd, OwnedFd) {
        let (listener, addr) = self.listen("127.0.0.1:0");
        let (one, connecting) = self.call(None, addr);
        let accept =
            Op::Accept { fd: listener.as_raw_fd(), addr: std::ptr::null_mut(), addr_len: std::ptr::null_mut() };
        // SAFETY: there are no pointers.
        let accepting = unsafe { self.submit(accept) };
        assert_eq!(self.result(connecting), 0);
        let accepted = self.result(accepting);
        self.driver.close(listener);
        // SAFETY: it has just been accepted.
        (one, unsafe { OwnedFd::from_raw_fd(accepted) })
    }

    fn send(&mut self, fd: &OwnedFd, bytes: &'static [u8]) -> i32 {
        // SAFETY: the bytes are there for ever.
        let sending =
            unsafe { self.submit(Op::Send { fd: fd.as_raw_fd(), buf: bytes.as_ptr(), len: bytes.len(), flags: 0 }) };
        self.result(sending)
    }

    /// What is received, or the error.
    fn recv(&mut self, fd: &OwnedFd, len: usize, flags: i32) -> Result<Vec<u8>, i32> {
        let mut buf = vec![0; len];
        // SAFETY: the buffer is there until the result.
        let receiving = unsafe { self.submit(Op::Recv { fd: fd.as_raw_fd(), buf: buf.as_mut_ptr(), len, flags }) };
        let result = self.result(receiving);
        buf.truncate(usize::try_from(result).map_err(|_| -result)?);
        Ok(buf)
    }

    fn now(&mut self) -> Duration {
        Duration::from_nanos(self.driver.network(None).unwrap().now())
    }
}

#[test]
fn bytes_arrive_after_their_latency_and_no_real_time() {
    let mut world = calm();
    let (one, other) = world.pair();
    let start = world.now();
    assert_eq!(world.send(&one, b"the water boils"), 15);
    assert_eq!(world.now(), start);
    assert_eq!(world.recv(&other, 100, 0).as_deref(), Ok(&b"the water boils"[..]));
    assert_eq!(world.now(), start + MILLISECOND);
}

#[test]
fn what_is_received_in_full_comes_in_pieces() {
    let mut world = world(Conditions { short_once_in: 1, ..Conditions::default() });
    let (one, other) = world.pair();
    let mut sent = 0;
    while sent < 1000 {
        sent += world.send(&one, &[7; 1000]) as usize;
    }
    assert!(world.recv(&other, 1000, 0).unwrap().len() < 1000);
    assert_eq!(world.recv(&other, 1, libc::MSG_WAITALL | libc::MSG_PEEK).unwrap(), [7]);
    assert_eq!(world.recv(&other, 500, libc::MSG_WAITALL).unwrap(), [7; 500]);
}

#[test]
fn a_full_connection_makes_its_sender_wait() {
    let mut world = world(Conditions { capacity: 8, short_once_in: 0, ..Conditions::default() });
    let (one, other) = world.pair();
    assert_eq!(world.send(&one, b"0123456789"), 8);
    let buf = b"89";
    // SAFETY: the bytes are there for ever.
    let sending = unsafe { world.submit(Op::Send { fd: one.as_raw_fd(), buf: buf.as_ptr(), len: 2, flags: 0 }) };
    world.wait(Until::Forever);
    assert_eq!(world.driver.in_flight(), 1);
    assert_eq!(world.recv(&other, 3, 0).unwrap(), b"012");
    assert_eq!(world.result(sending), 2);
    assert_eq!(world.recv(&other, 100, 0).unwrap(), b"34567");
    assert_eq!(world.recv(&other, 100, 0).unwrap(), b"89");
}

#[test]
fn the_end_comes_after_the_last_bytes() {
    let mut world = calm();
    let (one, other) = world.pair();
    world.send(&one, b"tea");
    world.driver.network(None).unwrap().shutdown(one.as_fd(), Shutdown::Write).unwrap();
    assert_eq!(world.send(&one, b"more"), -libc::EPIPE);
    assert_eq!(world.recv(&other, 9, 0).unwrap(), b"tea");
    assert_eq!(world.recv(&other, 9, 0).unwrap(), b"");
    assert_eq!(world.send(&other, b"thanks"), 6);
    assert_eq!(world.recv(&one, 9, 0).unwrap(), b"thanks");
    world.driver.close(other);
    assert_eq!(world.recv(&one, 9, 0).unwrap(), b"");
}

#[test]
fn who_closes_without_reading_resets() {
    let mut world = calm();
    let (one, other) = world.pair();
    world.send(&one, b"tea");
    world.driver.close(other);
    assert_eq!(world.recv(&one, 9, 0), Err(libc::ECONNRESET));
    assert_eq!(world.recv(&one, 9, 0).unwrap(), b"");
    assert_eq!(world.send(&one, b"tea"), -libc::EPIPE);
}

#[test]
fn who_writes_to_nobody_is_told_a_round_trip_later() {
    let mut world = calm();
    let (one, other) = world.pair();
    world.driver.close(other);
    assert_eq!(world.send(&one, b"tea"), 3);
    assert_eq!(world.recv(&one, 9, 0).unwrap(), b"");
    let sent = world.now();
    world.wait(Until::Forever);
    assert_eq!(world.now() - sent, MILLISECOND);
    assert_eq!(world.send(&one, b"tea"), -libc::ECONNRESET);
}

#[test]
fn where_nobody_listens_a_connect_is_refused() {
    let mut world = calm();
    let (listener, addr) = world.listen("127.0.0.1:0");
    world.driver.close(listener);
    let (_one, connecting) = world.call(None, addr);
    assert_eq!(world.result(connecting), -libc::ECONNREFUSED);
    let nobody = SocketAddr::from(([10, 9, 9, 9], 80));
    let (_one, connecting) = world.call(None, nobody);
    assert_eq!(world.result(connecting), -libc::EHOSTUNREACH);
}

#[test]
fn an_address_is_had_by_one() {
    let mut world = calm();
    let (_listener, addr) = world.listen("127.0.0.1:80");
    let mut network = world.driver.network(None).unwrap();
    for (addr, errno) in [
        (addr, libc::EADDRINUSE),
        (SocketAddr::from((Ipv4Addr::UNSPECIFIED, 80)), libc::EADDRINUSE),
        (SocketAddr::from(([10, 0, 0, 1], 80)), libc::EADDRNOTAVAIL),
    ] {
        assert_eq!(network.listen(addr).unwrap_err().raw_os_error(), Some(errno), "{addr}");
    }
    network.listen("[::1]:80".parse().unwrap()).unwrap();
}

#[test]
fn parted_hosts_hear_of_each_other_when_they_are_healed() {
    let mut world = calm();
    let [a, b]: [IpAddr; 2] = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
    let addr = SocketAddr::from((b, 80));
    let listener = world.driver.network(Some(b)).unwrap().listen(addr).unwrap();
    world.driver.network(None).unwrap().part(a, b);
    let (one, connecting) = world.call(Some(a), addr);
    world.wait(Until::Forever);
    assert!(world.driver.network(None).unwrap().accept(listener.as_fd()).is_err());
    world.driver.network(None).unwrap().heal(a, b);
    assert_eq!(world.result(connecting), 0);
    let (other, from) = world.driver.network(None).unwrap().accept(listener.as_fd()).unwrap();
    assert_eq!(from.ip(), a);

    world.driver.network(None).unwrap().part(b, a);
    world.send(&one, b"tea");
    world.wait(Until::Forever);
    assert!(world.driver.is_quiet(), "it is lost");
    world.driver.network(None).unwrap().heal(b, a);
    assert_eq!(world.recv(&other, 9, 0).unwrap(), b"tea");
}

#[test]
fn who_is_parted_for_long_gives_up_connecting() {
    let mut world = calm();
    let [a, b]: [IpAddr; 2] = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
    let addr = SocketAddr::from((b, 80));
    let _listener = world.driver.network(Some(b)).unwrap().listen(addr).unwrap();
    world.driver.network(None).unwrap().part(a, b);
    let (_one, connecting) = world.call(Some(a), addr);
    assert_eq!(world.result(connecting), -libc::ETIMEDOUT);
    assert_eq!(world.now().as_secs(), 127);
}

#[test]
fn connections_of_hosts_are_reset() {
    let mut world = calm();
    let [a, b]: [IpAddr; 2] = [[10, 0, 0, 1].into(), [10, 0, 0, 2].into()];
    let addr = SocketAddr::from((b, 80));
    let listener = world.driver.network(Some(b)).unwrap().listen(addr).unwrap();
    let (one, connecting) = world.call(Some(a), addr);
    assert_eq!(world.result(connecting), 0);
    let (other, _) = world.driver.network(None).unwrap().accept(listener.as_fd()).unwrap();
    assert_eq!(world.driver.network(None).unwrap().reset(a, b), 1);
    assert_eq!(world.recv(&one, 9, 0), Err(libc::ECONNRESET));
    assert_eq!(world.send(&other, b"tea"), -libc::ECONNRESET);
    assert_eq!(world.driver.network(None).unwrap().reset(a, b), 0);
}

#[test]
fn a_cancelled_operation_ends_as_cancelled_and_takes_nothing() {
    let mut world = calm();
    let (one, other) = world.pair();
    let mut buf = [0; 9];
    // SAFETY: the buffer is there until the result.
    let receiving =
        unsafe { world.submit(Op::Recv { fd: other.as_raw_fd(), buf: buf.as_mut_ptr(), len: 9, flags: 0 }) };
    world.send(&one, b"tea");
    world.driver.cancel(Token(receiving));
    assert_eq!(world.result(receiving), -libc::ECANCELED);
    assert_eq!(world.recv(&other, 9, 0).unwrap(), b"tea");
}

#[test]
fn closing_ends_what_waits() {
    let mut world = calm();
    let (_one, other) = world.pair();
    // SAFETY: there are no pointers.
    let polling = unsafe { world.submit(Op::Poll { fd: other.as_raw_fd(), interest: Interest::Readable }) };
    world.driver.close(other);
    assert_eq!(world.result(polling), -libc::ECANCELED);
    assert_eq!(world.driver.in_flight(), 0);
}

#[test]
fn a_poll_tells_when_there_is_something() {
    let mut world = calm();
    let (one, other) = world.pair();
    // SAFETY: there are no pointers.
    let polling = unsafe { world.submit(Op::Poll { fd: other.as_raw_fd(), interest: Interest::Readable }) };
    world.send(&one, b"tea");
    assert_eq!(world.result(polling), i32::from(libc::POLLIN));
    // SAFETY: there are no pointers.
    let polling = unsafe { world.submit(Op::Poll { fd: other.as_raw_fd(), interest: Interest::Writable }) };
    assert_eq!(world.result(polling), i32::from(libc::POLLOUT));
}

#[test]
fn time_goes_to_where_one_waits_until() {
    let mut world = calm();
    let start = world.driver.clock().now();
    world.wait(Until::Now);
    assert_eq!(world.driver.clock().now(), start);
    world.wait(Until::Deadline(start + Duration::from_secs(3600)));
    assert_eq!(world.driver.clock().now() - start, Duration::from_secs(3600));
    assert!(world.driver.is_quiet());
    world.wait(Until::Forever);
    assert_eq!(world.driver.clock().now() - start, Duration::from_secs(3600));
}

#[test]
fn a_file_is_what_it_is() {
    let mut world = calm();
    let file = std::fs::File::open("/dev/zero").unwrap();
    let mut buf = [1; 4];
    // SAFETY: the buffer is there until the result.
    let reading = unsafe { world.submit(Op::Read { fd: file.as_raw_fd(), buf: buf.as_mut_ptr(), len: 4 }) };
    assert_eq!((world.result(reading), buf), (4, [0; 4]));
    let (quiet, _writer) = std::io::pipe().unwrap();
    // SAFETY: the buffer is there until the result.
    let reading = unsafe { world.submit(Op::Read { fd: quiet.as_raw_fd(), buf: buf.as_mut_ptr(), len: 4 }) };
    assert_eq!(world.result(reading), -libc::EOPNOTSUPP);
}

#[test]
fn the_same_seed_writes_the_same_trace() {
    let run = |seed| {
        let mut world = world(Conditions { seed, keeps_trace: true, ..Conditions::default() });
        let (one, other) = world.pair();
        for _ in 0..100 {
            world.send(&one, b"put the kettle on");
            world.recv(&other, 5, 0).unwrap();
        }
        world.driver.close(one);
        while !world.recv(&other, 1000, 0).unwrap().is_empty() {}
        world.driver.tracer().unwrap().take()
    };
    let trace = run(7);
    assert_eq!(trace.as_bytes(), run(7).as_bytes());
    assert_eq!(trace, run(7));
    assert_ne!(trace.hash(), run(8).hash());
    assert!(trace.notes().any(|(_, note)| matches!(note, Note::Finished { .. })));
}
