//! Owns the directory of the snapshots: who writes one, that nobody else does at the same time, and reading it at the
//! start.
//!
//! Files block the thread that uses them, so a thread of its own writes; who waits for it waits at a channel.

use super::shard::{self, Seat};
use super::snapshot::{self, NAME};
use kettle::sync::oneshot::{self, Receiver};
use kettle::sync::{OwnedPermit, Semaphore};
use kettle::time::{SystemTime, UNIX_EPOCH};
use std::fmt::{self, Display};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Where snapshots go. Without a directory nothing is kept.
pub(crate) struct Disk {
    directory: Option<PathBuf>,
    /// Who saves has its only permit.
    turn: Arc<Semaphore>,
    /// In seconds since 1970.
    last_save: AtomicU64,
}

/// Why nothing is saved.
#[derive(Debug)]
pub(crate) enum Refused {
    NoDirectory,
    Busy,
}

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoDirectory => "ERR there is no directory to save to: start the server with --dir",
            Self::Busy => "ERR Background save already in progress",
        })
    }
}

/// The turn to save: there is one at a time.
pub(crate) struct Saving {
    disk: Arc<Disk>,
    _permit: OwnedPermit,
}

impl Disk {
    pub(crate) fn new(directory: Option<PathBuf>) -> Self {
        Self { directory, turn: Arc::new(Semaphore::new(1)), last_save: AtomicU64::new(0) }
    }

    /// Has the shards take in what was saved last. A snapshot that is not as it should be is left as it is: somebody
    /// has to look at it.
    pub(crate) fn load(&self, seats: &mut [Seat]) -> Result<(), String> {
        let Some(directory) = &self.directory else { return Ok(()) };
        lock(directory)?;
        snapshot::remove_unfinished(directory);
        let path = directory.join(NAME);
        let bytes = match fs::read(&path) {
            // A directory that is not there is no directory without a snapshot.
            Err(error) if error.kind() == io::ErrorKind::NotFound && directory.is_dir() => return Ok(()),
            read => read.map_err(|error| format!("read {}: {error}", path.display()))?,
        };
        let take = |key: &[u8], value: &[u8], expires| shard::insert(seats, key, value, expires);
        snapshot::read(&bytes, take).map_err(|corrupt| format!("read {}: {corrupt}", path.display()))
    }

    pub(crate) fn last_save(&self) -> u64 {
        self.last_save.load(Ordering::Relaxed)
    }

    /// Takes the turn to save, if nobody has it.
    pub(crate) fn begin_saving(self: &Arc<Self>) -> Result<Saving, Refused> {
        self.saving(Semaphore::try_acquire_owned)
    }

    /// As [`Disk::begin_saving`], but if another is saved just now, it waits until that is done. A checkpoint.
    pub(crate) fn wait_to_save(self: &Arc<Self>) -> Result<Saving, Refused> {
        self.saving(Semaphore::acquire_owned)
    }

    fn saving<E>(
        self: &Arc<Self>,
        take: impl FnOnce(&Arc<Semaphore>, usize) -> Result<OwnedPermit, E>,
    ) -> Result<Saving, Refused> {
        if self.directory.is_none() {
            return Err(Refused::NoDirectory);
        }
        let permit = take(&self.turn, 1).map_err(|_| Refused::Busy)?;
        Ok(Saving { disk: Arc::clone(self), _permit: permit })
    }
}

/// Keeps others out of a directory: two servers would write the same file.
fn lock(directory: &Path) -> Result<(), String> {
    let describe = |error: &dyn Display| format!("lock {}: {error}", directory.display());
    let file = File::open(directory).map_err(|error| describe(&error))?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => describe(&"another server keeps its keys there"),
        TryLockError::Error(error) => describe(&error),
    })?;
    // Held until the process ends.
    std::mem::forget(file);
    Ok(())
}

impl Saving {
    /// Has a thread write it, which says how that went. What goes wrong is told on this side as well.
    pub(crate) fn write(self, sections: Vec<Vec<u8>>) -> Receiver<io::Result<()>> {
        let (sender, receiver) = oneshot::channel();
        let write = move || {
            let result = self.write_here(&sections);
            if let Err(error) = &result {
                eprintln!("kv: save: {error}");
            }
            // Now it is the next one's turn.
            drop(self);
            // If nobody waits, nobody has to know.
            _ = sender.send(result);
        };
        if let Err(error) = thread::Builder::new().name("save".to_string()).spawn(write) {
            eprintln!("kv: save: {error}");
        }
        receiver
    }

    fn write_here(&self, sections: &[Vec<u8>]) -> io::Result<()> {
        let directory = self.disk.directory.as_deref().ok_or(io::ErrorKind::NotFound)?;
        snapshot::write(directory, sections)?;
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.disk.last_save.store(time.as_secs(), Ordering::Relaxed);
        Ok(())
    }
}
