//! Owns a worker's part of the keys, and which part a command is for.
//!
//! A shard is touched by its own worker only, so nothing is locked. What its connections ask of other shards goes there
//! in parcels. With one worker there are none.

use super::command::{Command, Data, Fold, Spread};
use super::parcel::{Batch, Parcel, number};
use super::resp::{Output, Parser, Words};
use super::snapshot;
use super::store::Store;
use foldhash::fast::RandomState;
use kettle::sync::mpsc::{self, Receiver, Sender};
use kettle::time::{Instant, SystemTime, UNIX_EPOCH};
use std::cell::RefCell;
use std::hash::BuildHasher;
use std::io;

/// What a worker has for itself.
pub(crate) struct Shard {
    index: usize,
    pub(crate) data: RefCell<Data>,
    /// The ways to all shards, this one included.
    ways: Vec<Sender<Parcel>>,
    /// Which shard a key belongs to. All of them must agree.
    hasher: RandomState,
    clock: Clock,
}

/// What a shard is made of. It may go to the worker's thread.
pub(crate) struct Seat {
    index: usize,
    store: Store,
    ways: Vec<Sender<Parcel>>,
    parcels: Receiver<Parcel>,
    hasher: RandomState,
    clock: Clock,
}

/// The seats of so many workers.
pub(crate) fn seats(count: usize) -> Vec<Seat> {
    let (hasher, clock) = (RandomState::default(), Clock::new());
    let (ways, ends): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::channel()).unzip();
    let seat = |(index, parcels)| {
        let (ways, hasher) = (ways.clone(), hasher.clone());
        Seat { index, store: Store::default(), ways, parcels, hasher, clock }
    };
    ends.into_iter().enumerate().map(seat).collect()
}

/// Milliseconds since 1970: the system's when it starts, then those that the event loop counts.
#[derive(Clone, Copy)]
struct Clock {
    start: Instant,
    start_time: u64,
}

impl Clock {
    fn new() -> Self {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), start_time: time.as_millis() as u64 }
    }

    fn now(&self) -> u64 {
        self.start_time + self.start.elapsed().as_millis() as u64
    }
}

/// Has the shard take in a key that a snapshot has, unless it has expired.
pub(crate) fn insert(seats: &mut [Seat], key: &[u8], value: &[u8], expires: Option<u64>) {
    let at = owner(&seats[0].hasher, seats.len(), key);
    let seat = &mut seats[at];
    if expires.is_none_or(|at| at > seat.clock.now()) {
        seat.store.insert(key, value, expires);
    }
}

impl Seat {
    /// The shard, and the parcels that are for it.
    pub(crate) fn take(self) -> (Shard, Receiver<Parcel>) {
        let Self { index, store, ways, parcels, hasher, clock } = self;
        let data = RefCell::new(Data { store, ..Data::default() });
        (Shard { index, data, ways, hasher, clock }, parcels)
    }
}

fn owner(hasher: &RandomState, shards: usize, key: &[u8]) -> usize {
    if shards == 1 { 0 } else { (hasher.hash_one(key) % shards as u64) as usize }
}

impl Shard {
    pub(crate) fn count(&self) -> usize {
        self.ways.len()
    }

    /// Has the shard know what time it is, and removes some of what has expired. Gives whether there may be more of it.
    pub(crate) fn tick(&self) -> bool {
        self.data.borrow_mut().store.tick(self.clock.now())
    }

    /// What this shard has, as a section of a snapshot.
    pub(crate) fn section(&self) -> Vec<u8> {
        snapshot::section(self.data.borrow().store.iter())
    }

    /// Does what other workers send. Ends when all of them have.
    pub(crate) fn serve(&self, parcels: &Receiver<Parcel>) {
        let mut parser = Parser::default();
        for mut parcel in parcels {
            self.tick();
            if parcel.is_for_section() {
                parcel.bring(self.section());
            } else {
                parcel.answer(&mut parser, &mut self.data.borrow_mut());
            }
            parcel.send_home();
        }
    }

    /// Does a command, or has it done by the shards whose keys it has. Its answer is complete when the batch has been
    /// filled in. No checkpoint.
    pub(crate) fn call(&self, command: &Command, words: Words<'_>, out: &mut Output, batch: &mut Batch) {
        if self.count() == 1 {
            return command.call(&mut self.data.borrow_mut(), words, out);
        }
        if !command.takes(words.len()) {
            return command.refuse(out);
        }
        match command.spread {
            Spread::Key => match owner(&self.hasher, self.count(), &words[1]) {
                own if own == self.index => command.call(&mut self.data.borrow_mut(), words, out),
                other => self.call_at(other, command, words, Fold::None, out, batch),
            },
            Spread::Parts { name, stride, fold } => {
                let part_command = Command::find(name.as_bytes()).unwrap_or(command);
                let parts = (words.len() - 1) / stride;
                if fold == Fold::Array {
                    out.array(parts);
                }
                for part in 0..parts {
                    // Its arguments, and before them a word at whose place its name would be.
                    let words = words.skip(part * stride).take(1 + stride);
                    let shard = owner(&self.hasher, self.count(), &words[1]);
                    self.call_at(shard, part_command, words, fold, out, batch);
                }
                batch.note_whole(out, fold);
            }
            Spread::All(fold) => {
                (0..self.count()).for_each(|shard| self.call_at(shard, command, words, fold, out, batch));
                batch.note_whole(out, fold);
            }
        }
    }

    /// Does a command to a shard, or asks that one to: its answer is a part of the one that belongs here.
    fn call_at(&self, shard: usize, command: &Command, words: Words<'_>, fold: Fold, out: &Output, batch: &mut Batch) {
        if shard == self.index {
            batch.call(shard, command, words, &mut self.data.borrow_mut(), out.protocol);
        } else {
            batch.ask(shard, command, words, out.protocol);
        }
        batch.note_part(out, fold, shard);
    }

    /// How many keys all shards have, after the batch has been filled in. A checkpoint, if there are others.
    pub(crate) fn count_keys(&self, batch: &mut Batch) -> io::Result<i64> {
        let mut answer = Output::default();
        if let Some(command) = Command::find(b"DBSIZE") {
            self.call(command, Words::NO_ARGUMENTS, &mut answer, batch);
        }
        self.fill(&mut answer, batch)?;
        Ok(number(&answer.bytes))
    }

    /// Puts answers of other shards where they belong, and gives whether these were all: see [`Batch::fill`].
    pub(crate) fn fill(&self, out: &mut Output, batch: &mut Batch) -> io::Result<bool> {
        batch.fill(out, self.index, &self.ways)
    }

    /// What all shards have, each as a section of a snapshot. A checkpoint, if there are others.
    pub(crate) fn sections(&self, batch: &mut Batch) -> io::Result<Vec<Vec<u8>>> {
        let mut sections = batch.sections(self.index, &self.ways)?;
        sections.push(self.section());
        Ok(sections)
    }
}
