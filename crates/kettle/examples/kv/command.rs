//! Owns the commands on keys: a table of their names, and for each a function that does it to what one shard has.
//!
//! None of them is a checkpoint: what a command does is done before anybody else's begins.

use super::glob;
use super::pubsub::Channels;
use super::resp::{MOST_BULK, Output, Words};
use super::store::{Expiry, Store};

/// What one worker has of the data.
#[derive(Default)]
pub(crate) struct Data {
    pub(crate) store: Store,
    pub(crate) channels: Channels,
}

/// How a command is done if there are several shards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Spread {
    /// By the shard of its first argument.
    Key,
    /// So many arguments at a time are a command of this name, with a key of its own.
    Parts { name: &'static str, stride: usize, fold: Fold },
    /// By all of them.
    All(Fold),
}

/// What becomes of the shards' answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fold {
    /// There is one.
    None,
    /// One after the other they are an array.
    Array,
    /// They are numbers: their sum.
    Sum,
    /// They all say the same.
    Same,
    /// They are arrays: one that has all of their elements.
    Join,
}

pub(crate) type Answer = Result<(), &'static str>;

pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// How many arguments it has, at least and at most.
    least: usize,
    most: usize,
    pub(crate) spread: Spread,
    run: fn(&mut Data, Words<'_>, &mut Output) -> Answer,
}

const MANY: usize = usize::MAX;
const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
const SYNTAX: &str = "ERR syntax error";
const BAD_TIME: &str = "ERR invalid expire time";

#[rustfmt::skip] // It is a table.
static COMMANDS: [Command; 34] = {
    use Fold::{Array, Join, Same, Sum};
    use Spread::{All, Key, Parts};
    const fn c(
        name: &'static str, least: usize, most: usize, spread: Spread,
        run: fn(&mut Data, Words<'_>, &mut Output) -> Answer,
    ) -> Command {
        Command { name, least, most, spread, run }
    }
    const fn parts(name: &'static str, stride: usize, fold: Fold) -> Spread {
        Parts { name, stride, fold }
    }
    [
        // The first ones are found first.
        c("GET",         1, 1,    Key, get),
        c("SET",         2, MANY, Key, set),
        c("INCR",        1, 1,    Key, |data, words, out| add(data, &words[1], 1, out)),
        c("DECR",        1, 1,    Key, |data, words, out| add(data, &words[1], -1, out)),
        c("INCRBY",      2, 2,    Key, |data, words, out| add(data, &words[1], integer(&words[2])?, out)),
        c("DECRBY",      2, 2,    Key, decrement_by),
        c("MGET",        1, MANY, parts("GET", 1, Array), get_many),
        c("MSET",        2, MANY, parts("SET", 2, Same), set_many),
        c("DEL",         1, MANY, parts("DEL", 1, Sum), delete),
        c("UNLINK",      1, MANY, parts("DEL", 1, Sum), delete),
        c("EXISTS",      1, MANY, parts("EXISTS", 1, Sum), exists),
        c("TOUCH",       1, MANY, parts("EXISTS", 1, Sum), exists),
        c("SETNX",       2, 2,    Key, set_new),
        c("SETEX",       3, 3,    Key, |data, words, out| set_expiring(data, words, SECOND, out)),
        c("PSETEX",      3, 3,    Key, |data, words, out| set_expiring(data, words, MILLISECOND, out)),
        c("GETSET",      2, 2,    Key, get_and_set),
        c("GETDEL",      1, 1,    Key, get_and_delete),
        c("APPEND",      2, 2,    Key, append),
        c("STRLEN",      1, 1,    Key, length),
        c("TYPE",        1, 1,    Key, kind),
        c("EXPIRE",      2, 2,    Key, |data, words, out| expire(data, words, SECOND, Since::Now, out)),
        c("PEXPIRE",     2, 2,    Key, |data, words, out| expire(data, words, MILLISECOND, Since::Now, out)),
        c("EXPIREAT",    2, 2,    Key, |data, words, out| expire(data, words, SECOND, Since::Epoch, out)),
        c("PEXPIREAT",   2, 2,    Key, |data, words, out| expire(data, words, MILLISECOND, Since::Epoch, out)),
        c("TTL",         1, 1,    Key, |data, words, out| tell_expiry(data, words, SECOND, Since::Now, out)),
        c("PTTL",        1, 1,    Key, |data, words, out| tell_expiry(data, words, MILLISECOND, Since::Now, out)),
        c("EXPIRETIME",  1, 1,    Key, |data, words, out| tell_expiry(data, words, SECOND, Since::Epoch, out)),
        c("PEXPIRETIME", 1, 1,    Key, |data, words, out| tell_expiry(data, words, MILLISECOND, Since::Epoch, out)),
        c("PERSIST",     1, 1,    Key, persist),
        c("PUBLISH",     2, 2,    All(Sum), publish),
        c("DBSIZE",      0, 0,    All(Sum), count),
        c("FLUSHALL",    0, MANY, All(Same), clear),
        c("FLUSHDB",     0, MANY, All(Same), clear),
        c("KEYS",        1, 1,    All(Join), keys),
    ]
};

impl Command {
    pub(crate) fn find(name: &[u8]) -> Option<&'static Self> {
        COMMANDS.iter().find(|command| command.name.as_bytes().eq_ignore_ascii_case(name))
    }

    pub(crate) fn count() -> usize {
        COMMANDS.len()
    }

    /// Whether it can be called with so many words, its name included.
    pub(crate) fn takes(&self, words: usize) -> bool {
        let arguments = words - 1;
        let stride = if let Spread::Parts { stride, .. } = self.spread { stride } else { 1 };
        (self.least..=self.most).contains(&arguments) && arguments.is_multiple_of(stride)
    }

    /// Says that it can't be called so.
    pub(crate) fn refuse(&self, out: &mut Output) {
        out.error(format_args!("ERR wrong number of arguments for '{}' command", self.name.to_ascii_lowercase()));
    }

    /// Does it, and writes the answer.
    pub(crate) fn call(&self, data: &mut Data, words: Words<'_>, out: &mut Output) {
        if !self.takes(words.len()) {
            self.refuse(out);
            return;
        }
        match (self.run)(data, words, out) {
            Ok(()) => {}
            Err(BAD_TIME) => out.error(format_args!("{BAD_TIME} in '{}' command", self.name.to_ascii_lowercase())),
            Err(error) => out.error(error),
        }
    }
}

/// A number as clients write it, in its only form.
pub(crate) fn integer(word: &[u8]) -> Result<i64, &'static str> {
    let text = std::str::from_utf8(word).map_err(|_| NOT_AN_INTEGER)?;
    let number: i64 = text.parse().map_err(|_| NOT_AN_INTEGER)?;
    // `parse` takes more.
    let has_another_form = text.starts_with('+') || text.trim_start_matches('-').starts_with('0') && text != "0";
    if has_another_form { Err(NOT_AN_INTEGER) } else { Ok(number) }
}

fn bulk_or_null(value: Option<&[u8]>, out: &mut Output) {
    match value {
        Some(value) => out.bulk(value),
        None => out.null(),
    }
}

// --- values ---

fn get(data: &mut Data, words: Words<'_>, out: &mut Output) -> Answer {
    bulk_or_null(data.store.get(&words[1]), out);
    Ok(())
}

fn get_many(data: &mut Data, words: Words<'_>, out: &mut Output) -> Answer {
    out.array(words.len() - 1);
    words.iter().skip(1).for_each(|key| bulk_or_null(data.store.get(key), out));
    Ok(())
}

/// When a `SET` sets.
#[derive(Default, PartialEq, Eq)]
enum Condition {
    #[default]
    Always,
    IfNew,
    IfThere,
}

/// What a `SET` says behind the value.
#[derive(Default)]
struct SetOptions {
    expiry: Expiry,
    condition: Condition,
    wants_old: bool,
}

impl SetOptions {
    fn read(words: Words<'_>, now: u64) -> Result<Self, &'static str> {
        let mut options = Self::default();
        let mut time = None;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let scale = match &*word.to_ascii_uppercase() {
                b"EX" => (SECOND, Since::Now),
                b"PX" => (MILLISECOND, Since::Now),
                b"EXAT" => (SECOND, Since::Epoch),
                b"PXAT" => (MILLISECOND, Since::Epoch),
                other => {
                    match other {
                        b"NX" if options.condition != Condition::IfThere => options.condition = Condition::IfNew,
                        b"XX" if options.condition != Condition::IfNew => options.condition = Condition::IfThere,
                        b"GET" => options.wants_old = true,
                        b"KEEPTTL" if time.is_none() => options.expiry = Expiry::Kept,
                        _ => return Err(SYNTAX),
                    }
                    continue;
                }
            };
            // One may be said twice, and the last time counts.
            if options.expiry == Expiry::Kept || time.is_some_and(|(said, _)| said != scale) {
                return Err(SYNTAX);
            }
            time = Some((scale, words.next().ok_or(SYNTAX)?));
        }
        // A wrong time is told when nothing else is wrong.
        if let Some(((unit, since), time)) = time {
            options.expiry = Expiry::At(deadline(time, unit, since, now)?);
        }
        Ok(options)
    }
}

fn set(data: &mut Data, words: Words<'_>, out: &mut Output) -> Answer {
    let (store, key) = (&mut data.store, &words[1]);
    let options = if words.len() > 3 { SetOptions::read(words.skip(3), store.now())? } else { SetOptions::default() };
    let is_set = match options.condition {
        Condition::Always => true,
        Condition::IfNew => store.get(key).is_none(),
        Condition::IfThere => store.get(key).is_some(),
    };
    if options.wants_old {
        bulk_or_null(store.get(key), out);
    } else if is_set {
        out.simple("OK");
    } else {
        out.null();
    }
    if is_set {
        store.set(key, &words[2], options.expiry);
    }
    Ok(())
}

fn set_many(data: &mut Data, words: Words<'_>, out: &mut Output) -> Answer {
    for at in (1..words.len()).step_by(2) {
        data.store.set(&words[at], &words[at + 1], Expiry::Never);
    }
    out.simple("OK");
    Ok(())
}

fn set_new(data: &mut Data, words: Words<'_>, out: &mut Output) -> Answer {
    let is_new = data.store.get(&words[1]).is_none();
    if is_new {
        data.store.set(&words[1], &words[2], Expiry::Never);
    }
    out.integer(is_new.into());
    Ok(())
}

fn set_expiring(data: &mut Data, words: Words<'_>, unit: u64, out: &mut Output) -> Answer {
    let at = deadline(&words[2], unit, Since::Now, data.store.now())?;
    data.store.set(&words[1], &words[3], Expiry::At(at));
    out.simple("OK");
    Ok(())
}

fn get_and_set(data: &mut Data, words: Words<'_>, out: &mut Output) -> Answer {
    bulk_or_null(data.store.get(&words[1]), out);
    data.store.set(&words[1], &words[2], Expiry::Never);
    Ok(())
}

fn get_and_delete(data: &mut Data, words: Words<'_>, out: &mut Output) -> Answer {
    bulk_or_null(data.store.remove(&words[1]).as_deref(), out);
    Ok(())
}

fn add(data: &mut Data, key: &[u8], number: i64, out: &mut Output) -> Answer {
    let sum = |old: i64| old.checked_add(number).ok_or("ERR increment or decrement would overflow");
    let new = match data.store.get_mut(key) {
        Some(value) => {
            let new = sum(integer(value)?)?;
            value.assign(new.to_string().as_bytes());
            new
        }
        None => {
            data.store.set(key, number.to_string().as_bytes(), Expiry::Never);
            number
        }
    };
    out.integer(new);
    Ok(())
}

fn decrement_by(data: &mut Data, words: Words<'_>, out: &mut Output) -> Answer {
    let number = integer(&words[2])?.checked_neg().ok_or("ERR decrement would overflow")?;
    add(data, &words[1], number, out)
}

fn append(data: &mut Data, words: Words<'_>, out: &mut Output) -> Answer {
    let (key, more) = (&words[1], &words[2]);
    let len = match data.store.get_mut(key) {
        Some(value) if value.len() + more.len() > MOST_BULK => return Err("ERR string exceeds maximum allowed size"),
        Some(value) => {
            value.append(more);
            value.len()
        }
        None => {
            data.store.set(key, more, Expiry::Never);
            more.len()
        }
    };
    out.integer(len as i64);
    Ok(())
}

fn length(data: &mut Data, words: Words<'_>, out: &mut Output) -> Answer {
    out.integer(data.store.get(&words[1]).map_or(0, <[u8]>::len) as i64);
    Ok(())
}

fn kind(data: &mut Data, words: Words<'_>, out: &mut Output) -> Answer {
    out.simple(if data.store.get(&words[1]).is_some() { "string" } else { "none" });
    Ok(())
}

// --- keys ---

fn delete(data: &mut Data, words: Words<'_>, out: &mut Output) -> Answer {
    out.integer(words.iter().skip(1).filter_map(|key| data.store.remove(key)).count() as i64);
    Ok(())
}

fn exists(data: &mut Data, words: Words<'_>, out: &mut Output) -> Answer {
    out.integer(words.iter().skip(1).filter(|key| data.store.get(key).is_some()).count() as i64);
    Ok(())
}

fn count(data: &mut Data, _: Words<'_>, out: &mut Output) -> Answer {
    out.integer(data.store.len() as i64);
    Ok(())
}

fn clear(data: &mut Data, words: Words<'_>, out: &mut Output) -> Answer {
    match words.get(1).map(<[u8]>::to_ascii_uppercase).as_deref() {
        None => {}
        Some(b"SYNC" | b"ASYNC") if words.len() == 2 => {}
        Some(_) => return Err(SYNTAX),
    }
    data.store.clear();
    out.simple("OK");
    Ok(())
}

fn keys(data: &mut Data, words: Words<'_>, out: &mut Output) -> Answer {
    let is_meant = |key: &&[u8]| glob::matches(&words[1], key);
    let keys: Vec<&[u8]> = data.store.iter().map(|(key, ..)| key).filter(is_meant).collect();
    out.array(keys.len());
    keys.into_iter().for_each(|key| out.bulk(key));
    Ok(())
}

// --- time ---

const SECOND: u64 = 1000;
const MILLISECOND: u64 = 1;

/// What a time is counted from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Since {
    Now,
    Epoch,
}

/// A moment in milliseconds since 1970, which are all that there are.
fn moment(time: i64, unit: u64, since: Since, now: u64) -> Result<u64, &'static str> {
    let begin = if since == Since::Now { now as i64 } else { 0 };
    let at = time.checked_mul(unit as i64).and_then(|time| time.checked_add(begin));
    at.map(|at| at.max(0) as u64).ok_or(BAD_TIME)
}

/// When a value expires that is set: no sooner than now, if the time is said from now on.
fn deadline(time: &[u8], unit: u64, since: Since, now: u64) -> Result<u64, &'static str> {
    let time = integer(time)?;
    if time <= 0 { Err(BAD_TIME) } else { moment(time, unit, since, now) }
}

fn expire(data: &mut Data, words: Words<'_>, unit: u64, since: Since, out: &mut Output) -> Answer {
    let store = &mut data.store;
    let at = moment(integer(&words[2])?, unit, since, store.now())?;
    let is_there =
        if at <= store.now() { store.remove(&words[1]).is_some() } else { store.expire(&words[1], Some(at)) };
    out.integer(is_there.into());
    Ok(())
}

fn tell_expiry(data: &mut Data, words: Words<'_>, unit: u64, since: Since, out: &mut Output) -> Answer {
    let begin = if since == Since::Now { data.store.now() } else { 0 };
    out.integer(match data.store.expiry(&words[1]) {
        None => -2,
        Some(None) => -1,
        // Rounded, as Redis does.
        Some(Some(at)) if since == Since::Now => ((at - begin + unit / 2) / unit) as i64,
        Some(Some(at)) => (at / unit) as i64,
    });
    Ok(())
}

fn persist(data: &mut Data, words: Words<'_>, out: &mut Output) -> Answer {
    let expires = matches!(data.store.expiry(&words[1]), Some(Some(_)));
    out.integer((expires && data.store.expire(&words[1], None)).into());
    Ok(())
}

// --- channels ---

fn publish(data: &mut Data, words: Words<'_>, out: &mut Output) -> Answer {
    out.integer(data.channels.publish(&words[1], &words[2]) as i64);
    Ok(())
}
