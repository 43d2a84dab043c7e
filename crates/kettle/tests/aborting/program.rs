//! A program for a build in which panics abort; `aborts.rs` makes a package of it. There channels tell a cancelled task that
//! they have ended, sockets give errors, and locks, which have no error for it, go on waiting.

use kettle::net::{TcpListener, TcpStream};
use kettle::sync::{
    Barrier, Condvar, Mutex, Once, OnceLock, RwLock, Semaphore, broadcast, channel, mpsc, oneshot, select, watch,
};
use kettle::thread::{JoinHandle, park, spawn, yield_now};
use kettle::{cancel_scope, timeout};
use std::cell::Cell;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::sync::mpsc::{RecvError, RecvTimeoutError};
use std::time::Duration;

const FOREVER: Duration = Duration::MAX;

/// A task that waits, and has been cancelled there.
fn cancelled<T: 'static>(f: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
    let task = spawn(f);
    yield_now();
    assert!(!task.is_finished());
    task.cancel();
    task
}

/// What a task gives whose waits all end early.
fn told<T: 'static>(f: impl FnOnce() -> T + 'static) -> T {
    cancelled(f).join().unwrap()
}

/// A task waits, though it was cancelled, and lets others run, until something is done.
fn goes_on_waiting<T: 'static>(waits: impl FnOnce() -> T + 'static, until: impl FnOnce()) -> T {
    let task = cancelled(waits);
    (0..10).for_each(|_| yield_now());
    assert!(!task.is_finished());
    until();
    task.join().unwrap()
}

fn channels_seem_to_have_ended() {
    let (sender, receiver) = mpsc::channel::<i32>();
    let seen = told(move || (receiver.recv(), receiver.recv_timeout(FOREVER), receiver.try_recv().is_err()));
    assert_eq!(seen, (Err(RecvError), Err(RecvTimeoutError::Timeout), true));
    assert!(sender.send(1).is_err(), "the receiver has gone");
    let (sender, receiver) = channel::bounded(1);
    sender.send(1).unwrap();
    let sends = sender.clone();
    let refused =
        told(move || (sends.send(2).unwrap_err().0, sends.send_timeout(3, FOREVER).unwrap_err().into_inner()));
    assert_eq!((refused, receiver.recv(), receiver.try_recv().is_err()), ((2, 3), Ok(1), true));
    let (sender, receiver) = oneshot::channel::<i32>();
    assert_eq!(
        told(move || (receiver.recv(), receiver.recv_timeout(FOREVER))),
        (Err(RecvError), Err(RecvTimeoutError::Timeout))
    );
    assert!(sender.send(1).is_err());
    let (sender, receiver) = broadcast::channel::<i32>(1);
    let mut receives = receiver;
    assert_eq!(told(move || receives.recv()), Err(broadcast::RecvError::Disconnected));
    assert!(sender.send(1).is_err());
    let (sender, mut receiver) = watch::channel(1);
    assert!(told(move || (receiver.changed().is_err(), *receiver.get())) == (true, 1));
    drop(sender);
}

fn who_need_not_wait_is_served_all_the_same() {
    _ = cancel_scope(|scope| {
        scope.cancel();
        let (sender, receiver) = channel::bounded(1);
        _ = sender.send(1);
        assert_eq!((receiver.try_recv(), receiver.is_empty()), (Ok(1), true));
        let (news, mut looks) = watch::channel(1);
        news.send(2).unwrap();
        assert_eq!(looks.changed().map(|value| *value), Ok(2));
        let (all, mut each) = broadcast::channel(1);
        all.send(3).unwrap();
        assert_eq!(each.recv(), Ok(3));
        *Mutex::new(1).lock().unwrap() += 1;
    });
}

fn an_arm_is_chosen() {
    let (sender, receiver) = channel::bounded::<i32>(0);
    let (never, nothing) = mpsc::channel::<i32>();
    let chosen = told(move || {
        kettle::select! {
            received = select::recv(&receiver) => received,
            received = select::recv(&nothing) => received,
        }
    });
    assert_eq!(chosen, Err(RecvError));
    assert!(sender.send(1).is_err() && never.send(1).is_err());
}

fn locks_go_on_waiting() {
    let mutex = Rc::new(Mutex::new(1));
    let guard = mutex.lock().unwrap();
    let own = Rc::clone(&mutex);
    assert_eq!(goes_on_waiting(move || *own.lock().unwrap(), move || drop(guard)), 1);
    let shared = Rc::new(RwLock::new(1));
    let (reads, writes) = (Rc::clone(&shared), Rc::clone(&shared));
    let guard = shared.write().unwrap();
    assert_eq!(goes_on_waiting(move || *reads.read().unwrap(), move || drop(guard)), 1);
    let guard = shared.read().unwrap();
    goes_on_waiting(move || *writes.write().unwrap() += 1, move || drop(guard));
    assert_eq!(*shared.read().unwrap(), 2);
    let permits = Rc::new(Semaphore::new(1));
    let permit = permits.acquire(1).unwrap();
    let own = Rc::clone(&permits);
    assert!(goes_on_waiting(move || own.acquire(1).is_ok(), move || drop(permit)));
}

fn who_waits_for_others_goes_on_waiting() {
    let turn = Rc::new((Mutex::new(false), Condvar::new()));
    let own = Rc::clone(&turn);
    let waits = move || drop(own.1.wait_while(own.0.lock().unwrap(), |is_set| !*is_set).unwrap());
    goes_on_waiting(waits, || {
        *turn.0.lock().unwrap() = true;
        turn.1.notify_all();
    });
    let barrier = Rc::new(Barrier::new(2));
    let own = Rc::clone(&barrier);
    goes_on_waiting(move || _ = own.wait(), || _ = barrier.wait());
    let lock = Rc::new(OnceLock::new());
    let own = Rc::clone(&lock);
    assert_eq!(goes_on_waiting(move || *own.wait(), || lock.set(7).unwrap()), 7);
    let (once, begun) = (Rc::new(Once::new()), Rc::new(Cell::new(0)));
    let (runs, counts) = (Rc::clone(&once), Rc::clone(&begun));
    let first = spawn(move || {
        runs.call_once(|| {
            park();
            counts.set(counts.get() + 1);
        });
    });
    yield_now();
    goes_on_waiting(move || once.call_once(|| unreachable!("it is done")), || first.thread().unpark());
    assert_eq!(begun.get(), 1);
}

fn is_told<T>(result: io::Result<T>) -> bool {
    result.is_err_and(|error| error.get_ref().is_some_and(|source| source.is::<kettle::Cancelled>()))
}

fn sockets_give_errors() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accepts = told(move || (is_told(listener.accept()), is_told(listener.accept()), listener));
    assert!(accepts.0 && accepts.1);
    let listener = accepts.2;
    let (mut a, b) = (TcpStream::connect(address).unwrap(), listener.accept().unwrap().0);
    let mut reads = b;
    let (first, again, mut b) = told(move || (is_told(reads.read(&mut [0])), is_told(reads.read(&mut [0])), reads));
    assert!(first && again);
    // What was cancelled has taken nothing.
    a.write_all(b"tea").unwrap();
    let mut tea = [0; 3];
    b.read_exact(&mut tea).unwrap();
    assert_eq!(&tea, b"tea");
    let late = timeout(Duration::from_millis(1), || b.read(&mut tea).map_err(|error| error.kind()));
    assert_eq!(late, Ok(Err(io::ErrorKind::TimedOut)));
}

fn main() {
    assert!(cfg!(panic = "abort"));
    kettle::run(|| {
        channels_seem_to_have_ended();
        who_need_not_wait_is_served_all_the_same();
        an_arm_is_chosen();
        locks_go_on_waiting();
        who_waits_for_others_goes_on_waiting();
        sockets_give_errors();
    });
    println!("end");
}
