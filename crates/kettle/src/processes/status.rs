//! Owns what a supervisor tells of its workers.
#![forbid(unsafe_code)]

use std::fmt;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How a supervisor's workers are. Its `Display` is one line, which begins with `healthy` or `unhealthy`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Each worker, by its index. One that is being replaced is there for each of its processes, and where the next one
    /// has a time to wait for, for that.
    pub workers: Vec<WorkerStatus>,
    /// How often the workers have been replaced by a reload.
    pub reloads: u64,
}

/// How one worker is.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// Which one.
    pub index: usize,
    /// Its process; `None` while it has none.
    pub pid: Option<u32>,
    /// What it does.
    pub state: State,
    /// How often it has been started again, not counting reloads.
    pub restarts: u64,
    /// How long it has been in this state.
    pub elapsed: Duration,
}

/// What a worker does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum State {
    /// Its process runs, and has not said yet that it is ready.
    Starting,
    /// It serves, as far as it has said: nobody asks it again. One that hangs is found by who is served by it.
    Ready,
    /// It has been asked to end, or has said that it is about to, and finishes what it has begun.
    Draining,
    /// It has died, and is started again when its time has come.
    Waiting,
    /// It has ended, and is not started again: all are to end.
    Ended,
}

impl Status {
    /// Whether each worker has a process that serves.
    pub fn is_healthy(&self) -> bool {
        let mut indices = self.workers.iter().map(|worker| worker.index);
        indices.all(|index| self.workers.iter().any(|worker| worker.index == index && worker.state == State::Ready))
    }

    /// How many are in a state.
    pub fn count(&self, state: State) -> usize {
        self.workers.iter().filter(|worker| worker.state == state).count()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let health = if self.is_healthy() { "healthy" } else { "unhealthy" };
        let (ready, reloads) = (self.count(State::Ready), self.reloads);
        write!(f, "{health}: {ready} ready, {reloads} reloads")?;
        self.workers.iter().try_for_each(|worker| write!(f, "; {worker}"))
    }
}

impl fmt::Display for WorkerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {}", self.index)?;
        if let Some(pid) = self.pid {
            write!(f, " pid {pid}")?;
        }
        write!(f, " {} {} s, {} restarts", self.state, self.elapsed.as_secs(), self.restarts)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Waiting => "waiting",
            Self::Ended => "ended",
        })
    }
}

/// Asks the supervisor whose [status socket](super::Processes::status_socket) this is for its status, a [`Status`] as
/// text: for a health check, which is another process as a rule. Blocks the thread.
///
/// # Errors
///
/// If nobody listens there, or no answer comes within ten seconds.
pub fn status_at(path: impl AsRef<Path>) -> io::Result<String> {
    let mut socket = UnixStream::connect(path)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut text = String::new();
    socket.read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]
mod tests {
    use super::*;

    fn worker(index: usize, state: State) -> WorkerStatus {
        let pid = (!matches!(state, State::Waiting | State::Ended)).then_some(100 + index as u32);
        WorkerStatus { index, pid, state, restarts: 3, elapsed: Duration::from_millis(7999) }
    }

    #[test]
    fn it_is_healthy_if_each_worker_has_a_process_that_serves() {
        let healthy = [worker(0, State::Draining), worker(0, State::Ready), worker(1, State::Ready)];
        let status = Status { workers: healthy.into(), reloads: 1 };
        assert!(status.is_healthy());
        let text = "healthy: 2 ready, 1 reloads; worker 0 pid 100 draining 7 s, 3 restarts; worker 0 pid 100 ready 7 s, \
                    3 restarts; worker 1 pid 101 ready 7 s, 3 restarts";
        assert_eq!(status.to_string(), text);
        for state in [State::Starting, State::Draining, State::Waiting, State::Ended] {
            let status = Status { workers: vec![worker(0, State::Ready), worker(1, state)], reloads: 0 };
            assert!(!status.is_healthy(), "{state}");
            assert!(status.to_string().starts_with("unhealthy: 1 ready"));
        }
    }
}
