//! Owns descriptors that whoever has started this process has passed to it, and the words in the environment that say
//! which.
//!
//! Invariant: each is claimed once, and is not passed on to children of this process by itself.
//!
//! The unsafe code of this module is owning a descriptor by its number. That it is ours the environment says, which is
//! believed as far as it can't be checked: a listener for `LISTEN_FDS`, for a worker a socket that nobody else has.

use rustix::fs::{FileType, fstat};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{AddressFamily, SocketType, sockopt};
use std::env::{self, VarError};
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

/// What makes a process a worker: its index, the inode of its first socket, and the numbers of all sockets that it is
/// passed.
pub(super) const WORKER: &str = "KETTLE_WORKER";

/// Those of systemd's protocol, `sd_listen_fds(3)`.
pub(super) const LISTEN: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// The first descriptor of that protocol.
const FIRST: RawFd = 3;

/// What a supervisor has passed to this process.
#[derive(Debug)]
pub(super) struct Passed {
    pub(super) index: usize,
    pub(super) control: UnixStream,
    pub(super) channel: UnixStream,
    pub(super) listeners: Vec<TcpListener>,
}

/// What lies in the environment for whoever takes it first.
pub(super) struct Inheritance(());

/// What this process was started as.
pub(super) enum Inherited {
    Worker(Passed),
    /// With the listeners that a process manager has passed, and their names.
    Supervisor(Vec<(String, TcpListener)>),
}

impl Inheritance {
    /// `None` if it was taken before.
    pub(super) fn take() -> Option<Self> {
        static IS_TAKEN: AtomicBool = AtomicBool::new(false);
        (!IS_TAKEN.swap(true, Ordering::Relaxed)).then_some(Self(()))
    }

    /// Claims it.
    ///
    /// # Errors
    ///
    /// If the environment says something that can't be.
    pub(super) fn sort(self) -> io::Result<Inherited> {
        Ok(match self.of_supervisor()? {
            Some(passed) => Inherited::Worker(passed),
            None => Inherited::Supervisor(self.of_manager()?),
        })
    }

    /// `None` if this process is no worker.
    fn of_supervisor(&self) -> io::Result<Option<Passed>> {
        let Some(text) = variable(WORKER)? else { return Ok(None) };
        let numbers: Option<Vec<u32>> = text.split(' ').map(|word| word.parse().ok()).collect();
        let Some([index, inode, control, channel, listeners @ ..]) = numbers.as_deref() else {
            return Err(invalid(format!("{WORKER} is {text:?}, which no supervisor has set")));
        };
        // A child of a worker has its environment, but not its sockets.
        if !is_socket(*control as RawFd, *inode) {
            return Ok(None);
        }
        // SAFETY: it is the socket that the supervisor has made for this worker, so the others are what it has passed
        // with it. They are claimed once.
        let claim = |fd: u32| unsafe { claim(fd as RawFd) };
        let (control, channel) = (claim(*control)?.into(), claim(*channel)?.into());
        let listeners = listeners.iter().map(|&fd| claim(fd).map(TcpListener::from)).collect::<io::Result<_>>()?;
        Ok(Some(Passed { index: *index as usize, control, channel, listeners }))
    }

    fn of_manager(&self) -> io::Result<Vec<(String, TcpListener)>> {
        let [pid, count, names] = LISTEN.map(variable);
        // They are somebody else's: a parent's, which has not taken the words out of the environment.
        if pid?.and_then(|pid| pid.parse().ok()) != Some(process::id()) {
            return Ok(Vec::new());
        }
        let count = count?.unwrap_or_default();
        let Some(count) = count.parse::<u16>().ok().map(RawFd::from) else {
            return Err(invalid(format!("LISTEN_FDS is {count:?}, and no number of descriptors")));
        };
        let names = names?.unwrap_or_default();
        let names: Vec<_> = names.split(':').collect();
        let mut listeners = Vec::new();
        for fd in FIRST..FIRST + count {
            let name = names.get((fd - FIRST) as usize).copied().unwrap_or_default();
            let because =
                |error: io::Error| io::Error::new(error.kind(), format!("descriptor {fd} of LISTEN_FDS: {error}"));
            // SAFETY: the environment says that it was passed to this process. It is claimed once.
            let listener = unsafe { claim(fd) }.and_then(check_listener).map_err(because)?;
            listeners.push((name.to_owned(), listener));
        }
        Ok(listeners)
    }
}

/// What tells a socket from all others of this machine, as the environment has it.
pub(super) fn inode(socket: impl AsFd) -> io::Result<u32> {
    // Sockets' inodes have 32 bits.
    Ok(fstat(socket)?.st_ino as u32)
}

fn check_listener(fd: OwnedFd) -> io::Result<TcpListener> {
    let listens = sockopt::socket_acceptconn(&fd)? && sockopt::socket_type(&fd)? == SocketType::STREAM;
    match sockopt::socket_domain(&fd)? {
        AddressFamily::INET | AddressFamily::INET6 if listens => Ok(fd.into()),
        _ => Err(invalid("it is no listener for TCP")),
    }
}

/// A word of the environment.
fn variable(name: &str) -> io::Result<Option<String>> {
    match env::var(name) {
        Ok(text) => Ok(Some(text)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(text)) => Err(invalid(format!("{name} is {text:?}"))),
    }
}

fn invalid(text: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, text.into())
}

/// Whether a descriptor is a certain socket.
fn is_socket(fd: RawFd, socket: u32) -> bool {
    if !is_open(fd) {
        return false;
    }
    // SAFETY: it is open, and nothing is done but to look at it.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let is_socket = fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket);
    is_socket && inode(fd).is_ok_and(|inode| inode == socket)
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: no pointers.
    fd >= 0 && unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0
}

/// Owns a descriptor that is there.
///
/// # Safety
///
/// If it is open, it was passed to this process, and nobody else in it has it.
unsafe fn claim(fd: RawFd) -> io::Result<OwnedFd> {
    if !is_open(fd) {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: by the obligation.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    Ok(fd)
}
