//! The key-value server beside Redis itself: the same commands, and the same answers.
//!
//! Without Redis it is skipped, and said: `apt-get install redis-server`.

#[path = "../kv/random.rs"]
mod random;
#[path = "../kv/script.rs"]
mod script;

use crate::kv_clients::is_there;
use crate::server::Server;
use random::Random;
use script::SCRIPT;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Redis itself. It is killed when this is dropped.
struct Redis(Child, u16);

impl Redis {
    fn start() -> Self {
        // It can't be told to take any port. This one is free, and nobody was told of it.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--save", "", "--appendonly", "no", "--databases", "1"]);
        Self(command.stdout(Stdio::null()).spawn().unwrap(), port)
    }

    fn connect(&self) -> TcpStream {
        let begin = Instant::now();
        loop {
            match TcpStream::connect(("127.0.0.1", self.1)) {
                Ok(stream) => return stream,
                Err(error) => assert!(begin.elapsed() < Duration::from_secs(60), "redis-server: {error}"),
            }
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // One that has ended by itself can't be killed.
        _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

/// An answer in one line, as the script has it.
fn read_answer(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let (kind, rest) = line.trim_end().split_at(1);
    match (kind, rest) {
        ("$" | "*", "-1") => "nil".to_string(),
        ("$", _) => {
            let mut text = String::new();
            stream.read_line(&mut text).unwrap();
            text.trim_end().to_string()
        }
        ("*", count) => {
            let elements: Vec<_> = (0..count.parse::<usize>().unwrap()).map(|_| read_answer(stream)).collect();
            format!("[{}]", elements.join(" "))
        }
        _ => line.trim_end().to_string(),
    }
}

#[test]
fn redis_answers_what_the_script_says() {
    if !is_there("redis-server", &["--version"]) {
        return;
    }
    let redis = Redis::start();
    let mut stream = BufReader::new(redis.connect());
    let begin = Instant::now();
    // How many milliseconds are left of `k`, by the script.
    let mut left = 0;
    for (command, expected) in SCRIPT {
        // It has a directory.
        if command == "SAVE" {
            continue;
        }
        stream.get_mut().write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let answer = read_answer(&mut stream);
        // It is less by no more than what has passed.
        let passed = begin.elapsed().as_millis() as i64 + 1;
        let range = match command {
            "PTTL k" => {
                left = number(expected);
                left - passed..=left
            }
            "TTL k" if number(expected) > 0 => to_seconds(left - passed)..=to_seconds(left),
            _ => {
                assert_same(command, &answer, expected);
                continue;
            }
        };
        assert!(range.contains(&number(expected)) && range.contains(&number(&answer)), "{command}: {answer}");
    }
}

/// The same answer, or an error of the same code.
#[track_caller]
fn assert_same(command: &str, answer: &str, expected: &str) {
    match expected.strip_prefix('-') {
        Some(error) => {
            let code = error.split(' ').next().unwrap();
            assert!(answer.starts_with(&format!("-{code} ")), "{command}: {answer}");
        }
        None => assert_eq!(answer, expected, "{command}"),
    }
}

fn number(answer: &str) -> i64 {
    answer.strip_prefix(':').unwrap().parse().unwrap()
}

/// Rounded to the nearest.
fn to_seconds(milliseconds: i64) -> i64 {
    (milliseconds + 500) / 1000
}

// --- commands at random ---

const KEYS: [&[u8]; 9] = [b"", b"k", b"a b", b"\0\xff\r\n", b"K", &[b'x'; 30], &[b'y'; 5000], b"key1", b"key2"];

/// Numbers, and what is nearly one. As times they are past, or long to come: both servers agree on what has expired.
const NUMBERS: [&[u8]; 24] = [
    b"0",
    b"-1",
    b"+1",
    b"01",
    b"-0",
    b" 1",
    b"1 ",
    b"1.5",
    b"1e3",
    b"",
    b"abc",
    b"00",
    b"1\0",
    b"100000",
    b"4102444800",
    b"4102444800000",
    b"9223372036854775",
    b"99999999999999",
    b"-99999999999999999",
    b"9223370000000000000",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"9223372036854775808",
    b"1000000",
];

const VALUES: [&[u8]; 6] = [b"", b"v", b"\r\n$-1\r\n", b"\0\x01\xfe", &[b'z'; 22], &[b'z'; 23]];

/// (None has only stars: in Redis `*` means the empty key, and `**` does not.)
const PATTERNS: [&[u8]; 14] = [
    b"*",
    b"k*",
    b"",
    b"?",
    b"key[0-1]",
    b"[^k]*",
    b"*\\",
    b"[a",
    b"[]",
    b"\\k",
    b"key[3-0]",
    b"k**",
    b"*\xff*",
    b"[\\k]",
];

/// Names, and what arguments they have: a key, a value, a number, a pattern, options; a capital may be there any number
/// of times. (Without `DBSIZE`, which may count what has expired.)
const SHAPES: [(&str, &str); 38] = [
    ("GET", "k"),
    ("SET", "kv"),
    ("SET", "kvO"),
    ("SET", "kvO"),
    ("INCR", "k"),
    ("DECR", "k"),
    ("INCRBY", "kn"),
    ("DECRBY", "kn"),
    ("MGET", "kK"),
    ("MSET", "kvkvV"),
    ("MSET", "kvkvkv"),
    ("DEL", "kK"),
    ("UNLINK", "kK"),
    ("EXISTS", "kK"),
    ("TOUCH", "kK"),
    ("SETNX", "kv"),
    ("SETEX", "knv"),
    ("PSETEX", "knv"),
    ("GETSET", "kv"),
    ("GETDEL", "k"),
    ("APPEND", "kv"),
    ("STRLEN", "k"),
    ("TYPE", "k"),
    ("EXPIRE", "kn"),
    ("PEXPIRE", "kn"),
    ("EXPIREAT", "kn"),
    ("PEXPIREAT", "kn"),
    ("TTL", "k"),
    ("EXPIRETIME", "k"),
    ("PEXPIRETIME", "k"),
    ("PERSIST", "k"),
    ("PUBLISH", "kv"),
    ("FLUSHALL", ""),
    ("FLUSHDB", "v"),
    ("KEYS", "p"),
    ("PING", "V"),
    ("ECHO", "v"),
    ("BREW", "OO"),
];

const OPTIONS: [&[u8]; 12] =
    [b"EX", b"px", b"EXAT", b"PXAT", b"nx", b"XX", b"Get", b"KEEPTTL", b"PERSIST", b"100000", b"4102444800", b"0"];

/// Most have an effect; in some there is anything.
fn command(random: &mut Random) -> Vec<Vec<u8>> {
    let (name, shape) = *random.one_of(&SHAPES);
    let cased = |upper: bool| if upper { name.to_string() } else { name.to_ascii_lowercase() };
    let mut words = vec![cased(random.below(2) == 0).into_bytes()];
    let any = [&KEYS[..], &NUMBERS, &VALUES, &OPTIONS].concat();
    if random.below(20) == 0 && name != "BREW" {
        // Options of EXPIRE are not supported.
        let most = if name.contains("EXPIRE") { 3 } else { 6 };
        words.extend((0..random.below(most)).map(|_| random.one_of(&any).to_vec()));
        return words;
    }
    for kind in shape.chars() {
        let choices = match kind.to_ascii_lowercase() {
            'k' => &KEYS[..],
            'n' => &NUMBERS,
            'o' => &OPTIONS,
            'p' => &PATTERNS,
            _ if random.below(2) == 0 => &NUMBERS,
            _ => &VALUES,
        };
        let count = if kind.is_ascii_uppercase() { random.below(5) } else { 1 };
        words.extend((0..count).map(|_| random.one_of(choices).to_vec()));
    }
    words
}

/// An answer as it is, and where its parts begin if it has some.
fn read_raw(stream: &mut BufReader<TcpStream>) -> Vec<Vec<u8>> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).unwrap();
    let text = std::str::from_utf8(&line).unwrap_or("").trim_end();
    let rest = text.get(1..).and_then(|digits| digits.parse::<i64>().ok());
    match (text.as_bytes().first(), rest) {
        (Some(b'$'), Some(len @ 0..)) => {
            let begin = line.len();
            line.resize(begin + len as usize + 2, 0);
            stream.read_exact(&mut line[begin..]).unwrap();
            vec![line]
        }
        (Some(b'*'), Some(count)) => {
            let parts = (0..count).flat_map(|_| read_raw(stream)).collect::<Vec<_>>();
            [vec![line], parts].concat()
        }
        _ => vec![line],
    }
}

/// Whether two answers say the same. Keys come in any order, and it takes time to ask how much time is left.
fn agree(name: &[u8], left: &[Vec<u8>], right: &[Vec<u8>]) -> bool {
    let sorted = |answer: &[Vec<u8>]| {
        let mut parts = answer.to_vec();
        parts[1..].sort();
        parts
    };
    let seconds = |answer: &[Vec<u8>]| String::from_utf8_lossy(&answer[0]).trim()[1..].parse::<i64>().ok();
    match &name.to_ascii_uppercase()[..] {
        b"KEYS" => sorted(left) == sorted(right),
        name @ (b"TTL" | b"EXPIRETIME" | b"PEXPIRETIME") if left != right => {
            let patience = if name == b"PEXPIRETIME" { 60_000 } else { 60 };
            let [left, right] = [left, right].map(seconds);
            left.zip(right).is_some_and(|(left, right)| left > 0 && right > 0 && left.abs_diff(right) < patience)
        }
        _ => left == right,
    }
}

fn show(answer: &[Vec<u8>]) -> String {
    answer.concat().escape_ascii().to_string()
}

#[test]
fn redis_answers_the_same_to_commands_at_random() {
    if !is_there("redis-server", &["--version"]) {
        return;
    }
    let redis = Redis::start();
    for workers in ["1", "3"] {
        let server = Server::start("kv", &["--workers", workers]);
        for seed in 0..20 {
            let mut random = Random::new(seed);
            let mut streams = [redis.connect(), server.connect()].map(BufReader::new);
            let mut batch = vec![vec![b"FLUSHALL".to_vec()]];
            for _ in 0..20 {
                let written: Vec<u8> = batch.iter().flat_map(|words| written(words)).collect();
                streams.iter_mut().for_each(|stream| stream.get_mut().write_all(&written).unwrap());
                for words in &batch {
                    let [expected, found] = streams.each_mut().map(read_raw);
                    let command =
                        words.iter().map(|word| word.escape_ascii().to_string()).collect::<Vec<_>>().join(" ");
                    let place = format!("seed {seed}, {workers} workers: {command}");
                    assert!(agree(&words[0], &expected, &found), "{place}\n{}\n{}", show(&expected), show(&found));
                }
                batch = (0..1 + random.below(100)).map(|_| command(&mut random)).collect();
            }
        }
    }
}

/// A command as clients write it.
fn written(words: &[Vec<u8>]) -> Vec<u8> {
    let bulk = |word: &Vec<u8>| [format!("${}\r\n", word.len()).as_bytes(), word, b"\r\n"].concat();
    [format!("*{}\r\n", words.len()).into_bytes(), words.iter().flat_map(bulk).collect()].concat()
}
