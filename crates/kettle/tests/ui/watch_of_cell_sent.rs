//! E0277: a watch of what may not be shared, on two threads.
use kettle::sync::watch;
use std::cell::Cell;

fn main() {
    let (sender, mut receiver) = watch::channel(Cell::new(1));
    std::thread::spawn(move || receiver.changed().map(|n| n.set(2)));
    sender.get().set(3);
}
