//! Simulations whose tasks unwind, and wait again in a destructor: for what comes from another thread, for a time, or for what
//! never comes. No wait hangs: the last kind ends the process, and says who waits for what, and with which seed.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]
#![allow(clippy::unit_arg, reason = "what a task gives is often nothing")]

#[path = "../../../tests/again.rs"]
mod again;

use again::again;
use kettle::sync::{
    Barrier, Condvar, Mutex, Once, RwLock, Semaphore, broadcast, channel, mpsc, oneshot, select, watch,
};
use kettle::testing::{Simulation, simulate};
use kettle::thread;
use kettle::time::{Duration, Instant};
use kettle::{callback, shield, task_group, timeout};
use std::cell::Cell;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;
use std::rc::Rc;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Calls a function when it is dropped.
struct AtDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for AtDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Runs a function in a destructor of a task that is unwound by the end of a simulation: all wait.
fn at_the_end(f: impl FnMut()) {
    let failure = Simulation::new(7).run(|| {
        let _waits = AtDrop(f);
        thread::park();
    });
    assert!(failure.unwrap_err().is_deadlock());
}

/// The same in a process of its own, which a signal ends if it hangs. (Those that let others run do so by a hundred thousand
/// system calls, which a busy machine takes a minute for.)
fn ends(test: &str, f: impl FnMut()) -> Output {
    again(test, &[], || {
        // SAFETY: it sets an alarm, which nobody else uses here.
        unsafe { libc::alarm(300) };
        at_the_end(f);
    })
}

/// Says of a process that it was aborted, with these words in the lists of tasks that it gives.
fn assert_aborted(output: &Output, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{said}");
    assert!(said.contains("end a simulation: ") && said.contains(words), "{words}: {said}");
    // What it was unwound for, and how to see it again.
    assert!(said.contains("task 0 is parked, at ") && said.contains("again with KETTLE_SEED=7"), "{said}");
}

/// A test of each wait for what never comes.
macro_rules! aborts {
    ($($name:ident: $words:literal, $wait:expr;)*) => {$(
        #[test]
        fn $name() {
            assert_aborted(&ends(stringify!($name), $wait), concat!("task 0 waits ", $words, ", at "));
        }
    )*};
}

aborts! {
    a_mutex_that_another_task_has: "for a mutex", || {
        let mutex = Mutex::new(());
        std::mem::forget(mutex.lock());
        drop(mutex.lock());
    };
    a_lock_that_somebody_reads: "for a write lock", || {
        let lock = RwLock::new(());
        std::mem::forget(lock.read());
        drop(lock.write());
    };
    a_lock_that_somebody_writes: "for a read lock", || {
        let lock = RwLock::new(());
        std::mem::forget(lock.write());
        drop(lock.read());
    };
    a_condition_variable: "for a condition variable", || {
        let mutex = Mutex::new(());
        drop(Condvar::new().wait(mutex.lock().unwrap()));
    };
    a_barrier: "at a barrier", || _ = Barrier::new(2).wait();
    permits: "for a semaphore's permits", || drop(Semaphore::with_maximum(0, 1).acquire(1));
    what_it_does_once_itself: "for a `Once`", || {
        let once = Once::new();
        once.call_once(|| once.wait());
    };
    receiving: "to receive from a channel", || {
        let (_sender, receiver) = mpsc::channel::<()>();
        _ = receiver.recv();
    };
    receiving_one_of_many: "to receive from a channel", || {
        let (_sender, receiver) = channel::bounded::<()>(1);
        _ = receiver.recv();
    };
    receiving_once: "to receive from a channel", || {
        let (_sender, receiver) = oneshot::channel::<()>();
        _ = receiver.recv();
    };
    receiving_a_broadcast: "to receive from a channel", || {
        let (_sender, mut receiver) = broadcast::channel::<()>(1);
        _ = receiver.recv();
    };
    sending_without_room: "to send to a channel", || {
        let (sender, _receiver) = mpsc::sync_channel(0);
        _ = sender.send(());
    };
    a_change: "for a value to change", || {
        let (_sender, mut receiver) = watch::channel(());
        _ = receiver.changed();
    };
    one_of_several: "in a select", || {
        let (_sender, receiver) = channel::bounded::<()>(1);
        kettle::select!(_ = select::recv(&receiver) => ());
    };
    a_callback: "for a callback", || {
        let mut kept = None;
        _ = callback::<(), _>(|done| kept = Some(done));
    };
    a_future: "for a future", || kettle::wait(std::future::pending());
    in_a_shield: "to receive from a channel", || {
        let (_sender, receiver) = mpsc::channel::<()>();
        _ = shield(|| receiver.recv());
    };
    in_a_timeout: "to receive from a channel", || {
        let (_sender, receiver) = mpsc::channel::<()>();
        _ = timeout(DAY, || receiver.recv());
    };
}

#[test]
fn a_task_that_can_not_be_joined() {
    let output = ends("a_task_that_can_not_be_joined", || {
        _ = thread::spawn(|| ()).join();
    });
    assert_aborted(&output, "join a task from where nothing can wait for it");
    assert_aborted(&output, "task 0 waits for a task's end, at ");
}

#[test]
fn tasks_of_a_scope() {
    let output = ends("tasks_of_a_scope", || thread::scope(|s| drop(s.spawn(|| ()))));
    assert_aborted(&output, "open a scope where nothing can wait for its tasks");
    assert_aborted(&output, "task 0 waits for its tasks, at ");
}

#[test]
fn tasks_of_a_group() {
    let output = ends("tasks_of_a_group", || {
        _ = task_group(|group| Ok::<_, ()>(drop(group.spawn(|| Ok(())))));
    });
    assert_aborted(&output, "open a task group where nothing can wait for its tasks");
}

#[test]
fn yielding_until_something_happens() {
    let output = ends("yielding_until_something_happens", || {
        loop {
            thread::yield_now();
        }
    });
    assert_aborted(&output, "it lets others run, on and on");
    assert_aborted(&output, "task 0 runs");
}

#[test]
fn parking_until_something_happens() {
    let output = ends("parking_until_something_happens", || {
        loop {
            thread::park();
        }
    });
    assert_aborted(&output, "it lets others run, on and on");
    assert_aborted(&output, "task 0 runs");
}

#[test]
fn sleeping_until_something_happens() {
    let output = ends("sleeping_until_something_happens", || {
        loop {
            thread::sleep(DAY);
        }
    });
    assert_aborted(&output, "it lets others run, on and on");
    assert_aborted(&output, "task 0 runs");
}

#[test]
fn a_task_in_a_shield_that_yields_for_ever() {
    let output = again("a_task_in_a_shield_that_yields_for_ever", &[], || {
        // SAFETY: it sets an alarm, which nobody else uses here.
        unsafe { libc::alarm(300) };
        simulate(7, || {
            shield(|| {
                loop {
                    thread::yield_now();
                }
            })
        });
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{said}");
    assert!(said.contains("livelock") && said.contains("task 0 is ready to run"), "{said}");
}

#[test]
fn a_future_that_blocks_the_thread() {
    let output = again("a_future_that_blocks_the_thread", &[], || {
        // SAFETY: as above.
        unsafe { libc::alarm(60) };
        let (_sender, receiver) = mpsc::channel::<()>();
        _ = simulate(7, || kettle::spawn_future(async move { receiver.recv() }).join());
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{said}");
    assert!(said.contains("task 1 waits to receive from a channel, at "), "{said}");
    assert!(said.contains("task 0 waits for the end of task 1, at "), "{said}");
}

#[test]
fn what_a_time_ends_ends_at_once() {
    let start = std::time::Instant::now();
    let waited = Rc::new(Cell::new(0));
    at_the_end(|| {
        let start = Instant::now();
        let (_sender, receiver) = mpsc::channel::<()>();
        assert_eq!(receiver.recv_timeout(DAY), Err(mpsc::RecvTimeoutError::Timeout));
        let mutex = Mutex::new(());
        assert!(Condvar::new().wait_timeout(mutex.lock().unwrap(), DAY).unwrap().1.timed_out());
        let waited_while = Condvar::new().wait_timeout_while(mutex.lock().unwrap(), DAY, |()| true);
        assert!(waited_while.unwrap().1.timed_out());
        let (_sender, receiver) = channel::bounded::<()>(1);
        kettle::select!(
            _ = select::recv(&receiver) => unreachable!(),
            _ = select::after(DAY) => waited.set(waited.get() + 1),
        );
        assert_eq!(start.elapsed(), Duration::ZERO, "no time passes where nobody can run");
    });
    assert_eq!(waited.get(), 1);
    assert!(start.elapsed() < DAY);
}

#[test]
fn what_another_thread_ends_is_waited_for() {
    let heard = Rc::new(Cell::new(0));
    at_the_end(|| {
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::spawn(move || sender.send(1).unwrap());
        heard.set(heard.get() + receiver.recv().unwrap());
        thread.join().unwrap();
        let (sender, receiver) = oneshot::channel();
        let thread = std::thread::spawn(move || sender.send(2).unwrap());
        heard.set(heard.get() + kettle::wait(receiver).unwrap());
        thread.join().unwrap();
    });
    assert_eq!(heard.get(), 3);
}
