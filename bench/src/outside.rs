//! Owns the contenders that are other programs: another compiler's, another profile's, another language's.
//!
//! Each is started anew in each round, does the work twice, times the second time, and prints one number.

use crate::measure::{Contender, Sample};
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The programs that there are.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    nightly: Option<PathBuf>,
    default_profile: Option<PathBuf>,
    go: Option<PathBuf>,
    python: bool,
}

impl Programs {
    /// Builds what can be built here. Says what is missing.
    pub fn build(quick: bool) -> Self {
        let python = crate::machine::has_python();
        if !python {
            eprintln!("NO python3: CPython's generators are not measured");
        }
        let nightly = crate::machine::has_nightly().then(build_nightly).flatten();
        if nightly.is_none() {
            eprintln!("NO nightly toolchain: `gen` blocks and `#[coroutine]` are not measured");
        }
        let default_profile = if quick {
            eprintln!("--quick: the default release profile is not measured");
            None
        } else {
            build_default_profile()
        };
        let go = build_go();
        if go.is_none() {
            eprintln!("NO go: its channels are not measured");
        }
        Self { nightly, default_profile, go, python }
    }

    /// A contender that nightly Rust compiled.
    pub fn nightly(&self, name: &str, case: &'static str, operations: u64) -> Option<Contender> {
        let program = self.nightly.clone()?;
        Some(Contender::sampled(name, move || {
            print_of(Command::new(&program).args([case, &operations.to_string()])).map(Sample::figure)
        }))
    }

    /// A contender in CPython.
    pub fn python(&self, case: &'static str, operations: u64) -> Option<Contender> {
        let script = directory().join("cpython.py");
        self.python.then(|| {
            Contender::sampled("CPython", move || {
                print_of(Command::new("python3").arg("-IS").arg(&script).args([case, &operations.to_string()]))
                    .map(Sample::figure)
            })
        })
    }

    /// A contender in Go.
    pub fn go(&self, case: &'static str, operations: u64) -> Option<Contender> {
        let program = self.go.clone()?;
        Some(Contender::sampled("Go", move || {
            print_of(Command::new(&program).args([case, &operations.to_string()])).map(Sample::figure)
        }))
    }

    /// A contender of a row, in this very program built by the default release profile.
    pub fn default_profile(&self, row: &'static str, contender: &'static str) -> Option<Contender> {
        let program = self.default_profile.clone()?;
        Some(Contender::sampled(format!("{contender}, default profile"), move || {
            print_of(Command::new(&program).args(["--one", row, contender])).map(Sample::figure)
        }))
    }
}

/// A contender that is this program, started with other arguments.
pub fn itself(name: &str, arguments: Vec<String>) -> Contender {
    Contender::sampled(name, move || {
        print_of(Command::new(env::current_exe().ok()?).args(&arguments)).map(Sample::figure)
    })
}

/// The last number that a program prints, also if it dies after that.
fn print_of(command: &mut Command) -> Option<f64> {
    let output = command.stderr(Stdio::inherit()).output().ok()?;
    String::from_utf8_lossy(&output.stdout).lines().next_back()?.trim().parse().ok()
}

/// Where this package's sources are.
pub fn directory() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where the program that runs was built: its target directory.
fn target() -> Option<PathBuf> {
    Some(env::current_exe().ok()?.parent()?.parent()?.to_owned())
}

fn build_nightly() -> Option<PathBuf> {
    let target = target()?.join("nightly");
    let manifest = directory().join("nightly/Cargo.toml");
    let mut build = Command::new("cargo");
    build.args(["+nightly", "build", "--quiet", "--release", "--manifest-path"]).arg(manifest);
    built(build.arg("--target-dir").arg(&target), target.join("release/nightly-contenders"))
}

fn build_default_profile() -> Option<PathBuf> {
    let target = target()?;
    let manifest = directory().join("Cargo.toml");
    let mut build = Command::new("cargo");
    build.args(["build", "--quiet", "--profile", "default-release", "--bin", "bench", "--manifest-path"]).arg(manifest);
    built(build.arg("--target-dir").arg(&target), target.join("default-release/bench"))
}

fn build_go() -> Option<PathBuf> {
    let program = target()?.join("go-channels");
    built(Command::new("go").args(["build", "-o"]).arg(&program).arg(directory().join("go/channels.go")), program)
}

/// Another toolchain must not meet the variables that `cargo run` has set for this one.
fn built(build: &mut Command, program: PathBuf) -> Option<PathBuf> {
    for variable in ["RUSTUP_TOOLCHAIN", "RUSTC", "CARGO", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        build.env_remove(variable);
    }
    build.status().is_ok_and(|status| status.success()).then_some(program)
}
