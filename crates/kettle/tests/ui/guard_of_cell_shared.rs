//! E0277: a guard of what may not be shared, shared with another thread.
use kettle::sync::Mutex;
use std::cell::Cell;

fn main() {
    let mutex = Mutex::new(Cell::new(1));
    let guard = mutex.lock().unwrap();
    std::thread::scope(|s| {
        s.spawn(|| guard.set(2));
    });
}
