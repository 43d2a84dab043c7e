//! Owns a client that checks each answer.

use crate::service::{PATIENCE, expected};
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};

pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    /// Who has accepted it.
    pub(crate) pid: u32,
}

impl Client {
    /// Connects, and waits until it was accepted.
    pub(crate) fn connect(addr: SocketAddr) -> io::Result<Self> {
        Self::after_connecting(TcpStream::connect(addr).expect("no connection is refused"))
    }

    pub(crate) fn after_connecting(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut client = Self { stream: BufReader::new(stream), pid: 0 };
        client.pid = client.line()?.parse().unwrap();
        Ok(client)
    }

    /// Has a number made into another one. A wrong answer is no error, but a panic.
    pub(crate) fn ask(&mut self, number: u64) -> io::Result<()> {
        self.stream.get_mut().write_all(format!("{number}\n").as_bytes())?;
        let answer = self.line()?;
        assert_eq!(answer, format!("{} {}", expected(number), self.pid));
        Ok(())
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        // A line without its end is no answer.
        match line.strip_suffix('\n') {
            Some(line) => Ok(line.to_owned()),
            None => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// That the other end has closed it, and said nothing more.
    pub(crate) fn assert_closed(mut self) {
        let error = self.line().unwrap_err();
        assert!([ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset].contains(&error.kind()), "{error}");
    }
}
