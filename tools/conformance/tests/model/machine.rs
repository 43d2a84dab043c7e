//! Owns how a body of the model runs: one loop over its control frames.

use super::{Completion, Frame, Id, Input, Items, Model, Output, RUNNING, STEPS, Stage, State, echo};
use conformance::error::Raised;
use conformance::scenario::{Expr, Op, Slot, Source, Stmt, Variable};
use conformance::value::Value;

/// What the loop does next.
enum Next {
    Go(Completion),
    Suspend(Value),
}

impl<'s> Model<'s> {
    /// Runs a generator that is created or suspended to its next yield or its end.
    pub(super) fn resume(&mut self, id: Id, input: Input) -> Output {
        let created = self.generators[id].state == State::Created;
        self.generators[id].state = State::Running;
        self.running += 1;
        let mut next = if self.running > RUNNING {
            self.steps = STEPS + 1;
            Next::Go(Completion::Raise(Raised::Limit))
        } else if created {
            let body = &self.scenario.definitions[self.generators[id].definition].body;
            self.push(id, Frame::Block(body.iter()));
            Next::Go(Completion::Normal)
        } else {
            self.enter(id, input)
        };
        let output = loop {
            let completion = match next {
                Next::Suspend(value) => break Output::Yield(value),
                Next::Go(completion) => completion,
            };
            if self.generators[id].frames.is_empty() {
                break match completion {
                    Completion::Return(value) => Output::Return(value),
                    // PEP 479.
                    Completion::Raise(Raised::Stop(_)) => Output::Raise(Raised::StopRaised),
                    Completion::Raise(raised) => Output::Raise(raised),
                    Completion::Normal | Completion::Break | Completion::Continue => Output::Return(Value::Null),
                };
            }
            next = match completion {
                Completion::Normal => self.step(id),
                abrupt => Next::Go(self.unwind(id, abrupt)),
            };
        };
        self.running -= 1;
        self.generators[id].state = match output {
            Output::Yield(_) => State::Suspended,
            Output::Return(_) | Output::Raise(_) => State::Closed,
        };
        output
    }

    fn push(&mut self, id: Id, frame: Frame<'s>) {
        self.generators[id].frames.push(frame);
    }

    fn pop(&mut self, id: Id) -> Frame<'s> {
        self.generators[id].frames.pop().expect("a frame")
    }

    fn eval(&self, id: Id, expr: &Expr) -> Value {
        expr.eval(&self.generators[id].variables)
    }

    fn set(&mut self, id: Id, variable: Option<Variable>, value: Value) {
        if let Some(variable) = variable {
            self.generators[id].variables[variable] = value;
        }
    }

    /// Hands an input to the yield or the delegation that a suspended generator waits at.
    fn enter(&mut self, id: Id, input: Input) -> Next {
        match (self.pop(id), input) {
            (Frame::Yield(dst), Input::Value(value)) => {
                self.set(id, dst, value);
                Next::Go(Completion::Normal)
            }
            (Frame::Yield(_), Input::Error(raised)) => Next::Go(Completion::Raise(raised)),
            (Frame::From(dst, items), input) => self.forward(id, dst, items, input),
            _ => unreachable!("a suspended generator waits at a yield"),
        }
    }

    /// Section 7: what a delegation does with what arrives.
    fn forward(&mut self, id: Id, dst: Option<Variable>, mut items: Items, input: Input) -> Next {
        let output = match (&mut items, input) {
            (Items::Generator(inner), Input::Value(value)) => self.send(*inner, value),
            (Items::Generator(inner), Input::Error(Raised::Exit)) => {
                Output::Raise(self.close(*inner).err().unwrap_or(Raised::Exit))
            }
            (Items::Generator(inner), Input::Error(raised)) => self.throw(*inner, raised),
            (_, Input::Error(raised)) => Output::Raise(raised),
            (_, Input::Value(value)) if !value.is_null() => Output::Raise(Raised::NoSend),
            (plain, Input::Value(_)) => match plain_next(plain) {
                Some(value) => Output::Yield(value),
                None => Output::Return(Value::Null),
            },
        };
        match output {
            Output::Yield(value) => {
                self.push(id, Frame::From(dst, items));
                Next::Suspend(value)
            }
            Output::Return(value) => {
                self.let_go(&items);
                self.set(id, dst, value);
                Next::Go(Completion::Normal)
            }
            Output::Raise(raised) => {
                self.let_go(&items);
                Next::Go(Completion::Raise(raised))
            }
        }
    }

    fn let_go(&mut self, items: &Items) {
        if let Items::Generator(inner) = items {
            self.release(*inner);
        }
    }

    /// Goes on after what was innermost has ended normally.
    fn step(&mut self, id: Id) -> Next {
        self.steps += 1;
        if self.steps > STEPS {
            return Next::Go(Completion::Raise(Raised::Limit));
        }
        match self.pop(id) {
            Frame::Block(mut statements) => {
                if let Some(statement) = statements.next() {
                    self.push(id, Frame::Block(statements));
                    return self.statement(id, statement);
                }
            }
            Frame::Loop(0, _) => {}
            Frame::Loop(left, body) => {
                self.push(id, Frame::Loop(left - 1, body));
                self.push(id, Frame::Block(body.iter()));
            }
            Frame::While(cond, body) => {
                if cond.holds(&self.generators[id].variables) {
                    self.push(id, Frame::While(cond, body));
                    self.push(id, Frame::Block(body.iter()));
                }
            }
            Frame::For(x, mut items, body) => {
                let item = match &mut items {
                    Items::Generator(inner) => match self.send(*inner, Value::Null) {
                        Output::Yield(value) => Ok(Some(value)),
                        Output::Return(_) => Ok(None),
                        Output::Raise(raised) => Err(raised),
                    },
                    plain => Ok(plain_next(plain)),
                };
                match item {
                    Ok(Some(value)) => {
                        self.set(id, Some(x), value);
                        self.push(id, Frame::For(x, items, body));
                        self.push(id, Frame::Block(body.iter()));
                    }
                    Ok(None) => self.let_go(&items),
                    Err(raised) => {
                        self.let_go(&items);
                        return Next::Go(Completion::Raise(raised));
                    }
                }
            }
            Frame::Try(parts, Stage::Body) => {
                self.push(id, Frame::Try(parts, Stage::Else));
                self.push(id, Frame::Block(parts.orelse.iter()));
            }
            Frame::Try(parts, _) => return Next::Go(self.finally(id, parts.finally.as_deref(), Completion::Normal)),
            Frame::Finally(pending) => return Next::Go(pending),
            Frame::Yield(_) | Frame::From(..) => unreachable!("a running generator waits nowhere"),
        }
        Next::Go(Completion::Normal)
    }

    /// Takes a completion that is not normal out of the innermost frame.
    fn unwind(&mut self, id: Id, completion: Completion) -> Completion {
        let frame = self.pop(id);
        match (frame, completion) {
            (Frame::Loop(..) | Frame::While(..), Completion::Break) => Completion::Normal,
            (frame @ (Frame::Loop(..) | Frame::While(..) | Frame::For(..)), Completion::Continue) => {
                self.push(id, frame);
                Completion::Normal
            }
            (Frame::For(_, items, _), completion) => {
                self.let_go(&items);
                match completion {
                    Completion::Break => Completion::Normal,
                    completion => completion,
                }
            }
            (Frame::Try(parts, Stage::Body), Completion::Raise(raised)) => {
                let mut handlers = parts.handlers.iter();
                match handlers.find(|handler| handler.classes.iter().any(|class| class.catches(&raised))) {
                    Some(handler) => {
                        self.set(id, handler.bind, raised.payload());
                        self.push(id, Frame::Try(parts, Stage::Handler(raised)));
                        self.push(id, Frame::Block(handler.body.iter()));
                        Completion::Normal
                    }
                    None => self.finally(id, parts.finally.as_deref(), Completion::Raise(raised)),
                }
            }
            (Frame::Try(parts, _), completion) => self.finally(id, parts.finally.as_deref(), completion),
            // A block has nothing to say; what a finally block ends with replaces what was pending.
            (_, completion) => completion,
        }
    }

    fn finally(&mut self, id: Id, block: Option<&'s [Stmt]>, pending: Completion) -> Completion {
        let Some(block) = block else { return pending };
        self.push(id, Frame::Finally(pending));
        self.push(id, Frame::Block(block.iter()));
        Completion::Normal
    }

    fn statement(&mut self, id: Id, statement: &'s Stmt) -> Next {
        match statement {
            Stmt::Yield(dst, expr) => {
                let value = self.eval(id, expr);
                self.push(id, Frame::Yield(*dst));
                return Next::Suspend(value);
            }
            Stmt::From(dst, source) => {
                return match self.items(id, source) {
                    Ok(items) => self.forward(id, *dst, items, Input::Value(Value::Null)),
                    Err(raised) => Next::Go(Completion::Raise(raised)),
                };
            }
            Stmt::For(x, source, body) => match self.items(id, source) {
                Ok(items) => self.push(id, Frame::For(*x, items, body)),
                Err(raised) => return Next::Go(Completion::Raise(raised)),
            },
            Stmt::Set(x, expr) => {
                let value = self.eval(id, expr);
                self.set(id, Some(*x), value);
            }
            Stmt::Log(message, None) => self.log(format!(". {message}")),
            Stmt::Log(message, Some(expr)) => self.log(format!(". {message} {}", self.eval(id, expr))),
            Stmt::Loop(times, body) => self.push(id, Frame::Loop(*times, body)),
            Stmt::While(cond, body) => self.push(id, Frame::While(cond, body)),
            Stmt::If(cond, then, otherwise) => {
                let block = if cond.holds(&self.generators[id].variables) { then } else { otherwise };
                self.push(id, Frame::Block(block.iter()));
            }
            Stmt::Break => return Next::Go(Completion::Break),
            Stmt::Continue => return Next::Go(Completion::Continue),
            Stmt::Return(expr) => return Next::Go(Completion::Return(self.eval(id, expr))),
            Stmt::Raise(kind, payload) => {
                let payload = payload.as_ref().map(|expr| self.eval(id, expr));
                return Next::Go(Completion::Raise(kind.with(payload.unwrap_or_default())));
            }
            Stmt::Reraise => {
                let handled = self.generators[id].frames.iter().rev().find_map(|frame| match frame {
                    Frame::Try(_, Stage::Handler(raised)) => Some(raised.clone()),
                    _ => None,
                });
                return Next::Go(Completion::Raise(handled.expect("inside a handler")));
            }
            Stmt::Try(parts) => {
                self.push(id, Frame::Try(parts, Stage::Body));
                self.push(id, Frame::Block(parts.body.iter()));
            }
            Stmt::Op(dst, slot, op) => match self.operation(id, *slot, op) {
                Ok(value) => self.set(id, *dst, value),
                Err(raised) => return Next::Go(Completion::Raise(raised)),
            },
        }
        Next::Go(Completion::Normal)
    }

    fn items(&mut self, id: Id, source: &Source) -> Result<Items, Raised> {
        Ok(match source {
            Source::Gen(definition, argument) => {
                let argument = self.eval(id, argument);
                Items::Generator(self.make(*definition, argument))
            }
            Source::Obj(slot) => {
                let inner = self.slots[*slot].ok_or(Raised::EmptySlot)?;
                self.generators[inner].owners += 1;
                Items::Generator(inner)
            }
            Source::Iter(values) => Items::Values(values.clone().into_iter()),
            Source::Range(from, to) => match (self.eval(id, from), self.eval(id, to)) {
                (Value::Int(from), Value::Int(to)) => Items::Range(from..to),
                _ => Items::Range(0..0),
            },
        })
    }

    /// What a body does to a slot.
    fn operation(&mut self, id: Id, slot: Slot, op: &Op<Expr>) -> Result<Value, Raised> {
        let op = match op {
            Op::Next => Op::Next,
            Op::Send(value) => Op::Send(self.eval(id, value)),
            Op::Throw(kind, payload) => Op::Throw(*kind, payload.as_ref().map(|expr| self.eval(id, expr))),
            Op::Close => Op::Close,
            Op::State => Op::State,
        };
        self.log(format!("- {}", echo(slot, &op)));
        let (shown, result) = match (self.slots[slot], &op) {
            (Some(inner), op) => self.operate(inner, op),
            (None, Op::State) => ("state empty".to_owned(), Ok("empty".into())),
            (None, _) => (format!("raise {}", Raised::EmptySlot), Err(Raised::EmptySlot)),
        };
        self.log(format!("~ {shown}"));
        result
    }
}

/// The next value of a plain iterator.
fn plain_next(items: &mut Items) -> Option<Value> {
    match items {
        Items::Values(values) => values.next(),
        Items::Range(numbers) => numbers.next().map(Value::Int),
        Items::Generator(_) => unreachable!("asked for plain iterators only"),
    }
}
