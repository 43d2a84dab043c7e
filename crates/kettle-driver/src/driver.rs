//! Owns the choice between the event schedulers, and the calls that all of them have.
//!
//! The choice is made once, when a driver is made; a call then goes through one `match`. Another scheduler is
//! one more arm of `Scheduler` and one more `Kind`.

use crate::choice::Choice;
use crate::clock::Clock;
use crate::conditions::Conditions;
use crate::epoll;
use crate::error::{DriverError, Reason};
use crate::fork::Origin;
use crate::kind::{Absence, Kind, VARIABLE};
use crate::network::Network;
use crate::notifier::{Bell, Notifier};
use crate::op::{Completion, Op, Submitted, Token};
use crate::sim;
use crate::trace::Tracer;
use crate::until::Until;
use crate::uring;
use std::io;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// How a driver is to be.
///
/// ```
/// use kettle_driver::{Config, Driver, Kind};
/// use std::time::Duration;
///
/// let config = Config { kind: Some(Kind::Epoll), spin: Duration::from_micros(30), ..Config::default() };
/// assert_eq!(Driver::with(config).unwrap().choice().kind(), Kind::Epoll);
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// How many operations are handed to the kernel at once on uring, and how many events are taken at once on epoll.
    /// It limits a batch, not what may be in flight; each costs 320 bytes on uring, of which 256 are room for completions.
    pub entries: u32,
    /// How long a wait looks for completions before it sleeps. Off (zero) by default: it shortens the way of a single
    /// request by half, and costs processor time whenever there is none.
    pub spin: Duration,
    /// Which driver. By default [`KETTLE_DRIVER`](VARIABLE) says it, and if that isn't set or empty, the first of
    /// [`Kind::ALL`] that runs here.
    pub kind: Option<Kind>,
    /// What the world of [`Kind::Sim`] is like.
    pub conditions: Conditions,
}

impl Default for Config {
    fn default() -> Self {
        // The stress build makes full queues the rule.
        Self {
            entries: if cfg!(kettle_stress) { 2 } else { 1024 },
            spin: Duration::ZERO,
            kind: None,
            conditions: Conditions::default(),
        }
    }
}

/// The event scheduler of one thread: operations in, completions out.
///
/// ```
/// use kettle_driver::{Completion, Driver, Op, Submitted, Token, Until};
/// use std::io::Write;
/// use std::os::fd::AsRawFd;
/// use std::os::unix::net::UnixStream;
///
/// let mut driver = Driver::new().unwrap();
/// let (ours, mut theirs) = UnixStream::pair().unwrap();
///
/// let mut buf = [0; 5];
/// let recv = Op::Recv { fd: ours.as_raw_fd(), buf: buf.as_mut_ptr(), len: buf.len(), flags: 0 };
/// // SAFETY: `buf` lives, and is left alone, until the completion is out.
/// assert_eq!(unsafe { driver.submit(recv, Token(1)) }, Submitted::Pending);
///
/// theirs.write_all(b"water").unwrap();
/// let mut completions = Vec::new();
/// while completions.is_empty() {
///     driver.wait(Until::Forever, &mut completions).unwrap();
/// }
/// assert_eq!(completions, [Completion { token: Token(1), result: 5 }]);
/// assert_eq!(&buf, b"water");
/// ```
///
/// # Dropping
///
/// Cancels what is in flight and waits until the kernel has let go of all buffers. Descriptors that accepts bring
/// meanwhile are closed.
///
/// # Forks
///
/// In a forked child the parent's driver does nothing, and says so: [`submit`](Self::submit) answers `-ESTALE`,
/// [`wait`](Self::wait) an error, and `close` only closes. Make a new one there.
#[derive(Debug)]
pub struct Driver {
    scheduler: Scheduler,
    choice: Choice,
    origin: Origin,
    /// Belongs to the thread that made it: the ring accepts no other.
    _thread: PhantomData<*mut ()>,
}

#[derive(Debug)]
enum Scheduler {
    Uring(uring::Uring),
    Epoll(epoll::Epoll),
    Sim(Box<sim::Sim>),
}

impl Driver {
    /// The driver that [`KETTLE_DRIVER`](VARIABLE) names, otherwise the first of [`Kind::ALL`] that runs here.
    ///
    /// # Errors
    ///
    /// The variable has an unknown word, or names one that does not run here; no descriptors are left.
    pub fn new() -> Result<Self, DriverError> {
        Self::with(Config::default())
    }

    /// The driver that is asked for.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new). [`Config::kind`] is a name as well, and comes before the variable.
    pub fn with(config: Config) -> Result<Self, DriverError> {
        let asked = match config.kind {
            Some(kind) => Some((kind, "Config::kind")),
            None => named_by_environment()?.map(|kind| (kind, VARIABLE)),
        };
        let origin = Origin::here();
        let uring = |bell| {
            let (uring, modes) = uring::Uring::new(bell, config.entries, config.spin, origin)?;
            Ok((Scheduler::Uring(uring), modes))
        };
        let epoll = |bell| epoll::Epoll::new(bell, config.entries as usize, config.spin).map(Scheduler::Epoll);
        let bell = || Bell::new().map_err(|error| Reason::System { doing: "eventfd", error });
        let (scheduler, choice) = match asked {
            Some((kind @ Kind::Uring, by)) => {
                let (scheduler, modes) = uring(bell()?).map_err(|absence| Reason::Absent { kind, absence })?;
                (scheduler, Choice { kind, modes, other: Kind::Epoll, absence: Absence::Forced { by } })
            }
            Some((kind @ Kind::Epoll, by)) => {
                let absence = Absence::Forced { by };
                (epoll(bell()?)?, Choice { kind, modes: epoll::Epoll::MODES, other: Kind::Uring, absence })
            }
            Some((kind @ Kind::Sim, by)) => {
                let scheduler = Scheduler::Sim(Box::new(sim::Sim::new(bell()?, config.conditions.clone())));
                (
                    scheduler,
                    Choice { kind, modes: sim::Sim::MODES, other: Kind::Uring, absence: Absence::Forced { by } },
                )
            }
            None => match uring(bell()?) {
                Ok((scheduler, modes)) => {
                    let absence = Absence::NotNeeded;
                    (scheduler, Choice { kind: Kind::Uring, modes, other: Kind::Epoll, absence })
                }
                Err(absence) => {
                    let choice = Choice { kind: Kind::Epoll, modes: epoll::Epoll::MODES, other: Kind::Uring, absence };
                    (epoll(bell()?)?, choice)
                }
            },
        };
        Ok(Self { scheduler, choice, origin, _thread: PhantomData })
    }

    /// Which one it is, and why not the other.
    pub fn choice(&self) -> &Choice {
        &self.choice
    }

    /// Starts an operation. On epoll it is tried at once and may be done. On uring it is pending, begins with the next
    /// [`wait`](Self::wait), and costs no system call unless the queue is full; but the first send after a wait that brought
    /// one completion is tried at once there too, unless it has `MSG_WAITALL`.
    ///
    /// `MSG_DONTWAIT` in the flags asks for an answer without waiting: `-EAGAIN` if there is nothing.
    ///
    /// # Safety
    ///
    /// Until the operation's completion has been handed out (or this has returned [`Submitted::Done`], or the driver's
    /// drop has returned):
    ///
    /// 1. what its pointers point to is valid for what the system call does with it, and nobody else uses it;
    /// 2. its token is not [reserved](Token::is_reserved), and no other operation of this driver has it.
    #[inline]
    pub unsafe fn submit(&mut self, op: Op, token: Token) -> Submitted {
        debug_assert!(!token.is_reserved(), "submit an operation: {token:?} is the driver's own");
        if self.origin.is_elsewhere() {
            return Submitted::Done(-libc::ESTALE);
        }
        match &mut self.scheduler {
            // SAFETY: the contract is the same.
            Scheduler::Uring(uring) => unsafe { uring.submit(&op, token) },
            // SAFETY: the contract is the same.
            Scheduler::Epoll(epoll) => unsafe { epoll.submit(op, token) },
            // SAFETY: the contract is the same.
            Scheduler::Sim(sim) => unsafe { sim.submit(op, token) },
        }
    }

    /// Asks for an operation's early end. How it ended, its own completion says, which comes in any case: it may be
    /// `-ECANCELED`, or a success that was faster, or with `MSG_WAITALL` what had been done of it.
    ///
    /// Until then its buffers are in use. A token that is not in flight is none of its business.
    pub fn cancel(&mut self, token: Token) {
        if self.origin.is_elsewhere() || token.is_reserved() {
            return;
        }
        match &mut self.scheduler {
            Scheduler::Uring(uring) => uring.cancel(token),
            Scheduler::Epoll(epoll) => epoll.cancel(token),
            Scheduler::Sim(sim) => sim.cancel(token),
        }
    }

    /// Submits what is new, sleeps if nothing has completed, and adds what has completed to `out`.
    ///
    /// Returns without completions when the time is over, when a signal was handled, and when a [`Notifier`] was used:
    /// look at what you wait for, and call again. A deadline is not met early otherwise.
    ///
    /// # Errors
    ///
    /// In a forked child, an error whose source is a [`DriverError`] with [`is_forked`](DriverError::is_forked).
    /// Otherwise only what means that the event scheduler itself no longer works; what had completed is in `out`.
    pub fn wait(&mut self, until: Until, out: &mut Vec<Completion>) -> io::Result<()> {
        if self.origin.is_elsewhere() {
            return Err(io::Error::other(DriverError::from(Reason::Forked)));
        }
        match &mut self.scheduler {
            Scheduler::Uring(uring) => uring.wait(until, out),
            Scheduler::Epoll(epoll) => epoll.wait(until, out),
            Scheduler::Sim(sim) => sim.wait(until, out),
        }
    }

    /// Whether [`wait`](Self::wait) would do nothing but sleep, as far as is known without a system call: nothing is to be
    /// submitted, and nothing has come. On epoll nothing is known as long as operations are in flight.
    pub fn is_idle(&mut self) -> bool {
        match &mut self.scheduler {
            Scheduler::Uring(uring) => uring.is_idle(),
            Scheduler::Epoll(epoll) => epoll.in_flight() == 0,
            Scheduler::Sim(_) => false,
        }
    }

    /// Says that a descriptor comes from elsewhere: it was made, or taken over, and operations will be submitted for it.
    ///
    /// Epoll keeps notes of descriptors by their numbers, and those may be of a file that was closed without
    /// [`close`](Self::close), on another thread for example. Who does not say it has the next operation on such a number
    /// wait longer than it must, by 20 milliseconds as a rule. (What an [`Accept`](Op::Accept) of this driver brings need not
    /// be adopted.) On uring there are no notes, and this does nothing.
    ///
    /// A descriptor that is in use here already may be adopted again. Operations in flight for a file that had this number
    /// and has been closed end as cancelled on epoll.
    pub fn adopt(&mut self, fd: BorrowedFd<'_>) {
        if !self.origin.is_elsewhere() {
            match &mut self.scheduler {
                Scheduler::Uring(_) | Scheduler::Sim(_) => {}
                Scheduler::Epoll(epoll) => epoll.adopts(fd.as_raw_fd()),
            }
        }
    }

    /// Says that a descriptor is given away, open, and that no more operations will be submitted for it: as
    /// [`close`](Self::close) without closing. Otherwise its events wake this driver as long as it lives.
    ///
    /// If operations are in flight on it, this changes nothing.
    pub fn release(&mut self, fd: BorrowedFd<'_>) {
        if !self.origin.is_elsewhere() {
            match &mut self.scheduler {
                Scheduler::Uring(uring) => uring.closes(fd.as_raw_fd()),
                Scheduler::Epoll(epoll) => epoll.releases(fd.as_raw_fd()),
                // What is simulated is nothing outside.
                Scheduler::Sim(_) => {}
            }
        }
    }

    /// Closes a descriptor that operations have been submitted for. All of those should end so, or by
    /// [`release`](Self::release): epoll keeps notes of them.
    ///
    /// Operations in flight on it are not the way to use this, but they end like all: on epoll at once, as cancelled; on
    /// uring they go on with the file, which stays open for them, until they complete or are cancelled.
    pub fn close(&mut self, fd: OwnedFd) {
        if !self.origin.is_elsewhere() {
            match &mut self.scheduler {
                Scheduler::Uring(uring) => uring.closes(fd.as_raw_fd()),
                Scheduler::Epoll(epoll) => epoll.closes(fd.as_raw_fd()),
                Scheduler::Sim(sim) => sim.closes(fd.as_raw_fd()),
            }
        }
        drop(fd);
    }

    /// What ends this driver's sleep from elsewhere.
    pub fn notifier(&self) -> Notifier {
        self.bell().notifier()
    }

    /// How many operations have been submitted whose completion has not been handed out.
    pub fn in_flight(&self) -> usize {
        match &self.scheduler {
            Scheduler::Uring(uring) => uring.in_flight(),
            Scheduler::Epoll(epoll) => epoll.in_flight(),
            Scheduler::Sim(sim) => sim.in_flight(),
        }
    }

    /// Which time it is for this driver: a simulation's has a clock of its own.
    pub fn clock(&self) -> Clock {
        match &self.scheduler {
            Scheduler::Sim(sim) => sim.clock().clone(),
            Scheduler::Uring(_) | Scheduler::Epoll(_) => Clock::system(),
        }
    }

    /// What writes a simulation's trace; none if this is no simulation.
    pub fn tracer(&self) -> Option<Tracer> {
        match &self.scheduler {
            Scheduler::Sim(sim) => Some(sim.tracer().clone()),
            Scheduler::Uring(_) | Scheduler::Epoll(_) => None,
        }
    }

    /// A simulation's network, as one host sees it; none if this is no simulation. Without a host it is `127.0.0.1`, which
    /// knows nobody but itself.
    pub fn network(&mut self, host: Option<IpAddr>) -> Option<Network<'_>> {
        match &mut self.scheduler {
            Scheduler::Sim(sim) => Some(Network::new(sim, host)),
            Scheduler::Uring(_) | Scheduler::Epoll(_) => None,
        }
    }

    /// Whether a simulation waits for nothing but for whoever uses it: no time that passes brings anything.
    pub fn is_quiet(&self) -> bool {
        match &self.scheduler {
            Scheduler::Sim(sim) => sim.is_quiet(),
            Scheduler::Uring(_) | Scheduler::Epoll(_) => false,
        }
    }

    /// What an operation of a simulation waits for, in words; none of others.
    pub fn describe(&self, token: Token) -> Option<String> {
        match &self.scheduler {
            Scheduler::Sim(sim) => sim.describe(token),
            Scheduler::Uring(_) | Scheduler::Epoll(_) => None,
        }
    }

    fn bell(&self) -> &Bell {
        match &self.scheduler {
            Scheduler::Uring(uring) => uring.bell(),
            Scheduler::Epoll(epoll) => epoll.bell(),
            Scheduler::Sim(sim) => sim.bell(),
        }
    }
}

fn named_by_environment() -> Result<Option<Kind>, DriverError> {
    match std::env::var_os(VARIABLE) {
        Some(word) if !word.is_empty() => match word.to_str().and_then(Kind::named) {
            Some(kind) => Ok(Some(kind)),
            None => Err(Reason::UnknownWord(word).into()),
        },
        _ => Ok(None),
    }
}
