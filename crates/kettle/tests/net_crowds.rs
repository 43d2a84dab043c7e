//! Crowds: more clients, operations and trouble than there is room for; and when they have gone, nothing of them is left.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod child;
mod sockets;

use child::{alone, descriptors};
use kettle::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use kettle::{EventLoop, thread};
use kettle_rt::driver::Config;
use sockets::{listener, pair, reset};
use std::cell::Cell;
use std::io::{self, Read, Write};
use std::rc::Rc;

/// What this process and this thread hold: descriptors, and stacks of tasks.
fn held() -> (usize, usize) {
    (descriptors(), kettle::fiber::pool::usage().iter().map(|size| size.in_use).sum())
}

/// What is written at once.
const PIECE: &[u8] = &[7; 16 * 1024];

/// A server whose clients say what they want, and how many of them it has.
#[derive(Clone, Default)]
struct Server {
    clients: Rc<Cell<usize>>,
    served: Rc<Cell<usize>>,
}

impl Server {
    fn accept(&self, listener: &TcpListener) {
        // One that was reset in the queue may be an error.
        let Ok((stream, _)) = listener.accept() else { return };
        self.clients.set(self.clients.get() + 1);
        let this = self.clone();
        thread::spawn(move || {
            // How it ends is the client's affair.
            _ = serve(stream);
            this.clients.set(this.clients.get() - 1);
            this.served.set(this.served.get() + 1);
        });
    }

    /// Lets others run until all clients have gone.
    fn wait_until_idle(&self) {
        while self.clients.get() > 0 {
            thread::yield_now();
        }
    }
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut wish = [0];
    while stream.read(&mut wish)? > 0 {
        match &wish {
            // Eight bytes, which may never come.
            b"r" => stream.read_exact(&mut [0; 8])?,
            // More than anybody takes.
            b"w" => loop {
                stream.write_all(PIECE)?;
            },
            _ => stream.write_all(&wish)?,
        }
    }
    Ok(())
}

/// A client that leaves in one of these ways, when the server is where it is to be left.
fn leave(addr: SocketAddr, way: usize) {
    let mut stream = TcpStream::connect(addr).unwrap();
    match way {
        // While the server accepts.
        0 => {}
        // While it reads.
        1 => stream.write_all(b"r123").unwrap(),
        // While it writes, and has filled all buffers.
        2 => {
            stream.write_all(b"w").unwrap();
            stream.read_exact(&mut vec![0; 100_000]).unwrap();
        }
        // When it has said all, and is still heard.
        3 => {
            stream.write_all(b"x").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            assert_eq!(answer, b"x");
        }
        // With a byte on the way.
        _ => stream.write_all(b"x").unwrap(),
    }
    for _ in 0..3 {
        thread::yield_now();
    }
    if way < 3 { reset(stream) } else { drop(stream) }
}

#[test]
fn clients_that_leave_at_any_time_leave_nothing_behind() {
    const EACH: usize = 60;
    alone("clients_that_leave_at_any_time_leave_nothing_behind", || {
        kettle::run(|| {
            let (listener, addr) = listener();
            let server = Server::default();
            let mut faithful = TcpStream::connect(addr).unwrap();
            server.accept(&listener);
            let mut ask = || {
                faithful.write_all(b"?").unwrap();
                faithful.read_exact(&mut [0]).unwrap();
            };
            ask();
            let before = held();
            // Some that have gone before they are accepted.
            for _ in 0..EACH {
                reset(TcpStream::connect(addr).unwrap());
            }
            let acceptor = thread::spawn({
                let (server, listener) = (server.clone(), listener.try_clone().unwrap());
                move || loop {
                    server.accept(&listener);
                }
            });
            let clients: Vec<_> = (0..5 * EACH).map(|n| thread::spawn(move || leave(addr, n % 5))).collect();
            for client in clients {
                client.join().unwrap();
                ask();
            }
            // The faithful one is left.
            while server.clients.get() > 1 {
                thread::yield_now();
            }
            ask();
            assert!(!acceptor.is_finished());
            // The acceptor's listener and its stack.
            assert_eq!(held(), (before.0 + 1, before.1 + 1));
            drop(faithful);
            server.wait_until_idle();
        });
    });
}

#[test]
fn thousands_of_operations_share_a_ring_of_one_entry() {
    const READERS: usize = 3000;
    const PAIRS: usize = 100;
    for entries in [1, 2] {
        let config = Config { entries, ..Config::default() };
        EventLoop::builder().driver(config).build().unwrap().run(|| {
            // All at once on one socket: as many operations, and as many completions.
            let (one, mut other) = pair();
            let one = Rc::new(one);
            let readers: Vec<_> = (0..READERS)
                .map(|_| {
                    let one = Rc::clone(&one);
                    thread::spawn(move || {
                        let mut byte = [0];
                        assert_eq!((&*one).read(&mut byte).unwrap(), 1);
                        usize::from(byte[0])
                    })
                })
                .collect();
            // Each waits now.
            thread::yield_now();
            let bytes: Vec<u8> = (0..READERS).map(|n| n as u8).collect();
            other.write_all(&bytes).unwrap();
            let sum: usize = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
            assert_eq!(sum, bytes.iter().map(|byte| usize::from(*byte)).sum());
            // And on many.
            let pairs: Vec<_> = (0..PAIRS).map(|_| pair()).collect();
            let talks: Vec<_> = pairs
                .into_iter()
                .enumerate()
                .flat_map(|(n, (mut one, mut other))| {
                    let asks = thread::spawn(move || {
                        for round in 0..50 {
                            one.write_all(&[n as u8, round]).unwrap();
                            let mut answer = [0; 2];
                            one.read_exact(&mut answer).unwrap();
                            assert_eq!(answer, [n as u8, round]);
                        }
                    });
                    let answers = thread::spawn(move || {
                        let mut question = [0; 2];
                        while other.read_exact(&mut question).is_ok() {
                            other.write_all(&question).unwrap();
                        }
                    });
                    [asks, answers]
                })
                .collect();
            talks.into_iter().for_each(|talk| talk.join().unwrap());
        });
    }
}

/// What this process has: descriptors, mappings, threads. (The address sanitizer's allocator maps memory as it goes.)
fn of_the_process() -> [usize; 3] {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let lines = if cfg!(kettle_asan) { 0 } else { maps.lines().count() };
    [descriptors(), lines, std::fs::read_dir("/proc/self/task").unwrap().count()]
}

/// A server that serves, and is left with a connection that is being served, one that waits, and one that sleeps.
fn start_and_stop() {
    kettle::run(|| {
        let (listener, addr) = listener();
        let server = Server::default();
        thread::spawn(move || {
            loop {
                server.accept(&listener);
            }
        });
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        stream.write_all(b"r").unwrap();
        let mut reader = TcpStream::connect(addr).unwrap();
        thread::spawn(move || reader.read(&mut [0]));
        thread::spawn(|| thread::sleep(kettle::time::Duration::MAX));
        thread::yield_now();
    });
}

#[test]
fn a_thousand_servers_start_and_stop_and_leave_nothing() {
    alone("a_thousand_servers_start_and_stop_and_leave_nothing", || {
        // The allocator and the pool of stacks find their sizes.
        (0..10).for_each(|_| start_and_stop());
        let (before, stacks) = (of_the_process(), held());
        (0..1000).for_each(|_| start_and_stop());
        assert_eq!((of_the_process(), held()), (before, stacks));
    });
}
