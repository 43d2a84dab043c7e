//! Owns the driver for kernels without io_uring: each operation is tried, and if it blocks, tried again when its
//! descriptor is ready.
//!
//! A descriptor is registered once, for all edges in both directions, when an operation on it first blocks. Nothing that
//! is ready is lost: an operation parks after an attempt that blocked, and what becomes ready later is an edge that the
//! next wait sees. Where operations wait already, a new one goes behind them.
//!
//! One attempt is saved: a receive on TCP that returns less than there was room for has emptied the socket, so the next
//! one parks at once. (Not after a hang-up or urgent data: there the end, or more, may be behind a short count.)

pub(crate) mod attempt;
mod parked;
mod descriptors;

use self::attempt::{Attempt, Direction};
use self::descriptors::{Descriptor, Registration, Table};
use self::parked::{Parked, Slab};
use crate::error::{DriverError, Reason};
use crate::notifier::Bell;
use crate::op::{Completion, Op, Submitted, Token};
use crate::syscalls;
use crate::until::Until;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// What a descriptor is registered for: all that can happen to it, when it happens.
const ALL_EDGES: i32 = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLPRI | libc::EPOLLET;
const HANG_UPS: i32 = libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR;
const READ_EVENTS: i32 = libc::EPOLLIN | libc::EPOLLPRI | HANG_UPS;
const WRITE_EVENTS: i32 = libc::EPOLLOUT | libc::EPOLLHUP | libc::EPOLLERR;

/// How long it must be quiet before registrations in doubt are looked into.
const QUIET: Duration = Duration::from_millis(20);

/// How often what no event will wake is tried again.
const STALL: Duration = Duration::from_millis(1);

/// How many registrations are looked into in one go: it must not take long.
const MOST_AT_ONCE: usize = 256;

/// After so many waits one registration in doubt is looked into, if it is never quiet.
const SOME_WAITS: u32 = 64;

pub(crate) struct Epoll {
    epoll: OwnedFd,
    bell: Bell,
    descriptors: Table,
    parked: Slab,
    /// Descriptors whose registration is in doubt, or was.
    doubts: VecDeque<RawFd>,
    /// Descriptors with an operation that no event will wake.
    stalled: Vec<RawFd>,
    /// When they were last tried.
    stall: Instant,
    /// What ended outside a wait.
    completed: Vec<Completion>,
    /// Empty but for its room.
    events: Vec<libc::epoll_event>,
    spin: Duration,
    waits: u32,
}

impl Epoll {
    /// What it uses, for people.
    pub(crate) const MODES: &'static str = "edge-triggered";

    pub(crate) fn new(bell: Bell, events: usize, spin: Duration) -> Result<Self, DriverError> {
        let failed = |doing| move |error| Reason::System { doing, error };
        let epoll = syscalls::epoll().map_err(failed("epoll_create1"))?;
        syscalls::epoll_ctl(&epoll, libc::EPOLL_CTL_ADD, bell.fd(), libc::EPOLLIN | libc::EPOLLET, Token::NOTIFIED.0)
            .map_err(io::Error::from_raw_os_error)
            .map_err(failed("epoll_ctl"))?;
        Ok(Self {
            epoll,
            bell,
            descriptors: Table::default(),
            parked: Slab::default(),
            doubts: VecDeque::new(),
            stalled: Vec::new(),
            stall: Instant::now(),
            completed: Vec::new(),
            events: Vec::with_capacity(events.max(1)),
            spin,
            waits: 0,
        })
    }

    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.parked.len() + self.completed.len()
    }

    /// # Safety
    ///
    /// [`Driver::submit`](crate::Driver::submit)'s.
    pub(crate) unsafe fn submit(&mut self, op: Op, token: Token) -> Submitted {
        let Some((fd, direction)) = attempt::target(&op) else { return Submitted::Done(0) };
        let is_patient = attempt::is_patient(&op);
        let (mut progress, mut is_stalled) = (0, false);
        let is_behind = is_patient
            && self.descriptors.get_mut(fd).is_some_and(|known| {
                !known.queue(direction).is_empty() || known.is_dry && matches!(op, Op::Recv { .. })
            });
        if !is_behind {
            // SAFETY: the pointers are valid by this function's contract.
            match unsafe { attempt::first(&op, &mut progress) } {
                Attempt::Done(result) => {
                    self.note(&op, result);
                    return Submitted::Done(result);
                }
                Attempt::Blocked | Attempt::Stalled if !is_patient => return Submitted::Done(-libc::EAGAIN),
                Attempt::Blocked => {}
                Attempt::Stalled => is_stalled = true,
            }
        }
        match self.register(fd) {
            Ok(()) => {
                let queue = self.descriptors.entry(fd).queue(direction);
                let index = self.parked.park(queue, op, token, (fd, direction), progress);
                if is_stalled {
                    self.parked.get_mut(index).is_stalled = true;
                    self.stalled.push(fd);
                }
                Submitted::Pending
            }
            Err(libc::EPERM) => {
                // SAFETY: as above.
                Submitted::Done(unsafe { attempt::blocking(&op) })
            }
            Err(errno) => Submitted::Done(if progress > 0 { progress as i32 } else { -errno }),
        }
    }

    pub(crate) fn cancel(&mut self, token: Token) {
        let Some(index) = self.parked.find(token) else { return };
        let &Parked { fd, direction, .. } = self.parked.get(index);
        let queue = self.descriptors.entry(fd).queue(direction);
        let (token, progress) = self.parked.unpark(queue, index);
        self.completed.push(Completion { token, result: attempt::cancelled(progress) });
    }

    /// Before a descriptor is closed.
    pub(crate) fn closes(&mut self, number: RawFd) {
        if let Some(descriptor) = self.descriptors.get_mut(number) {
            if descriptor.registration != Registration::None {
                // It may be another file by now: then there is nothing to remove.
                _ = syscalls::epoll_ctl(&self.epoll, libc::EPOLL_CTL_DEL, number, 0, 0);
                descriptor.forget();
            }
            Self::give_up(&mut self.parked, descriptor, -libc::ECANCELED, &mut self.completed);
        }
    }

    /// When a descriptor comes from elsewhere: what is known by its number may be of a file that has gone.
    pub(crate) fn adopts(&mut self, number: RawFd) {
        let Some(descriptor) = self.descriptors.get_mut(number) else { return };
        if descriptor.registration == Registration::None {
            return;
        }
        if descriptor.is_idle() {
            // If it is the same file after all, registering it again will say so.
            descriptor.forget();
            return;
        }
        let data = descriptor.data(number);
        match syscalls::epoll_ctl(&self.epoll, libc::EPOLL_CTL_MOD, number, ALL_EDGES, data) {
            // The same file, in two hands.
            Ok(()) => descriptor.registration = Registration::Proven,
            // Closed elsewhere under those who wait. They must not have what is the new one's.
            Err(_) => {
                descriptor.forget();
                Self::give_up(&mut self.parked, descriptor, -libc::ECANCELED, &mut self.completed);
            }
        }
    }

    /// Before a descriptor is given away: its events are no business of this driver any more, unless somebody waits.
    pub(crate) fn releases(&mut self, number: RawFd) {
        if let Some(descriptor) = self.descriptors.get_mut(number)
            && descriptor.registration != Registration::None
            && descriptor.is_idle()
        {
            _ = syscalls::epoll_ctl(&self.epoll, libc::EPOLL_CTL_DEL, number, 0, 0);
            descriptor.forget();
        }
    }

    pub(crate) fn wait(&mut self, until: Until, out: &mut Vec<Completion>) -> io::Result<()> {
        let before = out.len();
        out.append(&mut self.completed);
        self.waits = self.waits.wrapping_add(1);
        if self.waits.is_multiple_of(SOME_WAITS) {
            self.settle(1, out);
        }
        self.retry_stalled(out);
        if until == Until::Now || out.len() > before {
            self.bell.hush();
            return if self.parked.is_empty() { Ok(()) } else { self.look(Some(Duration::ZERO), out).map(drop) };
        }
        if self.spin > Duration::ZERO && self.spin(until, out)? {
            return Ok(());
        }
        loop {
            let left = until.left();
            // Before a long sleep it is made certain that those who sleep will be woken.
            let settles = !self.doubts.is_empty() && left.is_none_or(|left| left > QUIET);
            let sleeps = self.bell.doze();
            let timeout = match (sleeps, settles) {
                (false, _) => Some(Duration::ZERO),
                (true, _) if !self.stalled.is_empty() => Some(left.map_or(STALL, |left| left.min(STALL))),
                (true, true) => Some(QUIET),
                (true, false) => left,
            };
            let looked = self.look(timeout, out);
            let is_notified = !sleeps || self.bell.rouse();
            let looked = looked?;
            let is_over = left == Some(Duration::ZERO);
            if out.len() > before || is_notified || is_over || looked == Looked::Interrupted {
                return Ok(());
            }
            if looked == Looked::Quiet {
                if timeout == left {
                    return Ok(());
                }
                self.settle(MOST_AT_ONCE, out);
                self.retry_stalled(out);
                if out.len() > before {
                    return Ok(());
                }
            }
            // Otherwise there were edges that helped nobody, or the late one of a notification that is known.
        }
    }

    /// Looks for events again and again for a while; whether there is a reason to go back to the caller.
    fn spin(&mut self, until: Until, out: &mut Vec<Completion>) -> io::Result<bool> {
        let before = out.len();
        let end = Instant::now() + self.spin;
        loop {
            self.look(Some(Duration::ZERO), out)?;
            if out.len() > before || self.bell.hush() || until.left() == Some(Duration::ZERO) {
                return Ok(true);
            }
            if Instant::now() >= end {
                return Ok(false);
            }
        }
    }

    /// Waits for events once, and does what they make possible.
    fn look(&mut self, timeout: Option<Duration>, out: &mut Vec<Completion>) -> io::Result<Looked> {
        match syscalls::epoll_wait(&self.epoll, &mut self.events, timeout) {
            Ok(()) if self.events.is_empty() => return Ok(Looked::Quiet),
            Ok(()) => {}
            Err(libc::EINTR) => return Ok(Looked::Interrupted),
            Err(errno) => return Err(io::Error::from_raw_os_error(errno)),
        }
        let events = std::mem::take(&mut self.events);
        for event in &events {
            self.happened(event.u64, event.events.cast_signed(), out);
        }
        self.events = events;
        Ok(Looked::Busy)
    }

    /// Takes up an event: tries again what has waited for it.
    fn happened(&mut self, data: u64, events: i32, out: &mut Vec<Completion>) {
        let fd = data as u32 as RawFd;
        let generation = (data >> 32) as u32;
        // Others are the bell's, or of a file that had this number before.
        let Some(descriptor) = self.descriptors.get_mut(fd).filter(|found| found.generation == generation) else {
            return;
        };
        if descriptor.registration == Registration::None {
            return;
        }
        if events & READ_EVENTS != 0 {
            descriptor.is_dry = false;
            descriptor.short_is_dry &= events & (HANG_UPS | libc::EPOLLPRI) == 0;
            self.retry(fd, Direction::Read, Cause::Event, out);
        }
        if events & WRITE_EVENTS != 0 {
            self.retry(fd, Direction::Write, Cause::Event, out);
        }
    }

    /// Tries what no event will wake, if it is time.
    fn retry_stalled(&mut self, out: &mut Vec<Completion>) {
        if self.stalled.is_empty() || self.stall.elapsed() < STALL {
            return;
        }
        self.stall = Instant::now();
        for index in (0..self.stalled.len()).rev() {
            let fd = self.stalled[index];
            self.retry(fd, Direction::Write, Cause::Clock, out);
            if self.descriptors.entry(fd).writers.is_empty() {
                self.stalled.swap_remove(index);
            }
        }
    }

    /// Tries what waits in one direction, until something is blocked. What the completions bring about comes later, so
    /// this ends.
    fn retry(&mut self, fd: RawFd, direction: Direction, cause: Cause, out: &mut Vec<Completion>) {
        while let Some(index) = self.descriptors.entry(fd).queue(direction).first() {
            let parked = self.parked.get_mut(index);
            if parked.is_stalled && cause == Cause::Event {
                return;
            }
            let op = parked.op;
            // SAFETY: S3: its completion has not been handed out, so its pointers are valid (`Driver::submit`).
            let result = match unsafe { attempt::again(&op, &mut parked.progress) } {
                Attempt::Done(result) => result,
                Attempt::Blocked => return,
                Attempt::Stalled => {
                    parked.is_stalled = true;
                    return;
                }
            };
            let descriptor = self.descriptors.entry(fd);
            // An event that helps nobody proves nothing: it may be of a former file that lives on in a duplicate.
            descriptor.registration = Registration::Proven;
            let (token, _) = self.parked.unpark(descriptor.queue(direction), index);
            self.note(&op, result);
            out.push(Completion { token, result });
        }
    }

    /// Learns from what an operation has returned.
    fn note(&mut self, op: &Op, result: i32) {
        match *op {
            Op::Recv { fd, len, flags, .. } if result > 0 && (result as usize) < len => {
                if flags & !libc::MSG_NOSIGNAL == 0
                    && let Some(descriptor) = self.descriptors.get_mut(fd)
                {
                    // Unless it was registered no edge is on its way.
                    descriptor.is_dry = descriptor.short_is_dry && descriptor.registration != Registration::None;
                }
            }
            Op::Accept { .. } if result >= 0 => self.adopts(result),
            _ => {}
        }
    }

    /// Makes sure that there will be an edge when a descriptor becomes ready.
    fn register(&mut self, fd: RawFd) -> Result<(), i32> {
        let descriptor = self.descriptors.entry(fd);
        match descriptor.registration {
            Registration::None => self.add(fd),
            Registration::Unproven => Ok(()),
            Registration::Proven => {
                descriptor.registration = Registration::Unproven;
                if !std::mem::replace(&mut descriptor.is_listed, true) {
                    self.doubts.push_back(fd);
                }
                Ok(())
            }
        }
    }

    fn add(&mut self, fd: RawFd) -> Result<(), i32> {
        let descriptor = self.descriptors.entry(fd);
        descriptor.generation = descriptor.generation.wrapping_add(1);
        let data = descriptor.data(fd);
        match syscalls::epoll_ctl(&self.epoll, libc::EPOLL_CTL_ADD, fd, ALL_EDGES, data) {
            Ok(()) => {}
            // This very file was registered under this number before: it was given away and has come back.
            Err(libc::EEXIST) => syscalls::epoll_ctl(&self.epoll, libc::EPOLL_CTL_MOD, fd, ALL_EDGES, data)?,
            Err(errno) => return Err(errno),
        }
        descriptor.registration = Registration::Proven;
        descriptor.is_dry = false;
        descriptor.short_is_dry = syscalls::socket_option(fd, libc::SO_PROTOCOL) == Ok(libc::IPPROTO_TCP);
        Ok(())
    }

    /// Asks the kernel about registrations in doubt on which somebody waits, `most` of them.
    fn settle(&mut self, most: usize, out: &mut Vec<Completion>) {
        let mut asked = 0;
        while asked < most
            && let Some(fd) = self.doubts.pop_front()
        {
            let descriptor = self.descriptors.entry(fd);
            descriptor.is_listed = false;
            if descriptor.registration != Registration::Unproven || descriptor.is_idle() {
                continue;
            }
            asked += 1;
            let data = descriptor.data(fd);
            // Besides answering, this makes an edge of what is ready.
            let settled = match syscalls::epoll_ctl(&self.epoll, libc::EPOLL_CTL_MOD, fd, ALL_EDGES, data) {
                Ok(()) => {
                    descriptor.registration = Registration::Proven;
                    Ok(())
                }
                Err(libc::ENOENT) => {
                    descriptor.forget();
                    self.add(fd)
                }
                Err(errno) => Err(errno),
            };
            if let Err(errno) = settled {
                let descriptor = self.descriptors.entry(fd);
                descriptor.forget();
                Self::give_up(&mut self.parked, descriptor, -errno, out);
            }
        }
    }

    /// Ends all that waits on a descriptor.
    fn give_up(parked: &mut Slab, descriptor: &mut Descriptor, result: i32, out: &mut Vec<Completion>) {
        for direction in [Direction::Read, Direction::Write] {
            let queue = descriptor.queue(direction);
            while let Some(index) = queue.first() {
                let (token, progress) = parked.unpark(queue, index);
                out.push(Completion { token, result: if progress > 0 { progress as i32 } else { result } });
            }
        }
    }
}

impl fmt::Debug for Epoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epoll")
            .field("fd", &self.epoll.as_raw_fd())
            .field("parked", &self.parked.len())
            .field("doubts", &self.doubts.len())
            .finish_non_exhaustive()
    }
}

/// Why parked operations are tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cause {
    /// Something has happened to their descriptor.
    Event,
    /// Some time has passed. What is stalled waits for that only: its attempts may make events themselves.
    Clock,
}

/// How one look for events ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Looked {
    /// There were some.
    Busy,
    /// There were none in the time.
    Quiet,
    /// A signal came.
    Interrupted,
}
