//! Owns the shape of a scenario (FORMAT sections 1 to 4 and 8): generator definitions and a driver script.
//!
//! Invariant: what [`parse`](crate::parse) has made of a line refers only to what exists: definitions, slots that are
//! occupied, loops to break from, handlers to re-raise in. Those who run scenarios rely on it.

use crate::error::{Class, Kind};
use crate::value::Value;

/// How many slots there are.
pub const SLOTS: usize = 8;

/// One line of a corpus.
#[derive(Debug)]
pub struct Scenario {
    /// Its unique name.
    pub id: String,
    /// The generator definitions.
    pub definitions: Vec<Definition>,
    /// What the driver does.
    pub drive: Vec<Drive>,
}

/// A body that generators are made of.
#[derive(Debug)]
pub struct Definition {
    /// Its statements.
    pub body: Vec<Stmt>,
    /// How many variables it has. The first is `n`, the argument.
    pub variables: usize,
}

/// A variable, by its place among those of its definition.
pub type Variable = usize;

/// A slot, below [`SLOTS`].
pub type Slot = usize;

/// Statements in order.
pub type Block = Vec<Stmt>;

/// A statement of a body.
#[derive(Debug)]
pub enum Stmt {
    /// Suspends with a value; what is sent goes to the variable.
    Yield(Option<Variable>, Expr),
    /// Assigns.
    Set(Variable, Expr),
    /// Writes a line of the trace.
    Log(String, Option<Expr>),
    /// Repeats a number of times.
    Loop(u64, Block),
    /// Repeats while a condition holds.
    While(Cond, Block),
    /// Chooses.
    If(Cond, Block, Block),
    /// Runs a block for each value of a source.
    For(Variable, Source, Block),
    /// Leaves the innermost loop.
    Break,
    /// Goes on with the innermost loop's next round.
    Continue,
    /// Ends the body.
    Return(Expr),
    /// Raises an error.
    Raise(Kind, Option<Expr>),
    /// Raises the error of the handler that it stands in.
    Reraise,
    /// Handles errors.
    Try(Try),
    /// Delegates: `yield from`.
    From(Option<Variable>, Source),
    /// Operates on the generator in a slot.
    Op(Option<Variable>, Slot, Op<Expr>),
}

/// The parts of a `try`.
#[derive(Debug)]
pub struct Try {
    /// What may raise.
    pub body: Block,
    /// The first that matches an error of the body runs.
    pub handlers: Vec<Handler>,
    /// Runs if the body ended normally.
    pub orelse: Block,
    /// Runs however the rest ended.
    pub finally: Option<Block>,
}

/// An `except` clause.
#[derive(Debug)]
pub struct Handler {
    /// What it catches.
    pub classes: Vec<Class>,
    /// Where the error's payload goes.
    pub bind: Option<Variable>,
    /// What it does.
    pub body: Block,
}

/// What a `for` or a `from` gets its values from.
#[derive(Debug)]
pub enum Source {
    /// A new generator of a definition, with an argument.
    Gen(usize, Expr),
    /// The generator in a slot.
    Obj(Slot),
    /// A plain iterator over these values.
    Iter(Vec<Value>),
    /// A plain iterator over integers from the first up to the second.
    Range(Expr, Expr),
}

/// An expression; evaluating it can't fail.
#[derive(Debug)]
pub enum Expr {
    /// A value.
    Literal(Value),
    /// A variable.
    Variable(Variable),
    /// `+`, wrapping.
    Add(Box<(Expr, Expr)>),
    /// `-`, wrapping.
    Subtract(Box<(Expr, Expr)>),
    /// `*`, wrapping.
    Multiply(Box<(Expr, Expr)>),
    /// String concatenation.
    Concatenate(Box<(Expr, Expr)>),
}

/// A condition.
#[derive(Debug)]
pub enum Cond {
    /// Always.
    True,
    /// Whether two values are equal.
    Equal(Expr, Expr),
    /// Whether two integers are in order.
    Less(Expr, Expr),
    /// Whether a value is null.
    Null(Expr),
    /// The opposite.
    Not(Box<Cond>),
}

/// What is done to a generator in a slot: the driver gives values, a body expressions.
#[derive(Debug)]
pub enum Op<V> {
    /// Resumes it.
    Next,
    /// Sends it a value.
    Send(V),
    /// Throws an error at it.
    Throw(Kind, Option<V>),
    /// Closes it.
    Close,
    /// Asks for its state.
    State,
}

/// An operation of the driver.
#[derive(Debug)]
pub enum Drive {
    /// Fills a slot with a new generator of a definition, with an argument.
    New(Slot, usize, Value),
    /// Operates on the generator in a slot.
    Op(Slot, Op<Value>),
    /// Resumes it until it ends, at most so many times.
    For(Slot, u64),
    /// Empties a slot.
    Drop(Slot),
}

impl Expr {
    /// Its value, given those of the variables.
    pub fn eval(&self, variables: &[Value]) -> Value {
        let ints = |pair: &(Expr, Expr), f: fn(i64, i64) -> i64| match (pair.0.eval(variables), pair.1.eval(variables))
        {
            (Value::Int(a), Value::Int(b)) => Value::Int(f(a, b)),
            _ => Value::Null,
        };
        match self {
            Expr::Literal(value) => value.clone(),
            Expr::Variable(variable) => variables[*variable].clone(),
            Expr::Add(pair) => ints(pair, i64::wrapping_add),
            Expr::Subtract(pair) => ints(pair, i64::wrapping_sub),
            Expr::Multiply(pair) => ints(pair, i64::wrapping_mul),
            Expr::Concatenate(pair) => Value::Str(pair.0.eval(variables).text() + &pair.1.eval(variables).text()),
        }
    }
}

impl Cond {
    /// Whether it holds, given the variables' values.
    pub fn holds(&self, variables: &[Value]) -> bool {
        match self {
            Cond::True => true,
            Cond::Equal(a, b) => a.eval(variables) == b.eval(variables),
            Cond::Less(a, b) => match (a.eval(variables), b.eval(variables)) {
                (Value::Int(a), Value::Int(b)) => a < b,
                _ => false,
            },
            Cond::Null(a) => a.eval(variables).is_null(),
            Cond::Not(cond) => !cond.holds(variables),
        }
    }
}
