//! Owns what the servers are started with, and how they say where they are.

use std::io::{self, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

/// How much a server reads at once.
pub const BUFFER: usize = 4096;

/// What is served.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Service {
    /// Bytes come back as they are.
    Echo,
    /// HTTP requests are answered with "Hello, World!".
    Plaintext,
}

/// The options of a server, from its command line:
/// `[http] [epoll] [spin MICROSECONDS] [idle TASKS] [workers COUNT [pinned|apart]]`.
#[derive(Debug)]
pub struct Options {
    /// What is served; echo if nothing is said.
    pub service: Service,
    /// Whether a raw loop is to use epoll.
    pub epoll: bool,
    /// How long the loop looks for events before it sleeps.
    pub spin: Duration,
    /// How many tasks wait for something that never comes.
    pub idle: usize,
    /// On how many threads it serves; 0 if nothing is said, and then on the one that it has, without what several need.
    pub workers: usize,
    /// Whether each of these threads stays on a processor.
    pub pinned: bool,
    /// Whether each of them stays on a processor, and has a listener of its own.
    pub apart: bool,
}

impl Options {
    /// Those of this process.
    ///
    /// # Panics
    ///
    /// If they are others.
    pub fn of_command_line() -> Self {
        let mut options = Self {
            service: Service::Echo,
            epoll: false,
            spin: Duration::ZERO,
            idle: 0,
            workers: 0,
            pinned: false,
            apart: false,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut number = || arguments.next().and_then(|number| number.parse().ok()).expect("a number");
            match argument.as_str() {
                "http" => options.service = Service::Plaintext,
                "epoll" => options.epoll = true,
                "spin" => options.spin = Duration::from_micros(number()),
                "idle" => options.idle = number() as usize,
                "workers" => options.workers = number() as usize,
                "pinned" => options.pinned = true,
                "apart" => options.apart = true,
                other => panic!("what is {other}?"),
            }
        }
        options
    }
}

/// A blocking listener on a free port, which is printed.
///
/// # Errors
///
/// The system's.
pub fn listen() -> io::Result<TcpListener> {
    let listener = bind()?;
    announce(&[&listener])?;
    Ok(listener)
}

/// Serves on so many threads that know nothing of each other: each has a listener of its own, and stays on a processor. All
/// listeners are printed.
///
/// # Errors
///
/// The system's, and those of the function.
///
/// # Panics
///
/// If one of the threads does.
pub fn serve_apart(count: usize, serve: impl Fn(TcpListener) -> io::Result<()> + Sync) -> io::Result<()> {
    let listeners = listen_apart(count)?;
    thread::scope(|scope| {
        let threads = listeners.into_iter().enumerate().map(|(processor, listener)| {
            let serve = &serve;
            scope.spawn(move || {
                pin(&[processor]);
                serve(listener)
            })
        });
        let threads: Vec<_> = threads.collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("it does not panic"))
    })
}

/// Keeps this thread, and what it starts, on some processors. Where there are none with these numbers it stays where it is.
pub fn pin(processors: &[usize]) {
    // SAFETY: a set of processors is a bit field, and empty if it is all zero.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for &processor in processors {
        // SAFETY: the number is below the set's size.
        unsafe { libc::CPU_SET(processor, &mut set) };
    }
    // SAFETY: the set is read.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
}

/// So many listeners, each on a free port. All of them are printed, and the client connects to them in turns.
///
/// # Errors
///
/// The system's.
pub fn listen_apart(count: usize) -> io::Result<Vec<TcpListener>> {
    let listeners = (0..count).map(|_| bind()).collect::<io::Result<Vec<_>>>()?;
    announce(&listeners.iter().collect::<Vec<_>>())?;
    Ok(listeners)
}

fn bind() -> io::Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    // std's backlog of 128 is short for thousands of clients at once.
    let fd = std::os::fd::AsRawFd::as_raw_fd(&listener);
    // SAFETY: it points to nothing.
    if unsafe { libc::listen(fd, 4096) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(listener)
}

fn announce(listeners: &[&TcpListener]) -> io::Result<()> {
    let addresses = listeners.iter().map(|listener| Ok(listener.local_addr()?.to_string()));
    println!("listening on {}", addresses.collect::<io::Result<Vec<_>>>()?.join(" "));
    io::stdout().flush()
}
