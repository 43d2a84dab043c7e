//! An echo server: each connection is a task that reads and writes, one after the other, as a thread would.
//!
//! `cargo run --release -p kettle --example echo -- --addr 127.0.0.1:7000` serves until it is killed; without arguments
//! it talks with itself and ends. `--workers N` has it serve on so many cores.

use kettle::net::{Shutdown, TcpListener, TcpStream};
use kettle::time::Duration;
use kettle::{thread, workers};
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::num::NonZero;
use std::process::ExitCode;

const USAGE: &str = "usage: echo [--addr HOST:PORT [--workers N]]";

/// What is read at once. It lies on the task's stack: a page, so that a million idle connections cost no more than
/// that.
const BUFFER: usize = 4 * 1024;

/// How long the server waits for descriptors when there are none left.
const PAUSE: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let workers = |count: &str| count.parse().ok().map(NonZero::<usize>::get);
    let (addr, count) = match arguments[..] {
        [] => (None, None),
        ["--addr", addr] => (Some(addr), None),
        ["--addr", addr, "--workers", count] if workers(count).is_some() => (Some(addr), workers(count)),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let result = match (addr, count) {
        (None, _) => kettle::run(|| demonstrate(listen("127.0.0.1:0")?)),
        (Some(addr), None) => kettle::run(|| serve(&listen(addr)?, |stream| drop(thread::spawn(|| converse(stream))))),
        (Some(addr), Some(count)) => serve_on(count, addr),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn listen(addr: &str) -> Result<TcpListener, Box<dyn Error>> {
    let listener = TcpListener::bind(addr).map_err(|error| format!("listen on {addr}: {error}"))?;
    println!("listening on {}", listener.local_addr()?);
    io::stdout().flush()?;
    Ok(listener)
}

/// Serves on so many workers. Each accepts, and hands the connection to the one that has least.
fn serve_on(count: usize, addr: &str) -> Result<(), Box<dyn Error>> {
    let workers = workers(count);
    if workers.excess() > 0 {
        eprintln!("echo: {} workers more than cores: they get in each other's way", workers.excess());
    }
    let listener = listen(addr)?;
    workers
        .run(|worker| serve(&listener, |stream| drop(worker.spawn_on(worker.least_loaded(), || converse(stream)))))?;
    Ok(())
}

/// Gives each connection to a task of its own. Never ends.
fn serve(listener: &TcpListener, spawn: impl Fn(TcpStream)) -> ! {
    loop {
        match listener.accept() {
            // How a connection ends is its own affair: most errors are clients that have gone.
            Ok((stream, _)) => spawn(stream),
            Err(error) => {
                // If the error is that this task was cancelled, it ends here.
                thread::sleep(PAUSE);
                eprintln!("echo: accept: {error}");
            }
        }
    }
}

fn converse(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; BUFFER];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n])?,
        }
    }
}

/// Three clients talk with the server at the same time, each in a task.
fn demonstrate(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    let addr = listener.local_addr()?;
    thread::spawn(move || serve(&listener, |stream| drop(thread::spawn(|| converse(stream)))));
    let talks: [&[&str]; 3] = [&["put the kettle on", "is it hot?"], &["polly"], &["one lump", "or two?", "no milk"]];
    let clients = talks.map(|lines| {
        thread::spawn(move || -> io::Result<Vec<String>> {
            let stream = TcpStream::connect(addr)?;
            let mut answers = BufReader::new(&stream).lines();
            let mut heard = Vec::new();
            for line in lines {
                writeln!(&stream, "{line}")?;
                heard.extend(answers.next().transpose()?);
            }
            stream.shutdown(Shutdown::Write)?;
            heard.extend(answers.next().transpose()?);
            Ok(heard)
        })
    });
    for (number, (client, lines)) in (1..).zip(clients.into_iter().zip(talks)) {
        let heard = client.join().expect("no client panics")?;
        assert_eq!(heard, lines, "an echo changes nothing, and adds nothing at the end");
        println!("client {number} heard {heard:?}");
    }
    Ok(())
}
