//! What is told of who waits: a simulation that can't go on, and the tree of tasks, name what is waited for.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]
#![allow(clippy::unit_arg, reason = "what a task gives is often nothing")]

use kettle::sync::{
    Barrier, Condvar, Mutex, Once, OnceLock, RwLock, Semaphore, broadcast, channel, mpsc, oneshot, select, watch,
};
use kettle::task::{TaskState, Wait, tree};
use kettle::testing::Simulation;
use kettle::thread;
use kettle::time::Duration;
use kettle::{callback, task_group};
use std::cell::Cell;
use std::rc::Rc;

/// Something that waits for ever, having said in which line, and what it waits for.
type Case = (&'static str, Wait, fn(&Cell<u32>));

/// Says in which line it is called, and gives what it was given.
#[track_caller]
fn at<T>(line: &Cell<u32>, value: T) -> T {
    line.set(std::panic::Location::caller().line());
    value
}

const CASES: [Case; 21] = [
    ("waits for a mutex", Wait::Mutex, |line| {
        let mutex = Mutex::new(());
        let _held = mutex.lock();
        drop(at(line, &mutex).lock());
    }),
    ("waits for a read lock", Wait::ReadLock, |line| {
        let lock = RwLock::new(());
        let _held = lock.write();
        drop(at(line, &lock).read());
    }),
    ("waits for a write lock", Wait::WriteLock, |line| {
        let lock = RwLock::new(());
        let _held = lock.read();
        drop(at(line, &lock).write());
    }),
    ("waits for a condition variable", Wait::Condvar, |line| {
        let mutex = Mutex::new(());
        drop(at(line, &Condvar::new()).wait(mutex.lock().unwrap()));
    }),
    ("waits for a condition variable", Wait::Condvar, |line| {
        let mutex = Mutex::new(());
        drop(at(line, &Condvar::new()).wait_while(mutex.lock().unwrap(), |()| true));
    }),
    ("waits at a barrier", Wait::Barrier, |line| {
        at(line, &Barrier::new(2)).wait();
    }),
    ("waits for a semaphore's permits", Wait::Permits, |line| {
        let cups = Semaphore::with_maximum(0, 1);
        drop(at(line, &cups).acquire(1));
    }),
    ("waits for a `Once`", Wait::Once, |line| {
        let once = Once::new();
        once.call_once(|| at(line, &once).wait());
    }),
    ("waits for a `Once`", Wait::Once, |line| {
        let cell = OnceLock::new();
        cell.get_or_init(|| *at(line, &cell).get_or_init(|| 1));
    }),
    ("waits to receive from a channel", Wait::Receive, |line| {
        let (_sender, receiver) = mpsc::channel::<()>();
        at(line, &receiver).recv().unwrap();
    }),
    ("waits to receive from a channel", Wait::Receive, |line| {
        let (_sender, receiver) = mpsc::sync_channel::<()>(1);
        for () in at(line, &receiver).iter() {}
    }),
    ("waits to receive from a channel", Wait::Receive, |line| {
        let (_sender, receiver) = channel::unbounded::<()>();
        at(line, &receiver).recv().unwrap();
    }),
    ("waits to receive from a channel", Wait::Receive, |line| {
        let (_sender, receiver) = channel::unbounded::<()>();
        for () in at(line, &receiver).iter() {}
    }),
    ("waits to receive from a channel", Wait::Receive, |line| {
        let (_sender, receiver) = oneshot::channel::<()>();
        at(line, &receiver).recv().unwrap();
    }),
    ("waits to receive from a channel", Wait::Receive, |line| {
        let (_sender, mut receiver) = broadcast::channel::<()>(1);
        at(line, &mut receiver).recv().unwrap();
    }),
    ("waits to send to a channel", Wait::Send, |line| {
        let (sender, _receiver) = mpsc::sync_channel(0);
        at(line, &sender).send(()).unwrap();
    }),
    ("waits to send to a channel", Wait::Send, |line| {
        let (sender, _receiver) = channel::bounded(0);
        at(line, &sender).send(()).unwrap();
    }),
    ("waits for a value to change", Wait::Change, |line| {
        let (_sender, mut receiver) = watch::channel(());
        at(line, &mut receiver).changed().unwrap();
    }),
    ("waits in a select", Wait::Select, |line| {
        let (_sender, receiver) = channel::unbounded::<()>();
        let mut arm = select::recv(&receiver);
        let mut arms = select::Select::new();
        arms.add(&mut arm);
        at(line, arms).wait();
    }),
    ("waits in a select", Wait::Select, |line| {
        let (_sender, receiver) = channel::unbounded::<()>();
        kettle::select!(_ = select::recv(at(line, &receiver)) => ());
    }),
    ("waits for a callback", Wait::Callback, |line| {
        let mut kept = None;
        callback::<(), _>(|done| kept = Some(at(line, done))).unwrap();
    }),
];

#[test]
fn a_deadlock_names_what_is_waited_for_and_the_line() {
    for (words, _, wait) in CASES {
        let line = Cell::new(0);
        let failure = Simulation::new(1).run(|| wait(&line)).unwrap_err();
        let (said, exactly) = (failure.to_string(), format!("task 0 {words}, at {}:{}:", file!(), line.get()));
        assert!(failure.is_deadlock() && said.contains(&exactly), "{exactly} {said}");
    }
}

#[test]
fn waits_of_the_runtime_have_their_line_as_well() {
    let said = |wait: fn()| Simulation::new(1).run(wait).unwrap_err().to_string();
    for (words, line, wait) in [
        ("task 0 is parked", line!(), (|| thread::park()) as fn()),
        ("task 0 sleeps for more than a lifetime", line!(), || thread::sleep(Duration::MAX)),
        ("task 0 waits for the end of task 1", line!(), || drop(thread::spawn(thread::park).join())),
        ("task 0 waits for the tasks of its scope", line!(), || thread::scope(|s| drop(s.spawn(thread::park)))),
        ("task 0 waits for a future", line!(), || kettle::wait(std::future::pending())),
    ] {
        let (said, exactly) = (said(wait), format!("{words}, at {}:{line}:", file!()));
        assert!(said.contains(&exactly), "{exactly} {said}");
    }
}

#[test]
fn a_lock_that_is_taken_back_after_a_notice_is_named() {
    let failure = Simulation::new(1)
        .run(|| {
            let (mutex, condvar) = (Rc::new(Mutex::new(())), Rc::new(Condvar::new()));
            let (held, told) = (Rc::clone(&mutex), Rc::clone(&condvar));
            let notifies = thread::spawn(move || {
                let _held = held.lock().unwrap();
                told.notify_one();
                thread::park();
            });
            drop(condvar.wait(mutex.lock().unwrap()));
            drop(notifies);
        })
        .unwrap_err();
    assert!(failure.to_string().contains("task 0 waits for a mutex, at"), "{failure}");
}

#[test]
fn a_tree_names_what_is_waited_for() {
    kettle::run(|| {
        let line = Cell::new(0);
        for (words, wait, f) in CASES {
            let ended = task_group(|group| {
                let line = &line;
                let task = group.spawn(move || Ok(f(line)));
                thread::yield_now();
                let tree = tree();
                let info = tree.get(task.thread().id()).unwrap();
                assert_eq!(info.state(), TaskState::Waiting(wait));
                assert!(info.to_string().ends_with(words), "{info}");
                Err::<(), _>(())
            });
            assert!(ended.is_err());
        }
    });
}
