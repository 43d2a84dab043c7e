//! Owns what a supervisor decides: who is started, asked to end, killed, and when it is over.
//!
//! It does nothing itself: it is told what has happened, and at what time, and gives [`Action`]s. The supervisor does
//! them in their order. Invariant: each index has a process of the current version, or a time at which one is started,
//! unless all are to end.
//!
//! ```text
//!   started ──► Starting ── ready ──► Ready ── asked, or by itself ──► Draining ── exited ──► gone
//!                  └─────────────────────┴── exited: a death ──► Waiting ──► started again
//! ```
//!
//! A reload starts the next version of all workers beside the current one. When all of them are ready, the current ones
//! are asked to end; if one of them dies before that, they are asked to end instead, and nothing has changed.
#![forbid(unsafe_code)]

use super::status::{State, Status, WorkerStatus};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// What a user may set.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) count: usize,
    pub(super) ready_within: Duration,
    pub(super) drain_within: Duration,
    pub(super) first_delay: Duration,
    pub(super) most_delay: Duration,
    pub(super) most_deaths: usize,
    pub(super) window: Duration,
}

/// A process's name; its pid may come back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Id(u64);

/// Which executable a process runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Version {
    Current,
    /// That of the reload which is under way.
    Next,
}

/// What is to be done.
#[derive(PartialEq, Debug)]
pub(super) enum Action {
    /// Find out what the next version is; if it can't be had, [`Crew::give_up`].
    FindNext,
    /// [`Crew::started`] or [`Crew::not_started`] is the answer.
    Start(usize, Version),
    Drain(Id),
    Kill(Id),
    /// The next version is the current one from now on.
    Adopt,
    Say(String),
}

/// How a process has died.
#[derive(Clone, Debug)]
pub(super) enum Death {
    Exited(ExitStatus),
    /// Killed after that time.
    NotReady(Duration),
    NotStarted(String),
}

/// What has ended a crew that nobody has asked to end, or not like that.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    CrashLoop(CrashLoop),
    Forced,
}

/// Who has died too often.
#[derive(Clone, Debug)]
pub(super) struct CrashLoop {
    index: usize,
    deaths: usize,
    window: Duration,
    pub(super) last: Death,
}

/// See the module.
pub(super) struct Crew {
    rules: Rules,
    slots: Vec<Slot>,
    members: BTreeMap<Id, Member>,
    last_id: u64,
    phase: Phase,
    reloads: u64,
    actions: VecDeque<Action>,
}

#[derive(Debug)]
enum Phase {
    Serving,
    /// And whether that was asked for once more meanwhile.
    Reloading {
        again: bool,
    },
    Stopping(Option<Failure>),
}

/// What is known of an index.
#[derive(Default)]
struct Slot {
    /// Within the window.
    deaths: VecDeque<Instant>,
    restarts: u64,
    /// When the last process of it ended.
    ended: Option<Instant>,
    /// It waits, since then, until then: for ever, if no clock gets there.
    waits: Option<(Instant, Option<Instant>)>,
}

/// A process.
struct Member {
    index: usize,
    version: Version,
    pid: u32,
    state: State,
    since: Instant,
    /// When it is killed.
    deadline: Option<Instant>,
    /// Its time was up.
    is_overdue: bool,
}

impl Crew {
    /// One whose workers are to be started at once.
    pub(super) fn new(rules: Rules) -> Self {
        let slots = (0..rules.count).map(|_| Slot::default()).collect();
        let actions = (0..rules.count).map(|index| Action::Start(index, Version::Current)).collect();
        let (members, phase) = (BTreeMap::new(), Phase::Serving);
        Self { rules, slots, members, last_id: 0, phase, reloads: 0, actions }
    }

    pub(super) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whether it is over, and how.
    pub(super) fn end(&self) -> Option<Result<(), Failure>> {
        match &self.phase {
            Phase::Stopping(failure) if self.members.is_empty() => Some(failure.clone().map_or(Ok(()), Err)),
            _ => None,
        }
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waits = self.slots.iter().filter_map(|slot| slot.waits.and_then(|(_, until)| until));
        self.members.values().filter_map(|member| member.deadline).chain(waits).min()
    }

    // --- what has happened ---

    pub(super) fn started(&mut self, index: usize, version: Version, pid: u32, now: Instant) -> Id {
        self.last_id += 1;
        let id = Id(self.last_id);
        let deadline = now.checked_add(self.rules.ready_within);
        let state = State::Starting;
        self.members.insert(id, Member { index, version, pid, state, since: now, deadline, is_overdue: false });
        if let Phase::Stopping(_) = self.phase {
            self.drain(id, now);
        }
        id
    }

    pub(super) fn not_started(&mut self, index: usize, version: Version, error: &std::io::Error, now: Instant) {
        self.died(index, version, Death::NotStarted(error.to_string()), now);
    }

    /// It has said that it serves.
    pub(super) fn ready(&mut self, id: Id, now: Instant) {
        let Some(member) = self.members.get_mut(&id).filter(|member| member.state == State::Starting) else { return };
        (member.state, member.since, member.deadline) = (State::Ready, now, None);
        let is_complete = (0..self.slots.len()).all(|index| {
            let mut members = self.members.values();
            members.any(|member| (member.index, member.version, member.state) == (index, Version::Next, State::Ready))
        });
        if let Phase::Reloading { again } = self.phase
            && is_complete
        {
            self.actions.push_back(Action::Adopt);
            self.drain_all(Version::Current, now);
            self.members.values_mut().for_each(|member| member.version = Version::Current);
            self.slots.iter_mut().for_each(|slot| slot.waits = None);
            self.reloads += 1;
            self.say(format!("reloaded: {} new workers serve, and those before them finish", self.slots.len()));
            self.end_reload(again);
        }
    }

    /// It has said that it is about to end: somebody else has asked it to.
    pub(super) fn leaving(&mut self, id: Id, now: Instant) {
        let Some(member) = self.members.get(&id).filter(|member| member.state != State::Draining) else { return };
        let (index, version, pid) = (member.index, member.version, member.pid);
        self.drain(id, now);
        self.say(format!("worker {index} pid {pid} was asked to end"));
        match version {
            Version::Next => self.give_up(&format!("worker {index} pid {pid} was asked to end"), now),
            Version::Current => {
                // As a rule the same signal has been sent to the supervisor, which is about to hear it.
                let delay = self.rules.first_delay.min(self.rules.most_delay);
                self.slots[index].waits = Some((now, now.checked_add(delay)));
            }
        }
    }

    pub(super) fn exited(&mut self, id: Id, status: ExitStatus, now: Instant) {
        let Some(member) = self.members.remove(&id) else { return };
        let Member { index, version, pid, state, is_overdue, .. } = member;
        self.slots[index].ended = Some(now);
        if state == State::Draining {
            if is_overdue {
                let time = self.rules.drain_within;
                self.say(format!("worker {index} pid {pid} had not finished within {time:?}, and was killed"));
            } else if !status.success() {
                self.say(format!("worker {index} pid {pid} failed while it finished: {status}"));
            }
            return;
        }
        let death = if is_overdue { Death::NotReady(self.rules.ready_within) } else { Death::Exited(status) };
        self.say(format!("worker {index} pid {pid} died: {death}"));
        self.died(index, version, death, now);
    }

    fn died(&mut self, index: usize, version: Version, death: Death, now: Instant) {
        if let Phase::Stopping(_) = self.phase {
            return;
        }
        if version == Version::Next {
            return self.give_up(&format!("worker {index} of the new ones: {death}"), now);
        }
        let Rules { most_deaths, window, .. } = self.rules;
        let slot = &mut self.slots[index];
        slot.deaths.push_back(now);
        while slot.deaths.front().is_some_and(|&death| now.saturating_duration_since(death) > window) {
            slot.deaths.pop_front();
        }
        let deaths = slot.deaths.len();
        if deaths > most_deaths {
            let crashes = CrashLoop { index, deaths, window, last: death };
            self.say(format!("{crashes}; all workers end"));
            self.end_all(Some(Failure::CrashLoop(crashes)), now);
            return;
        }
        // The first one comes back at once, the second one after a delay, which doubles.
        let delay = match deaths.checked_sub(2) {
            Some(doublings) => self.rules.first_delay.saturating_mul(1 << doublings.min(30)).min(self.rules.most_delay),
            None => Duration::ZERO,
        };
        slot.waits = Some((now, now.checked_add(delay)));
        self.tick(now);
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Instant) {
        for index in 0..self.slots.len() {
            if self.slots[index].waits.and_then(|(_, until)| until).is_some_and(|until| until <= now) {
                self.slots[index].waits = None;
                self.restart(index);
            }
        }
        for (&id, member) in &mut self.members {
            if member.deadline.is_some_and(|deadline| deadline <= now) {
                (member.deadline, member.is_overdue) = (None, true);
                self.actions.push_back(Action::Kill(id));
            }
        }
    }

    // --- what somebody wants ---

    /// Replaces all workers.
    pub(super) fn reload(&mut self) {
        match &mut self.phase {
            Phase::Serving => {
                self.phase = Phase::Reloading { again: false };
                self.actions.push_back(Action::FindNext);
                let starts = (0..self.slots.len()).map(|index| Action::Start(index, Version::Next));
                self.actions.extend(starts);
            }
            Phase::Reloading { again } => *again = true,
            Phase::Stopping(_) => {}
        }
    }

    /// Ends a reload that can't succeed.
    pub(super) fn give_up(&mut self, why: &str, now: Instant) {
        let Phase::Reloading { again } = self.phase else { return };
        self.say(format!("reload given up, the workers before it serve on: {why}"));
        self.actions.retain(|action| !matches!(action, Action::Start(_, Version::Next)));
        self.drain_all(Version::Next, now);
        self.end_reload(again);
    }

    fn end_reload(&mut self, again: bool) {
        self.phase = Phase::Serving;
        if again {
            self.reload();
        }
    }

    /// Ends all workers; at once the second time.
    pub(super) fn stop(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Serving | Phase::Reloading { .. } => self.end_all(None, now),
            Phase::Stopping(failure) => {
                if failure.is_none() {
                    *failure = Some(Failure::Forced);
                }
                self.actions.extend(self.members.keys().map(|&id| Action::Kill(id)));
            }
        }
    }

    fn end_all(&mut self, failure: Option<Failure>, now: Instant) {
        self.phase = Phase::Stopping(failure);
        self.actions.retain(|action| !matches!(action, Action::Start(..) | Action::FindNext));
        for slot in &mut self.slots {
            slot.ended = slot.waits.take().map(|(since, _)| since).or(slot.ended);
        }
        self.drain_all(Version::Current, now);
        self.drain_all(Version::Next, now);
    }

    fn restart(&mut self, index: usize) {
        if !matches!(self.phase, Phase::Stopping(_)) {
            self.slots[index].restarts += 1;
            self.actions.push_back(Action::Start(index, Version::Current));
        }
    }

    fn drain_all(&mut self, version: Version, now: Instant) {
        let ids: Vec<_> =
            self.members.iter().filter(|(_, member)| member.version == version).map(|(&id, _)| id).collect();
        ids.into_iter().for_each(|id| self.drain(id, now));
    }

    fn drain(&mut self, id: Id, now: Instant) {
        let deadline = now.checked_add(self.rules.drain_within);
        if let Some(member) = self.members.get_mut(&id).filter(|member| member.state != State::Draining) {
            (member.state, member.since, member.deadline) = (State::Draining, now, deadline);
            self.actions.push_back(Action::Drain(id));
        }
    }

    fn say(&mut self, text: String) {
        self.actions.push_back(Action::Say(text));
    }

    // --- what is asked ---

    pub(super) fn status(&self, now: Instant) -> Status {
        let mut workers: Vec<_> = self.members.values().map(|member| self.status_of(member, now)).collect();
        for (index, slot) in self.slots.iter().enumerate() {
            let (state, since) = match slot.waits {
                Some((since, _)) => (State::Waiting, since),
                None if self.members.values().any(|member| member.index == index) => continue,
                None if matches!(self.phase, Phase::Stopping(_)) => (State::Ended, slot.ended.unwrap_or(now)),
                // It is about to be started.
                None => (State::Waiting, now),
            };
            let elapsed = now.saturating_duration_since(since);
            workers.push(WorkerStatus { index, pid: None, state, restarts: slot.restarts, elapsed });
        }
        workers.sort_by_key(|worker| worker.index);
        Status { workers, reloads: self.reloads }
    }

    fn status_of(&self, member: &Member, now: Instant) -> WorkerStatus {
        let &Member { index, pid, state, since, .. } = member;
        let elapsed = now.saturating_duration_since(since);
        WorkerStatus { index, pid: Some(pid), state, restarts: self.slots[index].restarts, elapsed }
    }
}

impl Death {
    pub(super) fn status(&self) -> Option<ExitStatus> {
        match self {
            Self::Exited(status) => Some(*status),
            Self::NotReady(_) | Self::NotStarted(_) => None,
        }
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) if status.success() => write!(f, "{status}, though nobody had asked it to end"),
            Self::Exited(status) => status.fmt(f),
            Self::NotReady(time) => {
                write!(f, "killed, for it was not ready within {time:?}: it has to accept, or to call `Worker::ready`")
            }
            Self::NotStarted(error) => write!(f, "it could not be started: {error}"),
        }
    }
}

impl fmt::Display for CrashLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, deaths, window, last } = self;
        write!(f, "worker {index} has died {deaths} times within {window:?}, the last time by: {last}")
    }
}

#[cfg(test)]
mod tests;
