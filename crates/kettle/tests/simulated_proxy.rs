//! A proxy whose sessions are cancelled wherever they are: what has been acknowledged has arrived once, whatever the seed.
//!
//! Clients pass records on to an upstream through a proxy that takes each one apart and seals it again, as a proxy does that
//! speaks TLS with both. Sessions of the proxy and of the upstream are cancelled at moments that the seed chooses, by all means
//! that there are, and clients hang up; then they come again, and go on behind what the upstream has. A record is sealed by
//! its number on its connection: a byte that is lost, doubled, or of another session breaks the seal of the next one.
//!
//! `KETTLE_TEST_SEEDS` says how many seeds there are to be.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod child;

use child::descriptors;
use kettle::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use kettle::testing::{Failure, Simulation, host};
use kettle::thread::{self, JoinHandle};
use kettle::time::{Duration, Instant};
use kettle::{Cancelled, cancel_scope, deadline, shield, timeout};
use kettle_rt::choose;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, Error, ErrorKind, Read, Write};
use std::rc::Rc;

const UPSTREAM: [u8; 4] = [10, 0, 0, 1];
const PROXY: [u8; 4] = [10, 0, 0, 3];
const MILLISECOND: Duration = Duration::from_millis(1);

/// How many sessions are disturbed in a run. Then there is peace, so that it ends.
const MOST_DISTURBED: u32 = 12;

/// How many records each client has.
const RECORDS: u64 = 8;

// --- records ---

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A client's first: its number. The answer: how many of its records the upstream has.
    Hello = 1,
    /// A record, with its number.
    Data,
    /// So many have arrived.
    Acknowledged,
    /// The session is going to be cut off.
    Alert,
}

struct Record {
    kind: Kind,
    number: u64,
    body: Vec<u8>,
}

/// One direction of a connection, at one of its ends.
struct Seals<'a> {
    stream: &'a TcpStream,
    key: u64,
    /// How many records have gone through.
    count: Cell<u64>,
    /// Whether a part of one has gone through.
    is_between: Cell<bool>,
}

/// FNV-1a.
fn hash(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

impl<'a> Seals<'a> {
    fn new(stream: &'a TcpStream, key: u64) -> Self {
        Self { stream, key, count: Cell::new(0), is_between: Cell::new(true) }
    }

    /// What the next record begins with and ends with.
    fn next(&self) -> u64 {
        let count = self.count.get();
        self.count.set(count + 1);
        hash(hash(0xcbf2_9ce4_8422_2325, &self.key.to_le_bytes()), &count.to_le_bytes())
    }

    fn seal(&self, record: &Record) -> Vec<u8> {
        let mut bytes = u16::try_from(record.body.len()).unwrap().to_le_bytes().to_vec();
        bytes.push(record.kind as u8);
        bytes.extend(record.number.to_le_bytes());
        let secret = self.next();
        bytes.extend(record.body.iter().zip(secret.to_le_bytes().iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes.extend(hash(secret, &bytes).to_le_bytes());
        bytes
    }

    fn write(&self, kind: Kind, number: u64, body: Vec<u8>) -> io::Result<()> {
        let bytes = self.seal(&Record { kind, number, body });
        self.is_between.set(false);
        let mut written = 0;
        while written < bytes.len() {
            match impatiently(|| (&*self.stream).write(&bytes[written..]))? {
                0 => return Err(ErrorKind::WriteZero.into()),
                len => written += len,
            }
        }
        self.is_between.set(true);
        Ok(())
    }

    fn fill(&self, buffer: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match impatiently(|| (&*self.stream).read(&mut buffer[filled..]))? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                len => filled += len,
            }
        }
        Ok(())
    }

    /// The next record, or the end between two.
    fn read(&self) -> io::Result<Option<Record>> {
        let mut head = [0; 11];
        if impatiently(|| (&*self.stream).read(&mut head[..1]))? == 0 {
            return Ok(None);
        }
        self.fill(&mut head[1..])?;
        let mut body = vec![0; usize::from(u16::from_le_bytes([head[0], head[1]]))];
        assert!(body.len() <= 2000, "a length that nobody has sent");
        self.fill(&mut body)?;
        let mut seal = [0; 8];
        self.fill(&mut seal)?;
        let secret = self.next();
        assert_eq!(u64::from_le_bytes(seal), hash(hash(secret, &head), &body), "a broken seal: bytes were lost");
        body.iter_mut().zip(secret.to_le_bytes().iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        let kind = match head[2] {
            1 => Kind::Hello,
            2 => Kind::Data,
            3 => Kind::Acknowledged,
            _ => Kind::Alert,
        };
        Ok(Some(Record { kind, number: u64::from_le_bytes(head[3..].try_into().unwrap()), body }))
    }
}

/// Does one operation, and gives it up and does it again some times before. What was given up has moved no byte, or the seal
/// breaks that comes next.
fn impatiently(mut operation: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    for _ in 0..choose(4) {
        match timeout(Duration::from_micros(choose(1500) as u64), &mut operation) {
            // Told by an error, or by nothing but the end.
            Ok(Err(error)) if error.kind() == ErrorKind::TimedOut => {}
            Err(Cancelled { .. }) => {}
            Ok(done) => return done,
        }
    }
    operation()
}

fn cut_off() -> Error {
    ErrorKind::ConnectionAborted.into()
}

// --- the world ---

/// What a run comes to, seen from outside.
#[derive(Default)]
struct Tally {
    /// What the upstream has: of each client its records.
    store: RefCell<HashMap<u64, Vec<Vec<u8>>>>,
    /// How many parts of sessions are there: of each the destructor has not run.
    alive: Cell<u32>,
    disturbed: Cell<u32>,
    /// How many were cut off by that.
    cut: Cell<u32>,
    tasks: RefCell<Vec<JoinHandle<()>>>,
}

struct Alive<'a>(&'a Cell<u32>);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Tally {
    fn alive(&self) -> Alive<'_> {
        self.alive.set(self.alive.get() + 1);
        Alive(&self.alive)
    }

    /// How a session is to be disturbed; 0 is not at all.
    fn plan(&self) -> usize {
        if self.disturbed.get() >= MOST_DISTURBED {
            return 0;
        }
        let plan = choose(6);
        self.disturbed.set(self.disturbed.get() + u32::from(plan > 0));
        plan
    }
}

/// Waits for the moment at which something is cancelled: some time, and then some turns.
fn moment() {
    thread::sleep(Duration::from_micros(100 * choose(120) as u64));
    for _ in 0..choose(20) {
        thread::yield_now();
    }
}

/// Runs a session that is cancelled somewhere, unless it has ended before.
fn disturbed(plan: usize, session: impl FnOnce() -> io::Result<()>) -> Result<io::Result<()>, Cancelled> {
    let time = Duration::from_micros(100 * choose(120) as u64);
    match plan {
        1 => timeout(time, session),
        2 => deadline(Instant::now() + time, session),
        // From inside, by another task.
        3 => cancel_scope(|scope| {
            thread::scope(|s| {
                s.spawn(|| {
                    moment();
                    scope.cancel();
                });
                session()
            })
        }),
        // From outside of a part that is shielded for a while.
        4 => timeout(time, || {
            shield(|| timeout(time / 2, || thread::sleep(time)).unwrap_or(()));
            session()
        }),
        _ => Ok(session()),
    }
}

fn cancelled_sometime(task: JoinHandle<()>) -> JoinHandle<()> {
    thread::spawn(|| {
        moment();
        task.cancel();
        if let Err(panic) = task.join() {
            assert!(panic.is::<Cancelled>());
        }
    })
}

/// Serves who comes to a listener, each in a task of its own, which may be disturbed.
fn serve(
    tally: &Rc<Tally>,
    listener: TcpListener,
    session: impl Fn(&TcpStream, &Tally) -> io::Result<()> + Clone + 'static,
) -> JoinHandle<()> {
    let tally = Rc::clone(tally);
    thread::spawn(move || {
        let _alive = tally.alive();
        for client in listener.incoming().map_while(Result::ok) {
            let plan = tally.plan();
            let task = thread::spawn({
                let (tally, session) = (Rc::clone(&tally), session.clone());
                move || {
                    let _alive = tally.alive();
                    if disturbed(plan, || session(&client, &tally)).is_err() {
                        tally.cut.set(tally.cut.get() + 1);
                    }
                }
            });
            // Who cancels a session from outside waits for its end as well.
            let task = if plan == 5 { cancelled_sometime(task) } else { task };
            tally.tasks.borrow_mut().push(task);
        }
    })
}

// --- the upstream ---

/// Takes records, and acknowledges each when it has it.
fn take(client: &TcpStream, tally: &Tally) -> io::Result<()> {
    let _alive = tally.alive();
    let (from, to) = (Seals::new(client, 3), Seals::new(client, 4));
    let Some(hello) = from.read()? else { return Ok(()) };
    assert_eq!(hello.kind, Kind::Hello);
    let arrived = || tally.store.borrow_mut().entry(hello.number).or_default().len() as u64;
    to.write(Kind::Hello, arrived(), Vec::new())?;
    while let Some(record) = from.read()? {
        assert_eq!(record.kind, Kind::Data);
        // An earlier session may have been slower to go than its client was to come again.
        if record.number < arrived() {
            continue;
        }
        assert_eq!(record.number, arrived(), "a record was skipped");
        tally.store.borrow_mut().entry(hello.number).or_default().push(record.body);
        to.write(Kind::Acknowledged, arrived(), Vec::new())?;
    }
    client.shutdown(Shutdown::Write)
}

// --- the proxy ---

/// Passes records on, both ways, until both have said enough, or something goes wrong.
fn pass_on(client: &TcpStream, upstream: SocketAddr, tally: &Tally) -> io::Result<()> {
    let _alive = tally.alive();
    let to_client = Seals::new(client, 2);
    /// Says that this is not the end, where that can be said, when the session is cut off.
    struct Alerts<'a>(&'a Seals<'a>);
    impl Drop for Alerts<'_> {
        fn drop(&mut self) {
            if thread::panicking() && self.0.is_between.get() {
                _ = self.0.write(Kind::Alert, 0, Vec::new());
            }
        }
    }
    let _alerts = Alerts(&to_client);
    let server = TcpStream::connect(upstream)?;
    let pump = |from: &Seals<'_>, to: &Seals<'_>| {
        let _alive = tally.alive();
        let pass_all = || {
            while let Some(record) = from.read()? {
                to.write(record.kind, record.number, record.body)?;
            }
            to.stream.shutdown(Shutdown::Write)
        };
        let result = pass_all();
        if result.is_err() {
            // The other direction is to end as well.
            _ = client.shutdown(Shutdown::Both);
            _ = server.shutdown(Shutdown::Both);
        }
        result
    };
    thread::scope(|s| {
        let up = s.spawn(|| pump(&Seals::new(client, 1), &Seals::new(&server, 3)));
        let down = pump(&Seals::new(&server, 4), &to_client);
        up.join().unwrap_or_else(|_| Err(cut_off())).and(down)
    })
}

// --- the clients ---

struct Client {
    id: u64,
    records: Vec<Vec<u8>>,
    /// How many have been acknowledged.
    acknowledged: Cell<u64>,
}

impl Client {
    fn new(id: u64) -> Self {
        let body = |number: u64| {
            let len = choose(if number.is_multiple_of(3) { 1500 } else { 100 });
            (0..len as u64).map(|place| hash(id, &[number as u8, place as u8]) as u8).collect()
        };
        Self { id, records: (0..RECORDS).map(body).collect(), acknowledged: Cell::new(0) }
    }

    fn hears(&self, arrived: u64, tally: &Tally) {
        assert!(arrived >= self.acknowledged.get(), "what was acknowledged has been forgotten");
        let store = tally.store.borrow();
        let stored = store.get(&self.id).map_or(0, Vec::len) as u64;
        assert!(arrived <= stored, "{arrived} acknowledged, {stored} arrived");
        self.acknowledged.set(arrived);
    }

    /// Connects, and goes on behind what has arrived.
    fn attempt(&self, proxy: SocketAddr, tally: &Tally) -> io::Result<()> {
        let _alive = tally.alive();
        let stream = TcpStream::connect(proxy)?;
        let (to, from) = (Seals::new(&stream, 1), Seals::new(&stream, 2));
        to.write(Kind::Hello, self.id, Vec::new())?;
        let answer = from.read()?.filter(|record| record.kind == Kind::Hello).ok_or_else(cut_off)?;
        self.hears(answer.number, tally);
        let ended = cancel_scope(|scope| {
            thread::scope(|s| {
                s.spawn(|| {
                    let _alive = tally.alive();
                    for number in answer.number..RECORDS {
                        if to.write(Kind::Data, number, self.records[number as usize].clone()).is_err() {
                            break;
                        }
                    }
                });
                let hear = || {
                    while self.acknowledged.get() < RECORDS {
                        let record = from.read()?.ok_or_else(cut_off)?;
                        if record.kind != Kind::Acknowledged {
                            assert_eq!(record.kind, Kind::Alert);
                            return Err(cut_off());
                        }
                        self.hears(record.number, tally);
                    }
                    Ok(())
                };
                hear().inspect_err(|_| scope.cancel())
            })
        });
        ended.unwrap_or_else(|_| Err(cut_off()))
    }

    /// Tries until all has arrived.
    fn persevere(&self, proxy: SocketAddr, tally: &Tally) {
        let _alive = tally.alive();
        while self.acknowledged.get() < RECORDS {
            let patience = match tally.plan() {
                0 => 60_000 * MILLISECOND,
                _ => MILLISECOND * choose(30) as u32,
            };
            let attempt = timeout(patience, || self.attempt(proxy, tally));
            if !matches!(attempt, Ok(Ok(()))) {
                thread::sleep(MILLISECOND);
            }
        }
    }
}

fn listen(on: [u8; 4]) -> (TcpListener, SocketAddr) {
    host(on, || {
        let listener = TcpListener::bind(SocketAddr::from((on, 0))).unwrap();
        let addr = listener.local_addr().unwrap();
        (listener, addr)
    })
}

/// The program. Gives how many sessions were cut off.
fn program() -> u32 {
    let before = descriptors();
    let start = Instant::now();
    let tally = Rc::new(Tally::default());
    let ((listener, upstream), (front, proxy)) = (listen(UPSTREAM), listen(PROXY));
    let servers = [
        host(UPSTREAM, || serve(&tally, listener, take)),
        host(PROXY, || serve(&tally, front, move |client, tally| pass_on(client, upstream, tally))),
    ];
    let clients: Vec<_> = (0..3).map(Client::new).collect();
    thread::scope(|s| {
        for client in &clients {
            let tally = &tally;
            host([10, 0, 1, client.id as u8], || s.spawn(move || client.persevere(proxy, tally)));
        }
    });
    // All has arrived, once and as it was sent.
    for client in &clients {
        assert!(tally.store.borrow()[&client.id] == client.records, "client {}", client.id);
    }
    for server in servers {
        server.cancel();
        _ = server.join();
    }
    // Nobody is there any more to talk to: all sessions end by themselves, and none has panicked.
    tally.tasks.take().into_iter().for_each(|task| task.join().unwrap());
    assert_eq!(tally.alive.get(), 0, "a destructor has not run");
    assert_eq!(descriptors(), before, "descriptors are left");
    assert!(start.elapsed() < Duration::from_secs(3600), "it took {:?}", start.elapsed());
    tally.cut.get()
}

/// The only test here: it counts the descriptors of the process.
#[test]
fn no_byte_is_lost_wherever_sessions_are_cancelled() {
    let seeds: u64 = std::env::var("KETTLE_TEST_SEEDS").map_or(200, |seeds| seeds.parse().unwrap());
    let cut = Cell::new(0_u64);
    let explore = |simulation: Simulation, seeds| -> Result<u64, Failure> {
        simulation.explore(seeds, || cut.set(cut.get() + u64::from(program())))
    };
    let usual = explore(Simulation::new(0), 0..seeds * 3 / 4);
    usual.unwrap_or_else(|failure| panic!("{failure}"));
    // Little room, small pieces, and connections that are reset.
    let rough = Simulation::new(0).capacity(300).short_once_in(2).reset_once_in(300);
    let rough = explore(rough, seeds * 3 / 4..seeds);
    rough.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(cut.get() > seeds, "sessions are cut off: {}", cut.get());
}
