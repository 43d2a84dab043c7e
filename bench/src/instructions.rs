//! Owns the guard of the hot paths: instructions a value, counted by valgrind and held against `instructions.txt`.
//!
//! Each path runs with few and with many values; the difference, divided, leaves out what a process costs.

use crate::outside::directory;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

const FEW: u64 = 1_000;
const MANY: u64 = 101_000;
/// What a limit is above what was measured.
const ROOM: f64 = 1.10;

/// Counts, prints and judges; with `update` it writes new limits instead.
pub fn run(update: bool) -> ExitCode {
    if !Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("NO valgrind: INSTRUCTIONS ARE NOT COUNTED, the hot paths are not guarded");
        return ExitCode::SUCCESS;
    }
    let Some(program) = build() else {
        eprintln!("hot_paths does not build");
        return ExitCode::FAILURE;
    };
    let file = directory().join("instructions.txt");
    let limits = fs::read_to_string(&file).unwrap_or_default();
    let mut page = String::from(HEAD);
    let mut failed = false;
    println!("{:28} {:>10} {:>10}", "path", "counted", "limit");
    for (path, _) in crate::hot_paths::PATHS {
        let Some(counted) = count(&program, path) else {
            eprintln!("{path} could not be counted");
            return ExitCode::FAILURE;
        };
        page += &format!("{path} {:.1}\n", counted * ROOM);
        let limit = limit(&limits, path);
        let verdict = match limit {
            _ if update => "",
            None => "  NO LIMIT",
            Some(limit) if counted > limit => "  TOO MANY",
            // It guards nothing any more, but what it guarded got better.
            Some(limit) if counted * ROOM * ROOM < limit => "  loose limit: --update",
            Some(_) => "",
        };
        failed |= !update && limit.is_none_or(|limit| counted > limit);
        println!("{path:28} {counted:>10.1} {:>10.1}{verdict}", limit.unwrap_or(f64::NAN));
    }
    if update {
        failed = fs::write(&file, page).is_err();
    }
    if failed {
        eprintln!(
            "hot paths got longer. If that is the price of something, `bench --instructions --update` accepts it"
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

const HEAD: &str = "# Instructions a value that the hot paths may take: what was counted, and a tenth.\n\
                    # Written by `cargo run --release -- --instructions --update` on x86_64.\n";

fn limit(limits: &str, path: &str) -> Option<f64> {
    let line = limits.lines().find(|line| line.split_whitespace().next() == Some(path))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn build() -> Option<PathBuf> {
    let manifest = directory().join("Cargo.toml");
    let program = std::env::current_exe().ok()?.with_file_name("hot_paths");
    let target = program.parent()?.parent()?.to_owned();
    let mut build = Command::new("cargo");
    build.args(["build", "--quiet", "--release", "--bin", "hot_paths", "--manifest-path"]).arg(manifest);
    build.arg("--target-dir").arg(target).status().is_ok_and(|status| status.success()).then_some(program)
}

fn count(program: &PathBuf, path: &str) -> Option<f64> {
    let few = collected(program, path, FEW)?;
    let many = collected(program, path, MANY)?;
    Some((many - few) as f64 / (MANY - FEW) as f64)
}

/// What callgrind collected.
fn collected(program: &PathBuf, path: &str, values: u64) -> Option<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([path, &values.to_string()]);
    let output = valgrind.stdout(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(':').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        assert_eq!(limit("# words\none 1.5\ntwo 2\n", "two"), Some(2.0));
        assert_eq!(limit("# words\none 1.5\n", "two"), None);
    }

    #[test]
    fn every_path_has_a_limit() {
        let limits = fs::read_to_string(directory().join("instructions.txt")).unwrap_or_default();
        for (path, _) in crate::hot_paths::PATHS {
            assert!(limit(&limits, path).is_some(), "{path}");
        }
    }
}
