//! Owns all servers of a run: which there are, and those that are up.

use crate::server::{BOTH, SERVERS, Server, built, directory};
use crate::serving::Service;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;

/// The names of servers in tables.
#[expect(missing_docs, reason = "the names say it")]
pub mod names {
    pub const RAW: &str = "raw io_uring";
    pub const RAW_EPOLL: &str = "raw epoll";
    pub const KETTLE: &str = "kettle";
    pub const KETTLE_EPOLL: &str = "kettle, epoll";
    pub const KETTLE_SPIN: &str = "kettle, spin 30 us";
    pub const KETTLE_EXAMPLE: &str = "kettle, the example";
    pub const KETTLE_IDLE: &str = "kettle, with the idle tasks";
    pub const KETTLE_EPOLL_IDLE: &str = "kettle, epoll, with the idle tasks";
    pub const TOKIO: &str = "tokio";
    pub const MONOIO: &str = "monoio";
    pub const COMPIO: &str = "compio";
    pub const SMOL: &str = "smol";
    pub const MAY: &str = "may";
    pub const GO: &str = "Go";
    pub const UVLOOP: &str = "uvloop";
    pub const ASYNCIO: &str = "asyncio";

    // Those on several threads have the end of their names from here.
    pub const ONE_WORKER: &str = ", 1 worker";
    pub const TWO_WORKERS: &str = ", 2 workers";
    pub const TWO_PINNED: &str = ", 2 workers, pinned";
    pub const ONE_APART: &str = ", 1 worker with a listener";
    pub const TWO_APART: &str = ", 2 workers with listeners";

    pub const RAW_1: &str = "raw io_uring, 1 worker";
    pub const RAW_2: &str = "raw io_uring, 2 workers";
    pub const RAW_EPOLL_2: &str = "raw epoll, 2 workers";
    pub const KETTLE_1_APART: &str = "kettle, 1 worker with a listener";
    pub const KETTLE_2_APART: &str = "kettle, 2 workers with listeners";
    pub const KETTLE_2: &str = "kettle, 2 workers";
    pub const KETTLE_2_PINNED: &str = "kettle, 2 workers, pinned";
    pub const KETTLE_EPOLL_1_APART: &str = "kettle, epoll, 1 worker with a listener";
    pub const KETTLE_EPOLL_2_APART: &str = "kettle, epoll, 2 workers with listeners";
    pub const KETTLE_EPOLL_2: &str = "kettle, epoll, 2 workers";
    pub const TOKIO_2: &str = "tokio, 2 workers";
    pub const MONOIO_2: &str = "monoio, 2 workers";
    pub const COMPIO_2: &str = "compio, 2 workers";
    pub const GO_2: &str = "Go, 2 workers";
}
use names::*;

/// See the module.
pub struct Fleet {
    rivals: bool,
    examples: Option<PathBuf>,
    go: Option<PathBuf>,
    python: bool,
    uvloop: bool,
    /// How many idle tasks there are where some are wanted.
    pub idle: usize,
    up: RefCell<HashMap<(String, Service), Option<Rc<Server>>>>,
}

/// Where this program and all others are built.
fn target() -> PathBuf {
    built().parent().map(PathBuf::from).unwrap_or_default()
}

/// Builds something into a directory. Whether that went well.
fn cargo(arguments: &[&str], target: &PathBuf) -> bool {
    let mut build = Command::new("cargo");
    build.args(["build", "--quiet", "--release"]).args(arguments).arg("--target-dir").arg(target);
    build.current_dir(directory());
    // The same for what is built from another workspace.
    build.env("CARGO_PROFILE_RELEASE_LTO", "fat").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    present(&mut build)
}

/// Builds Kettle's server and the raw loops: `cargo run` has built this program alone.
fn build_own() {
    if !cargo(&["--bins"], &target()) {
        eprintln!("NO servers: they did not build");
    }
}

impl Fleet {
    /// Kettle's servers and the raw loops only.
    pub fn without_rivals(idle: usize) -> Self {
        build_own();
        eprintln!("--quick: SKIPPED: tokio, monoio, compio, smol, may, Go, uvloop, asyncio, the examples");
        Self { rivals: false, examples: None, go: None, python: false, uvloop: false, idle, up: RefCell::default() }
    }

    /// Builds all that can be built here. Says what is missing.
    pub fn build(idle: usize) -> Self {
        build_own();
        let target = target();
        let rivals = cargo(&["-p", "rivals"], &target);
        if !rivals {
            eprintln!("NO rivals: they did not build");
        }
        let root = "../../Cargo.toml";
        let examples = target.join("examples");
        let arguments = ["--manifest-path", root, "-p", "kettle", "--example", "echo", "--example", "http_plaintext"];
        let examples = cargo(&arguments, &examples).then(|| examples.join("release/examples"));
        if examples.is_none() {
            eprintln!("NO examples: they did not build");
        }
        let go = built().join("go-server");
        let go = present(Command::new("go").args(["build", "-o"]).arg(&go).arg(script("go"))).then_some(go);
        if go.is_none() {
            eprintln!("NO go: Go's server is not measured");
        }
        let python = present(Command::new("python3").arg("--version"));
        let uvloop = present(Command::new("python3").args(["-c", "import uvloop"]));
        if !python || !uvloop {
            eprintln!("NO python3 with uvloop: asyncio's servers are not all measured");
        }
        Self { rivals, examples, go, python, uvloop, idle, up: RefCell::default() }
    }

    /// The server of this name, which is started when it is first asked for. `None` if it can't be had here.
    pub fn server(&self, name: &str, service: Service) -> Option<Rc<Server>> {
        let mut up = self.up.borrow_mut();
        let started = up.entry((name.to_owned(), service)).or_insert_with(|| {
            let workers = Workers::of(name).1.count;
            let processors = if workers > 1 { &BOTH[..] } else { &[SERVERS] };
            let started = Server::start(&mut self.command(name, service)?, processors, workers > 0);
            started.map(Rc::new).map_err(|error| eprintln!("NO {name}: {error}")).ok()
        });
        started.clone()
    }

    /// Whether there is a server of this name.
    pub fn has(&self, name: &str) -> bool {
        self.command(name, Service::Echo).is_some()
    }

    /// Ends the servers that have many idle tasks: they take memory.
    pub fn end(&self, name: &str) {
        self.up.borrow_mut().retain(|(other, _), _| other != name);
    }

    fn command(&self, name: &str, service: Service) -> Option<Command> {
        let (name, workers) = Workers::of(name);
        let mut command = match name {
            RAW | RAW_EPOLL => Command::new(built().join("raw")),
            KETTLE_EXAMPLE => {
                let example = if service == Service::Echo { "echo" } else { "http_plaintext" };
                let mut command = Command::new(self.examples.as_ref()?.join(example));
                command.args(["--addr", "127.0.0.1:0"]).env_remove("KETTLE_DRIVER");
                return Some(command);
            }
            GO => {
                let mut command = Command::new(self.go.as_ref()?);
                command.env("GOMAXPROCS", workers.count.max(1).to_string());
                command
            }
            UVLOOP | ASYNCIO if self.python && (name == ASYNCIO || self.uvloop) => {
                let mut command = Command::new("python3");
                command.arg(script("py"));
                command
            }
            UVLOOP | ASYNCIO => return None,
            name if name.starts_with(KETTLE) => {
                let mut command = Command::new(built().join("kettle"));
                command.env("KETTLE_DRIVER", if name.starts_with(KETTLE_EPOLL) { "epoll" } else { "uring" });
                command
            }
            rival if self.rivals => Command::new(built().join(rival)),
            _ => return None,
        };
        match name {
            RAW_EPOLL => drop(command.arg("epoll")),
            UVLOOP => drop(command.arg("uvloop")),
            KETTLE_SPIN => drop(command.args(["spin", "30"])),
            KETTLE_IDLE | KETTLE_EPOLL_IDLE => drop(command.args(["idle", &self.idle.to_string()])),
            _ => {}
        }
        // Go's server has it from its environment.
        if workers.count > 0 && name != GO {
            command.args(["workers", &workers.count.to_string()]);
        }
        command.args(workers.how);
        if service == Service::Plaintext {
            command.arg("http");
        }
        Some(command)
    }
}

/// What a server's name says of its threads.
#[derive(Clone, Copy)]
struct Workers {
    count: usize,
    /// What is said of them besides.
    how: Option<&'static str>,
}

impl Workers {
    /// Splits a name into the server and its workers; 0 if there is nothing of them.
    fn of(name: &str) -> (&str, Self) {
        let apart = Some("apart");
        let ends = [
            (ONE_WORKER, 1, None),
            (TWO_WORKERS, 2, None),
            (TWO_PINNED, 2, Some("pinned")),
            (ONE_APART, 1, apart),
            (TWO_APART, 2, apart),
        ];
        let found = ends.into_iter().find_map(|(end, count, how)| Some((name.strip_suffix(end)?, Self { count, how })));
        found.unwrap_or((name, Self { count: 0, how: None }))
    }
}

fn script(extension: &str) -> PathBuf {
    directory().join("rivals/server").with_extension(extension)
}

fn present(command: &mut Command) -> bool {
    let status: io::Result<_> = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_how_many_workers_there_are() {
        let of = |name| {
            let (name, workers) = Workers::of(name);
            (name, workers.count, workers.how)
        };
        assert_eq!(of(KETTLE_EPOLL), (KETTLE_EPOLL, 0, None));
        assert_eq!(of(RAW_1), (RAW, 1, None));
        assert_eq!(of(KETTLE_2_PINNED), (KETTLE, 2, Some("pinned")));
        assert_eq!(of(KETTLE_EPOLL_2_APART), (KETTLE_EPOLL, 2, Some("apart")));
    }
}
