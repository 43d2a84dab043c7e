//! A program for a build in which panics abort; `aborts.rs` makes a package of it. A cancelled task can't be unwound there: its
//! waits end early, its operations give errors, and it returns. With an argument it is what ends the process.

use kettle_rt::driver::Op;
use kettle_rt::{
    Cancelled, EventLoop, GroupError, Outcome, Reason, Task, TaskGroup, Uncalled, Waiter, Woken, callback,
    cancel_scope, checkpoint, deadline, future, in_fiber, is_cancelled, now, operate, park, park_timeout, pass,
    raise_if_cancelled, scope, shield, sleep, spawn, spawn_future, task_group, timeout, yield_now,
};
use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::thread;
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

/// Cancels a task where it waits, and joins it.
fn cancelled<T: 'static>(f: impl FnOnce() -> T + 'static) -> thread::Result<T> {
    let task = spawn(f);
    yield_now();
    task.cancel();
    task.join()
}

/// Notes that it was dropped.
struct Ends(Rc<Cell<bool>>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

fn waits_of_a_task_end_where_it_is_cancelled() {
    let waits: [fn(); 6] =
        [|| sleep(Duration::MAX), park, || park_timeout(Duration::MAX), yield_now, pass, raise_if_cancelled];
    for wait in waits {
        let waited = move || {
            park();
            // Each wait after that is over at once.
            (0..3).for_each(|_| wait());
            is_cancelled()
        };
        assert!(cancelled(waited).unwrap());
    }
    assert_eq!(cancelled(|| Waiter::new().wait(None)).unwrap(), Woken::Cancelled);
    let told = cancelled(|| {
        park();
        [checkpoint(), checkpoint(), shield(checkpoint)]
    });
    assert_eq!(told.unwrap(), [Outcome::Cancelled, Outcome::Cancelled, Outcome::Done(0)]);
    let (socket, _peer) = UnixStream::pair().unwrap();
    assert_eq!(cancelled(move || [read(&socket), read(&socket)]).unwrap(), [Err("cancelled"); 2]);
}

fn who_waits_for_a_callback_is_told_that_it_was_dropped() {
    let kept = Rc::new(Cell::new(None));
    let keeps = Rc::clone(&kept);
    let called = cancelled(move || callback::<&str, _>(|done| keeps.set(Some(done))));
    assert_eq!(called.unwrap(), Err(Uncalled));
    assert_eq!(kept.take().unwrap().try_call("late"), Err("late"));
}

/// It can't be told, for it has no error: it goes on waiting, and does not keep others from running.
fn who_joins_goes_on_waiting() {
    let joined = Rc::new(spawn(park));
    let waits = {
        let joined = Rc::clone(&joined);
        spawn(move || {
            while !joined.is_finished() {
                scope(|s| s.spawn(yield_now).join()).unwrap();
            }
            spawn(|| 7).join().unwrap()
        })
    };
    let outer = spawn(move || waits.join().unwrap());
    yield_now();
    outer.cancel();
    (0..10).for_each(|_| yield_now());
    assert!(!outer.is_finished());
    joined.thread().unpark();
    assert_eq!(outer.join().unwrap(), 7);
}

fn who_waits_for_a_future_goes_on_waiting() {
    let given: Rc<RefCell<(bool, Option<Waker>)>> = Rc::default();
    let takes = Rc::clone(&given);
    let waits = spawn(move || {
        let mut polls = 0;
        future::wait(poll_fn(|context| {
            polls += 1;
            takes.borrow_mut().1 = Some(context.waker().clone());
            if takes.borrow().0 { Poll::Ready(()) } else { Poll::Pending }
        }));
        future::wait(future::sleep(Duration::from_millis(1)));
        assert_eq!(future::wait(in_fiber(|| 7)), 7);
        polls
    });
    yield_now();
    waits.cancel();
    (0..10).for_each(|_| yield_now());
    assert!(!waits.is_finished());
    given.borrow_mut().0 = true;
    given.borrow().1.as_ref().unwrap().wake_by_ref();
    // Once, once more when it was cancelled, and when it was woken.
    assert!(waits.join().unwrap() <= 3);
}

fn futures_are_dropped_where_they_wait() {
    let (dropped, also) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
    let ends = Ends(Rc::clone(&dropped));
    let waits = spawn_future(async move {
        let _ends = ends;
        pending::<()>().await;
    });
    yield_now();
    waits.cancel();
    assert!(waits.join().unwrap_err().is::<Cancelled>() && dropped.get());
    let ends = Ends(Rc::clone(&also));
    let late = future::timeout(Duration::from_millis(1), async move {
        let _ends = ends;
        in_fiber(|| sleep(Duration::MAX)).await;
    });
    assert!(future::wait(late).is_err() && also.get());
}

fn what_has_not_begun_does_not_begin() {
    let dropped = Rc::new(Cell::new(false));
    let ends = Ends(Rc::clone(&dropped));
    let task = spawn(move || drop(ends));
    task.cancel();
    assert_eq!(task.join().unwrap_err().downcast_ref::<Cancelled>().unwrap().reason(), Reason::Explicit);
    let parked = spawn(park);
    let thread = parked.thread().clone();
    let callback = parked.on_done(|_| unreachable!("it is cancelled"));
    callback.cancel();
    assert!(callback.join().is_err());
    thread.unpark();
    assert!(dropped.get());
}

fn scopes_give_what_their_functions_return() {
    let outer = cancel_scope(|outer| {
        outer.cancel();
        // Cancelled from outside, and by their own time.
        let inner = [
            timeout(Duration::MAX, || sleep(Duration::MAX)),
            timeout(Duration::ZERO, || sleep(Duration::MAX)),
            deadline(now(), park),
            cancel_scope(|inner| {
                assert!(inner.is_cancelled() && outer.is_cancelled() && is_cancelled());
                sleep(Duration::MAX);
            }),
        ];
        let shielded = shield(|| timeout(Duration::from_millis(1), || (sleep(Duration::MAX), is_cancelled()).1));
        (inner, shielded)
    });
    assert_eq!(outer, Ok(([Ok(()); 4], Ok(true))));
    assert!(!is_cancelled());
    // What a function says of it is an error of its own, and given as such.
    let late = timeout(Duration::from_millis(1), || {
        sleep(Duration::MAX);
        if is_cancelled() { Err("late") } else { Ok(()) }
    });
    assert_eq!(late, Ok(Err("late")));
}

fn results_of_a_cancelled_group_come_as_far_as_there_are_any() {
    let taken = RefCell::new(Vec::new());
    let group = task_group(|group| {
        let mut results = group.results();
        for n in 0..4 {
            results.spawn(move || {
                if n > 0 {
                    park();
                }
                if n == 2 { Err(n) } else { Ok(n) }
            });
        }
        taken.borrow_mut().extend(results.next());
        group.cancel();
        // Each step waits for who ends; what has no result gives none.
        taken.borrow_mut().extend(results.by_ref());
        assert_eq!(results.next(), None);
        // What is spawned now does not begin.
        results.spawn(|| unreachable!("the group is cancelled"));
        assert_eq!(results.next(), None);
        assert!(results.in_order().is_err());
        Ok("whole")
    });
    // The error is one of a task that was told: its cancellation's.
    assert_eq!((group.unwrap(), taken.take()), ("whole", vec![0, 1, 3]));
    let late = timeout(Duration::from_millis(1), || {
        task_group(|group| {
            let results = group.results();
            for n in 0..3 {
                results.spawn(move || {
                    sleep(Duration::MAX);
                    Ok::<_, Cancelled>(n)
                });
            }
            Ok(results.in_order()?)
        })
    });
    assert_eq!(late.unwrap().unwrap(), [0, 1, 2]);
}

fn a_prepared_group_that_is_cancelled_gives_its_results() {
    let group = spawn(|| TaskGroup::from([1, 2].map(|n| Task::new(move || (park(), n).1))).join_all());
    (0..2).for_each(|_| yield_now());
    group.cancel();
    assert_eq!(group.join().unwrap(), [1, 2]);
}

/// As `TaskGroup::join_all` says: there is nothing to return.
fn a_prepared_group_that_has_no_results() {
    _ = cancel_scope(|scope| {
        scope.cancel();
        TaskGroup::from([Task::new(|| ())]).join_all()
    });
}

fn main() {
    assert!(cfg!(panic = "abort"));
    let left = Rc::new(Cell::new(0));
    let ends = std::env::args().nth(1).is_some();
    EventLoop::new().unwrap().run(|| {
        if ends {
            return a_prepared_group_that_has_no_results();
        }
        waits_of_a_task_end_where_it_is_cancelled();
        who_waits_for_a_callback_is_told_that_it_was_dropped();
        who_joins_goes_on_waiting();
        who_waits_for_a_future_goes_on_waiting();
        futures_are_dropped_where_they_wait();
        what_has_not_begun_does_not_begin();
        scopes_give_what_their_functions_return();
        results_of_a_cancelled_group_come_as_far_as_there_are_any();
        a_prepared_group_that_is_cancelled_gives_its_results();
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
