//! E0277: a cell whose value may not be shared, on two threads.
use kettle::sync::OnceLock;
use std::cell::Cell;

fn main() {
    let cell = OnceLock::from(Cell::new(1));
    std::thread::scope(|s| {
        s.spawn(|| cell.get().unwrap().set(2));
    });
}
