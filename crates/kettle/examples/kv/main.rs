//! A key-value server that speaks Redis' protocol: strings that may expire, channels, and snapshots on disk.
//!
//! `cargo run --release -p kettle --example kv -- --addr 127.0.0.1:6379 --workers 2 --dir .` serves until SIGTERM or
//! SIGINT, for `redis-cli`, `redis-benchmark` and any client library; without arguments it asks itself some things and
//! ends.
//!
//! Each of the workers is a thread with an event loop, and has a part of the keys, which nobody else touches: nothing
//! is locked. A connection is a task of one worker, plain sequential code: it reads what has come, does all commands of
//! that which are complete, and writes the answers at once. For the keys of another worker it sends that one what is to
//! be done, all of it together, and waits. A command with keys of several workers is as many commands, one for each
//! key, at no one moment together.
//!
//! With `--dir`, what is in memory goes to disk when a client says `SAVE` or `BGSAVE` and when the process is told to
//! end, and is there again after the next start; what can't be saved at the end is kept, and the process goes on. Each
//! shard stands still while it copies its part, so that a snapshot takes as much memory again; a thread writes it. Of
//! what is done after that nothing is in it.
//!
//! What differs from Redis, on purpose:
//!
//! - Values are strings: no lists, hashes, sets. Of the commands on these and on keys there are those of the table in
//!   `command.rs`: no `SCAN`, `RENAME`, `GETRANGE`, `INCRBYFLOAT`. There are no transactions, scripts, passwords,
//!   replicas, patterns to subscribe to, nor a second database; `EXPIRE` has no options. Who asks for these is told
//!   that the command is unknown, or has a wrong number of arguments; what stands between `MULTI` and `EXEC`, which are
//!   unknown, is done at once.
//! - A `*` stands for nothing as well, in any pattern: `KEYS **` gives the empty key, which Redis gives for `KEYS *`
//!   only.
//! - A line that is a command may have words in quotes, but nothing is escaped in them.
//! - A malformed request is refused sooner: negative lengths, and words that no line end follows.
//! - A subscriber for whom 8 MiB wait is disconnected, at once.
//! - `CONFIG`, `CLIENT` and `COMMAND` know what client libraries ask when they connect, `CONFIG GET` by whole names. A
//!   subcommand with too few or too many words is an unknown one; of `COMMAND` an empty list is the answer to all but
//!   `COUNT`. `INFO` is short, and what it is asked for is not looked at, nor is what `BGSAVE` is told.
//! - Time goes by the monotonic clock from the start on: when the system's clock is set, deadlines stay.
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
//! | `session.rs` | what a connection has |
//! | `requests.rs` | the commands on connections and the server |
//! | `connection.rs` | reading commands, writing answers |
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
mod requests;
mod connection;
mod server;

use kettle::net::{TcpListener, TcpStream};
use server::Server;
use std::error::Error;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "usage: kv [--addr HOST:PORT] [--workers N] [--dir DIR]";

const HELP: &str = "\
A key-value server that speaks Redis' protocol.

usage: kv [--addr HOST:PORT] [--workers N] [--dir DIR]

  --addr HOST:PORT  serve there, until SIGTERM or SIGINT; without it, show something and end
  --workers N       so many threads, each with its part of the keys: 1 to 1024, 1 if not given
  --dir DIR         load DIR/dump.kettle at the start; write it for SAVE and BGSAVE, and at the end";

/// More workers than any machine has cores are a mistake.
const MOST_WORKERS: usize = 1024;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    if matches!(&arguments[..], [word] if word == "--help" || word == "-h") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
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

/// Ends by an error, or with the process.
fn serve(addr: &str, workers: usize, directory: Option<PathBuf>) -> Result<(), Box<dyn Error>> {
    // In this order: who is told the address finds all keys there, and may tell the process to end.
    let server = Server::load(workers, directory)?;
    let signals = server::signals()?;
    Ok(server.run(&listen(addr)?, signals)?)
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
