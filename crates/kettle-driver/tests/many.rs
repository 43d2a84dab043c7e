//! More than there is room for: operations than entries, completions than the queue takes, clients, descriptors.
//!
//! One process for each test that counts descriptors or runs out of them: they are the process's.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod harness;

use harness::{Loop, *};
use kettle_driver::{Completion, Config, Driver, Kind, Op, Submitted, Token, Until};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::Command;

on_both! {
    more_operations_than_entries
    more_completions_than_the_queue_takes
    a_ring_of_one_entry_works
    more_events_than_are_taken_at_once
    ten_thousand_clients_send_a_byte_and_go
    no_descriptor_is_left
    out_of_descriptors_is_an_error_that_passes
}

fn more_operations_than_entries(kind: Kind) {
    let mut l = Loop::with(Config { entries: 4, ..config(kind) });
    for _ in 0..3 {
        let tokens: Vec<_> = (0..1000).map(|_| l.submit(Op::Nop)).collect();
        for token in tokens {
            assert_eq!(l.result(token), 0);
        }
    }
    l.assert_idle();
}

fn more_completions_than_the_queue_takes(kind: Kind) {
    let mut l = Loop::with(Config { entries: 4, ..config(kind) });
    let pairs: Vec<_> = (0..200).map(|_| unix_pair()).collect();
    let mut bufs = vec![[0_u8; 4]; 200];
    for round in 0..3_u32 {
        let tokens: Vec<_> = pairs.iter().zip(&mut bufs).map(|((a, _), buf)| l.submit(recv(a, buf))).collect();
        l.settle();
        for (index, (_, b)) in pairs.iter().enumerate() {
            let mut b = b;
            b.write_all(&(index as u32 + round).to_ne_bytes()).unwrap();
        }
        for token in tokens {
            assert_eq!(l.result(token), 4);
        }
        for (index, buf) in bufs.iter().enumerate() {
            assert_eq!(u32::from_ne_bytes(*buf), index as u32 + round);
        }
    }
    l.assert_idle();
}

fn a_ring_of_one_entry_works(kind: Kind) {
    for entries in [0, 1, 2, 3] {
        let mut l = Loop::with(Config { entries, ..config(kind) });
        let (a, b) = tcp_pair();
        let sent = pattern(100_000);
        let mut got = vec![0; 100_000];
        let tokens = [l.submit(recv_all(&a, &mut got)), l.submit(send_all(&b, &sent)), l.submit(Op::Nop)];
        assert_eq!(tokens.map(|token| l.result(token)), [100_000, 100_000, 0]);
        assert!(got == sent);
        l.driver.notifier().notify();
        assert_eq!(l.wait(Until::Forever), 0);
    }
}

fn more_events_than_are_taken_at_once(kind: Kind) {
    more_completions_than_the_queue_takes(kind);
    let mut l = Loop::with(Config { entries: 1, ..config(kind) });
    let pairs: Vec<_> = (0..50).map(|_| unix_pair()).collect();
    let mut bufs = vec![[0_u8; 1]; 50];
    let tokens: Vec<_> = pairs.iter().zip(&mut bufs).map(|((a, _), buf)| l.submit(recv(a, buf))).collect();
    l.settle();
    let _ours: Vec<_> = pairs.into_iter().map(|(a, _b)| a).collect();
    for token in tokens {
        assert_eq!(l.result(token), 0);
    }
    l.assert_idle();
}

fn ten_thousand_clients_send_a_byte_and_go(kind: Kind) {
    const CLIENTS: usize = 10_000;
    let mut l = Loop::new(kind);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let clients = std::thread::spawn(move || {
        for client in 0..CLIENTS {
            let mut stream = TcpStream::connect(address).unwrap();
            // The server's side has no TIME_WAIT then, and no port is used up.
            reset_on_close(&stream);
            stream.write_all(&[client as u8]).unwrap();
            // Gone when the server has read it.
            assert_eq!(stream.read(&mut [0]).unwrap(), 1);
        }
    });
    let mut counts = [0_usize; 256];
    for _ in 0..CLIENTS {
        let fd = l.run(accept(&listener));
        let peer = accepted(fd);
        let mut buf = [0];
        assert_eq!(l.run(recv(&peer, &mut buf)), 1);
        counts[buf[0] as usize] += 1;
        assert_eq!(l.run(send(&peer, &buf)), 1);
        let end = l.run(recv(&peer, &mut buf));
        assert!(end == 0 || end == -libc::ECONNRESET, "{end}");
        l.driver.close(peer);
    }
    clients.join().unwrap();
    assert_eq!(counts.iter().sum::<usize>(), CLIENTS);
    assert!(counts.iter().all(|count| (39..=40).contains(count)));
    l.assert_idle();
}

/// Runs a test alone in a child, with `KETTLE_TEST_ALONE` set. Whether this is that child.
fn is_alone(test: &str) -> bool {
    const ALONE: &str = "KETTLE_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "{stdout}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    false
}

fn no_descriptor_is_left(kind: Kind) {
    if !is_alone(&format!("{kind}::no_descriptor_is_left")) {
        return;
    }
    let (a, mut b) = tcp_pair();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let before = descriptors();
    for round in 0..1000 {
        let mut buf = [0; 8];
        let mut l = Loop::new(kind);
        let notifier = l.driver.notifier();
        l.submit(recv(&a, &mut buf));
        l.submit(accept(&listener));
        match round % 4 {
            0 => {}
            1 => l.settle(),
            2 => {
                b.write_all(b"x").unwrap();
                assert_eq!(l.driver.in_flight(), 2);
            }
            _ => _ = notifier.notify(),
        }
        drop(l);
        drop(notifier);
    }
    assert_eq!(descriptors(), before);
}

fn out_of_descriptors_is_an_error_that_passes(kind: Kind) {
    if !is_alone(&format!("{kind}::out_of_descriptors_is_an_error_that_passes")) {
        return;
    }
    let mut l = Loop::new(kind);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let waits = l.submit(accept(&listener));
    l.settle();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let first = l.result(waits);
    let first = accepted(first);
    let socket = tcp_socket();
    let (address, addr_len) = address(listener.local_addr().unwrap());
    let mut room = Vec::new();
    // SAFETY: all zeros is a valid limit.
    let mut limit: libc::rlimit = unsafe { std::mem::zeroed() };
    // SAFETY: a variable.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur = 64;
    // SAFETY: a variable.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    while let Ok(file) = std::fs::File::open("/dev/null") {
        room.push(file);
    }
    assert_eq!(l.run(Op::Connect { fd: socket.as_raw_fd(), addr: &raw const address, addr_len }), 0);
    assert_eq!(l.run(accept(&listener)), -libc::EMFILE);
    assert_eq!(l.run(accept(&listener)), -libc::EMFILE);
    // What has its descriptors goes on.
    assert_eq!(l.run(send(&first, b"x")), 1);
    client.read_exact(&mut [0]).unwrap();
    let error = Driver::with(config(kind)).unwrap_err();
    match error.absence() {
        Some(absence) => assert_eq!(*absence, kettle_driver::Absence::Refused { errno: libc::EMFILE }),
        None => assert_eq!(error.io_error().unwrap().raw_os_error(), Some(libc::EMFILE)),
    }
    // No connection is lost.
    room.clear();
    let second = l.run(accept(&listener));
    let second = accepted(second);
    assert_eq!(l.run(send(&second, b"y")), 1);
    let mut buf = [0];
    assert_eq!(l.run(recv(&socket, &mut buf)), 1);
    assert_eq!(&buf, b"y");
    l.assert_idle();
}

#[test]
fn a_million_operations_of_a_batch_each_complete_once() {
    for kind in Kind::ALL {
        let mut driver = Driver::with(config(kind)).unwrap();
        let mut completions: Vec<Completion> = Vec::new();
        let mut seen = vec![0_u8; 1_000_000];
        for token in 0..1_000_000 {
            // SAFETY: no pointers; each token is used once.
            match unsafe { driver.submit(Op::Nop, Token(token)) } {
                Submitted::Done(result) => completions.push(Completion { token: Token(token), result }),
                Submitted::Pending => {}
            }
        }
        while driver.in_flight() > 0 {
            driver.wait(Until::Now, &mut completions).unwrap();
        }
        completions.iter().for_each(|completion| seen[completion.token.0 as usize] += 1);
        assert!(seen.iter().all(|count| *count == 1));
    }
}
