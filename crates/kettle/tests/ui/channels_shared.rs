//! accepted: what may go to other threads, there: the twin of those that are refused.
use kettle::sync::{broadcast, channel, mpsc, select, watch};
use kettle::thread;

fn main() {
    let (sender, receiver) = mpsc::channel::<u32>();
    std::thread::spawn(move || receiver.recv());
    std::thread::scope(|s| {
        s.spawn(|| sender.send(1));
        s.spawn(|| sender.send(2));
    });
    let (sender, receiver) = channel::unbounded::<u32>();
    sender.send(1).unwrap();
    std::thread::scope(|s| {
        s.spawn(|| receiver.recv());
    });
    let (_sender, mut receiver) = watch::channel(1);
    std::thread::spawn(move || receiver.changed().map(|n| *n));
    let (_sender, mut receiver) = broadcast::channel::<u32>(1);
    std::thread::spawn(move || receiver.recv());
    kettle::run(|| {
        let mut task = thread::spawn(|| ());
        let mut arm = select::join(&mut task);
        let mut select = select::Select::new();
        select.add(&mut arm);
        select.wait();
        task.join().unwrap();
    });
}
