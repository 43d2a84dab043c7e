//! Owns the servers' processes: how they are built, started, watched and ended.

use crate::serving::pin;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A server that runs, until this is dropped.
pub struct Server {
    process: Child,
    /// Where it listens: one address, or one of each of its threads.
    pub addresses: Vec<SocketAddr>,
}

impl Server {
    /// Starts a program that prints `listening on ADDRESS …`, on these processors, which it has to itself or shares with the
    /// load.
    ///
    /// # Errors
    ///
    /// If it can't be started, or says something else.
    pub fn start(command: &mut Command, processors: &[usize], shares: bool) -> io::Result<Self> {
        pin(processors);
        // SAFETY: system calls, without any memory. The first one ends the server with this thread, however that ends.
        unsafe {
            command.pre_exec(move || {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                if shares {
                    take_turns();
                }
                Ok(())
            })
        };
        let process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        pin(&[CLIENT]);
        let mut process = process?;
        let output = process.stdout.take().expect("it is piped");
        let mut server = Self { process, addresses: Vec::new() };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let addresses = line.trim().strip_prefix("listening on ").unwrap_or_default().split(' ');
        let addresses: Result<Vec<_>, _> = addresses.map(str::parse).collect();
        server.addresses = addresses.map_err(|_| io::Error::other(format!("{command:?} says {line:?}")))?;
        Ok(server)
    }

    /// How long its threads have run until now, in nanoseconds. Exact when all of them sleep.
    pub fn processor_time(&self) -> u64 {
        scheduled(self.process.id()).0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // If it has ended already there is nothing to do.
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// How long the threads of a process have run, and how long they waited for a processor, in nanoseconds.
pub fn scheduled(process: u32) -> (u64, u64) {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let accounts = threads.filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok());
    accounts.fold((0, 0), |(ran, waited), account| {
        let mut numbers = account.split_whitespace().map(|number| number.parse::<u64>().unwrap_or(0));
        (ran + numbers.next().unwrap_or(0), waited + numbers.next().unwrap_or(0))
    })
}

/// The processor of servers that have one.
pub const SERVERS: usize = 0;
/// The load's.
const CLIENT: usize = 1;
/// Both, where servers and load share them.
pub const BOTH: [usize; 2] = [SERVERS, CLIENT];

/// Keeps this thread on the load's processor.
pub fn pin_client() {
    pin(&[CLIENT]);
}

/// Has this process, and the servers that it starts, run before all ordinary ones. Whether that is allowed.
pub fn precede_others() -> bool {
    let first = libc::sched_param { sched_priority: 1 };
    // SAFETY: the parameter is read.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const first) == 0 }
}

/// Has this thread take turns with others, as threads usually do, but long ones: for those that share a processor. Where one
/// precedes all others it would keep it until it has nothing to do.
pub fn take_turns() {
    let none = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameter is read.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const none) };
    // SAFETY: no pointers.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -20) };
}

/// Asks for so many descriptors for this process and the servers. Without the right to them it stays at fewer.
pub fn raise_descriptors(wanted: u64) {
    let limit = limit_of_descriptors();
    for most in [limit.rlim_max.max(wanted), limit.rlim_max] {
        let higher = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: it is read.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const higher) } == 0 {
            break;
        }
    }
}

/// How many descriptors this process can have.
pub fn descriptors() -> usize {
    limit_of_descriptors().rlim_cur as usize
}

/// On how many connections so many idle tasks wait; both ends of one are the server's.
pub fn idle_connections(tasks: usize) -> usize {
    tasks.min(descriptors().saturating_sub(1_000) / 2)
}

fn limit_of_descriptors() -> libc::rlimit {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: it is written.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit
}

/// The directory of this package.
pub fn directory() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The directory of the program that runs: the other ones of its build are there too.
pub fn built() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.parent().map(Path::to_owned).unwrap_or_default()
}
