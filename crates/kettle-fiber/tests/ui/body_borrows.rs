//! E0373: an owned coroutine whose body borrows: it could be forgotten, and the borrow would stay.
use kettle_fiber::{Yielder, coroutine};

fn main() {
    let text = String::from("borrowed");
    let mut co = coroutine(|y: &mut Yielder<usize>| y.yield_(text.len()));
    co.next();
}
