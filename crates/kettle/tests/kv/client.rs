//! Owns a client for simulations: it sends commands in one go, and reads as many answers.

use kettle::net::{SocketAddr, TcpStream};
use std::io::{self, BufRead, BufReader, Read, Write};

pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        Self::try_connect(addr).unwrap()
    }

    pub(crate) fn try_connect(addr: SocketAddr) -> io::Result<Self> {
        Ok(Self { stream: BufReader::new(TcpStream::connect(addr)?) })
    }

    /// Sends lines, each a command.
    pub(crate) fn send(&mut self, commands: &[String]) {
        self.try_send(commands).unwrap();
    }

    pub(crate) fn try_send(&mut self, commands: &[String]) -> io::Result<()> {
        let lines: String = commands.iter().map(|command| format!("{command}\r\n")).collect();
        self.stream.get_mut().write_all(lines.as_bytes())
    }

    /// The next answer, in one line.
    pub(crate) fn answer(&mut self) -> String {
        self.try_answer().unwrap()
    }

    pub(crate) fn try_answer(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (kind, rest) = line.trim_end().split_at(1);
        Ok(match kind {
            "$" if rest == "-1" => "nil".to_string(),
            "$" => {
                let mut bulk = vec![0; rest.parse::<usize>().unwrap() + 2];
                self.stream.read_exact(&mut bulk)?;
                String::from_utf8(bulk).unwrap().trim_end().to_string()
            }
            "*" | "%" => {
                // A map has twice as many.
                let count = rest.parse::<usize>().unwrap() * if kind == "%" { 2 } else { 1 };
                let elements: io::Result<Vec<_>> = (0..count).map(|_| self.try_answer()).collect();
                format!("[{}]", elements?.join(" "))
            }
            _ => line.trim_end().to_string(),
        })
    }

    pub(crate) fn ask(&mut self, command: &str) -> String {
        self.send(&[command.to_string()]);
        self.answer()
    }
}
