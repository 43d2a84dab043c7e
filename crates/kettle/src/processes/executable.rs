//! Owns which executable workers run, and starting one.
//!
//! Invariant: workers of one version run the same file. It is held open, so what is put in its place (a deployment) is
//! found by the next reload, and not by a worker that is started again meanwhile.
//!
//! The unsafe code of this module is what a child does between `fork` and `exec`: system calls on numbers.

use super::inherited::{LISTEN, WORKER, inode};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Signal, set_parent_process_death_signal};
use std::env;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{self, Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A file to be run.
#[derive(Debug)]
pub(super) struct Executable(OwnedFd);

/// Where output goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Output {
    /// Through the supervisor, line by line.
    Lines,
    /// Where the supervisor's goes.
    Inherited,
}

/// A worker that was just started.
#[derive(Debug)]
pub(super) struct Newborn {
    pub(super) child: Child,
    pub(super) control: UnixStream,
    pub(super) channel: UnixStream,
}

impl Executable {
    /// That of this process, whatever lies at its path by now.
    pub(super) fn current() -> io::Result<Self> {
        Self::at(Path::new("/proc/self/exe"))
    }

    /// What lies at a path.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self(open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?))
    }

    /// Starts it as a worker, with the arguments that this process has.
    pub(super) fn start(&self, index: usize, listeners: &[TcpListener], output: Output) -> io::Result<Newborn> {
        let (control, its_control) = UnixStream::pair()?;
        let (channel, its_channel) = UnixStream::pair()?;
        let mut passed = vec![its_control.as_raw_fd(), its_channel.as_raw_fd()];
        passed.extend(listeners.iter().map(AsRawFd::as_raw_fd));
        let numbers: Vec<_> = passed.iter().map(ToString::to_string).collect();
        let word = format!("{index} {} {}", inode(&its_control)?, numbers.join(" "));

        let mut arguments = env::args_os();
        let name = arguments.next().unwrap_or_else(|| OsString::from("worker"));
        let mut command = Command::new(format!("/proc/self/fd/{}", self.0.as_raw_fd()));
        command.arg0(name).args(arguments).env(WORKER, word).stdin(Stdio::null());
        LISTEN.into_iter().for_each(|name| _ = command.env_remove(name));
        if output == Output::Lines {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let survive = move || {
            // It ends with its supervisor, until it watches that itself: from then on this signal does nothing.
            set_parent_process_death_signal(Some(Signal::HUP))?;
            for &fd in &passed {
                // SAFETY: no pointers.
                if unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } < 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        };
        // SAFETY: system calls on numbers, no locks, no memory. The descriptors are open: this function has them.
        unsafe { command.pre_exec(survive) };
        let child = command.spawn()?;
        drop((its_control, its_channel));
        Ok(Newborn { child, control, channel })
    }
}

/// Where the executable of this process lies, as it was called: a link on the way may lead elsewhere later.
pub(super) fn path() -> io::Result<PathBuf> {
    let name = PathBuf::from(env::args_os().next().unwrap_or_default());
    let this = fs::metadata("/proc/self/exe")?;
    let is_this = |path: &Path| fs::metadata(path).is_ok_and(|other: Metadata| same(&other, &this));
    let candidates = if name.components().count() > 1 {
        vec![path::absolute(&name)?]
    } else {
        let directories = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&directories).filter_map(|directory| path::absolute(directory.join(&name)).ok()).collect()
    };
    match candidates.into_iter().find(|path| is_this(path)) {
        Some(path) => Ok(path),
        None => env::current_exe(),
    }
}

/// Has a worker called as its program is, and not by the number of a descriptor that it was started by.
pub(super) fn take_name() {
    let name = PathBuf::from(env::args_os().next().unwrap_or_default());
    if let Some(name) = name.file_name() {
        // It is for people, and no reason to fail.
        _ = fs::write("/proc/self/comm", name.as_bytes());
    }
}

fn same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}
