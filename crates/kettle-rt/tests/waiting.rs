//! What tasks wait for: time, and each other, from any thread.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_rt::driver::Op;
use kettle_rt::{
    Builder, EventLoop, Outcome, current, operate, park, park_timeout, sleep, sleep_until, spawn, yield_now,
};
use std::cell::{Cell, RefCell};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

fn run<T>(f: impl FnOnce() -> T) -> T {
    EventLoop::new().unwrap().run(f)
}

#[test]
fn a_sleep_is_never_too_short() {
    run(|| {
        for time in [Duration::ZERO, Duration::from_nanos(1), Duration::from_micros(70), Duration::from_millis(3)] {
            let start = Instant::now();
            sleep(time);
            assert!(start.elapsed() >= time);
        }
        sleep_until(Instant::now());
        sleep_until(Instant::now().checked_sub(Duration::from_secs(1)).unwrap());
    });
}

#[test]
fn sleepers_wake_in_the_order_of_their_time() {
    let order = Rc::new(RefCell::new(Vec::new()));
    run(|| {
        let start = Instant::now();
        let tasks: Vec<_> = [30, 10, 20, 10]
            .into_iter()
            .enumerate()
            .map(|(index, milliseconds)| {
                let order = Rc::clone(&order);
                spawn(move || {
                    sleep_until(start + Duration::from_millis(milliseconds));
                    order.borrow_mut().push((milliseconds, index));
                })
            })
            .collect();
        for task in tasks {
            task.join().unwrap();
        }
    });
    assert_eq!(*order.borrow(), [(10, 1), (10, 3), (20, 2), (30, 0)]);
}

#[test]
fn an_unpark_before_a_park_is_kept_and_two_count_once() {
    run(|| {
        let me = current();
        me.unpark();
        me.unpark();
        park();
        let woken = Rc::new(Cell::new(false));
        let waker = Rc::clone(&woken);
        spawn(move || {
            waker.set(true);
            me.unpark();
        });
        park();
        assert!(woken.get(), "the second park has waited");
    });
}

#[test]
fn a_park_ends_when_its_time_is_over() {
    run(|| {
        let start = Instant::now();
        park_timeout(Duration::from_millis(2));
        assert!(start.elapsed() >= Duration::from_millis(2));
        // The token is not there from before.
        let me = current();
        let waker = spawn(move || me.unpark());
        park();
        waker.join().unwrap();
    });
}

#[test]
fn an_unpark_while_a_task_waits_for_something_else_is_kept() {
    run(|| {
        let sleeper = spawn(|| {
            let start = Instant::now();
            sleep(Duration::from_millis(2));
            assert!(start.elapsed() >= Duration::from_millis(2));
            park();
        });
        yield_now();
        sleeper.thread().unpark();
        sleeper.join().unwrap();
    });
}

#[test]
fn any_thread_unparks() {
    run(|| {
        for _ in 0..1000 {
            let me = current();
            let thread = std::thread::spawn(move || me.unpark());
            park();
            thread.join().unwrap();
        }
    });
}

#[test]
fn two_loops_play_ping_pong() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;
    let ball = Arc::new(AtomicUsize::new(0));
    let (to_pong, from_ping) = channel();
    let (to_ping, from_pong) = channel();
    let play = |ball: Arc<AtomicUsize>, parity: usize, other: kettle_rt::Thread| {
        while ball.load(Ordering::Acquire) < 2000 {
            if ball.load(Ordering::Acquire) % 2 == parity {
                ball.fetch_add(1, Ordering::Release);
                other.unpark();
            } else {
                park();
            }
        }
        other.unpark();
    };
    let theirs = Arc::clone(&ball);
    let thread = std::thread::spawn(move || {
        run(|| {
            to_ping.send(current()).unwrap();
            play(theirs, 1, from_ping.recv().unwrap());
        });
    });
    run(|| {
        to_pong.send(current()).unwrap();
        play(Arc::clone(&ball), 0, from_pong.recv().unwrap());
    });
    thread.join().unwrap();
    assert!(ball.load(Ordering::Relaxed) >= 2000);
}

#[test]
fn unparking_a_task_that_has_ended_does_nothing() {
    let ended = run(|| {
        let handle = spawn(current);
        handle.join().unwrap()
    });
    ended.unpark();
    let gone = run(current);
    std::thread::spawn(move || gone.unpark()).join().unwrap();
}

#[test]
fn tasks_have_names_and_numbers() {
    run(|| {
        let named = Builder::new().name("fetch".into()).spawn(current).unwrap();
        assert_eq!(named.thread().name(), Some("fetch"));
        let id = named.thread().id();
        let inside = named.join().unwrap();
        assert_eq!((inside.id(), inside.name()), (id, Some("fetch")));
        let (a, b) = (spawn(current).join().unwrap(), spawn(current).join().unwrap());
        assert_ne!(a.id(), b.id());
        assert_eq!(a.name(), None);
    });
}

#[test]
#[should_panic(expected = "null byte")]
fn a_name_has_no_null_byte() {
    run(|| drop(Builder::new().name("kettle\0".into()).spawn(|| ())));
}

#[test]
fn outside_of_tasks_all_of_this_is_stds() {
    let start = Instant::now();
    sleep(Duration::from_millis(1));
    assert!(start.elapsed() >= Duration::from_millis(1));
    yield_now();
    current().unpark();
    park();
    park_timeout(Duration::from_millis(1));
    assert_eq!(current().name(), std::thread::current().name());
}

#[test]
fn an_operation_does_not_wait_for_all_who_are_ready() {
    static BYTE: u8 = b'x';
    let (to, from) = UnixStream::pair().unwrap();
    from.set_nonblocking(true).unwrap();
    let (to, from, arrived) = (Rc::new(to), Rc::new(from), Rc::new(Cell::new(0)));
    run(|| {
        let tasks = (0..400).map(|number| {
            let (to, from, arrived) = (Rc::clone(&to), Rc::clone(&from), Rc::clone(&arrived));
            spawn(move || {
                let mut buf = [0; 400];
                arrived.set(arrived.get() + (&*from).read(&mut buf).unwrap_or(0));
                assert!(arrived.get() + 32 >= number, "{} of the {number} before it", arrived.get());
                let op = Op::Send { fd: to.as_raw_fd(), buf: &raw const BYTE, len: 1, flags: libc::MSG_NOSIGNAL };
                // SAFETY: what it points to is static.
                assert_eq!(unsafe { operate(op, None) }, Outcome::Done(1));
            })
        });
        tasks.collect::<Vec<_>>().into_iter().for_each(|task| task.join().unwrap());
    });
}
