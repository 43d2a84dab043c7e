//! Owns what is seen of a server from outside while it is loaded: its memory and its descriptors, by the kernel's account.

use std::fs;
use std::io;

/// What a process has at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Memory in use (`VmRSS`), in KiB.
    pub memory: u64,
    /// Open descriptors.
    pub descriptors: u64,
}

/// What a process had in the course of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// When it had warmed up.
    pub first: Sample,
    /// The most of each, from then on.
    pub most: Sample,
    /// Before the run was over.
    pub last: Sample,
}

impl Sample {
    /// Looks at a process.
    ///
    /// # Errors
    ///
    /// If there is none of that number, or it is somebody else's.
    pub fn of(pid: u32) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let memory = resident(&status).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it has no memory"))?;
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64;
        Ok(Self { memory, descriptors })
    }

    fn max(self, other: Self) -> Self {
        Self { memory: self.memory.max(other.memory), descriptors: self.descriptors.max(other.descriptors) }
    }
}

impl Watched {
    /// One that was looked at once.
    pub fn new(first: Sample) -> Self {
        Self { first, most: first, last: first }
    }

    /// Adds a sample.
    pub fn see(&mut self, sample: Sample) {
        self.most = self.most.max(sample);
        self.last = sample;
    }
}

/// The number of a process's status that says how much memory it uses.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_what_it_has() {
        let held = Sample::of(std::process::id()).unwrap();
        assert!(held.memory > 100 && held.descriptors >= 3, "{held:?}");
        // No process has it: it is above the greatest number that Linux gives.
        assert_eq!(Sample::of(u32::MAX).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_line_is_found_among_others() {
        assert_eq!(resident("VmHWM:\t    99 kB\nVmRSS:\t    1234 kB\nRssAnon:\t 7 kB\n"), Some(1234));
        assert_eq!(resident("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn the_most_is_of_each_by_itself() {
        let sample = |memory, descriptors| Sample { memory, descriptors };
        let mut watched = Watched::new(sample(5, 5));
        watched.see(sample(9, 4));
        watched.see(sample(3, 8));
        assert_eq!(watched, Watched { first: sample(5, 5), most: sample(9, 8), last: sample(3, 8) });
    }
}
