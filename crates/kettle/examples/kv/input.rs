//! Owns the buffer that a connection is read into: what has come and is not dealt with lies in one piece.
//!
//! It grows with what comes, and not with what is announced.

/// How large a buffer is at first, and if nothing comes that is larger, at most. In bytes.
const FIRST: usize = 4 * 1024;
const MOST: usize = 64 * 1024;

#[derive(Default)]
pub(crate) struct Input {
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
}

impl Input {
    /// What is not dealt with.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.begin..self.end]
    }

    /// Where more can be read to; never nothing.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let is_empty = self.begin == self.end;
        if is_empty && self.buffer.len() > MOST {
            // What was so large is dealt with.
            *self = Self::default();
        }
        let is_full = self.end == self.buffer.len();
        if is_empty || is_full {
            self.buffer.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
        }
        // There may have been more than it had room for; or there is little room, and it would be full again at once.
        if is_full && (self.buffer.len() < MOST || self.end > self.buffer.len() / 2) {
            self.buffer.resize((self.buffer.len() * 2).max(FIRST), 0);
        }
        &mut self.buffer[self.end..]
    }

    /// So much has been read. Gives that.
    pub(crate) fn add(&mut self, len: usize) -> usize {
        self.end += len;
        len
    }

    /// So much is dealt with.
    pub(crate) fn remove(&mut self, len: usize) {
        self.begin += len;
    }
}
