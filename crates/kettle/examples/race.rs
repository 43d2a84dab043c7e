//! Finds a race: two clerks write down what was sold, and look before they write. Whether a sale is lost depends on who
//! runs when. `explore` tries one order after the other, and tells the least that has to happen, and the seed.
//!
//! `cargo run -p kettle --example race`; with `KETTLE_SEED` as it says, the same again.

use kettle::net::{TcpListener, TcpStream};
use kettle::testing::Simulation;
use kettle::thread;
use std::cell::Cell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::time::Instant;

/// The cups that were sold, on a slate which everybody reads and writes.
#[derive(Clone, Default)]
struct Slate(Rc<Cell<u32>>);

/// Serves two clients that sell a cup each. Gives how many cups are on the slate in the end.
fn sell() -> std::io::Result<u32> {
    let slate = Slate::default();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let sellers: Vec<_> = (0..2).map(|_| thread::spawn(move || TcpStream::connect(addr)?.read(&mut [0]))).collect();
    let clients = [listener.accept()?.0, listener.accept()?.0];
    let clerks = clients.map(|mut client| {
        let slate = slate.clone();
        thread::spawn(move || {
            let sold = slate.0.get();
            // A write may wait, and the other clerk look at the slate meanwhile: this is the bug.
            client.write_all(b"!")?;
            slate.0.set(sold + 1);
            std::io::Result::Ok(())
        })
    });
    for task in clerks {
        task.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    }
    for task in sellers {
        task.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    }
    Ok(slate.0.get())
}

fn main() {
    let start = Instant::now();
    let found = Simulation::new(0).explore(0..1000, || {
        let sold = sell().expect("the network is there");
        assert_eq!(sold, 2, "a sale is lost");
    });
    match found {
        Ok(seeds) => println!("no sale was lost in {seeds} runs"),
        Err(failure) => println!("{failure}"),
    }
    println!("looked for {:.3} seconds", start.elapsed().as_secs_f64());
}
