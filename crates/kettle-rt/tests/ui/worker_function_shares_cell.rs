//! E0277: a function that is called on several threads, and shares a cell among them.
use kettle_rt::workers::workers;
use std::cell::Cell;

fn main() {
    let count = Cell::new(0);
    let _ = workers(2).run(|_| count.set(1));
}
