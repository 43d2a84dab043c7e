//! Owns an example that runs as a process, from its first line to the end of the test that has started it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

/// Whoever waits longer waits in vain.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that listens. It is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) addr: SocketAddr,
}

impl Server {
    /// Starts an example on a port that is free.
    pub(crate) fn start(name: &str, args: &[&str]) -> Self {
        Self::listening(command(name).args(["--addr", "127.0.0.1:0"]).args(args))
    }

    /// Starts one that may have so many descriptors.
    pub(crate) fn start_with_descriptors(count: u32, name: &str) -> Self {
        Self::start_after(&format!("ulimit -n {count}"), name, &[])
    }

    /// Starts one in a shell that has done something before, which it inherits.
    pub(crate) fn start_after(preparation: &str, name: &str, args: &[&str]) -> Self {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("{preparation}; exec \"$0\" \"$@\""));
        // It complains of what is tested.
        shell.arg(program(name)).args(["--addr", "127.0.0.1:0"]).args(args).stderr(Stdio::null());
        Self::listening(&mut shell)
    }

    fn listening(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        // Owned before anything can fail: it is killed then.
        let mut server = Self { child, addr: ([0, 0, 0, 0], 0).into() };
        let addr = first.strip_prefix("listening on ").unwrap_or_else(|| panic!("first line: {first:?}"));
        server.addr = addr.trim_end().parse().unwrap();
        server
    }

    /// Tells it to end, and gives how it does.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        self.child.wait().unwrap()
    }

    /// How much memory it has had at most, in bytes.
    pub(crate) fn most_memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended by itself can't be killed.
        _ = self.child.kill();
        self.child.wait().unwrap();
    }
}

/// The command that runs an example.
pub(crate) fn command(name: &str) -> Command {
    let mut command = Command::new(program(name));
    // Messages are compared: no backtraces in them.
    command.env("RUST_BACKTRACE", "0");
    command
}

/// Where an example lies, beside this test. `cargo test` builds both; if it was told to build the tests only, the example is
/// built here.
fn program(name: &str) -> PathBuf {
    static UP_TO_DATE: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut up_to_date = UP_TO_DATE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());

    let test = std::env::current_exe().unwrap();
    let directory = test.ancestors().nth(2).unwrap();
    let program = directory.join("examples").join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    // It is a file, or a directory of some.
    let files = fs::read_dir(&source).into_iter().flatten().map(|file| file.unwrap().path());
    let newest =
        files.chain([source.with_extension("rs"), test.clone()]).filter_map(|file| modified(&file)).max().unwrap();
    if !up_to_date.iter().any(|known| known == name) {
        if modified(&program).is_none_or(|built| built < newest) {
            build(name, directory);
        }
        up_to_date.push(name.to_string());
    }
    program
}

fn modified(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|file| file.modified()).ok()
}

/// Has cargo build an example in the way in which this test was built: `directory` is `TARGET/[TRIPLE/]PROFILE`.
fn build(name: &str, directory: &Path) {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["build", "--quiet", "--package", "kettle", "--example", name]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    if directory.ends_with("release") {
        cargo.arg("--release");
    }
    let mut target = directory.parent().unwrap();
    let triple = target.file_name().and_then(|name| name.to_str()).filter(|name| name.contains("-linux-"));
    if let Some(triple) = triple {
        cargo.args(["--target", triple]);
        target = target.parent().unwrap();
    }
    assert!(cargo.arg("--target-dir").arg(target).status().unwrap().success(), "build the example {name}");
}
