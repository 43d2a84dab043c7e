//! Input that is no use: each kind ends in an error or a panic that says what is wrong, or in what its documentation promises;
//! on a real loop, in a simulation, and where no loop runs.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle::sync::{Barrier, Condvar, Mutex, RwLock, Semaphore, broadcast, channel, mpsc, oneshot, select, watch};
use kettle::testing::{Simulation, simulate};
use kettle::thread;
use kettle::time::{Duration, Instant};
use kettle::{Cancelled, cancel_scope, deadline, timeout};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// On a real loop, and in simulations.
fn everywhere(f: impl Fn()) {
    kettle::run(&f);
    (0..10).for_each(|seed| simulate(seed, &f));
}

/// What it panics with.
fn panic_of<T>(f: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(f)).err().unwrap();
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap()
}

/// Waits with a time, in every way there is; gives how many of them have ended by it, and how many there are.
fn wait_for(time: Duration, wake: impl Fn(&mut dyn FnMut())) -> (usize, usize) {
    let ended = RefCell::new(Vec::new());
    let by_time = |is_by_time: bool| ended.borrow_mut().push(is_by_time);
    let (sender, receiver) = mpsc::channel::<()>();
    wake(&mut || sender.send(()).unwrap());
    by_time(receiver.recv_timeout(time).is_err());
    let (sender, receiver) = mpsc::sync_channel::<()>(1);
    wake(&mut || sender.send(()).unwrap());
    by_time(receiver.recv_timeout(time).is_err());
    let (sender, receiver) = channel::bounded::<()>(1);
    wake(&mut || sender.send(()).unwrap());
    by_time(receiver.recv_timeout(time).is_err());
    let (full, emptied) = channel::bounded(1);
    full.send(()).unwrap();
    wake(&mut || emptied.recv().unwrap());
    by_time(full.send_timeout((), time).is_err());
    let (mutex, condvar) = (Mutex::new(false), Condvar::new());
    wake(&mut || *mutex.lock().unwrap() = true);
    by_time(condvar.wait_timeout_while(mutex.lock().unwrap(), time, |is_woken| !*is_woken).unwrap().1.timed_out());
    let (sender, receiver) = channel::bounded::<()>(1);
    wake(&mut || sender.send(()).unwrap());
    by_time(kettle::select! {
        biased;
        _ = select::recv(&receiver) => false,
        _ = select::after(time) => true,
    });
    let (sender, receiver) = oneshot::channel::<()>();
    let mut sender = Some(sender);
    wake(&mut || sender.take().unwrap().send(()).unwrap());
    by_time(receiver.recv_timeout(time).is_err());
    let (sender, receiver) = mpsc::channel::<()>();
    wake(&mut || sender.send(()).unwrap());
    by_time(timeout(time, || receiver.recv()).is_err());
    let ended = ended.into_inner();
    (ended.iter().filter(|is_by_time| **is_by_time).count(), ended.len())
}

#[test]
fn a_time_that_is_over_ends_each_wait() {
    everywhere(|| {
        let (by_time, all) = wait_for(Duration::ZERO, |_| ());
        assert_eq!(by_time, all);
        let past = Instant::now();
        assert!(deadline(past, || thread::park()).is_err());
        kettle::time::sleep_until(past);
        thread::sleep(Duration::ZERO);
        thread::park_timeout(Duration::ZERO);
        kettle::select!(() = select::at(past) => ());
    });
}

#[test]
fn a_time_that_overflows_the_clock_ends_no_wait() {
    everywhere(|| {
        let (by_time, all) = wait_for(Duration::MAX, |wake| wake());
        assert_eq!((by_time, all), (0, 8));
        let me = thread::current();
        thread::spawn(move || me.unpark());
        thread::park_timeout(Duration::MAX);
        assert_eq!(timeout(Duration::MAX, || 1).unwrap(), 1);
        let sleeps = thread::spawn(|| thread::sleep(Duration::MAX));
        thread::yield_now();
        sleeps.cancel();
        assert!(sleeps.join().unwrap_err().is::<Cancelled>());
    });
}

#[test]
fn a_channel_without_room_hands_over() {
    everywhere(|| {
        let order = RefCell::new(Vec::new());
        let (sender, receiver) = mpsc::sync_channel(0);
        assert_eq!(sender.try_send(0), Err(mpsc::TrySendError::Full(0)));
        thread::scope(|s| {
            s.spawn(|| {
                for cup in 0..3 {
                    sender.send(cup).unwrap();
                    order.borrow_mut().push(cup);
                }
            });
            for cup in 0..3 {
                assert_eq!(order.borrow().iter().filter(|sent| **sent >= cup).count(), 0, "it is not sent yet");
                assert_eq!(receiver.recv(), Ok(cup));
            }
        });
        let (sender, receiver) = channel::bounded(0);
        assert_eq!(sender.try_send("tea"), Err(channel::TrySendError::Full("tea")));
        thread::scope(|s| {
            s.spawn(|| sender.send("tea").unwrap());
            assert_eq!(receiver.recv(), Ok("tea"));
        });
        assert_eq!((sender.capacity(), sender.len()), (Some(0), 0));
    });
    assert_eq!(
        panic_of(|| broadcast::channel::<()>(0)),
        "make a broadcast channel that holds nothing: its receivers would lose every value"
    );
}

#[test]
fn more_permits_than_there_can_be_are_an_error_at_once() {
    everywhere(|| {
        let cups = Semaphore::new(2);
        for permits in [3, usize::MAX] {
            for error in [cups.acquire(permits).unwrap_err(), cups.try_acquire(permits).unwrap_err()] {
                assert!(error.is_above_maximum() && error.permits() == permits);
                assert!(error.to_string().contains("2 at most: ask for fewer, or make it larger"), "{error}");
            }
        }
        assert!(cups.add_permits(1).unwrap_err().is_above_maximum());
        let all = Semaphore::with_maximum(usize::MAX - 1, usize::MAX);
        all.add_permits(1).unwrap();
        assert!(all.add_permits(usize::MAX).unwrap_err().is_above_maximum());
        // None is no use, and no error.
        assert_eq!(cups.acquire(0).unwrap().permits(), 0);
    });
    assert_eq!(panic_of(|| Semaphore::with_maximum(3, 2)), "make a semaphore with more permits than its maximum");
}

#[test]
fn a_lock_that_a_task_locks_twice_is_a_deadlock_that_a_simulation_tells() {
    let said = |f: fn()| Simulation::new(1).run(f).unwrap_err().to_string();
    let twice = said(|| {
        let mutex = Mutex::new(());
        let _once = mutex.lock().unwrap();
        drop(mutex.lock());
    });
    assert!(twice.contains("deadlock") && twice.contains("task 0 waits for a mutex, at "), "{twice}");
    let upgraded = said(|| {
        let lock = RwLock::new(());
        let _reads = lock.read().unwrap();
        drop(lock.write());
    });
    assert!(upgraded.contains("task 0 waits for a write lock, at "), "{upgraded}");
    // On a real loop it waits until it is cancelled, and a thread without a task is told.
    let mutex = Mutex::new(());
    kettle::run(|| {
        let _once = mutex.lock().unwrap();
        assert!(timeout(Duration::from_millis(1), || drop(mutex.lock())).is_err());
    });
    let _once = mutex.lock().unwrap();
    assert!(panic_of(|| drop(mutex.lock())).contains("lock what this thread has locked already"));
}

#[test]
fn what_is_sent_to_nobody_comes_back() {
    everywhere(|| {
        let (sender, receiver) = mpsc::channel();
        drop(receiver);
        assert_eq!(sender.send("tea").unwrap_err().0, "tea");
        for room in [0, 1] {
            let (sender, receiver) = mpsc::sync_channel(room);
            drop(receiver);
            assert_eq!(sender.send("tea").unwrap_err().0, "tea");
            assert_eq!(sender.try_send("tea"), Err(mpsc::TrySendError::Disconnected("tea")));
            assert_eq!(sender.send_timeout("tea", Duration::MAX).unwrap_err().into_inner(), "tea");
            let (sender, receiver) = channel::bounded(room);
            drop(receiver);
            assert_eq!(sender.send("tea").unwrap_err().0, "tea");
            assert_eq!(sender.try_send("tea"), Err(channel::TrySendError::Disconnected("tea")));
        }
        let (sender, receiver) = oneshot::channel();
        drop(receiver);
        assert_eq!(sender.send("tea").unwrap_err().0, "tea");
        let (sender, receiver) = watch::channel("cold");
        drop(receiver);
        assert_eq!(sender.send("tea").unwrap_err().0, "tea");
        let (sender, receiver) = broadcast::channel(1);
        drop(receiver);
        assert_eq!(sender.send("tea").unwrap_err().0, "tea");
        // So does what waits when the last receiver goes.
        let (sender, receiver) = channel::bounded(0);
        let waits = thread::spawn(move || sender.send("tea").unwrap_err().0);
        thread::yield_now();
        drop(receiver);
        assert_eq!(waits.join().unwrap(), "tea");
    });
}

#[test]
fn a_task_that_joins_itself_is_told() {
    everywhere(|| {
        let own = Rc::new(RefCell::new(None::<thread::JoinHandle<()>>));
        let mine = Rc::clone(&own);
        let said = Rc::new(Cell::new(String::new()));
        let says = Rc::clone(&said);
        let (ended, end) = oneshot::channel();
        *own.borrow_mut() = Some(thread::spawn(move || {
            let handle = mine.borrow_mut().take().unwrap();
            says.set(panic_of(|| drop(handle.join())));
            ended.send(()).unwrap();
        }));
        end.recv().unwrap();
        assert_eq!(said.take(), "join a task from itself: it would wait for its own end");
    });
}

#[test]
fn cancelling_what_has_ended_does_nothing() {
    everywhere(|| {
        let task = thread::spawn(|| "tea");
        while !task.is_finished() {
            thread::yield_now();
        }
        task.cancel();
        task.cancel();
        assert_eq!(task.join().unwrap(), "tea");
        let scope = cancel_scope(|scope| {
            scope.cancel();
            scope.cancel();
            "tea"
        });
        assert_eq!(scope.unwrap(), "tea", "the result wins");
    });
}

#[test]
fn a_barrier_for_nobody_keeps_nobody() {
    everywhere(|| assert!(Barrier::new(0).wait().is_leader() && Barrier::new(1).wait().is_leader()));
}

#[test]
fn a_simulation_inside_of_a_loop_is_an_error_that_says_so() {
    let text = "simulate inside of an event loop that runs on this thread: call it outside of `run`";
    everywhere(|| {
        assert_eq!(Simulation::new(1).run(|| ()).unwrap_err().to_string(), text);
        assert_eq!(panic_of(|| simulate(1, || ())), text);
        assert_eq!(panic_of(|| kettle::testing::explore(0..1, || ())), text);
    });
}
