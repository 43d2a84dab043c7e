//! Owns the simulated driver: operations on a network that is not there, at times that a virtual clock tells.
//!
//! An operation is tried, and if it is blocked, parked at its socket; what happens in the [`World`] has it tried again. A
//! wait that finds nothing to do sets the clock to the next thing that happens, or to the time that it may wait until.
//! Real time passes in it never.
//!
//! A simulated socket owns a real one, which is connected to nothing: its descriptor's number stands for it. Descriptors
//! that stand for nothing (files) are used as they are, if that does not block.
//!
//! Invariant: an operation that is parked is in one queue, and `by_token` leads to it.

mod flow;
mod datagram;
mod events;
mod address;
mod sockets;
mod world;
mod connections;
mod datagrams;
mod transfer;

pub(crate) use self::address::HOME;
pub(crate) use self::events::Id;
use self::world::{Side, World};
use crate::clock::Clock;
use crate::conditions::Conditions;
use crate::epoll::attempt::{self, Attempt};
use crate::notifier::Bell;
use crate::op::{Completion, Interest, MOST_BYTES, Op, Submitted, Token};
use crate::syscalls;
use crate::tokens::TokenMap;
use crate::trace::Tracer;
use crate::until::Until;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

pub(crate) struct Sim {
    pub(crate) world: World,
    /// Operations that wait, by the place of their socket.
    parked: Vec<[VecDeque<Parked>; 2]>,
    by_token: TokenMap<(Id, Side)>,
    /// What ended outside a wait.
    completed: Vec<Completion>,
    bell: Bell,
}

#[derive(Debug)]
struct Parked {
    id: Id,
    op: Op,
    token: Token,
    /// How many bytes it has moved, of those that must all be.
    progress: usize,
}

impl Sim {
    /// What it uses, for people.
    pub(crate) const MODES: &'static str = "virtual clock, simulated network";

    pub(crate) fn new(bell: Bell, conditions: Conditions) -> Self {
        let clock = Clock::stopped();
        let tracer = Tracer::new(clock.clone(), conditions.keeps_trace);
        Self {
            world: World::new(conditions, clock, tracer),
            parked: Vec::new(),
            by_token: TokenMap::default(),
            completed: Vec::new(),
            bell,
        }
    }

    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.world.clock
    }

    pub(crate) fn tracer(&self) -> &Tracer {
        &self.world.tracer
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.by_token.len() + self.completed.len()
    }

    /// Whether nothing happens by itself any more.
    pub(crate) fn is_quiet(&self) -> bool {
        self.completed.is_empty() && self.world.touched.is_empty() && self.world.next_time().is_none()
    }

    /// # Safety
    ///
    /// [`Driver::submit`](crate::Driver::submit)'s.
    pub(crate) unsafe fn submit(&mut self, op: Op, token: Token) -> Submitted {
        let Some((fd, direction)) = attempt::target(&op) else { return Submitted::Done(0) };
        let side = if direction == attempt::Direction::Read { Side::Read } else { Side::Write };
        let Some(id) = self.world.find(fd) else {
            // SAFETY: the pointers are valid by this function's contract.
            return Submitted::Done(unsafe { real(&op) });
        };
        let (mut progress, is_patient) = (0, attempt::is_patient(&op));
        let is_behind = is_patient && self.queue(id, side).is_some_and(|queue| !queue.is_empty());
        if !is_behind {
            // SAFETY: the pointers are valid by this function's contract.
            let tried = unsafe { self.attempt(id, &op, &mut progress, true) };
            self.settle();
            match tried {
                Some(result) => return Submitted::Done(result),
                None if !is_patient => return Submitted::Done(-libc::EAGAIN),
                None => {}
            }
        }
        let place = id.place as usize;
        if place >= self.parked.len() {
            self.parked.resize_with(place + 1, Default::default);
        }
        self.parked[place][side as usize].push_back(Parked { id, op, token, progress });
        self.by_token.insert(token, (id, side));
        Submitted::Pending
    }

    /// Tries an operation of a socket. `None`: it is blocked.
    ///
    /// # Safety
    ///
    /// The operation's pointers are valid for what it does with them.
    unsafe fn attempt(&mut self, id: Id, op: &Op, progress: &mut usize, is_first: bool) -> Option<i32> {
        let world = &mut self.world;
        // One message is all there is to a datagram.
        let mask = if world.is_datagram(id) { !libc::MSG_WAITALL } else { !0 };
        match *op {
            Op::Recv { buf, len, flags, .. } => all(len, flags & mask, progress, |done| {
                // SAFETY: `done <= len`, and there are `len` bytes at `buf` by this function's contract.
                let to = unsafe { buf.add(done) };
                // SAFETY: as above.
                unsafe { transfer::receive(world, id, to, len - done, flags) }
            }),
            Op::Send { buf, len, flags, .. } => all(len, flags & mask, progress, |done| {
                // SAFETY: as for `Recv`.
                let from = unsafe { buf.add(done) };
                // SAFETY: as above.
                unsafe { transfer::send(world, id, from, len - done) }
            }),
            // SAFETY: by this function's contract.
            Op::Read { buf, len, .. } => unsafe { transfer::receive(world, id, buf, len, 0) },
            // SAFETY: by this function's contract.
            Op::Write { buf, len, .. } => unsafe { transfer::send(world, id, buf, len) },
            // SAFETY: by this function's contract.
            Op::RecvMsg { msg, flags, .. } => unsafe { transfer::receive_message(world, id, msg, flags) },
            // SAFETY: by this function's contract.
            Op::SendMsg { msg, .. } => unsafe { transfer::send_message(world, id, msg) },
            Op::Accept { addr, addr_len, .. } => match self.accept(id) {
                Ok(Some((fd, peer))) => {
                    // SAFETY: by this function's contract.
                    unsafe { transfer::write_address(peer, addr, addr_len) };
                    Some(std::os::fd::IntoRawFd::into_raw_fd(fd))
                }
                Ok(None) => None,
                Err(errno) => Some(-errno),
            },
            Op::Connect { addr, addr_len, .. } if world.is_datagram(id) => {
                // SAFETY: by this function's contract.
                let associated = unsafe { transfer::address(addr, addr_len) }.and_then(|to| world.associate(id, to));
                Some(associated.map_or_else(|errno| -errno, |()| 0))
            }
            Op::Connect { addr, addr_len, .. } => {
                if is_first {
                    // SAFETY: by this function's contract.
                    let begun = unsafe { transfer::address(addr, addr_len) }.and_then(|to| world.connect(id, to));
                    if let Err(errno) = begun {
                        return Some(-errno);
                    }
                }
                world.connected(id).map(|errno| -errno)
            }
            Op::Poll { interest, .. } => {
                let side = if interest == Interest::Readable { Side::Read } else { Side::Write };
                let mask = world.polled(id, side);
                (mask != 0).then_some(mask.into())
            }
            Op::Nop => Some(0),
        }
    }

    /// Takes a connection that waits at a listener.
    pub(crate) fn accept(&mut self, listener: Id) -> Result<Option<(OwnedFd, SocketAddr)>, i32> {
        let Some(id) = self.world.accept(listener)? else { return Ok(None) };
        // One whose peer has gone meanwhile still has its address.
        let peer = self.world.peer_addr(id).or_else(|_| self.world.local_addr(id))?;
        match syscalls::tcp_socket(peer.is_ipv6()) {
            Ok(fd) => {
                self.stand_for(fd.as_raw_fd(), id);
                Ok(Some((fd, peer)))
            }
            Err(errno) => {
                self.world.unaccept(listener, id);
                Err(errno)
            }
        }
    }

    /// A descriptor stands for a socket.
    pub(crate) fn stand_for(&mut self, fd: RawFd, id: Id) {
        // A number that was closed elsewhere has come back as another one's.
        self.closes(fd);
        self.world.stand_for(fd, id);
    }

    fn queue(&mut self, id: Id, side: Side) -> Option<&mut VecDeque<Parked>> {
        let queue = &mut self.parked.get_mut(id.place as usize)?[side as usize];
        queue.front().is_some_and(|parked| parked.id == id).then_some(queue)
    }

    /// Tries again what waits where something has changed.
    pub(crate) fn settle(&mut self) {
        while let Some((id, side)) = self.world.touched.pop_front() {
            while let Some(&mut Parked { op, token, mut progress, .. }) =
                self.queue(id, side).and_then(|queue| queue.front_mut())
            {
                // SAFETY: S3: its completion has not been handed out, so its pointers are valid (`Driver::submit`).
                let tried = unsafe { self.attempt(id, &op, &mut progress, false) };
                let Some(queue) = self.queue(id, side) else { break };
                match tried {
                    Some(result) => {
                        queue.pop_front();
                        self.by_token.remove(token);
                        self.completed.push(Completion { token, result });
                    }
                    None => {
                        if let Some(parked) = queue.front_mut() {
                            parked.progress = progress;
                        }
                        break;
                    }
                }
            }
        }
    }

    pub(crate) fn cancel(&mut self, token: Token) {
        let Some(&(id, side)) = self.by_token.get(token) else { return };
        let Some(queue) = self.queue(id, side) else { return };
        if let Some(index) = queue.iter().position(|parked| parked.token == token)
            && let Some(parked) = queue.remove(index)
        {
            self.by_token.remove(token);
            self.completed.push(Completion { token, result: attempt::cancelled(parked.progress) });
            // Whoever stood behind it may be able to go on.
            self.world.touched.push_back((id, side));
            self.settle();
        }
    }

    /// Before a descriptor is closed.
    pub(crate) fn closes(&mut self, fd: RawFd) {
        let resets = self.world.find(fd).is_some() && syscalls::resets_on_close(fd);
        if let Some(id) = self.world.close(fd, resets) {
            for side in [Side::Read, Side::Write] {
                while let Some(parked) = self.queue(id, side).and_then(VecDeque::pop_front) {
                    self.by_token.remove(parked.token);
                    let result = attempt::cancelled(parked.progress);
                    self.completed.push(Completion { token: parked.token, result });
                }
            }
        }
        self.settle();
    }

    /// Never sleeps: where it would, time goes on.
    pub(crate) fn wait(&mut self, until: Until, out: &mut Vec<Completion>) -> io::Result<()> {
        self.bell.hush();
        self.happen();
        out.append(&mut self.completed);
        if until == Until::Now || !out.is_empty() {
            return Ok(());
        }
        let limit = match until {
            Until::Deadline(at) => Some(at),
            Until::Now | Until::Forever => None,
        };
        let now = self.world.now();
        let next = self.world.next_time();
        let next = next.and_then(|next| self.clock().now().checked_add(Duration::from_nanos(next - next.min(now))));
        if let Some(to) = next.into_iter().chain(limit).min() {
            self.clock().advance_to(to);
        }
        self.happen();
        out.append(&mut self.completed);
        Ok(())
    }

    /// Has everything happen whose time has come.
    fn happen(&mut self) {
        self.settle();
        while self.world.happen() {
            self.settle();
        }
    }

    /// What an operation waits for, for people.
    pub(crate) fn describe(&self, token: Token) -> Option<String> {
        let &(id, side) = self.by_token.get(token)?;
        let queue = &self.parked.get(id.place as usize)?[side as usize];
        let parked = queue.iter().find(|parked| parked.token == token)?;
        let does = match parked.op {
            Op::Recv { .. } | Op::RecvMsg { .. } | Op::Read { .. } => "receives from",
            Op::Send { .. } | Op::SendMsg { .. } | Op::Write { .. } => "sends to",
            Op::Accept { .. } => "waits for a connection at",
            // So does who accepts where his descriptor does not block.
            Op::Poll { .. } if self.world.listens(id) => "waits for a connection at",
            Op::Connect { .. } => "waits for",
            Op::Poll { interest: Interest::Readable, .. } => "waits to read from",
            Op::Poll { interest: Interest::Writable, .. } => "waits to write to",
            Op::Nop => "waits for",
        };
        Some(format!("{does} {}", self.world.describe(id)))
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        // Nobody is told any more: what an operation points to is not used again.
        self.world.end();
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").field("clock", self.clock()).field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

/// Moves bytes once, or with `MSG_WAITALL` until all have been moved.
fn all(len: usize, flags: i32, progress: &mut usize, mut transfer: impl FnMut(usize) -> Option<i32>) -> Option<i32> {
    let is_all = flags & (libc::MSG_WAITALL | libc::MSG_PEEK) == libc::MSG_WAITALL;
    loop {
        match transfer(*progress)? {
            moved @ 1.. => {
                *progress += moved as usize;
                if !is_all || *progress >= len.min(MOST_BYTES) {
                    return Some(*progress as i32);
                }
            }
            ended if *progress == 0 => return Some(ended),
            _ => return Some(*progress as i32),
        }
    }
}

/// Does an operation on what is no simulated socket: at once, if it does not block. What blocks waits for a world that is
/// not there.
///
/// # Safety
///
/// The operation's pointers are valid for what it does with them.
unsafe fn real(op: &Op) -> i32 {
    // SAFETY: by this function's contract.
    match unsafe { attempt::first(op, &mut 0) } {
        Attempt::Done(result) => result,
        Attempt::Blocked | Attempt::Stalled if !attempt::is_patient(op) => -libc::EAGAIN,
        // SAFETY: by this function's contract.
        Attempt::Blocked | Attempt::Stalled if syscalls::is_regular(op_fd(op)) => unsafe { attempt::blocking(op) },
        Attempt::Blocked | Attempt::Stalled => -libc::EOPNOTSUPP,
    }
}

fn op_fd(op: &Op) -> RawFd {
    attempt::target(op).map_or(-1, |(fd, _)| fd)
}
