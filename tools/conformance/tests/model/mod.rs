//! Owns the model: what a scenario's trace must be, worked out from `corpus/FORMAT.md` without any generator library.
//!
//! A generator is a stack of control frames over the statements, the innermost last, and no function of the host ever
//! pauses: where the tool recurses and the library keeps chains of delegates, the model pushes and pops. It is checked
//! against the stored corpora before it is used to judge anything.

mod machine;

use conformance::error::Raised;
use conformance::scenario::{Cond, Drive, Op, SLOTS, Scenario, Stmt, Try, Variable};
use conformance::value::Value;
use std::ops::Range;
use std::slice;

/// How many steps a run may take, and how many generators may run at once. What needs more is no test of anything.
const STEPS: usize = 1_500;
const RUNNING: usize = 15;

/// A generator's number.
type Id = usize;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Created,
    Suspended,
    Running,
    Closed,
}

struct Generator<'s> {
    definition: usize,
    variables: Vec<Value>,
    state: State,
    /// Slots and statements that hold it.
    owners: usize,
    frames: Vec<Frame<'s>>,
}

/// Something under way inside a body.
enum Frame<'s> {
    Block(slice::Iter<'s, Stmt>),
    Loop(u64, &'s [Stmt]),
    While(&'s Cond, &'s [Stmt]),
    For(Variable, Items, &'s [Stmt]),
    Try(&'s Try, Stage),
    /// A finally block is above; then the completion goes on.
    Finally(Completion),
    Yield(Option<Variable>),
    From(Option<Variable>, Items),
}

/// Which part of a `try` is above it.
enum Stage {
    Body,
    Handler(Raised),
    Else,
}

/// What a `for` or a `from` goes over.
enum Items {
    Generator(Id),
    Values(std::vec::IntoIter<Value>),
    Range(Range<i64>),
}

/// How something in a body has ended.
enum Completion {
    Normal,
    Break,
    Continue,
    Return(Value),
    Raise(Raised),
}

/// What reaches a generator that is resumed.
enum Input {
    Value(Value),
    Error(Raised),
}

/// What comes out of one.
enum Output {
    Yield(Value),
    Return(Value),
    Raise(Raised),
}

/// A run.
pub(crate) struct Model<'s> {
    scenario: &'s Scenario,
    slots: [Option<Id>; SLOTS],
    generators: Vec<Generator<'s>>,
    trace: Vec<String>,
    steps: usize,
    running: usize,
}

/// The trace of a scenario; `None` if it does more than a scenario should.
pub(crate) fn trace(scenario: &Scenario) -> Option<Vec<String>> {
    let mut model =
        Model { scenario, slots: [None; SLOTS], generators: Vec::new(), trace: Vec::new(), steps: 0, running: 0 };
    for operation in &scenario.drive {
        model.drive(operation);
    }
    for slot in 0..SLOTS {
        if model.slots[slot].is_some() {
            model.drive(&Drive::Drop(slot));
        }
    }
    (model.steps <= STEPS).then_some(model.trace)
}

impl Model<'_> {
    fn log(&mut self, line: String) {
        self.trace.push(line);
    }

    fn drive(&mut self, operation: &Drive) {
        match operation {
            Drive::New(slot, definition, argument) => {
                self.log(format!("> new {slot} {definition} {argument}"));
                self.slots[*slot] = Some(self.make(*definition, argument.clone()));
            }
            Drive::Op(slot, op) => {
                let id = self.slots[*slot].expect("occupied");
                self.log(format!("> {}", echo(*slot, op)));
                let (shown, _) = self.operate(id, op);
                self.log(format!("= {shown}"));
            }
            Drive::For(slot, rounds) => {
                let id = self.slots[*slot].expect("occupied");
                self.log(format!("> for {slot} {rounds}"));
                for round in 1..=*rounds {
                    self.steps += 1;
                    match self.send(id, Value::Null) {
                        Output::Yield(value) => self.log(format!("= item {value}")),
                        Output::Return(_) => return self.log("= end".to_owned()),
                        Output::Raise(raised) => return self.log(format!("= raise {raised}")),
                    }
                    if round == *rounds || self.steps > STEPS {
                        return self.log("= break".to_owned());
                    }
                }
            }
            Drive::Drop(slot) => {
                self.log(format!("> drop {slot}"));
                let id = self.slots[*slot].take().expect("occupied");
                self.release(id);
            }
        }
    }

    /// An operation's outcome: as the trace shows it, and what it is to a body.
    fn operate(&mut self, id: Id, op: &Op<Value>) -> (String, Result<Value, Raised>) {
        let output = match op {
            Op::Next => self.send(id, Value::Null),
            Op::Send(value) => self.send(id, value.clone()),
            Op::Throw(kind, payload) => self.throw(id, kind.with(payload.clone().unwrap_or_default())),
            Op::Close => {
                return match self.close(id) {
                    Ok(value) => (format!("closed {value}"), Ok(value)),
                    Err(raised) => (format!("raise {raised}"), Err(raised)),
                };
            }
            Op::State => {
                let name = match self.generators[id].state {
                    State::Created => "created",
                    State::Suspended => "suspended",
                    State::Running => "running",
                    State::Closed => "closed",
                };
                return (format!("state {name}"), Ok(name.into()));
            }
        };
        match output {
            Output::Yield(value) => (format!("yield {value}"), Ok(value)),
            Output::Return(value) => (format!("return {value}"), Err(Raised::Stop(value))),
            Output::Raise(raised) => (format!("raise {raised}"), Err(raised)),
        }
    }

    fn make(&mut self, definition: usize, argument: Value) -> Id {
        let mut variables = vec![Value::Null; self.scenario.definitions[definition].variables];
        variables[0] = argument;
        let state = State::Created;
        self.generators.push(Generator { definition, variables, state, owners: 1, frames: Vec::new() });
        self.generators.len() - 1
    }

    /// The table of section 6, `send`.
    fn send(&mut self, id: Id, value: Value) -> Output {
        match self.generators[id].state {
            State::Running => Output::Raise(Raised::Running),
            State::Closed => Output::Return(Value::Null),
            State::Created if !value.is_null() => Output::Raise(Raised::JustStarted),
            State::Created | State::Suspended => self.resume(id, Input::Value(value)),
        }
    }

    /// The table of section 6, `throw`. That a closed generator gives a `StopIteration` back is an end.
    fn throw(&mut self, id: Id, raised: Raised) -> Output {
        match (self.generators[id].state, raised) {
            (State::Running, _) => Output::Raise(Raised::Running),
            (State::Closed, Raised::Stop(value)) => Output::Return(value),
            (State::Closed, raised) => Output::Raise(raised),
            (State::Created, raised) => {
                self.generators[id].state = State::Closed;
                Output::Raise(match raised {
                    Raised::Stop(_) => Raised::StopRaised,
                    raised => raised,
                })
            }
            (State::Suspended, raised) => self.resume(id, Input::Error(raised)),
        }
    }

    /// The table of section 6, `close`, with the value that 3.13 gives.
    fn close(&mut self, id: Id) -> Result<Value, Raised> {
        match self.generators[id].state {
            State::Running => Err(Raised::Running),
            State::Created => {
                self.generators[id].state = State::Closed;
                Ok(Value::Null)
            }
            State::Closed => Ok(Value::Null),
            State::Suspended => match self.resume(id, Input::Error(Raised::Exit)) {
                Output::Yield(_) => Err(Raised::IgnoredExit),
                Output::Return(value) => Ok(value),
                Output::Raise(Raised::Exit) => Ok(Value::Null),
                Output::Raise(raised) => Err(raised),
            },
        }
    }

    /// One owner less. The last one's leaving finalises; what ignores that is abandoned, and what it held released.
    fn release(&mut self, id: Id) {
        self.generators[id].owners -= 1;
        if self.generators[id].owners > 0 {
            return;
        }
        // Nobody receives an error.
        drop(self.close(id));
        self.generators[id].state = State::Closed;
        while let Some(frame) = self.generators[id].frames.pop() {
            if let Frame::For(_, Items::Generator(inner), _) | Frame::From(_, Items::Generator(inner)) = frame {
                self.release(inner);
            }
        }
    }
}

/// An operation as the trace shows it.
fn echo(slot: usize, op: &Op<Value>) -> String {
    match op {
        Op::Next => format!("next {slot}"),
        Op::Send(value) => format!("send {slot} {value}"),
        Op::Throw(kind, payload) => format!("throw {slot} {}", kind.with(payload.clone().unwrap_or_default())),
        Op::Close => format!("close {slot}"),
        Op::State => format!("state {slot}"),
    }
}
