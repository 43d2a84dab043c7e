//! Owns what the driver and all bodies of one run share: slots, trace and limits; and the operations on a slot.
//!
//! Here are the rules that are the tool's and not the library's (`README.md` says why): a generator in a slot
//! has several owners, one that has ended answers `return null`, and a `StopIteration` is an error like others.
//!
//! Invariant: no generator is dropped or resumed while the table of slots is borrowed, for either runs bodies.

use crate::error::Raised;
use crate::scenario::{Op, SLOTS, Scenario, Slot};
use crate::value::Value;
use crate::{Bodies, stackful, stackless};
use kettle_gen::{Error, Generator, SendError, State, Step, local};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

/// A generator of the library, whichever body it has.
pub(crate) type Gen = local::BoxGenerator<'static, Value, Value, Value>;

/// A generator in a slot. The library checks at run time that it is not resumed while it runs.
pub(crate) type Shared = Rc<RefCell<Gen>>;

/// How many statements and loop rounds a run may execute; a correct run of a stored scenario needs fewer than 300.
const STATEMENTS: usize = 20_000;

/// How many resumes may be under way, one inside the other; a correct run needs fewer than 15.
const RESUMES: usize = 32;

/// How many generators may have been started and not have ended.
const STARTED: usize = 128;

/// One run of a scenario.
pub(crate) struct World {
    scenario: Scenario,
    bodies: Bodies,
    slots: RefCell<[Option<Shared>; SLOTS]>,
    trace: RefCell<String>,
    statements: Cell<usize>,
    resumes: Cell<usize>,
    started: Cell<usize>,
}

/// A resume under way.
pub(crate) struct Entered<'a>(&'a World);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.resumes.set(self.0.resumes.get() - 1);
    }
}

/// A generator that has been started and has not ended.
pub(crate) struct Started(Rc<World>);

impl Drop for Started {
    fn drop(&mut self) {
        self.0.started.set(self.0.started.get() - 1);
    }
}

impl World {
    pub(crate) fn new(scenario: Scenario, bodies: Bodies) -> Rc<Self> {
        Rc::new(Self {
            scenario,
            bodies,
            slots: RefCell::default(),
            trace: RefCell::default(),
            statements: Cell::new(0),
            resumes: Cell::new(0),
            started: Cell::new(0),
        })
    }

    pub(crate) fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Makes a generator of a definition.
    ///
    /// # Errors
    ///
    /// The limit is reached.
    pub(crate) fn make(self: &Rc<Self>, definition: usize, argument: Value) -> Result<Gen, Raised> {
        match self.bodies.is_stackful(definition) {
            false => Ok(stackless::make(Rc::clone(self), definition, argument)),
            true => stackful::make(Rc::clone(self), definition, argument).map_err(|_| self.stop()),
        }
    }

    /// Fills or empties a slot, and gives what was in it.
    pub(crate) fn replace(&self, slot: Slot, generator: Option<Gen>) -> Option<Shared> {
        let shared = generator.map(|generator| Rc::new(RefCell::new(generator)));
        std::mem::replace(&mut self.slots.borrow_mut()[slot], shared)
    }

    /// The generator in a slot.
    pub(crate) fn shared(&self, slot: Slot) -> Option<Shared> {
        self.slots.borrow()[slot].clone()
    }

    /// Adds a line to the trace.
    pub(crate) fn log(&self, line: fmt::Arguments<'_>) {
        let mut trace = self.trace.borrow_mut();
        trace.push_str(&line.to_string());
        trace.push('\n');
    }

    pub(crate) fn take_trace(&self) -> String {
        self.trace.take()
    }

    /// Pays for statements, or for what costs as much.
    ///
    /// # Errors
    ///
    /// The limit is reached; then it stays so.
    pub(crate) fn spend(&self, statements: usize) -> Result<(), Raised> {
        self.statements.set(self.statements.get().saturating_add(statements));
        if self.is_spent() { Err(Raised::Limit) } else { Ok(()) }
    }

    /// Ends the run.
    fn stop(&self) -> Raised {
        self.statements.set(STATEMENTS + 1);
        Raised::Limit
    }

    /// Whether the run has reached a limit.
    pub(crate) fn is_spent(&self) -> bool {
        self.statements.get() > STATEMENTS
    }

    /// Notes that a generator is about to be resumed.
    ///
    /// # Errors
    ///
    /// Too many are. The limit counts as reached for the rest of the run.
    pub(crate) fn enter(&self) -> Result<Entered<'_>, Raised> {
        if self.resumes.get() == RESUMES {
            return Err(self.stop());
        }
        self.resumes.set(self.resumes.get() + 1);
        Ok(Entered(self))
    }

    /// Notes that a body begins.
    ///
    /// # Errors
    ///
    /// Too many have. The limit counts as reached for the rest of the run.
    pub(crate) fn start(self: &Rc<Self>) -> Result<Started, Raised> {
        if self.started.get() == STARTED {
            return Err(self.stop());
        }
        self.started.set(self.started.get() + 1);
        Ok(Started(Rc::clone(self)))
    }

    /// Operates on a generator.
    pub(crate) fn operate(&self, mut generator: Shared, op: &Op<Value>) -> Outcome {
        let _entered = match self.enter() {
            Ok(entered) => entered,
            Err(limit) => return Outcome::Raise(limit),
        };
        let step = match op {
            Op::Next | Op::Send(Value::Null) => generator.resume(),
            Op::Send(value) => generator.send(value.clone()).map_err(SendError::into_error),
            Op::Throw(kind, payload) => {
                let raised = kind.with(payload.clone().unwrap_or_default());
                // In Python the error is raised at the start of the body, and so leaves it (PEP 479).
                let raised = match (generator.state(), raised) {
                    (State::Created, Raised::Stop(_)) => Raised::StopRaised,
                    (_, raised) => raised,
                };
                generator.throw(Error::from(raised))
            }
            Op::Close => {
                return match generator.close() {
                    Ok(value) => Outcome::Closed(value.unwrap_or_default()),
                    Err(error) => Outcome::Raise(Raised::from(error)),
                };
            }
            Op::State => return Outcome::State(state_name(generator.state())),
        };
        match step {
            Ok(Step::Yielded(value)) => Outcome::Yield(value),
            Ok(Step::Returned(value)) => Outcome::Return(value),
            Err(error) => match Raised::from(error) {
                // Only a generator that had ended answers this: from a body it comes as `StopRaised`.
                Raised::Stop(value) => Outcome::Return(value),
                raised => Outcome::Raise(raised),
            },
        }
    }
}

/// How an operation ended.
pub(crate) enum Outcome {
    Yield(Value),
    Return(Value),
    Closed(Value),
    State(&'static str),
    Raise(Raised),
}

impl Outcome {
    /// What it is to the body that operated.
    pub(crate) fn into_result(self) -> Result<Value, Raised> {
        match self {
            Self::Yield(value) | Self::Closed(value) => Ok(value),
            Self::State(name) => Ok(name.into()),
            Self::Return(value) => Err(Raised::Stop(value)),
            Self::Raise(raised) => Err(raised),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yield(value) => write!(f, "yield {value}"),
            Self::Return(value) => write!(f, "return {value}"),
            Self::Closed(value) => write!(f, "closed {value}"),
            Self::State(name) => write!(f, "state {name}"),
            Self::Raise(raised) => write!(f, "raise {raised}"),
        }
    }
}

/// An operation as the trace shows it.
pub(crate) struct Echo<'a>(pub(crate) Slot, pub(crate) &'a Op<Value>);

impl fmt::Display for Echo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slot = self.0;
        match self.1 {
            Op::Next => write!(f, "next {slot}"),
            Op::Send(value) => write!(f, "send {slot} {value}"),
            Op::Throw(kind, payload) => {
                write!(f, "throw {slot} {}", kind.with(payload.clone().unwrap_or_default()))
            }
            Op::Close => write!(f, "close {slot}"),
            Op::State => write!(f, "state {slot}"),
        }
    }
}

fn state_name(state: State) -> &'static str {
    match state {
        State::Created => "created",
        State::Suspended => "suspended",
        State::Running => "running",
        State::Finished => "closed",
    }
}
