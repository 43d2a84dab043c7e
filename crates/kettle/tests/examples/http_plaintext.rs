//! The HTTP server: a table of requests and their answers, and what happens between them.

use crate::server::Server;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

const OK: &str = "200 OK";
const BAD: &str = "400 Bad Request";
const NOT_FOUND: &str = "404 Not Found";
const NOT_ALLOWED: &str = "405 Method Not Allowed";
const TOO_LARGE: &str = "413 Content Too Large";
const LONG_HEAD: &str = "431 Request Header Fields Too Large";
const NOT_IMPLEMENTED: &str = "501 Not Implemented";

/// An answer with a body.
#[derive(Debug)]
struct Answer {
    status: String,
    head: String,
    body: String,
}

impl Answer {
    fn has(&self, header: &str) -> bool {
        self.head.lines().any(|line| line.eq_ignore_ascii_case(header))
    }

    fn is_last(&self) -> bool {
        self.has("Connection: close")
    }
}

/// Takes answers apart that have bodies.
fn parse(mut text: &str) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !text.is_empty() {
        let (head, rest) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no end of a head: {text:?}"));
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut response = httparse::Response::new(&mut headers);
        let with_end = &text[..head.len() + 4];
        assert!(response.parse(with_end.as_bytes()).unwrap().is_complete(), "{head}");
        let length = response.headers.iter().find(|header| header.name == "Content-Length").unwrap();
        let length: usize = std::str::from_utf8(length.value).unwrap().parse().unwrap();
        let status = format!("{} {}", response.code.unwrap(), response.reason.unwrap());
        answers.push(Answer { status, head: head.to_string(), body: rest[..length].to_string() });
        text = &rest[length..];
    }
    answers
}

fn read_to_end(mut stream: &TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Sends something, ends, and gives all answers.
fn ask(server: &Server, request: &[u8]) -> Vec<Answer> {
    let mut stream = server.connect();
    stream.write_all(request).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    parse(&read_to_end(&stream))
}

/// Sends something that the server is to end the connection for.
fn ask_last(server: &Server, request: &[u8]) -> Vec<Answer> {
    let mut stream = server.connect();
    stream.write_all(request).unwrap();
    parse(&read_to_end(&stream))
}

fn statuses(answers: &[Answer]) -> Vec<&str> {
    answers.iter().map(|answer| answer.status.as_str()).collect()
}

/// A request with these headers and, behind it, one that shows whether the connection goes on, and where.
fn followed(request: &str) -> Vec<u8> {
    format!("{request}GET /next HTTP/1.1\r\nHost: k\r\n\r\n").into_bytes()
}

#[test]
fn good_requests_are_answered_and_the_connection_goes_on() {
    let server = Server::start("http_plaintext", &[]);
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: k\r\n\r\n", OK),
        ("GET /?query HTTP/1.1\r\nHost: k\r\n\r\n", OK),
        ("GET http://k HTTP/1.1\r\nHost: k\r\n\r\n", OK),
        ("GET http://k/ HTTP/1.1\r\nHost: k\r\n\r\n", OK),
        ("GET HTTP://k?query HTTP/1.1\r\nHost: k\r\n\r\n", OK),
        ("GET / HTTP/1.1\r\nhOST:\t k \t\r\nX: \u{e9}\r\nEmpty:\r\n\r\n", OK),
        ("\r\nGET / HTTP/1.1\r\nHost: k\r\n\r\n", OK),
        ("GET / HTTP/1.1\r\nHost: k\r\nConnection: keep-alive, x\r\n\r\n", OK),
        ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", OK),
        ("GET / HTTP/1.1\r\nHost: k\r\nContent-Length: 0\r\n\r\n", OK),
        ("GET / HTTP/1.1\r\nHost: k\r\nContent-Length: 5\r\n\r\nGET /", OK),
        ("GET / HTTP/1.1\r\nHost: k\r\nExpect: 100-continue\r\n\r\n", OK),
        ("GET /tea HTTP/1.1\r\nHost: k\r\n\r\n", NOT_FOUND),
        ("GET http://k/tea HTTP/1.1\r\nHost: k\r\n\r\n", NOT_FOUND),
        ("GET // HTTP/1.1\r\nHost: k\r\n\r\n", NOT_FOUND),
        ("POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 3\r\n\r\ntea", NOT_ALLOWED),
        (
            "PUT / HTTP/1.1\r\nHost: k\r\nContent-Length: 36\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n",
            NOT_ALLOWED,
        ),
        ("OPTIONS * HTTP/1.1\r\nHost: k\r\n\r\n", NOT_ALLOWED),
        ("BREW / HTTP/1.1\r\nHost: k\r\n\r\n", NOT_ALLOWED),
        ("get / HTTP/1.1\r\nHost: k\r\n\r\n", NOT_ALLOWED),
    ] {
        let answers = ask(&server, &followed(request));
        assert_eq!(statuses(&answers), [status, NOT_FOUND], "{request:?}");
        let answer = &answers[0];
        assert_eq!(answer.body, if status == OK { "Hello, World!" } else { status });
        assert_eq!(answer.has("Allow: GET, HEAD"), status == NOT_ALLOWED, "{}", answer.head);
        assert_eq!(answer.has("Connection: keep-alive"), request.contains("HTTP/1.0"), "{}", answer.head);
        assert!(answer.has("Content-Type: text/plain") && answer.head.contains("\r\nDate: "), "{}", answer.head);
        assert!(answers.iter().all(|answer| !answer.is_last()));
    }
}

#[test]
fn requests_that_end_the_connection_are_the_last_to_be_answered() {
    let server = Server::start("http_plaintext", &[]);
    for request in [
        "GET / HTTP/1.1\r\nHost: k\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: k\r\nConnection: x, CLOSE\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n",
        // Whether the body comes is up to the client, which has its answer.
        "GET / HTTP/1.1\r\nHost: k\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    ] {
        let answers = ask_last(&server, &followed(request));
        assert_eq!(statuses(&answers), [OK], "{request:?}");
        assert!(answers[0].is_last());
    }
}

#[test]
fn what_is_not_clear_is_refused_and_ends_the_connection() {
    let server = Server::start("http_plaintext", &[]);
    for (request, status) in [
        // Not HTTP.
        ("tea, please\r\n\r\n", BAD),
        ("\0\0\0\0", BAD),
        ("GET /\r\n\r\n", BAD),
        ("GET  / HTTP/1.1\r\nHost: k\r\n\r\n", BAD),
        ("GET / tea HTTP/1.1\r\nHost: k\r\n\r\n", BAD),
        ("GET tea HTTP/1.1\r\nHost: k\r\n\r\n", BAD),
        ("GET * HTTP/1.1\r\nHost: k\r\n\r\n", BAD),
        ("GET / FTP/1.1\r\nHost: k\r\n\r\n", BAD),
        ("GET / HTTP/2.0\r\nHost: k\r\n\r\n", "505 HTTP Version Not Supported"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 HTTP Version Not Supported"),
        // Headers.
        ("GET / HTTP/1.1\r\n\r\n", BAD),
        ("GET / HTTP/1.1\r\nHost: k\r\nHost: k\r\n\r\n", BAD),
        ("GET / HTTP/1.1\r\nHost: k\r\nno colon\r\n\r\n", BAD),
        ("GET / HTTP/1.1\r\nHost: k\r\n: nameless\r\n\r\n", BAD),
        ("GET / HTTP/1.1\r\nHost: k\r\nSpace : x\r\n\r\n", BAD),
        ("GET / HTTP/1.1\r\nHost: k\r\nX: folded\r\n line\r\n\r\n", BAD),
        ("GET / HTTP/1.1\r\nHost: k\r\nX: a\0b\r\n\r\n", BAD),
        // Ends of lines.
        ("GET / HTTP/1.1\nHost: k\n\n", BAD),
        ("GET / HTTP/1.1\r\nHost: k\nX: y\r\n\r\n", BAD),
        ("GET / HTTP/1.1\r\nHost: k\r\n\n", BAD),
        ("\nGET / HTTP/1.1\r\nHost: k\r\n\r\n", BAD),
        ("GET / HTTP/1.1\r\nHost: k\rX: y\r\n\r\n", BAD),
        // Where the body ends.
        ("POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\ntea", BAD),
        ("POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\ntea", BAD),
        ("POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 3, 3\r\n\r\ntea", BAD),
        ("POST / HTTP/1.1\r\nHost: k\r\nContent-Length: +3\r\n\r\ntea", BAD),
        ("POST / HTTP/1.1\r\nHost: k\r\nContent-Length: -3\r\n\r\ntea", BAD),
        ("POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 0x3\r\n\r\ntea", BAD),
        ("POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 3 3\r\n\r\ntea", BAD),
        ("POST / HTTP/1.1\r\nHost: k\r\nContent-Length:\r\n\r\ntea", BAD),
        ("POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 1048577\r\n\r\ntea", TOO_LARGE),
        ("POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 18446744073709551616\r\n\r\ntea", TOO_LARGE),
        ("POST / HTTP/1.1\r\nHost: k\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", NOT_IMPLEMENTED),
        ("POST / HTTP/1.1\r\nHost: k\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", NOT_IMPLEMENTED),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD),
        ("POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BAD),
        ("POST / HTTP/1.1\r\nHost: k\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", BAD),
        ("POST / HTTP/1.1\r\nHost: k\r\nTransfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", BAD),
    ] {
        let answers = ask_last(&server, &followed(request));
        assert_eq!(statuses(&answers), [status], "{request:?}");
        assert!(answers[0].is_last(), "{request:?}");
        // What was answered before stays answered.
        let answers = ask_last(&server, &followed(&format!("GET / HTTP/1.1\r\nHost: k\r\n\r\n{request}")));
        assert_eq!(statuses(&answers), [OK, status], "{request:?}");
    }
}

#[test]
fn heads_and_lines_have_limits() {
    let server = Server::start("http_plaintext", &[]);
    let request = |line: usize, head: usize| {
        let start = format!("GET /{} HTTP/1.1\r\nHost: k\r\nX: ", "x".repeat(line));
        let rest = head.saturating_sub(start.len() + 4);
        format!("{start}{}\r\n\r\n", "y".repeat(rest))
    };
    for (request, status, is_last) in [
        (request(0, 8 * 1024), OK, false),
        (request(0, 8 * 1024 + 1), LONG_HEAD, true),
        (request(0, 100_000), LONG_HEAD, true),
        (request(8_000, 8 * 1024), NOT_FOUND, false),
        (request(8_200, 0), "414 URI Too Long", true),
        (format!("GET / HTTP/1.1\r\nHost: k\r\n{}\r\n", "A: b\r\n".repeat(63)), OK, false),
        (format!("GET / HTTP/1.1\r\nHost: k\r\n{}\r\n", "A: b\r\n".repeat(64)), LONG_HEAD, true),
    ] {
        let answers = if is_last { ask_last } else { ask }(&server, request.as_bytes());
        assert_eq!(statuses(&answers), [status], "{} bytes", request.len());
        assert_eq!(answers[0].is_last(), is_last);
    }
}

#[test]
fn bodies_are_skipped_whatever_is_in_them() {
    let server = Server::start("http_plaintext", &[]);
    for len in [1, 8_000, 8_192, 100_000, 1024 * 1024] {
        let body = "GET / HTTP/1.1\r\nHost: k\r\n\r\n".repeat(len / 27 + 1);
        let request = format!("POST / HTTP/1.1\r\nHost: k\r\nContent-Length: {len}\r\n\r\n{}", &body[..len]);
        assert_eq!(statuses(&ask(&server, &followed(&request))), [NOT_ALLOWED, NOT_FOUND], "{len}");
    }
}

#[test]
fn workers_serve_together() {
    let server = Server::start("http_plaintext", &["--workers", "2"]);
    for _ in 0..20 {
        assert_eq!(statuses(&ask(&server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")), ["200 OK"]);
    }
}

#[test]
fn a_head_request_is_answered_without_a_body() {
    let server = Server::start("http_plaintext", &[]);
    for (path, status, length) in [("/", OK, 13), ("/tea", NOT_FOUND, NOT_FOUND.len())] {
        let mut stream = server.connect();
        let request = format!("HEAD {path} HTTP/1.1\r\nHost: k\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let answer = read_to_end(&stream);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
        assert!(answer.contains(&format!("\r\nContent-Length: {length}\r\n")), "{answer}");
        assert_eq!(answer.find("\r\n\r\n"), Some(answer.len() - 4), "{answer}");
    }
}

#[test]
fn requests_may_come_in_any_pieces() {
    let server = Server::start("http_plaintext", &[]);
    let request = b"POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 3\r\n\r\nteaGET / HTTP/1.1\r\nHost: k\r\n\r\n";
    for cut in 1..request.len() {
        let mut stream = server.connect();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&request[..cut]).unwrap();
        stream.write_all(&request[cut..]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(statuses(&parse(&read_to_end(&stream))), [NOT_ALLOWED, OK], "{cut}");
    }
    let mut stream = server.connect();
    for byte in request {
        stream.write_all(&[*byte]).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(statuses(&parse(&read_to_end(&stream))), [NOT_ALLOWED, OK]);
}

#[test]
fn many_requests_may_be_under_way() {
    let server = Server::start("http_plaintext", &[]);
    let answers = ask(&server, "GET / HTTP/1.1\r\nHost: k\r\n\r\n".repeat(2_000).as_bytes());
    assert_eq!(answers.len(), 2_000);
    assert!(answers.iter().all(|answer| answer.status == OK && answer.body == "Hello, World!"));
}

#[test]
fn an_idle_connection_is_closed_and_a_late_request_is_told() {
    let server = Server::start("http_plaintext", &["--idle", "0.5"]);
    let [idle, head, body] = [
        "",
        // Nothing of it is complete, so it is late, however it goes on.
        "GET / HTTP/1.1\r\nHost:",
        // The same for a body that does not come.
        "POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 3\r\n\r\nt",
    ]
    .map(|begun| {
        let mut stream = server.connect();
        stream.write_all(begun.as_bytes()).unwrap();
        stream
    });
    assert_eq!(read_to_end(&idle), "");
    let answers = parse(&read_to_end(&head));
    assert_eq!(statuses(&answers), ["408 Request Timeout"]);
    assert!(answers[0].is_last());
    assert_eq!(statuses(&parse(&read_to_end(&body))), [NOT_ALLOWED, "408 Request Timeout"]);
}
