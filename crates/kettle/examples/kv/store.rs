//! Owns the keys of one shard: what they hold, and when they expire.
//!
//! Time is told, not asked for: [`Store::tick`] says it once for all commands that are done at a time. What has expired
//! is nowhere to be seen from then on, and is removed a little at a time.
//!
//! Invariant: `deadlines` has each key that expires, once, with its time.

use super::bytes::Bytes;
use foldhash::fast::RandomState;
use std::collections::{BTreeSet, HashMap};

/// When a key expires that never does. Times are milliseconds since 1970.
const NEVER: u64 = u64::MAX;

/// How many keys a tick removes at most.
const MOST_REMOVED: usize = 64;

#[derive(Default)]
pub(crate) struct Store {
    entries: HashMap<Bytes, Entry, RandomState>,
    deadlines: BTreeSet<(u64, Bytes)>,
    now: u64,
}

struct Entry {
    value: Bytes,
    expires: u64,
}

/// When a key expires that is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Expiry {
    #[default]
    Never,
    At(u64),
    /// When the one expires that it replaces.
    Kept,
}

impl Store {
    /// Says what time it is, and removes some of what has expired. Gives whether there may be more of it.
    pub(crate) fn tick(&mut self, now: u64) -> bool {
        self.now = now;
        for _ in 0..MOST_REMOVED {
            match self.deadlines.first() {
                Some((at, _)) if *at <= now => {}
                _ => return false,
            }
            if let Some((_, key)) = self.deadlines.pop_first() {
                self.entries.remove(&*key);
            }
        }
        true
    }

    /// The time of the last tick.
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// How many keys there are. What has expired may be among them.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn entry(&self, key: &[u8]) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| entry.expires > self.now)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.entry(key).map(|entry| &*entry.value)
    }

    /// A value, to be changed.
    pub(crate) fn get_mut(&mut self, key: &[u8]) -> Option<&mut Bytes> {
        let now = self.now;
        self.entries.get_mut(key).filter(|entry| entry.expires > now).map(|entry| &mut entry.value)
    }

    pub(crate) fn set(&mut self, key: &[u8], value: &[u8], expiry: Expiry) {
        let new = match expiry {
            Expiry::Never => NEVER,
            Expiry::At(time) => time,
            Expiry::Kept => self.entry(key).map_or(NEVER, |entry| entry.expires),
        };
        match self.entries.get_mut(key) {
            Some(entry) => {
                entry.value.assign(value);
                let old = std::mem::replace(&mut entry.expires, new);
                self.note(key, old, new);
            }
            None => {
                self.entries.insert(key.into(), Entry { value: value.into(), expires: new });
                self.note(key, NEVER, new);
            }
        }
    }

    /// Has the deadlines of a key that has expired at one time, and expires at another.
    fn note(&mut self, key: &[u8], old: u64, new: u64) {
        if old != new {
            if old != NEVER {
                self.deadlines.remove(&(old, key.into()));
            }
            if new != NEVER {
                self.deadlines.insert((new, key.into()));
            }
        }
    }

    /// Removes a key, and gives what it held.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Bytes> {
        let entry = self.entries.remove(key)?;
        self.note(key, entry.expires, NEVER);
        (entry.expires > self.now).then_some(entry.value)
    }

    /// When a key expires: never, if the inner value is none.
    pub(crate) fn expiry(&self, key: &[u8]) -> Option<Option<u64>> {
        self.entry(key).map(|entry| (entry.expires != NEVER).then_some(entry.expires))
    }

    /// Says when a key expires, and gives whether there is one.
    pub(crate) fn expire(&mut self, key: &[u8], at: Option<u64>) -> bool {
        let (now, new) = (self.now, at.unwrap_or(NEVER));
        let Some(entry) = self.entries.get_mut(key).filter(|entry| entry.expires > now) else { return false };
        let old = std::mem::replace(&mut entry.expires, new);
        self.note(key, old, new);
        true
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.deadlines.clear();
    }

    /// Keys, values and when they expire, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8], Option<u64>)> {
        self.entries.iter().filter(|(_, entry)| entry.expires > self.now).map(|(key, entry)| {
            let expires = (entry.expires != NEVER).then_some(entry.expires);
            (&**key, &*entry.value, expires)
        })
    }

    /// Takes a key in from a snapshot.
    pub(crate) fn insert(&mut self, key: &[u8], value: &[u8], expires: Option<u64>) {
        self.set(key, value, expires.map_or(Expiry::Never, Expiry::At));
    }
}
