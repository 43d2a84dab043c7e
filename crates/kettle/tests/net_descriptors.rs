//! Sockets as descriptors: given away, taken in, closed by others, borrowed.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod child;
mod sockets;

use child::{alone, descriptors};
use kettle::net::{TcpListener, TcpStream};
use kettle::{EventLoop, thread};
use sockets::{listener, pair};
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;
use std::{fs, net};

#[test]
fn sockets_have_std_s_auto_traits() {
    fn has<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe>() {}
    has::<TcpStream>();
    has::<TcpListener>();
    has::<kettle::net::Incoming<'static>>();
}

#[test]
fn streams_go_through_all_conversions() {
    kettle::run(|| {
        let (one, mut other) = pair();
        let reader = thread::spawn(move || {
            let mut one = one;
            one.read_exact(&mut [0]).unwrap();
            one
        });
        thread::yield_now();
        other.write_all(b"x").unwrap();
        let one = reader.join().unwrap();
        let number = one.as_raw_fd();
        assert_eq!(one.as_fd().as_raw_fd(), number);
        let one = OwnedFd::from(one);
        let one = net::TcpStream::from(TcpStream::from(one));
        let one = TcpStream::from(one).into_raw_fd();
        assert_eq!(one, number);
        // SAFETY: it was given away in the line above.
        let mut one = unsafe { TcpStream::from_raw_fd(one) };
        let reader = thread::spawn(move || one.read(&mut [0]).unwrap());
        thread::yield_now();
        other.write_all(b"x").unwrap();
        assert_eq!(reader.join().unwrap(), 1);
    });
}

#[test]
fn listeners_go_through_all_conversions() {
    kettle::run(|| {
        let (listener, addr) = listener();
        let acceptor = thread::spawn(move || {
            listener.accept().unwrap();
            listener
        });
        thread::yield_now();
        TcpStream::connect(addr).unwrap();
        let listener = acceptor.join().unwrap();
        let number = listener.as_raw_fd();
        assert_eq!(listener.as_fd().as_raw_fd(), number);
        let listener = OwnedFd::from(listener);
        let listener = net::TcpListener::from(TcpListener::from(listener));
        let listener = TcpListener::from(listener).into_raw_fd();
        assert_eq!(listener, number);
        // SAFETY: it was given away in the line above.
        let listener = unsafe { TcpListener::from_raw_fd(listener) };
        let acceptor = thread::spawn(move || listener.accept().unwrap());
        thread::yield_now();
        TcpStream::connect(addr).unwrap();
        acceptor.join().unwrap();
    });
}

#[test]
fn what_is_given_away_waits_as_it_was_told() {
    fn is_nonblocking(fd: &impl AsRawFd) -> bool {
        // SAFETY: no pointers.
        unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) & libc::O_NONBLOCK != 0 }
    }
    kettle::run(|| {
        for nonblocking in [false, true] {
            let (listener, addr) = listener();
            let one = TcpStream::connect(addr).unwrap();
            let (two, _) = listener.accept().unwrap();
            for stream in [one, two] {
                stream.set_nonblocking(nonblocking).unwrap();
                assert_eq!(is_nonblocking(&stream), nonblocking);
                assert_eq!(is_nonblocking(&net::TcpStream::from(stream)), nonblocking);
            }
            listener.set_nonblocking(nonblocking).unwrap();
            assert_eq!(is_nonblocking(&net::TcpListener::from(listener)), nonblocking);
        }
    });
}

#[test]
fn what_is_taken_in_waits_as_it_was_told() {
    kettle::run(|| {
        let (one, _other) = pair();
        let one = net::TcpStream::from(one);
        one.set_nonblocking(true).unwrap();
        let one = TcpStream::from(one);
        assert_eq!((&one).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);

        one.set_nonblocking(false).unwrap();
        one.set_read_timeout(Some(Duration::from_millis(8))).unwrap();
        one.set_write_timeout(Some(Duration::from_millis(8))).unwrap();
        let one = TcpStream::from(OwnedFd::from(one));
        assert!(one.read_timeout().unwrap().is_some());
        assert_eq!((&one).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        while (&one).write(&[0; 1 << 16]).is_ok() {}

        let (listener, _) = listener();
        let listener = net::TcpListener::from(listener);
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from(listener);
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn a_closed_descriptor_is_an_error() {
    alone("a_closed_descriptor_is_an_error", || {
        // A number that nobody has.
        const NUMBER: i32 = 999_999;
        let errors = || {
            // SAFETY: nobody owns it, and nobody will; what fails on it touches nothing.
            let stream = unsafe { TcpStream::from_raw_fd(NUMBER) };
            // SAFETY: as above.
            let listener = unsafe { TcpListener::from_raw_fd(NUMBER) };
            let (mut a, mut b) = ([0], [0]);
            let errors = [
                (&stream).read(&mut a).unwrap_err(),
                (&stream).read(&mut []).unwrap_err(),
                (&stream).read_vectored(&mut [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)]).unwrap_err(),
                (&stream).read_vectored(&mut []).unwrap_err(),
                stream.peek(&mut a).unwrap_err(),
                stream.peek(&mut []).unwrap_err(),
                (&stream).write(&[0]).unwrap_err(),
                (&stream).write(&[]).unwrap_err(),
                (&stream).write_vectored(&[IoSlice::new(&[0])]).unwrap_err(),
                (&stream).write_vectored(&[IoSlice::new(&[])]).unwrap_err(),
                listener.accept().unwrap_err(),
                listener.set_nonblocking(true).unwrap_err(),
                stream.set_read_timeout(Some(Duration::MAX)).unwrap_err(),
                stream.try_clone().unwrap_err(),
                stream.peer_addr().unwrap_err(),
            ];
            for (index, error) in errors.iter().enumerate() {
                assert_eq!(error.raw_os_error(), Some(libc::EBADF), "{index}");
            }
            assert_eq!(stream.into_raw_fd(), NUMBER);
            assert_eq!(listener.into_raw_fd(), NUMBER);
        };
        errors();
        kettle::run(errors);
    });
}

#[test]
fn what_is_no_socket_is_an_error() {
    kettle::run(|| {
        let (mut stream, listener) = {
            let file = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
            (TcpStream::from(file()), TcpListener::from(file()))
        };
        assert_eq!(stream.read(&mut [0]).unwrap_err().raw_os_error(), Some(libc::ENOTSOCK));
        assert_eq!(stream.write(&[0]).unwrap_err().raw_os_error(), Some(libc::ENOTSOCK));
        assert_eq!(listener.accept().unwrap_err().raw_os_error(), Some(libc::ENOTSOCK));
    });
}

#[test]
fn a_connection_of_another_family_is_an_error_and_no_leak() {
    use std::os::unix::net::{UnixListener, UnixStream};
    alone("a_connection_of_another_family_is_an_error_and_no_leak", || {
        let path = std::env::temp_dir().join(format!("kettle-net-{}", std::process::id()));
        let unix = UnixListener::bind(&path).unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let listener = TcpListener::from(OwnedFd::from(unix));
        let before = descriptors();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn dropping_closes_at_once() {
    alone("dropping_closes_at_once", || {
        kettle::run(|| {
            let before = descriptors();
            for _ in 0..100 {
                let (one, other) = pair();
                let reader = thread::spawn(move || (&one).read(&mut [0]).unwrap());
                thread::yield_now();
                drop(other);
                assert_eq!(reader.join().unwrap(), 0);
            }
            assert_eq!(descriptors(), before);
        });
    });
}

#[test]
fn a_number_that_was_closed_elsewhere_is_heard_again() {
    alone("a_number_that_was_closed_elsewhere_is_heard_again", || {
        kettle::run(|| {
            let mut numbers = std::collections::BTreeSet::new();
            for _ in 0..10 {
                // A driver's notes are about both of these.
                let (mut one, mut other) = pair();
                let reader = thread::spawn(move || {
                    one.read_exact(&mut [0; 2]).unwrap();
                    one
                });
                thread::yield_now();
                other.write_all(b"x").unwrap();
                thread::yield_now();
                other.write_all(b"x").unwrap();
                let one = reader.join().unwrap();
                numbers.insert((one.as_raw_fd(), other.as_raw_fd()));
                // No loop is there to hear of it.
                std::thread::spawn(move || drop((one, other))).join().unwrap();
            }
            assert_eq!(numbers.len(), 1);
        });
    });
}

#[test]
fn a_stream_without_options_is_small() {
    assert!(size_of::<TcpStream>() <= 24);
}

/// Whether an epoll of this process has a number in its list.
fn is_watched(number: RawFd) -> bool {
    let watched = format!("tfd:{number:>9} ");
    let epolls = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
    epolls.flat_map(|epoll| fs::read_to_string(epoll.path())).any(|list| list.contains(&watched))
}

/// A number that the loop knows from a stream, which was closed on another thread. It is the lowest one that is free, as
/// long as the others are there.
fn left_behind() -> (RawFd, impl Sized) {
    let (listener, addr) = listener();
    let mut one = TcpStream::connect(addr).unwrap();
    let (mut other, _) = listener.accept().unwrap();
    let reader = thread::spawn(move || {
        one.read_exact(&mut [0]).unwrap();
        one
    });
    thread::yield_now();
    other.write_all(b"x").unwrap();
    let one = reader.join().unwrap();
    let number = one.as_raw_fd();
    std::thread::spawn(move || drop(one)).join().unwrap();
    (number, (listener, other))
}

#[test]
fn a_number_that_was_left_behind_is_watched_for_whoever_has_it_next() {
    alone("a_number_that_was_left_behind_is_watched_for_whoever_has_it_next", || {
        let mut event_loop = EventLoop::new().unwrap();
        let is_epoll = event_loop.driver().kind().to_string() == "epoll";
        event_loop.run(move || {
            let (listener, addr) = listener();
            let made: [(&str, fn(&TcpListener, &TcpStream) -> TcpStream); 4] = [
                ("connect", |listener, _| TcpStream::connect(listener.local_addr().unwrap()).unwrap()),
                ("accept", |listener, _| listener.accept().unwrap().0),
                ("try_clone", |_, stream| stream.try_clone().unwrap()),
                ("from", |_, stream| TcpStream::from(stream.as_fd().try_clone_to_owned().unwrap())),
            ];
            let mut all = Vec::new();
            for (how, make) in made {
                let existing = TcpStream::connect(addr).unwrap();
                let (number, others) = left_behind();
                let stream = make(&listener, &existing);
                all.push((existing, others));
                assert_eq!(stream.as_raw_fd(), number, "{how}");
                thread::spawn(move || (&stream).read(&mut [0]));
                thread::yield_now();
                assert_eq!(is_watched(number), is_epoll, "{how}");
            }
        });
    });
}

#[test]
fn what_is_given_away_is_watched_no_more() {
    alone("what_is_given_away_is_watched_no_more", || {
        kettle::run(|| {
            let (mut one, mut other) = pair();
            let reader = thread::spawn(move || {
                one.read_exact(&mut [0]).unwrap();
                one
            });
            thread::yield_now();
            other.write_all(b"x").unwrap();
            let one = reader.join().unwrap();
            let number = one.as_raw_fd();
            let one = net::TcpStream::from(one);
            assert!(!is_watched(number));
            drop(one);
        });
    });
}
