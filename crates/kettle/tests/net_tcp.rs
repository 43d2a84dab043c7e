//! What std's own tests ask of `TcpListener` and `TcpStream`, with tasks in place of threads.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod sockets;

use kettle::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use kettle::thread;
use kettle::time::{Duration, Instant};
use sockets::{each_ip, is_simulated, listener, pair, refusing, silent};
use std::cell::Cell;
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::AsRawFd;
use std::rc::Rc;

#[test]
fn bind_error() {
    // A documentation address: no machine's own.
    assert!(TcpListener::bind("192.0.2.1:0").is_err());
}

#[test]
fn connect_error() {
    kettle::run(|| {
        let (_ends, addr) = refusing();
        assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert_eq!(TcpStream::connect(&[][..] as &[SocketAddr]).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(TcpStream::connect("no port").is_err());
    });
}

#[test]
fn addresses_that_mean_nothing_are_std_s_errors() {
    // Too long for a name: nobody is asked.
    let long = "x".repeat(300) + ":80";
    let said = |error: std::io::Error| (error.kind(), error.to_string());
    kettle::run(|| {
        for addr in
            ["", ":", "no port", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:-1", "127.0.0.1:http", "[::1:80", &long]
        {
            let connects = TcpStream::connect(addr).map(drop).unwrap_err();
            assert_eq!(said(connects), said(std::net::TcpStream::connect(addr).unwrap_err()), "{addr}");
            let binds = TcpListener::bind(addr).map(drop).unwrap_err();
            assert_eq!(said(binds), said(std::net::TcpListener::bind(addr).unwrap_err()), "{addr}");
        }
        assert_eq!("127.0.0.1:99999".parse::<SocketAddr>().map_err(drop), Err(()));
    });
}

#[test]
fn connect_tries_all_addresses_and_gives_the_last_error() {
    kettle::run(|| {
        let (_ends, refusing) = refusing();
        let (listener, addr) = listener();
        let stream = TcpStream::connect(&[refusing, addr][..]).unwrap();
        assert_eq!(listener.accept().unwrap().1, stream.local_addr().unwrap());
        let unroutable: SocketAddr = "255.255.255.255:80".parse().unwrap();
        let error = TcpStream::connect(&[unroutable, refusing][..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn connect_timeout_error() {
    kettle::run(|| {
        let (_ends, addr) = refusing();
        let error = TcpStream::connect_timeout(&addr, Duration::from_secs(1000)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn connect_timeout_ends_what_is_not_answered() {
    // The queue of a simulated listener is not the system's.
    if is_simulated() {
        return;
    }
    kettle::run(|| {
        let (_listener, addr, _first) = silent();
        let start = Instant::now();
        let error = TcpStream::connect_timeout(&addr, Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(start.elapsed() >= Duration::from_millis(20));
    });
}

#[test]
fn connect_timeout_valid() {
    each_ip(|_listener, addr| {
        let stream = TcpStream::connect_timeout(&addr, Duration::from_secs(1000)).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), addr);
        TcpStream::connect_timeout(&addr, Duration::MAX).unwrap();
    });
}

#[test]
fn a_timeout_of_zero_is_an_error() {
    each_ip(|_listener, addr| {
        let error = TcpStream::connect_timeout(&addr, Duration::ZERO).unwrap_err();
        let stds = std::net::TcpStream::connect_timeout(&addr, Duration::ZERO).unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (stds.kind(), stds.to_string()));
        let stream = TcpStream::connect(addr).unwrap();
        assert_eq!(stream.set_write_timeout(Some(Duration::ZERO)).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(stream.set_read_timeout(Some(Duration::ZERO)).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(stream.read_timeout().unwrap(), None);
    });
}

#[test]
fn listen_localhost() {
    kettle::run(|| {
        let listener = TcpListener::bind(("localhost", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = thread::spawn(move || TcpStream::connect(("localhost", port)).unwrap().write_all(&[144]).unwrap());
        let mut stream = listener.accept().unwrap().0;
        let mut buf = [0];
        stream.read_exact(&mut buf).unwrap();
        assert_eq!(buf, [144]);
        client.join().unwrap();
    });
}

#[test]
fn connect_loopback_and_smoke_test() {
    each_ip(|listener, addr| {
        let client = thread::spawn(move || TcpStream::connect(addr).unwrap().write_all(&[99]).unwrap());
        let mut stream = listener.accept().unwrap().0;
        let mut buf = [0; 2];
        assert_eq!(stream.read(&mut buf).unwrap(), 1);
        assert_eq!(buf[0], 99);
        client.join().unwrap();
    });
}

#[test]
fn read_eof() {
    each_ip(|listener, addr| {
        let client = thread::spawn(move || drop(TcpStream::connect(addr).unwrap()));
        let mut stream = listener.accept().unwrap().0;
        let mut buf = [0];
        assert_eq!(stream.read(&mut buf).unwrap(), 0);
        assert_eq!(stream.read(&mut buf).unwrap(), 0);
        client.join().unwrap();
    });
}

#[test]
fn write_close() {
    each_ip(|listener, addr| {
        let client = thread::spawn(move || drop(TcpStream::connect(addr).unwrap()));
        let mut stream = listener.accept().unwrap().0;
        client.join().unwrap();
        let buf = [0];
        // The first one may still go out; the answer to it is a reset.
        let error = loop {
            if let Err(error) = stream.write(&buf) {
                break error;
            }
        };
        assert!(matches!(
            error.kind(),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted
        ));
    });
}

#[test]
fn multiple_connect_serial() {
    each_ip(|listener, addr| {
        const MAX: usize = 10;
        let client = thread::spawn(move || {
            for _ in 0..MAX {
                TcpStream::connect(addr).unwrap().write_all(&[99]).unwrap();
            }
        });
        for stream in listener.incoming().take(MAX) {
            let mut buf = [0];
            stream.unwrap().read_exact(&mut buf).unwrap();
            assert_eq!(buf[0], 99);
        }
        client.join().unwrap();
    });
}

/// Connects the next one while this one is open, and then writes, in an order that depends on who is fast.
fn connect(i: u8, addr: SocketAddr, eager: bool) {
    if i == 50 {
        return;
    }
    let client = thread::spawn(move || {
        let mut stream = TcpStream::connect(addr).unwrap();
        connect(i + 1, addr, eager);
        if !eager {
            thread::yield_now();
        }
        stream.write_all(&[if eager { i } else { 99 }]).unwrap();
    });
    if !eager {
        client.join().unwrap();
    }
}

#[test]
fn multiple_connect_interleaved() {
    for eager in [true, false] {
        each_ip(|listener, addr| {
            let acceptor = thread::spawn(move || {
                let servers = listener.incoming().take(50).map(|stream| {
                    thread::spawn(move || {
                        let mut buf = [0];
                        stream.unwrap().read_exact(&mut buf).unwrap();
                        buf[0]
                    })
                });
                let mut heard: Vec<_> = servers.collect::<Vec<_>>().into_iter().map(|s| s.join().unwrap()).collect();
                heard.sort_unstable();
                heard
            });
            connect(0, addr, eager);
            let heard = acceptor.join().unwrap();
            if eager {
                assert_eq!(heard, (0..50).collect::<Vec<u8>>());
            } else {
                assert_eq!(heard, [99; 50]);
            }
        });
    }
}

#[test]
fn socket_and_peer_name() {
    each_ip(|listener, addr| {
        assert_eq!(listener.local_addr().unwrap(), addr);
        let there = TcpStream::connect(addr).unwrap();
        let (here, from) = listener.accept().unwrap();
        assert_eq!(there.peer_addr().unwrap(), addr);
        assert_eq!(here.local_addr().unwrap(), addr);
        assert_eq!(there.local_addr().unwrap(), from);
        assert_eq!(here.peer_addr().unwrap(), from);
    });
}

#[test]
fn partial_read() {
    each_ip(|listener, addr| {
        let client = thread::spawn(move || {
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.write_all(&[10]).unwrap();
            let mut buf = [0];
            stream.read_exact(&mut buf).unwrap();
            stream.write_all(&buf).unwrap();
        });
        let mut stream = listener.accept().unwrap().0;
        let mut buf = [0; 10];
        assert_eq!(stream.read(&mut buf).unwrap(), 1);
        stream.write_all(&buf[..1]).unwrap();
        assert_eq!(stream.read(&mut buf).unwrap(), 1);
        assert_eq!(buf[0], 10);
        client.join().unwrap();
    });
}

#[test]
fn read_vectored() {
    each_ip(|listener, addr| {
        let mut one = TcpStream::connect(addr).unwrap();
        let mut other = listener.accept().unwrap().0;
        let reader = thread::spawn(move || {
            let (mut a, mut b, mut c) = ([], [0], [0; 3]);
            let bufs = &mut [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b), IoSliceMut::new(&mut c)];
            let len = other.read_vectored(bufs).unwrap();
            (len, b, c)
        });
        thread::yield_now();
        one.write_all(&[10, 11, 12]).unwrap();
        assert_eq!(reader.join().unwrap(), (3, [10], [11, 12, 0]));
    });
}

#[test]
fn write_vectored() {
    each_ip(|listener, addr| {
        let mut one = TcpStream::connect(addr).unwrap();
        let mut other = listener.accept().unwrap().0;
        let (a, b, c) = ([], [10], [11, 12]);
        assert_eq!(one.write_vectored(&[IoSlice::new(&a), IoSlice::new(&b), IoSlice::new(&c)]).unwrap(), 3);
        let mut buf = [0; 4];
        assert_eq!(other.read(&mut buf).unwrap(), 3);
        assert_eq!(buf, [10, 11, 12, 0]);
    });
}

#[test]
fn more_buffers_than_the_kernel_takes_are_moved_in_part() {
    kettle::run(|| {
        let (mut one, mut other) = pair();
        let bytes: Vec<u8> = (0..3000_u32).map(|n| n as u8).collect();
        let parts: Vec<_> = bytes.chunks(1).map(IoSlice::new).collect();
        assert_eq!(one.write_vectored(&parts).unwrap(), 1024);
        let mut got = vec![0; 3000];
        let mut parts: Vec<_> = got.chunks_mut(1).map(IoSliceMut::new).collect();
        assert_eq!(other.read_vectored(&mut parts).unwrap(), 1024);
        assert_eq!(got[..1024], bytes[..1024]);
    });
}

#[test]
fn nothing_to_move_is_moved_at_once() {
    kettle::run(|| {
        let (mut one, mut other) = pair();
        assert_eq!(one.read(&mut []).unwrap(), 0);
        assert_eq!(one.peek(&mut []).unwrap(), 0);
        assert_eq!(one.read_vectored(&mut []).unwrap(), 0);
        assert_eq!(one.read_vectored(&mut [IoSliceMut::new(&mut [])]).unwrap(), 0);
        assert_eq!(one.write(&[]).unwrap(), 0);
        assert_eq!(one.write_vectored(&[]).unwrap(), 0);
        assert_eq!(one.write_vectored(&[IoSlice::new(&[])]).unwrap(), 0);
        one.flush().unwrap();
        other.write_all(b"x").unwrap();
        assert_eq!(one.read(&mut []).unwrap(), 0);
        assert_eq!(one.read(&mut [0; 2]).unwrap(), 1);
        one.shutdown(Shutdown::Write).unwrap();
        assert_eq!(one.write(&[]).unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn double_bind() {
    each_ip(|listener, addr| {
        assert_eq!(TcpListener::bind(addr).unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(listener);
    });
}

#[test]
fn tcp_clone_smoke() {
    each_ip(|listener, addr| {
        let client = thread::spawn(move || {
            let mut stream = TcpStream::connect(addr).unwrap();
            let mut buf = [0; 2];
            assert_eq!(stream.read(&mut buf).unwrap(), 1);
            assert_eq!(buf[0], 1);
            stream.write_all(&[2]).unwrap();
        });
        let mut one = listener.accept().unwrap().0;
        let mut two = one.try_clone().unwrap();
        let writer = thread::spawn(move || two.write_all(&[1]).unwrap());
        let mut buf = [0; 2];
        assert_eq!(one.read(&mut buf).unwrap(), 1);
        assert_eq!(buf[0], 2);
        writer.join().unwrap();
        client.join().unwrap();
    });
}

#[test]
fn tcp_clone_two_read() {
    each_ip(|listener, addr| {
        let client = thread::spawn(move || {
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.write_all(&[1]).unwrap();
            let mut buf = [0];
            // One of the readers has the first, and says so; then comes the second.
            stream.read_exact(&mut buf).unwrap();
            stream.write_all(&[2]).unwrap();
            stream.read_exact(&mut buf).unwrap();
        });
        let one = listener.accept().unwrap().0;
        let two = one.try_clone().unwrap();
        let [one, two] = [one, two].map(|mut stream| {
            thread::spawn(move || {
                let mut buf = [0];
                stream.read_exact(&mut buf).unwrap();
                stream.write_all(&buf).unwrap();
                buf[0]
            })
        });
        assert_eq!(one.join().unwrap() + two.join().unwrap(), 3);
        client.join().unwrap();
    });
}

#[test]
fn tcp_clone_two_write() {
    each_ip(|listener, addr| {
        let client = thread::spawn(move || {
            let mut stream = TcpStream::connect(addr).unwrap();
            let mut buf = [0; 2];
            stream.read_exact(&mut buf).unwrap();
            buf[0] + buf[1]
        });
        let mut one = listener.accept().unwrap().0;
        let mut two = one.try_clone().unwrap();
        let writer = thread::spawn(move || one.write_all(&[1]).unwrap());
        two.write_all(&[2]).unwrap();
        writer.join().unwrap();
        assert_eq!(client.join().unwrap(), 3);
    });
}

#[test]
fn shutdown_smoke() {
    each_ip(|listener, addr| {
        let mut there = TcpStream::connect(addr).unwrap();
        let mut here = listener.accept().unwrap().0;
        here.shutdown(Shutdown::Write).unwrap();
        assert_eq!(there.read(&mut [0; 2]).unwrap(), 0);
        assert!(here.write(&[0]).is_err());
        // The other direction is open.
        there.write_all(&[1]).unwrap();
        assert_eq!(here.read(&mut [0; 2]).unwrap(), 1);
        drop(there);
        assert_eq!(here.read(&mut [0; 2]).unwrap(), 0);
    });
}

#[test]
fn close_readwrite_smoke() {
    each_ip(|listener, addr| {
        let mut one = TcpStream::connect(addr).unwrap();
        let _other = listener.accept().unwrap().0;
        let mut two = one.try_clone().unwrap();
        // Nothing is written any more, by whichever handle.
        one.shutdown(Shutdown::Write).unwrap();
        assert!(one.write(&[0]).is_err());
        assert!(two.write(&[0]).is_err());
        // Nothing is read any more.
        one.shutdown(Shutdown::Read).unwrap();
        assert_eq!(one.read(&mut [0]).unwrap(), 0);
        assert_eq!(two.read(&mut [0]).unwrap(), 0);
        let mut three = two.try_clone().unwrap();
        assert_eq!(three.read(&mut [0]).unwrap(), 0);
        assert!(three.write(&[0]).is_err());
        // What is shut already may be shut again.
        _ = two.shutdown(Shutdown::Read);
        _ = two.shutdown(Shutdown::Write);
    });
}

#[test]
fn close_read_wakes_up() {
    each_ip(|listener, addr| {
        let one = TcpStream::connect(addr).unwrap();
        let _other = listener.accept().unwrap().0;
        let mut two = one.try_clone().unwrap();
        let reader = thread::spawn(move || two.read(&mut [0]).unwrap());
        thread::yield_now();
        one.shutdown(Shutdown::Read).unwrap();
        assert_eq!(reader.join().unwrap(), 0);
    });
}

#[test]
fn shutdown_wakes_a_writer() {
    kettle::run(|| {
        let (one, _other) = pair();
        let mut two = one.try_clone().unwrap();
        let writes = Rc::new(Cell::new(0));
        let writer = thread::spawn({
            let writes = Rc::clone(&writes);
            move || loop {
                match two.write_all(&[0; 1 << 10]) {
                    Ok(()) => writes.set(writes.get() + 1),
                    Err(error) => return error.kind(),
                }
            }
        });
        // Until it writes no more: the buffers are full, and it is suspended.
        while {
            let before = writes.get();
            (0..100).for_each(|_| thread::yield_now());
            before == 0 || writes.get() > before
        } {}
        one.shutdown(Shutdown::Write).unwrap();
        assert_eq!(writer.join().unwrap(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn clone_while_reading() {
    each_ip(|listener, addr| {
        let mut there = TcpStream::connect(addr).unwrap();
        let mut here = Rc::new(listener.accept().unwrap().0);
        let reader = thread::spawn({
            let here = Rc::clone(&here);
            move || (&*here).read(&mut [0]).unwrap()
        });
        thread::yield_now();
        let clone = here.try_clone().unwrap();
        there.write_all(&[1]).unwrap();
        assert_eq!(reader.join().unwrap(), 1);
        there.write_all(&[2, 3]).unwrap();
        let mut buf = [0];
        (&clone).read_exact(&mut buf).unwrap();
        drop(clone);
        Rc::get_mut(&mut here).unwrap().read_exact(&mut buf).unwrap();
        assert_eq!(buf, [3]);
    });
}

#[test]
fn clone_accept_smoke() {
    each_ip(|listener, addr| {
        let clone = listener.try_clone().unwrap();
        let clients = [0, 1].map(|_| thread::spawn(move || TcpStream::connect(addr).unwrap()));
        listener.accept().unwrap();
        clone.accept().unwrap();
        for client in clients {
            client.join().unwrap();
        }
    });
}

#[test]
fn clone_accept_concurrent() {
    each_ip(|listener, addr| {
        let clone = listener.try_clone().unwrap();
        let [one, two] = [listener, clone].map(|listener| thread::spawn(move || listener.accept().unwrap()));
        thread::yield_now();
        let clients = [0, 1].map(|_| thread::spawn(move || TcpStream::connect(addr).unwrap()));
        one.join().unwrap();
        two.join().unwrap();
        for client in clients {
            client.join().unwrap();
        }
    });
}

#[test]
fn several_tasks_accept_on_one_listener() {
    each_ip(|listener, addr| {
        thread::scope(|s| {
            let accepting: Vec<_> = (0..20).map(|_| s.spawn(|| listener.accept().unwrap().1.port())).collect();
            thread::yield_now();
            let clients: Vec<_> = (0..20).map(|_| TcpStream::connect(addr).unwrap()).collect();
            let mut ports: Vec<_> = clients.iter().map(|client| client.local_addr().unwrap().port()).collect();
            let mut accepted: Vec<_> = accepting.into_iter().map(|task| task.join().unwrap()).collect();
            ports.sort_unstable();
            accepted.sort_unstable();
            assert_eq!(accepted, ports);
        });
    });
}

#[test]
fn debug() {
    each_ip(|listener, addr| {
        // A simulated socket's addresses are its simulation's: std doesn't know them.
        let is_real = !is_simulated();
        let said = format!("{listener:?}");
        assert_eq!(said, format!("TcpListener {{ addr: {addr:?}, fd: {} }}", listener.as_raw_fd()));
        let listener = std::net::TcpListener::from(listener);
        assert!(!is_real || said == format!("{listener:?}"), "{said}");
        let listener = TcpListener::from(listener);

        let stream = TcpStream::connect(addr).unwrap();
        let (said, from) = (format!("{stream:?}"), stream.local_addr().unwrap());
        assert_eq!(said, format!("TcpStream {{ addr: {from:?}, peer: {addr:?}, fd: {} }}", stream.as_raw_fd()));
        let stream = std::net::TcpStream::from(stream);
        assert!(!is_real || said == format!("{stream:?}"), "{said}");
        assert!(format!("{:?}", listener.incoming()).starts_with("Incoming { listener: TcpListener {"));
    });
}

#[test]
fn timeouts() {
    each_ip(|_listener, addr| {
        let stream = TcpStream::connect(addr).unwrap();
        let time = Duration::from_millis(15_410);
        assert_eq!((stream.read_timeout().unwrap(), stream.write_timeout().unwrap()), (None, None));
        stream.set_read_timeout(Some(time)).unwrap();
        stream.set_write_timeout(Some(time)).unwrap();
        // The system's clock ticks every few milliseconds.
        for got in [stream.read_timeout().unwrap().unwrap(), stream.write_timeout().unwrap().unwrap()] {
            assert!(got.abs_diff(time) < Duration::from_millis(20), "{got:?}");
        }
        stream.set_read_timeout(None).unwrap();
        stream.set_write_timeout(None).unwrap();
        assert_eq!((stream.read_timeout().unwrap(), stream.write_timeout().unwrap()), (None, None));
    });
}

#[test]
fn read_timeout() {
    each_ip(|listener, addr| {
        let mut stream = TcpStream::connect(addr).unwrap();
        let _other = listener.accept().unwrap().0;
        let time = Duration::from_millis(30);
        stream.set_read_timeout(Some(time)).unwrap();
        let start = Instant::now();
        let error = stream.read_exact(&mut [0; 10]).unwrap_err();
        assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::WouldBlock, Some(libc::EAGAIN)));
        assert!(start.elapsed() >= time);
    });
}

#[test]
fn read_with_timeout() {
    // A simulated read gives a part at times.
    if is_simulated() {
        return;
    }
    each_ip(|listener, addr| {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
        let mut other = listener.accept().unwrap().0;
        other.write_all(b"hello world").unwrap();
        let mut buf = [0; 11];
        stream.read_exact(&mut buf).unwrap();
        assert_eq!(b"hello world", &buf);
        assert_eq!(stream.read_exact(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        // It is no less a stream for that.
        other.write_all(b"again").unwrap();
        stream.set_read_timeout(None).unwrap();
        assert_eq!(stream.read(&mut buf).unwrap(), 5);
    });
}

#[test]
fn nodelay() {
    each_ip(|_listener, addr| {
        let stream = TcpStream::connect(addr).unwrap();
        assert!(!stream.nodelay().unwrap());
        stream.set_nodelay(true).unwrap();
        assert!(stream.nodelay().unwrap());
        stream.set_nodelay(false).unwrap();
        assert!(!stream.nodelay().unwrap());
    });
}

#[test]
fn ttl() {
    kettle::run(|| {
        let (listener, addr) = listener();
        listener.set_ttl(100).unwrap();
        assert_eq!(listener.ttl().unwrap(), 100);
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_ttl(100).unwrap();
        assert_eq!(stream.ttl().unwrap(), 100);
    });
}

#[test]
fn take_error() {
    // Nothing comes while a task polls in a simulation.
    if is_simulated() {
        return;
    }
    each_ip(|listener, addr| {
        let stream = TcpStream::connect(addr).unwrap();
        assert!(stream.take_error().unwrap().is_none());
        assert!(listener.take_error().unwrap().is_none());
        sockets::reset(listener.accept().unwrap().0);
        // The reset comes when it comes.
        let error = loop {
            if let Some(error) = stream.take_error().unwrap() {
                break error;
            }
            thread::yield_now();
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn set_nonblocking() {
    each_ip(|listener, addr| {
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        listener.set_nonblocking(false).unwrap();

        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_nonblocking(false).unwrap();
        let mut other = listener.accept().unwrap().0;
        stream.set_nonblocking(true).unwrap();
        let mut buf = [0];
        assert_eq!(stream.read(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(stream.peek(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        let mut bufs = [IoSliceMut::new(&mut buf)];
        assert_eq!(stream.read_vectored(&mut bufs).unwrap_err().kind(), ErrorKind::WouldBlock);
        let full = loop {
            if let Err(error) = stream.write(&[0; 1 << 16]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        let full = loop {
            if let Err(error) = stream.write_vectored(&[IoSlice::new(&[0; 1000])]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);

        other.write_all(&[7]).unwrap();
        stream.set_nonblocking(false).unwrap();
        stream.read_exact(&mut buf).unwrap();
        assert_eq!(buf, [7]);
    });
}

#[test]
fn peek() {
    // A simulated peek gives a part at times.
    if is_simulated() {
        return;
    }
    each_ip(|listener, addr| {
        let peeker = thread::spawn(move || {
            let mut stream = TcpStream::connect(addr).unwrap();
            let mut buf = [0; 4];
            for _ in 0..2 {
                assert_eq!(stream.peek(&mut buf).unwrap(), 4);
                assert_eq!(buf, [1, 2, 3, 4]);
            }
            assert_eq!(stream.read(&mut buf).unwrap(), 4);
            stream.set_nonblocking(true).unwrap();
            assert_eq!(stream.peek(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        });
        let mut stream = listener.accept().unwrap().0;
        stream.write_all(&[1, 2, 3, 4]).unwrap();
        peeker.join().unwrap();
    });
}
