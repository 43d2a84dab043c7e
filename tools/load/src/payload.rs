//! Owns what echoes are made of: random bytes, of which each request has its own cyclic piece.
//!
//! So an answer can be checked without keeping the request, and one that was mixed up with another, shifted or cut is told
//! from the right one.

use crate::random::Random;

/// A prime, so that no size of request goes into it.
const PERIOD: usize = 65_537;

/// The bytes of all requests.
#[derive(Debug)]
pub struct Payload {
    bytes: Vec<u8>,
}

impl Payload {
    /// The bytes that belong to a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, u64::MAX);
        Self { bytes: (0..PERIOD).map(|_| random.next_u64() as u8).collect() }
    }

    /// Where the piece of a request begins.
    pub fn start(&self, request: u64) -> usize {
        (Random::new(request, 0).next_u64() % PERIOD as u64) as usize
    }

    /// Appends `len` bytes from a place on.
    pub fn put(&self, start: usize, len: usize, out: &mut Vec<u8>) {
        let end = out.len() + len;
        let mut at = start;
        while out.len() < end {
            let piece = self.piece(at, end - out.len());
            out.extend_from_slice(piece);
            at += piece.len();
        }
    }

    /// Whether these are the bytes from a place on.
    pub fn matches(&self, start: usize, bytes: &[u8]) -> bool {
        let mut at = 0;
        while at < bytes.len() {
            let piece = self.piece(start + at, bytes.len() - at);
            if piece != &bytes[at..at + piece.len()] {
                return false;
            }
            at += piece.len();
        }
        true
    }

    /// As many bytes from a place on as lie together, at most `len`.
    fn piece(&self, at: usize, len: usize) -> &[u8] {
        let at = at % PERIOD;
        &self.bytes[at..(at + len).min(PERIOD)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_matches_in_any_pieces_and_nothing_else_does() {
        let payload = Payload::new(3);
        for (start, len) in [(0, 1), (5, 100), (PERIOD - 1, 2), (PERIOD - 7, 3 * PERIOD)] {
            let mut bytes = Vec::new();
            payload.put(start, len, &mut bytes);
            assert_eq!(bytes.len(), len);
            assert!(payload.matches(start, &bytes));
            let half = len / 2;
            assert!(payload.matches(start + half, &bytes[half..]));
            bytes[half] ^= 1;
            assert!(!payload.matches(start, &bytes));
        }
    }

    #[test]
    fn requests_begin_at_different_places() {
        let payload = Payload::new(3);
        let starts: std::collections::BTreeSet<_> = (0..1000).map(|request| payload.start(request)).collect();
        assert!(starts.len() > 950, "{}", starts.len());
    }
}
