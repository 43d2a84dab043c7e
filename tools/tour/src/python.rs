//! Owns the Python side: a step's twin, what Python printed for it, and running it again where there is a python3.

use std::process::{Command, Stdio};

/// The same program in Python.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Twin {
    pub(crate) listing: &'static str,
    pub(crate) prints: Prints,
}

/// What a twin prints.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Prints {
    /// These lines, as Python printed them when they were stored. The Rust program must print the same.
    Same(&'static str),
    /// Measurements, different each time: shown, not compared.
    Measurements,
}

/// A twin in `python/NAME.py`, whose output was stored in `python/NAME.out`.
macro_rules! twin {
    ($name:literal) => {
        $crate::python::Twin {
            listing: include_str!(concat!("../../python/", $name, ".py")),
            prints: $crate::python::Prints::Same(include_str!(concat!("../../python/", $name, ".out"))),
        }
    };
    (measured $name:literal) => {
        $crate::python::Twin {
            listing: include_str!(concat!("../../python/", $name, ".py")),
            prints: $crate::python::Prints::Measurements,
        }
    };
}
pub(crate) use twin;

/// A python3 on this machine.
#[derive(Debug)]
pub(crate) struct Interpreter {
    /// As it names itself: `Python 3.11.7`.
    pub(crate) version: String,
}

impl Interpreter {
    /// The python3 on the path, if there is one that works.
    pub(crate) fn find() -> Option<Self> {
        let version = run(&["--version"]).ok()?.trim().to_string();
        version.starts_with("Python 3").then_some(Self { version })
    }

    /// Runs a listing and gives what it printed, or what went wrong.
    pub(crate) fn run(&self, listing: &str) -> Result<String, String> {
        // Isolated: neither the environment nor the directory decides what is imported.
        run(&["-I", "-c", listing])
    }
}

fn run(args: &[&str]) -> Result<String, String> {
    let output = Command::new("python3").args(args).stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        // Windows ends lines in its own way.
        Ok(String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n"))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
