//! Workers as processes: one function in several processes, under a supervisor that starts them again, ends them
//! gracefully, and replaces them while the port stays open.
//!
//! ```no_run
//! use kettle::net::TcpStream;
//! use kettle::{processes, thread};
//! use std::io::{self, Read, Write};
//!
//! fn main() -> Result<(), processes::Error> {
//!     kettle::processes(4).listen("127.0.0.1:7000").run(|worker| {
//!         thread::scope(|connections| {
//!             // It ends when the worker is to end, and the scope when all connections have.
//!             for stream in worker.incoming().flatten() {
//!                 connections.spawn(move || echo(stream));
//!             }
//!         });
//!         Ok(())
//!     })
//! }
//!
//! fn echo(mut stream: TcpStream) -> io::Result<()> {
//!     let mut buffer = [0; 4096];
//!     loop {
//!         match stream.read(&mut buffer)? {
//!             0 => return Ok(()),
//!             len => stream.write_all(&buffer[..len])?,
//!         }
//!     }
//! }
//! ```
//!
//! # Who runs what
//!
//! The process in which [`Processes::run`] is called is the supervisor. It starts its own executable again for each
//! worker, with the same arguments; there `main` comes to the same call, which finds that it is in a worker, and calls
//! the function as the first task of an event loop. So what `main` does before is done by each process: reading
//! arguments and configuration belongs there, binding ports does not. In a worker `run` returns when its function has;
//! then `main` should return.
//!
//! # Signals to the supervisor
//!
//! | signal | effect |
//! |---|---|
//! | SIGTERM, SIGINT | workers accept no more, finish what they have begun, and end; who takes longer than [`drain_within`](Processes::drain_within) is killed |
//! | the same again | all workers are killed |
//! | SIGHUP | a reload: new workers, of the executable that lies at its path by now; when all of them serve, those before them end |
//! | SIGUSR1 | a line with the [`Status`] on the standard error |
//!
//! A worker that is sent SIGTERM itself ends as if its supervisor had asked it to, and another one takes its place; the
//! second SIGTERM ends it at once.
//!
//! The supervisor says on the standard error what it does and why. What workers print comes out line by line, with the
//! worker's index and process before it. While nobody reads what the supervisor prints, a worker that prints waits, as
//! at any pipe, and of what it would say itself it keeps a thousand lines; when the supervisor has gone, nobody hears
//! what its workers print.
//!
//! # What is never lost
//!
//! All workers accept from one queue, that of a socket which the supervisor holds. So a connection that waits in it is
//! there for others when a worker dies or ends; only what a worker has accepted dies with it. A reload whose new
//! workers do not get ready changes nothing.
//!
//! What a worker has accepted is its own: it ends when the function says so, or when the worker is killed because it
//! took longer than [`drain_within`](Processes::drain_within). Above, a client ends its connection. A server that ends
//! those of which it wants nothing more, by [`Worker::unless_draining`], should not take one that has said nothing yet
//! for such a one: its first request may be on its way. The example `processes` waits a second for it. Nor does a
//! client know that the next request comes too late, unless the protocol can say so before (`Connection: close`,
//! `GOAWAY`).
//!
//! # Under a process manager
//!
//! Where the listeners come from (systemd's `LISTEN_FDS`, and all that speak that protocol), they are used instead of
//! being bound, and their queue outlives the supervisor as well. If the supervisor is killed, its workers end as if
//! asked to. Anything that is started and signalled can be started a thousand times; nothing here is shared between
//! supervisors.

mod wire;
mod descriptor;
mod channel;
mod status;
mod crew;
mod error;
mod inherited;
mod listeners;
mod executable;
mod signals;
mod limits;
mod output;
mod worker;
mod attendant;
mod status_socket;
mod supervisor;

pub use attendant::Attendant;
pub use channel::Channel;
pub use error::Error;
pub use status::{State, Status, WorkerStatus, status_at};
pub use wire::Wire;
pub use worker::{Draining, Incoming, Listener, Worker};

use self::crew::Rules;
use self::executable::Output;
use self::inherited::{Inheritance, Inherited, Passed};
use self::limits::Limits;
use self::listeners::Place;
use self::output::Ends;
use self::signals::Signals;
use self::status_socket::StatusSocket;
use self::supervisor::{Attend, Supervision};
use crate::net::TcpListener;
use kettle_rt::{EventLoop, LoopBuilder, simulated};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net;
use std::path::PathBuf;
use std::time::Duration;

/// How many processes there can be in Linux at most: one for each id that it has.
const MOST: usize = 1 << 22;

/// Workers that are to be run, each in a process of its own. Made by [`processes`].
///
/// `Up` is what workers send to the supervisor, and `Down` what they receive; see [`attend`](Self::attend).
pub struct Processes<'env, Up = (), Down = ()> {
    rules: Rules,
    places: Vec<Place>,
    limits: Limits,
    output: Output,
    status_socket: Option<PathBuf>,
    event_loop: LoopBuilder,
    attend: Option<Attend<'env, Up, Down>>,
}

/// So many workers, to be [run](Processes::run): a process each, with an event loop. See the [module](self).
pub fn processes<'env>(count: usize) -> Processes<'env> {
    Processes {
        rules: Rules {
            count,
            ready_within: Duration::from_secs(60),
            drain_within: Duration::from_secs(30),
            first_delay: Duration::from_millis(100),
            most_delay: Duration::from_secs(10),
            most_deaths: 5,
            window: Duration::from_secs(30),
        },
        places: Vec::new(),
        limits: Limits::default(),
        output: Output::Lines,
        status_socket: None,
        event_loop: EventLoop::builder(),
        attend: None,
    }
}

impl<'env, Up: Wire, Down: Wire> Processes<'env, Up, Down> {
    /// Has the supervisor listen at an address, for all workers: [`Worker::listener`]. Called again, at another one as
    /// well.
    ///
    /// If the process manager has passed listeners (`LISTEN_FDS`), the next one of those is taken instead, and the
    /// address is not looked at.
    pub fn listen(mut self, addr: impl Into<String>) -> Self {
        self.places.push(Place { name: None, addr: addr.into() });
        self
    }

    /// [`listen`](Self::listen), with a name: of listeners that were passed, the one that is called so
    /// (`LISTEN_FDNAMES`).
    pub fn listen_as(mut self, name: impl Into<String>, addr: impl Into<String>) -> Self {
        self.places.push(Place { name: Some(name.into()), addr: addr.into() });
        self
    }

    /// How long a worker may take until it is [ready](Worker::ready). One that takes longer is killed, and has died. 60
    /// seconds, if nothing else is said.
    pub fn ready_within(mut self, time: Duration) -> Self {
        self.rules.ready_within = time;
        self
    }

    /// How long a worker may take to finish what it has begun, when it is to end. One that takes longer is killed. 30
    /// seconds, if nothing else is said.
    pub fn drain_within(mut self, time: Duration) -> Self {
        self.rules.drain_within = time;
        self
    }

    /// How long a worker that has died waits to be started again: the first time not at all, the second time `first`,
    /// and then twice as long each time, up to `most`. Deaths that are longer ago than the window of
    /// [`give_up_after`](Self::give_up_after) are forgotten. 100 milliseconds and 10 seconds, if nothing else is said.
    pub fn back_off(mut self, first: Duration, most: Duration) -> Self {
        (self.rules.first_delay, self.rules.most_delay) = (first, most);
        self
    }

    /// How often one worker may die within a time. One more is a crash loop: all workers end, and [`run`](Self::run)
    /// gives the error. 5 times in 30 seconds, if nothing else is said.
    pub fn give_up_after(mut self, deaths: usize, window: Duration) -> Self {
        (self.rules.most_deaths, self.rules.window) = (deaths, window);
        self
    }

    /// How many descriptors a worker may have open (`RLIMIT_NOFILE`, both limits).
    pub fn open_files(mut self, most: u64) -> Self {
        self.limits.open_files = Some(most);
        self
    }

    /// How much memory a worker may have, in bytes of address space (`RLIMIT_AS`, both limits). Tasks' stacks count
    /// with their whole size, 64 KiB each as a rule, whether they are touched or not.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.limits.memory = Some(bytes);
        self
    }

    /// Has the supervisor tell its [`Status`] to whoever connects to a Unix socket at this path; [`status_at`] does. A
    /// socket at which nobody listens any more is replaced.
    pub fn status_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.status_socket = Some(path.into());
        self
    }

    /// Has workers print where the supervisor does, instead of through it: without a prefix, and lines may be torn.
    pub fn inherit_output(mut self) -> Self {
        self.output = Output::Inherited;
        self
    }

    /// What the event loops of the workers are like.
    pub fn event_loop(mut self, builder: LoopBuilder) -> Self {
        self.event_loop = builder;
        self
    }

    /// Has the supervisor call a function for each worker process, as a task beside it: to talk with it by
    /// [`Attendant::channel`], whose other end is [`Worker::channel`]. The types of the messages are those of this
    /// function.
    ///
    /// It should return when the channel ends. An error, or a panic, is said on the standard error, and ends the
    /// channel.
    ///
    /// ```no_run
    /// use kettle::processes::{Attendant, Error, Worker};
    /// use std::cell::Cell;
    ///
    /// fn main() -> Result<(), Error> {
    ///     let total = Cell::new(0);
    ///     kettle::processes(2)
    ///         .attend(|worker: &Attendant<u64, String>| {
    ///             while let Some(cups) = worker.channel().recv()? {
    ///                 total.set(total.get() + cups);
    ///                 worker.channel().send(&format!("{} cups in all", total.get()))?;
    ///             }
    ///             Ok(())
    ///         })
    ///         .run(|worker| {
    ///             worker.ready();
    ///             worker.channel().send(&3)?;
    ///             println!("{:?}", worker.channel().recv()?);
    ///             worker.draining().wait();
    ///             Ok(())
    ///         })
    /// }
    /// ```
    pub fn attend<U: Wire, D: Wire>(
        self,
        f: impl Fn(&Attendant<'_, U, D>) -> io::Result<()> + 'env,
    ) -> Processes<'env, U, D> {
        let Self { rules, places, limits, output, status_socket, event_loop, attend: _ } = self;
        Processes { rules, places, limits, output, status_socket, event_loop, attend: Some(Box::new(f)) }
    }

    /// In the supervisor: runs the workers until SIGTERM or SIGINT, and until all of them have ended. In a worker:
    /// calls the function as the first task of an event loop, and gives what it returns. A process calls this once, in
    /// `main`, before it has made threads; outside of tasks.
    ///
    /// The function should serve until [`Worker::incoming`] ends or [`Worker::draining`] begins, finish what it has
    /// begun, and return. One that returns before has died, whatever it returns, as has one that panics: the worker is
    /// started again.
    ///
    /// # Errors
    ///
    /// In the supervisor: if there are to be 0 workers, or more than there can be processes; if it can't listen, or has
    /// been passed other listeners than it asks for; if somebody listens at the path of the status socket; if this
    /// process has run workers before, or is a simulation; and if something else can't be had that it needs. Then no
    /// worker was started. A [crash loop](Error::is_crash_loop); an end that was [forced](Error::is_forced). Then no
    /// worker is left.
    ///
    /// In a worker: if a limit can't be set, or something else can't be had that it needs; if the supervisor has other
    /// listeners than this executable asks for; if it is called a second time; and [that of the
    /// function](Error::is_worker).
    ///
    /// # Panics
    ///
    /// In a worker with the function's panic. In a task.
    pub fn run(self, f: impl FnOnce(&Worker<Up, Down>) -> io::Result<()>) -> Result<(), Error> {
        if self.rules.count == 0 {
            return Err(refused("run 0 workers", "nobody would call the function"));
        }
        if self.rules.count > MOST {
            return Err(refused(
                &format!("run {} workers", self.rules.count),
                &format!("Linux has at most {MOST} processes"),
            ));
        }
        let Some(inheritance) = Inheritance::take() else {
            return Err(refused("run workers a second time", "one process runs them once"));
        };
        match inheritance.sort().map_err(Error::system("take what was passed to this process"))? {
            Inherited::Worker(passed) => self.work(passed, f),
            Inherited::Supervisor(listeners) => self.supervise(listeners),
        }
    }

    fn supervise(self, passed: Vec<(String, net::TcpListener)>) -> Result<(), Error> {
        let mut event_loop = EventLoop::new().map_err(Error::system("make an event loop"))?;
        event_loop.run(|| {
            refuse_simulation()?;
            // From here on a signal is heard.
            let signals = Signals::new().map_err(Error::system("listen to signals"))?;
            let listeners = listeners::listen(&self.places, passed)?;
            let bind = |path: PathBuf| {
                StatusSocket::bind(&path).map_err(Error::system(format!("tell the status at {}", path.display())))
            };
            let status_socket = self.status_socket.map(bind).transpose()?;
            let Self { rules, output, attend, .. } = self;
            supervisor::supervise(Supervision { rules, listeners, output, status_socket, attend, signals })
        })
    }

    fn work(self, passed: Passed, f: impl FnOnce(&Worker<Up, Down>) -> io::Result<()>) -> Result<(), Error> {
        let Passed { index, control, channel, listeners } = passed;
        let terminate = signals::of_worker().map_err(Error::system("listen to signals"))?;
        let printed = match self.output {
            Output::Lines => Ends::of_this_process(),
            Output::Inherited => Ends::default(),
        };
        let watched = worker::watch(control, terminate, self.rules.drain_within, printed);
        let watched = watched.map_err(Error::system("start the thread that listens to the supervisor"))?;
        executable::take_name();
        self.limits.apply()?;
        let (passed, asked) = (listeners.len(), self.places.len());
        if passed != asked {
            let text = format!("the supervisor has {passed}, and has to be started again to have others");
            return Err(refused(&format!("take {asked} listeners"), &text));
        }
        let names = self.places.into_iter().map(|place| place.name);
        let listeners = names.zip(listeners.into_iter().map(TcpListener::inherited)).collect();
        let mut event_loop = self.event_loop.build().map_err(Error::system("make an event loop"))?;
        event_loop.run(|| {
            refuse_simulation()?;
            let channel = Channel::new(channel).map_err(Error::system("make a channel"))?;
            f(&Worker::new(index, listeners, channel, watched)).map_err(|error| Error::worker(index, error))
        })
    }
}

fn refuse_simulation() -> Result<(), Error> {
    match simulated(|_| ()) {
        Some(()) => Err(refused("run workers in a simulation", "processes can't be simulated")),
        None => Ok(()),
    }
}

fn refused(what: &str, why: &str) -> Error {
    Error::system(what)(io::Error::new(ErrorKind::InvalidInput, why))
}

impl<Up, Down> fmt::Debug for Processes<'_, Up, Down> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processes").field("rules", &self.rules).field("places", &self.places).finish_non_exhaustive()
    }
}
