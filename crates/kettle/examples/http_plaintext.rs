//! An HTTP/1.1 server that says "Hello, World!": a task for each connection, which reads requests and writes answers.
//!
//! `cargo run --release -p kettle --example http_plaintext -- --addr 127.0.0.1:8000` serves until it is killed; without
//! arguments it asks itself some things and ends. `--idle SECONDS` says how long a connection may be idle, and how long
//! a request may take to arrive, `--workers N` on how many cores it is to serve.
//!
//! Connections are kept, requests may be pipelined: what one read has brought is answered by one write. What is not
//! clear beyond doubt is refused, and ends the connection, because a proxy in front may have understood something else:
//! lines that end in a bare LF, a `Content-Length` that is not one number, `Transfer-Encoding` (not implemented, and an
//! error beside a `Content-Length` or in HTTP/1.0), a missing or second `Host`.

use httparse::{EMPTY_HEADER, Header, Request};
use kettle::net::{Shutdown, TcpListener, TcpStream};
use kettle::time::{Duration, Instant, SystemTime};
use kettle::{thread, workers};
use std::error::Error;
use std::io::{self, Read, Write};
use std::num::NonZero;
use std::process::ExitCode;

const USAGE: &str = "usage: http_plaintext [--addr HOST:PORT [--workers N]] [--idle SECONDS]";

/// The request line and the headers of a request take no more than this.
const MOST_HEAD: usize = 8 * 1024;

/// How many headers a request may have.
const MOST_HEADERS: usize = 64;

/// A body is skipped, so this is a matter of patience only.
const MOST_BODY: u64 = 1024 * 1024;

/// How long the server waits for descriptors when there are none left.
const PAUSE: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let Some(Arguments { addr, workers, idle }) = parse(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let result = match (addr, workers) {
        (None, _) => kettle::run(|| demonstrate(listen("127.0.0.1:0")?, idle)),
        (Some(addr), None) => kettle::run(|| serve(&listen(addr)?, |stream| serve_here(stream, idle))),
        (Some(addr), Some(count)) => serve_on(count, addr, idle),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("http_plaintext: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line says.
struct Arguments<'a> {
    addr: Option<&'a str>,
    workers: Option<usize>,
    idle: Duration,
}

fn parse(arguments: &[String]) -> Option<Arguments<'_>> {
    let (mut addr, mut workers, mut idle) = (None, None, Duration::from_secs(10));
    for pair in arguments.chunks(2) {
        match pair {
            [name, value] if name == "--addr" => addr = Some(value.as_str()),
            [name, value] if name == "--workers" => workers = Some(value.parse::<NonZero<usize>>().ok()?.get()),
            [name, value] if name == "--idle" => {
                idle = Duration::try_from_secs_f64(value.parse().ok()?).ok().filter(|idle| !idle.is_zero())?;
            }
            _ => return None,
        }
    }
    (workers.is_none() || addr.is_some()).then_some(Arguments { addr, workers, idle })
}

fn listen(addr: &str) -> Result<TcpListener, Box<dyn Error>> {
    let listener = TcpListener::bind(addr).map_err(|error| format!("listen on {addr}: {error}"))?;
    println!("listening on {}", listener.local_addr()?);
    io::stdout().flush()?;
    Ok(listener)
}

/// Serves on so many workers. Each accepts, and hands the connection to the one that has least.
fn serve_on(count: usize, addr: &str, idle: Duration) -> Result<(), Box<dyn Error>> {
    let workers = workers(count);
    if workers.excess() > 0 {
        eprintln!("http_plaintext: {} workers more than cores: they get in each other's way", workers.excess());
    }
    let listener = listen(addr)?;
    workers.run(|worker| {
        serve(&listener, |stream| drop(worker.spawn_on(worker.least_loaded(), move || converse(stream, idle))))
    })?;
    Ok(())
}

/// Gives a connection a task of this event loop.
fn serve_here(stream: TcpStream, idle: Duration) {
    thread::spawn(move || converse(stream, idle));
}

/// Gives each connection to a task of its own. Never ends.
fn serve(listener: &TcpListener, spawn: impl Fn(TcpStream)) -> ! {
    loop {
        match listener.accept() {
            // How a connection ends is its own affair: most errors are clients that have gone.
            Ok((stream, _)) => spawn(stream),
            Err(error) => {
                // If the error is that this task was cancelled, it ends here.
                thread::sleep(PAUSE);
                eprintln!("http_plaintext: accept: {error}");
            }
        }
    }
}

/// Answers requests as long as they come.
fn converse(mut stream: TcpStream, idle: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(idle))?;
    stream.set_write_timeout(Some(idle))?;
    let mut input = [0; MOST_HEAD];
    let mut len = 0;
    let mut connection = Connection::default();
    // When the oldest part of a request came that is not complete.
    let mut begun = None;
    while !connection.is_closing {
        match stream.read(&mut input[len..]) {
            Ok(0) => return Ok(()),
            Ok(n) => len += n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && begun.is_some() => {
                connection.refuse("408 Request Timeout");
            }
            Err(error) => return Err(error),
        }
        let used = connection.take(&input[..len]);
        input.copy_within(used..len, 0);
        len -= used;

        let is_waiting = len > 0 || connection.body > 0;
        begun = match begun {
            Some(begun) if is_waiting && connection.output.is_empty() => Some(begun),
            _ => is_waiting.then(Instant::now),
        };
        if !connection.is_closing && len == MOST_HEAD {
            let has_line = input.contains(&b'\n');
            connection.refuse(if has_line { "431 Request Header Fields Too Large" } else { "414 URI Too Long" });
        } else if !connection.is_closing && begun.is_some_and(|begun| begun.elapsed() > idle) {
            connection.refuse("408 Request Timeout");
        }
        stream.write_all(&connection.output)?;
        connection.output.clear();
    }
    linger(&stream)
}

/// Closes a connection whose client may be sending still: if something is left unread, closing would reset it, and the
/// client might not see the answer.
fn linger(mut stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    let end = Instant::now() + Duration::from_secs(1);
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    while Instant::now() < end && stream.read(&mut [0; 1024])? > 0 {}
    Ok(())
}

/// Where a connection is in its conversation.
#[derive(Default)]
struct Connection {
    /// What is still to come of the last request's body.
    body: u64,
    /// Nothing more is read.
    is_closing: bool,
    /// Answers that are not sent yet.
    output: Vec<u8>,
    /// The value of `Date`, the same for all answers to one read.
    date: String,
}

/// What a request asks for, as far as it matters here.
struct Asked {
    status: &'static str,
    is_head: bool,
    keep_alive: bool,
    version: u8,
    body: u64,
}

impl Connection {
    /// Answers all complete requests of what has come, and gives how many bytes are dealt with.
    fn take(&mut self, input: &[u8]) -> usize {
        self.date = httpdate::fmt_http_date(SystemTime::now());
        let mut used = 0;
        while !self.is_closing {
            let rest = &input[used..];
            let skipped = rest.len().min(usize::try_from(self.body).unwrap_or(usize::MAX));
            self.body -= skipped as u64;
            used += skipped;
            let rest = &rest[skipped..];
            if rest.is_empty() {
                break;
            }
            let mut headers = [EMPTY_HEADER; MOST_HEADERS];
            let mut request = Request::new(&mut headers);
            match request.parse(rest) {
                Ok(httparse::Status::Partial) => break,
                Ok(httparse::Status::Complete(head)) => {
                    used += head;
                    match read_head(&request, &rest[..head]) {
                        Ok(asked) => self.answer(&asked),
                        Err(status) => self.refuse(status),
                    }
                }
                Err(httparse::Error::TooManyHeaders) => self.refuse("431 Request Header Fields Too Large"),
                Err(httparse::Error::Version) if has_other_version(rest) => {
                    self.refuse("505 HTTP Version Not Supported")
                }
                Err(_) => self.refuse("400 Bad Request"),
            }
        }
        used
    }

    fn answer(&mut self, asked: &Asked) {
        self.body = asked.body;
        self.is_closing = !asked.keep_alive;
        self.put(asked.status, !asked.is_head, asked.version);
    }

    /// Says why this is the end.
    fn refuse(&mut self, status: &str) {
        self.is_closing = true;
        self.put(status, true, 1);
    }

    fn put(&mut self, status: &str, has_body: bool, version: u8) {
        let body = if status.starts_with("200") { "Hello, World!" } else { status };
        let mut put = |text: &str| self.output.extend_from_slice(text.as_bytes());
        put("HTTP/1.1 ");
        put(status);
        put("\r\nContent-Type: text/plain\r\nContent-Length: ");
        put(&body.len().to_string());
        put("\r\nDate: ");
        put(&self.date);
        if status.starts_with("405") {
            put("\r\nAllow: GET, HEAD");
        }
        if self.is_closing {
            put("\r\nConnection: close");
        } else if version == 0 {
            put("\r\nConnection: keep-alive");
        }
        put("\r\n\r\n");
        if has_body {
            put(body);
        }
    }
}

/// What a complete head asks for, or how it is refused.
fn read_head(request: &Request<'_, '_>, head: &[u8]) -> Result<Asked, &'static str> {
    const BAD: &str = "400 Bad Request";
    // The parser takes a bare LF for the end of a line.
    let has_bare_lf = (0..head.len()).any(|at| head[at] == b'\n' && (at == 0 || head[at - 1] != b'\r'));
    let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version) else {
        return Err(BAD);
    };
    let all = |name: &'static str| {
        request.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    };
    let hosts = all("host").count();
    if has_bare_lf || hosts > 1 || (hosts == 0 && version == 1) {
        return Err(BAD);
    }
    let has_length = all("content-length").next().is_some();
    if all("transfer-encoding").next().is_some() {
        return Err(if has_length || version == 0 { BAD } else { "501 Not Implemented" });
    }
    let mut body = 0;
    for (index, value) in all("content-length").enumerate() {
        // `parse` would take a plus sign.
        if index > 0 || value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(BAD);
        }
        body = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()).unwrap_or(u64::MAX);
        if body > MOST_BODY {
            return Err("413 Content Too Large");
        }
    }

    let status = match (method, path(target)) {
        ("GET" | "HEAD", None) => return Err(BAD),
        ("GET" | "HEAD", Some("/")) => "200 OK",
        ("GET" | "HEAD", Some(_)) => "404 Not Found",
        _ => "405 Method Not Allowed",
    };
    // A client that waits for its body to be asked for has its answer now, and may send the body or not: nobody knows
    // where its next request would begin.
    let is_unclear = body > 0 && all("expect").next().is_some();
    let says = |word| says(request.headers, word);
    let keep_alive = !is_unclear && !says("close") && (version == 1 || says("keep-alive"));
    Ok(Asked { status, is_head: method == "HEAD", keep_alive, version, body })
}

/// The path of a target in either form: `/path?query`, or with the scheme and the host, as proxies are asked.
fn path(target: &str) -> Option<&str> {
    let is_absolute = target.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
    let local = if is_absolute {
        let authority = &target[7..];
        match authority.find(['/', '?']) {
            Some(at) if authority.as_bytes()[at] == b'/' => &authority[at..],
            _ => "/",
        }
    } else {
        target
    };
    local.starts_with('/').then(|| local.split('?').next().unwrap_or(local))
}

/// Whether a `Connection` header has this word in its list.
fn says(headers: &[Header<'_>], word: &str) -> bool {
    headers.iter().filter(|header| header.name.eq_ignore_ascii_case("connection")).any(|header| {
        let mut words = header.value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        words.any(|listed| listed.eq_ignore_ascii_case(word.as_bytes()))
    })
}

/// Whether the first line is as it should be, but for the number of the version.
fn has_other_version(request: &[u8]) -> bool {
    let line = request.trim_ascii_start().split(|&byte| byte == b'\r').next().unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    matches!(words[..], [_, _, [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9']])
}

/// A client asks for several things, and prints the first line of each answer.
fn demonstrate(listener: TcpListener, idle: Duration) -> Result<(), Box<dyn Error>> {
    let addr = listener.local_addr()?;
    thread::spawn(move || serve(&listener, |stream| serve_here(stream, idle)));
    let client = thread::spawn(move || -> io::Result<String> {
        let mut stream = TcpStream::connect(addr)?;
        // Four at once; the last one ends the connection, so that there is an end to the answers.
        let get = "GET / HTTP/1.1\r\nHost: kettle\r\n\r\n";
        let tea = "GET /tea HTTP/1.1\r\nHost: kettle\r\n\r\n";
        let post = "POST / HTTP/1.1\r\nHost: kettle\r\nContent-Length: 3\r\n\r\ntea";
        let last = "GET / HTTP/1.1\r\nHost: kettle\r\nConnection: close\r\n\r\n";
        stream.write_all([get, tea, post, last].concat().as_bytes())?;
        let mut answers = String::new();
        stream.read_to_string(&mut answers)?;
        Ok(answers)
    });
    let answers = client.join().expect("the client doesn't panic")?;
    let heard: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.lines().next()).collect();
    assert_eq!(heard, ["200 OK", "404 Not Found", "405 Method Not Allowed", "200 OK"]);
    assert!(answers.ends_with("\r\n\r\nHello, World!"));
    for (asked, status) in ["GET /", "GET /tea", "POST /", "GET /"].into_iter().zip(heard) {
        println!("{asked}: {status}");
    }
    Ok(())
}
