//! Models of the locks: loom tries all orders in which two or three threads can meet, those that give up included. Run by
//! `RUSTFLAGS="--cfg loom" cargo test --release -p kettle --test loom_sync`; otherwise there is nothing in here.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle::sync::{Condvar, Mutex, OnceLock, RwLock, Semaphore, model};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Tries all orders with no more than so many switches where none had to be.
fn check(f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(f);
}

/// What loom watches: whoever reaches it while another one does fails the test.
struct Watched(UnsafeCell<u32>);

// SAFETY: loom finds out whether two are there at once, which is what the tests are for.
unsafe impl Sync for Watched {}

impl Watched {
    fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    fn add(&self) {
        // SAFETY: the lock around it, or loom complains.
        self.0.with_mut(|value| unsafe { *value += 1 });
    }

    fn get(&self) -> u32 {
        // SAFETY: as above.
        self.0.with(|value| unsafe { *value })
    }
}

/// Runs a function as a task that has been cancelled. Whether it was unwound.
fn cancelled(f: impl FnOnce()) -> bool {
    cancelled_after(0, f)
}

/// The same, cancelled when it has waited so many times.
fn cancelled_after(waits: usize, f: impl FnOnce()) -> bool {
    model::cancel_after(waits);
    let unwound = catch_unwind(AssertUnwindSafe(f)).is_err();
    model::cancel_after(usize::MAX);
    unwound
}

#[test]
fn a_mutex_is_one_s_at_a_time_and_nobody_is_forgotten() {
    check(|| {
        let mutex = Arc::new(Mutex::new(Watched::new()));
        let others = [(); 2].map(|()| {
            let mutex = Arc::clone(&mutex);
            thread::spawn(move || mutex.lock().unwrap().add())
        });
        mutex.lock().unwrap().add();
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(mutex.try_lock().unwrap().get(), 3);
    });
}

#[test]
fn a_mutex_that_two_lock_twice_is_handed_over() {
    check(|| {
        let mutex = Arc::new(Mutex::new(Watched::new()));
        let twice = |mutex: Arc<Mutex<Watched>>| (0..2).for_each(|_| mutex.lock().unwrap().add());
        let other = thread::spawn({
            let mutex = Arc::clone(&mutex);
            move || twice(mutex)
        });
        twice(Arc::clone(&mutex));
        other.join().unwrap();
        assert_eq!(mutex.try_lock().unwrap().get(), 4);
    });
}

#[test]
fn who_gives_up_waiting_for_a_mutex_takes_nobody_s_turn() {
    check(|| {
        let mutex = Arc::new(Mutex::new(Watched::new()));
        let gives_up = thread::spawn({
            let mutex = Arc::clone(&mutex);
            move || cancelled(|| mutex.lock().unwrap().add())
        });
        let waits = thread::spawn({
            let mutex = Arc::clone(&mutex);
            move || mutex.lock().unwrap().add()
        });
        mutex.lock().unwrap().add();
        let gave_up = gives_up.join().unwrap();
        waits.join().unwrap();
        assert_eq!(mutex.try_lock().unwrap().get(), if gave_up { 2 } else { 3 });
    });
}

#[test]
fn a_mutex_that_was_handed_to_who_gives_up_goes_to_the_next() {
    check(|| {
        let mutex = Arc::new(Mutex::new(Watched::new()));
        let gives_up = thread::spawn({
            let mutex = Arc::clone(&mutex);
            // Woken in vain once, it is handed the mutex the next time.
            move || cancelled_after(1, || mutex.lock().unwrap().add())
        });
        (0..3).for_each(|_| mutex.lock().unwrap().add());
        let gave_up = gives_up.join().unwrap();
        assert_eq!(mutex.try_lock().unwrap().get(), if gave_up { 3 } else { 4 });
    });
}

#[test]
fn a_notice_is_not_lost_between_giving_the_mutex_back_and_waiting() {
    check(|| {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let other = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                *shared.0.lock().unwrap() = true;
                shared.1.notify_one();
            }
        });
        let guard = shared.1.wait_while(shared.0.lock().unwrap(), |said| !*said).unwrap();
        assert!(*guard);
        drop(guard);
        other.join().unwrap();
    });
}

#[test]
fn a_notice_that_a_cancelled_one_got_goes_to_another() {
    check(|| {
        let shared = Arc::new((Mutex::new(0), Condvar::new()));
        let gives_up = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                cancelled(|| {
                    let mut guard = shared.0.lock().unwrap();
                    if *guard == 0 {
                        guard = shared.1.wait(guard).unwrap();
                        // It came before the cancellation was heard, and this is nobody that needs it.
                        shared.1.notify_one();
                    }
                    drop(guard);
                })
            }
        });
        let says = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                *shared.0.lock().unwrap() = 1;
                shared.1.notify_one();
            }
        });
        // One notice, and one that needs it.
        drop(shared.1.wait_while(shared.0.lock().unwrap(), |said| *said == 0).unwrap());
        gives_up.join().unwrap();
        says.join().unwrap();
    });
}

#[test]
fn a_wait_that_times_out_crosses_a_notice() {
    check(|| {
        let shared = Arc::new((Mutex::new(0), Condvar::new()));
        let other = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                *shared.0.lock().unwrap() = 1;
                shared.1.notify_one();
            }
        });
        let (guard, result) = shared.1.wait_timeout(shared.0.lock().unwrap(), Duration::from_secs(1)).unwrap();
        assert!(result.timed_out() || *guard == 1);
        drop(guard);
        other.join().unwrap();
    });
}

#[test]
fn readers_share_and_a_writer_does_not() {
    check(|| {
        let lock = Arc::new(RwLock::new(Watched::new()));
        let reads = thread::spawn({
            let lock = Arc::clone(&lock);
            move || lock.read().unwrap().get()
        });
        let writes = thread::spawn({
            let lock = Arc::clone(&lock);
            move || lock.write().unwrap().add()
        });
        let seen = lock.read().unwrap().get();
        assert!(seen <= 1 && reads.join().unwrap() <= 1);
        writes.join().unwrap();
        assert_eq!(lock.try_write().unwrap().get(), 1);
    });
}

#[test]
fn a_writer_that_gives_up_lets_readers_in() {
    check(|| {
        let lock = Arc::new(RwLock::new(Watched::new()));
        let gives_up = thread::spawn({
            let lock = Arc::clone(&lock);
            move || cancelled(|| lock.write().unwrap().add())
        });
        let reads = thread::spawn({
            let lock = Arc::clone(&lock);
            move || lock.read().unwrap().get()
        });
        let guard = lock.read().unwrap();
        // It reads while this one does, whatever the writer was about to do.
        reads.join().unwrap();
        drop(guard);
        gives_up.join().unwrap();
        assert!(lock.try_write().is_ok());
    });
}

#[test]
fn a_writer_that_goes_on_reading_lets_readers_in() {
    check(|| {
        let lock = Arc::new(RwLock::new(Watched::new()));
        let reads = thread::spawn({
            let lock = Arc::clone(&lock);
            move || lock.read().unwrap().get()
        });
        let guard = lock.write().unwrap();
        guard.add();
        let guard = kettle::sync::RwLockWriteGuard::downgrade(guard);
        let seen = reads.join().unwrap();
        assert!(seen == guard.get() || seen == 0);
        drop(guard);
        assert!(lock.try_write().is_ok());
    });
}

#[test]
fn permits_go_to_who_came_first_and_come_back() {
    check(|| {
        let permits = Arc::new(Semaphore::new(2));
        let wants_two = thread::spawn({
            let permits = Arc::clone(&permits);
            move || drop(permits.acquire(2).unwrap())
        });
        let gives_up = thread::spawn({
            let permits = Arc::clone(&permits);
            move || cancelled(|| drop(permits.acquire(2).unwrap()))
        });
        drop(permits.acquire(1).unwrap());
        wants_two.join().unwrap();
        gives_up.join().unwrap();
        assert_eq!(permits.available_permits(), 2);
    });
}

#[test]
fn who_gives_up_waiting_for_permits_lets_those_go_who_want_fewer() {
    check(|| {
        let permits = Arc::new(Semaphore::new(2));
        let gives_up = thread::spawn({
            let permits = Arc::clone(&permits);
            move || cancelled(|| drop(permits.acquire(2).unwrap()))
        });
        let wants_one = thread::spawn({
            let permits = Arc::clone(&permits);
            move || drop(permits.acquire(1).unwrap())
        });
        let permit = permits.acquire(1).unwrap();
        wants_one.join().unwrap();
        drop(permit);
        gives_up.join().unwrap();
        assert_eq!(permits.available_permits(), 2);
    });
}

#[test]
fn who_waits_for_permits_hears_that_it_was_closed() {
    check(|| {
        let permits = Arc::new(Semaphore::with_maximum(0, 1));
        let closes = thread::spawn({
            let permits = Arc::clone(&permits);
            move || permits.close()
        });
        assert!(permits.acquire(1).unwrap_err().is_closed());
        closes.join().unwrap();
    });
}

#[test]
fn one_computes_a_value_and_all_see_it() {
    check(|| {
        let cell = Arc::new(OnceLock::new());
        let others = [1, 2].map(|n| {
            let cell = Arc::clone(&cell);
            thread::spawn(move || *cell.get_or_init(|| n))
        });
        let own = *cell.get_or_init(|| 3);
        assert_eq!(others.map(|other| other.join().unwrap()), [own, own]);
    });
}

#[test]
fn who_gives_up_waiting_for_a_value_harms_nobody() {
    check(|| {
        let cell = Arc::new(OnceLock::new());
        let gives_up = thread::spawn({
            let cell = Arc::clone(&cell);
            move || cancelled(|| assert!(*cell.get_or_init(|| 1) < 3))
        });
        assert!(*cell.get_or_init(|| 2) < 3);
        gives_up.join().unwrap();
    });
}
