//! Owns the driver on io_uring: one ring, entered once for each wait.
//!
//! ```text
//!  submit ── entry ──> backlog ──> submission queue ──┐
//!                      (if full)                      │ one `enter` takes all of it, runs what was deferred,
//!  wait <── completions <── completion queue <────────┘ and sleeps if there is nothing
//! ```
//!
//! An operation's `user_data` is its token, so nothing is kept about it; only which tokens are accepts, since a
//! descriptor that nobody is left to take has to be closed. Two values of `user_data` are the driver's own: a poll that
//! stays armed on the bell's eventfd, and requests to cancel. The completions of those are swallowed; if one says that it
//! has found nothing, and the operation has not completed, it is asked again. Only an operation's own completion says that
//! its buffers are free.
//!
//! A send that answers what came alone does without the ring: a call of its own is cheaper than an `enter` for nothing else.
//!
//! With deferred task work the kernel completes nothing unless it is entered with `GETEVENTS`; a flag in shared memory
//! says when that would help, so a wait that must not sleep and has nothing to submit costs no system call.

mod entry;
mod probe;

use crate::fork::Origin;
use crate::kind::Absence;
use crate::notifier::Bell;
use crate::op::{Completion, MOST_BYTES, Op, Submitted, Token};
use crate::syscalls::checked;
use crate::tokens::TokenMap;
use crate::until::Until;
use io_uring::squeue::Entry;
use io_uring::{EnterFlags, IoUring, cqueue, types};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// How many completions there is room for, for each entry that can be submitted at once.
const COMPLETIONS: u32 = 16;

/// How often it is asked to cancel an operation that it does not find. It tries one up to 128 times before it gives it to
/// a worker thread, where it finds it for certain.
const ASKS: u8 = 200;

/// How long the kernel is given to take entries that it has no memory for.
const PAUSE: Duration = Duration::from_millis(1);

pub(crate) struct Uring {
    ring: IoUring,
    bell: Bell,
    /// Entries that the submission queue had no room for.
    backlog: VecDeque<Entry>,
    /// Descriptors of what has not been submitted: a bit for several of them.
    unsubmitted: u64,
    /// Operations whose completion has not come.
    in_flight: usize,
    accepts: TokenMap<()>,
    /// Operations that are to be cancelled, and how often it may still be asked.
    cancelling: TokenMap<u8>,
    /// Whether a request to cancel has found nothing.
    has_missed: bool,
    /// Whether the bell is being listened to.
    is_listening: bool,
    /// Whether the last wait brought one completion, and nothing has been sent directly since.
    is_quiet: bool,
    spin: Duration,
    origin: Origin,
}

/// What was in the completion queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reaped {
    Nothing,
    /// Only completions of the driver's own.
    Own,
    Some,
}

impl Uring {
    /// The driver, and what it is called for people.
    pub(crate) fn new(
        bell: Bell,
        entries: u32,
        spin: Duration,
        origin: Origin,
    ) -> Result<(Self, &'static str), Absence> {
        let modes = probe::modes()?;
        let entries = entries.clamp(1, 1 << 15);
        let ring = modes.ring(entries, entries.saturating_mul(COMPLETIONS)).map_err(|error| probe::absence(&error))?;
        let driver = Self {
            ring,
            bell,
            backlog: VecDeque::new(),
            unsubmitted: 0,
            in_flight: 0,
            accepts: TokenMap::default(),
            cancelling: TokenMap::default(),
            has_missed: false,
            is_listening: false,
            is_quiet: false,
            spin,
            origin,
        };
        Ok((driver, modes.name()))
    }

    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// # Safety
    ///
    /// [`Driver::submit`](crate::Driver::submit)'s.
    pub(crate) unsafe fn submit(&mut self, op: &Op, token: Token) -> Submitted {
        if self.is_quiet {
            // SAFETY: by this function's contract.
            if let Some(result) = unsafe { self.send_directly(op) } {
                return Submitted::Done(result);
            }
        }
        self.in_flight += 1;
        self.unsubmitted |= entry::mark(op);
        if matches!(op, Op::Accept { .. }) {
            self.accepts.insert(token, ());
        }
        if !self.cancelling.is_empty() {
            // That was another operation, which has gone.
            self.cancelling.remove(token);
        }
        // SAFETY: by this function's contract.
        unsafe { self.push(entry::of(op, token)) };
        Submitted::Pending
    }

    /// Sends by a system call, once for each wait that brought one completion: the answer to a request that came alone.
    /// `None` if it is to go by the ring: it is no send, would wait, or must take all bytes and may have to wait for that.
    ///
    /// Under load this would lose: there a batch of sends is one call, and by its end the next requests are there.
    ///
    /// # Safety
    ///
    /// The operation's pointers are valid.
    unsafe fn send_directly(&mut self, op: &Op) -> Option<i32> {
        let (Op::Send { fd, flags, .. } | Op::SendMsg { fd, flags, .. }) = *op else { return None };
        // Nor before what was submitted for this socket.
        if flags & libc::MSG_WAITALL != 0 || self.unsubmitted & entry::mark_of(fd) != 0 {
            return None;
        }
        self.is_quiet = false;
        let sent = match *op {
            Op::Send { buf, len, .. } => {
                let len = len.min(MOST_BYTES);
                // SAFETY: there are `len` bytes at `buf`, by this function's contract.
                unsafe { libc::send(fd, buf.cast(), len, flags | libc::MSG_DONTWAIT) }
            }
            Op::SendMsg { msg, .. } => {
                // SAFETY: the message and what it points to are valid, by this function's contract.
                unsafe { libc::sendmsg(fd, msg, flags | libc::MSG_DONTWAIT) }
            }
            _ => return None,
        };
        // At most `MOST_BYTES`.
        match checked(sent as i32) {
            Ok(sent) => Some(sent),
            Err(libc::EAGAIN | libc::EINTR) => None,
            Err(errno) => Some(-errno),
        }
    }

    pub(crate) fn cancel(&mut self, token: Token) {
        if self.cancelling.insert(token, ASKS).is_none() {
            // SAFETY: the entry has no pointers.
            unsafe { self.push(entry::cancel(token)) };
        }
    }

    /// Asks again. An operation that the kernel is about to try once more is in none of the tables that it searches; and
    /// one that is not there at all looks the same.
    fn cancel_again(&mut self) {
        let mut cancelling = std::mem::take(&mut self.cancelling);
        cancelling.retain(|token, asks| {
            *asks -= 1;
            // SAFETY: the entry has no pointers.
            unsafe { self.push(entry::cancel(token)) };
            *asks > 0
        });
        self.cancelling = cancelling;
    }

    /// Before a descriptor is closed or given away: what was submitted for it must mean this file, not the next one of that
    /// number.
    pub(crate) fn closes(&mut self, fd: RawFd) {
        if self.unsubmitted & entry::mark_of(fd) != 0 {
            self.flush();
        }
    }

    pub(crate) fn wait(&mut self, until: Until, out: &mut Vec<Completion>) -> io::Result<()> {
        let before = out.len();
        let waited = self.collect(until, out);
        self.is_quiet = out.len() == before + 1;
        waited
    }

    fn collect(&mut self, until: Until, out: &mut Vec<Completion>) -> io::Result<()> {
        self.prepare();
        let brings_nothing = self.enters_for_nothing();
        if brings_nothing && self.reap(out) == Reaped::Some || until == Until::Now {
            self.bell.hush();
            if !brings_nothing {
                self.enter(0, None)?;
                self.reap(out);
            }
            return Ok(());
        }
        if self.spin > Duration::ZERO && self.spin(until, out)? {
            return Ok(());
        }
        loop {
            self.prepare();
            let left = until.left();
            let sleeps = left != Some(Duration::ZERO) && self.bell.doze();
            if !sleeps && self.enters_for_nothing() {
                return Ok(());
            }
            let entered = if sleeps { self.enter(1, left) } else { self.enter(0, None) };
            let is_notified = sleeps && self.bell.rouse();
            let reaped = self.reap(out);
            // With nothing in the queue it was a signal, or the time is up.
            if entered.is_err() || !sleeps || is_notified || reaped != Reaped::Own {
                return entered;
            }
            // The completion of a request to cancel, or a late edge of a notification that is known: sleep on.
        }
    }

    /// What has to be in the queue before the kernel is entered.
    fn prepare(&mut self) {
        self.refill();
        if std::mem::take(&mut self.has_missed) && !self.cancelling.is_empty() {
            self.cancel_again();
        }
        if !self.is_listening {
            self.is_listening = true;
            // SAFETY: the entry has no pointers.
            unsafe { self.push(entry::listen(self.bell.fd())) };
        }
    }

    /// Whether there is nothing to submit, and nothing has come.
    pub(crate) fn is_idle(&mut self) -> bool {
        self.enters_for_nothing() && self.ring.completion().is_empty()
    }

    /// Whether entering the kernel would bring nothing but sleep.
    fn enters_for_nothing(&mut self) -> bool {
        let queue = self.ring.submission();
        queue.is_empty() && !queue.taskrun() && !queue.cq_overflow()
    }

    /// Watches the completion queue for a while; whether there is a reason to go back to the caller.
    fn spin(&mut self, until: Until, out: &mut Vec<Completion>) -> io::Result<bool> {
        let end = Instant::now() + self.spin;
        loop {
            for _ in 0..8 {
                if !self.enters_for_nothing() {
                    self.enter(0, None)?;
                }
                if self.reap(out) == Reaped::Some || self.bell.hush() {
                    return Ok(true);
                }
                std::hint::spin_loop();
            }
            if until.left() == Some(Duration::ZERO) {
                return Ok(true);
            }
            if Instant::now() >= end {
                return Ok(false);
            }
        }
    }

    /// Puts an entry where the next `enter` takes it.
    ///
    /// # Safety
    ///
    /// What it points to is valid until its completion has been reaped.
    unsafe fn push(&mut self, entry: Entry) {
        if self.backlog.is_empty() {
            // SAFETY: by this function's contract.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                return;
            }
            self.flush();
            // SAFETY: by this function's contract.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                return;
            }
        }
        self.backlog.push_back(entry);
    }

    /// Moves what it can from the backlog to the submission queue.
    fn refill(&mut self) {
        while let Some(entry) = self.backlog.front() {
            // SAFETY: `push` was promised that it is valid.
            if unsafe { self.ring.submission().push(entry) }.is_err() {
                break;
            }
            self.backlog.pop_front();
        }
    }

    /// Submits without asking for completions. What the kernel does not take remains.
    fn flush(&mut self) {
        let len = self.ring.submission().len() as u32;
        // SAFETY: there is no argument.
        _ = unsafe { self.ring.submitter().enter::<libc::sigset_t>(len, 0, 0, None) };
        self.note_submitted();
    }

    fn note_submitted(&mut self) {
        if self.backlog.is_empty() && self.ring.submission().is_empty() {
            self.unsubmitted = 0;
        }
    }

    /// Submits, has what was deferred done, and sleeps until `least` completions are there or the time is up.
    ///
    /// A signal or the time's end is no error.
    fn enter(&mut self, least: u32, timeout: Option<Duration>) -> io::Result<()> {
        let len = self.ring.submission().len() as u32;
        match self.enter_with(len, least, timeout) {
            // No memory for the entries, or none for completions that overflowed: they come first, then it is tried again.
            Some(libc::EAGAIN | libc::EBUSY | libc::ENOMEM) => {
                let pause = timeout.unwrap_or(PAUSE).min(PAUSE);
                match self.enter_with(0, least, Some(pause)) {
                    None | Some(libc::EAGAIN | libc::EBUSY | libc::ENOMEM) => Ok(()),
                    Some(errno) => Err(io::Error::from_raw_os_error(errno)),
                }
            }
            None => Ok(()),
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    /// One `enter`; its `errno`, if it has one that counts.
    fn enter_with(&mut self, submit: u32, least: u32, timeout: Option<Duration>) -> Option<i32> {
        let flags = EnterFlags::GETEVENTS | EnterFlags::EXT_ARG;
        let time = timeout.map(types::Timespec::from);
        let argument = types::SubmitArgs::new();
        let argument = match &time {
            Some(time) => argument.timespec(time),
            None => argument,
        };
        // SAFETY: EXT_ARG's argument is of this type, and the time that it points to is a variable here.
        let entered = unsafe { self.ring.submitter().enter(submit, least, flags.bits(), Some(&argument)) };
        self.note_submitted();
        let errno = entered.err()?.raw_os_error().unwrap_or(libc::EIO);
        (errno != libc::EINTR && errno != libc::ETIME).then_some(errno)
    }

    /// Takes everything out of the completion queue.
    fn reap(&mut self, out: &mut Vec<Completion>) -> Reaped {
        let mut reaped = Reaped::Nothing;
        for completion in self.ring.completion() {
            let (token, result) = (Token(completion.user_data()), completion.result());
            if token.is_reserved() {
                reaped = if reaped == Reaped::Some { reaped } else { Reaped::Own };
                if token == Token::NOTIFIED {
                    self.is_listening = cqueue::more(completion.flags());
                } else {
                    self.has_missed |= result == -libc::ENOENT;
                }
                continue;
            }
            reaped = Reaped::Some;
            self.in_flight -= 1;
            if !self.accepts.is_empty() {
                self.accepts.remove(token);
            }
            if !self.cancelling.is_empty() {
                self.cancelling.remove(token);
            }
            // No signal reaches what a worker thread does, except that of a cancel.
            let result = if result == -libc::EINTR { -libc::ECANCELED } else { result };
            out.push(Completion { token, result });
        }
        reaped
    }
}

impl Drop for Uring {
    /// Cancels what is in flight and waits for its end: the kernel writes into buffers until then, also when the ring has
    /// gone.
    fn drop(&mut self) {
        if self.origin.is_elsewhere() {
            // The parent's operations go on; only this process's view of the ring goes.
            return;
        }
        let mut failures = 0;
        let mut ended = Vec::new();
        while self.in_flight > 0 {
            // Again each time: what was between two states may have been missed.
            // SAFETY: the entry has no pointers.
            unsafe { self.push(entry::cancel_all()) };
            self.refill();
            let entered = self.enter(1, Some(10 * PAUSE));
            for completion in self.ring.completion() {
                let token = Token(completion.user_data());
                if !token.is_reserved() {
                    self.in_flight -= 1;
                    ended.push((token, completion.result()));
                }
            }
            for (token, result) in ended.drain(..) {
                if self.accepts.remove(token).is_some() && result >= 0 {
                    // SAFETY: the kernel has just made it, and nobody else knows it.
                    drop(unsafe { OwnedFd::from_raw_fd(result) });
                }
            }
            failures = if entered.is_err() { failures + 1 } else { 0 };
            if failures > 1000 {
                // The ring is broken and buffers are in use: to go on would be to let memory be overwritten.
                std::process::abort();
            }
        }
    }
}

impl fmt::Debug for Uring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uring")
            .field("fd", &self.ring.as_raw_fd())
            .field("in_flight", &self.in_flight)
            .field("backlog", &self.backlog.len())
            .finish_non_exhaustive()
    }
}
