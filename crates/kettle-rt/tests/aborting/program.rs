//! A program for a build in which panics abort; `aborts.rs` makes a package of it. A cancelled task can't be unwound there: its
//! waits end early, its operations give errors, and it returns.

use kettle_rt::driver::Op;
use kettle_rt::{
    Cancelled, EventLoop, GroupError, Outcome, Reason, cancel_scope, operate, park, scope, shield, sleep, spawn, task_group,
    timeout, yield_now,
};
use std::cell::Cell;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

fn read(socket: &UnixStream) -> Result<(), &'static str> {
    let mut buf = [0; 8];
    let op = Op::Recv { fd: socket.as_raw_fd(), buf: buf.as_mut_ptr(), len: buf.len(), flags: 0 };
    // SAFETY: the buffer is this frame's.
    match unsafe { operate(op, None) } {
        Outcome::Cancelled => Err("cancelled"),
        outcome => panic!("{outcome:?}"),
    }
}

fn waits_end_early() {
    let mut said = Vec::new();
    let late = timeout(Duration::from_millis(1), || {
        park();
        sleep(Duration::MAX);
        shield(|| {
            sleep(Duration::from_millis(1));
            yield_now();
        });
        spawn(|| ()).join().unwrap();
        said.push("returned");
        7
    });
    assert_eq!((late, &*said), (Ok(7), &["returned"][..]));
    sleep(Duration::from_millis(1));
}

fn a_group_fails() {
    let (socket, _peer) = UnixStream::pair().unwrap();
    let ended = Cell::new(0);
    let failed: Result<(), GroupError<&str>> = task_group(|group| {
        let reads = group.spawn(|| {
            ended.set(ended.get() + 1);
            read(&socket)
        });
        group.spawn(|| {
            // It does not know what its error is of; that it was told counts.
            sleep(Duration::MAX);
            ended.set(ended.get() + 1);
            Err::<(), _>("slept badly")
        });
        group.spawn(|| {
            yield_now();
            Err::<(), _>("spilled")
        });
        group.spawn(|| Ok(park()));
        assert_eq!(reads.join().unwrap_err().reason(), Reason::Sibling);
        Err("joined in vain")
    });
    assert_eq!(failed.unwrap_err().into_iter().collect::<Vec<_>>(), ["spilled"]);
    assert_eq!(ended.get(), 2);
}

fn a_group_is_cancelled() {
    let began = Cell::new(0);
    let group = |result: fn(Cancelled) -> Result<i32, Cancelled>| {
        task_group(|group| {
            group.limit(1).unwrap();
            let mut results = group.results();
            for _ in 0..3 {
                results.spawn(|| {
                    began.set(began.get() + 1);
                    park();
                    Ok(1)
                });
            }
            yield_now();
            group.cancel();
            assert_eq!(results.next(), Some(1));
            assert_eq!(results.next(), None);
            result(results.in_order().unwrap_err())
        })
    };
    assert_eq!(group(|_| Ok(7)).unwrap(), 7);
    let cancelled = group(Err).unwrap_err();
    assert!(cancelled.is_cancelled());
    assert_eq!((cancelled.cancelled().reason(), began.get()), (Reason::Explicit, 2));
}

fn a_tree_is_cancelled_from_outside() {
    let ended = Cell::new(0);
    let done = cancel_scope(|outer| {
        scope(|s| {
            s.spawn(|| {
                let inner = task_group(|group| {
                    for _ in 0..3 {
                        group.spawn(|| {
                            park();
                            ended.set(ended.get() + 1);
                            Ok::<(), Cancelled>(())
                        });
                    }
                    Ok(park())
                });
                assert!(inner.is_ok());
            });
            yield_now();
            yield_now();
            outer.cancel();
        });
    });
    assert_eq!((done, ended.get()), (Ok(()), 3));
}

fn main() {
    assert!(cfg!(panic = "abort"));
    let left = Rc::new(Cell::new(0));
    EventLoop::new().unwrap().run(|| {
        waits_end_early();
        a_group_fails();
        a_group_is_cancelled();
        a_tree_is_cancelled_from_outside();
        for _ in 0..3 {
            let left = Rc::clone(&left);
            spawn(move || {
                park();
                left.set(left.get() + 1);
            });
        }
        yield_now();
    });
    assert_eq!(left.get(), 3);
    println!("end");
}
