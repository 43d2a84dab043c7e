//! E0277: a value computed by a function that may not go to another thread, on two threads.
use kettle::sync::LazyLock;
use std::rc::Rc;

fn main() {
    let n = Rc::new(1);
    let lazy = LazyLock::new(move || *n);
    std::thread::scope(|s| {
        s.spawn(|| *lazy);
    });
}
