//! The key-value server and other people's programs: Redis' command line, its benchmark, and Python's client.
//!
//! What is not installed is skipped, and said: `apt-get install redis-tools`, `pip install redis`.

use crate::server::Server;
use std::io::Write;
use std::process::Command;

/// Whether a program can be run. Says if not.
pub(crate) fn is_there(program: &str, args: &[&str]) -> bool {
    let output = Command::new(program).args(args).output();
    let is_there = output.is_ok_and(|output| output.status.success());
    if !is_there {
        // Past the test's own capture: nobody would read it there.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "SKIPPED: `{program} {}` can't be run here", args.join(" ")).unwrap();
    }
    is_there
}

/// What a program prints that succeeds.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let [said, complained] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{command:?}: {said}{complained}");
    said
}

#[test]
fn redis_cli_talks_to_it() {
    if !is_there("redis-cli", &["--version"]) {
        return;
    }
    for workers in ["1", "3"] {
        let server = Server::start("kv", &["--workers", workers]);
        let port = server.addr.port().to_string();
        let cli = |args: &[&str]| output(Command::new("redis-cli").args(["-p", &port]).args(args));
        assert_eq!(cli(&["SET", "tea", "two words"]), "OK\n");
        assert_eq!(cli(&["GET", "tea"]), "two words\n");
        assert_eq!(cli(&["-3", "MGET", "tea", "none"]), "two words\n\n");
        assert_eq!(cli(&["KEYS", "*"]), "tea\n");
        assert_eq!(cli(&["DBSIZE"]), "1\n");
        assert!(cli(&["INFO"]).contains("db0:keys=1"));
    }
}

#[test]
fn redis_benchmark_loads_it() {
    if !is_there("redis-benchmark", &["--version"]) {
        return;
    }
    for workers in ["1", "3"] {
        let server = Server::start("kv", &["--workers", workers]);
        let port = server.addr.port().to_string();
        for pipeline in ["1", "16"] {
            let load = ["-t", "ping,set,get,incr,mset", "-n", "2000", "-r", "100", "-c", "20", "--csv"];
            let said = output(Command::new("redis-benchmark").args(["-p", &port, "-P", pipeline]).args(load));
            for name in ["PING_INLINE", "SET", "GET", "INCR", "MSET (10 keys)"] {
                assert!(said.contains(&format!("\"{name}\",")), "{said}");
            }
        }
    }
}

const PYTHON: &str = r#"
import sys, redis
for protocol in (2, 3):
    r = redis.Redis(port=int(sys.argv[1]), protocol=protocol)
    r.flushall()
    assert r.set("tea", b"\x00hot\r\n", ex=60) and r.get("tea") == b"\x00hot\r\n" and r.get("none") is None
    assert 0 < r.ttl("tea") <= 60 and r.ttl("none") == -2 and r.persist("tea") and r.ttl("tea") == -1
    assert r.set("tea", "x", nx=True) is None and r.set("tea", "y", xx=True, get=True) == b"\x00hot\r\n"
    assert r.mset({"a": 1, "b": 2, "c": 3}) and r.mget("a", "none", "c") == [b"1", None, b"3"]
    assert r.incr("a") == 2 and r.incrby("a", 40) == 42 and r.decr("a") == 41
    assert r.exists("a", "b", "none") == 2 and r.delete("a", "b", "none") == 2
    assert sorted(r.keys("*")) == [b"c", b"tea"] and r.dbsize() == 2
    pipe = r.pipeline(transaction=False)
    for n in range(1000):
        pipe.set(f"k{n}", n).get(f"k{n}")
    assert pipe.execute() == [x for n in range(1000) for x in (True, b"%d" % n)]
    try:
        r.incr("tea")
        assert False, "incr of a word"
    except redis.ResponseError as error:
        assert "not an integer" in str(error)
    listener = r.pubsub(ignore_subscribe_messages=False)
    listener.subscribe("news", "olds")
    assert [listener.get_message(timeout=10)["type"] for _ in "12"] == ["subscribe", "subscribe"]
    assert r.publish("news", "tea") == 1
    message = listener.get_message(timeout=10)
    assert (message["channel"], message["data"]) == (b"news", b"tea"), message
    listener.unsubscribe()
    assert [listener.get_message(timeout=10)["type"] for _ in "12"] == ["unsubscribe", "unsubscribe"]
    assert r.info()["redis_version"] and r.config_get("save") == {"save": ""} and r.client_id() > 0
print("done")
"#;

#[test]
fn python_s_client_talks_to_it() {
    if !is_there("python3", &["-c", "import redis"]) {
        return;
    }
    for workers in ["1", "3"] {
        let server = Server::start("kv", &["--workers", workers]);
        let port = server.addr.port().to_string();
        assert_eq!(output(Command::new("python3").args(["-c", PYTHON, &port])), "done\n");
    }
}
