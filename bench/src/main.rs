//! Owns the command line: see the library's documentation.

use bench::measure::{Measured, measure};
use bench::outside::Programs;
use bench::rows::{Sizes, all, count_until_refused, sleep, sleep_as_futures, suspend};
use bench::{instructions, machine, report};
use std::fs;
use std::process::ExitCode;

const USAGE: &str = "usage: bench [--quick] [--filter WORD] [--rounds N] [--markdown FILE]
       bench --instructions [--update]";

/// The rivals that are dependencies.
const RIVALS: [&str; 10] = [
    "corosensei",
    "generator",
    "genawaiter",
    "async-stream",
    "tokio",
    "async-executor",
    "futures-lite",
    "rayon",
    "crossbeam-channel",
    "flume",
];

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
    let mut rounds = None;
    let mut markdown = None;
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument {
            "--quick" => quick = true,
            "--filter" => filter = value()?.to_owned(),
            "--rounds" => rounds = Some(number(value()?)?.max(1) as usize),
            "--markdown" => markdown = Some(value()?.to_owned()),
            "--instructions" => return Ok(instructions::run(arguments.next() == Some("--update"))),
            // What this program starts of itself.
            "--one" => return one(value()?, arguments.next().unwrap_or_default()),
            "--suspend" => suspend(number(value()?)?),
            "--asleep-tokio" => sleep(number(value()?)?, true, false),
            "--asleep-kettle" => sleep(number(value()?)?, false, false),
            "--asleep-futures" => sleep_as_futures(number(value()?)?),
            "--wake-tokio" => sleep(number(value()?)?, true, true),
            "--wake-kettle" => sleep(number(value()?)?, false, true),
            "--count-kettle" => count_until_refused(number(value()?)?, false),
            "--count-corosensei" => count_until_refused(number(value()?)?, true),
            other => return Err(format!("what is {other}?")),
        }
    }
    let rounds = rounds.unwrap_or(if quick { 3 } else { 9 });
    let mut facts = machine::facts();
    facts.push(format!("rivals: {}", machine::versions(include_str!("../Cargo.lock"), &RIVALS)));
    facts.push(format!("Go: {}", machine::go()));
    for fact in &facts {
        println!("{fact}");
    }
    let sizes = Sizes { quick, programs: Programs::build(quick) };
    let mut measured: Vec<Measured> = Vec::new();
    for row in all(&sizes) {
        if row.name.contains(&filter) {
            let row = measure(row.against_who_is_there(), rounds);
            print!("{}", report::table(&row));
            measured.push(row);
        }
    }
    println!("\n{}", report::summary(&measured));
    if quick {
        println!("--quick: sizes are too small for these figures to mean anything");
    }
    if let Some(file) = markdown {
        let page = fs::read_to_string(&file).unwrap_or_default();
        let results = report::markdown(&measured, &facts, "cargo run --release", rounds);
        fs::write(&file, report::replace_results(&page, report::MARKS, &results))
            .map_err(|error| format!("{file}: {error}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs one contender of one row, twice, and prints the second figure.
fn one(row: &str, contender: &str) -> Result<ExitCode, String> {
    let rows = all(&Sizes { quick: false, programs: Programs::default() });
    let row = rows.into_iter().find(|candidate| candidate.name == row).ok_or_else(|| format!("no row {row}"))?;
    let mut contenders = row.contenders.into_iter();
    let mut contender =
        contenders.find(|candidate| candidate.name == contender).ok_or_else(|| format!("no contender {contender}"))?;
    contender.run();
    let sample = contender.run().ok_or("it could not run")?;
    println!("{}", sample.figure);
    Ok(ExitCode::SUCCESS)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}
