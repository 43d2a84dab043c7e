//! Programs on simulated datagrams: what a protocol makes of them holds under many seeds, and one that forgets something is
//! found out.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use kettle::testing::{Simulation, Trace, explore, heal, host, part, simulate};
use kettle::thread;
use kettle::time::{Duration, Instant};
use std::collections::HashSet;
use std::io::{self, ErrorKind};

const SENDER: [u8; 4] = [10, 0, 0, 1];
const RECEIVER: [u8; 4] = [10, 0, 0, 2];
const MILLISECOND: Duration = Duration::from_millis(1);

/// A socket of a host.
fn bound(on: [u8; 4]) -> (UdpSocket, SocketAddr) {
    host(on, || {
        let socket = UdpSocket::bind(SocketAddr::from((on, 0))).unwrap();
        let addr = socket.local_addr().unwrap();
        (socket, addr)
    })
}

/// Two sockets of two hosts that are connected to each other.
fn pair() -> (UdpSocket, UdpSocket) {
    let ((one, one_addr), (other, other_addr)) = (bound(SENDER), bound(RECEIVER));
    one.connect(other_addr).unwrap();
    other.connect(one_addr).unwrap();
    (one, other)
}

// --- a protocol that delivers: stop and wait ---

/// What the receiver makes of a message that it has heard before.
#[derive(Clone, Copy, PartialEq)]
enum Again {
    /// It knows by the number that it is none.
    Ignored,
    /// The mistake.
    Taken,
}

/// How often a message is sent to who may have gone: the last answer may be lost again and again.
const GOODBYES: u32 = 30;

/// Sends numbered messages, each until it is answered; and one that says that this was all.
fn deliver(socket: &UdpSocket, messages: &[&str]) -> io::Result<()> {
    socket.set_read_timeout(Some(10 * MILLISECOND))?;
    for (number, message) in messages.iter().copied().chain([""]).enumerate() {
        let number = number as u8;
        let is_last = message.is_empty();
        let datagram = [&[number], message.as_bytes()].concat();
        for tries in 0.. {
            let mut answer = [0; 1];
            let answered = socket.send(&datagram).and_then(|_| socket.recv(&mut answer));
            match answered {
                Ok(_) if answer == [number] => break,
                // It has heard the last one, and gone.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused && is_last => break,
                // Nothing, or the answer to another one.
                _ if !is_last || tries < GOODBYES => {}
                _ => break,
            }
        }
    }
    Ok(())
}

/// Receives them.
fn collect(socket: &UdpSocket, again: Again) -> io::Result<Vec<String>> {
    let mut messages = Vec::new();
    let mut buf = [0; 100];
    loop {
        let len = socket.recv(&mut buf)?;
        let (number, message) = (buf[0], &buf[1..len]);
        if usize::from(number) == messages.len() || again == Again::Taken && usize::from(number) < messages.len() {
            if message.is_empty() {
                socket.send(&[number])?;
                return Ok(messages);
            }
            messages.push(String::from_utf8_lossy(message).into_owned());
        }
        // What has been answered may have to be answered again.
        if usize::from(number) < messages.len() {
            socket.send(&[number])?;
        }
    }
}

const MESSAGES: [&str; 6] = ["put", "the", "kettle", "on", "Polly", "please"];

fn delivers(again: Again) {
    let (sender, receiver) = pair();
    let collects = thread::spawn(move || collect(&receiver, again).unwrap());
    deliver(&sender, &MESSAGES).unwrap();
    assert_eq!(collects.join().unwrap(), MESSAGES);
}

#[test]
fn stop_and_wait_delivers_under_many_seeds() {
    explore(0..200, || delivers(Again::Ignored));
    // On a worse network as well.
    let worse = Simulation::new(0).lost_once_in(2).duplicated_once_in(2).latency(Duration::ZERO..=30 * MILLISECOND);
    worse.explore(0..50, || delivers(Again::Ignored)).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn who_takes_what_comes_again_is_found_out() {
    let failure = Simulation::new(0).explore(0..50, || delivers(Again::Taken)).unwrap_err();
    assert!(failure.is_panic(), "{failure}");
}

#[test]
fn who_does_not_ask_again_is_found_out() {
    let failure = Simulation::new(0).explore(0..50, || {
        let (sender, receiver) = pair();
        let hears = thread::spawn(move || {
            let mut heard = [0; 3];
            heard.iter_mut().for_each(|byte| assert_eq!(receiver.recv(std::slice::from_mut(byte)).unwrap(), 1));
            heard
        });
        for n in 1..=3 {
            sender.send(&[n]).unwrap();
        }
        assert_eq!(hears.join().unwrap(), [1, 2, 3]);
    });
    // By what is lost it waits for ever, by another order or a double it hears something else.
    assert!(failure.is_err());
}

// --- what the network does ---

fn trace(seed: u64) -> Trace {
    let run = Simulation::new(seed).recorded().run(|| {
        delivers(Again::Ignored);
        part(SENDER, RECEIVER);
        let (sender, receiver) = pair();
        let hears = thread::spawn(move || receiver.recv(&mut [0; 8]).unwrap());
        thread::spawn(|| {
            thread::sleep(20 * MILLISECOND);
            heal(SENDER, RECEIVER);
        });
        while !hears.is_finished() {
            sender.send(b"tea").unwrap();
            thread::sleep(MILLISECOND);
        }
    });
    run.unwrap_or_else(|failure| panic!("{failure}")).trace
}

#[test]
fn the_same_seed_writes_the_same_trace() {
    let hashes: HashSet<_> = (0..10)
        .map(|seed| {
            let first = trace(seed);
            assert!(first.as_bytes() == trace(seed).as_bytes(), "seed {seed}");
            first.hash()
        })
        .collect();
    assert_eq!(hashes.len(), 10, "seeds differ");
}

#[test]
fn parted_hosts_hear_nothing_and_what_was_sent_meanwhile_is_lost() {
    let calm = Simulation::new(1).lost_once_in(0).duplicated_once_in(0);
    let run = calm.run(|| {
        let (one, other) = pair();
        other.set_read_timeout(Some(3600 * 1000 * MILLISECOND)).unwrap();
        part(SENDER, RECEIVER);
        one.send(b"tea").unwrap();
        let start = Instant::now();
        assert_eq!(other.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(start.elapsed(), 3600 * 1000 * MILLISECOND);
        heal(SENDER, RECEIVER);
        one.send(b"water").unwrap();
        assert_eq!(other.recv(&mut [0; 8]).unwrap(), 5);
    });
    run.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn who_reads_too_slowly_loses_what_comes_last() {
    simulate(1, || {
        let (one, addr) = bound(SENDER);
        for n in 0..1000_u32 {
            assert_eq!(one.send_to(&n.to_ne_bytes(), addr).unwrap(), 4);
        }
        thread::sleep(1000 * MILLISECOND);
        one.set_nonblocking(true).unwrap();
        let mut buf = [0; 4];
        let mut heard = 0;
        while one.recv(&mut buf).is_ok() {
            assert_eq!(u32::from_ne_bytes(buf), heard);
            heard += 1;
        }
        assert!((100..1000).contains(&heard), "{heard}");
    });
}

#[test]
fn a_deadlock_tells_who_waits_for_datagrams() {
    let failure = Simulation::new(1).run(|| bound(SENDER).0.recv(&mut [0; 8]).map(drop)).unwrap_err();
    let said = failure.to_string();
    assert!(failure.is_deadlock());
    assert!(said.contains("task 0 receives from datagram socket 10.0.0.1:32768"), "{said}");
}

#[test]
fn calls_of_a_task_that_unwinds_do_not_wait() {
    struct Says(UdpSocket);
    impl Drop for Says {
        fn drop(&mut self) {
            assert_eq!(self.0.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert_eq!(self.0.recv_from(&mut []).unwrap_err().kind(), ErrorKind::WouldBlock);
            self.0.send(b"goodbye").unwrap();
        }
    }
    simulate(1, || {
        let ((one, one_addr), (other, other_addr)) = (bound(SENDER), bound(SENDER));
        one.connect(other_addr).unwrap();
        let waits = thread::spawn(move || {
            let _says = Says(one);
            thread::sleep(Duration::MAX);
        });
        thread::sleep(MILLISECOND);
        waits.cancel();
        assert_eq!(other.recv_from(&mut [0; 16]).unwrap(), (7, one_addr));
    });
}

#[test]
fn what_a_simulation_does_not_have_is_an_error() {
    let outside = UdpSocket::bind("127.0.0.1:0").unwrap();
    let unsupported = |result: io::Result<()>| assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EOPNOTSUPP));
    simulate(1, || {
        unsupported(outside.recv(&mut [0]).map(drop));
        unsupported(outside.recv_from(&mut [0]).map(drop));
        unsupported(outside.connect("127.0.0.1:9"));
        let (socket, _) = bound(SENDER);
        let group = Ipv4Addr::new(239, 0, 0, 1);
        unsupported(socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED));
        unsupported(socket.leave_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED));
        assert_eq!(socket.send_to(b"x", (group, 9)).unwrap_err().kind(), ErrorKind::NetworkUnreachable);
        // A stream's port is no datagram's.
        let listener = TcpListener::bind("127.0.0.1:53").unwrap();
        let both = UdpSocket::bind(listener.local_addr().unwrap()).unwrap();
        assert_eq!(both.local_addr().unwrap(), listener.local_addr().unwrap());
    });
}
