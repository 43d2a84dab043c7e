//! Owns what goes from a connection to other shards and comes back.
//!
//! What a connection asks of a shard is collected while its commands are read, and sent as one parcel, which comes back
//! with the answers. Meanwhile answers of its own shard have been written already, with notes of what is to be put
//! between them. A parcel and its buffers are used again and again.

use super::command::{Command, Data, Fold, integer};
use super::resp::{Output, Parser, Protocol, Words, write_command};
use kettle::sync::mpsc::{self, Receiver, Sender};
use std::io;

/// How many bytes of answers a parcel brings at a time, and one answer more: whoever asks for much and does not read it
/// is not to have it kept for him.
const MOST_ANSWERS: usize = 64 * 1024;

/// A buffer that is larger is not kept.
const MOST_KEPT: usize = 1024 * 1024;

/// What is asked of a shard, and then its answers.
pub(crate) struct Parcel {
    errand: Errand,
    shard: usize,
    commands: Vec<u8>,
    /// How much of the commands is done, in bytes.
    done: usize,
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
        Self { errand: Errand::Commands, shard, commands, done: 0, answers, ends, taken: 0, home }
    }

    pub(crate) fn is_for_section(&self) -> bool {
        self.errand == Errand::Section
    }

    pub(crate) fn bring(&mut self, section: Vec<u8>) {
        self.answers.bytes = section;
    }

    /// Does its commands to these data: all, or as many as fill it with answers.
    pub(crate) fn answer(&mut self, parser: &mut Parser, data: &mut Data) {
        while self.answers.bytes.len() < MOST_ANSWERS
            && let Ok(Some(len)) = parser.parse(&self.commands[self.done..])
        {
            let words = parser.words(&self.commands[self.done..]);
            match Command::find(&words[0]) {
                Some(command) => command.call(data, words, &mut self.answers),
                None => self.answers.error("ERR unknown command"),
            }
            self.ends.push(self.answers.bytes.len());
            self.done += len;
        }
    }

    /// Whether it has brought nothing that is not dealt with, and there is more to be done.
    fn is_to_be_sent(&self) -> bool {
        self.taken == self.ends.len() && self.done < self.commands.len()
    }

    /// A checkpoint. If the connection has gone, nobody waits for the answers.
    pub(crate) fn send_home(self) {
        let home = self.home.clone();
        _ = home.send(self);
    }

    fn next_answer(&mut self) -> Option<&[u8]> {
        let begin = self.taken.checked_sub(1).map_or(0, |last| self.ends[last]);
        let end = *self.ends.get(self.taken)?;
        self.taken += 1;
        Some(&self.answers.bytes[begin..end])
    }

    fn clear(&mut self) {
        self.clear_answers();
        clear(&mut self.commands);
        self.done = 0;
    }

    fn clear_answers(&mut self) {
        clear(&mut self.answers.bytes);
        self.ends.clear();
        self.taken = 0;
    }
}

/// What is to be put between the answers that are written already.
#[derive(Clone, Copy)]
enum Note {
    /// What the next answer of this shard is a part of.
    Part(Fold, usize),
    /// All parts have been named.
    Whole(Fold),
}

/// What a connection has asked of shards since its last answers went out.
pub(crate) struct Batch {
    /// By shard, if there have been any for it.
    parcels: Vec<Option<Parcel>>,
    /// Each with its place among what is written.
    notes: Vec<(usize, Note)>,
    /// How many notes have been dealt with.
    filled: usize,
    /// What was written already when the first of them was dealt with, and how much of it has been put out.
    written: Vec<u8>,
    put: usize,
    folded: Folded,
    home: (Sender<Parcel>, Receiver<Parcel>),
}

/// What has come of an answer that several shards give.
#[derive(Default)]
struct Folded {
    sum: i64,
    one: Vec<u8>,
    elements: usize,
    joined: Vec<u8>,
}

impl Batch {
    pub(crate) fn new(shards: usize) -> Self {
        let parcels = (0..shards).map(|_| None).collect();
        let (notes, filled, written, put, folded) = Default::default();
        Self { parcels, notes, filled, written, put, folded, home: mpsc::channel() }
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
    pub(crate) fn ask(&mut self, shard: usize, command: &Command, words: Words<'_>, protocol: Protocol) {
        let named = std::iter::once(command.name.as_bytes()).chain(words.iter().skip(1));
        write_command(&mut self.parcel(shard, protocol).commands, words.len(), named);
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

    /// Notes that the next answer of this shard is part of the one that belongs here.
    pub(crate) fn note_part(&mut self, out: &Output, fold: Fold, shard: usize) {
        self.notes.push((out.bytes.len(), Note::Part(fold, shard)));
    }

    /// Notes that all parts have been noted.
    pub(crate) fn note_whole(&mut self, out: &Output, fold: Fold) {
        self.notes.push((out.bytes.len(), Note::Whole(fold)));
    }

    /// Sends what is asked of others, waits for answers, and puts those where they belong that have their turn. Gives
    /// whether these were all: if not, what is there is to be sent before this is called again. A checkpoint, if there
    /// are any.
    pub(crate) fn fill(&mut self, out: &mut Output, own: usize, ways: &[Sender<Parcel>]) -> io::Result<bool> {
        if self.notes.is_empty() {
            return Ok(true);
        }
        let mut away = 0;
        for shard in (0..ways.len()).filter(|shard| *shard != own) {
            if let Some(mut parcel) = self.parcels[shard].take_if(|parcel| parcel.is_to_be_sent()) {
                parcel.clear_answers();
                ways[shard].send(parcel).map_err(|_| gone())?;
                away += 1;
            }
        }
        for _ in 0..away {
            let parcel = self.home.1.recv().map_err(|_| gone())?;
            let shard = parcel.shard;
            self.parcels[shard] = Some(parcel);
        }
        if self.filled == 0 {
            // (Each of them has brought an answer, so that it is not 0 again.)
            std::mem::swap(&mut out.bytes, &mut self.written);
        }
        while let Some(&(place, note)) = self.notes.get(self.filled) {
            out.bytes.extend_from_slice(&self.written[self.put..place]);
            self.put = place;
            if !self.folded.put(note, &mut self.parcels, out) {
                return Ok(false);
            }
            self.filled += 1;
        }
        out.bytes.extend_from_slice(&self.written[self.put..]);
        self.parcels.iter_mut().flatten().for_each(Parcel::clear);
        self.notes.clear();
        clear(&mut self.written);
        (self.filled, self.put) = (0, 0);
        Ok(true)
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

impl Folded {
    /// Puts in what a note says. Gives whether the answer is there that this takes.
    fn put(&mut self, note: Note, parcels: &mut [Option<Parcel>], out: &mut Output) -> bool {
        match note {
            Note::Whole(fold) => self.put_whole(fold, out),
            Note::Part(fold, shard) => {
                let Some(answer) = parcels[shard].as_mut().and_then(Parcel::next_answer) else { return false };
                self.add(fold, answer, out);
            }
        }
        true
    }

    fn add(&mut self, fold: Fold, answer: &[u8], out: &mut Output) {
        match fold {
            Fold::None | Fold::Array => out.bytes.extend_from_slice(answer),
            Fold::Sum => self.sum += number(answer),
            Fold::Same => {
                self.one.clear();
                self.one.extend_from_slice(answer);
            }
            Fold::Join => {
                let head = answer.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                self.elements += number(&answer[..head]) as usize;
                self.joined.extend_from_slice(&answer[head..]);
            }
        }
    }

    fn put_whole(&mut self, fold: Fold, out: &mut Output) {
        match fold {
            Fold::None | Fold::Array => {}
            Fold::Sum => out.integer(std::mem::take(&mut self.sum)),
            Fold::Same => out.bytes.append(&mut self.one),
            Fold::Join => {
                out.array(std::mem::take(&mut self.elements));
                out.bytes.append(&mut self.joined);
            }
        }
    }
}

/// Empties a buffer, and keeps what it has unless that is much.
fn clear(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.shrink_to(MOST_KEPT);
}

/// The number in the first line of an answer.
pub(crate) fn number(answer: &[u8]) -> i64 {
    answer.get(1..answer.len().saturating_sub(2)).and_then(|digits| integer(digits).ok()).unwrap_or(0)
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "ask another shard: its worker has ended")
}
