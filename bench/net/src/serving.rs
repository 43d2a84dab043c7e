//! Owns what the servers are started with, and how they say where they are.

use std::io::{self, Write};
use std::net::TcpListener;
use std::time::Duration;

/// How much a server reads at once.
pub const BUFFER: usize = 4096;

/// What is served.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Service {
    /// Bytes come back as they are.
    Echo,
    /// HTTP requests are answered with "Hello, World!".
    Plaintext,
}

/// The options of a server, from its command line: `[http] [epoll] [spin MICROSECONDS] [idle TASKS]`.
#[derive(Debug)]
pub struct Options {
    /// What is served; echo if nothing is said.
    pub service: Service,
    /// Whether a raw loop is to use epoll.
    pub epoll: bool,
    /// How long the loop looks for events before it sleeps.
    pub spin: Duration,
    /// How many tasks wait for something that never comes.
    pub idle: usize,
}

impl Options {
    /// Those of this process.
    ///
    /// # Panics
    ///
    /// If they are others.
    pub fn of_command_line() -> Self {
        let mut options = Self { service: Service::Echo, epoll: false, spin: Duration::ZERO, idle: 0 };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut number = || arguments.next().and_then(|number| number.parse().ok()).expect("a number");
            match argument.as_str() {
                "http" => options.service = Service::Plaintext,
                "epoll" => options.epoll = true,
                "spin" => options.spin = Duration::from_micros(number()),
                "idle" => options.idle = number() as usize,
                other => panic!("what is {other}?"),
            }
        }
        options
    }
}

/// A blocking listener on a free port, which is printed.
///
/// # Errors
///
/// The system's.
pub fn listen() -> io::Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    // std's backlog of 128 is short for thousands of clients at once.
    let fd = std::os::fd::AsRawFd::as_raw_fd(&listener);
    // SAFETY: it points to nothing.
    if unsafe { libc::listen(fd, 4096) } < 0 {
        return Err(io::Error::last_os_error());
    }
    println!("listening on {}", listener.local_addr()?);
    io::stdout().flush()?;
    Ok(listener)
}
