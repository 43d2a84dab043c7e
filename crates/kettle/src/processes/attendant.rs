//! Owns the supervisor's side of one worker, for who talks with it; and what a supervisor's tasks share.
#![forbid(unsafe_code)]

use super::channel::Channel;
use super::crew::{Crew, Id};
use super::status::Status;
use crate::sync::mpsc;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::process::ExitStatus;

/// What happens to a supervisor.
pub(super) enum Event {
    Ready(Id),
    Leaving(Id),
    Exited(Id, io::Result<ExitStatus>),
    Stop,
    Reload,
    Report,
}

/// What its tasks share.
pub(super) struct Shared {
    pub(super) crew: RefCell<Crew>,
    pub(super) events: mpsc::Sender<Event>,
}

impl Shared {
    pub(super) fn tell(&self, event: Event) {
        // Nobody listens when all is over.
        _ = self.events.send(event);
    }

    pub(super) fn status(&self) -> Status {
        self.crew.borrow().status(kettle_rt::now())
    }
}

/// A worker process as its supervisor sees it: see [`Processes::attend`](super::Processes::attend).
///
/// `Up` is what the worker sends, `Down` what it receives.
pub struct Attendant<'a, Up = (), Down = ()> {
    pub(super) index: usize,
    pub(super) pid: u32,
    pub(super) channel: Channel<Down, Up>,
    pub(super) shared: &'a Shared,
}

impl<Up, Down> Attendant<'_, Up, Down> {
    /// Which worker it is.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The way to it. It ends when the worker has.
    pub fn channel(&self) -> &Channel<Down, Up> {
        &self.channel
    }

    /// How all workers are.
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Has all workers replaced by new ones, as SIGHUP does. It does not wait for that.
    pub fn reload(&self) {
        self.shared.tell(Event::Reload);
    }

    /// Has all workers finish and end, as SIGTERM does; at once, the second time. It does not wait for that.
    pub fn stop(&self) {
        self.shared.tell(Event::Stop);
    }
}

impl<Up, Down> fmt::Debug for Attendant<'_, Up, Down> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attendant").field("index", &self.index).field("pid", &self.pid).finish_non_exhaustive()
    }
}
