//! Calls from outside of tasks, where the thread is blocked as by std: no event loop, and tasks that unwind.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod sockets;

use kettle::net::{Shutdown, TcpListener, TcpStream};
use kettle::thread;
use sockets::{listener, pair, pair_with_std, refusing, silent};
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::time::{Duration, Instant};

const SOME: Duration = Duration::from_millis(10);

#[test]
fn every_call_works_outside_of_run() {
    let (listener, addr) = listener();
    let client = std::thread::spawn(move || {
        let mut stream = TcpStream::connect_timeout(&addr, Duration::from_secs(1000)).unwrap();
        stream.write_all(b"one").unwrap();
        assert_eq!(stream.write_vectored(&[IoSlice::new(b"t"), IoSlice::new(b"wo")]).unwrap(), 3);
        let mut buf = [0; 3];
        stream.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"six");
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut buf).unwrap(), 0);
    });
    let (mut stream, from) = listener.accept().unwrap();
    assert_eq!(stream.peer_addr().unwrap(), from);
    let mut buf = [0; 3];
    stream.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"one");
    assert!(stream.peek(&mut buf[..1]).unwrap() == 1 && buf[0] == b't');
    let (mut a, mut b) = ([0; 1], [0; 2]);
    assert_eq!(stream.read_vectored(&mut [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)]).unwrap(), 3);
    assert_eq!((&a, &b), (b"t", b"wo"));
    assert_eq!(stream.read(&mut []).unwrap(), 0);
    assert_eq!(stream.write(&[]).unwrap(), 0);
    stream.try_clone().unwrap().write_all(b"six").unwrap();
    assert_eq!(stream.read(&mut buf).unwrap(), 0);
    drop(stream);
    client.join().unwrap();

    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.incoming().next().unwrap().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn timeouts_hold_outside_of_run() {
    let (mut one, _other) = pair();
    one.set_read_timeout(Some(SOME)).unwrap();
    one.set_write_timeout(Some(SOME)).unwrap();
    let start = Instant::now();
    assert_eq!(one.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(start.elapsed() >= SOME);
    let mut buf = [0];
    assert_eq!(one.read_vectored(&mut [IoSliceMut::new(&mut buf)]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(one.peek(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
    let error = loop {
        if let Err(error) = one.write(&[0; 1 << 16]) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);

    let (_listener, addr, _first) = silent();
    assert_eq!(TcpStream::connect_timeout(&addr, SOME).unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(TcpStream::connect_timeout(&addr, Duration::ZERO).unwrap_err().kind(), ErrorKind::InvalidInput);
    let (_ends, addr) = refusing();
    assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn nonblocking_holds_outside_of_run() {
    let (mut one, mut other) = pair();
    one.set_nonblocking(true).unwrap();
    assert_eq!(one.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    while one.write(&[0; 1 << 16]).is_ok() {}
    other.write_all(b"x").unwrap();
    one.set_nonblocking(false).unwrap();
    assert_eq!(one.read(&mut [0]).unwrap(), 1);
}

#[test]
fn what_a_loop_has_used_blocks_outside_of_it() {
    // A listener and streams whose descriptors a driver may have put into non-blocking mode.
    let (listener, one, other) = kettle::run(|| {
        let (listener, addr) = listener();
        let one = thread::spawn(move || TcpStream::connect(addr).unwrap());
        let (other, _) = listener.accept().unwrap();
        (listener, one.join().unwrap(), other)
    });
    let addr = listener.local_addr().unwrap();
    let acceptor = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0]).unwrap();
        listener
    });
    let mut reader = one.try_clone().unwrap();
    let reader = std::thread::spawn(move || reader.read(&mut [0]).unwrap());
    (&other).write_all(b"x").unwrap();
    assert_eq!(reader.join().unwrap(), 1);
    TcpStream::connect(addr).unwrap().write_all(b"x").unwrap();
    let listener = acceptor.join().unwrap();

    // std's as well, when it is given them.
    let (listener, one) = (std::net::TcpListener::from(listener), std::net::TcpStream::from(one));
    let client = std::thread::spawn(move || std::net::TcpStream::connect(addr).unwrap());
    assert!(!is_nonblocking(&listener) && !is_nonblocking(&one) && !is_nonblocking(&other));
    listener.accept().unwrap();
    client.join().unwrap();
}

fn is_nonblocking(fd: &impl std::os::fd::AsRawFd) -> bool {
    // SAFETY: no pointers.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    assert!(flags >= 0);
    flags & libc::O_NONBLOCK != 0
}

#[test]
fn a_descriptor_in_nonblocking_mode_is_waited_for_all_the_same() {
    // The mode was changed behind the socket's back, as a driver does.
    fn set_nonblocking(fd: &impl std::os::fd::AsRawFd) {
        // SAFETY: no pointers.
        assert_eq!(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK | libc::O_RDWR) }, 0);
    }
    let check = |(listener, one, mut other): (TcpListener, TcpStream, TcpStream)| {
        set_nonblocking(&listener);
        set_nonblocking(&one);
        let addr = listener.local_addr().unwrap();
        let client = std::thread::spawn(move || {
            other.write_all(b"x").unwrap();
            TcpStream::connect(addr).unwrap();
            let mut left = 1 << 24;
            let mut buf = [0; 1 << 16];
            while left > 0 {
                left -= other.read(&mut buf).unwrap();
            }
        });
        (&one).read_exact(&mut [0]).unwrap();
        listener.accept().unwrap();
        (&one).write_all(&vec![0; 1 << 24]).unwrap();
        client.join().unwrap();
    };
    let make = || {
        let (listener, addr) = listener();
        let one = TcpStream::connect(addr).unwrap();
        let (other, _) = listener.accept().unwrap();
        (listener, one, other)
    };
    check(make());
    // The client is a plain thread, so joining it blocks the loop when all else is done.
    kettle::run(|| check(make()));
}

/// Says goodbye, and hears the answer.
struct Polite(TcpStream);

impl Drop for Polite {
    fn drop(&mut self) {
        assert!(std::thread::panicking());
        self.0.write_all(b"bye").unwrap();
        let mut answer = [0; 3];
        self.0.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"BYE");
        assert_eq!(self.0.read(&mut answer).unwrap(), 0);
    }
}

fn answer_politely(mut stream: std::net::TcpStream) {
    let mut buf = [0; 3];
    stream.read_exact(&mut buf).unwrap();
    stream.write_all(&buf.map(|byte| byte.to_ascii_uppercase())).unwrap();
}

#[test]
fn destructors_of_a_panicking_task_block_and_work() {
    let (one, other) = pair_with_std();
    let peer = std::thread::spawn(move || answer_politely(other));
    kettle::run(|| {
        let task = thread::spawn(move || {
            let _polite = Polite(one);
            std::panic::resume_unwind(Box::new("spilt"));
        });
        assert_eq!(*task.join().unwrap_err().downcast::<&str>().unwrap(), "spilt");
    });
    peer.join().unwrap();
}

#[test]
fn destructors_of_a_cancelled_task_block_and_work() {
    let (one, other) = pair_with_std();
    let peer = std::thread::spawn(move || answer_politely(other));
    kettle::run(|| {
        thread::spawn(move || {
            let _polite = Polite(one);
            thread::sleep(Duration::MAX);
        });
        thread::yield_now();
    });
    peer.join().unwrap();
}

#[test]
fn connections_are_made_while_unwinding() {
    struct Connects(std::net::SocketAddr);
    impl Drop for Connects {
        fn drop(&mut self) {
            let mut stream = TcpStream::connect(self.0).unwrap();
            stream.write_all(b"1").unwrap();
            TcpStream::connect_timeout(&self.0, Duration::from_secs(1000)).unwrap().write_all(b"2").unwrap();
        }
    }
    let (listener, addr) = listener();
    kettle::run(|| {
        let task = thread::spawn(move || {
            let _connects = Connects(addr);
            std::panic::resume_unwind(Box::new(()));
        });
        for expected in [*b"1", *b"2"] {
            let mut got = [0];
            listener.accept().unwrap().0.read_exact(&mut got).unwrap();
            assert_eq!(got, expected);
        }
        assert!(task.join().is_err());
    });
}
