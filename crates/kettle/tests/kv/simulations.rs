//! The whole server in simulations, with as many shards as there are to be: all of them on one event loop, so that it
//! is the seed that says which one comes first.

use crate::client::Client;
use crate::pubsub::MOST_QUEUED;
use crate::random::Random;
use crate::script::SCRIPT;
use crate::server::Server;
use kettle::net::{SocketAddr, TcpListener};
use kettle::testing::Simulation;
use kettle::thread;
use kettle::time::Duration;

/// A server of so many shards in the simulation that runs.
fn serve(shards: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:6379").unwrap();
    Server::load(shards, None).unwrap().spawn(&listener).unwrap();
    listener.local_addr().unwrap()
}

fn simulate<T>(seed: u64, f: impl FnOnce() -> T) -> T {
    let simulation = Simulation::new(seed).short_once_in(3);
    simulation.run(f).unwrap_or_else(|failure| panic!("{failure}")).value
}

/// Commands at random on a few keys, many of them with several.
fn commands(seed: u64, count: usize) -> Vec<String> {
    let mut random = Random::new(seed);
    let mut command = || {
        let mut key = || format!("k{}", random.below(6));
        let (one, two, three) = (key(), key(), key());
        let number = random.below(1000);
        match random.below(25) {
            0 => format!("GET {one}"),
            1 => format!("SET {one} {number}"),
            2 => format!("SET {one} v{number} NX"),
            3 => format!("SET {one} {number} XX GET"),
            4 => format!("INCRBY {one} {number}"),
            5 => format!("MSET {one} 1 {two} {number} {three} 3"),
            6 | 7 => format!("MGET {one} {two} {three} {one} none"),
            8 => format!("DEL {one} {two}"),
            9 => format!("EXISTS {one} {two} {three} {three}"),
            10 => format!("APPEND {one} {number}"),
            11 => format!("STRLEN {one}"),
            12 => format!("EXPIRE {one} {number}"),
            13 => format!("PERSIST {one}"),
            14 => format!("PEXPIRE {one} -1"),
            15 => format!("TYPE {one}"),
            16 => "DBSIZE".to_string(),
            17 => format!("GETDEL {one}"),
            18 => format!("MSET {one} 1 {two}"),
            19 => "GET".to_string(),
            20 => format!("SET {one} 1 EX 0"),
            21 => format!("PUBLISH {one} tea"),
            22 => "NOTHING 1 2".to_string(),
            // A few of these are more than goes at once.
            23 if number < 100 => format!("SET {one} {}", "v".repeat(200 * number)),
            _ if number < 100 => "FLUSHALL".to_string(),
            _ => format!("PING {number}"),
        }
    };
    (0..count).map(|_| command()).collect()
}

/// What is answered to commands that come in batches.
fn answers(seed: u64, shards: usize, commands: &[String]) -> Vec<String> {
    // This client does not read while it sends: there is room for all of it.
    let simulation = Simulation::new(seed).short_once_in(3).capacity(1 << 30);
    let run = simulation.run(|| {
        let mut client = Client::connect(serve(shards));
        let mut random = Random::new(seed);
        let (mut rest, mut answers) = (commands, Vec::new());
        while !rest.is_empty() {
            let (batch, behind) = rest.split_at(rest.len().min(1 + random.below(40)));
            client.send(batch);
            answers.extend(batch.iter().map(|_| client.answer()));
            rest = behind;
        }
        answers
    });
    run.unwrap_or_else(|failure| panic!("{failure}")).value
}

#[test]
fn the_answers_are_the_same_with_any_number_of_shards() {
    for seed in 0..40 {
        let commands = commands(seed, 300);
        let expected = answers(seed, 1, &commands);
        for shards in [2, 3, 7] {
            let found = answers(seed, shards, &commands);
            for (at, command) in commands.iter().enumerate() {
                assert_eq!(found[at], expected[at], "seed {seed}, {shards} shards, number {at}: {command}");
            }
        }
    }
}

#[test]
fn the_answers_are_those_of_the_script() {
    for shards in [1, 3] {
        // Nothing takes any time, so that it is known how much of it is left.
        let simulation = Simulation::new(7).latency(Duration::ZERO..=Duration::ZERO);
        let run = simulation.run(|| {
            let mut client = Client::connect(serve(shards));
            for (command, answer) in SCRIPT {
                assert_eq!(client.ask(command), answer, "{command} with {shards} shards");
            }
            assert!(client.try_answer().is_err(), "the connection goes on");
        });
        run.unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn keys_expire_when_they_should_and_are_removed_without_being_asked_for() {
    for shards in [1, 3] {
        simulate(1, || {
            let mut client = Client::connect(serve(shards));
            for n in 0..500 {
                client.ask(&format!("SET key{n} v PX 10000"));
            }
            client.ask("SET stays v");
            let begin = client.ask("PTTL key499");
            thread::sleep(Duration::from_secs(5));
            assert_eq!(client.ask("DBSIZE"), ":501", "{begin}");
            assert_eq!(client.ask("GET key499"), "v");
            thread::sleep(Duration::from_secs(5));
            assert_eq!(client.ask("GET key0"), "nil");
            assert_eq!(client.ask("DBSIZE"), ":1");
        });
    }
}

#[test]
fn each_subscriber_hears_everything_in_its_order_on_every_shard() {
    for seed in 0..20 {
        simulate(seed, || {
            let addr = serve(3);
            let listen = |_| {
                let mut client = Client::connect(addr);
                assert_eq!(client.ask("SUBSCRIBE news"), "[subscribe news :1]");
                client
            };
            let subscribers: Vec<_> = (0..5).map(listen).collect();
            let mut publisher = Client::connect(addr);
            let messages: Vec<_> = (0..50).map(|n| format!("PUBLISH news {n}")).collect();
            publisher.send(&messages);
            messages.iter().for_each(|_| assert_eq!(publisher.answer(), ":5"));
            for mut subscriber in subscribers {
                for n in 0..50 {
                    assert_eq!(subscriber.answer(), format!("[message news {n}]"));
                }
                assert!(subscriber.ask("GET k").starts_with("-ERR Can't execute 'GET'"));
                assert_eq!(subscriber.ask("PING"), "[pong ]");
                assert_eq!(subscriber.ask("UNSUBSCRIBE news"), "[unsubscribe news :0]");
                assert_eq!(subscriber.ask("UNSUBSCRIBE"), "[unsubscribe nil :0]");
                assert_eq!(subscriber.ask("GET k"), "nil");
            }
            assert_eq!(publisher.ask("PUBLISH news late"), ":0");
        });
    }
}

#[test]
fn a_subscriber_that_goes_is_forgotten_and_one_that_does_not_read_is_shut_out() {
    simulate(3, || {
        let addr = serve(2);
        let mut deaf = Client::connect(addr);
        deaf.ask("SUBSCRIBE news");
        let mut gone = Client::connect(addr);
        gone.ask("SUBSCRIBE news");
        let mut publisher = Client::connect(addr);
        assert_eq!(publisher.ask("PUBLISH news 1"), ":2");
        drop(gone);
        thread::sleep(Duration::from_secs(1));
        assert_eq!(publisher.ask("PUBLISH news 1"), ":1");
        let message = format!("PUBLISH news {}", "x".repeat(60_000));
        let most = 2 * MOST_QUEUED / 60_000;
        let heard = (0..most).take_while(|_| publisher.ask(&message) == ":1").count();
        assert!(heard < most, "it is never shut out");
        assert!(heard > MOST_QUEUED / 60_000 - 1, "shut out after {heard}");
    });
}

#[test]
fn what_is_acknowledged_is_there_although_connections_break() {
    for seed in 0..30 {
        for shards in [1, 3] {
            let simulation = Simulation::new(seed).reset_once_in(60).short_once_in(3);
            let run = simulation.run(|| {
                let addr = serve(shards);
                // How often a client has asked, and has had an answer. Four at a time, and the first connection is the
                // last.
                let count = move |key: usize| {
                    let (mut asked, mut answered) = (0, 0);
                    let Ok(mut client) = Client::try_connect(addr) else { return (asked, answered) };
                    for _ in 0..25 {
                        asked += 4;
                        if client.try_send(&[0; 4].map(|_| format!("INCR sum{key}"))).is_err() {
                            break;
                        }
                        let heard = (0..4).take_while(|_| client.try_answer().is_ok()).count();
                        answered += heard;
                        if heard < 4 {
                            break;
                        }
                    }
                    (asked, answered)
                };
                let clients: Vec<_> = (0..4).map(|key| thread::spawn(move || count(key))).collect();
                for (key, client) in clients.into_iter().enumerate() {
                    let (asked, answered) = client.join().unwrap();
                    let sum = loop {
                        let command = [format!("INCRBY sum{key} 0")];
                        let Ok(mut client) = Client::try_connect(addr) else { continue };
                        if client.try_send(&command).is_ok()
                            && let Ok(answer) = client.try_answer()
                        {
                            break answer[1..].parse::<usize>().unwrap();
                        }
                    };
                    assert!((answered..=asked).contains(&sum), "{answered} answered, {asked} asked, {sum} done");
                }
            });
            run.unwrap_or_else(|failure| panic!("{failure}"));
        }
    }
}

#[test]
fn answers_before_hello_have_the_old_form_on_every_shard() {
    for shards in [1, 2, 3, 7] {
        simulate(1, || {
            let mut client = Client::connect(serve(shards));
            let gets = (0..10).map(|n| format!("GET none{n}"));
            let commands: Vec<_> = gets.clone().chain(["HELLO 3".to_string()]).chain(gets).collect();
            client.send(&commands);
            let answers: Vec<_> = commands.iter().map(|_| client.answer()).collect();
            assert!(answers[..10].iter().all(|answer| answer == "nil"), "{shards} shards: {answers:?}");
            assert!(answers[11..].iter().all(|answer| answer == "_"), "{shards} shards: {answers:?}");
        });
    }
}

#[test]
fn no_message_comes_after_the_end_of_a_subscription() {
    for seed in 0..20 {
        simulate(seed, || {
            let addr = serve(2);
            let mut subscriber = Client::connect(addr);
            subscriber.ask("SUBSCRIBE news");
            let mut publisher = Client::connect(addr);
            // More than goes on the way while nobody reads; and some come when the end is on its way.
            let message = format!("PUBLISH news {}", "x".repeat(60_000));
            (0..40).for_each(|_| _ = publisher.ask(&message));
            subscriber.send(&["UNSUBSCRIBE", "PING after"].map(str::to_string));
            let publisher = thread::spawn(move || (0..20).for_each(|_| _ = publisher.ask(&message)));
            let messages =
                std::iter::repeat_with(|| subscriber.answer()).take_while(|answer| !answer.contains("unsubscribe"));
            assert!(messages.count() >= 40, "seed {seed}");
            assert_eq!(subscriber.answer(), "after", "seed {seed}");
            publisher.join().unwrap();
        });
    }
}
