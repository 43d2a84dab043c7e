//! Owns a worker's side: what it knows of itself, how it accepts, and how it hears that it is to end.
//!
//! It hears that by a thread of its own, which no task can keep from listening. The thread reads the end of the control
//! socket, which its supervisor brings about by asking or by dying, and SIGTERM. If the supervisor has gone, there is
//! nobody to kill a worker that is late, and the thread ends the process.
#![forbid(unsafe_code)]

use super::channel::Channel;
use super::output::Ends;
use crate::net::{TcpListener, TcpStream};
use crate::sync::watch;
use kettle_rt::{Cancelled, task_group};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::low_level::exit;
use std::fmt;
use std::io::{self, Read, Write};
use std::iter::FusedIterator;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long accepting pauses when there are no descriptors left.
const PAUSE: Duration = Duration::from_millis(50);

/// A worker says that it serves.
pub(super) const READY: u8 = b'R';
/// A worker says that somebody else has asked it to end.
pub(super) const LEAVING: u8 = b'L';

/// A worker process, as its function sees it: see [`Processes::run`](super::Processes::run).
///
/// `Up` is what it sends to its supervisor, `Down` what it receives. It may be shared with other threads.
pub struct Worker<Up = (), Down = ()> {
    index: usize,
    listeners: Vec<(Option<String>, TcpListener)>,
    channel: Channel<Up, Down>,
    control: Arc<UnixStream>,
    has_said_ready: AtomicBool,
    draining: Draining,
}

/// Whether a worker is to end: what it has begun is to be finished, and nothing new to begin. Made by
/// [`Worker::draining`]; clones tell the same, and may be sent to threads.
///
/// ```no_run
/// use kettle::processes::Error;
///
/// fn main() -> Result<(), Error> {
///     kettle::processes(4).run(|worker| {
///         let draining = worker.draining();
///         let sweeper = std::thread::spawn(move || {
///             while !draining.is_begun() {
///                 // What is to be done now and then, by a thread of its own.
///                 std::thread::sleep(std::time::Duration::from_millis(100));
///             }
///         });
///         worker.ready();
///         worker.draining().wait();
///         sweeper.join().map_err(|_| std::io::Error::other("the sweeper has panicked"))
///     })
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Draining {
    is_begun: Arc<AtomicBool>,
    news: watch::Receiver<()>,
}

impl<Up, Down> Worker<Up, Down> {
    pub(super) fn new(
        index: usize,
        listeners: Vec<(Option<String>, TcpListener)>,
        channel: Channel<Up, Down>,
        watched: Watched,
    ) -> Self {
        let Watched { control, draining } = watched;
        Self { index, listeners, channel, control, has_said_ready: AtomicBool::new(false), draining }
    }

    /// Which one it is, from 0. One that takes another's place has its index.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Says that it serves. A reload waits for that, and a supervisor does not wait for ever
    /// ([`ready_within`](super::Processes::ready_within)). Accepting says it as well; the second time it does nothing.
    pub fn ready(&self) {
        if !self.has_said_ready.swap(true, Ordering::Relaxed) {
            // A supervisor that has gone need not know.
            _ = (&*self.control).write_all(&[READY]);
        }
    }

    /// The first listener, of [`Processes::listen`](super::Processes::listen).
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn listener(&self) -> Listener<'_, Up, Down> {
        self.listeners().next().expect("a worker's listener is asked for: `Processes::listen` says where it listens")
    }

    /// The listeners, in the order in which they were asked for.
    pub fn listeners(&self) -> impl Iterator<Item = Listener<'_, Up, Down>> {
        self.listeners.iter().map(|(name, listener)| Listener { worker: self, name: name.as_deref(), listener })
    }

    /// The connections of the first listener, until the worker is to end: [`Listener::incoming`].
    ///
    /// # Panics
    ///
    /// If there is no listener.
    pub fn incoming(&self) -> Incoming<'_, Up, Down> {
        self.listener().incoming()
    }

    /// Whether it is to end: what it has begun is to be finished, and nothing new to begin.
    pub fn is_draining(&self) -> bool {
        self.draining.is_begun()
    }

    /// The same for others: threads, and tasks that outlive a borrow.
    pub fn draining(&self) -> Draining {
        self.draining.clone()
    }

    /// Runs a function that is cancelled when the worker is to end; `Ok(None)` if it has been cancelled, or was not
    /// called because that was so already. For waits that may be without end: for the next request of a connection,
    /// say. Not for the first one: who has just come may be about to send it, and a reload would drop that connection. A
    /// checkpoint, unless that was so already. It works outside of tasks as well.
    ///
    /// ```no_run
    /// use kettle::net::TcpStream;
    /// use kettle::processes::Worker;
    /// use std::io::{self, Read, Write};
    ///
    /// fn converse(worker: &Worker, mut client: TcpStream) -> io::Result<()> {
    ///     let mut buffer = [0; 4096];
    ///     let mut len = client.read(&mut buffer)?;
    ///     while len > 0 {
    ///         client.write_all(&buffer[..len])?;
    ///         let Some(next) = worker.unless_draining(|| client.read(&mut buffer))? else { break };
    ///         len = next;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the function.
    ///
    /// # Panics
    ///
    /// With the function's panic.
    ///
    /// # Cancellation
    ///
    /// As by [`cancel_scope`](crate::cancel_scope): an operation gives an error first, whose source is [`Cancelled`],
    /// and a wait that has no error to give is unwound. A function that is unwound or returns that error has been
    /// cancelled, and whatever else it returns is given. An operation that was cancelled has done nothing, and may be
    /// done again outside of this. A cancellation from outside passes through.
    pub fn unless_draining<T>(&self, f: impl FnOnce() -> io::Result<T>) -> io::Result<Option<T>> {
        self.draining.unless_begun(f)
    }

    /// The way to the supervisor's [`attend`](super::Processes::attend). Where nobody attends, it ends at once.
    pub fn channel(&self) -> &Channel<Up, Down> {
        &self.channel
    }
}

impl<Up, Down> fmt::Debug for Worker<Up, Down> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Worker");
        debug.field("index", &self.index).field("is_draining", &self.is_draining()).finish_non_exhaustive()
    }
}

impl Draining {
    /// Whether it has begun.
    pub fn is_begun(&self) -> bool {
        self.is_begun.load(Ordering::Acquire)
    }

    /// Waits until it begins. A checkpoint, if it has not; outside of tasks it blocks the thread.
    ///
    /// # Cancellation
    ///
    /// The task is unwound.
    pub fn wait(&self) {
        // Its end is the end of the thread that tells, which ends the process.
        while !self.is_begun() && self.news.clone().changed().is_ok() {}
    }

    /// Runs a function that is cancelled when it begins, as [`Worker::unless_draining`] does. A checkpoint, unless it has
    /// begun.
    ///
    /// # Errors
    ///
    /// Those of the function.
    ///
    /// # Panics
    ///
    /// With the function's panic.
    ///
    /// # Cancellation
    ///
    /// As of [`Worker::unless_draining`].
    pub fn unless_begun<T>(&self, f: impl FnOnce() -> io::Result<T>) -> io::Result<Option<T>> {
        if self.is_begun() {
            return Ok(None);
        }
        let mut news = self.news.clone();
        let mut result = None;
        let ended = task_group(|group| {
            // A task without a stack.
            let drain = group.spawn_future(async move {
                _ = news.changed_async().await;
                Err::<(), ()>(())
            });
            result = Some(f());
            drain.cancel();
            Ok(())
        });
        // What it has done before it heard of that is not lost.
        debug_assert!(ended.is_err() || result.is_some());
        match result.transpose() {
            Err(error) if self.is_begun() && is_cancelled(&error) => Ok(None),
            result => result,
        }
    }
}

fn is_cancelled(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|source| source.is::<Cancelled>())
}

/// Where a worker accepts connections. The queue of those that nobody has accepted yet is one for all workers, and its
/// supervisor's: who dies or ends takes none of it along.
pub struct Listener<'a, Up = (), Down = ()> {
    worker: &'a Worker<Up, Down>,
    name: Option<&'a str>,
    listener: &'a TcpListener,
}

impl<'a, Up, Down> Listener<'a, Up, Down> {
    /// The name, if it was [asked for](super::Processes::listen_as) by one.
    pub fn name(&self) -> Option<&'a str> {
        self.name
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Waits for a connection: [`std::net::TcpListener::accept`]. `None` when the worker is to end. A checkpoint. The
    /// worker is [`ready`](Worker::ready) by that.
    ///
    /// # Errors
    ///
    /// As of [`TcpListener::accept`].
    ///
    /// # Cancellation
    ///
    /// As of [`TcpListener::accept`].
    pub fn accept(&self) -> Option<io::Result<(TcpStream, SocketAddr)>> {
        self.worker.ready();
        self.worker.unless_draining(|| self.listener.accept()).transpose()
    }

    /// The connections as they come, until the worker is to end: [`std::net::TcpListener::incoming`]. Unlike that it
    /// pauses for 50 milliseconds before it gives an error for want of descriptors or memory, so that who skips errors
    /// does not spin.
    pub fn incoming(self) -> Incoming<'a, Up, Down> {
        Incoming { listener: self }
    }
}

impl<Up, Down> fmt::Debug for Listener<'_, Up, Down> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("name", &self.name).field("listener", &self.listener).finish_non_exhaustive()
    }
}

/// The connections of a [`Listener`], until its worker is to end.
#[derive(Debug)]
pub struct Incoming<'a, Up = (), Down = ()> {
    listener: Listener<'a, Up, Down>,
}

impl<Up, Down> Iterator for Incoming<'_, Up, Down> {
    type Item = io::Result<TcpStream>;

    /// Waits for the next connection. A checkpoint.
    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        let accepted = self.listener.accept()?;
        if accepted.as_ref().is_err_and(is_for_want) {
            // It would be the same again at once: others have to end first.
            _ = self.listener.worker.unless_draining(|| {
                crate::thread::sleep(PAUSE);
                Ok(())
            });
        }
        Some(accepted.map(|(stream, _)| stream))
    }
}

/// Whether the system had not enough of something.
fn is_for_want(error: &io::Error) -> bool {
    let wants = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|errno| wants.contains(&errno))
}

impl<Up, Down> FusedIterator for Incoming<'_, Up, Down> {}

/// What the thread that listens for the end shares with the worker.
pub(super) struct Watched {
    control: Arc<UnixStream>,
    draining: Draining,
}

/// Starts the thread.
pub(super) fn watch(
    control: UnixStream,
    terminate: UnixStream,
    drain_within: Duration,
    printed: Ends,
) -> io::Result<Watched> {
    let (sender, news) = watch::channel(());
    let draining = Draining { is_begun: Arc::default(), news };
    let control = Arc::new(control);
    let watch = Watch {
        control: Arc::clone(&control),
        terminate,
        drain_within,
        is_begun: Arc::clone(&draining.is_begun),
        sender,
        printed,
        deadline: None,
        has_heard_signal: false,
        is_alone: false,
    };
    thread::Builder::new().name("kettle-watch".to_owned()).spawn(move || watch.run())?;
    Ok(Watched { control, draining })
}

struct Watch {
    control: Arc<UnixStream>,
    terminate: UnixStream,
    drain_within: Duration,
    is_begun: Arc<AtomicBool>,
    sender: watch::Sender<()>,
    /// What it prints, until somebody has to read that.
    printed: Ends,
    /// When it has to have ended. Set when draining begins.
    deadline: Option<Instant>,
    has_heard_signal: bool,
    /// The supervisor has gone.
    is_alone: bool,
}

impl Watch {
    /// Ends with the process.
    fn run(mut self) {
        loop {
            let is_draining = self.deadline.is_some();
            // While it drains, only the end of both directions is news: the supervisor has gone.
            let asked = if is_draining { PollFlags::empty() } else { PollFlags::IN };
            let mut fds = [PollFd::new(&self.terminate, PollFlags::IN), PollFd::new(&*self.control, asked)];
            let watched = if self.is_alone { 1 } else { 2 };
            let left = self.deadline.filter(|_| self.is_alone).map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                self.give_up();
            }
            let left = left.map(|left| Timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos().into() });
            if poll(&mut fds[..watched], left.as_ref()).is_err() {
                // A signal.
                continue;
            }
            let [terminate, control] = fds.map(|fd| fd.revents());
            if terminate.contains(PollFlags::IN) && matches!(self.terminate.read(&mut [0]), Ok(1)) {
                // (That the supervisor has asked before is no first time: who signals all processes of a service asks
                // once.)
                if std::mem::replace(&mut self.has_heard_signal, true) {
                    // The second time: whoever insists wants it at once.
                    exit(128 + signal_hook::consts::SIGTERM);
                }
                // The supervisor hears that this is no death.
                _ = (&*self.control).write_all(&[LEAVING]);
                self.begin();
            }
            if control.contains(PollFlags::IN) {
                self.begin();
            }
            if control.intersects(PollFlags::HUP | PollFlags::ERR) {
                self.is_alone = true;
                std::mem::take(&mut self.printed).read_to_nowhere();
            }
        }
    }

    fn begin(&mut self) {
        if self.deadline.is_none() {
            let never = Duration::from_secs(u32::MAX.into());
            self.deadline = Some(Instant::now() + self.drain_within.min(never));
            self.is_begun.store(true, Ordering::Release);
            // That nobody listens is the worker's affair.
            _ = self.sender.send(());
        }
    }

    fn give_up(&self) -> ! {
        let time = self.drain_within;
        // Nobody may hear it.
        _ = writeln!(io::stderr(), "this worker has not finished within {time:?}, and its supervisor has gone");
        exit(1)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]
mod tests {
    use super::*;

    /// A worker, and the other ends of its sockets.
    fn worker() -> (Worker, UnixStream) {
        let (worker, supervisor, signal) = worker_with_signal();
        // The thread listens to it for ever.
        std::mem::forget(signal);
        (worker, supervisor)
    }

    fn worker_with_signal() -> (Worker, UnixStream, UnixStream) {
        let [(control, supervisor), (terminate, signal)] = [(); 2].map(|()| UnixStream::pair().unwrap());
        let watched = watch(control, terminate, Duration::MAX, Ends::default()).unwrap();
        let (channel, _) = Channel::pair().unwrap();
        let listener = crate::net::TcpListener::bind("127.0.0.1:0").unwrap();
        (Worker::new(3, vec![(Some("tea".to_owned()), listener)], channel, watched), supervisor, signal)
    }

    #[test]
    fn a_worker_may_be_shared_with_threads() {
        fn assert_shared<T: Send + Sync>() {}
        assert_shared::<Worker<String, u32>>();
        assert_shared::<Draining>();
    }

    #[test]
    fn the_end_of_the_control_socket_ends_accepting_and_nothing_that_was_accepted() {
        crate::run(|| {
            let (worker, supervisor) = worker();
            let addr = worker.listener().local_addr().unwrap();
            assert_eq!(worker.listener().name(), Some("tea"));
            let client = TcpStream::connect(addr).unwrap();
            let mut incoming = worker.incoming();
            let mut accepted = incoming.next().unwrap().unwrap();
            let mut word = [0];
            (&supervisor).read_exact(&mut word).unwrap();
            assert_eq!(word, [READY]);
            let ended = crate::thread::spawn({
                let draining = worker.draining();
                move || {
                    supervisor.shutdown(std::net::Shutdown::Write).unwrap();
                    draining.wait();
                    supervisor
                }
            });
            assert!(incoming.next().is_none());
            assert!(worker.is_draining());
            assert!(worker.listener().accept().is_none());
            (&client).write_all(b"t").unwrap();
            accepted.read_exact(&mut word).unwrap();
            // While it has a supervisor it is not ended by anybody here.
            drop(ended.join().unwrap());
        });
    }

    #[test]
    fn a_thread_that_accepts_outside_of_tasks_hears_of_the_end() {
        let (worker, supervisor) = worker();
        std::thread::scope(|scope| {
            let accepted = scope.spawn(|| worker.listener().accept().is_some());
            (&supervisor).read_exact(&mut [0]).unwrap();
            supervisor.shutdown(std::net::Shutdown::Write).unwrap();
            assert!(!accepted.join().unwrap());
        });
    }

    #[test]
    fn what_is_done_before_the_end_is_given_and_what_waits_is_ended() {
        crate::run(|| {
            let (worker, supervisor) = worker();
            assert_eq!(worker.unless_draining(|| Ok(7)).unwrap(), Some(7));
            let refused = worker.unless_draining(|| Err::<(), _>(io::ErrorKind::ConnectionRefused.into()));
            assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
            let end = || _ = supervisor.shutdown(std::net::Shutdown::Write);
            let ended = worker.unless_draining(|| {
                end();
                crate::thread::sleep(Duration::MAX);
                Ok(())
            });
            assert_eq!(ended.unwrap(), None);
            assert_eq!(worker.unless_draining(|| Ok(7)).unwrap(), None);
            assert_eq!(crate::timeout(Duration::from_millis(1), || worker.draining().wait()), Ok(()));
        });
    }

    #[test]
    fn a_read_that_waits_when_the_end_comes_gives_nothing_and_may_be_done_again() {
        crate::run(|| {
            let (worker, supervisor) = worker();
            let client = TcpStream::connect(worker.listener().local_addr().unwrap()).unwrap();
            let mut accepted = worker.incoming().next().unwrap().unwrap();
            let ended = crate::thread::spawn(move || {
                supervisor.shutdown(std::net::Shutdown::Write).unwrap();
                supervisor
            });
            let mut word = [0];
            assert_eq!(worker.unless_draining(|| accepted.read(&mut word)).unwrap(), None);
            assert!(worker.is_draining());
            (&client).write_all(b"t").unwrap();
            accepted.read_exact(&mut word).unwrap();
            assert_eq!(word, *b"t");
            drop(ended.join().unwrap());
        });
    }

    #[test]
    fn a_signal_is_passed_on_to_the_supervisor() {
        let (worker, mut supervisor, mut signal) = worker_with_signal();
        signal.write_all(&[0]).unwrap();
        std::mem::forget(signal);
        let mut word = [0];
        supervisor.read_exact(&mut word).unwrap();
        assert_eq!(word, [LEAVING]);
        worker.draining().wait();
    }

    #[test]
    fn a_signal_after_the_supervisor_has_asked_is_no_second_one() {
        let (worker, mut supervisor, mut signal) = worker_with_signal();
        supervisor.shutdown(std::net::Shutdown::Write).unwrap();
        worker.draining().wait();
        signal.write_all(&[0]).unwrap();
        std::mem::forget(signal);
        // It has heard the signal, and lives: a second one would end this process.
        let mut word = [0];
        supervisor.read_exact(&mut word).unwrap();
        assert_eq!(word, [LEAVING]);
    }

    #[test]
    fn a_cancellation_from_outside_is_no_end() {
        crate::run(|| {
            let (worker, _supervisor) = worker();
            let late = crate::timeout(Duration::from_millis(1), || worker.listener().accept());
            // As of a listener of `net`: an error first.
            assert!(matches!(late, Ok(Some(Err(_))) | Err(_)), "{late:?}");
            assert!(!worker.is_draining());
        });
    }
}
