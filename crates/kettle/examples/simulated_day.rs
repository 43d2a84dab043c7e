//! A day of a thousand nodes that chat, in a few seconds: each is a host of its own, listens, calls its neighbour, and
//! tells it something every minute or so. It prints how much happened, and how fast.
//!
//! `cargo run --release -p kettle --example simulated_day -- [NODES [HOURS [SEED]]]`

use kettle::net::{SocketAddr, TcpListener, TcpStream};
use kettle::testing::{Simulation, host};
use kettle::thread;
use kettle::time::Duration;
use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Write};
use std::rc::Rc;

/// Where a node lives.
fn address(node: u32) -> [u8; 4] {
    let [_, high, middle, low] = node.to_be_bytes();
    [10, high, middle, low]
}

/// What is heard of a neighbour, until the day is over.
fn listen(node: u32, heard: &Cell<u64>) -> io::Result<()> {
    let listener = TcpListener::bind(SocketAddr::from((address(node), 7000)))?;
    let mut said = BufReader::with_capacity(256, listener.accept()?.0);
    let mut line = String::new();
    while said.read_line(&mut line)? > 0 {
        assert!(line.starts_with("node ") && line.ends_with("boils\n"), "{line:?}");
        heard.set(heard.get() + 1);
        line.clear();
    }
    Ok(())
}

/// Tells a neighbour something every minute, give or take.
fn chat(node: u32, neighbour: u32, minutes: u64) -> io::Result<()> {
    let mut stream = TcpStream::connect(SocketAddr::from((address(neighbour), 7000)))?;
    for minute in 0..minutes {
        thread::sleep(Duration::from_millis(59_000 + (u64::from(node) * 7919 + minute * 104_729) % 2000));
        // In one piece, or in a few.
        stream.write_all(format!("node {node} says in minute {minute}: the water boils\n").as_bytes())?;
    }
    Ok(())
}

/// All of them. Gives how many lines were heard.
fn day(nodes: u32, minutes: u64) -> u64 {
    let heard = Rc::new(Cell::new(0));
    let mut tasks = Vec::new();
    for node in 0..nodes {
        host(address(node), || {
            let heard = Rc::clone(&heard);
            tasks.push(thread::spawn(move || listen(node, &heard)));
        });
    }
    // Everybody listens before somebody calls.
    thread::sleep(Duration::from_secs(1));
    for node in 0..nodes {
        host(address(node), || tasks.push(thread::spawn(move || chat(node, (node + 1) % nodes, minutes))));
    }
    for task in tasks {
        task.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).expect("nobody hangs up");
    }
    heard.get()
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|word| word.parse::<u64>().expect("a number"));
    let nodes = arguments.next().unwrap_or(1000) as u32;
    let hours = arguments.next().unwrap_or(24);
    let seed = arguments.next().unwrap_or(0);
    let start = std::time::Instant::now();
    let run = Simulation::new(seed).run(|| day(nodes, hours * 60));
    let real = start.elapsed().as_secs_f64();
    match run {
        Ok(run) => {
            let (lines, notes, time) = (run.value, run.trace.len(), run.trace.time());
            println!("{nodes} nodes, {:.1} hours: {lines} lines heard, {notes} events", time.as_secs_f64() / 3600.0);
            println!(
                "in {real:.2} seconds: {:.0} times as fast as time, {:.2} million events a second",
                time.as_secs_f64() / real,
                notes as f64 / real / 1e6
            );
            println!("hash {:016x}", run.trace.hash());
        }
        Err(failure) => println!("{failure}"),
    }
}
