//! Owns building a program in which panics abort: that in `tests/aborting/` of the crate that includes this. It
//! depends on that crate, and on what coroutines answer.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::{env, fs};

/// Where the program is. It is built when that is first asked.
pub(crate) static PROGRAM: LazyLock<PathBuf> = LazyLock::new(build);

fn build() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let name = env!("CARGO_PKG_NAME");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aborting").join(name);
    fs::create_dir_all(&directory).unwrap();
    let manifest = format!(
        "[package]\nname = \"aborting\"\nedition = \"2024\"\n[workspace]\n\
         [dependencies]\n{name}.path = {own:?}\nkettle-gen.path = {:?}\n\
         [[bin]]\nname = \"aborting\"\npath = {:?}\n[profile.dev]\npanic = \"abort\"\n",
        own.join("../kettle-gen"),
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
