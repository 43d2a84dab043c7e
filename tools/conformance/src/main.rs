//! Owns the command line: scenarios in, traces out, one after the other.
//!
//! A line that is no scenario ends it with `line N: reason` and exit code 2; the traces of those before it are out.

#![forbid(unsafe_code)]

use conformance::{Bodies, drive, parse};
use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::thread;

const USAGE: &str = "usage: conformance --body stackless|stackful|mixed < scenarios.jsonl";

/// Stackless bodies nest on this thread's stack; unoptimised ones need much of it.
const STACK: usize = 64 << 20;

enum Failure {
    /// The line is no scenario.
    Line(usize, String),
    Io(io::Error),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let bodies = match words[..] {
        ["--body", name] => Bodies::named(name),
        _ => None,
    };
    let Some(bodies) = bodies else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let run = move || run(bodies);
    let result = match thread::Builder::new().stack_size(STACK).spawn(run).map(thread::JoinHandle::join) {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(error) => Err(Failure::Io(error)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Line(number, reason)) => {
            eprintln!("line {number}: {reason}");
            ExitCode::from(2)
        }
        Err(Failure::Io(error)) => {
            eprintln!("conformance: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(bodies: Bodies) -> Result<(), Failure> {
    let mut input = io::stdin().lock();
    let mut output = io::stdout().lock();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if input.read_until(b'\n', &mut line).map_err(Failure::Io)? == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let scenario = parse::scenario(&line).map_err(|reason| Failure::Line(number, reason))?;
        let id = scenario.id.clone();
        let trace = drive::trace(scenario, bodies);
        write!(output, "# {id}\n{trace}").and_then(|()| output.flush()).map_err(Failure::Io)?;
    }
    Ok(())
}
