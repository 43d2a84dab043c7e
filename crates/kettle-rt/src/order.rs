//! Owns the order of a simulation: what is chosen where nobody has been promised what, and what is known of its tasks.
//!
//! Each choice has a number, counted from 0. The first of the things that there are to choose from is what a loop would do
//! that is no simulation: first in, first out. Others are *deviations*. A seed says how rare they are, and which; a
//! schedule lists them. The network has random numbers of its own, so that leaving a deviation out changes nothing else.
#![forbid(unsafe_code)]

use crate::header::{Flags, Purpose, State, TaskRef, Wait};
use crate::seed::Replay;
use kettle_driver::{Note, Random, Trace, Tracer};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::panic::Location;

/// In how many choices a deviation comes once, as the seed has it: from every other to hardly ever.
const RARITIES: [u32; 5] = [2, 4, 8, 16, 64];

/// So many tasks may run on after each other while no time passes.
const MOST_STEPS: u64 = 10_000_000;

/// So often a task may catch its cancellation, and come to the next checkpoint, while nobody else runs.
const MOST_RAISED: u64 = 500_000;

/// See the module.
pub(crate) struct Order {
    replay: Replay,
    tracer: Tracer,
    random: RefCell<Random>,
    rarity: u32,
    /// How many choices have been made.
    choices: Cell<u64>,
    /// How many of the schedule's are behind that.
    used: Cell<usize>,
    /// What was chosen, if it is to be known.
    deviations: RefCell<Option<Vec<Deviation>>>,
    tasks: RefCell<HashMap<TaskRef, Known>>,
    /// How many tasks there have been.
    spawned: Cell<u64>,
    /// How many resumes there have been since time passed.
    steps: Cell<u64>,
    /// How often the task that runs has been told of its cancellation since it was resumed.
    raised: Cell<u64>,
    stuck: RefCell<Option<Stuck>>,
    /// The first task that has panicked with nobody to hear.
    unheard: RefCell<Option<String>>,
}

/// What is known of a task that has not ended.
#[derive(Clone, Debug)]
struct Known {
    number: u64,
    /// The host that it is on, if it is on one.
    host: Option<IpAddr>,
    /// Where it waits, or has waited last.
    waits_at: Option<&'static Location<'static>>,
}

/// A choice that was not the first.
#[derive(Clone, Debug)]
pub(crate) struct Deviation {
    pub(crate) choice: u64,
    pub(crate) index: usize,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Next { task: String, instead_of: String },
    Pause { task: String },
    Lock { task: String, at: &'static Location<'static> },
    Chosen { of: usize },
    Completion { of: usize },
    Timer { of: usize },
}

/// Why a simulation can't go on.
#[derive(Clone, Debug)]
pub(crate) struct Stuck {
    pub(crate) why: Why,
    /// What each task does, in the order in which they were made.
    pub(crate) tasks: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// All tasks wait for what never comes.
    Deadlock,
    /// Tasks run on and on while no time passes.
    Livelock,
    /// Something keeps the thread, or may not wait. Others could run.
    Blocked,
}

// Out of line, what the event loop calls: it is laid out for loops that are no simulation.
impl Order {
    pub(crate) fn new(replay: Replay, tracer: Tracer, records: bool) -> Self {
        let seed = Random::new(replay.seed);
        let rarity = RARITIES[seed.fork(0).below(RARITIES.len() as u64) as usize];
        Self {
            random: RefCell::new(seed.fork(u64::MAX)),
            replay,
            tracer,
            rarity,
            choices: Cell::new(0),
            used: Cell::new(0),
            deviations: RefCell::new(records.then(Vec::new)),
            tasks: RefCell::default(),
            spawned: Cell::new(0),
            steps: Cell::new(0),
            raised: Cell::new(0),
            stuck: RefCell::new(None),
            unheard: RefCell::new(None),
        }
    }

    // --- choices ---

    /// One of `of` things, of which the first is the usual one.
    fn decide(&self, of: usize, rarity: u32, what: impl FnOnce(usize) -> What) -> usize {
        if of < 2 {
            return 0;
        }
        let choice = self.choices.get();
        self.choices.set(choice + 1);
        let index = match &self.replay.schedule {
            Some(schedule) => self.scheduled(schedule, choice).min(of - 1),
            None => {
                let mut random = self.random.borrow_mut();
                if random.once_in(rarity) { random.below(of as u64) as usize } else { 0 }
            }
        };
        if index > 0 {
            self.tracer.note(Note::Chosen { index: index as u64, of: of as u64 });
            if let Some(deviations) = &mut *self.deviations.borrow_mut() {
                deviations.push(Deviation { choice, index, what: what(index) });
            }
        }
        index
    }

    fn scheduled(&self, schedule: &[(u64, usize)], choice: u64) -> usize {
        match schedule.get(self.used.get()) {
            Some(&(step, index)) if step == choice => {
                self.used.set(self.used.get() + 1);
                index
            }
            _ => 0,
        }
    }

    /// Takes the task out of a queue that runs next.
    #[inline(never)]
    pub(crate) fn next(&self, ready: &mut VecDeque<TaskRef>) -> Option<TaskRef> {
        let what = |index: usize| {
            let [task, instead_of] = [index, 0].map(|index| self.name(ready[index]));
            What::Next { task, instead_of }
        };
        let index = self.decide(ready.len(), self.rarity, what);
        let task = ready.remove(index)?;
        self.steps.set(self.steps.get() + 1);
        self.raised.set(0);
        self.tracer.note(Note::Resumed { task: self.number(task) });
        Some(task)
    }

    /// Whether a task waits where it need not.
    #[inline(never)]
    pub(crate) fn pauses(&self, task: TaskRef) -> bool {
        self.decide(2, self.rarity, |_| What::Pause { task: self.name(task) }) > 0
    }

    /// Whether a task waits before it takes a lock that nobody has.
    pub(crate) fn pauses_before_lock(&self, task: TaskRef, at: &'static Location<'static>) -> bool {
        self.decide(2, self.rarity, |_| What::Lock { task: self.name(task), at }) > 0
    }

    /// See [`choose`](crate::choose).
    #[inline(never)]
    pub(crate) fn choose(&self, of: usize) -> usize {
        self.decide(of, 1, |_| What::Chosen { of })
    }

    /// Puts what has completed into the order in which it is heard of.
    pub(crate) fn mix_completions<T>(&self, items: &mut [T]) {
        self.mix(items, |of| What::Completion { of });
    }

    /// Puts what has expired into the order in which it is heard of.
    pub(crate) fn mix_timers<T>(&self, items: &mut [T]) {
        self.mix(items, |of| What::Timer { of });
    }

    #[inline(never)]
    fn mix<T>(&self, items: &mut [T], what: impl Fn(usize) -> What) {
        for place in 0..items.len() {
            let index = self.decide(items.len() - place, self.rarity, |_| what(items.len() - place));
            items[place..=place + index].rotate_right(1);
        }
    }

    /// What has been chosen so far, besides the first.
    pub(crate) fn deviations(&self) -> Vec<Deviation> {
        self.deviations.borrow().clone().unwrap_or_default()
    }

    // --- tasks ---

    /// A task was made, by another one if one runs.
    #[inline(never)]
    pub(crate) fn admit(&self, task: TaskRef, by: Option<TaskRef>) {
        let number = self.spawned.get();
        self.spawned.set(number + 1);
        let host = by.and_then(|by| self.host(by));
        self.tracer.note(Note::Spawned { task: number, by: by.map_or(number, |by| self.number(by)) });
        self.tasks.borrow_mut().insert(task, Known { number, host, waits_at: None });
    }

    #[inline(never)]
    pub(crate) fn end(&self, task: TaskRef) {
        self.tracer.note(Note::Ended { task: self.number(task) });
        if task.is(Flags::PANICKED) && !task.is(Flags::HANDLE) && task.family.get().is_none() {
            self.unheard.borrow_mut().get_or_insert_with(|| self.name(task));
        }
        self.tasks.borrow_mut().remove(&task);
    }

    /// A task's time has come; without one it is a region's.
    #[inline(never)]
    pub(crate) fn expire(&self, task: Option<TaskRef>) {
        self.tracer.note(Note::Expired { task: task.map_or(u64::MAX, |task| self.number(task)) });
    }

    /// Another thread has had something to say.
    pub(crate) fn hear(&self) {
        self.tracer.note(Note::Foreign);
    }

    fn number(&self, task: TaskRef) -> u64 {
        self.tasks.borrow().get(&task).map_or(u64::MAX, |known| known.number)
    }

    /// What people call a task.
    fn name(&self, task: TaskRef) -> String {
        let name = if task.has_rare() { task.with_rare(|rare| rare.name.clone()) } else { None };
        match name {
            Some(name) => format!("task {} `{name}`", self.number(task)),
            None => format!("task {}", self.number(task)),
        }
    }

    pub(crate) fn host(&self, task: TaskRef) -> Option<IpAddr> {
        self.tasks.borrow().get(&task)?.host
    }

    /// Puts a task on another host. Gives the one that it was on.
    pub(crate) fn set_host(&self, task: TaskRef, host: Option<IpAddr>) -> Option<IpAddr> {
        let mut tasks = self.tasks.borrow_mut();
        tasks.get_mut(&task).and_then(|known| std::mem::replace(&mut known.host, host))
    }

    /// A task is about to wait.
    #[cold]
    #[inline(never)]
    pub(crate) fn note_place(&self, task: TaskRef, at: &'static Location<'static>) {
        if let Some(known) = self.tasks.borrow_mut().get_mut(&task) {
            known.waits_at = Some(at);
        }
    }

    // --- the end ---

    /// Time has passed.
    pub(crate) fn pass_time(&self) {
        self.steps.set(0);
    }

    /// A task that can't be suspended calls what would suspend it. Gives whether that goes on for ever: it can help no task, and
    /// costs a system call each time, so it counts for more than a step.
    pub(crate) fn takes_too_many_steps(&self) -> bool {
        self.steps.set(self.steps.get() + 10);
        self.is_busy_for_ever()
    }

    /// The task that runs is told of its cancellation. Gives whether it has caught that so often that it never ends.
    pub(crate) fn is_told_in_vain(&self) -> bool {
        self.raised.set(self.raised.get() + 1);
        self.raised.get() > MOST_RAISED
    }

    /// Whether tasks run on and on while no time passes.
    pub(crate) fn is_busy_for_ever(&self) -> bool {
        self.steps.get() >= MOST_STEPS
    }

    /// The simulation can't go on: finds out why. The function says what a task's operation does; something that keeps the
    /// thread may wait as well.
    pub(crate) fn get_stuck(
        &self,
        mut tasks: Vec<TaskRef>,
        blocked: Option<Purpose>,
        describe: impl Fn(TaskRef) -> Option<String>,
    ) {
        tasks.sort_by_key(|&task| self.number(task));
        let why = match blocked {
            _ if self.is_busy_for_ever() => Why::Livelock,
            Some(_) => Why::Blocked,
            None if tasks.iter().any(|task| task.state.get() == State::Running) => Why::Blocked,
            None => Why::Deadlock,
        };
        let is_blocked = |task: TaskRef| task.state.get() == State::Running && blocked.is_some();
        let tell = |&task: &TaskRef| match blocked {
            Some(purpose) if is_blocked(task) => {
                format!("{} waits {}, at {}", self.name(task), purpose.wait, purpose.at)
            }
            _ => format!("{} {}", self.name(task), self.waits(task, &tasks, why, &describe)),
        };
        let mut told: Vec<_> = tasks.iter().map(tell).collect();
        if let Some(purpose) = blocked.filter(|_| !tasks.iter().any(|&task| is_blocked(task))) {
            told.push(format!("what is dropped outside of all tasks waits {}, at {}", purpose.wait, purpose.at));
        }
        let tasks = told;
        self.stuck.replace(Some(Stuck { why, tasks }));
        self.steps.set(0);
    }

    /// What a task does.
    fn waits(
        &self,
        task: TaskRef,
        tasks: &[TaskRef],
        why: Why,
        describe: impl Fn(TaskRef) -> Option<String>,
    ) -> String {
        let words = match task.state.get() {
            State::Operating => return describe(task).unwrap_or_else(|| "waits for an operation".to_owned()),
            State::Created if task.is(Flags::HELD) => return format!("waits {}", Wait::Turn),
            State::Created | State::Ready => return "is ready to run".to_owned(),
            State::Running | State::Ended => return "runs".to_owned(),
            State::Waiting(Wait::Join) => {
                let joined = tasks.iter().find(|other| other.joiner.get() == Some(task));
                joined.map_or_else(
                    || format!("waits {}", Wait::Join),
                    |joined| format!("waits for the end of {}", self.name(*joined)),
                )
            }
            State::Waiting(Wait::Tasks) => "waits for the tasks of its scope".to_owned(),
            State::Waiting(Wait::Park) => "is parked".to_owned(),
            // Of all that wait for a time none hears of it.
            State::Waiting(Wait::Sleep) if why == Why::Deadlock => "sleeps for more than a lifetime".to_owned(),
            State::Waiting(Wait::Sleep) => "sleeps".to_owned(),
            State::Waiting(wait) => format!("waits {wait}"),
        };
        match self.tasks.borrow().get(&task).and_then(|known| known.waits_at) {
            Some(at) => format!("{words}, at {at}"),
            None => words,
        }
    }

    /// Who has panicked with nobody to hear, if somebody has.
    pub(crate) fn take_unheard(&self) -> Option<String> {
        self.unheard.take()
    }

    pub(crate) fn take_trace(&self) -> Trace {
        self.tracer.take()
    }

    pub(crate) fn replay(&self) -> &Replay {
        &self.replay
    }

    /// Why it could not go on, if it could not.
    pub(crate) fn take_stuck(&self) -> Option<Stuck> {
        self.stuck.take()
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at choice {} ", self.choice)?;
        match &self.what {
            What::Next { task, instead_of } => write!(f, "{task} ran instead of {instead_of}"),
            What::Pause { task } => write!(f, "{task} let others run at a checkpoint"),
            What::Lock { task, at } => write!(f, "{task} let others run before it locked, at {at}"),
            What::Chosen { of } => write!(f, "`choose({of})` gave {}", self.index),
            What::Completion { of } => write!(f, "completion {} of {of} was heard of first", self.index),
            What::Timer { of } => write!(f, "timer {} of {of} was heard of first", self.index),
        }
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.why {
            Why::Deadlock => {
                "deadlock: all tasks wait, and nothing that may happen ends that (other threads are not waited for)"
            }
            Why::Livelock => "livelock: tasks run on and on while no time passes: sleep where you poll",
            Why::Blocked => "no other task runs meanwhile",
        })?;
        self.tasks.iter().try_for_each(|task| write!(f, "\n  {task}"))
    }
}
