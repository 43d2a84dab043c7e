//! Owns the workers: each has a thread, an event loop, a shard, and accepts connections from the listener that all
//! share.

use super::connection::converse;
use super::disk::{Disk, Refused};
use super::parcel::Batch;
use super::session::Shared;
use super::shard::{Seat, Shard, seats};
use kettle::net::TcpListener;
use kettle::sync::mpsc::{self, Receiver};
use kettle::thread;
use kettle::time::Duration;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
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
    shared: Arc<Shared>,
}

impl Server {
    /// Loads what was saved in the directory, if there is one.
    pub(crate) fn load(workers: usize, directory: Option<PathBuf>) -> Result<Self, String> {
        let mut seats = seats(workers);
        let disk = Disk::new(directory);
        disk.load(&mut seats)?;
        Ok(Self { seats, shared: Arc::new(Shared::new(disk)) })
    }

    /// Serves on a thread for each worker, until the process is told to end.
    pub(crate) fn run(self, listener: &TcpListener, signals: Receiver<()>) -> io::Result<()> {
        let shared = self.shared;
        // The first worker hears of them.
        let mut signals = Some(signals);
        let clone = |seat| Ok((seat, listener.try_clone()?, signals.take()));
        let workers = self.seats.into_iter().map(clone).collect::<io::Result<Vec<_>>>()?;
        on_each_worker(workers, |(seat, listener, signals)| work(seat, &listener, &shared, signals))
    }

    /// Serves by tasks of the event loop that runs here, all workers'. Ends at once; the tasks don't.
    pub(crate) fn spawn(self, listener: &TcpListener) -> io::Result<()> {
        for seat in self.seats {
            let (listener, shared) = (listener.try_clone()?, Arc::clone(&self.shared));
            thread::spawn(move || work(seat, &listener, &shared, None));
        }
        Ok(())
    }
}

/// Calls a function with each of these, on a worker of its own.
fn on_each_worker<T: Send>(seats: Vec<T>, work: impl Fn(T) + Sync) -> io::Result<()> {
    // Each is taken out once.
    let seats: Vec<_> = seats.into_iter().map(|seat| Mutex::new(Some(seat))).collect();
    let workers = kettle::workers(seats.len());
    if workers.excess() > 0 {
        eprintln!("kv: {} workers more than cores: they get in each other's way", workers.excess());
    }
    workers.run(|worker| {
        let seat = seats[worker.index()].lock().unwrap_or_else(PoisonError::into_inner).take();
        seat.map(&work)
    })?;
    Ok(())
}

/// SIGTERM and SIGINT, as they come.
///
/// They are bytes in a socket. That this process has with itself, and a thread of its own waits for them.
pub(crate) fn signals() -> io::Result<Receiver<()>> {
    let (mut arrivals, handler) = UnixStream::pair()?;
    for signal in [SIGTERM, SIGINT] {
        signal_hook::low_level::pipe::register(signal, handler.try_clone()?)?;
    }
    let (sender, receiver) = mpsc::channel();
    let listen = move || while arrivals.read_exact(&mut [0]).is_ok() && sender.send(()).is_ok() {};
    std::thread::Builder::new().name("signals".to_string()).spawn(listen)?;
    Ok(receiver)
}

/// Ends the process when a signal comes and everything is saved. What can't be saved is kept: then it goes on.
fn end_on_signals(signals: Receiver<()>, shard: &Shard, shared: &Shared) {
    for () in signals {
        match save_all(shard, shared) {
            Ok(()) => std::process::exit(0),
            Err(error) => eprintln!("kv: still here, for it could not be saved: {error}"),
        }
    }
}

/// A checkpoint.
fn save_all(shard: &Shard, shared: &Shared) -> io::Result<()> {
    let saving = match shared.disk.wait_to_save() {
        Ok(saving) => saving,
        // Nothing is to be kept.
        Err(Refused::NoDirectory) => return Ok(()),
        Err(refused) => return Err(io::Error::other(refused.to_string())),
    };
    let sections = shard.sections(&mut Batch::new(shard.count()))?;
    saving.write(sections).recv().map_err(io::Error::other)?
}

/// What a worker does. Never ends.
fn work(seat: Seat, listener: &TcpListener, shared: &Arc<Shared>, signals: Option<Receiver<()>>) {
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
    if let Some(signals) = signals {
        let (shard, shared) = (Rc::clone(&shard), Arc::clone(shared));
        thread::spawn(move || end_on_signals(signals, &shard, &shared));
    }
    // An error that lasts is told once.
    let mut is_told = false;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                is_told = false;
                let (shard, shared) = (Rc::clone(&shard), Arc::clone(shared));
                // How a connection ends is its own affair: most errors are clients that have gone.
                thread::spawn(move || converse(stream, shard, shared));
            }
            Err(error) => {
                // If the error is that this task was cancelled, it ends here.
                thread::sleep(PAUSE);
                if !std::mem::replace(&mut is_told, true) {
                    eprintln!("kv: accept: {error}");
                }
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
