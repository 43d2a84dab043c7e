//! Owns what statements mean (FORMAT sections 4 and 7), once for both bodies.
//!
//! The interpreter is one recursive function. [`interpreter!`] writes it `async` for a stackless body, and plain for a
//! stackful one: the two differ in the type of the yielder and in an `.await` after what may suspend. `finally` is code
//! after a match and no destructor, because it may yield, return, and replace an error.

use crate::error::Raised;
use crate::scenario::{Cond, Expr, Op, Slot, Source, Variable};
use crate::value::Value;
use crate::world::{Echo, Gen, Outcome, Shared, World};
use kettle_gen::{Error, Generator};
use std::ops::Range;
use std::rc::Rc;
use std::vec;

/// How a block ended, if not by an error.
pub(crate) enum Flow {
    Normal,
    Break,
    Continue,
    Return(Value),
}

/// A running body: the world around it and its variables.
pub(crate) struct Frame {
    world: Rc<World>,
    variables: Vec<Value>,
}

/// What a `for` or a `from` holds until it is left.
pub(crate) enum Items {
    Gen(Gen),
    Shared(Shared),
    Iter(vec::IntoIter<Value>),
    Range(Range<i64>),
}

impl Frame {
    pub(crate) fn new(world: &Rc<World>, definition: usize, argument: Value) -> Self {
        let mut variables = vec![Value::Null; world.scenario().definitions[definition].variables];
        variables[0] = argument;
        Self { world: Rc::clone(world), variables }
    }

    /// Pays for a statement or a round of a loop.
    pub(crate) fn tick(&self) -> Result<(), Raised> {
        self.world.spend(1)
    }

    /// Evaluates. A long text is paid for, so that a run can't fill the memory.
    pub(crate) fn eval(&self, expr: &Expr) -> Result<Value, Raised> {
        let value = expr.eval(&self.variables);
        if let Value::Str(text) = &value {
            self.world.spend(text.len() / 64)?;
        }
        Ok(value)
    }

    pub(crate) fn holds(&self, cond: &Cond) -> bool {
        cond.holds(&self.variables)
    }

    pub(crate) fn set(&mut self, variable: Variable, value: Value) {
        self.variables[variable] = value;
    }

    pub(crate) fn set_if(&mut self, variable: Option<Variable>, value: Value) {
        if let Some(variable) = variable {
            self.set(variable, value);
        }
    }

    pub(crate) fn log(&self, message: &str, expr: Option<&Expr>) -> Result<(), Raised> {
        match expr {
            None => self.world.log(format_args!(". {message}")),
            Some(expr) => self.world.log(format_args!(". {message} {}", self.eval(expr)?)),
        }
        Ok(())
    }

    /// The iterator that a source stands for.
    pub(crate) fn items(&self, source: &Source) -> Result<Items, Raised> {
        Ok(match source {
            Source::Gen(definition, argument) => Items::Gen(self.world.make(*definition, self.eval(argument)?)?),
            Source::Obj(slot) => Items::Shared(self.world.shared(*slot).ok_or(Raised::EmptySlot)?),
            Source::Iter(values) => Items::Iter(values.clone().into_iter()),
            Source::Range(from, to) => match (self.eval(from)?, self.eval(to)?) {
                (Value::Int(from), Value::Int(to)) => Items::Range(from..to),
                _ => Items::Range(0..0),
            },
        })
    }

    /// What a `for` does before each round.
    pub(crate) fn next(&self, items: &mut Items) -> Result<Option<Value>, Raised> {
        self.tick()?;
        let entered = self.world.enter()?;
        let step = match items {
            Items::Gen(generator) => generator.resume(),
            Items::Shared(generator) => generator.resume(),
            Items::Iter(values) => return Ok(values.next()),
            Items::Range(numbers) => return Ok(numbers.next().map(Value::Int)),
        };
        drop(entered);
        match step {
            Ok(step) => Ok(step.yielded()),
            Err(error) if error.is_finished() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What a body does to a slot.
    pub(crate) fn operate(&self, slot: Slot, op: &Op<Expr>) -> Result<Value, Raised> {
        let op = match op {
            Op::Next => Op::Next,
            Op::Send(value) => Op::Send(self.eval(value)?),
            Op::Throw(kind, None) => Op::Throw(*kind, None),
            Op::Throw(kind, Some(payload)) => Op::Throw(*kind, Some(self.eval(payload)?)),
            Op::Close => Op::Close,
            Op::State => Op::State,
        };
        self.world.log(format_args!("- {}", Echo(slot, &op)));
        let outcome = match self.world.shared(slot) {
            Some(generator) => self.world.operate(generator, &op),
            None if matches!(op, Op::State) => Outcome::State("empty"),
            None => Outcome::Raise(Raised::EmptySlot),
        };
        self.world.log(format_args!("~ {outcome}"));
        outcome.into_result()
    }
}

/// The result of a delegation to a generator. One that had ended before answers with a `StopIteration`, which no body
/// lets out, and whose value is the result.
pub(crate) fn delegated(result: Result<Value, Error>) -> Result<Value, Raised> {
    match result.map_err(Raised::from) {
        Err(Raised::Stop(value)) => Ok(value),
        result => result,
    }
}

/// The end of a delegation to a plain iterator.
pub(crate) fn plain(result: Result<(), Error>) -> Result<Value, Raised> {
    match result {
        Ok(()) => Ok(Value::Null),
        Err(error) => Err(error.into()),
    }
}

/// How a body ends.
pub(crate) fn ended(flow: Result<Flow, Raised>) -> Result<Value, Error> {
    match flow {
        Ok(Flow::Return(value)) => Ok(value),
        Ok(_) => Ok(Value::Null),
        // PEP 479.
        Err(Raised::Stop(_)) => Err(Raised::StopRaised.into()),
        Err(raised) => Err(raised.into()),
    }
}

/// Writes the interpreter for one kind of body: the type of its yielder, `async` or nothing, `.await` or nothing. How a
/// block is entered, with `block`, is up to the body.
macro_rules! interpreter {
    ($yielder:ty, [$($async:tt)?], [$($await:tt)*]) => {
        /// Runs a block's statements. `handling` is the error of the handler that it stands in.
        $($async)? fn statements(
            frame: &mut Frame,
            y: &mut $yielder,
            block: &[Stmt],
            handling: Option<&Raised>,
        ) -> Result<Flow, Raised> {
            for statement in block {
                frame.tick()?;
                match run(frame, y, statement, handling)$($await)*? {
                    Flow::Normal => {}
                    flow => return Ok(flow),
                }
            }
            Ok(Flow::Normal)
        }

        /// Runs a statement.
        $($async)? fn run(
            frame: &mut Frame,
            y: &mut $yielder,
            statement: &Stmt,
            handling: Option<&Raised>,
        ) -> Result<Flow, Raised> {
            match statement {
                Stmt::Yield(dst, expr) => {
                    let value = frame.eval(expr)?;
                    let sent = y.try_yield(value)$($await)*?;
                    frame.set_if(*dst, sent.unwrap_or_default());
                }
                Stmt::From(dst, source) => {
                    // The delegate is dropped by the delegation: before any handler runs.
                    let result = match frame.items(source)? {
                        Items::Gen(inner) => delegated(y.try_yield_from(inner)$($await)*),
                        Items::Shared(inner) => delegated(y.try_yield_from(inner)$($await)*),
                        Items::Iter(values) => plain(y.try_yield_iter(values)$($await)*),
                        Items::Range(numbers) => plain(y.try_yield_iter(numbers.map(Value::Int))$($await)*),
                    };
                    frame.set_if(*dst, result?);
                }
                Stmt::Set(x, expr) => {
                    let value = frame.eval(expr)?;
                    frame.set(*x, value);
                }
                Stmt::Log(message, expr) => frame.log(message, expr.as_ref())?,
                Stmt::Op(dst, slot, op) => {
                    let value = frame.operate(*slot, op)?;
                    frame.set_if(*dst, value);
                }
                Stmt::If(cond, then, otherwise) => {
                    let chosen = if frame.holds(cond) { then } else { otherwise };
                    return block(frame, y, chosen, handling)$($await)*;
                }
                Stmt::Loop(times, body) => {
                    for _ in 0..*times {
                        frame.tick()?;
                        match block(frame, y, body, handling)$($await)*? {
                            Flow::Normal | Flow::Continue => {}
                            Flow::Break => break,
                            flow => return Ok(flow),
                        }
                    }
                }
                Stmt::While(cond, body) => {
                    while frame.holds(cond) {
                        frame.tick()?;
                        match block(frame, y, body, handling)$($await)*? {
                            Flow::Normal | Flow::Continue => {}
                            Flow::Break => break,
                            flow => return Ok(flow),
                        }
                    }
                }
                Stmt::For(x, source, body) => {
                    let mut items = frame.items(source)?;
                    while let Some(value) = frame.next(&mut items)? {
                        frame.set(*x, value);
                        match block(frame, y, body, handling)$($await)*? {
                            Flow::Normal | Flow::Continue => {}
                            Flow::Break => break,
                            flow => return Ok(flow),
                        }
                    }
                }
                Stmt::Break => return Ok(Flow::Break),
                Stmt::Continue => return Ok(Flow::Continue),
                Stmt::Return(expr) => return Ok(Flow::Return(frame.eval(expr)?)),
                Stmt::Raise(kind, payload) => {
                    let payload = payload.as_ref().map(|expr| frame.eval(expr)).transpose()?;
                    return Err(kind.with(payload.unwrap_or_default()));
                }
                Stmt::Reraise => return Err(handling.expect("invariant: parsed inside a handler").clone()),
                Stmt::Try(parts) => {
                    let mut outcome = block(frame, y, &parts.body, handling)$($await)*;
                    match outcome {
                        Err(ref raised) => {
                            let catches = |handler: &&Handler| handler.classes.iter().any(|class| class.catches(raised));
                            if let Some(handler) = parts.handlers.iter().find(catches) {
                                frame.set_if(handler.bind, raised.payload());
                                outcome = block(frame, y, &handler.body, Some(raised))$($await)*;
                            }
                        }
                        Ok(Flow::Normal) => outcome = block(frame, y, &parts.orelse, handling)$($await)*,
                        Ok(_) => {}
                    }
                    if let Some(finally) = &parts.finally {
                        match block(frame, y, finally, handling)$($await)*? {
                            Flow::Normal => {}
                            flow => return Ok(flow),
                        }
                    }
                    return outcome;
                }
            }
            Ok(Flow::Normal)
        }

        /// A whole body.
        $($async)? fn body(
            world: Rc<World>,
            definition: usize,
            argument: Value,
            y: &mut $yielder,
        ) -> Result<Value, BoxError> {
            let _started = world.start().map_err(Error::from)?;
            let mut frame = Frame::new(&world, definition, argument);
            let whole = &world.scenario().definitions[definition].body;
            Ok(ended(block(&mut frame, y, whole, None)$($await)*)?)
        }
    };
}
pub(crate) use interpreter;
