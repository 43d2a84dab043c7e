//! Owns how answers are judged: every byte that comes belongs to the oldest request without an answer, and is as it should
//! be.

use crate::payload::Payload;
use crate::plan::Mode;
use crate::report::Failure;
use std::collections::VecDeque;
use std::time::Instant;

/// What an HTTP server says to `GET /`.
pub const GREETING: &[u8] = b"Hello, World!";
const GREETING_LEN: &str = "13";

/// How many headers an answer may have, and how long it may be.
const MOST_HEADERS: usize = 64;
const MOST_ANSWER: usize = 64 * 1024;

/// A request that was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// Where its payload begins.
    pub start: usize,
    /// How long it is.
    pub len: usize,
    /// When it was made, or was due.
    pub since: Instant,
}

/// What has come of the answer to the oldest request.
#[derive(Debug)]
pub enum Answers {
    /// So many bytes of it.
    Echo(usize),
    /// These bytes: they say themselves where it ends.
    Http(Vec<u8>),
}

impl Answers {
    /// Nothing.
    pub fn new(mode: Mode) -> Self {
        match mode {
            Mode::Echo | Mode::Churn => Self::Echo(0),
            Mode::Http => Self::Http(Vec::new()),
        }
    }

    /// Whether a part of an answer has come, and not the rest.
    pub fn are_partial(&self) -> bool {
        match self {
            Self::Echo(at) => *at > 0,
            Self::Http(input) => !input.is_empty(),
        }
    }

    /// Takes bytes that have come. Requests that they complete are taken out of `pending`, and handed on with the number of
    /// bytes that the answer had.
    ///
    /// # Errors
    ///
    /// [`Failure::Wrong`].
    pub fn take(
        &mut self,
        bytes: &[u8],
        payload: &Payload,
        pending: &mut VecDeque<Request>,
        mut answered: impl FnMut(Request, usize),
    ) -> Result<(), Failure> {
        match self {
            Self::Echo(at) => {
                let mut rest = bytes;
                while !rest.is_empty() {
                    let request = *pending.front().ok_or(Failure::Wrong)?;
                    let (piece, later) = rest.split_at(rest.len().min(request.len - *at));
                    if !payload.matches(request.start + *at, piece) {
                        return Err(Failure::Wrong);
                    }
                    *at += piece.len();
                    rest = later;
                    if *at == request.len {
                        *at = 0;
                        pending.pop_front();
                        answered(request, request.len);
                    }
                }
                Ok(())
            }
            Self::Http(input) => {
                input.extend_from_slice(bytes);
                let mut used = 0;
                while used < input.len() {
                    let request = *pending.front().ok_or(Failure::Wrong)?;
                    let Some(len) = http_answer(&input[used..])? else { break };
                    used += len;
                    pending.pop_front();
                    answered(request, len);
                }
                input.drain(..used);
                if input.len() > MOST_ANSWER { Err(Failure::Wrong) } else { Ok(()) }
            }
        }
    }
}

/// The length of the answer that these bytes begin with, if it is complete.
fn http_answer(input: &[u8]) -> Result<Option<usize>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(input) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Failure::Wrong),
    };
    let mut lengths = response.headers.iter().filter(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = lengths.next().map(|header| header.value);
    if response.code != Some(200) || length != Some(GREETING_LEN.as_bytes()) || lengths.next().is_some() {
        return Err(Failure::Wrong);
    }
    let body = &input[head..];
    let known = body.len().min(GREETING.len());
    if body[..known] != GREETING[..known] {
        return Err(Failure::Wrong);
    }
    Ok((known == GREETING.len()).then_some(head + known))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!";

    /// Feeds pieces to the answers of requests of these lengths, and gives how many were answered.
    fn feed(mode: Mode, lens: &[usize], pieces: &[&[u8]]) -> Result<usize, Failure> {
        let payload = Payload::new(1);
        let request = |(index, &len): (usize, &usize)| Request { start: index * 1000, len, since: Instant::now() };
        let mut pending: VecDeque<Request> = lens.iter().enumerate().map(request).collect();
        let mut answers = Answers::new(mode);
        let mut answered = 0;
        for piece in pieces {
            answers.take(piece, &payload, &mut pending, |_, _| answered += 1)?;
        }
        assert_eq!(pending.len(), lens.len() - answered);
        assert!(!answers.are_partial() || !pending.is_empty());
        Ok(answered)
    }

    fn echoes(lens: &[usize]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (index, &len) in lens.iter().enumerate() {
            Payload::new(1).put(index * 1000, len, &mut bytes);
        }
        bytes
    }

    #[test]
    fn echoes_are_told_apart_however_they_are_cut() {
        let lens = [1, 5, 3];
        let all = echoes(&lens);
        for cut in 0..=all.len() {
            let (first, second) = all.split_at(cut);
            assert_eq!(feed(Mode::Echo, &lens, &[first, second]), Ok(3), "{cut}");
        }
        assert_eq!(feed(Mode::Echo, &lens, &[&all[..8]]), Ok(2));
    }

    #[test]
    fn a_byte_that_is_changed_missing_or_too_much_is_wrong() {
        let all = echoes(&[4, 4]);
        for at in 0..all.len() {
            let mut changed = all.clone();
            changed[at] ^= 0x20;
            assert_eq!(feed(Mode::Echo, &[4, 4], &[&changed]), Err(Failure::Wrong), "{at}");
        }
        assert_eq!(feed(Mode::Echo, &[4, 4], &[&all[1..]]), Err(Failure::Wrong));
        assert_eq!(feed(Mode::Echo, &[4, 4], &[&all, b"x"]), Err(Failure::Wrong));
    }

    #[test]
    fn http_answers_are_told_apart_however_they_are_cut() {
        let all = [ANSWER, ANSWER].concat();
        for cut in 0..=all.len() {
            let (first, second) = all.split_at(cut);
            assert_eq!(feed(Mode::Http, &[0, 0], &[first, second]), Ok(2), "{cut}");
        }
    }

    #[test]
    fn http_answers_that_are_not_the_greeting_are_wrong() {
        for bad in [
            "HTTP/1.1 404 Not Found\r\nContent-Length: 13\r\n\r\nHello, World!",
            "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nHello, World",
            "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, Worls!",
            "HTTP/1.1 200 OK\r\n\r\nHello, World!",
            "HTTP/1.1 200 OK\r\nContent-Length: 13\r\nContent-Length: 13\r\n\r\nHello, World!",
            "SMTP",
        ] {
            assert_eq!(feed(Mode::Http, &[0, 0], &[bad.as_bytes()]), Err(Failure::Wrong), "{bad:?}");
        }
        assert_eq!(feed(Mode::Http, &[0], &[ANSWER, b"H"]), Err(Failure::Wrong));
        let endless = [b"HTTP/1.1 200 OK\r\nx: ", &[b'x'; MOST_ANSWER][..]].concat();
        assert_eq!(feed(Mode::Http, &[0], &[&endless]), Err(Failure::Wrong));
    }
}
