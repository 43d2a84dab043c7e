//! A chat room: what one client says, all others hear. The room is an `Rc<RefCell<..>>`: its tasks share a thread, so
//! nothing is locked, and nothing changes between two places where a task waits.
//!
//! `cargo run --release -p kettle --example chat -- --addr 127.0.0.1:7002` serves until it is killed, for `nc 127.0.0.1
//! 7002` in several terminals; without arguments three clients have a talk and it ends.
//!
//! A client is a task that reads what it says, and a second one that writes what it hears. Whoever speaks puts the line
//! into a queue for each of the others and goes on; nobody waits for somebody else's connection. A client that is too
//! slow is shut out: when 64 KiB are queued for it, or when it has taken nothing for 5 seconds of what is written to
//! it.

use kettle::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use kettle::thread::{self, Thread};
use kettle::time::Duration;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::ExitCode;
use std::rc::Rc;

const USAGE: &str = "usage: chat [--addr HOST:PORT]";

/// How long a line may be, in bytes. What is longer is cut off.
const MOST_LINE: usize = 512;

/// How long a name may be.
const MOST_NAME: usize = 16;

/// How many bytes may wait for a client.
const MOST_QUEUED: usize = 64 * 1024;

/// How long a client may take nothing of what is written to it.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the server waits for descriptors when there are none left.
const PAUSE: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let addr = match arguments[..] {
        [] => None,
        ["--addr", addr] => Some(addr),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let result = kettle::run(|| {
        let listener = listen(addr.unwrap_or("127.0.0.1:0"))?;
        if addr.is_some() { serve(&listener) } else { demonstrate(listener) }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: {error}");
            ExitCode::FAILURE
        }
    }
}

fn listen(addr: &str) -> Result<TcpListener, Box<dyn Error>> {
    let listener = TcpListener::bind(addr).map_err(|error| format!("listen on {addr}: {error}"))?;
    println!("listening on {}", listener.local_addr()?);
    io::stdout().flush()?;
    Ok(listener)
}

/// Gives each connection a task of its own, and all of them the room. Never ends.
fn serve(listener: &TcpListener) -> ! {
    let room = Rc::new(RefCell::new(Room::default()));
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                let room = Rc::clone(&room);
                // How a connection ends is its own affair: most errors are clients that have gone.
                thread::spawn(move || attend(stream, &room));
            }
            Err(error) => {
                // If the error is that this task was cancelled, it ends here.
                thread::sleep(PAUSE);
                eprintln!("chat: accept: {error}");
            }
        }
    }
}

/// Who is here, by name.
#[derive(Default)]
struct Room {
    clients: BTreeMap<String, Rc<Client>>,
}

impl Room {
    /// Puts a line into the queues of all but one.
    fn tell_others(&self, name: &str, line: &str) {
        self.clients.iter().filter(|(other, _)| *other != name).for_each(|(_, client)| client.queue(line));
    }
}

/// A connection, and what is to be written to it.
struct Client {
    stream: TcpStream,
    queue: RefCell<String>,
    /// Nothing more will be queued.
    is_closed: Cell<bool>,
    /// The task that writes; parked while the queue is empty.
    writer: RefCell<Option<Thread>>,
}

impl Client {
    fn new(stream: TcpStream) -> Self {
        let (queue, is_closed, writer) = Default::default();
        Self { stream, queue, is_closed, writer }
    }

    /// Has a line written, or shuts the client out if too much waits for it. No checkpoint.
    fn queue(&self, line: &str) {
        let mut queue = self.queue.borrow_mut();
        if queue.len() + line.len() > MOST_QUEUED {
            queue.clear();
            drop(queue);
            self.close();
            // Both of its tasks wait for the connection, and hear of it by this.
            _ = self.stream.shutdown(Shutdown::Both);
        } else if !self.is_closed.get() {
            queue.push_str(line);
            self.wake();
        }
    }

    /// Lets the writer end, when it has written what is queued.
    fn close(&self) {
        self.is_closed.set(true);
        self.wake();
    }

    fn wake(&self) {
        if let Some(writer) = &*self.writer.borrow() {
            writer.unpark();
        }
    }

    /// Writes what is queued until the queue is closed. The connection has ended then.
    fn write_queued(&self) {
        *self.writer.borrow_mut() = Some(thread::current());
        loop {
            // All of it at once. The queue is not borrowed any longer when this task waits.
            let text = self.queue.take();
            if !text.is_empty() {
                if (&self.stream).write_all(text.as_bytes()).is_err() {
                    break;
                }
            } else if self.is_closed.get() {
                break;
            } else {
                thread::park();
            }
        }
        // The reader may wait for a client that has gone. What can't be shut down is closed already.
        _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// A client's presence, from its connection to its end, however it ends.
struct Visit<'a> {
    client: Rc<Client>,
    room: &'a RefCell<Room>,
    name: String,
}

impl Visit<'_> {
    /// Says something to this client alone.
    fn tell(&self, line: &str) {
        self.client.queue(line);
    }

    /// Takes the name, if it is one and nobody has it.
    fn enter(&mut self, name: &str) -> Result<(), String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > MOST_NAME || !name.chars().all(is_name) {
            return Err(format!("* a name is 1 to {MOST_NAME} letters, digits, - or _; yours?\n"));
        }
        let mut room = self.room.borrow_mut();
        if room.clients.contains_key(name) {
            return Err(format!("* {name} is here already; your name?\n"));
        }
        let present: Vec<&str> = room.clients.keys().map(String::as_str).collect();
        self.tell(&format!("* hello {name}; also here: {}\n", present.join(", ")));
        room.tell_others(name, &format!("* {name} has joined\n"));
        room.clients.insert(name.to_string(), Rc::clone(&self.client));
        self.name = name.to_string();
        Ok(())
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.client.close();
        let mut room = self.room.borrow_mut();
        if room.clients.remove(&self.name).is_some() {
            room.tell_others(&self.name, &format!("* {} has left\n", self.name));
        }
    }
}

fn attend(stream: TcpStream, room: &RefCell<Room>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let client = Rc::new(Client::new(stream));
    let mut visit = Visit { client: Rc::clone(&client), room, name: String::new() };
    thread::spawn({
        let client = Rc::clone(&client);
        move || client.write_queued()
    });
    let mut lines = BufReader::with_capacity(MOST_LINE, &client.stream);
    visit.tell("* welcome; your name?\n");
    while let Some(line) = next_line(&mut lines)? {
        if visit.name.is_empty() {
            visit.enter(&line).unwrap_or_else(|answer| visit.tell(&answer));
        } else if !line.is_empty() {
            room.borrow().tell_others(&visit.name, &format!("{}: {line}\n", visit.name));
        }
    }
    Ok(())
}

/// The next line, without its end and other characters that a terminal might obey. Only the beginning of a long one.
fn next_line(lines: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let n = lines.by_ref().take(MOST_LINE as u64).read_until(b'\n', &mut line)?;
    if n == MOST_LINE && !line.ends_with(b"\n") {
        lines.skip_until(b'\n')?;
    }
    let text = String::from_utf8_lossy(&line).chars().filter(|c| !c.is_control()).collect();
    Ok((n > 0).then_some(text))
}

/// What happens in the talk, as one client sees it.
enum Line {
    Hears(&'static str),
    Says(&'static str),
}

/// Three clients, each a task, have a talk.
fn demonstrate(listener: TcpListener) -> Result<(), Box<dyn Error>> {
    use Line::{Hears, Says};

    let addr = listener.local_addr()?;
    thread::spawn(move || serve(&listener));
    let ann =
        [Hears("* bob has joined"), Hears("* cem has joined"), Says("tea?"), Hears("bob: yes"), Hears("cem: milk!")];
    let bob =
        [Hears("* cem has joined"), Hears("ann: tea?"), Says("yes"), Hears("cem: milk!"), Hears("* ann has left")];
    let cem = [Hears("ann: tea?"), Hears("bob: yes"), Says("milk!"), Hears("* ann has left"), Hears("* bob has left")];
    let mut clients = Vec::new();
    for (name, lines) in [("ann", ann), ("bob", bob), ("cem", cem)] {
        // They come one after the other, so that it is known who sees whom come.
        let stream = enter(addr, name)?;
        clients.push((name, thread::spawn(move || play(stream, &lines))));
    }
    for (name, client) in clients {
        println!("-- {name}\n{}", client.join().expect("no client panics")?);
    }
    Ok(())
}

/// Connects, and gives a name.
fn enter(addr: SocketAddr, name: &str) -> io::Result<BufReader<TcpStream>> {
    let mut stream = BufReader::new(TcpStream::connect(addr)?);
    writeln!(stream.get_mut(), "{name}")?;
    let mut heard = String::new();
    while !heard.contains("hello") {
        stream.read_line(&mut heard)?;
    }
    Ok(stream)
}

/// Plays a client's part, and gives what was said and heard. The client leaves at the end.
fn play(mut stream: BufReader<TcpStream>, lines: &[Line]) -> io::Result<String> {
    let mut log = Vec::new();
    for line in lines {
        match line {
            Line::Says(text) => {
                writeln!(stream.get_mut(), "{text}")?;
                log.push(format!("> {text}"));
            }
            Line::Hears(text) => {
                let mut heard = String::new();
                stream.read_line(&mut heard)?;
                assert_eq!(heard.trim_end(), *text);
                log.push(heard.trim_end().to_string());
            }
        }
    }
    Ok(log.join("\n"))
}
