//! Owns the socket at which a supervisor tells its status: who connects is sent a line, and that is all.
//!
//! Invariant: the file is this process's own while it is there. One that an earlier process has left behind is
//! replaced.
#![forbid(unsafe_code)]

use super::attendant::Shared;
use super::descriptor::Descriptor;
use crate::thread;
use kettle_rt::timeout;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long one may take to read a line.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long to wait when there are no descriptors left.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct StatusSocket {
    listener: Descriptor<UnixListener>,
    path: PathBuf,
    /// Which file it is: another may be put in its place.
    inode: u64,
}

impl StatusSocket {
    /// Listens at a path.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if somebody listens there, or if it is another file than a socket.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && is_stale(path) => {
                fs::remove_file(path)?;
                UnixListener::bind(path)?
            }
            bound => bound?,
        };
        let inode = fs::symlink_metadata(path)?.ino();
        Ok(Self { listener: Descriptor::new(listener)?, path: path.to_owned(), inode })
    }

    /// Answers until it is cancelled.
    pub(super) fn serve(&self, shared: &Shared) {
        loop {
            match self.listener.when_readable(UnixListener::accept) {
                Ok((stream, _)) => {
                    let line = format!("{}\n", shared.status());
                    // Others are answered meanwhile.
                    thread::spawn(move || timeout(PATIENCE, || answer(stream, line.as_bytes())));
                }
                // If the error is that this task was cancelled, it ends here.
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }
}

fn answer(stream: UnixStream, mut line: &[u8]) -> io::Result<()> {
    let stream = Descriptor::new(stream)?;
    while !line.is_empty() {
        let written = stream.write(line)?;
        line = &line[written..];
    }
    Ok(())
}

/// Whether it is a socket at which nobody listens.
fn is_stale(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket()) && is_refused(path).unwrap_or(false)
}

/// Without waiting: whoever has a full queue is there.
fn is_refused(path: &Path) -> rustix::io::Result<bool> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    Ok(connect(&socket, &SocketAddrUnix::new(path)?) == Err(Errno::CONNREFUSED))
}

impl Drop for StatusSocket {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            _ = fs::remove_file(&self.path);
        }
    }
}
