//! Owns what goes from a connection to other shards and comes back.
//!
//! What a connection asks of a shard is collected while its commands are read, and sent as one parcel, which comes back with
//! the answers. Meanwhile answers of its own shard have been written already, with notes of what is to be put between them.
//! A parcel and its buffers are used again and again.

use super::command::{Command, Data, Fold, integer};
use super::resp::{Output, Parser, Protocol, Words, write_command};
use kettle::sync::mpsc::{self, Receiver, Sender};
use std::io;

/// A buffer that is larger is not kept.
const MOST_KEPT: usize = 1024 * 1024;

/// What is asked of a shard, and then its answers.
pub(crate) struct Parcel {
    errand: Errand,
    shard: usize,
    commands: Vec<u8>,
    answers: Output,
    /// Where each answer ends.
    ends: Vec<usize>,
    /// How many answers have been taken out.
    taken: usize,
    home: Sender<Parcel>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Errand {
    /// To have the commands done.
    Commands,
    /// To fetch what the shard has, as a section of a snapshot.
    Section,
}

impl Parcel {
    fn new(shard: usize, home: Sender<Parcel>) -> Self {
        let (commands, answers, ends) = Default::default();
        Self { errand: Errand::Commands, shard, commands, answers, ends, taken: 0, home }
    }

    pub(crate) fn is_for_section(&self) -> bool {
        self.errand == Errand::Section
    }

    pub(crate) fn bring(&mut self, section: Vec<u8>) {
        self.answers.bytes = section;
    }

    /// Does its commands to these data.
    pub(crate) fn answer(&mut self, parser: &mut Parser, data: &mut Data) {
        let mut at = 0;
        while let Ok(Some(len)) = parser.parse(&self.commands[at..]) {
            let words = parser.words(&self.commands[at..]);
            match Command::find(&words[0]) {
                Some(command) => command.call(data, words, &mut self.answers),
                None => self.answers.error("ERR unknown command"),
            }
            self.ends.push(self.answers.bytes.len());
            at += len;
        }
    }

    /// A checkpoint. If the connection has gone, nobody waits for the answers.
    pub(crate) fn send_home(self) {
        let home = self.home.clone();
        _ = home.send(self);
    }

    fn next_answer(&mut self) -> &[u8] {
        let begin = self.taken.checked_sub(1).map_or(0, |last| self.ends[last]);
        let end = self.ends[self.taken];
        self.taken += 1;
        &self.answers.bytes[begin..end]
    }

    fn clear(&mut self) {
        if self.commands.capacity().max(self.answers.bytes.capacity()) > MOST_KEPT {
            (self.commands, self.answers.bytes) = Default::default();
        }
        self.commands.clear();
        self.answers.bytes.clear();
        self.ends.clear();
        self.taken = 0;
    }
}

/// What is to be put between the answers that are written already.
#[derive(Clone, Copy)]
pub(crate) enum Note {
    /// The next answer of this shard.
    Answer(usize),
    /// The next answer of this shard is a number, and part of a sum.
    Add(usize),
    Sum,
    /// The next answer of this shard is as good as others.
    OneOf(usize),
    One,
    /// The next answer of this shard is an array, and part of another one.
    Join(usize),
    Joined,
}

impl Note {
    /// That of a part that a shard answers.
    pub(crate) fn part(fold: Fold, shard: usize) -> Self {
        match fold {
            Fold::Array => Self::Answer(shard),
            Fold::Sum => Self::Add(shard),
            Fold::Same => Self::OneOf(shard),
            Fold::Join => Self::Join(shard),
        }
    }
}

/// What a connection has asked of shards since its last answers went out.
pub(crate) struct Batch {
    /// By shard, if there have been any for it.
    parcels: Vec<Option<Parcel>>,
    /// Each with its place among what is written.
    notes: Vec<(usize, Note)>,
    home: (Sender<Parcel>, Receiver<Parcel>),
}

impl Batch {
    pub(crate) fn new(shards: usize) -> Self {
        Self { parcels: (0..shards).map(|_| None).collect(), notes: Vec::new(), home: mpsc::channel() }
    }

    /// How many answers it waits for.
    pub(crate) fn len(&self) -> usize {
        self.notes.len()
    }

    fn parcel(&mut self, shard: usize, protocol: Protocol) -> &mut Parcel {
        let parcel = self.parcels[shard].get_or_insert_with(|| Parcel::new(shard, self.home.0.clone()));
        parcel.answers.protocol = protocol;
        parcel
    }

    /// Asks another shard to do a command.
    pub(crate) fn ask<'a>(
        &mut self,
        shard: usize,
        protocol: Protocol,
        len: usize,
        words: impl Iterator<Item = &'a [u8]>,
    ) {
        write_command(&mut self.parcel(shard, protocol).commands, len, words);
    }

    /// Does a command to this shard at once, and keeps the answer as if it had been asked for.
    pub(crate) fn call(
        &mut self,
        shard: usize,
        command: &Command,
        words: Words<'_>,
        data: &mut Data,
        protocol: Protocol,
    ) {
        let parcel = self.parcel(shard, protocol);
        command.call(data, words, &mut parcel.answers);
        parcel.ends.push(parcel.answers.bytes.len());
    }

    pub(crate) fn note(&mut self, out: &Output, note: Note) {
        self.notes.push((out.bytes.len(), note));
    }

    /// Notes that all parts of a command have been noted.
    pub(crate) fn note_end(&mut self, out: &Output, fold: Fold) {
        match fold {
            Fold::Array => {}
            Fold::Sum => self.note(out, Note::Sum),
            Fold::Same => self.note(out, Note::One),
            Fold::Join => self.note(out, Note::Joined),
        }
    }

    /// Sends what is asked of others, waits for the answers, and puts them where they belong. A checkpoint, if there are any.
    pub(crate) fn fill(&mut self, out: &mut Output, own: usize, ways: &[Sender<Parcel>]) -> io::Result<()> {
        if self.notes.is_empty() {
            return Ok(());
        }
        let mut away = 0;
        for shard in (0..ways.len()).filter(|shard| *shard != own) {
            if let Some(parcel) = self.parcels[shard].take_if(|parcel| !parcel.commands.is_empty()) {
                ways[shard].send(parcel).map_err(|_| gone())?;
                away += 1;
            }
        }
        for _ in 0..away {
            let parcel = self.home.1.recv().map_err(|_| gone())?;
            let shard = parcel.shard;
            self.parcels[shard] = Some(parcel);
        }
        self.put_answers(out);
        self.parcels.iter_mut().flatten().for_each(Parcel::clear);
        Ok(())
    }

    fn put_answers(&mut self, out: &mut Output) {
        let written = std::mem::take(&mut out.bytes);
        let (mut at, mut sum) = (0, 0);
        let (mut one, mut joined) = (Vec::new(), Output::default());
        let mut elements = 0;
        for (place, note) in self.notes.drain(..) {
            out.bytes.extend_from_slice(&written[at..place]);
            at = place;
            match note {
                Note::Answer(shard) => out.bytes.extend_from_slice(next_answer(&mut self.parcels, shard)),
                Note::Add(shard) => sum += number(next_answer(&mut self.parcels, shard)),
                Note::Sum => out.integer(std::mem::take(&mut sum)),
                Note::OneOf(shard) => {
                    one.clear();
                    one.extend_from_slice(next_answer(&mut self.parcels, shard));
                }
                Note::One => out.bytes.append(&mut one),
                Note::Join(shard) => {
                    let answer = next_answer(&mut self.parcels, shard);
                    let head = answer.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                    elements += number(&answer[..head]) as usize;
                    joined.bytes.extend_from_slice(&answer[head..]);
                }
                Note::Joined => {
                    out.array(std::mem::take(&mut elements));
                    out.bytes.append(&mut joined.bytes);
                }
            }
        }
        out.bytes.extend_from_slice(&written[at..]);
    }

    /// What the other shards have, each as a section of a snapshot. A checkpoint, if there are others.
    pub(crate) fn sections(&mut self, own: usize, ways: &[Sender<Parcel>]) -> io::Result<Vec<Vec<u8>>> {
        for shard in (0..ways.len()).filter(|shard| *shard != own) {
            let mut parcel = Parcel::new(shard, self.home.0.clone());
            parcel.errand = Errand::Section;
            ways[shard].send(parcel).map_err(|_| gone())?;
        }
        let fetch = |_| self.home.1.recv().map(|parcel| parcel.answers.bytes).map_err(|_| gone());
        (1..ways.len()).map(fetch).collect()
    }
}

/// The next answer of a shard that has been asked.
fn next_answer(parcels: &mut [Option<Parcel>], shard: usize) -> &[u8] {
    parcels[shard].as_mut().map_or(&[], Parcel::next_answer)
}

/// The number in the first line of an answer.
fn number(answer: &[u8]) -> i64 {
    answer.get(1..answer.len().saturating_sub(2)).and_then(|digits| integer(digits).ok()).unwrap_or(0)
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "ask another shard: its worker has ended")
}
