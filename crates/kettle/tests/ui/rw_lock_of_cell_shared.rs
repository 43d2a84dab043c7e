//! E0277: a lock whose readers would share what may not be shared, on two threads.
use kettle::sync::RwLock;
use std::cell::Cell;

fn main() {
    let lock = RwLock::new(Cell::new(1));
    std::thread::scope(|s| {
        s.spawn(|| lock.read().unwrap().set(2));
    });
}
