//! Where panics abort, a cancelled task is not unwound: it is told by errors and by waits that end early.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Builds the program in `aborting/` with panics that abort.
fn aborting() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aborting-rt");
    fs::create_dir_all(&directory).unwrap();
    let manifest = format!(
        "[package]\nname = \"aborting\"\nedition = \"2024\"\n[workspace]\n\
         [dependencies]\nkettle-rt.path = {own:?}\n\
         [[bin]]\nname = \"aborting\"\npath = {:?}\n[profile.dev]\npanic = \"abort\"\n",
        own.join("tests/aborting/program.rs"),
    );
    fs::write(directory.join("Cargo.toml"), manifest).unwrap();
    // The same versions as here, which are there without a network.
    let lock = own.join("../../Cargo.lock");
    if lock.exists() {
        fs::copy(lock, directory.join("Cargo.lock")).unwrap();
    }
    let target = directory.join("target");
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--offline", "--quiet"])
        .current_dir(&directory)
        .env("CARGO_TARGET_DIR", &target)
        // A sanitizer of the tests would want a target of its own.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join("debug/aborting")
}

#[test]
fn where_panics_abort_cancelled_tasks_are_told_and_return() {
    let output = Command::new(aborting()).output().unwrap();
    let said = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.0 == "end\n", "{said:?}");
}
