//! The network benchmarks: Kettle's servers beside others, by processor time for a request. See BENCHMARKS.md.

use bench::measure::{Measured, measure};
use bench::{machine, report};
use net::fleet::{Fleet, names};
use net::rows::{ROWS, Sizes};
use net::server::{descriptors, pin_client, precede_others, raise_descriptors};
use std::cell::Cell;
use std::fs;
use std::process::{Command, ExitCode};
use std::rc::Rc;
use std::time::Duration;

const USAGE: &str = "usage: net [--quick] [--filter WORD] [--rounds N] [--slice MILLISECONDS] [--markdown FILE]";

/// Where the results begin and end in BENCHMARKS.md.
const MARKS: (&str, &str) = ("<!-- results of net -->", "<!-- end of results of net -->");

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode, String> {
    let mut quick = false;
    let mut filter = String::new();
    let (mut rounds, mut slice, mut markdown) = (None, None, None);
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument {
            "--quick" => quick = true,
            "--filter" => filter = value()?.to_owned(),
            "--rounds" => rounds = Some(number(value()?)?.max(1) as usize),
            "--slice" => slice = Some(number(value()?)?.max(1)),
            "--markdown" => markdown = Some(value()?.to_owned()),
            other => return Err(format!("what is {other}?")),
        }
    }
    if io_uring::IoUring::new(2).is_err() {
        println!("SKIPPED: no io_uring here, with which the load is made");
        return Ok(ExitCode::SUCCESS);
    }
    let rounds = rounds.unwrap_or(if quick { 3 } else { 11 });
    let slice = slice.unwrap_or(if quick { 20 } else { 150 });
    // Two for each idle task.
    raise_descriptors(202_000);
    let idle = if quick { 2_000 } else { 100_000 };
    let many = 4_096.min(descriptors() - 500);
    let facts = facts();
    let fleet = Rc::new(if quick { Fleet::without_rivals(idle) } else { Fleet::build(idle) });
    if !quick && !precede_others() {
        eprintln!("NO real-time priority: what else runs here has its part in the figures");
    }
    pin_client();

    for fact in &facts {
        println!("{fact}");
    }
    let failures = Rc::new(Cell::new(0));
    let sizes = Sizes { fleet, slice: Duration::from_millis(slice), many, failures: Rc::clone(&failures) };
    let mut measured: Vec<Measured> = Vec::new();
    for (name, make) in ROWS {
        if name.contains(&filter) {
            let row = measure(make(&sizes, name).against_who_is_there(), rounds);
            print!("{}", report::table(&row));
            measured.push(row);
            for name in [names::KETTLE_IDLE, names::KETTLE_EPOLL_IDLE] {
                sizes.fleet.end(name);
            }
        }
    }
    println!("\n{}", report::summary(&measured));
    if quick {
        println!("--quick: too short for these figures to mean anything");
    }
    if let Some(file) = markdown {
        let page = fs::read_to_string(&file).unwrap_or_default();
        let command = format!("cargo run --release`, slices of `{slice} ms");
        let results = report::markdown(&measured, &facts, &command, rounds);
        fs::write(&file, report::replace_results(&page, MARKS, &results))
            .map_err(|error| format!("{file}: {error}"))?;
    }
    if failures.get() > 0 {
        println!("{} slices FAILED", failures.get());
    }
    // A machine that is busy with something else spoils a slice. Who has no figure at all does not work.
    let lines = || measured.iter().flat_map(|row| &row.lines);
    let mut without = lines().filter(|line| !line.least.is_finite()).peekable();
    if without.peek().is_none() {
        return Ok(ExitCode::SUCCESS);
    }
    without.for_each(|line| println!("NO FIGURE of {}", line.name));
    Ok(ExitCode::FAILURE)
}

/// What is to be known about the machine, and the versions of all that is measured.
fn facts() -> Vec<String> {
    let mut facts = machine::facts();
    facts.retain(|fact| !fact.starts_with("nightly"));
    let lock = include_str!("../Cargo.lock");
    facts.push(format!("rivals: {}", machine::versions(lock, &["tokio", "monoio", "compio", "smol", "may"])));
    facts.push(format!("Go: {}", machine::go()));
    facts.push(format!("uvloop: {}", said_by("python3", &["-c", "import uvloop; print(uvloop.__version__)"])));
    facts.push(format!("descriptors that a process can have: {}", descriptors()));
    facts
}

fn said_by(program: &str, arguments: &[&str]) -> String {
    match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => "none".to_owned(),
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}
