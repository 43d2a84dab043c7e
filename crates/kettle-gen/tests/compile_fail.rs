//! Programs that the compiler must refuse: those in `ui/`, each with the codes of its errors in its first line.
//!
//! The code, and not the text that goes with it: texts change with every compiler. (An error without a code is known by
//! its text.) One of the programs is accepted: the others are not refused for something that they have in common.
#![cfg(not(miri))]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What the first line of a program says before its colon.
fn expected(program: &Path) -> String {
    let source = fs::read_to_string(program).expect("a program can be read");
    let first = source.strip_prefix("//! ").and_then(|rest| rest.split_once(':'));
    first.unwrap_or_else(|| panic!("{} begins with `//! CODE:`", program.display())).0.to_owned()
}

/// A package with one program for each file.
fn package(programs: &BTreeMap<String, PathBuf>) -> PathBuf {
    let gen_ = env!("CARGO_MANIFEST_DIR");
    let mut manifest = format!(
        "[package]\nname = \"refused\"\nedition = \"2024\"\n[workspace]\n[dependencies]\nkettle-gen.path = {gen_:?}\n"
    );
    for (name, path) in programs {
        manifest += &format!("[[bin]]\nname = {name:?}\npath = {path:?}\n");
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("refused");
    fs::create_dir_all(&directory).expect("the directory can be made");
    fs::write(directory.join("Cargo.toml"), manifest).expect("the manifest can be written");
    // The same versions as here, which are there without a network.
    let lock = Path::new(gen_).join("../../Cargo.lock");
    if lock.exists() {
        fs::copy(lock, directory.join("Cargo.lock")).expect("the lock file can be copied");
    }
    directory
}

/// The text between the first `before` in a line of JSON and the next quotation mark.
fn text<'a>(json: &'a str, before: &str) -> Option<&'a str> {
    json.split_once(before)?.1.split('"').next()
}

/// The codes of the errors that the compiler finds in each program.
fn codes(package: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["check", "--offline", "--keep-going", "--quiet", "--message-format=json"])
        .current_dir(package)
        .env("CARGO_TARGET_DIR", package.join("target"))
        // A sanitizer of the tests would want a target of its own.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .expect("cargo runs");
    let mut codes = BTreeMap::<_, BTreeSet<_>>::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if !line.contains("\"level\":\"error\"") || line.contains("aborting due to") {
            continue;
        }
        let target = line.split_once("\"target\":{").expect("a message has a target").1;
        let name = text(target, "\"name\":\"").expect("a target has a name");
        let message = text(line, "\"level\":\"error\",\"message\":\"");
        let code = text(line, "\"code\":{\"code\":\"").or(message).expect("an error has a code or a text");
        codes.entry(name.to_owned()).or_default().insert(code.to_owned());
    }
    assert!(!codes.is_empty(), "nothing was checked: {}", String::from_utf8_lossy(&output.stderr));
    codes
}

#[test]
fn each_program_is_refused_for_its_reason() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let programs: BTreeMap<String, PathBuf> = fs::read_dir(directory)
        .expect("the programs are there")
        .map(|entry| entry.expect("an entry can be read").path())
        .map(|path| (path.file_stem().expect("it has a name").to_string_lossy().into_owned(), path))
        .collect();
    let found = codes(&package(&programs));
    let mut wrong = Vec::new();
    for (name, path) in &programs {
        let expected = expected(path);
        let found: Vec<_> = found.get(name).into_iter().flatten().map(String::as_str).collect();
        let found = if found.is_empty() { "accepted".to_owned() } else { found.join(" ") };
        if found != expected {
            wrong.push(format!("{name}: expected {expected}, found {found}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
