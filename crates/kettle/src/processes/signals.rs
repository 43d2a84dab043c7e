//! Owns the signals that supervisors and workers hear. Nobody else has any of them handled.
//!
//! Each signal is a byte in a socket, from which who waits for it reads it.
#![forbid(unsafe_code)]

use super::descriptor::Descriptor;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::{flag, low_level::pipe};
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a supervisor hears.
#[derive(Debug)]
pub(super) struct Signals {
    pub(super) terminate: Descriptor<UnixStream>,
    pub(super) interrupt: Descriptor<UnixStream>,
    pub(super) hang_up: Descriptor<UnixStream>,
    pub(super) report: Descriptor<UnixStream>,
    is_over: Arc<AtomicBool>,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        // Where it is ignored, as who started this process may have it, children leave no status.
        ignore(SIGCHLD)?;
        let listen = |signal| {
            flag::register_conditional_default(signal, Arc::clone(&is_over))?;
            listen(signal).and_then(Descriptor::new)
        };
        let (terminate, interrupt) = (listen(SIGTERM)?, listen(SIGINT)?);
        let (hang_up, report) = (listen(SIGHUP)?, listen(SIGUSR1)?);
        Ok(Self { terminate, interrupt, hang_up, report, is_over })
    }
}

impl Drop for Signals {
    /// From now on the signals do what they do by default.
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// What a worker hears. The others are meant for its supervisor, but sent to all processes of a terminal or a service;
/// SIGHUP is what would end it with its supervisor, before it can watch that itself.
pub(super) fn of_worker() -> io::Result<UnixStream> {
    [SIGINT, SIGHUP, SIGUSR1].into_iter().try_for_each(ignore)?;
    listen(SIGTERM)
}

fn listen(signal: i32) -> io::Result<UnixStream> {
    let (heard, told) = UnixStream::pair()?;
    pipe::register(signal, told)?;
    Ok(heard)
}

/// By a handler that does nothing: unlike a signal that is really ignored, it is not handed down to programs that are
/// run.
fn ignore(signal: i32) -> io::Result<()> {
    flag::register(signal, Arc::default()).map(drop)
}
