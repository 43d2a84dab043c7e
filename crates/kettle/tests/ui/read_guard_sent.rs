//! E0277: a reader's guard that goes to another thread.
use kettle::sync::RwLock;

fn main() {
    let lock = RwLock::new(1);
    let guard = lock.read().unwrap();
    std::thread::scope(|s| {
        s.spawn(move || drop(guard));
    });
}
