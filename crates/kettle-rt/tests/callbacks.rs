//! Tasks that wait for callbacks, and callbacks that wait for tasks: each way in which one is called, or isn't.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_rt::testing::{assert_checkpoints, assert_no_checkpoints, explore, simulate};
use kettle_rt::{
    Cancelled, Done, EventLoop, Reason, Uncalled, callback, cancel_scope, future, is_cancelled, now, scope, shield,
    sleep, spawn, spawn_future, timeout, yield_now,
};
use std::cell::{Cell, RefCell};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

const FOREVER: Duration = Duration::MAX;

fn run<T>(f: impl FnOnce() -> T) -> T {
    EventLoop::new().unwrap().run(f)
}

/// Counts how many of it have been dropped.
struct Counted(Rc<Cell<u32>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// A task that waits for a callback, until it waits; and the callback.
fn waiting<T: 'static>() -> (kettle_rt::JoinHandle<Result<T, Uncalled>>, Done<T>) {
    let kept = Rc::new(RefCell::new(None));
    let task = spawn({
        let kept = Rc::clone(&kept);
        move || callback(|done| *kept.borrow_mut() = Some(done))
    });
    yield_now();
    (task, kept.take().unwrap())
}

// --- callback ---

#[test]
fn called_at_once_its_value_is_given() {
    run(|| assert_eq!(callback(|done| done.call(1)), Ok(1)));
}

#[test]
fn called_later_by_a_task_its_value_is_given() {
    run(|| assert_eq!(callback(|done| spawn(move || done.call(Rc::new(1)))), Ok(Rc::new(1))));
}

#[test]
fn called_by_another_thread_its_value_is_given() {
    run(|| assert_eq!(callback(|done| thread::spawn(move || done.call(1))), Ok(1)));
}

#[test]
fn others_run_while_it_is_waited_for() {
    run(|| {
        let (task, done) = waiting();
        assert!(!task.is_finished());
        done.call(1);
        assert_eq!(task.join().unwrap(), Ok(1));
    });
}

#[test]
fn as_a_function_it_is_called_too() {
    fn register(on_done: impl FnOnce(u32) + Send + 'static) {
        thread::spawn(move || on_done(1));
    }
    run(|| {
        assert_eq!(callback(|done| register(done.into_fn())), Ok(1));
        assert_eq!(callback(|done| register(move |n| done.call(n + 1))), Ok(2));
        let boxed: Result<u32, _> = callback(|done| register(Box::new(done.into_fn()) as Box<dyn FnOnce(u32) + Send>));
        assert_eq!(boxed, Ok(1));
        assert_eq!(callback::<u32, _>(|done| drop(done.into_fn())), Err(Uncalled));
    });
}

#[test]
fn dropped_uncalled_it_is_an_error() {
    run(|| {
        assert_eq!(callback::<u32, _>(drop), Err(Uncalled));
        assert_eq!(callback::<u32, _>(|done| spawn(move || drop(done))), Err(Uncalled));
        assert_eq!(callback::<u32, _>(|done| thread::spawn(move || drop(done))), Err(Uncalled));
    });
    assert_eq!(Uncalled.to_string(), "wait for a callback: it was dropped without being called");
}

#[test]
fn dropped_by_a_thread_that_unwinds_it_is_an_error() {
    run(|| {
        let nothing = callback::<u32, _>(|done| {
            thread::spawn(move || {
                let _done = done;
                resume_unwind(Box::new("no water"));
            })
        });
        assert_eq!(nothing, Err(Uncalled));
    });
}

#[test]
fn dropped_by_a_task_that_is_cancelled_it_is_an_error() {
    run(|| {
        let nothing = callback::<u32, _>(|done| {
            let task = spawn(move || {
                let _done = done;
                sleep(FOREVER);
            });
            spawn(move || task.cancel());
        });
        assert_eq!(nothing, Err(Uncalled));
    });
}

#[test]
fn a_panic_of_the_function_comes_out_and_nobody_waits() {
    run(|| {
        let mut kept = None;
        let panic = catch_unwind(AssertUnwindSafe(|| {
            callback(|done| {
                kept = Some(done);
                resume_unwind(Box::new("no kettle"));
            })
        }));
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"no kettle"));
        assert_eq!(kept.unwrap().try_call(1), Err(1));
    });
}

#[test]
fn a_value_from_a_function_that_panics_then_is_dropped() {
    run(|| {
        let dropped = Rc::new(Cell::new(0));
        let panic = catch_unwind(AssertUnwindSafe(|| {
            callback(|done| {
                done.call(Counted(Rc::clone(&dropped)));
                resume_unwind(Box::new("no kettle"));
            })
            .is_ok()
        }));
        assert!(panic.is_err());
        assert_eq!(dropped.get(), 1);
    });
}

#[test]
fn what_the_function_returns_is_kept_until_the_wait_has_ended() {
    run(|| {
        let dropped = Rc::new(Cell::new(0));
        let value = callback(|done| {
            let (guard, seen) = (Counted(Rc::clone(&dropped)), Rc::clone(&dropped));
            spawn(move || done.call(seen.get()));
            guard
        });
        assert_eq!((value, dropped.get()), (Ok(0), 1));
        let late = timeout(Duration::ZERO, || {
            callback::<(), _>(|done| {
                mem::forget(done);
                shield(yield_now);
                Counted(Rc::clone(&dropped))
            })
        });
        // Cancelled before it began: the function was not called.
        assert_eq!((late.is_err(), dropped.get()), (true, 1));
        let cancelled = cancel_scope(|wait| {
            callback::<(), _>(|done| {
                mem::forget(done);
                wait.cancel();
                Counted(Rc::clone(&dropped))
            })
        });
        assert_eq!((cancelled.is_err(), dropped.get()), (true, 2));
    });
}

#[test]
fn a_value_after_the_cancellation_is_handed_back() {
    run(|| {
        let (task, done) = waiting();
        task.cancel();
        assert!(task.join().unwrap_err().is::<Cancelled>());
        assert_eq!(done.try_call("tea"), Err("tea"));

        let dropped = Rc::new(Cell::new(0));
        let (task, done) = waiting();
        task.cancel();
        assert!(task.join().is_err());
        done.call(Counted(Rc::clone(&dropped)));
        assert_eq!(dropped.get(), 1);

        let (task, done) = waiting::<u32>();
        task.cancel();
        assert!(task.join().is_err());
        drop(done);
    });
}

#[test]
fn a_value_before_the_cancellation_is_heard_is_given() {
    run(|| {
        // The call comes first.
        let (task, done) = waiting();
        done.call(1);
        task.cancel();
        assert_eq!(task.join().unwrap(), Ok(1));
        // The cancellation comes first, and is not heard yet.
        let (task, done) = waiting();
        task.cancel();
        assert_eq!(done.try_call(2), Ok(()));
        assert_eq!(task.join().unwrap(), Ok(2));
        // The function itself is where it is cancelled.
        let given = cancel_scope(|wait| {
            callback(|done| {
                wait.cancel();
                done.call(3);
            })
        });
        assert_eq!(given, Ok(Ok(3)));
    });
}

#[test]
fn values_of_threads_are_given_or_handed_back_however_they_meet_a_cancellation() {
    let (given, back) = run(|| {
        let (give, threads) = mpsc::channel::<(usize, Done<usize>)>();
        let returned = thread::spawn(move || {
            threads.into_iter().filter_map(|(n, done)| done.try_call(n).err()).collect::<Vec<_>>()
        });
        let mut given = Vec::new();
        for n in 0..2000 {
            let give = give.clone();
            let waits = spawn(move || callback(|done| give.send((n, done)).unwrap()));
            yield_now();
            // More or less of a race, from one to the next.
            (0..n % 50).for_each(|_| std::hint::spin_loop());
            waits.cancel();
            match waits.join() {
                Ok(value) => given.push(value.unwrap()),
                Err(panic) => assert!(panic.is::<Cancelled>()),
            }
        }
        drop(give);
        (given, returned.join().unwrap())
    });
    let mut all = [given, back].concat();
    all.sort_unstable();
    assert_eq!(all, (0..2000).collect::<Vec<_>>());
}

#[test]
fn a_forgotten_one_is_waited_for_until_the_task_is_cancelled() {
    run(|| {
        let task = spawn(|| callback::<u32, _>(mem::forget));
        yield_now();
        assert!(!task.is_finished());
        task.cancel();
        assert!(task.join().unwrap_err().is::<Cancelled>());
    });
    // What still waits when the loop ends is cancelled.
    let left = run(|| {
        let task = spawn(|| callback::<u32, _>(mem::forget));
        yield_now();
        task
    });
    assert_eq!(left.join().unwrap_err().downcast_ref::<Cancelled>().unwrap().reason(), Reason::Shutdown);
}

#[test]
fn in_a_shield_it_is_waited_for_all_the_same() {
    run(|| {
        let given = cancel_scope(|wait| {
            wait.cancel();
            shield(|| callback(|done| spawn(move || done.call(1))))
        });
        assert_eq!(given, Ok(Ok(1)));
    });
}

#[test]
fn ten_thousand_are_waited_for_at_once() {
    const COUNT: usize = 10_000;
    let sum = run(|| {
        let (give, threads) = mpsc::channel::<(usize, Done<usize>)>();
        let tasks: Vec<_> = (0..COUNT)
            .map(|n| {
                let give = give.clone();
                spawn(move || callback(move |done| give.send((n, done)).unwrap()).unwrap())
            })
            .collect();
        let mut calls = Vec::new();
        while calls.len() < COUNT {
            // Who is done at once lets others run now and then: not all of them have asked after one turn.
            yield_now();
            calls.extend(threads.try_iter());
        }
        thread::spawn(move || calls.into_iter().rev().for_each(|(n, done)| done.call(n)));
        tasks.into_iter().map(|task| task.join().unwrap()).sum::<usize>()
    });
    assert_eq!(sum, COUNT * (COUNT - 1) / 2);
}

#[test]
fn loops_call_back_to_each_other() {
    // Each loop asks the next one, which calls back.
    const LOOPS: usize = 3;
    let answered = AtomicUsize::new(0);
    let (gives, takes): (Vec<_>, Vec<_>) = (0..LOOPS).map(|_| mpsc::channel::<Done<usize>>()).unzip();
    let all_asked = std::sync::Barrier::new(LOOPS);
    thread::scope(|s| {
        for (n, take) in takes.into_iter().enumerate() {
            let give = gives[(n + 1) % LOOPS].clone();
            let (answered, all_asked) = (&answered, &all_asked);
            s.spawn(move || {
                run(|| {
                    scope(|s| {
                        let asks = s.spawn(|| callback(|done| give.send(done).unwrap()));
                        yield_now();
                        all_asked.wait();
                        take.recv().unwrap().call(n);
                        assert_eq!(asks.join().unwrap(), Ok((n + 1) % LOOPS));
                        answered.fetch_add(1, Ordering::Relaxed);
                    });
                });
            });
        }
    });
    assert_eq!(answered.into_inner(), LOOPS);
}

#[test]
fn outside_of_run_the_thread_waits() {
    assert_eq!(callback(|done| thread::spawn(move || done.call(1))), Ok(1));
    assert_eq!(callback::<u32, _>(|done| thread::spawn(move || drop(done))), Err(Uncalled));
    // It has spawned, so it is a task of its own loop, and lets the others run.
    assert_eq!(callback(|done| spawn(move || done.call(Rc::new(2)))), Ok(Rc::new(2)));
}

#[test]
fn in_a_destructor_that_unwinds_the_thread_waits() {
    struct Asks(Arc<Mutex<Option<u32>>>);
    impl Drop for Asks {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = callback(|done| thread::spawn(move || done.call(1))).ok();
        }
    }
    let answer = Arc::default();
    run(|| {
        let asks = Asks(Arc::clone(&answer));
        let task = spawn(move || {
            let _asks = asks;
            sleep(FOREVER);
        });
        yield_now();
        task.cancel();
        assert!(task.join().unwrap_err().is::<Cancelled>());
    });
    assert_eq!(*answer.lock().unwrap(), Some(1));
}

#[test]
fn in_a_future_it_is_refused_before_it_is_registered() {
    run(|| {
        let task = spawn_future(async { callback::<(), _>(|_| unreachable!("registered")) });
        let panic = task.join().unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"wait for a callback inside of a future: await something"));
    });
}

#[test]
fn it_is_a_checkpoint_also_if_called_at_once() {
    run(|| {
        assert_checkpoints(|| callback(|done| done.call(1)).unwrap());
        let (task, done) = waiting();
        assert_no_checkpoints(|| done.call(1));
        assert_eq!(task.join().unwrap(), Ok(1));
        let cancelled = cancel_scope(|wait| {
            wait.cancel();
            callback::<(), _>(|_| unreachable!("registered"))
        });
        assert!(cancelled.is_err());
    });
}

#[test]
fn one_callback_waits_for_another() {
    run(|| {
        let sum = callback(|done| {
            let inner = callback(|inner| thread::spawn(move || inner.call(1))).unwrap();
            done.call(inner + 1);
        });
        assert_eq!(sum, Ok(2));
    });
}

#[test]
fn what_is_given_may_borrow() {
    run(|| {
        let text = String::from("whistle");
        assert_eq!(callback(|done| done.call(text.as_str())), Ok("whistle"));
        scope(|s| {
            assert_eq!(
                callback(|done| {
                    s.spawn(|| done.call(text.as_str()));
                }),
                Ok("whistle")
            );
        });
    });
}

#[test]
fn in_a_simulation_it_takes_as_long_as_the_simulated_world_does() {
    let hours = simulate(3, || {
        let begin = now();
        let tea = callback(|done| {
            spawn(move || {
                sleep(Duration::from_secs(7200));
                done.call("tea");
            })
        });
        assert_eq!(tea, Ok("tea"));
        (now() - begin).as_secs() / 3600
    });
    assert_eq!(hours, 2);
}

#[test]
fn in_no_order_of_tasks_a_value_is_lost() {
    explore(0..300, || {
        let (given, back, kept) = (Cell::new(0), Cell::new(0), RefCell::new(None));
        scope(|s| {
            let asks = s.spawn(|| {
                callback(|done| *kept.borrow_mut() = Some(done)).unwrap();
                given.set(given.get() + 1);
            });
            s.spawn(|| {
                (0..3).for_each(|_| yield_now());
                // The task may have been cancelled before it has asked.
                let is_heard = kept.take().is_some_and(|done: Done<u32>| done.try_call(1).is_ok());
                back.set(u32::from(!is_heard));
            });
            s.spawn(move || {
                (0..3).for_each(|_| yield_now());
                asks.cancel();
            });
        });
        assert_eq!(given.get() + back.get(), 1, "lost, or there twice");
    });
}

// --- on_done ---

#[test]
fn on_done_is_called_when_the_task_has_ended() {
    run(|| {
        let (tell, told) = mpsc::channel();
        let callback = spawn(|| {
            yield_now();
            Rc::new(1)
        })
        .on_done(move |result| tell.send(result.unwrap()).unwrap());
        assert!(told.try_recv().is_err() && !callback.is_finished());
        callback.join().unwrap();
        assert_eq!(told.try_recv(), Ok(Rc::new(1)));
    });
}

#[test]
fn on_done_of_a_task_that_has_ended_is_called_when_others_had_their_turn() {
    run(|| {
        let task = spawn(|| 1);
        yield_now();
        assert!(task.is_finished());
        let called = Rc::new(Cell::new(0));
        let callback = assert_no_checkpoints(|| {
            let called = Rc::clone(&called);
            task.on_done(move |n| called.set(n.unwrap()))
        });
        assert_eq!(called.get(), 0);
        callback.join().unwrap();
        assert_eq!(called.get(), 1);
    });
}

#[test]
fn on_done_is_called_with_the_panic_or_the_cancellation() {
    run(|| {
        let panic = spawn(|| resume_unwind(Box::new("no water"))).on_done(|result: Result<(), _>| result.unwrap_err());
        assert_eq!(panic.join().unwrap().downcast_ref(), Some(&"no water"));
        let task = spawn(|| sleep(FOREVER));
        yield_now();
        task.cancel();
        let reason = task.on_done(|result| result.unwrap_err().downcast_ref::<Cancelled>().unwrap().reason());
        assert_eq!(reason.join().unwrap(), Reason::Explicit);
    });
}

#[test]
fn what_on_done_calls_may_suspend_and_panic() {
    run(|| {
        let slow = spawn(|| 1).on_done(|n| {
            sleep(Duration::from_millis(1));
            n.unwrap() + 1
        });
        assert_eq!(slow.join().unwrap(), 2);
        let panics = spawn(|| ()).on_done(|_| resume_unwind(Box::new("spilt")));
        let panic: Result<(), _> = panics.join();
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"spilt"));
    });
}

#[test]
fn on_done_goes_on_from_one_to_the_next() {
    run(|| {
        let last = (0..100).fold(spawn(|| 0), |task, _| task.on_done(|n| n.unwrap() + 1));
        assert_eq!(last.join().unwrap(), 100);
        assert_eq!(future::wait(spawn_future(async { 1 }).on_done(|n| n.unwrap() + 1)).unwrap(), 2);
    });
}

#[test]
fn on_done_is_not_called_if_its_own_task_is_cancelled() {
    run(|| {
        let (dropped, ended) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
        let task = spawn({
            let ended = Rc::clone(&ended);
            move || {
                yield_now();
                yield_now();
                ended.set(true);
            }
        });
        let counted = Counted(Rc::clone(&dropped));
        let callback = task.on_done(move |_| {
            let _counted = counted;
            unreachable!("called");
        });
        callback.cancel();
        assert!(callback.join().unwrap_err().is::<Cancelled>());
        // The task itself runs on.
        assert_eq!((dropped.get(), ended.get()), (1, false));
        while !ended.get() {
            yield_now();
        }
    });
}

#[test]
fn on_done_is_not_called_when_the_loop_ends() {
    let dropped = Rc::new(Cell::new(0));
    let counted = Counted(Rc::clone(&dropped));
    run(|| {
        let task = spawn(|| sleep(FOREVER));
        task.on_done(move |_| {
            let _counted = counted;
            assert!(is_cancelled(), "called as if the task had ended by itself");
        });
        yield_now();
    });
    assert_eq!(dropped.get(), 1);
}

#[test]
fn a_callback_that_is_unparked_waits_for_the_end_all_the_same() {
    run(|| {
        let ended = Rc::new(Cell::new(false));
        let task = spawn({
            let ended = Rc::clone(&ended);
            move || {
                (0..5).for_each(|_| yield_now());
                ended.set(true);
            }
        });
        let callback = task.on_done(move |_| assert!(ended.get()));
        callback.thread().unpark();
        callback.join().unwrap();
    });
}

#[test]
fn a_handle_that_outlives_its_loop_has_done() {
    let task = run(|| spawn(|| sleep(FOREVER)));
    run(|| task.on_done(|result| assert!(result.is_err())).join().unwrap());
    // And outside of all.
    let task = spawn(|| 1);
    assert_eq!(task.on_done(|n| n.unwrap() + 1).join().unwrap(), 2);
}

#[test]
fn on_done_of_a_task_of_another_loop_is_refused() {
    let task = spawn(|| 1);
    run(|| {
        let panic = catch_unwind(AssertUnwindSafe(|| task.on_done(|_| ()))).unwrap_err();
        let message = panic.downcast_ref::<&str>();
        assert_eq!(message, Some(&"have a function called at the end of a task of another event loop"));
    });
}

#[test]
fn ten_thousand_callbacks_wait_for_tasks() {
    const COUNT: u32 = 10_000;
    run(|| {
        let called = Rc::new(Cell::new(0));
        let callbacks: Vec<_> = (0..COUNT)
            .map(|_| {
                let called = Rc::clone(&called);
                spawn(|| 1).on_done(move |n| called.set(called.get() + n.unwrap()))
            })
            .collect();
        callbacks.into_iter().for_each(|callback| callback.join().unwrap());
        assert_eq!(called.get(), COUNT);
    });
}

#[test]
fn on_done_in_a_simulation_is_called_once_in_every_order() {
    explore(0..200, || {
        let called = Rc::new(Cell::new(0));
        let task = spawn(yield_now);
        let other = spawn(yield_now);
        let callback = task.on_done({
            let called = Rc::clone(&called);
            move |_| called.set(called.get() + 1)
        });
        let cancels = spawn(move || callback.cancel());
        other.join().unwrap();
        cancels.join().unwrap();
        (0..4).for_each(|_| yield_now());
        assert!(called.get() <= 1);
    });
}
