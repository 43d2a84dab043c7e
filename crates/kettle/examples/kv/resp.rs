//! Owns Redis' protocol: a parser, which gives commands as slices of what was read, and a writer of answers.
//!
//! Invariant: the parser goes on where it stopped. However a command is cut into pieces, each of its words is looked at
//! once, so that nobody can make it work by sending slowly.

use std::fmt::{self, Display};
use std::io::Write;
use std::ops::Index;

/// How long a word may be, in bytes. As Redis' `proto-max-bulk-len`.
pub(crate) const MOST_BULK: usize = 512 * 1024 * 1024;

/// How many words a command may have.
const MOST_WORDS: usize = 1024 * 1024;

/// How long a command may be, in bytes.
const MOST_COMMAND: usize = 1024 * 1024 * 1024;

/// How long a command may be that is a line.
const MOST_LINE: usize = 64 * 1024;

/// How many digits a length may have. More than any that is allowed.
const MOST_DIGITS: usize = 12;

/// How many words room is kept for.
const MOST_PLACES: usize = 1024;

/// What can't be a command. Where the next one would begin nobody knows, so it is the connection's end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    WordCount,
    WordLength,
    WordEnd,
    NoWord(u8),
    LongCommand,
    LongLine,
    OpenQuote,
}

impl Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        match self {
            Self::WordCount => f.write_str("invalid multibulk length"),
            Self::WordLength => f.write_str("invalid bulk length"),
            Self::WordEnd => f.write_str("expected CRLF after a bulk string"),
            Self::NoWord(byte) => write!(f, "expected '$', got '{}'", byte.escape_ascii()),
            Self::LongCommand => f.write_str("too big a command"),
            Self::LongLine => f.write_str("too big inline request"),
            Self::OpenQuote => f.write_str("unbalanced quotes in request"),
        }
    }
}

/// Where a word lies in the command: its beginning and its end.
type Place = (usize, usize);

/// Finds commands in what has come of a connection.
#[derive(Default)]
pub(crate) struct Parser {
    /// The words that are complete.
    places: Vec<Place>,
    /// How far the command has been looked at; 0 if it has not begun.
    at: usize,
    /// How many words are to come.
    missing: usize,
}

impl Parser {
    /// Looks for the command that `input` begins with, and gives its length if it is complete.
    ///
    /// Otherwise it is to be called again when there is more, with the same beginning.
    pub(crate) fn parse(&mut self, input: &[u8]) -> Result<Option<usize>, Malformed> {
        if self.at == 0 {
            self.places.clear();
            self.places.shrink_to(MOST_PLACES);
        }
        match input.first() {
            None => return Ok(None),
            Some(b'*') => {}
            Some(_) => return self.parse_line(input),
        }
        if self.at == 0 {
            let Some((count, at)) = parse_length(input, 1).ok_or(Malformed::WordCount)? else { return Ok(None) };
            if count > MOST_WORDS {
                return Err(Malformed::WordCount);
            }
            (self.missing, self.at) = (count, at);
        }
        while self.missing > 0 {
            match input.get(self.at) {
                None => return Ok(None),
                Some(b'$') => {}
                Some(other) => return Err(Malformed::NoWord(*other)),
            }
            let length = parse_length(input, self.at + 1).ok_or(Malformed::WordLength)?;
            let Some((length, start)) = length else { return Ok(None) };
            if length > MOST_BULK {
                return Err(Malformed::WordLength);
            }
            let end = start + length;
            if end > MOST_COMMAND {
                return Err(Malformed::LongCommand);
            }
            match input.get(end..end + 2) {
                None => return Ok(None),
                Some(b"\r\n") => {}
                Some(_) => return Err(Malformed::WordEnd),
            }
            self.places.push((start, end));
            self.missing -= 1;
            self.at = end + 2;
        }
        Ok(Some(std::mem::take(&mut self.at)))
    }

    /// A command as somebody types it: words with blanks between them, which may be quoted.
    fn parse_line(&mut self, input: &[u8]) -> Result<Option<usize>, Malformed> {
        let searched = &input[..input.len().min(MOST_LINE)];
        // Its end is not looked for again where it was not.
        let Some(end) = searched.iter().skip(self.at).position(|byte| *byte == b'\n') else {
            self.at = searched.len();
            return if searched.len() == MOST_LINE { Err(Malformed::LongLine) } else { Ok(None) };
        };
        let end = std::mem::take(&mut self.at) + end;
        let mut at = 0;
        while at < end {
            let (start, stop) = match input[at] {
                byte if byte.is_ascii_whitespace() => {
                    at += 1;
                    continue;
                }
                quote @ (b'"' | b'\'') => {
                    let length = input[at + 1..end].iter().position(|byte| *byte == quote);
                    let stop = at + 1 + length.ok_or(Malformed::OpenQuote)?;
                    if !input[stop + 1].is_ascii_whitespace() {
                        return Err(Malformed::OpenQuote);
                    }
                    (at + 1, stop)
                }
                _ => {
                    let length = input[at..end].iter().position(u8::is_ascii_whitespace);
                    (at, length.map_or(end, |length| at + length))
                }
            };
            self.places.push((start, stop));
            at = stop + 1;
        }
        Ok(Some(end + 1))
    }

    /// The words of the command that was found last, which `input` begins with.
    pub(crate) fn words<'a>(&'a self, input: &'a [u8]) -> Words<'a> {
        Words { input, places: &self.places }
    }
}

/// A length and where the line ends that it is; the inner `None` if there is more to come, the outer if it is none.
fn parse_length(input: &[u8], from: usize) -> Option<Option<(usize, usize)>> {
    let mut length = 0;
    for at in from..from + MOST_DIGITS {
        match input.get(at) {
            None => return Some(None),
            Some(digit @ b'0'..=b'9') => length = length * 10 + usize::from(digit - b'0'),
            Some(b'\r') if at > from => {
                return match input.get(at + 1) {
                    None => Some(None),
                    Some(b'\n') => Some(Some((length, at + 2))),
                    Some(_) => None,
                };
            }
            Some(_) => return None,
        }
    }
    None
}

/// A command: its name, at which nobody looks once it was found by that, and what follows.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a> {
    input: &'a [u8],
    places: &'a [Place],
}

impl<'a> Words<'a> {
    /// A command of which nothing follows.
    pub(crate) const NO_ARGUMENTS: Words<'static> = Words { input: b"", places: &[(0, 0)] };

    pub(crate) fn len(self) -> usize {
        self.places.len()
    }

    pub(crate) fn get(self, index: usize) -> Option<&'a [u8]> {
        self.places.get(index).map(|(start, end)| &self.input[*start..*end])
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        self.places.iter().map(move |(start, end)| &self.input[*start..*end])
    }

    /// The words from `from` on.
    pub(crate) fn skip(self, from: usize) -> Self {
        Self { places: &self.places[from..], ..self }
    }

    /// The first words, so many.
    pub(crate) fn take(self, count: usize) -> Self {
        Self { places: &self.places[..count], ..self }
    }
}

impl Index<usize> for Words<'_> {
    type Output = [u8];

    fn index(&self, index: usize) -> &[u8] {
        let (start, end) = self.places[index];
        &self.input[start..end]
    }
}

/// Writes a command of so many words, as clients do.
pub(crate) fn write_command<'a>(out: &mut Vec<u8>, len: usize, words: impl Iterator<Item = &'a [u8]>) {
    write_line(out, b'*', len);
    words.for_each(|word| write_bulk(out, word));
}

fn write_bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    write_line(out, b'$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn write_line(out: &mut Vec<u8>, kind: u8, number: usize) {
    out.push(kind);
    write_digits(out, number as u64);
    out.extend_from_slice(b"\r\n");
}

/// What `write!` would write, sooner: it is done for each answer.
fn write_digits(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Which version of the protocol a client has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protocol {
    #[default]
    Resp2,
    Resp3,
}

/// Answers that are to be sent.
#[derive(Default)]
pub(crate) struct Output {
    pub(crate) bytes: Vec<u8>,
    pub(crate) protocol: Protocol,
}

impl Output {
    pub(crate) fn simple(&mut self, text: &str) {
        self.bytes.push(b'+');
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// An error: its code, and in one line what is wrong.
    pub(crate) fn error(&mut self, text: impl Display) {
        // A vector takes all that is written.
        _ = write!(self.bytes, "-{text}\r\n");
    }

    pub(crate) fn integer(&mut self, number: i64) {
        self.bytes.extend_from_slice(if number < 0 { b":-" } else { b":" });
        write_digits(&mut self.bytes, number.unsigned_abs());
        self.bytes.extend_from_slice(b"\r\n");
    }

    pub(crate) fn bulk(&mut self, bytes: &[u8]) {
        write_bulk(&mut self.bytes, bytes);
    }

    pub(crate) fn null(&mut self) {
        self.bytes.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"$-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// The beginning of an array: so many answers follow.
    pub(crate) fn array(&mut self, len: usize) {
        write_line(&mut self.bytes, b'*', len);
    }

    /// The beginning of a map: so many pairs of answers follow.
    pub(crate) fn map(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.array(len * 2),
            Protocol::Resp3 => write_line(&mut self.bytes, b'%', len),
        }
    }

    /// The beginning of what no command has asked for: so many answers follow.
    pub(crate) fn push(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.array(len),
            Protocol::Resp3 => write_line(&mut self.bytes, b'>', len),
        }
    }
}
