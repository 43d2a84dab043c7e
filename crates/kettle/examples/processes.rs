//! An echo server in several processes: one that dies is started again, SIGHUP replaces them all, and no connection is
//! refused.
//!
//! `cargo run --release -p kettle --example processes -- --addr 127.0.0.1:7000 --workers 4` serves until SIGTERM;
//! `--status PATH` tells its status at a Unix socket. Without arguments the supervisor talks with each worker, and all
//! of them end.

use kettle::net::TcpStream;
use kettle::processes::{Attendant, Error, Worker};
use kettle::thread;
use kettle::time::Duration;
use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::ExitCode;

const USAGE: &str = "usage: processes [--addr HOST:PORT] [--workers N] [--status PATH]";

/// What is read at once.
const BUFFER: usize = 4 * 1024;

/// How long a worker that is to end waits for the first word of a connection that it has accepted.
const FIRST_WORD: Duration = Duration::from_secs(1);

/// What the program was told. Each worker is told the same.
#[derive(Default)]
struct Told {
    addr: Option<String>,
    workers: Option<usize>,
    status: Option<String>,
}

fn main() -> ExitCode {
    let Some(told) = read_arguments(std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned())) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(&told) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("processes: {error}");
            ExitCode::FAILURE
        }
    }
}

fn read_arguments(mut words: impl Iterator<Item = String>) -> Option<Told> {
    let mut told = Told::default();
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word.as_str() {
            "--addr" => told.addr = Some(value),
            "--workers" => told.workers = Some(value.parse().ok()?),
            "--status" => told.status = Some(value),
            _ => return None,
        }
    }
    Some(told)
}

fn run(told: &Told) -> Result<(), Error> {
    let count = told.workers.unwrap_or(2);
    let (listening, talked) = (Cell::new(false), Cell::new(0));
    let mut processes = kettle::processes(count).listen(told.addr.as_deref().unwrap_or("127.0.0.1:0"));
    if let Some(path) = &told.status {
        processes = processes.status_socket(path);
    }
    processes
        // In the supervisor, for each worker: it is told where that listens.
        .attend(|worker: &Attendant<String, ()>| {
            let Some(addr) = worker.channel().recv()? else { return Ok(()) };
            if !listening.replace(true) {
                println!("listening on {addr}");
                io::stdout().flush()?;
            }
            if told.addr.is_none() {
                println!("worker {} heard {:?}", worker.index(), talk(&addr)?);
                talked.set(talked.get() + 1);
                if talked.get() == count {
                    worker.stop();
                }
            }
            Ok(())
        })
        .run(serve)
}

/// A worker: each connection is a task of it.
fn serve(worker: &Worker<String, ()>) -> io::Result<()> {
    worker.channel().send(&worker.listener().local_addr()?.to_string())?;
    // It returns when the worker is to end, and all connections have.
    thread::scope(|connections| {
        for stream in worker.incoming() {
            match stream {
                Ok(stream) => drop(connections.spawn(move || converse(worker, stream))),
                Err(error) => eprintln!("accept: {error}"),
            }
        }
    });
    Ok(())
}

/// Until the client ends it; or until the worker is to end, and the client wants nothing at the moment. Who has just
/// come may be about to say it.
fn converse(worker: &Worker<String, ()>, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; BUFFER];
    let mut is_new = true;
    loop {
        let len = match worker.unless_draining(|| stream.read(&mut buffer))? {
            Some(len) => len,
            None if is_new => {
                stream.set_read_timeout(Some(FIRST_WORD))?;
                stream.read(&mut buffer)?
            }
            None => break,
        };
        if len == 0 {
            break;
        }
        stream.write_all(&buffer[..len])?;
        is_new = false;
    }
    Ok(())
}

fn talk(addr: &str) -> io::Result<String> {
    let stream = TcpStream::connect(addr)?;
    writeln!(&stream, "put the kettle on")?;
    let mut heard = String::new();
    BufReader::new(&stream).read_line(&mut heard)?;
    Ok(heard.trim_end().to_owned())
}
