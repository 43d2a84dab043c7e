//! E0277: a broadcast of what may not be shared, on two threads.
use kettle::sync::broadcast;
use std::cell::Cell;

fn main() {
    let (sender, mut receiver) = broadcast::channel::<Cell<u32>>(1);
    std::thread::spawn(move || receiver.recv().map(|n| n.set(2)));
    _ = sender.send(Cell::new(3));
}
