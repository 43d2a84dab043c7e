//! Owns the way from a line of JSON to a [`Scenario`], and everything that may be wrong with it.
//!
//! Called once for each line. A scenario that comes out of here can be run without asking again whether a slot is
//! occupied or a definition exists; the reasons that don't let one out are phrases for people, without the line number.

use crate::error::{Class, Kind};
use crate::scenario::{
    Block, Cond, Definition, Drive, Expr, Handler, Op, SLOTS, Scenario, Slot, Source, Stmt, Try, Variable,
};
use crate::value::Value;
use serde_json::Value as Json;

type Result<T> = std::result::Result<T, String>;

/// Reads a scenario.
///
/// # Errors
///
/// The first thing that is wrong with the line.
pub fn scenario(line: &[u8]) -> Result<Scenario> {
    let json: Json = serde_json::from_slice(line).map_err(|error| {
        // The line is known better here: serde_json sees one line only.
        let reason = error.to_string();
        match reason.split_once(" at line ") {
            Some((reason, _)) => format!("not JSON: {reason} at column {}", error.column()),
            None => format!("not JSON: {reason}"),
        }
    })?;
    let Json::Object(fields) = &json else { return Err("a scenario is an object".to_owned()) };
    let field = |name| fields.get(name).ok_or_else(|| format!("field `{name}` is missing"));
    let id = field("id")?.as_str().ok_or("field `id` is not a string")?.to_owned();
    let defs = array(field("defs")?, "field `defs`")?;
    let definitions = each(defs, "definition", |body| definition(body, defs.len()))?;
    let mut occupied = [false; SLOTS];
    let drive = each(array(field("drive")?, "field `drive`")?, "operation", |operation| {
        drive(operation, defs.len(), &mut occupied)
    })?;
    Ok(Scenario { id, definitions, drive })
}

/// What a body's statements may refer to at one place.
#[derive(Clone, Copy)]
struct Place {
    in_loop: bool,
    in_handler: bool,
    depth: usize,
}

/// How deep blocks may nest. The format promises less than 8; those who run bodies recurse.
const DEPTH: usize = 16;

/// The definition that is being read.
struct Body {
    names: Vec<String>,
    definitions: usize,
}

fn definition(json: &Json, definitions: usize) -> Result<Definition> {
    let mut body = Body { names: vec!["n".to_owned()], definitions };
    let block = body.block(json, Place { in_loop: false, in_handler: false, depth: 0 })?;
    Ok(Definition { body: block, variables: body.names.len() })
}

impl Body {
    fn block(&mut self, json: &Json, place: Place) -> Result<Block> {
        if place.depth == DEPTH {
            return Err(format!("blocks nest deeper than {DEPTH}"));
        }
        let place = Place { depth: place.depth + 1, ..place };
        each(array(json, "a block")?, "statement", |json| self.statement(json, place))
    }

    fn statement(&mut self, json: &Json, place: Place) -> Result<Stmt> {
        let (name, operands) = named(json, "a statement")?;
        self.operands(name, operands, place).map_err(|reason| format!("`{name}`: {reason}"))
    }

    fn operands(&mut self, name: &str, operands: &[Json], place: Place) -> Result<Stmt> {
        let inside = Place { in_loop: true, ..place };
        Ok(match (name, operands) {
            ("yield", [dst, value]) => Stmt::Yield(self.destination(dst)?, self.expression(value)?),
            ("set", [x, value]) => Stmt::Set(self.variable(x)?, self.expression(value)?),
            ("log", [message]) => Stmt::Log(text(message, "the message")?, None),
            ("log", [message, value]) => Stmt::Log(text(message, "the message")?, Some(self.expression(value)?)),
            ("loop", [times, body]) => Stmt::Loop(count(times, 0)?, self.block(body, inside)?),
            ("while", [cond, body]) => Stmt::While(self.condition(cond)?, self.block(body, inside)?),
            ("if", [cond, then]) => Stmt::If(self.condition(cond)?, self.block(then, place)?, Vec::new()),
            ("if", [cond, then, other]) => {
                Stmt::If(self.condition(cond)?, self.block(then, place)?, self.block(other, place)?)
            }
            ("for", [x, source, body]) => Stmt::For(self.variable(x)?, self.source(source)?, self.block(body, inside)?),
            ("break" | "continue", []) if !place.in_loop => return Err("outside of a loop".to_owned()),
            ("break", []) => Stmt::Break,
            ("continue", []) => Stmt::Continue,
            ("return", [value]) => Stmt::Return(self.expression(value)?),
            ("raise", [kind]) => Stmt::Raise(error_kind(kind)?, None),
            ("raise", [kind, payload]) => Stmt::Raise(error_kind(kind)?, Some(self.expression(payload)?)),
            ("reraise", []) if !place.in_handler => return Err("outside of a handler".to_owned()),
            ("reraise", []) => Stmt::Reraise,
            ("try", [body, handlers, orelse, finally]) => Stmt::Try(self.try_(body, handlers, orelse, finally, place)?),
            ("from", [dst, source]) => Stmt::From(self.destination(dst)?, self.source(source)?),
            ("op", [dst, slot, operation, operands @ ..]) => {
                let operation = text(operation, "the operation")?;
                let read = |json: &Json| self.expression(json);
                let op = op(&operation, operands, read).map_err(|reason| format!("`{operation}`: {reason}"))?;
                Stmt::Op(self.destination(dst)?, slot_number(slot)?, op)
            }
            _ => return Err(misfit(&STATEMENTS, name, operands.len())),
        })
    }

    fn try_(&mut self, body: &Json, handlers: &Json, orelse: &Json, finally: &Json, place: Place) -> Result<Try> {
        let body = self.block(body, place)?;
        let handlers = each(array(handlers, "the list of handlers")?, "handler", |json| {
            let [classes, bind, body] = array(json, "a handler")? else {
                return Err("takes classes, a variable and a block".to_owned());
            };
            Ok(Handler {
                classes: each(array(classes, "the list of classes")?, "class", |json| {
                    let name = text(json, "a class")?;
                    Class::named(&name).ok_or_else(|| format!("`{name}` is not a class of errors"))
                })?,
                bind: self.destination(bind)?,
                body: self.block(body, Place { in_handler: true, ..place })?,
            })
        })?;
        let orelse = self.block(orelse, place)?;
        if handlers.is_empty() && !orelse.is_empty() {
            return Err("an else clause without a handler".to_owned());
        }
        let finally = match finally {
            Json::Null => None,
            block => Some(self.block(block, place)?),
        };
        Ok(Try { body, handlers, orelse, finally })
    }

    fn source(&mut self, json: &Json) -> Result<Source> {
        let (name, operands) = named(json, "a source")?;
        Ok(match (name, operands) {
            ("gen", [d]) => Source::Gen(definition_number(d, self.definitions)?, Expr::Literal(Value::Null)),
            ("gen", [d, argument]) => Source::Gen(definition_number(d, self.definitions)?, self.expression(argument)?),
            ("obj", [slot]) => Source::Obj(slot_number(slot)?),
            ("iter", [values]) => Source::Iter(each(array(values, "the list of values")?, "value", Value::from_json)?),
            ("range", [from, to]) => Source::Range(self.expression(from)?, self.expression(to)?),
            _ => return Err(format!("source {}", misfit(&SOURCES, name, operands.len()))),
        })
    }

    fn expression(&mut self, json: &Json) -> Result<Expr> {
        if !json.is_array() {
            return Value::from_json(json).map(Expr::Literal);
        }
        let (name, operands) = named(json, "an expression")?;
        let mut pair = || match operands {
            [a, b] => Ok(Box::new((self.expression(a)?, self.expression(b)?))),
            _ => Err(format!("expression {}", misfit(&EXPRESSIONS, name, operands.len()))),
        };
        Ok(match (name, operands) {
            ("+", _) => Expr::Add(pair()?),
            ("-", _) => Expr::Subtract(pair()?),
            ("*", _) => Expr::Multiply(pair()?),
            ("cat", _) => Expr::Concatenate(pair()?),
            ("v", [x]) => Expr::Variable(self.variable(x)?),
            ("lit", [value]) => Expr::Literal(Value::from_json(value)?),
            _ => return Err(format!("expression {}", misfit(&EXPRESSIONS, name, operands.len()))),
        })
    }

    fn condition(&mut self, json: &Json) -> Result<Cond> {
        let (name, operands) = named(json, "a condition")?;
        Ok(match (name, operands) {
            ("true", []) => Cond::True,
            ("eq", [a, b]) => Cond::Equal(self.expression(a)?, self.expression(b)?),
            ("lt", [a, b]) => Cond::Less(self.expression(a)?, self.expression(b)?),
            ("null", [a]) => Cond::Null(self.expression(a)?),
            ("not", [cond]) => Cond::Not(Box::new(self.condition(cond)?)),
            _ => return Err(format!("condition {}", misfit(&CONDITIONS, name, operands.len()))),
        })
    }

    fn destination(&mut self, json: &Json) -> Result<Option<Variable>> {
        if json.is_null() { Ok(None) } else { self.variable(json).map(Some) }
    }

    fn variable(&mut self, json: &Json) -> Result<Variable> {
        let name = text(json, "a variable's name")?;
        Ok(self.names.iter().position(|known| *known == name).unwrap_or_else(|| {
            self.names.push(name);
            self.names.len() - 1
        }))
    }
}

/// What there is, with the numbers of operands that each takes.
type Words = [(&'static str, &'static [usize])];

const STATEMENTS: [(&str, &[usize]); 15] = [
    ("yield", &[2]),
    ("set", &[2]),
    ("log", &[1, 2]),
    ("loop", &[2]),
    ("while", &[2]),
    ("if", &[2, 3]),
    ("for", &[3]),
    ("break", &[0]),
    ("continue", &[0]),
    ("return", &[1]),
    ("raise", &[1, 2]),
    ("reraise", &[0]),
    ("try", &[4]),
    ("from", &[2]),
    ("op", &[3, 4, 5]),
];
const SOURCES: [(&str, &[usize]); 4] = [("gen", &[1, 2]), ("obj", &[1]), ("iter", &[1]), ("range", &[2])];
const EXPRESSIONS: [(&str, &[usize]); 6] =
    [("v", &[1]), ("lit", &[1]), ("+", &[2]), ("-", &[2]), ("*", &[2]), ("cat", &[2])];
const CONDITIONS: [(&str, &[usize]); 5] = [("true", &[0]), ("eq", &[2]), ("lt", &[2]), ("null", &[1]), ("not", &[1])];
const OPERATIONS: [(&str, &[usize]); 5] =
    [("next", &[0]), ("send", &[1]), ("throw", &[1, 2]), ("close", &[0]), ("state", &[0])];
const DRIVE: [(&str, &[usize]); 8] = [
    ("new", &[2, 3]),
    ("next", &[1]),
    ("send", &[2]),
    ("throw", &[2, 3]),
    ("close", &[1]),
    ("state", &[1]),
    ("for", &[2]),
    ("drop", &[1]),
];

/// Why a word with so many operands is none.
fn misfit(words: &Words, name: &str, operands: usize) -> String {
    match words.iter().find(|(known, _)| *known == name) {
        None => format!("`{name}` is unknown"),
        Some((_, takes)) => {
            let takes: Vec<_> = takes.iter().map(usize::to_string).collect();
            let noun = if takes == ["1"] { "operand" } else { "operands" };
            format!("takes {} {noun}, not {operands}", takes.join(" or "))
        }
    }
}

/// The part of an operation that drivers and bodies have in common.
fn op<V>(name: &str, operands: &[Json], mut read: impl FnMut(&Json) -> Result<V>) -> Result<Op<V>> {
    Ok(match (name, operands) {
        ("next", []) => Op::Next,
        ("send", [value]) => Op::Send(read(value)?),
        ("throw", [kind]) => Op::Throw(error_kind(kind)?, None),
        ("throw", [kind, payload]) => Op::Throw(error_kind(kind)?, Some(read(payload)?)),
        ("close", []) => Op::Close,
        ("state", []) => Op::State,
        _ => return Err(misfit(&OPERATIONS, name, operands.len())),
    })
}

fn drive(json: &Json, definitions: usize, occupied: &mut [bool; SLOTS]) -> Result<Drive> {
    let (name, operands) = named(json, "an operation")?;
    let read = || {
        let known = DRIVE.iter().any(|(known, takes)| *known == name && takes.contains(&operands.len()));
        let [slot, operands @ ..] = operands else { return Err(misfit(&DRIVE, name, 0)) };
        if !known {
            return Err(misfit(&DRIVE, name, operands.len() + 1));
        }
        let slot = slot_number(slot)?;
        if occupied[slot] == (name == "new") {
            return Err(format!("slot {slot} is {}", if occupied[slot] { "occupied" } else { "empty" }));
        }
        Ok(match (name, operands) {
            ("new", [d]) => Drive::New(slot, definition_number(d, definitions)?, Value::Null),
            ("new", [d, argument]) => Drive::New(slot, definition_number(d, definitions)?, Value::from_json(argument)?),
            ("for", [rounds]) => Drive::For(slot, count(rounds, 1)?),
            ("drop", []) => Drive::Drop(slot),
            ("new" | "for" | "drop", _) => return Err(misfit(&DRIVE, name, operands.len() + 1)),
            _ => Drive::Op(slot, op(name, operands, Value::from_json)?),
        })
    };
    let drive = read().map_err(|reason| format!("`{name}`: {reason}"))?;
    match drive {
        Drive::New(slot, ..) => occupied[slot] = true,
        Drive::Drop(slot) => occupied[slot] = false,
        Drive::Op(..) | Drive::For(..) => {}
    }
    Ok(drive)
}

fn array<'a>(json: &'a Json, what: &str) -> Result<&'a [Json]> {
    json.as_array().map(Vec::as_slice).ok_or_else(|| format!("{what} is not an array: {json}"))
}

/// Reads each item, and says which one is wrong.
fn each<T>(items: &[Json], what: &str, mut read: impl FnMut(&Json) -> Result<T>) -> Result<Vec<T>> {
    let item = |(index, json)| read(json).map_err(|reason| format!("{what} {index}: {reason}"));
    items.iter().enumerate().map(item).collect()
}

/// Takes an array apart into the word that it begins with and the rest.
fn named<'a>(json: &'a Json, what: &str) -> Result<(&'a str, &'a [Json])> {
    match array(json, what)? {
        [Json::String(name), operands @ ..] => Ok((name, operands)),
        _ => Err(format!("{what} does not begin with a word: {json}")),
    }
}

fn text(json: &Json, what: &str) -> Result<String> {
    json.as_str().map(str::to_owned).ok_or_else(|| format!("{what} is not a string: {json}"))
}

fn count(json: &Json, least: u64) -> Result<u64> {
    match json.as_i64().map(u64::try_from) {
        Some(Ok(count)) if count >= least => Ok(count),
        _ => Err(format!("{json} is not a count from {least}")),
    }
}

fn slot_number(json: &Json) -> Result<Slot> {
    below(json, SLOTS).ok_or_else(|| format!("{json} is not a slot: they are 0 to {}", SLOTS - 1))
}

fn definition_number(json: &Json, definitions: usize) -> Result<usize> {
    below(json, definitions).ok_or_else(|| format!("{json} is not a definition: there are {definitions}"))
}

fn below(json: &Json, limit: usize) -> Option<usize> {
    json.as_i64().and_then(|number| usize::try_from(number).ok()).filter(|number| *number < limit)
}

fn error_kind(json: &Json) -> Result<Kind> {
    let name = text(json, "the kind of error")?;
    Kind::named(&name).ok_or_else(|| format!("`{name}` is not an error that can be raised"))
}
