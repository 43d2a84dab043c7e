//! The chat room: who hears what, and that nobody waits for somebody else.

use crate::server::Server;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects, and is asked for a name.
    fn connect(server: &Server) -> Self {
        let mut client = Self { stream: BufReader::new(server.connect()) };
        client.hears("* welcome; your name?");
        client
    }

    fn enter(server: &Server, name: &str, present: &str) -> Self {
        let mut client = Self::connect(server);
        client.says(name);
        client.hears(format!("* hello {name}; also here: {present}").trim_end());
        client
    }

    fn says(&mut self, line: &str) {
        self.stream.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the end after {line:?}");
        line.trim_end().to_string()
    }

    fn hears(&mut self, line: &str) {
        assert_eq!(self.line(), line);
    }

    fn hears_the_end(&mut self) {
        let mut line = String::new();
        assert_eq!(self.stream.read_line(&mut line).unwrap(), 0, "{line}");
    }
}

#[test]
fn three_clients_hear_each_other_come_talk_and_go() {
    let server = Server::start("chat", &[]);
    let mut ann = Client::enter(&server, "ann", "");
    let mut bob = Client::enter(&server, "bob", "ann");
    ann.hears("* bob has joined");
    let mut cem = Client::enter(&server, "cem", "ann, bob");
    ann.hears("* cem has joined");
    bob.hears("* cem has joined");

    ann.says("tea, anyone?");
    bob.hears("ann: tea, anyone?");
    cem.hears("ann: tea, anyone?");
    cem.says("");
    cem.says("with milk\r");
    // Nobody hears what he said himself, or nothing.
    ann.hears("cem: with milk");
    bob.hears("cem: with milk");

    drop(bob);
    ann.hears("* bob has left");
    cem.hears("* bob has left");
    // What was on its way to somebody who has only stopped talking still comes.
    ann.says("all the more for us");
    cem.hears("ann: all the more for us");
    cem.stream.get_ref().shutdown(Shutdown::Write).unwrap();
    ann.hears("* cem has left");
    cem.hears_the_end();
    // The name is free.
    Client::enter(&server, "cem", "ann");
}

#[test]
fn a_name_is_a_word_and_one_client_s() {
    let server = Server::start("chat", &[]);
    let _ann = Client::enter(&server, "ann", "");
    let mut other = Client::connect(&server);
    for bad in ["", "two words", "seventeen-letters", "\u{1b}[31m", "é"] {
        other.says(bad);
        other.hears("* a name is 1 to 16 letters, digits, - or _; yours?");
    }
    other.says("ann");
    other.hears("* ann is here already; your name?");
    other.says("ann-2");
    other.hears("* hello ann-2; also here: ann");
}

#[test]
fn lines_are_cut_and_cleaned() {
    let server = Server::start("chat", &[]);
    let mut ann = Client::enter(&server, "ann", "");
    let mut bob = Client::enter(&server, "bob", "ann");
    ann.hears("* bob has joined");
    let long = "x".repeat(100_000);
    ann.says(&long);
    bob.hears(&format!("ann: {}", &long[..512]));
    ann.says(&long[..512]);
    bob.hears(&format!("ann: {}", &long[..512]));
    ann.says("\u{1b}]0;title\u{7}茶");
    bob.hears("ann: ]0;title茶");
    ann.stream.get_mut().write_all(b"\xff\n").unwrap();
    bob.hears("ann: \u{fffd}");
    // The last line needs no end.
    ann.stream.get_mut().write_all(b"bye").unwrap();
    ann.stream.get_ref().shutdown(Shutdown::Write).unwrap();
    bob.hears("ann: bye");
    bob.hears("* ann has left");
}

#[test]
fn a_client_that_takes_nothing_is_shut_out_and_stalls_nobody() {
    const LINES: usize = 100;
    let server = Server::start("chat", &[]);
    let mut ann = Client::enter(&server, "ann", "");
    let mut bob = Client::enter(&server, "bob", "ann");
    ann.hears("* bob has joined");
    let _slow = Client::enter(&server, "slow", "ann, bob");
    ann.hears("* slow has joined");
    bob.hears("* slow has joined");

    // Far more than the system keeps for a connection. Bob says when he has heard a round: what is on its way to him never
    // fills his queue.
    let line = "x".repeat(500);
    let mut has_left = false;
    for round in 0.. {
        assert!(round < 2_000, "100 MB are not too much for it");
        let talker = thread::spawn({
            let mut stream = ann.stream.get_ref().try_clone().unwrap();
            let round = format!("{line}\n").repeat(LINES);
            move || stream.write_all(round.as_bytes()).unwrap()
        });
        let mut heard = 0;
        while heard < LINES {
            match bob.line() {
                said if said == "* slow has left" => has_left = true,
                said => {
                    assert_eq!(said, format!("ann: {line}"));
                    heard += 1;
                }
            }
        }
        talker.join().unwrap();
        if has_left {
            break;
        }
    }
    ann.hears("* slow has left");
    bob.says("nobody waits");
    ann.hears("bob: nobody waits");
}

#[test]
fn a_client_that_resets_has_left() {
    let server = Server::start("chat", &[]);
    let mut ann = Client::enter(&server, "ann", "");
    let bob = Client::enter(&server, "bob", "ann");
    ann.hears("* bob has joined");
    ann.says("unread");
    bob.stream.get_ref().peek(&mut [0]).unwrap();
    drop(bob);
    ann.hears("* bob has left");
}
