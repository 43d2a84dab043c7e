//! Owns the one limit of the system that the tour runs into: how many descriptors a process may have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as the system allows without privileges, and says how many there are.
pub(crate) fn descriptors() -> u32 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Should that be refused, the limit is what it was.
    _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let current = getrlimit(Resource::Nofile).current;
    current.map_or(u32::MAX, |current| u32::try_from(current).unwrap_or(u32::MAX))
}
