//! The key-value server: what it answers in a process of its own, what it refuses, what one client can do to others, and what
//! is there again after a restart.

use crate::server::{Server, command};
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

/// With one worker, where nothing is sent to another, and with several.
const WORKERS: [&[&str]; 2] = [&["--workers", "1"], &["--workers", "3"]];

/// Sends something and the end, and gives all that is answered.
fn ask(server: &Server, input: &[u8]) -> Vec<u8> {
    let mut stream = server.connect();
    let mut writer = stream.try_clone().unwrap();
    let input = input.to_vec();
    let writing = thread::spawn(move || {
        writer.write_all(&input).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).unwrap();
    writing.join().unwrap();
    answers
}

fn assert_answers(server: &Server, commands: &[&str], answers: &[&str]) {
    let input: String = commands.iter().map(|command| format!("{command}\r\n")).collect();
    let expected: String = answers.iter().map(|answer| format!("{answer}\r\n")).collect();
    assert_eq!(String::from_utf8_lossy(&ask(server, input.as_bytes())), expected, "{commands:?}");
}

/// That a client is served.
fn assert_pong(mut stream: &TcpStream) {
    stream.write_all(b"PING\r\n").unwrap();
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}

/// A directory that is removed at the end, unless the test fails.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kv-process-{name}-{}", std::process::id()));
        _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn snapshot(&self) -> PathBuf {
        self.0.join("dump.kettle")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !thread::panicking() {
            // What is left of it is in the build's own directory.
            _ = fs::remove_dir_all(&self.0);
        }
    }
}

#[test]
fn what_one_client_sets_another_gets() {
    for workers in WORKERS {
        let server = Server::start("kv", workers);
        assert_answers(&server, &["MSET a 1 b 2 c 3 d 4", "INCR a"], &["+OK", ":2"]);
        assert_answers(&server, &["MGET a b c d"], &["*4\r\n$1\r\n2\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4"]);
        assert_answers(&server, &["PEXPIRE a -1", "EXISTS a b", "DBSIZE"], &[":1", ":1", ":3"]);
        assert_answers(&server, &["FLUSHALL", "DBSIZE", "QUIT", "PING"], &["+OK", ":0", "+OK"]);
    }
}

#[test]
fn clients_of_all_workers_count_together() {
    let server = Server::start("kv", WORKERS[1]);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut stream = BufReader::new(server.connect());
                for round in 0..100 {
                    let keys: String = (0..10).map(|key| format!("INCR key{key}\r\nINCRBY sum {round}\r\n")).collect();
                    stream.get_mut().write_all(keys.as_bytes()).unwrap();
                    for _ in 0..20 {
                        let mut line = String::new();
                        stream.read_line(&mut line).unwrap();
                        assert!(line.starts_with(':'), "{line}");
                    }
                }
            });
        }
    });
    assert_answers(&server, &["GET key0", "GET key9", "GET sum"], &["$3\r\n800", "$3\r\n800", "$6\r\n396000"]);
}

#[test]
fn a_huge_pipeline_is_answered_in_order_and_in_pieces() {
    for workers in WORKERS {
        let server = Server::start("kv", workers);
        let count = 100_000;
        let commands: String = (0..count).map(|n| format!("SET k{} {n}\r\nGET k{}\r\n", n % 100, n % 100)).collect();
        let expected: String = (0..count).map(|n| format!("+OK\r\n${}\r\n{n}\r\n", n.to_string().len())).collect();
        assert!(ask(&server, commands.as_bytes()) == expected.as_bytes(), "{workers:?}");
        // A value that is larger than any buffer is at first, and more keys than go at once.
        let value = "v".repeat(5_000_000);
        let set =
            format!("*3\r\n$3\r\nSET\r\n$1\r\nb\r\n${}\r\n{value}\r\n*2\r\n$6\r\nSTRLEN\r\n$1\r\nb\r\n", value.len());
        assert_eq!(ask(&server, set.as_bytes()), b"+OK\r\n:5000000\r\n");
        assert_eq!(ask(&server, b"GET b\r\n").len(), value.len() + 12);
        let many: String = (0..20_000).map(|n| format!(" key{n} {n}")).collect();
        let set = format!("*40001\r\n$4\r\nMSET\r\n{}", many[1..].split(' ').map(bulk).collect::<String>());
        assert_eq!(ask(&server, set.as_bytes()), b"+OK\r\n");
        assert_answers(&server, &["DBSIZE"], &[":20101"]);
    }
}

fn bulk(word: &str) -> String {
    format!("${}\r\n{word}\r\n", word.len())
}

#[test]
fn what_is_no_command_is_answered_and_ends_the_connection_alone() {
    for workers in WORKERS {
        let server = Server::start("kv", workers);
        let other = server.connect();
        assert_pong(&other);
        for (input, error) in [
            (&b"*1\r\nPING\r\n"[..], "expected '$', got 'P'"),
            (b"*x\r\n", "invalid multibulk length"),
            (b"*2000000\r\n", "invalid multibulk length"),
            (b"*1\r\n$600000000\r\n", "invalid bulk length"),
            (b"*1\r\n$-7\r\n", "invalid bulk length"),
            (b"*1\r\n$4\r\nPINGPING\r\n", "expected CRLF after a bulk string"),
            (b"SET 'k\r\n", "unbalanced quotes in request"),
            (&[b'x'; 100_000], "too big inline request"),
            (b"\x16\x03\x01\x02\x00*\n$\r\n", ""),
        ] {
            // The answer is the last one, whatever else is sent; and those before are there.
            let input = [b"SET k v\r\nGET k\r\n", input, &[b'*'; 200_000][..]].concat();
            let mut stream = server.connect();
            // It may be closed before all is sent.
            _ = stream.write_all(&input);
            let mut answers = Vec::new();
            stream.read_to_end(&mut answers).unwrap();
            let answers = String::from_utf8_lossy(&answers);
            let rest = answers.strip_prefix("+OK\r\n$1\r\nv\r\n").unwrap_or_else(|| panic!("{answers}"));
            assert!(rest.contains("-ERR Protocol error: ") && rest.contains(error), "{answers}");
        }
        assert_eq!(ask(&server, b"POST / HTTP/1.1\r\nHost: k\r\n\r\nFLUSHALL\r\n"), b"");
        assert_answers(&server, &["GET k"], &["$1\r\nv"]);
        assert_pong(&other);
    }
}

#[test]
fn half_commands_wait_and_harm_nobody() {
    for workers in WORKERS {
        let server = Server::start("kv", workers);
        let whole = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\nhalf\r\n";
        let halves: Vec<_> = (1..whole.len())
            .map(|len| {
                let mut stream = server.connect();
                stream.write_all(&whole[..len]).unwrap();
                stream
            })
            .collect();
        assert_answers(&server, &["EXISTS k"], &[":0"]);
        for (mut stream, len) in halves.into_iter().zip(1..) {
            if len % 2 == 0 {
                // What is not complete is not done.
                drop(stream);
                continue;
            }
            stream.write_all(&whole[len..]).unwrap();
            let mut answer = [0; 5];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"+OK\r\n");
        }
        assert_answers(&server, &["GET k"], &["$4\r\nhalf"]);
    }
}

#[test]
fn a_client_that_never_reads_stalls_itself() {
    for workers in WORKERS {
        let server = Server::start("kv", workers);
        assert_answers(&server, &[&format!("SET big {}", "v".repeat(60_000))], &["+OK"]);
        let deaf = server.connect();
        deaf.set_nonblocking(true).unwrap();
        // More is asked for than the system keeps; when the server reads no more, it is the client that can't write.
        let commands = b"GET big\r\n".repeat(1000);
        loop {
            match (&deaf).write(&commands) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert_answers(&server, &["STRLEN big"], &[":60000"]);
        assert_pong(&server.connect());
    }
}

/// However large the answers are that others' shards give, few of them are there at a time.
#[test]
fn clients_that_never_read_cost_little_memory() {
    // The address sanitizer, if it is there, is not to keep what is freed.
    let server = Server::start_after("export ASAN_OPTIONS=$ASAN_OPTIONS:quarantine_size_mb=1", "kv", WORKERS[1]);
    let value = "v".repeat(1024 * 1024);
    let deaf: Vec<_> = (0..8)
        .map(|key| {
            let mut stream = server.connect();
            stream
                .write_all(format!("*3\r\n{}{}{}", bulk("SET"), bulk(&format!("key{key}")), bulk(&value)).as_bytes())
                .unwrap();
            stream.write_all(format!("GET key{key}\r\n").repeat(200).as_bytes()).unwrap();
            // With the first answer all are there that are fetched.
            stream.read_exact(&mut [0; 10]).unwrap();
            stream
        })
        .collect();
    // The keys are there twice, where they were read to and where they are kept; and what is on its way to eight clients.
    let most = server.most_memory();
    assert!(most < 100 * 1024 * 1024, "{most} bytes");
    drop(deaf);
}

#[test]
fn without_descriptors_it_waits_and_serves_on() {
    const LIMIT: u32 = 60;
    let server = Server::start_with_descriptors(LIMIT, "kv");
    let mut streams: Vec<_> = (0..2 * LIMIT).map(|_| server.connect()).collect();
    assert_pong(&streams[0]);
    let last = streams.pop().unwrap();
    drop(streams);
    assert_pong(&last);
}

#[test]
fn ten_thousand_connections_are_served() {
    let limit = raise_limit();
    // Some are others'. What is not permitted can't be tested: then it is said.
    let count = 10_000.min(limit.saturating_sub(500) as usize);
    if count < 10_000 {
        // Past the test's own capture: nobody would read it there.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "SKIPPED: {count} connections, not 10000: a process has {limit} descriptors").unwrap();
    }
    let server = Server::start("kv", WORKERS[0]);
    let streams: Vec<_> = (0..count).map(|_| server.connect()).collect();
    for mut stream in &streams {
        stream.write_all(b"INCR connections\r\n").unwrap();
    }
    let mut sum = 0;
    for stream in &streams {
        let mut line = String::new();
        BufReader::with_capacity(64, stream).read_line(&mut line).unwrap();
        sum += line.trim_end()[1..].parse::<usize>().unwrap();
    }
    // Each number once.
    assert_eq!(sum, count * (count + 1) / 2);
    drop(streams);
    assert_pong(&server.connect());
}

/// Has this process have as many descriptors as it may, and gives how many those are. Its children inherit it.
fn raise_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is a variable.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }, 0);
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    limit.rlim_cur
}

#[test]
fn what_is_saved_is_there_again_with_any_number_of_workers() {
    let directory = Directory::new("saved");
    let dir = ["--dir", directory.path()];
    let with = |workers: &'static [&str]| Server::start("kv", &[workers, &dir].concat());
    let server = with(WORKERS[1]);
    let commands: String = (0..1000).map(|n| format!("SET key{n} value{n}\r\n")).collect();
    assert_eq!(ask(&server, commands.as_bytes()).len(), 5000);
    // In the year 2100, and in the year 1970.
    assert_answers(&server, &["PEXPIREAT key1 4102444800000", "SET old v PXAT 1"], &[":1", "+OK"]);
    assert_answers(&server, &["SAVE", "SET key2 later"], &["+OK", "+OK"]);
    drop(server);

    let server = with(WORKERS[0]);
    assert_answers(&server, &["DBSIZE", "GET key999", "GET key2"], &[":1000", "$8\r\nvalue999", "$6\r\nvalue2"]);
    assert_answers(&server, &["PEXPIRETIME key1", "PTTL key3", "EXISTS old"], &[":4102444800000", ":-1", ":0"]);
    assert_answers(&server, &["DEL key2", "SAVE"], &[":1", "+OK"]);
    drop(server);

    let server = with(WORKERS[1]);
    assert_answers(&server, &["DBSIZE", "GET key999", "GET key2"], &[":999", "$8\r\nvalue999", "$-1"]);
    // Nobody waits for this one; the next one may come too early, and tells when it has ended.
    assert_answers(&server, &["FLUSHALL", "BGSAVE"], &["+OK", "+Background saving started"]);
    while ask(&server, b"SAVE\r\n") != b"+OK\r\n" {}
    drop(server);
    assert_answers(&with(WORKERS[0]), &["DBSIZE"], &[":0"]);
}

#[test]
fn what_is_there_at_the_end_is_saved() {
    for workers in WORKERS {
        assert!(Server::start("kv", workers).terminate().success(), "without a directory");
        let directory = Directory::new("end");
        let args = [workers, &["--dir", directory.path()]].concat();
        for round in 1..4 {
            let server = Server::start("kv", &args);
            let count = format!(":{round}");
            assert_answers(&server, &["INCR a", "INCR b", "INCR c"], &[&count, &count, &count]);
            // A save may be under way: the last one waits for it.
            assert_answers(
                &server,
                &["BGSAVE", "INCR a", "DECR a"],
                &["+Background saving started", &format!(":{}", round + 1), &count],
            );
            assert!(server.terminate().success());
            assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 1);
            // What a server leaves that is killed while it saves is gone after the next start.
            fs::write(directory.0.join("dump.kettle.unfinished"), "kettlekv").unwrap();
        }
    }
}

#[test]
fn a_directory_is_one_server_s() {
    let directory = Directory::new("locked");
    let args = ["--addr", "127.0.0.1:0", "--dir", directory.path()];
    let server = Server::start("kv", &args[2..]);
    let output = command("kv").args(args).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.starts_with("kv: lock ") && message.contains("another server"), "{message}");
    assert!(server.terminate().success());
    assert!(Server::start("kv", &args[2..]).terminate().success());
}

#[test]
fn what_has_expired_is_not_loaded() {
    let directory = Directory::new("expired");
    let args = ["--dir", directory.path()];
    let server = Server::start("kv", &args);
    assert_answers(&server, &["SET stays v", "SET goes v PX 1"], &["+OK", "+OK"]);
    // While it is saved it may be there still.
    assert!(server.terminate().success());
    assert_answers(&Server::start("kv", &args), &["DBSIZE", "GET goes"], &[":1", "$-1"]);
}

#[test]
fn a_snapshot_that_is_corrupt_is_refused_and_kept() {
    let directory = Directory::new("corrupt");
    let server = Server::start("kv", &["--dir", directory.path()]);
    assert_answers(&server, &["SET tea hot", "SAVE"], &["+OK", "+OK"]);
    drop(server);
    let good = fs::read(directory.snapshot()).unwrap();
    let flipped = [&good[..30], &[good[30] ^ 1], &good[31..]].concat();
    for (bad, words) in [
        (flipped, ["at byte 16", "checksum"]),
        (good[..good.len() - 3].to_vec(), ["at byte ", "ends within a checksum"]),
        (Vec::new(), ["at byte 0", "ends within its first word"]),
        (b"REDIS0011\xfa\x09redis-ver".to_vec(), ["at byte 0", "not a snapshot of kv"]),
    ] {
        fs::write(directory.snapshot(), &bad).unwrap();
        let output = command("kv").args(["--addr", "127.0.0.1:0", "--dir", directory.path()]).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.starts_with("kv: read ") && message.contains("dump.kettle"), "{message}");
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
        assert!(output.stdout.is_empty());
        assert_eq!(fs::read(directory.snapshot()).unwrap(), bad);
    }
    let nowhere = directory.0.join("nowhere");
    let output = command("kv").args(["--addr", "127.0.0.1:0", "--dir", nowhere.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_snapshot_that_can_t_be_written_leaves_the_old_one_and_the_server() {
    let directory = Directory::new("full");
    for workers in WORKERS {
        // So many blocks of 512 bytes may a file have; who would write more is told, and not killed.
        let args = [workers, &["--dir", directory.path()]].concat();
        let server = Server::start_after("trap '' XFSZ; ulimit -f 8", "kv", &args);
        assert_answers(&server, &["FLUSHALL", "SET tea hot", "SAVE"], &["+OK", "+OK", "+OK"]);
        let old = fs::read(directory.snapshot()).unwrap();
        assert_answers(&server, &[&format!("SET big {}", "v".repeat(60_000))], &["+OK"]);
        for _ in 0..2 {
            let answer = String::from_utf8(ask(&server, b"SAVE\r\n")).unwrap();
            assert!(answer.starts_with("-ERR save: File too large"), "{answer}");
        }
        assert_eq!(fs::read(directory.snapshot()).unwrap(), old);
        assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 1);
        assert_answers(&server, &["GET tea", "DEL big", "SAVE"], &["$3\r\nhot", ":1", "+OK"]);
    }
}

#[test]
fn subscribers_of_all_workers_hear_what_is_published() {
    for workers in WORKERS {
        let server = Server::start("kv", workers);
        let subscribers: Vec<_> = (0..20)
            .map(|_| {
                let mut stream = BufReader::new(server.connect());
                stream.get_mut().write_all(b"HELLO 3\r\nSUBSCRIBE news\r\n").unwrap();
                while read_line(&mut stream) != ">3" {}
                (0..5).for_each(|_| _ = read_line(&mut stream));
                stream
            })
            .collect();
        assert_answers(&server, &["PUBLISH news tea", "PUBLISH olds tea"], &[":20", ":0"]);
        for mut stream in subscribers {
            for line in [">3", "$7", "message", "$4", "news", "$3", "tea"] {
                assert_eq!(read_line(&mut stream), line);
            }
            // In this version of the protocol a message can't be taken for an answer.
            stream.get_mut().write_all(b"GET nothing\r\n").unwrap();
            assert_eq!(read_line(&mut stream), "_");
        }
    }
}

fn read_line(stream: &mut impl BufRead) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    assert!(line.ends_with("\r\n"), "the end after {line:?}");
    line.trim_end().to_string()
}
