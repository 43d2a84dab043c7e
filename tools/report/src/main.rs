//! Owns the command line: what is read, what is written, and whether it is already there.

#![forbid(unsafe_code)]

use report::headline::{Language, replaced, table};
use report::html;
use report::page::Page;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: report [--check] [--root DIRECTORY]

Reads BENCHMARKS.md and writes docs/benchmarks.html and the tables of README.md and README.zh-CN.md.
  --check   writes nothing, and fails if these are not what BENCHMARKS.md gives
  --root    where they are, if not in the directory that this runs in";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("report: {message}");
            ExitCode::from(2)
        }
    }
}

fn run(mut arguments: impl Iterator<Item = String>) -> Result<ExitCode, String> {
    let (mut check, mut root) = (false, PathBuf::from("."));
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--check" => check = true,
            "--root" => root = arguments.next().ok_or_else(|| format!("--root needs a directory\n\n{USAGE}"))?.into(),
            "--help" => {
                println!("{USAGE}");
                return Ok(ExitCode::SUCCESS);
            }
            other => return Err(format!("what is {other}?\n\n{USAGE}")),
        }
    }
    let mut differ = false;
    for (file, text) in drawn(&root)? {
        if fs::read_to_string(&file).is_ok_and(|present| present == text) {
            continue;
        }
        if check {
            eprintln!("{} is not what BENCHMARKS.md gives: run `cargo run --release -p report`", file.display());
            differ = true;
            continue;
        }
        let directory = file.parent().unwrap_or(&root);
        let written = fs::create_dir_all(directory).and_then(|()| fs::write(&file, text));
        written.map_err(|error| format!("write {}: {error}", file.display()))?;
        println!("wrote {}", file.display());
    }
    Ok(if differ { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The files as they should be.
fn drawn(root: &Path) -> Result<Vec<(PathBuf, String)>, String> {
    let read = |name: &str| fs::read_to_string(root.join(name)).map_err(|error| format!("read {name}: {error}"));
    let page = Page::parse(&read("BENCHMARKS.md")?).map_err(|error| error.to_string())?;
    let mut files = vec![(root.join("docs/benchmarks.html"), html::page(&page))];
    for (name, language) in [("README.md", Language::English), ("README.zh-CN.md", Language::Chinese)] {
        let table = table(&page, language)?;
        if language == Language::English {
            table.warnings.iter().for_each(|warning| eprintln!("report: {warning}"));
        }
        let text = replaced(&read(name)?, &table.text).map_err(|error| format!("{name}: {error}"))?;
        files.push((root.join(name), text));
    }
    Ok(files)
}
