//! Runs against small servers in the same process, good ones and bad ones: what is reported is what happened.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle::net::{TcpListener, TcpStream};
use kettle::thread;
use load::plan::Pace;
use load::{End, Failure, Leave, Load, Mode, Plan, Report};
use std::io::{self, Read, Write};
use std::time::Duration;

/// Runs a plan against a server that treats each connection so. `plan` changes what is not as usual.
fn run(mode: Mode, serve: fn(TcpStream) -> io::Result<()>, plan: impl FnOnce(&mut Plan)) -> Report {
    kettle::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut asked = Plan::new(listener.local_addr().unwrap(), mode);
        asked.end = End::Requests(500);
        plan(&mut asked);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                thread::spawn(move || serve(stream));
            }
        });
        Load::new(asked).run()
    })
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n])?,
        }
    }
}

fn greet(mut stream: TcpStream) -> io::Result<()> {
    let mut input = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            n => input.extend_from_slice(&buffer[..n]),
        }
        while let Some(end) = input.windows(4).position(|end| end == b"\r\n\r\n") {
            assert!(input.starts_with(b"GET / HTTP/1.1\r\n"));
            input.drain(..end + 4);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!")?;
        }
    }
}

/// Echoes, and changes every hundredth byte.
fn garble(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 100];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            n => {
                buffer[n - 1] ^= u8::from(n == buffer.len());
                stream.write_all(&buffer[..n])?;
            }
        }
    }
}

/// Echoes ten requests of a hundred bytes, and ends.
fn tire(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 100];
    for _ in 0..10 {
        stream.read_exact(&mut buffer)?;
        stream.write_all(&buffer)?;
    }
    Ok(())
}

fn only_error(report: &Report) -> Failure {
    assert_eq!(report.errors.len(), 1, "{:?}", report.errors);
    *report.errors.keys().next().unwrap()
}

#[test]
fn echoes_are_counted_checked_and_timed() {
    let report = run(Mode::Echo, echo, |_| {});
    assert!(report.is_good(), "{:?}", report.errors);
    assert_eq!((report.answered, report.connections, report.unanswered), (500, 8, 0));
    assert_eq!(report.bytes, 500 * 64);
    assert_eq!(report.latency.len(), 500);
    // No echo comes back sooner than this, or later than the end.
    assert!(report.latency.min() > 500, "{}", report.latency.min());
    assert!(u128::from(report.latency.min()) <= report.elapsed.as_nanos());
}

#[test]
fn sizes_and_depths_change_nothing_about_the_answers() {
    for (size, pipeline) in [(1, 1), (1, 100), (4096, 7), (100_000, 3), (3_000_000, 2)] {
        let report = run(Mode::Echo, echo, |plan| {
            (plan.size, plan.pipeline, plan.connections) = (size, pipeline, 3);
            plan.end = End::Requests(40);
        });
        assert!(report.is_good(), "{size} {pipeline}: {:?}", report.errors);
        assert_eq!((report.answered, report.bytes), (40, 40 * size as u64));
    }
}

#[test]
fn http_answers_are_checked_pipelined_or_not() {
    for pipeline in [1, 16] {
        let report = run(Mode::Http, greet, |plan| plan.pipeline = pipeline);
        assert!(report.is_good(), "{:?}", report.errors);
        assert_eq!((report.answered, report.connections), (500, 8));
    }
    assert_eq!(only_error(&run(Mode::Http, echo, |_| {})), Failure::Wrong);
}

#[test]
fn churn_has_a_connection_for_each_request() {
    let report = run(Mode::Churn, echo, |_| {});
    assert!(report.is_good(), "{:?}", report.errors);
    assert_eq!((report.answered, report.connections, report.unanswered), (500, 500, 0));
}

#[test]
fn time_ends_a_run_and_a_pace_holds_it_back() {
    let report = run(Mode::Echo, echo, |plan| {
        plan.end = End::After(Duration::from_millis(200));
        plan.pace = Pace::PerSecond(1000.0);
    });
    assert!(report.is_good(), "{:?}", report.errors);
    // All that were due, however slow this machine is.
    assert_eq!(report.answered, 200);
    assert!(report.elapsed >= Duration::from_millis(199));

    let churn = run(Mode::Churn, echo, |plan| {
        plan.end = End::Requests(50);
        plan.pace = Pace::PerSecond(1000.0);
    });
    assert_eq!((churn.is_good(), churn.answered), (true, 50));
}

#[test]
fn connections_that_are_left_in_any_way_are_no_errors() {
    for (mode, size, pipeline) in
        [(Mode::Echo, 64, 1), (Mode::Echo, 1, 4), (Mode::Echo, 300_000, 2), (Mode::Churn, 64, 1)]
    {
        let report = run(mode, echo, |plan| {
            (plan.disconnect, plan.seed, plan.size, plan.pipeline) = (0.2, 42, size, pipeline);
        });
        assert!(report.is_good(), "{mode} {size}: {:?}", report.errors);
        assert!((50..150).contains(&report.disconnects()), "{mode} {size}: {:?}", report.left);
        assert!(Leave::ALL.iter().all(|how| report.left.contains_key(how)), "{mode} {size}: {:?}", report.left);
        // Some answers come before the connection is left.
        assert_eq!(report.answered + report.unanswered, 500, "{mode} {size}");
    }
    let all = run(Mode::Http, greet, |plan| (plan.disconnect, plan.pipeline) = (1.0, 4));
    assert_eq!((all.is_good(), all.answered + all.unanswered, all.disconnects()), (true, 500, 500), "{:?}", all.errors);
}

#[test]
fn a_seed_decides_how_connections_are_left() {
    let left = |seed| {
        let report = run(Mode::Echo, echo, |plan| {
            (plan.disconnect, plan.seed, plan.connections) = (0.1, seed, 1);
        });
        (report.left, report.connections)
    };
    assert_eq!(left(7), left(7));
    assert_ne!(left(7), left(8));
}

/// Answers only when the client has said that there is no more: what a half-closed connection is owed.
fn answer_at_the_end(mut stream: TcpStream) -> io::Result<()> {
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard)?;
    stream.write_all(&heard)
}

/// Takes a request, and ends when the client has said that there is no more.
fn owe(mut stream: TcpStream) -> io::Result<()> {
    io::copy(&mut stream, &mut io::sink()).map(drop)
}

#[test]
fn a_half_closed_connection_is_owed_its_answers() {
    let once = |serve, seed| {
        run(Mode::Churn, serve, |plan| {
            (plan.disconnect, plan.seed, plan.connections) = (1.0, seed, 1);
            plan.end = End::Requests(1);
        })
    };
    // One whose first connection is left so.
    let seed = (1..100).find(|seed| once(echo, *seed).left.contains_key(&Leave::HalfClosed)).unwrap();
    let good = once(answer_at_the_end, seed);
    assert_eq!((good.is_good(), good.answered), (true, 1));
    let bad = once(owe, seed);
    assert_eq!((only_error(&bad), bad.disconnects(), bad.unanswered), (Failure::Closed, 0, 1));
}

#[test]
fn one_changed_byte_is_an_error() {
    assert_eq!(only_error(&run(Mode::Echo, garble, |plan| plan.size = 100)), Failure::Wrong);
}

#[test]
fn a_server_that_ends_early_is_an_error_and_is_connected_to_again() {
    let report = run(Mode::Echo, tire, |plan| {
        (plan.size, plan.connections) = (100, 2);
        plan.end = End::Requests(40);
    });
    assert!(!report.is_good());
    // It may end before the next request or after it.
    assert_eq!(report.answered + report.unanswered, 40);
    assert!(report.connections >= 4 && report.answered >= 30, "{report:?}");
}

#[test]
fn a_server_that_is_not_there_is_given_up() {
    let report = kettle::run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // A client's port: taken, and nobody listens there.
        let taken = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Load::new(Plan { connections: 2, ..Plan::new(taken.local_addr().unwrap(), Mode::Echo) }).run()
    });
    let error = only_error(&report).to_string();
    assert!(error.starts_with("connect: Connection refused"), "{error}");
    assert_eq!((report.answered, report.connections), (0, 0));
}
