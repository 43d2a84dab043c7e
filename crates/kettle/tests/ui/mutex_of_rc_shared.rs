//! E0277: a mutex of what may not go to another thread, shared with one.
use kettle::sync::Mutex;
use std::rc::Rc;

fn main() {
    let mutex = Mutex::new(Rc::new(1));
    std::thread::scope(|s| {
        s.spawn(|| drop(mutex.lock()));
    });
}
