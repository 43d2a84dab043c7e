//! Owns the test that programs are refused which the compiler must refuse: those in `tests/ui/` of the crate that includes this,
//! each with the code of its error in its first line.
//!
//! The code, and not the text that goes with it: texts change with every compiler. (An error without a code is known by
//! its text.) Those that are accepted are the twins of others: they differ in the one thing.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A program, what its first line says of it, and what the compiler says.
struct Program {
    name: String,
    path: PathBuf,
    expected: String,
    found: BTreeSet<String>,
}

fn programs() -> Vec<Program> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let read = |path: PathBuf| {
        let source = fs::read_to_string(&path).unwrap();
        let first = source.strip_prefix("//! ").and_then(|rest| rest.split_once(": "));
        let expected = first.unwrap_or_else(|| panic!("{} begins with `//! CODE: `", path.display())).0.to_owned();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        Program { name, path, expected, found: BTreeSet::new() }
    };
    fs::read_dir(directory).unwrap().map(|entry| read(entry.unwrap().path())).collect()
}

/// A package with one program for each file, and this crate.
fn package(programs: &[Program]) -> PathBuf {
    let own = env!("CARGO_MANIFEST_DIR");
    let name = env!("CARGO_PKG_NAME");
    let mut manifest = format!(
        "[package]\nname = \"refused\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n{name}.path = {own:?}\n"
    );
    for Program { name, path, .. } in programs {
        manifest += &format!("[[bin]]\nname = {name:?}\npath = {path:?}\n");
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("refused").join(name);
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("Cargo.toml"), manifest).unwrap();
    // The same versions as here, which are there without a network.
    let lock = Path::new(own).join("../../Cargo.lock");
    if lock.exists() {
        fs::copy(lock, directory.join("Cargo.lock")).unwrap();
    }
    directory
}

/// The text between the first `before` in a line of JSON and the next quotation mark.
fn text<'a>(json: &'a str, before: &str) -> Option<&'a str> {
    json.split_once(before)?.1.split('"').next()
}

#[test]
fn each_program_is_refused_for_its_reason() {
    let mut programs = programs();
    let package = package(&programs);
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["check", "--offline", "--keep-going", "--quiet", "--message-format=json"])
        .current_dir(&package)
        .env("CARGO_TARGET_DIR", package.join("target"))
        // A sanitizer of the tests would want a target of its own.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .unwrap();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if !line.contains("\"level\":\"error\"") || line.contains("aborting due to") {
            continue;
        }
        let target = line.split_once("\"target\":{").unwrap().1;
        let name = text(target, "\"name\":\"").unwrap();
        let message = text(line, "\"level\":\"error\",\"message\":\"");
        let code = text(line, "\"code\":{\"code\":\"").or(message).unwrap();
        if let Some(program) = programs.iter_mut().find(|program| program.name == name) {
            program.found.insert(code.to_owned());
        }
    }
    let mut wrong = String::new();
    for Program { name, expected, found, .. } in programs {
        let found =
            if found.is_empty() { "accepted".to_owned() } else { found.into_iter().collect::<Vec<_>>().join(" ") };
        if found != expected {
            wrong += &format!("\n{name}: expected {expected}, found {found}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}\n{}", String::from_utf8_lossy(&output.stderr));
}
