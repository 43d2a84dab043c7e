//! Owns what the tests of the drivers share: each test is a function of a kind and runs on all; operations are submitted
//! and waited for by the dozen; sockets of each sort.

#![allow(dead_code, reason = "each of the test files that include it uses its part")]

use kettle_driver::{Completion, Config, Driver, Kind, Op, Submitted, Token, Until};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Makes a test of each function, on each driver.
#[macro_export]
macro_rules! on_both {
    ($($name:ident)*) => {
        mod uring {
            $(#[test] fn $name() { super::$name(kettle_driver::Kind::Uring) })*
        }
        mod epoll {
            $(#[test] fn $name() { super::$name(kettle_driver::Kind::Epoll) })*
        }
        mod default {
            $(#[test] fn $name() { super::$name($crate::harness::default_kind()) })*
        }
    };
}

/// The one that runs when nobody asks: by `KETTLE_DRIVER`, or the first that works.
pub(crate) fn default_kind() -> Kind {
    Driver::new().unwrap().choice().kind()
}

pub(crate) fn config(kind: Kind) -> Config {
    Config { kind: Some(kind), ..Config::default() }
}

/// A number from `base` on, for each test and driver one.
pub(crate) fn number(base: RawFd, kind: Kind) -> RawFd {
    static NEXT: AtomicI32 = AtomicI32::new(0);
    base + i32::from(kind == Kind::Epoll) + 2 * NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Gives a file this number. If that is a [`number`], no other test gets it once it is closed.
pub(crate) fn at(fd: impl Into<OwnedFd>, number: RawFd) -> OwnedFd {
    let old = fd.into();
    // SAFETY: takes no pointers.
    assert_eq!(unsafe { libc::dup3(old.as_raw_fd(), number, libc::O_CLOEXEC) }, number);
    // SAFETY: it has just been made.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// How an operation ends that was cancelled in time.
pub(crate) const CANCELLED: i32 = -libc::ECANCELED;

/// Long enough for anything; a test that needs it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A driver, and what has completed but was not asked for yet.
#[derive(Debug)]
pub(crate) struct Loop {
    pub(crate) driver: Driver,
    completed: HashMap<Token, i32>,
    scratch: Vec<Completion>,
    next: u64,
}

impl Loop {
    pub(crate) fn new(kind: Kind) -> Self {
        Self::with(config(kind))
    }

    pub(crate) fn with(config: Config) -> Self {
        let driver = Driver::with(config).unwrap();
        Self { driver, completed: HashMap::new(), scratch: Vec::new(), next: 1 << 40 }
    }

    /// Submits; the caller keeps the buffers until the token's result is in.
    pub(crate) fn submit(&mut self, op: Op) -> Token {
        self.next += 1;
        let token = Token(self.next);
        // SAFETY: the tests keep their buffers until the completion, or until the driver has been dropped.
        if let Submitted::Done(result) = unsafe { self.driver.submit(op, token) } {
            assert_eq!(self.completed.insert(token, result), None);
        }
        token
    }

    /// One wait; how many completions it brought.
    pub(crate) fn wait(&mut self, until: Until) -> usize {
        assert!(self.scratch.is_empty());
        self.driver.wait(until, &mut self.scratch).unwrap();
        let count = self.scratch.len();
        for Completion { token, result } in self.scratch.drain(..) {
            assert_eq!(self.completed.insert(token, result), None, "one completion for each operation");
        }
        count
    }

    /// Collects, until nothing more comes at once.
    pub(crate) fn settle(&mut self) {
        while self.wait(Until::Now) > 0 {}
        while self.wait(Until::Now) > 0 {}
    }

    /// Whether an operation has ended.
    pub(crate) fn has(&self, token: Token) -> bool {
        self.completed.contains_key(&token)
    }

    /// An operation's result, waited for.
    #[track_caller]
    pub(crate) fn result(&mut self, token: Token) -> i32 {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(result) = self.completed.remove(&token) {
                return result;
            }
            assert!(!self.driver.is_quiet(), "{token:?} waits for nothing: {:?}", self.driver.describe(token));
            assert!(Instant::now() < end, "{token:?} does not complete; {:?}", self.driver);
            self.wait(Until::Deadline(end));
        }
    }

    /// Submits and waits.
    #[track_caller]
    pub(crate) fn run(&mut self, op: Op) -> i32 {
        let token = self.submit(op);
        self.result(token)
    }

    /// Gives a turn, and cancels an operation at about the time when the other thread takes it. Gives the operation's result.
    #[track_caller]
    pub(crate) fn cancel_in_turn(&mut self, token: Token, turns: &Turns, turn: u32) -> i32 {
        self.wait(Until::Now);
        turns.0.store(turn, Ordering::Release);
        for _ in 0..turn % 64 {
            std::hint::spin_loop();
        }
        self.driver.cancel(token);
        self.result(token)
    }

    /// That nothing is left.
    #[track_caller]
    pub(crate) fn assert_idle(&mut self) {
        self.settle();
        assert_eq!(self.driver.in_flight(), 0);
        assert!(self.completed.is_empty(), "{:?}", self.completed);
    }
}

/// Which turn it is, of those that another thread takes.
pub(crate) struct Turns(Arc<AtomicU32>);

/// Has another thread do something in each of so many turns, the first of which is 1. What it does that with is there until the
/// thread has been joined.
pub(crate) fn takes_turns<F: FnMut(u32) + Send + 'static>(count: u32, mut act: F) -> (Turns, JoinHandle<F>) {
    let turn = Arc::new(AtomicU32::new(0));
    let turns = Turns(Arc::clone(&turn));
    let thread = std::thread::spawn(move || {
        for mine in 1..=count {
            while turn.load(Ordering::Acquire) < mine {
                std::thread::yield_now();
            }
            act(mine);
        }
        act
    });
    (turns, thread)
}

pub(crate) fn recv(fd: &impl AsRawFd, buf: &mut [u8]) -> Op {
    Op::Recv { fd: fd.as_raw_fd(), buf: buf.as_mut_ptr(), len: buf.len(), flags: 0 }
}

pub(crate) fn recv_all(fd: &impl AsRawFd, buf: &mut [u8]) -> Op {
    Op::Recv { fd: fd.as_raw_fd(), buf: buf.as_mut_ptr(), len: buf.len(), flags: libc::MSG_WAITALL }
}

pub(crate) fn send(fd: &impl AsRawFd, buf: &[u8]) -> Op {
    Op::Send { fd: fd.as_raw_fd(), buf: buf.as_ptr(), len: buf.len(), flags: libc::MSG_NOSIGNAL }
}

pub(crate) fn send_all(fd: &impl AsRawFd, buf: &[u8]) -> Op {
    let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
    Op::Send { fd: fd.as_raw_fd(), buf: buf.as_ptr(), len: buf.len(), flags }
}

pub(crate) fn read(fd: &impl AsRawFd, buf: &mut [u8]) -> Op {
    Op::Read { fd: fd.as_raw_fd(), buf: buf.as_mut_ptr(), len: buf.len() }
}

pub(crate) fn write(fd: &impl AsRawFd, buf: &[u8]) -> Op {
    Op::Write { fd: fd.as_raw_fd(), buf: buf.as_ptr(), len: buf.len() }
}

pub(crate) fn accept(fd: &impl AsRawFd) -> Op {
    Op::Accept { fd: fd.as_raw_fd(), addr: std::ptr::null_mut(), addr_len: std::ptr::null_mut() }
}

/// What an accept has returned.
#[track_caller]
pub(crate) fn accepted(result: i32) -> OwnedFd {
    assert!(result >= 0, "accept: {}", std::io::Error::from_raw_os_error(-result));
    // SAFETY: it is the test's from now on.
    unsafe { OwnedFd::from_raw_fd(result) }
}

/// A connected pair over TCP.
pub(crate) fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    (server, client)
}

pub(crate) fn unix_pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

/// An address in the kernel's form.
pub(crate) fn address(of: std::net::SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    let std::net::SocketAddr::V4(of) = of else { panic!("the tests use version 4") };
    // SAFETY: all zeros is a valid address.
    let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let v4 = (&raw mut storage).cast::<libc::sockaddr_in>();
    // SAFETY: there is room for it.
    unsafe { (*v4).sin_family = libc::AF_INET as u16 };
    // SAFETY: as above.
    unsafe { (*v4).sin_port = of.port().to_be() };
    // SAFETY: as above.
    unsafe { (*v4).sin_addr.s_addr = u32::from_ne_bytes(of.ip().octets()) };
    (storage, size_of::<libc::sockaddr_in>() as libc::socklen_t)
}

/// A socket that is not connected.
pub(crate) fn tcp_socket() -> OwnedFd {
    // SAFETY: takes no pointers.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    accepted(fd)
}

pub(crate) fn unix_socket() -> OwnedFd {
    // SAFETY: takes no pointers.
    accepted(unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })
}

/// A Unix listener with room for one connection, and its address.
pub(crate) fn narrow_unix_listener() -> (OwnedFd, Box<libc::sockaddr_storage>, libc::socklen_t) {
    let listener = unix_socket();
    // SAFETY: all zeros is a valid address.
    let mut storage: Box<libc::sockaddr_storage> = Box::new(unsafe { std::mem::zeroed() });
    storage.ss_family = libc::AF_UNIX as libc::sa_family_t;
    // Only the family: a name of the kernel's choice, in no directory.
    let mut len = size_of::<libc::sa_family_t>() as libc::socklen_t;
    // SAFETY: an address and its length.
    assert_eq!(unsafe { libc::bind(listener.as_raw_fd(), (&raw const *storage).cast(), len) }, 0);
    // SAFETY: takes no pointers.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: room for an address.
    assert_eq!(unsafe { libc::getsockname(listener.as_raw_fd(), (&raw mut *storage).cast(), &raw mut len) }, 0);
    (listener, storage, len)
}

pub(crate) fn pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = std::io::pipe().unwrap();
    (reader.into(), writer.into())
}

/// Bytes that tell their place.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Sets a socket's buffers as small as they get.
pub(crate) fn shrink(fd: &impl AsRawFd) {
    for option in [libc::SO_SNDBUF, libc::SO_RCVBUF] {
        let size = 1_i32;
        // SAFETY: a variable and its length.
        unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const size).cast(), 4) };
    }
}

/// That a reset is what the peer sees when this is closed.
pub(crate) fn reset_on_close(fd: &impl AsRawFd) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let len = size_of::<libc::linger>() as libc::socklen_t;
    // SAFETY: a variable and its length.
    unsafe { libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, (&raw const linger).cast(), len) };
}

/// How many descriptors this process has.
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Whether a descriptor is open.
pub(crate) fn is_open(fd: RawFd) -> bool {
    // SAFETY: takes no pointers.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// Reads a stream to its end on another thread.
pub(crate) fn reads_all(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).unwrap();
        all
    })
}

/// Writes and closes on another thread.
pub(crate) fn writes_all(mut to: impl Write + Send + 'static, bytes: Vec<u8>) -> JoinHandle<()> {
    std::thread::spawn(move || to.write_all(&bytes).unwrap())
}
