//! Owns descriptors that tasks wait for and that are no sockets of `net`: pipes, Unix sockets, descriptors of
//! processes.
//!
//! One that is owned here is in non-blocking mode: it is tried, and then waited for. What is shared with others, the
//! standard output, keeps its mode, and is written to by operations.
//!
//! The unsafe code of this module is operations: polls, which point to nothing, and writes from borrowed bytes.

use kettle_rt::driver::{Interest, Op};
use kettle_rt::{Outcome, adopt, cancelled, operate};
use rustix::event::{PollFd, PollFlags, poll};
use std::io::{self, ErrorKind, Read, Write};
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// A file or socket in non-blocking mode.
#[derive(Debug)]
pub(super) struct Descriptor<F: AsFd + Into<OwnedFd>> {
    /// Taken out by `drop`, the last to use it.
    inner: Option<F>,
}

impl<F: AsFd + Into<OwnedFd>> Descriptor<F> {
    pub(super) fn new(inner: F) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&inner, true)?;
        adopt(inner.as_fd());
        Ok(Self { inner: Some(inner) })
    }

    /// Tries until it need not wait. A checkpoint where it waits.
    ///
    /// # Cancellation
    ///
    /// An error, as of sockets. Nothing was done then.
    fn persist<T>(&self, interest: Interest, mut f: impl FnMut(&F) -> io::Result<T>) -> io::Result<T> {
        loop {
            match f(self) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => ready(self.as_fd(), interest)?,
                done => return done,
            }
        }
    }

    /// Reads as soon as there is something, or the end. A checkpoint where it waits.
    pub(super) fn read(&self, buf: &mut [u8]) -> io::Result<usize>
    where
        for<'a> &'a F: Read,
    {
        self.persist(Interest::Readable, |mut inner| inner.read(buf))
    }

    /// Writes as soon as there is room. A checkpoint where it waits.
    pub(super) fn write(&self, buf: &[u8]) -> io::Result<usize>
    where
        for<'a> &'a F: Write,
    {
        self.persist(Interest::Writable, |mut inner| inner.write(buf))
    }

    /// Does what may have to wait until it can be read. A checkpoint where it waits.
    pub(super) fn when_readable<T>(&self, f: impl FnMut(&F) -> io::Result<T>) -> io::Result<T> {
        self.persist(Interest::Readable, f)
    }
}

impl<F: AsFd + Into<OwnedFd>> Deref for Descriptor<F> {
    type Target = F;

    fn deref(&self) -> &F {
        self.inner.as_ref().expect("invariant: it is taken out by `drop`")
    }
}

impl<F: AsFd + Into<OwnedFd>> Drop for Descriptor<F> {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            kettle_rt::close(inner.into());
        }
    }
}

/// Waits until a descriptor can be read. A checkpoint.
pub(super) fn readable(fd: BorrowedFd<'_>) -> io::Result<()> {
    ready(fd, Interest::Readable)
}

fn ready(fd: BorrowedFd<'_>, interest: Interest) -> io::Result<()> {
    // SAFETY: no pointers.
    match unsafe { operate(Op::Poll { fd: fd.as_raw_fd(), interest }, None) } {
        Outcome::Done(result) if result < 0 => match io::Error::from_raw_os_error(-result) {
            // With signals about some drivers end what nobody has asked them to: it is tried again.
            error if [Some(libc::EINTR), Some(libc::ECANCELED)].contains(&error.raw_os_error()) => Ok(()),
            error => Err(error),
        },
        Outcome::Done(_) | Outcome::TimedOut => Ok(()),
        Outcome::Cancelled => Err(cancelled()),
        Outcome::NoTask => {
            let flags = match interest {
                Interest::Readable => PollFlags::IN,
                Interest::Writable => PollFlags::OUT,
            };
            match poll(&mut [PollFd::from_borrowed_fd(fd, flags)], None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
    }
}

/// Writes everything to a descriptor whose mode is others' affair. A checkpoint.
pub(super) fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let op = Op::Write { fd: fd.as_raw_fd(), buf: bytes.as_ptr(), len: bytes.len() };
        // SAFETY: the bytes are borrowed until the operation has ended.
        let result = match unsafe { operate(op, None) } {
            Outcome::Done(result) => result,
            Outcome::Cancelled | Outcome::TimedOut => return Err(cancelled()),
            Outcome::NoTask => match rustix::io::write(fd, bytes) {
                Ok(len) => len as i32,
                Err(error) => -error.raw_os_error(),
            },
        };
        match result {
            0 => return Err(ErrorKind::WriteZero.into()),
            1.. => bytes = &bytes[result as usize..],
            _ => match -result {
                libc::EINTR | libc::ECANCELED => {}
                libc::EAGAIN => ready(fd, Interest::Writable)?,
                errno => return Err(io::Error::from_raw_os_error(errno)),
            },
        }
    }
    Ok(())
}
