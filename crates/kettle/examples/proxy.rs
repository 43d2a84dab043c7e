//! A TCP proxy: each connection is handed on to another address, both directions at once, by two tasks.
//!
//! `cargo run --release -p kettle --example proxy -- --addr 127.0.0.1:7001 --to 127.0.0.1:7000` serves until it is killed;
//! without arguments it passes a conversation on between tasks of its own and ends.
//!
//! The end of one direction is carried over, and the other one goes on: a client that has sent all it has to say still
//! gets its answer. An error in either ends both.

use kettle::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use kettle::thread;
use kettle::time::Duration;
use std::error::Error;
use std::io::{self, Read, Write};
use std::process::ExitCode;

const USAGE: &str = "usage: proxy --to HOST:PORT [--addr HOST:PORT]";

/// What is passed on at once, for each direction, on its task's stack.
const BUFFER: usize = 16 * 1024;

/// How long the other side may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the server waits for descriptors when there are none left.
const PAUSE: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (addr, to) = match arguments[..] {
        [] => (None, None),
        ["--to", to] => (None, Some(to)),
        ["--addr", addr, "--to", to] | ["--to", to, "--addr", addr] => (Some(addr), Some(to)),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let result = kettle::run(|| {
        // Before anything listens: a name that is not known is no server.
        let to = to.map(resolve).transpose()?;
        let listener = listen(addr.unwrap_or("127.0.0.1:0"))?;
        match to {
            Some(to) => serve(&listener, to),
            None => demonstrate(listener),
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proxy: {error}");
            ExitCode::FAILURE
        }
    }
}

fn resolve(to: &str) -> Result<SocketAddr, Box<dyn Error>> {
    let mut found = to.to_socket_addrs().map_err(|error| format!("pass on to {to}: {error}"))?;
    found.next().ok_or_else(|| format!("pass on to {to}: the name has no address").into())
}

fn listen(addr: &str) -> Result<TcpListener, Box<dyn Error>> {
    let listener = TcpListener::bind(addr).map_err(|error| format!("listen on {addr}: {error}"))?;
    println!("listening on {}", listener.local_addr()?);
    io::stdout().flush()?;
    Ok(listener)
}

/// Gives each connection a task of its own. Never ends.
fn serve(listener: &TcpListener, to: SocketAddr) -> ! {
    loop {
        match listener.accept() {
            // If the other side can't be reached, the client's connection is closed: that is all that TCP can say.
            Ok((stream, _)) => drop(thread::spawn(move || pass_on(&stream, to))),
            Err(error) => {
                // If the error is that this task was cancelled, it ends here.
                thread::sleep(PAUSE);
                eprintln!("proxy: accept: {error}");
            }
        }
    }
}

fn pass_on(client: &TcpStream, to: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect_timeout(&to, PATIENCE)?;
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

/// A client asks a server through the proxy. The server answers when it has heard everything, so it has to hear the end.
fn demonstrate(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    let server = TcpListener::bind("127.0.0.1:0")?;
    let (addr, to) = (listener.local_addr()?, server.local_addr()?);
    thread::spawn(move || serve(&listener, to));
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
