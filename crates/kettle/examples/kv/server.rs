//! Owns the workers: each has a thread, an event loop, a shard, and accepts connections from the listener that all share.

use super::disk::Disk;
use super::session::{House, converse};
use super::shard::{Seat, Shard, seats};
use kettle::net::TcpListener;
use kettle::thread;
use kettle::time::Duration;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

/// How long a worker waits for descriptors when there are none left.
const PAUSE: Duration = Duration::from_millis(50);

/// How often keys are removed that have expired and are not asked for.
const SWEEP: Duration = Duration::from_millis(100);

/// A server whose keys are loaded.
pub(crate) struct Server {
    seats: Vec<Seat>,
    house: Arc<House>,
}

impl Server {
    /// Loads what was saved in the directory, if there is one.
    pub(crate) fn load(workers: usize, directory: Option<PathBuf>) -> Result<Self, String> {
        let mut seats = seats(workers);
        let disk = Disk::new(directory);
        disk.load(&mut seats)?;
        Ok(Self { seats, house: Arc::new(House::new(disk)) })
    }

    /// Serves on a thread for each worker.
    pub(crate) fn run(self, listener: &TcpListener) -> io::Result<()> {
        let house = self.house;
        let clone = |seat| Ok((seat, listener.try_clone()?));
        let workers = self.seats.into_iter().map(clone).collect::<io::Result<Vec<_>>>()?;
        on_each_worker(workers, |(seat, listener)| work(seat, &listener, &house))
    }

    /// Serves by tasks of the event loop that runs here, all workers'. Ends at once; the tasks don't.
    pub(crate) fn spawn(self, listener: &TcpListener) -> io::Result<()> {
        for seat in self.seats {
            let (listener, house) = (listener.try_clone()?, Arc::clone(&self.house));
            thread::spawn(move || work(seat, &listener, &house));
        }
        Ok(())
    }
}

/// Calls a function with each of these, on a worker of its own.
fn on_each_worker<T: Send>(seats: Vec<T>, work: impl Fn(T) + Sync) -> io::Result<()> {
    // Each is taken out once.
    let seats: Vec<_> = seats.into_iter().map(|seat| Mutex::new(Some(seat))).collect();
    kettle::workers(seats.len()).run(|worker| {
        let seat = seats[worker.index()].lock().unwrap_or_else(PoisonError::into_inner).take();
        seat.map(&work)
    })?;
    Ok(())
}

/// What a worker does. Never ends.
fn work(seat: Seat, listener: &TcpListener, house: &Arc<House>) {
    let (shard, parcels) = seat.take();
    let shard = Rc::new(shard);
    if shard.count() > 1 {
        let shard = Rc::clone(&shard);
        thread::spawn(move || shard.serve(&parcels));
    }
    thread::spawn({
        let shard = Rc::clone(&shard);
        move || sweep(&shard)
    });
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let (shard, house) = (Rc::clone(&shard), Arc::clone(house));
                // How a connection ends is its own affair: most errors are clients that have gone.
                thread::spawn(move || converse(stream, shard, house));
            }
            Err(error) => {
                // If the error is that this task was cancelled, it ends here.
                thread::sleep(PAUSE);
                eprintln!("kv: accept: {error}");
            }
        }
    }
}

/// Removes what has expired, a little at a time, so that others have their turn. Never ends.
fn sweep(shard: &Shard) {
    loop {
        while shard.tick() {
            thread::yield_now();
        }
        thread::sleep(SWEEP);
    }
}
