//! Connections with all kinds of peers: plain threads, other event loops, those that vanish, stop or don't listen.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod child;
mod sockets;

use child::{alone, descriptors};
use kettle::net::{Shutdown, TcpListener, TcpStream};
use kettle::thread;
use sockets::{listener, pair, pair_with_std, reset};
use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

/// Bytes that tell where they belong.
fn pattern(len: usize) -> Vec<u8> {
    (0..len as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// Sends back all that comes.
fn echo(mut stream: impl Read + Write) -> io::Result<()> {
    let mut buf = [0; 4096];
    loop {
        match stream.read(&mut buf)? {
            0 => return Ok(()),
            len => stream.write_all(&buf[..len])?,
        }
    }
}

#[test]
fn a_thread_is_served_by_a_task() {
    let (listener, addr) = listener();
    let client = std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(addr).unwrap();
        for round in 0..1000_u32 {
            stream.write_all(&round.to_ne_bytes()).unwrap();
            let mut buf = [0; 4];
            stream.read_exact(&mut buf).unwrap();
            assert_eq!(u32::from_ne_bytes(buf), round);
        }
    });
    kettle::run(|| echo(listener.accept().unwrap().0)).unwrap();
    client.join().unwrap();
}

#[test]
fn a_task_is_served_by_a_thread() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || echo(listener.accept().unwrap().0).unwrap());
    kettle::run(|| {
        let mut stream = TcpStream::connect(addr).unwrap();
        let sent = pattern(100_000);
        let writer = thread::spawn({
            let (mut stream, sent) = (stream.try_clone().unwrap(), sent.clone());
            move || {
                stream.write_all(&sent).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
            }
        });
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        assert!(got == sent);
        writer.join().unwrap();
    });
    server.join().unwrap();
}

#[test]
fn one_task_reads_while_another_writes() {
    kettle::run(|| {
        let (one, other) = pair();
        let sent = pattern(3_000_000);
        thread::scope(|s| {
            s.spawn(|| echo(&other).and_then(|()| other.shutdown(Shutdown::Write)).unwrap());
            s.spawn(|| {
                (&one).write_all(&sent).unwrap();
                one.shutdown(Shutdown::Write).unwrap();
            });
            let mut got = Vec::new();
            (&one).read_to_end(&mut got).unwrap();
            assert!(got == sent);
        });
    });
}

#[test]
fn ten_thousand_clients_that_send_a_byte_and_go_leave_nothing_behind() {
    alone("ten_thousand_clients_that_send_a_byte_and_go_leave_nothing_behind", || {
        // An address of this run's own: the ports of connections that have ended stay in use for a while.
        let id = std::process::id();
        let host = format!("127.{}.{}.{}", 1 + id % 250, 1 + (id / 250) % 250, 1 + (id / 62_500) % 250);
        kettle::run(|| {
            let listener = TcpListener::bind((host.as_str(), 0)).unwrap();
            let addr = listener.local_addr().unwrap();
            let stacks = || kettle::fiber::pool::usage().iter().map(|size| size.in_use).sum::<usize>();
            let before = (descriptors(), stacks());
            let clients: Vec<_> = (0..100)
                .map(|_| {
                    thread::spawn(move || {
                        for byte in 0..100 {
                            TcpStream::connect(addr).unwrap().write_all(&[byte]).unwrap();
                        }
                    })
                })
                .collect();
            let serve = |stream: io::Result<TcpStream>| {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let mut got = Vec::new();
                    stream.read_to_end(&mut got).unwrap();
                    assert_eq!(got.len(), 1);
                    u64::from(got[0])
                })
            };
            let mut servers = Vec::new();
            let mut sum = 0;
            for stream in listener.incoming().take(10_000) {
                servers.push(serve(stream));
                if servers.len() == 100 {
                    sum += servers.drain(..).map(|server| server.join().unwrap()).sum::<u64>();
                }
            }
            assert_eq!(sum, 100 * (0..100).sum::<u64>());
            clients.into_iter().for_each(|client| client.join().unwrap());
            assert_eq!((descriptors(), stacks()), before);
        });
    });
}

#[test]
fn a_reset_ends_a_read() {
    kettle::run(|| {
        let (mut one, other) = pair();
        let reader = thread::spawn(move || one.read(&mut [0; 16]).unwrap_err().kind());
        thread::yield_now();
        reset(other);
        assert_eq!(reader.join().unwrap(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_reset_ends_a_write() {
    kettle::run(|| {
        let (mut one, mut other) = pair();
        let writer = thread::spawn(move || one.write_all(&vec![0; 64 << 20]).unwrap_err().kind());
        other.read_exact(&mut [0; 100_000]).unwrap();
        reset(other);
        assert!(matches!(writer.join().unwrap(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe));
    });
}

#[test]
fn a_write_to_who_has_gone_is_no_signal() {
    alone("a_write_to_who_has_gone_is_no_signal", || {
        // SAFETY: the default disposition is no function.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let write = || {
            let (mut one, other) = pair();
            reset(other);
            while one.write_all(b"x").is_ok() {}
            assert_eq!(one.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
            assert_eq!(one.write_vectored(&[io::IoSlice::new(b"x")]).unwrap_err().kind(), ErrorKind::BrokenPipe);
            assert_eq!(one.write(&[]).unwrap_err().kind(), ErrorKind::BrokenPipe);
        };
        write();
        kettle::run(write);
    });
}

#[test]
fn a_connection_that_was_reset_before_it_was_accepted() {
    kettle::run(|| {
        let (listener, addr) = listener();
        reset(TcpStream::connect(addr).unwrap());
        let mut second = TcpStream::connect(addr).unwrap();
        second.write_all(b"2").unwrap();
        // The first is accepted all the same, or was taken out of the queue, or is an error: as the system likes.
        let found = listener.incoming().take(2).flatten().find_map(|mut stream| {
            let mut byte = [0];
            stream.read_exact(&mut byte).ok().map(|()| byte)
        });
        assert_eq!(found, Some(*b"2"));
    });
}

#[test]
fn a_peer_that_has_said_all_still_hears() {
    kettle::run(|| {
        let (mut one, mut other) = pair();
        one.write_all(b"question").unwrap();
        one.shutdown(Shutdown::Write).unwrap();
        let server = thread::spawn(move || {
            let mut question = String::new();
            other.read_to_string(&mut question).unwrap();
            assert_eq!(question, "question");
            other.write_all(&pattern(5_000_000)).unwrap();
        });
        let mut answer = Vec::new();
        one.read_to_end(&mut answer).unwrap();
        assert!(answer == pattern(5_000_000));
        server.join().unwrap();
    });
}

#[test]
fn a_slow_reader_suspends_the_writer() {
    const ALL: usize = 64 << 20;
    /// More than the buffers of both sockets can grow to.
    const BOUND: usize = 24 << 20;
    kettle::run(|| {
        let (mut one, mut other) = pair();
        let written = Rc::new(Cell::new(0));
        let writer = thread::spawn({
            let written = Rc::clone(&written);
            move || {
                let buf = vec![7; 1 << 16];
                while written.get() < ALL {
                    written.set(written.get() + one.write(&buf).unwrap());
                }
            }
        });
        let mut buf = [0; 1 << 15];
        let mut read = 0;
        loop {
            for _ in 0..3 {
                thread::yield_now();
            }
            match other.read(&mut buf).unwrap() {
                0 => break,
                len => read += len,
            }
            assert!(written.get().saturating_sub(read) < BOUND);
        }
        writer.join().unwrap();
        assert_eq!(read, written.get());
    });
}

#[test]
fn a_reader_that_never_reads_suspends_the_writer_only() {
    kettle::run(|| {
        let (mut one, _other) = pair();
        thread::spawn(move || one.write_all(&vec![0; 64 << 20]));
        let (mut two, three) = pair();
        thread::spawn(move || echo(three));
        for _ in 0..1000 {
            two.write_all(b"x").unwrap();
            two.read_exact(&mut [0]).unwrap();
        }
    });
}

#[test]
fn a_stream_goes_on_in_another_loop() {
    let (listener, addr) = listener();
    kettle::run(|| {
        let there = TcpStream::connect(addr).unwrap();
        let (mut here, _) = listener.accept().unwrap();
        let mut there_too = there.try_clone().unwrap();
        // Both sides have waited in this loop, so that its driver knows them.
        let reader = thread::spawn(move || {
            here.read_exact(&mut [0]).unwrap();
            here
        });
        thread::yield_now();
        there_too.write_all(b"x").unwrap();
        let here = reader.join().unwrap();
        let elsewhere = std::thread::spawn(move || kettle::run(|| echo(here).unwrap()));
        for round in 0..100 {
            there_too.write_all(&[round]).unwrap();
            let mut buf = [0];
            there_too.read_exact(&mut buf).unwrap();
            assert_eq!(buf, [round]);
        }
        drop((there, there_too));
        elsewhere.join().unwrap();
    });
}

#[test]
fn one_loop_accepts_and_others_serve() {
    const LOOPS: usize = 3;
    const EACH: usize = 50;
    let (listener, addr) = listener();
    let mut threads = Vec::new();
    let mut workers = Vec::new();
    for _ in 0..LOOPS {
        let (sender, streams) = mpsc::channel::<TcpStream>();
        workers.push(sender);
        threads.push(std::thread::spawn(move || {
            kettle::run(|| {
                // All of a worker's streams are there before it begins, so it never blocks its loop for one.
                let streams: Vec<_> = streams.iter().collect();
                let serving: Vec<_> = streams.into_iter().map(|s| thread::spawn(|| echo(s).unwrap())).collect();
                serving.into_iter().for_each(|task| task.join().unwrap());
            });
        }));
    }
    let clients = std::thread::spawn(move || {
        kettle::run(|| {
            let clients: Vec<_> = (0..LOOPS * EACH)
                .map(|n| {
                    thread::spawn(move || {
                        let mut stream = TcpStream::connect(addr).unwrap();
                        for round in 0..20 {
                            let sent = [n as u8, round];
                            stream.write_all(&sent).unwrap();
                            let mut got = [0; 2];
                            stream.read_exact(&mut got).unwrap();
                            assert_eq!(got, sent);
                        }
                    })
                })
                .collect();
            clients.into_iter().for_each(|client| client.join().unwrap());
        });
    });
    kettle::run(|| {
        for n in 0..LOOPS * EACH {
            workers[n % LOOPS].send(listener.accept().unwrap().0).unwrap();
        }
    });
    drop(workers);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    clients.join().unwrap();
}

#[test]
fn several_loops_accept_on_one_listener() {
    const LOOPS: usize = 3;
    const CLIENTS: usize = 60;
    let (listener, addr) = listener();
    let (sender, accepted) = mpsc::channel();
    let acceptors: Vec<_> = (0..LOOPS)
        .map(|_| {
            let (listener, sender) = (listener.try_clone().unwrap(), sender.clone());
            std::thread::spawn(move || {
                kettle::run(|| {
                    for stream in listener.incoming() {
                        let mut byte = [0];
                        stream.unwrap().read_exact(&mut byte).unwrap();
                        if byte == *b"q" {
                            break;
                        }
                        sender.send(()).unwrap();
                    }
                });
            })
        })
        .collect();
    kettle::run(|| {
        for _ in 0..CLIENTS {
            TcpStream::connect(addr).unwrap().write_all(b"x").unwrap();
        }
    });
    for _ in 0..CLIENTS {
        accepted.recv_timeout(Duration::from_secs(60)).unwrap();
    }
    // Each acceptor ends with the one that it gets.
    for _ in 0..LOOPS {
        std::net::TcpStream::connect(addr).unwrap().write_all(b"q").unwrap();
    }
    acceptors.into_iter().for_each(|acceptor| acceptor.join().unwrap());
}

#[test]
fn descriptors_are_used_again_at_once() {
    // The same numbers, again and again, for sockets that are waited for: nobody hears what is meant for another.
    kettle::run(|| {
        let (listener, addr) = listener();
        for round in 0..300_u32 {
            let mut there = TcpStream::connect(addr).unwrap();
            let (mut here, _) = listener.accept().unwrap();
            let reader = thread::spawn(move || {
                let mut buf = [0; 4];
                here.read_exact(&mut buf).unwrap();
                u32::from_ne_bytes(buf)
            });
            thread::yield_now();
            there.write_all(&round.to_ne_bytes()).unwrap();
            assert_eq!(reader.join().unwrap(), round);
        }
    });
}

#[test]
fn a_task_that_only_receives_lets_others_run() {
    let (mut one, mut other) = pair_with_std();
    let sender = std::thread::spawn(move || while other.write_all(&[0; 1 << 16]).is_ok() {});
    kettle::run(|| {
        thread::spawn(move || while let Ok(1..) = one.read(&mut [0; 16]) {});
        for _ in 0..1000 {
            thread::yield_now();
        }
        // The reader is cancelled now, and the sender meets a reset.
    });
    sender.join().unwrap();
}
