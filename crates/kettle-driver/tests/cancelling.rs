//! What is cancelled ends, once; its buffers are free then and not before; what was faster is not lost. The same when the
//! driver goes.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod harness;

use harness::{Loop, *};
use kettle_driver::{Driver, Interest, Kind, Op, Submitted, Token, Until};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::AsRawFd;

on_both! {
    an_idle_operation_ends_cancelled
    a_cancelled_buffer_is_left_alone
    a_cancelled_connect_ends
    what_completed_first_is_a_success
    cancelling_in_a_race_loses_nothing
    cancelling_an_accept_in_a_race_loses_no_connection
    a_cancelled_transfer_tells_what_it_moved
    cancelling_finds_what_is_about_to_be_tried_again
    an_unknown_token_is_harmless
    a_stale_cancel_leaves_the_next_of_its_name_alone
    one_of_many_is_cancelled
    many_are_cancelled
    a_token_is_used_again
    dropping_ends_what_is_in_flight
    dropping_leaves_buffers_alone
    dropping_closes_what_was_accepted
    dropping_with_a_backlog_drains_it
    closing_ends_what_waits
}

/// Operations that wait for ever, with what they need to do so.
fn idle(l: &mut Loop, buf: &mut [u8]) -> (Vec<(Token, Op)>, Vec<Box<dyn std::any::Any>>) {
    let (a, b) = tcp_pair();
    let (reader, writer) = pipe();
    let (full, full_peer) = unix_pair();
    full.set_nonblocking(true).unwrap();
    while (&full).write(&[0; 4096]).is_ok() {}
    full.set_nonblocking(false).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (narrow, narrow_address, addr_len) = narrow_unix_listener();
    let clients: [_; 3] = std::array::from_fn(|_| unix_socket());
    let connect =
        |index: usize| Op::Connect { fd: clients[index].as_raw_fd(), addr: &raw const *narrow_address, addr_len };
    assert_eq!(l.run(connect(0)), 0);
    static BYTES: [u8; 64] = [0; 64];
    let ops = [
        recv(&a, buf),
        recv_all(&a, buf),
        accept(&listener),
        read(&reader, buf),
        send(&full, &BYTES),
        Op::Poll { fd: a.as_raw_fd(), interest: Interest::Readable },
        Op::Poll { fd: full.as_raw_fd(), interest: Interest::Writable },
        connect(1),
        connect(2),
    ];
    let tokens = ops.into_iter().map(|op| (l.submit(op), op)).collect();
    l.settle();
    (
        tokens,
        vec![
            Box::new((a, b)),
            Box::new((reader, writer)),
            Box::new((full, full_peer)),
            Box::new(listener),
            Box::new((narrow, narrow_address, clients)),
        ],
    )
}

fn an_idle_operation_ends_cancelled(kind: Kind) {
    let mut l = Loop::new(kind);
    let mut buf = [0; 64];
    let (tokens, _open) = idle(&mut l, &mut buf);
    assert_eq!(l.driver.in_flight(), tokens.len());
    for (token, op) in &tokens {
        assert!(!l.has(*token), "{op:?} waits");
        l.driver.cancel(*token);
        // Asking twice is asking once.
        l.driver.cancel(*token);
        assert_eq!(l.result(*token), CANCELLED, "{op:?}");
    }
    l.assert_idle();
}

fn a_cancelled_buffer_is_left_alone(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, mut b) = tcp_pair();
    let mut buf = [0xaa; 64];
    let token = l.submit(recv(&a, &mut buf));
    l.settle();
    l.driver.cancel(token);
    assert_eq!(l.result(token), CANCELLED);
    b.write_all(&[1; 64]).unwrap();
    l.settle();
    assert_eq!(buf, [0xaa; 64]);
    // The data is still there.
    assert_eq!(l.run(recv_all(&a, &mut buf)), 64);
    assert_eq!(buf, [1; 64]);
    l.assert_idle();
}

fn a_cancelled_connect_ends(kind: Kind) {
    let mut l = Loop::new(kind);
    // A listener whose queue is full answers nobody.
    let listener = tcp_socket();
    let (mut any, len) = address("127.0.0.1:0".parse().unwrap());
    // SAFETY: an address and its length.
    assert_eq!(unsafe { libc::bind(listener.as_raw_fd(), (&raw const any).cast(), len) }, 0);
    // SAFETY: takes no pointers.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    let mut room = size_of_val(&any) as libc::socklen_t;
    // SAFETY: room for an address.
    unsafe { libc::getsockname(listener.as_raw_fd(), (&raw mut any).cast(), &raw mut room) };
    let connect = |fd| Op::Connect { fd, addr: &raw const any, addr_len: room };
    let mut sockets = Vec::new();
    let token = loop {
        let socket = tcp_socket();
        let token = l.submit(connect(socket.as_raw_fd()));
        sockets.push(socket);
        l.settle();
        if !l.has(token) {
            break token;
        }
        assert_eq!(l.result(token), 0);
        assert!(sockets.len() < 100, "the queue is never full");
    };
    l.driver.cancel(token);
    assert_eq!(l.result(token), CANCELLED);
    for socket in sockets {
        l.driver.close(socket);
    }
    l.assert_idle();
}

fn what_completed_first_is_a_success(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, mut b) = tcp_pair();
    let mut buf = [0; 8];
    let token = l.submit(recv(&a, &mut buf));
    l.settle();
    b.write_all(b"first").unwrap();
    l.driver.cancel(token);
    match l.result(token) {
        5 => assert_eq!(&buf[..5], b"first"),
        // Otherwise the bytes are where they were.
        error => {
            assert_eq!(error, CANCELLED);
            assert_eq!(l.run(recv(&a, &mut buf)), 5);
        }
    }
    let token = l.submit(Op::Nop);
    l.driver.cancel(token);
    assert_eq!(l.result(token), 0);
    l.assert_idle();
}

fn cancelling_in_a_race_loses_nothing(kind: Kind) {
    const ROUNDS: u32 = 3000;
    let mut l = Loop::new(kind);
    let (a, mut b) = tcp_pair();
    let (turns, writer) = takes_turns(ROUNDS, move |round| b.write_all(&round.to_ne_bytes()).unwrap());
    let (mut successes, mut expected) = (0, 1_u32);
    let mut buf = [0; 4];
    for round in 1..=ROUNDS {
        let token = l.submit(recv_all(&a, &mut buf));
        match l.cancel_in_turn(token, &turns, round) {
            CANCELLED => {}
            4 => {
                assert_eq!(u32::from_ne_bytes(buf), expected);
                expected += 1;
                successes += 1;
            }
            other => panic!("{other}"),
        }
    }
    while expected <= ROUNDS {
        assert_eq!(l.run(recv_all(&a, &mut buf)), 4);
        assert_eq!(u32::from_ne_bytes(buf), expected);
        expected += 1;
    }
    println!("{successes} of {ROUNDS} were faster than their cancel");
    drop(writer.join().unwrap());
    l.assert_idle();
}

fn cancelling_an_accept_in_a_race_loses_no_connection(kind: Kind) {
    const ROUNDS: usize = 200;
    let mut l = Loop::new(kind);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let clients = std::thread::spawn(move || {
        (0..ROUNDS).map(|_| std::net::TcpStream::connect(address).unwrap()).collect::<Vec<_>>()
    });
    let mut peers = Vec::new();
    for _ in 0..ROUNDS {
        let token = l.submit(accept(&listener));
        l.wait(Until::Now);
        l.driver.cancel(token);
        match l.result(token) {
            CANCELLED => {}
            fd => peers.push(accepted(fd)),
        }
    }
    while peers.len() < ROUNDS {
        let fd = l.run(accept(&listener));
        peers.push(accepted(fd));
    }
    assert_eq!(clients.join().unwrap().len(), peers.len());
    l.assert_idle();
}

fn a_cancelled_transfer_tells_what_it_moved(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, mut b) = tcp_pair();
    let mut buf = [0; 64];
    let token = l.submit(recv_all(&a, &mut buf));
    l.settle();
    b.write_all(&[7; 10]).unwrap();
    l.settle();
    l.driver.cancel(token);
    let mut got = match l.result(token) {
        CANCELLED => 0,
        count => count as usize,
    };
    if got == 0 {
        got = l.run(recv(&a, &mut buf)) as usize;
    }
    assert_eq!(got, 10);
    assert_eq!(buf[..10], [7; 10]);

    let sent = pattern(4 << 20);
    let token = l.submit(send_all(&a, &sent));
    l.settle();
    l.driver.cancel(token);
    let moved = l.result(token);
    assert!(moved > 0 && (moved as usize) < sent.len(), "{moved}");
    l.driver.close(a.into());
    let mut all = Vec::new();
    b.read_to_end(&mut all).unwrap();
    assert!(all == sent[..moved as usize]);
}

/// A receive of all, of which parts come at all times: the kernel tries it again and again, and between two tries it is
/// nowhere to be found.
fn cancelling_finds_what_is_about_to_be_tried_again(kind: Kind) {
    let mut l = Loop::new(kind);
    for round in 0..300 {
        let (a, b) = unix_pair();
        let (mut first, mut second) = ([0; 64], [0; 64]);
        // Both are woken by the same bytes.
        let tokens = [l.submit(recv_all(&a, &mut first)), l.submit(recv_all(&a, &mut second))];
        if round % 3 > 0 {
            l.wait(Until::Now);
        }
        (&b).write_all(&[1; 10]).unwrap();
        if round % 3 > 1 {
            l.wait(Until::Now);
            (&b).write_all(&[1; 10]).unwrap();
        }
        tokens.iter().for_each(|token| l.driver.cancel(*token));
        // None is left waiting for bytes that don't come.
        let mut moved =
            tokens.map(|token| l.result(token)).into_iter().filter(|result| *result != CANCELLED).sum::<i32>();
        let mut rest = [0; 64];
        a.set_nonblocking(true).unwrap();
        moved += (&a).read(&mut rest).unwrap_or(0) as i32;
        assert_eq!(moved, if round % 3 > 1 { 20 } else { 10 });
    }
    l.assert_idle();
}

fn a_stale_cancel_leaves_the_next_of_its_name_alone(kind: Kind) {
    let mut driver = Driver::with(config(kind)).unwrap();
    let (a, mut b) = tcp_pair();
    let mut completions = Vec::new();
    for round in 0..300 {
        let mut buf = [0; 8];
        if round % 2 == 0 {
            driver.cancel(Token(5));
        }
        // SAFETY: the buffer stays until the completion.
        assert_eq!(unsafe { driver.submit(recv(&a, &mut buf), Token(5)) }, Submitted::Pending);
        for _ in 0..round % 5 {
            driver.wait(Until::Now, &mut completions).unwrap();
        }
        assert!(completions.is_empty());
        b.write_all(b"x").unwrap();
        while completions.is_empty() {
            driver.wait(Until::Forever, &mut completions).unwrap();
        }
        assert_eq!(completions.pop().unwrap().result, 1);
        if round % 3 == 0 {
            driver.cancel(Token(5));
            driver.wait(Until::Now, &mut completions).unwrap();
        }
    }
}

fn an_unknown_token_is_harmless(kind: Kind) {
    let mut l = Loop::new(kind);
    for token in [0, 1, u64::MAX, u64::MAX - 1, u64::MAX - 2] {
        l.driver.cancel(Token(token));
    }
    let done = l.submit(Op::Nop);
    assert_eq!(l.result(done), 0);
    l.driver.cancel(done);
    l.settle();
    // The bell is listened to still.
    l.driver.notifier().notify();
    assert_eq!(l.wait(Until::Forever), 0);
    l.assert_idle();
}

fn one_of_many_is_cancelled(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, mut b) = tcp_pair();
    let mut bufs = [[0_u8; 1]; 9];
    let tokens: Vec<_> = bufs.iter_mut().map(|buf| l.submit(recv(&a, buf))).collect();
    l.settle();
    // From the middle, the front and the back of the queue.
    for index in [4, 0, 8, 1] {
        l.driver.cancel(tokens[index]);
        assert_eq!(l.result(tokens[index]), CANCELLED);
    }
    b.write_all(b"abcde").unwrap();
    let mut got: Vec<u8> = [2, 3, 5, 6, 7]
        .map(|index| {
            assert_eq!(l.result(tokens[index]), 1);
            bufs[index][0]
        })
        .into();
    got.sort_unstable();
    assert_eq!(got, b"abcde");
    l.assert_idle();
}

fn many_are_cancelled(kind: Kind) {
    let mut l = Loop::with(kettle_driver::Config { entries: 8, ..config(kind) });
    let (a, _b) = tcp_pair();
    let mut bufs = vec![[0_u8; 1]; 3000];
    let tokens: Vec<_> = bufs.iter_mut().map(|buf| l.submit(recv(&a, buf))).collect();
    l.settle();
    for token in &tokens {
        l.driver.cancel(*token);
    }
    for token in tokens {
        assert_eq!(l.result(token), CANCELLED);
    }
    l.assert_idle();
}

fn a_token_is_used_again(kind: Kind) {
    let mut driver = Driver::with(config(kind)).unwrap();
    let (a, mut b) = tcp_pair();
    let mut completions = Vec::new();
    for round in 0..10 {
        let mut buf = [0; 8];
        // SAFETY: the buffer stays until the completion.
        assert_eq!(unsafe { driver.submit(recv(&a, &mut buf), Token(5)) }, Submitted::Pending);
        driver.wait(Until::Now, &mut completions).unwrap();
        if round % 2 == 0 {
            driver.cancel(Token(5));
        } else {
            b.write_all(b"x").unwrap();
        }
        while completions.is_empty() {
            driver.wait(Until::Forever, &mut completions).unwrap();
        }
        let completion = completions.pop().unwrap();
        assert_eq!(completion.token, Token(5));
        assert_eq!(completion.result, if round % 2 == 0 { CANCELLED } else { 1 });
        assert!(completions.is_empty());
    }
}

fn dropping_ends_what_is_in_flight(kind: Kind) {
    let mut buf = [0xaa; 64];
    let mut l = Loop::new(kind);
    let (tokens, open) = idle(&mut l, &mut buf);
    assert_eq!(l.driver.in_flight(), tokens.len());
    drop(l);
    drop(open);
    assert_eq!(buf, [0xaa; 64]);
}

fn dropping_leaves_buffers_alone(kind: Kind) {
    for waits in [false, true] {
        let mut buf = vec![0xaa; 1 << 20];
        let mut l = Loop::new(kind);
        let (a, b) = tcp_pair();
        l.submit(recv_all(&a, &mut buf));
        if waits {
            l.settle();
        }
        let writer = writes_all(b, vec![1; 1 << 20]);
        drop(l);
        // Whatever came before belongs to it. Nothing comes now.
        let snapshot = buf.clone();
        let mut rest = Vec::new();
        let mut a = a;
        a.read_to_end(&mut rest).unwrap();
        writer.join().unwrap();
        assert!(buf == snapshot, "written to after the driver had gone");
        let received = buf.iter().filter(|byte| **byte == 1).count();
        assert_eq!(received + rest.len(), 1 << 20, "no byte is lost");
    }
}

fn dropping_closes_what_was_accepted(kind: Kind) {
    for _ in 0..50 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut l = Loop::new(kind);
        l.submit(accept(&listener));
        l.settle();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        drop(l);
        drop(listener);
        // Accepted and closed, or never accepted and reset: it ends.
        assert!(matches!(client.read(&mut [0; 8]), Ok(0) | Err(_)));
    }
}

fn dropping_with_a_backlog_drains_it(kind: Kind) {
    let mut bufs = vec![[0xaa_u8; 1]; 100];
    let mut l = Loop::with(kettle_driver::Config { entries: 1, ..config(kind) });
    let (a, mut b) = tcp_pair();
    for buf in &mut bufs {
        l.submit(recv(&a, buf));
    }
    drop(l);
    b.write_all(b"later").unwrap();
    assert!(bufs.iter().all(|buf| buf == &[0xaa]));
    let mut buf = [0; 5];
    let mut a = a;
    a.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"later");
}

fn closing_ends_what_waits(kind: Kind) {
    let mut l = Loop::new(kind);
    let (a, _b) = tcp_pair();
    let mut buf = [0; 8];
    let number = a.as_raw_fd();
    let token = l.submit(recv(&a, &mut buf));
    // Not submitted to the kernel yet; it means this file, whatever gets its number next.
    l.driver.close(a.into());
    let (mut next, mut next_peer) = tcp_pair();
    let reused = next.as_raw_fd() == number || next_peer.as_raw_fd() == number;
    next_peer.write_all(b"mine").unwrap();
    next.write_all(b"mine").unwrap();
    l.settle();
    l.driver.cancel(token);
    assert_eq!(l.result(token), CANCELLED, "the number was used again: {reused}");
    let mut got = [0; 4];
    next.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"mine");
    l.driver.close(next.into());
    l.assert_idle();
}
