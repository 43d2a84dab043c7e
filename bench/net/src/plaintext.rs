//! Owns the HTTP that all servers speak: requests in, answers out, without any input or output.

use httparse::{EMPTY_HEADER, Request, Status};
use std::time::SystemTime;

/// One connection's conversation.
#[derive(Default)]
pub struct Conversation {
    /// The beginning of a request whose end has not come.
    rest: Vec<u8>,
    /// Answers to be sent.
    pub output: Vec<u8>,
}

/// The client has sent what is no request.
#[derive(Debug)]
pub struct Malformed;

impl Conversation {
    /// Adds the answers to all requests that are complete.
    ///
    /// # Errors
    ///
    /// If something is no request. The connection is to be closed.
    pub fn hear(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            let used = answer(bytes, &mut self.output)?;
            self.rest.extend_from_slice(&bytes[used..]);
        } else {
            self.rest.extend_from_slice(bytes);
            let used = answer(&self.rest, &mut self.output)?;
            self.rest.drain(..used);
        }
        Ok(())
    }
}

/// Answers the complete requests, and gives how long they are.
fn answer(bytes: &[u8], output: &mut Vec<u8>) -> Result<usize, Malformed> {
    let date = httpdate::fmt_http_date(SystemTime::now());
    let mut used = 0;
    while used < bytes.len() {
        let mut headers = [EMPTY_HEADER; 16];
        let mut request = Request::new(&mut headers);
        match request.parse(&bytes[used..]) {
            Ok(Status::Complete(length)) => used += length,
            Ok(Status::Partial) => break,
            Err(_) => return Err(Malformed),
        }
        for part in ["HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\nDate: ", &date] {
            output.extend_from_slice(part.as_bytes());
        }
        output.extend_from_slice(b"\r\n\r\nHello, World!");
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_may_come_in_pieces_and_together() {
        let mut conversation = Conversation::default();
        for piece in ["GET / HTTP/1.1\r\nHo", "st: kettle\r\n\r", "\nGET / HTTP/1.1\r\n\r\nGET"] {
            conversation.hear(piece.as_bytes()).unwrap();
        }
        assert_eq!(conversation.output.windows(4).filter(|bytes| bytes == b"HTTP").count(), 2);
        assert_eq!(conversation.rest, b"GET");
        assert!(conversation.hear(b"\0\0\r\n").is_err());
    }
}
