//! E0277: a mutex's guard that goes to another thread.
use kettle::sync::Mutex;

fn main() {
    let mutex = Mutex::new(1);
    let guard = mutex.lock().unwrap();
    std::thread::scope(|s| {
        s.spawn(move || drop(guard));
    });
}
