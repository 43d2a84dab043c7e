//! accepted: what the others do wrong with locks, done right.
use kettle::sync::{LazyLock, Mutex, OnceLock, RwLock, Semaphore};
use std::cell::Cell;

fn main() {
    let mutex = Mutex::new(Cell::new(1));
    let lock = RwLock::new(1);
    let cell = OnceLock::from(1);
    let n = 1;
    let lazy = LazyLock::new(move || n);
    let permits = Semaphore::new(1);
    let permit = permits.acquire(1).unwrap();
    let guard = lock.read().unwrap();
    std::thread::scope(|s| {
        s.spawn(|| mutex.lock().unwrap().set(2));
        s.spawn(|| *guard + *cell.get().unwrap() + *lazy);
        s.spawn(move || drop(permit));
    });
    drop(guard);
}
