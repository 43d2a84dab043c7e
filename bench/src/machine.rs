//! Owns what is to be known about the machine and the compilers, for whoever reads the numbers.

use std::fs;
use std::process::Command;

/// One line a fact.
pub fn facts() -> Vec<String> {
    let mut facts = vec![
        format!("CPU: {}, {} of them", cpu(), std::thread::available_parallelism().map_or(1, usize::from)),
        format!("kernel: {}", first_line("uname", &["-sr"])),
        format!("compiler: {}", first_line("rustc", &["--version"])),
    ];
    for (what, line) in [("nightly", first_line("rustc", &["+nightly", "--version"])), ("CPython", python_version())] {
        facts.push(format!("{what}: {line}"));
    }
    facts.push(format!("date: {}", first_line("date", &["-u", "+%Y-%m-%d %H:%M UTC"])));
    facts
}

/// Of which versions the rivals are, by a lock file.
pub fn versions(lock: &str, names: &[&str]) -> String {
    let version = |name: &&str| {
        let package = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).map(|(_, rest)| rest);
        format!("{name} {}", package.and_then(|rest| rest.split('"').next()).unwrap_or("none"))
    };
    names.iter().map(version).collect::<Vec<_>>().join(", ")
}

/// Which Go there is.
pub fn go() -> String {
    first_line("go", &["version"])
}

/// Whether there is a nightly toolchain.
pub fn has_nightly() -> bool {
    succeeds("rustc", &["+nightly", "--version"])
}

/// Whether there is a CPython.
pub fn has_python() -> bool {
    succeeds("python3", &["--version"])
}

/// A field of `/proc/self/status` that is in kB, in bytes.
pub fn own_bytes(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = field("model name").unwrap_or_else(|| "unknown".to_owned());
    match (field("cpu family"), field("model\t")) {
        (Some(family), Some(number)) => format!("{model} (family {family}, model {number})"),
        _ => model,
    }
}

fn python_version() -> String {
    first_line("python3", &["--version"])
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
        }
        _ => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock = "[[package]]\nname = \"tokio-util\"\nversion = \"9\"\n\n[[package]]\nname = \"tokio\"\nversion = \"1.2.3\"\n";
        assert_eq!(versions(lock, &["tokio", "smol"]), "tokio 1.2.3, smol none");
    }
}
