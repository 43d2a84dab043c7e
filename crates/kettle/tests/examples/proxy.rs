//! The proxy: everything passes, in both directions, and so do the ends.

use crate::echo::{assert_echo, bytes, converse, reset};
use crate::server::Server;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

fn in_front_of(addr: &str) -> Server {
    Server::start("proxy", &["--to", addr])
}

#[test]
fn all_bytes_pass_and_the_end_does() {
    let echo = Server::start("echo", &[]);
    let proxy = in_front_of(&echo.addr.to_string());
    for len in [0, 1, 16 * 1024, 16 * 1024 + 1, 3_000_000] {
        let sent = bytes(len);
        assert!(converse(proxy.connect(), sent.clone()) == sent, "{len} bytes");
    }
}

#[test]
fn the_end_of_one_direction_leaves_the_other() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = in_front_of(&listener.local_addr().unwrap().to_string());

    // The client's end, then the server's answer.
    let mut client = proxy.connect();
    client.write_all(b"all I have to say").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let mut heard = String::new();
    server.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "all I have to say");
    server.write_all(b"I see").unwrap();
    drop(server);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "I see");

    // The server's end, then the client's words.
    let mut client = proxy.connect();
    let (mut server, _) = listener.accept().unwrap();
    server.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    client.write_all(b"are you there?").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut heard = String::new();
    server.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "are you there?");
}

#[test]
fn a_server_that_is_not_there_closes_the_client() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // A client's port: taken, and nobody listens there.
    let taken = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let proxy = in_front_of(&taken.local_addr().unwrap().to_string());
    for _ in 0..3 {
        assert_eq!(proxy.connect().read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn several_servers_take_turns() {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let addrs = listeners.each_ref().map(|listener| listener.local_addr().unwrap().to_string());
    let proxy = Server::start("proxy", &["--to", &addrs[0], "--to", &addrs[1], "--to", &addrs[2]]);
    for _ in 0..2 {
        for listener in &listeners {
            let _client = proxy.connect();
            listener.accept().unwrap();
        }
    }
}

#[test]
fn the_turn_of_a_server_that_is_not_there_is_the_next_ones() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    listener.accept().unwrap();
    let [gone, there] = [taken.local_addr(), listener.local_addr()].map(|addr| addr.unwrap().to_string());
    let proxy = Server::start("proxy", &["--to", &gone, "--to", &there]);
    for _ in 0..4 {
        let mut client = proxy.connect();
        let (server, _) = listener.accept().unwrap();
        (&server).write_all(b"t").unwrap();
        client.read_exact(&mut [0]).unwrap();
    }
}

#[test]
fn a_reset_ends_both_sides_and_no_other_connection() {
    let echo = Server::start("echo", &[]);
    let proxy = in_front_of(&echo.addr.to_string());
    let other = proxy.connect();
    assert_echo(&other);
    reset(proxy.connect());
    assert_echo(&other);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = in_front_of(&listener.local_addr().unwrap().to_string());
    // The client's reset is the server's end.
    let client = proxy.connect();
    let (mut server, _) = listener.accept().unwrap();
    server.write_all(b"unread").unwrap();
    client.peek(&mut [0]).unwrap();
    drop(client);
    assert_eq!(server.read(&mut [0]).unwrap(), 0);
    // The server's reset is the client's end, while the client says nothing.
    let mut client = proxy.connect();
    let (server, _) = listener.accept().unwrap();
    client.write_all(b"unread").unwrap();
    server.peek(&mut [0]).unwrap();
    drop(server);
    match client.read(&mut [0]) {
        Ok(n) => assert_eq!(n, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}
