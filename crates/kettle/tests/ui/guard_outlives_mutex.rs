//! E0597: a guard that outlives its mutex.
use kettle::sync::Mutex;

fn main() {
    let guard;
    {
        let mutex = Mutex::new(1);
        guard = mutex.lock().unwrap();
    }
    drop(guard);
}
