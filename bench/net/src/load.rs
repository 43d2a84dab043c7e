//! Owns the load on a server: connections that are kept, with one exchange in flight on each, and connections that are
//! made for one exchange.
//!
//! A run begins and ends with a server that sleeps: only then is the kernel's account of its time complete.

use crate::buffers::Buffers;
use crate::latency::Latencies;
use crate::serving::Service;
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// How long a server may be silent that owes answers.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is sent, and how its answer is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exchange {
    /// So many bytes, which come back.
    Echo(usize),
    /// So many HTTP requests at once, each answered with "Hello, World!".
    Plaintext(usize),
}

impl Exchange {
    fn request(self) -> Vec<u8> {
        match self {
            Self::Echo(size) => (0..size).map(|at| (at * 7 + at / 256) as u8).collect(),
            Self::Plaintext(count) => b"GET / HTTP/1.1\r\nHost: kettle\r\n\r\n".repeat(count),
        }
    }

    /// What is asked for.
    pub fn service(self) -> Service {
        match self {
            Self::Echo(_) => Service::Echo,
            Self::Plaintext(_) => Service::Plaintext,
        }
    }

    /// How many requests it is.
    pub fn requests(self) -> u64 {
        match self {
            Self::Echo(_) => 1,
            Self::Plaintext(count) => count as u64,
        }
    }
}

/// What a run has come to.
pub struct Run {
    /// How many requests, or connections, were answered.
    pub answered: u64,
    /// From the sending of an exchange to its answer.
    pub latencies: Latencies,
}

/// Connections to one server.
pub struct Load {
    // Dropped first: the kernel has the buffers until then.
    ring: IoUring,
    buffers: Buffers,
    connections: Vec<Connection>,
    request: Vec<u8>,
    /// What is compared with an answer; of HTTP, the answer that came first, up to its date.
    expected: Vec<u8>,
    /// How long the whole answer is.
    length: usize,
    requests: u64,
}

/// Its socket has a place in the ring, with the connection's number, and no descriptor: those are few.
struct Connection {
    /// How much of the answer has come.
    received: usize,
    begun: Instant,
}

/// How exchanges follow each other.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// A connection's next one is sent when it has its answer.
    Closed,
    /// The same, by a client that never sleeps: its own way out of sleep is not in the latency.
    Polled,
    /// So many in a second over all connections, whatever the answers; this keeps the processor busy.
    Open(u32),
}

/// In user data: a send, not a receive.
const SEND: u64 = 1 << 40;

/// `IORING_ENTER_GETEVENTS`: without it a ring of this mode hands out nothing.
const GET_EVENTS: u32 = 1;

/// Connections that have had an answer each.
pub struct Connected {
    streams: Vec<TcpStream>,
    exchange: Exchange,
    /// See [`Load`].
    expected: Vec<u8>,
    length: usize,
}

impl Connected {
    /// Opens so many connections, to these addresses in turns, one after the other.
    ///
    /// # Errors
    ///
    /// If there are no descriptors left; if the server answers something else.
    pub fn to(servers: &[SocketAddr], count: usize, exchange: Exchange) -> io::Result<Self> {
        let request = exchange.request();
        let mut streams = Vec::with_capacity(count);
        let (mut expected, mut length) = (request.clone(), request.len());
        for server in servers.iter().cycle().take(count) {
            let mut stream = TcpStream::connect(server)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(&request)?;
            if let (Exchange::Plaintext(many), []) = (exchange, &streams[..]) {
                (expected, length) = first_answer(&mut stream, many)?;
            } else {
                stream.read_exact(&mut vec![0; length])?;
            }
            streams.push(stream);
        }
        Ok(Self { streams, exchange, expected, length })
    }

    /// Deals them out to so many, each time this many at once.
    pub fn deal(self, count: usize, at_once: usize) -> Vec<Self> {
        let mut parts: Vec<_> = (0..count).map(|_| Vec::new()).collect();
        for (index, stream) in self.streams.into_iter().enumerate() {
            parts[index / at_once % count].push(stream);
        }
        let part = |streams| Self { streams, expected: self.expected.clone(), ..self };
        parts.into_iter().map(part).collect()
    }
}

impl Load {
    /// Loads these connections, by the thread that calls this.
    ///
    /// # Errors
    ///
    /// If there is no io_uring, or no memory that it can use.
    pub fn on(connected: Connected) -> io::Result<Self> {
        let Connected { streams, exchange, expected, length } = connected;
        let (request, count) = (exchange.request(), streams.len());
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_coop_taskrun()
            .setup_defer_taskrun()
            .setup_cqsize(16384)
            .build(8192)?;
        let buffers = Buffers::new(&ring, 512, 4096.max(length.next_power_of_two()))?;
        let descriptors: Vec<RawFd> = streams.iter().map(AsRawFd::as_raw_fd).collect();
        ring.submitter().register_files(&descriptors)?;
        drop(streams);
        let connections = (0..count).map(|_| Connection { received: 0, begun: Instant::now() }).collect();
        let mut load = Self { ring, buffers, connections, request, expected, length, requests: exchange.requests() };
        for index in 0..count {
            load.receive(index)?;
        }
        load.ring.submit()?;
        Ok(load)
    }

    /// Sends for a time, and waits for the last answer.
    ///
    /// # Errors
    ///
    /// If the server closes a connection, falls silent, or answers something else.
    pub fn run(&mut self, time: Duration, pace: Pace) -> io::Result<Run> {
        let start = Instant::now();
        let mut run = Run { answered: 0, latencies: Latencies::default() };
        let mut idle: Vec<usize> = (0..self.connections.len()).collect();
        let mut in_flight = 0;
        let mut sent = 0_u64;
        let mut heard = start;
        let mut batch: Vec<cqueue::Entry> = Vec::new();
        loop {
            let now = Instant::now();
            let is_over = now - start >= time;
            match pace {
                Pace::Closed | Pace::Polled if is_over => {}
                Pace::Closed | Pace::Polled => {
                    for index in idle.drain(..) {
                        self.send(index, now)?;
                        in_flight += 1;
                    }
                }
                Pace::Open(rate) => {
                    let interval = Duration::from_secs(1) / rate;
                    let due = ((now - start).min(time).as_nanos() / interval.as_nanos()) as u64;
                    // The clock runs from when it was due, also if it is late.
                    while sent < due
                        && let Some(index) = idle.pop()
                    {
                        self.send(index, start + interval * sent as u32)?;
                        sent += 1;
                        in_flight += 1;
                    }
                }
            }
            if in_flight == 0 && is_over {
                return Ok(run);
            }
            self.enter(pace)?;
            batch.extend(self.ring.completion());
            let now = Instant::now();
            for completion in batch.drain(..) {
                let index = (completion.user_data() & !SEND) as usize;
                if completion.user_data() & SEND != 0 {
                    failed(completion.result())?;
                } else if self.received(index, &completion)? {
                    run.answered += self.requests;
                    run.latencies.add(now - self.connections[index].begun);
                    in_flight -= 1;
                    idle.push(index);
                    heard = now;
                }
            }
            self.buffers.publish();
            if in_flight > 0 && now - heard > PATIENCE {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{in_flight} answers are missing")));
            }
        }
    }

    /// Takes what a receive has brought. Whether that was the end of the answer.
    fn received(&mut self, index: usize, completion: &cqueue::Entry) -> io::Result<bool> {
        let is_last = !cqueue::more(completion.flags());
        let mut is_complete = false;
        match completion.result() {
            0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server has closed a connection")),
            length if length > 0 => {
                let buffer = cqueue::buffer_select(completion.flags()).expect("a buffer with bytes in it");
                let bytes = self.buffers.get(buffer, length as usize);
                let connection = &mut self.connections[index];
                // Only the beginning of HTTP's answers is known.
                let known = self.expected.get(connection.received..).unwrap_or_default();
                let known = &known[..known.len().min(bytes.len())];
                connection.received += bytes.len();
                if bytes[..known.len()] != *known || connection.received > self.length {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "a wrong answer"));
                }
                if connection.received == self.length {
                    connection.received = 0;
                    is_complete = true;
                }
                self.buffers.give(buffer);
            }
            // All buffers are full: the next one will do.
            result if result == -libc::ENOBUFS => {}
            result => failed(result)?,
        }
        if is_last {
            self.receive(index)?;
        }
        Ok(is_complete)
    }

    fn receive(&mut self, index: usize) -> io::Result<()> {
        let receive = opcode::RecvMulti::new(types::Fixed(index as u32), Buffers::GROUP).build();
        self.push(&receive.user_data(index as u64))
    }

    fn send(&mut self, index: usize, begun: Instant) -> io::Result<()> {
        self.connections[index].begun = begun;
        let send = opcode::Send::new(types::Fixed(index as u32), self.request.as_ptr(), self.request.len() as u32);
        let send = send.flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL).build().flags(squeue::Flags::SKIP_SUCCESS);
        self.push(&send.user_data(SEND | index as u64))
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        if self.ring.submission().is_full() {
            self.ring.submit()?;
        }
        // SAFETY: what entries point to is the request, which stays as it is as long as the ring.
        unsafe { self.ring.submission().push(entry) }.map_err(io::Error::other)
    }

    /// Submits, waits for a completion if that is asked for, and has the kernel hand out what there is.
    fn enter(&mut self, pace: Pace) -> io::Result<()> {
        let entered = match pace {
            Pace::Closed => {
                let timeout = types::Timespec::from(PATIENCE);
                self.ring.submitter().submit_with_args(1, &types::SubmitArgs::new().timespec(&timeout))
            }
            Pace::Polled | Pace::Open(_) => {
                self.ring.submit()?;
                // SAFETY: nothing is pointed to.
                unsafe { self.ring.submitter().enter::<()>(0, 0, GET_EVENTS, None) }
            }
        };
        match entered {
            Err(error) if !matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR | libc::EBUSY)) => Err(error),
            _ => Ok(()),
        }
    }
}

/// Reads answers to HTTP requests; gives what is the same in all of them, and their length.
fn first_answer(stream: &mut TcpStream, count: usize) -> io::Result<(Vec<u8>, usize)> {
    let mut bytes = Vec::new();
    while bytes.windows(13).filter(|bytes| bytes == b"Hello, World!").count() < count {
        let mut more = [0; 4096];
        match stream.read(&mut more)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => bytes.extend_from_slice(&more[..n]),
        }
    }
    let length = bytes.len();
    let date = bytes.windows(6).position(|bytes| bytes == b"Date: ").unwrap_or(length);
    bytes.truncate(date);
    if bytes.starts_with(b"HTTP/1.1 200 OK\r\n") {
        Ok((bytes, length))
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, String::from_utf8_lossy(&bytes)))
    }
}

fn failed(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(()) }
}

/// Connects, exchanges 64 bytes, and closes, `parallel` at a time, for a time.
///
/// The client ends a connection with a reset: otherwise the ports that wait for their end would run out.
///
/// # Errors
///
/// If there are no descriptors left, or the server answers something else.
pub fn churn(server: SocketAddr, parallel: usize, time: Duration) -> io::Result<Run> {
    let start = Instant::now();
    let request = Exchange::Echo(64).request();
    let mut run = Run { answered: 0, latencies: Latencies::default() };
    let epoll = owned(
        // SAFETY: it points to nothing.
        unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) },
    )?;
    let mut visits: Vec<Option<Visit>> = (0..parallel).map(|_| None).collect();
    for (index, visit) in visits.iter_mut().enumerate() {
        *visit = Some(Visit::begin(server, &request, &epoll, index)?);
    }
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; parallel];
    let mut open = parallel;
    while open > 0 {
        let patience = PATIENCE.as_millis() as i32;
        // SAFETY: there is room for so many events.
        let count = unsafe { libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), events.len() as i32, patience) };
        if count < 0 {
            let error = io::Error::last_os_error();
            // A process that was stopped for a moment is told so.
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return Err(error);
        }
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{open} answers are missing")));
        }
        for event in &events[..count as usize] {
            let index = event.u64 as usize;
            let mut visit = visits[index].take().expect("an event of an open connection");
            let mut answer = [0; 128];
            if visit.stream.read(&mut answer)? != request.len() || answer[..request.len()] != request[..] {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a wrong answer"));
            }
            run.answered += 1;
            run.latencies.add(visit.begun.elapsed());
            drop(visit);
            if start.elapsed() < time {
                visits[index] = Some(Visit::begin(server, &request, &epoll, index)?);
            } else {
                open -= 1;
            }
        }
    }
    Ok(run)
}

/// A connection for one exchange.
struct Visit {
    stream: TcpStream,
    begun: Instant,
}

impl Visit {
    fn begin(server: SocketAddr, request: &[u8], epoll: &OwnedFd, index: usize) -> io::Result<Self> {
        let begun = Instant::now();
        // On the loopback device connecting waits for nobody, unless the server's backlog is full.
        let mut stream = TcpStream::connect(server)?;
        let reset = libc::linger { l_onoff: 1, l_linger: 0 };
        // SAFETY: the value is one of the option's type.
        unsafe {
            libc::setsockopt(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                (&raw const reset).cast(),
                size_of::<libc::linger>() as u32,
            )
        };
        stream.write_all(request)?;
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: index as u64 };
        let (epoll, fd) = (epoll.as_raw_fd(), stream.as_raw_fd());
        // SAFETY: the event is read.
        if unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { stream, begun })
    }
}

fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
