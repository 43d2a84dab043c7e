//! The echo server: what comes back, and what one client can do to others.

use crate::server::Server;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

/// Bytes without a short period.
pub(crate) fn bytes(len: usize) -> Vec<u8> {
    (0..len as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Sends everything and the end, and meanwhile receives everything until the end.
pub(crate) fn converse(mut stream: TcpStream, sent: Vec<u8>) -> Vec<u8> {
    let mut writer = stream.try_clone().unwrap();
    let sender = thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    sender.join().unwrap();
    heard
}

/// That a client is served.
pub(crate) fn assert_echo(mut stream: &TcpStream) {
    stream.write_all(b"tea?").unwrap();
    let mut heard = [0; 4];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"tea?");
}

/// Closes a connection by a reset: something lies there unread.
pub(crate) fn reset(mut stream: TcpStream) {
    stream.write_all(b"tea?").unwrap();
    stream.peek(&mut [0]).unwrap();
    drop(stream);
}

#[test]
fn all_bytes_come_back_whatever_their_number() {
    let server = Server::start("echo", &[]);
    for len in [0, 1, 4095, 4096, 4097, 16 * 1024, 100_000, 5_000_000] {
        let sent = bytes(len);
        assert!(converse(server.connect(), sent.clone()) == sent, "{len} bytes");
    }
}

#[test]
fn many_clients_are_served_at_the_same_time() {
    let server = Server::start("echo", &[]);
    let streams: Vec<_> = (0..200).map(|_| server.connect()).collect();
    streams.iter().rev().for_each(assert_echo);
    streams.iter().for_each(assert_echo);
}

#[test]
fn a_client_that_resets_or_takes_nothing_ends_nobody_else_s_connection() {
    let server = Server::start("echo", &[]);
    let other = server.connect();
    assert_echo(&other);
    for _ in 0..20 {
        reset(server.connect());
    }
    // More than the system keeps for a connection: the server has to wait in a write.
    let stuck = server.connect();
    stuck.set_nonblocking(true).unwrap();
    while (&stuck).write(&[0; 65_536]).is_ok() {}
    assert_echo(&other);
    assert_echo(&server.connect());
}

#[test]
fn without_descriptors_it_waits_and_serves_on() {
    const LIMIT: u32 = 40;
    let server = Server::start_with_descriptors(LIMIT, "echo");
    // The system accepts them all; the server can't.
    let mut streams: Vec<_> = (0..2 * LIMIT).map(|_| server.connect()).collect();
    assert_echo(&streams[0]);
    let last = streams.pop().unwrap();
    (&last).write_all(b"still here?").unwrap();
    drop(streams);
    let mut heard = [0; 11];
    (&last).read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"still here?");
}

#[test]
fn workers_serve_together() {
    let server = Server::start("echo", &["--workers", "2"]);
    let streams: Vec<_> = (0..200).map(|_| server.connect()).collect();
    streams.iter().rev().for_each(assert_echo);
    let sent = bytes(1_000_000);
    assert!(converse(server.connect(), sent.clone()) == sent);
}
