//! A key-value server that speaks Redis' protocol: strings that may expire, channels, and snapshots on disk.
//!
//! `cargo run --release -p kettle --example kv -- --addr 127.0.0.1:6379 --workers 2 --dir .` serves until it is killed, for
//! `redis-cli`, `redis-benchmark` and any client library; without arguments it asks itself some things and ends.
//!
//! Each of the workers is a thread with an event loop, and has a part of the keys, which nobody else touches: nothing is
//! locked. A connection is a task of one worker, plain sequential code: it reads what has come, does all commands of that
//! which are complete, and writes the answers at once. For the keys of another worker it sends that one what is to be
//! done, all of it together, and waits. A command with keys of several workers is as many commands, one for each key, at no
//! one moment together.
//!
//! Values are strings; there are no transactions, no passwords and no replicas. What is in memory goes to disk when a client
//! says `SAVE` or `BGSAVE`, and is there again after the next start.
//!
//! | file | owns |
//! |---|---|
//! | `bytes.rs` | keys and values, the short ones without an allocation |
//! | `input.rs` | what a connection is read into |
//! | `resp.rs` | the protocol |
//! | `glob.rs` | patterns of `KEYS` |
//! | `store.rs` | the keys of a worker, and when they expire |
//! | `pubsub.rs` | who listens to what |
//! | `command.rs` | the commands on keys |
//! | `snapshot.rs` | the format of the file |
//! | `parcel.rs` | what goes to other workers and back |
//! | `shard.rs` | which worker a command is for |
//! | `disk.rs` | saving and loading |
//! | `session.rs` | a connection |
//! | `server.rs` | the workers |

mod bytes;
mod input;
mod resp;
mod glob;
mod store;
mod pubsub;
mod command;
mod snapshot;
mod parcel;
mod shard;
mod disk;
mod session;
mod server;

use kettle::net::{TcpListener, TcpStream};
use server::Server;
use std::error::Error;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "usage: kv [--addr HOST:PORT] [--workers N] [--dir DIR]";

/// More workers than any machine has cores are a mistake.
const MOST_WORKERS: usize = 1024;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let Some((addr, workers, directory)) = parse(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let result = match addr {
        Some(addr) => serve(addr, workers, directory),
        None => kettle::run(|| demonstrate(workers, directory)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kv: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The address, if there is one, how many workers, and the directory, if there is one.
fn parse(arguments: &[String]) -> Option<(Option<&str>, usize, Option<PathBuf>)> {
    let (mut addr, mut workers, mut directory) = (None, 1, None);
    for pair in arguments.chunks(2) {
        match pair {
            [name, value] if name == "--addr" => addr = Some(value.as_str()),
            [name, value] if name == "--workers" => {
                workers = value.parse().ok().filter(|count| (1..=MOST_WORKERS).contains(count))?;
            }
            [name, value] if name == "--dir" => directory = Some(value.into()),
            _ => return None,
        }
    }
    Some((addr, workers, directory))
}

fn listen(addr: &str) -> Result<TcpListener, Box<dyn Error>> {
    let listener = TcpListener::bind(addr).map_err(|error| format!("listen on {addr}: {error}"))?;
    println!("listening on {}", listener.local_addr()?);
    io::stdout().flush()?;
    Ok(listener)
}

/// Never ends, but by an error.
fn serve(addr: &str, workers: usize, directory: Option<PathBuf>) -> Result<(), Box<dyn Error>> {
    // In this order: who is told the address finds all keys there.
    let server = Server::load(workers, directory)?;
    Ok(server.run(&listen(addr)?)?)
}

/// A client asks for several things at once, and prints the answers.
fn demonstrate(workers: usize, directory: Option<PathBuf>) -> Result<(), Box<dyn Error>> {
    let server = Server::load(workers, directory)?;
    let listener = listen("127.0.0.1:0")?;
    server.spawn(&listener)?;

    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let commands = ["SET kettle boils EX 60", "GET kettle", "INCRBY cups 4", "TTL kettle", "DEL kettle cups", "QUIT"];
    client.write_all(format!("{}\r\n", commands.join("\r\n")).as_bytes())?;
    let mut answers = String::new();
    client.read_to_string(&mut answers)?;
    assert_eq!(answers, "+OK\r\n$5\r\nboils\r\n:4\r\n:60\r\n:2\r\n+OK\r\n");
    println!("{}\n--\n{}", commands.join("\n"), answers.trim_end());
    Ok(())
}
