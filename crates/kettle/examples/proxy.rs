//! A TCP proxy: each connection is handed on to another address, both directions at once, by two tasks.
//!
//! `cargo run --release -p kettle --example proxy -- --addr 127.0.0.1:7001 --to 127.0.0.1:7000` serves until it is
//! killed; without arguments it passes a conversation on between tasks of its own and ends. With several `--to` it is a
//! small balancer: connections go to them in turns, and where one can't be reached, to the next one.
//!
//! The end of one direction is carried over, and the other one goes on: a client that has sent all it has to say still
//! gets its answer. An error in either ends both.

use kettle::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use kettle::thread;
use kettle::time::{Duration, Instant};
use std::cell::Cell;
use std::error::Error;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::rc::Rc;

const USAGE: &str = "usage: proxy --to HOST:PORT [--to HOST:PORT]... [--addr HOST:PORT]";

/// What is passed on at once, for each direction, on its task's stack.
const BUFFER: usize = 16 * 1024;

/// How long the other side may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long one that could not be reached is asked last.
const GRUDGE: Duration = Duration::from_secs(2);

/// How long the server waits for descriptors when there are none left.
const PAUSE: Duration = Duration::from_millis(50);

/// Where connections are passed on to.
struct Upstreams {
    all: Vec<Upstream>,
    /// Whose turn it is.
    next: Cell<usize>,
}

struct Upstream {
    addr: SocketAddr,
    /// When it could not be reached.
    failed: Cell<Option<Instant>>,
}

fn main() -> ExitCode {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let Some((addr, to)) = read_arguments(words) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let result = kettle::run(|| {
        // Before anything listens: a name that is not known is no server.
        let to = to.iter().map(|to| resolve(to)).collect::<Result<Vec<_>, _>>()?;
        let listener = listen(addr.as_deref().unwrap_or("127.0.0.1:0"))?;
        if to.is_empty() { demonstrate(listener) } else { serve(&listener, &Upstreams::new(&to)) }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Where it listens, and what it passes on to; nothing at all, or at least the latter.
fn read_arguments(mut words: impl Iterator<Item = String>) -> Option<(Option<String>, Vec<String>)> {
    let (mut addr, mut to) = (None, Vec::new());
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--addr" if addr.is_none() => addr = Some(value),
            "--to" => to.push(value),
            _ => return None,
        }
    }
    (addr.is_none() || !to.is_empty()).then_some((addr, to))
}

fn resolve(to: &str) -> Result<SocketAddr, Box<dyn Error>> {
    let mut found = to.to_socket_addrs().map_err(|error| format!("pass on to {to}: {error}"))?;
    found.next().ok_or_else(|| format!("pass on to {to}: the name has no address").into())
}

impl Upstreams {
    fn new(addrs: &[SocketAddr]) -> Rc<Self> {
        let all = addrs.iter().map(|&addr| Upstream { addr, failed: Cell::new(None) }).collect();
        Rc::new(Self { all, next: Cell::new(0) })
    }

    /// A connection to the next one in turn that can be reached. Those that could not be, a moment ago, are tried last.
    fn connect(&self) -> io::Result<TcpStream> {
        let first = self.next.get();
        self.next.set((first + 1) % self.all.len());
        let mut turn: Vec<&Upstream> = (0..self.all.len()).map(|at| &self.all[(first + at) % self.all.len()]).collect();
        turn.sort_by_key(|upstream| upstream.failed.get().is_some_and(|failed| failed.elapsed() < GRUDGE));
        let mut refused = None;
        for upstream in turn {
            match TcpStream::connect_timeout(&upstream.addr, PATIENCE) {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    upstream.failed.set(Some(Instant::now()));
                    refused = Some(error);
                }
            }
        }
        Err(refused.expect("invariant: there is one at least"))
    }
}

fn listen(addr: &str) -> Result<TcpListener, Box<dyn Error>> {
    let listener = TcpListener::bind(addr).map_err(|error| format!("listen on {addr}: {error}"))?;
    println!("listening on {}", listener.local_addr()?);
    io::stdout().flush()?;
    Ok(listener)
}

/// Gives each connection a task of its own. Never ends.
fn serve(listener: &TcpListener, to: &Rc<Upstreams>) -> ! {
    loop {
        match listener.accept() {
            // If the other side can't be reached, the client's connection is closed: that is all that TCP can say.
            Ok((stream, _)) => {
                let to = Rc::clone(to);
                drop(thread::spawn(move || pass_on(&stream, &to)));
            }
            Err(error) => {
                // If the error is that this task was cancelled, it ends here.
                thread::sleep(PAUSE);
                eprintln!("proxy: accept: {error}");
            }
        }
    }
}

fn pass_on(client: &TcpStream, to: &Upstreams) -> io::Result<()> {
    let server = to.connect()?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    thread::scope(|s| {
        s.spawn(|| pour(client, &server));
        pour(&server, client);
    });
    Ok(())
}

/// Passes everything on in one direction, and its end.
fn pour(from: &TcpStream, to: &TcpStream) {
    if pour_all(from, to).is_err() {
        // One of the two is gone, so there is nobody to answer either. The other direction's task waits in a read or a
        // write, and hears of it by this. What can't be shut down is closed already.
        _ = from.shutdown(Shutdown::Both);
        _ = to.shutdown(Shutdown::Both);
    }
}

fn pour_all(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    let mut buffer = [0; BUFFER];
    loop {
        match from.read(&mut buffer)? {
            0 => return to.shutdown(Shutdown::Write),
            n => to.write_all(&buffer[..n])?,
        }
    }
}

/// A client asks a server through the proxy. The server answers when it has heard everything, so it has to hear the
/// end.
fn demonstrate(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    let server = TcpListener::bind("127.0.0.1:0")?;
    let (addr, to) = (listener.local_addr()?, server.local_addr()?);
    thread::spawn(move || serve(&listener, &Upstreams::new(&[to])));
    let server = thread::spawn(move || -> io::Result<()> {
        let (mut stream, _) = server.accept()?;
        let mut heard = String::new();
        stream.read_to_string(&mut heard)?;
        writeln!(stream, "{} lines, the last one {:?}", heard.lines().count(), heard.lines().last())
    });
    let client = thread::spawn(move || -> io::Result<String> {
        let mut stream = TcpStream::connect(addr)?;
        for line in ["put", "the", "kettle", "on"] {
            writeln!(stream, "{line}")?;
        }
        stream.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    });
    server.join().expect("the server doesn't panic")?;
    let answer = client.join().expect("the client doesn't panic")?;
    assert_eq!(answer, "4 lines, the last one Some(\"on\")\n");
    print!("{answer}");
    Ok(())
}
