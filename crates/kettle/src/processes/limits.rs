//! Owns what a worker may use at most, as the system counts it.
#![forbid(unsafe_code)]

use super::error::Error;
use rustix::process::{Resource, Rlimit, setrlimit};

#[derive(Clone, Default, Debug)]
pub(super) struct Limits {
    pub(super) open_files: Option<u64>,
    pub(super) memory: Option<u64>,
}

impl Limits {
    /// For this process, which can't raise them again.
    pub(super) fn apply(&self) -> Result<(), Error> {
        let limits =
            [(Resource::Nofile, self.open_files, "open files"), (Resource::As, self.memory, "bytes of memory")];
        for (resource, limit, what) in limits {
            if let Some(limit) = limit {
                setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })
                    .map_err(|error| Error::system(format!("limit a worker to {limit} {what}"))(error.into()))?;
            }
        }
        Ok(())
    }
}
