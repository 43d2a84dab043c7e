//! This library's futures under other executors, and where no event loop can run: they are driven, or say that they are not.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

#[path = "../../../tests/blocking.rs"]
mod blocking;
#[path = "../../../tests/ending.rs"]
mod ending;

use blocking::block_on;
use ending::late_after;
use kettle_rt::future::{self, wait};
use kettle_rt::testing::Clock;
use kettle_rt::{EventLoop, in_fiber, now, sleep, spawn, spawn_future, yield_now};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_millis(1);

fn run<T>(f: impl FnOnce() -> T) -> T {
    EventLoop::new().unwrap().run(f)
}

fn alone<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(f).join().unwrap()
}

/// One that has a waker of its own for each future, and is itself a future.
struct Several<'a>(Vec<Pin<Box<dyn Future<Output = ()> + 'a>>>);

impl Future for Several<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        struct Passes(Mutex<Waker>);
        impl Wake for Passes {
            fn wake(self: Arc<Self>) {
                self.0.lock().unwrap().wake_by_ref();
            }
        }
        let waker = Waker::from(Arc::new(Passes(Mutex::new(context.waker().clone()))));
        self.0.retain_mut(|future| future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        if self.0.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }
}

fn words(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
    payload.downcast_ref::<&str>().map(|words| (*words).to_owned()).or_else(|| payload.downcast_ref().cloned()).unwrap()
}

#[test]
fn an_executor_that_is_waited_for_is_driven() {
    fn all() {
        let task = spawn(|| sleep(SOON));
        let also = spawn_future(future::sleep(SOON));
        wait(Several(vec![
            Box::pin(future::sleep(2 * SOON)),
            Box::pin(in_fiber(|| sleep(SOON))),
            Box::pin(async { task.await.unwrap() }),
            Box::pin(async { also.await.unwrap() }),
            Box::pin(async { _ = future::timeout(SOON, std::future::pending::<()>()).await }),
            // A wait within it is no end of the outer one.
            Box::pin(async {
                wait(future::yield_now());
                future::sleep(SOON).await;
            }),
        ]));
    }
    run(all);
    alone(all);
    // In a task that is a future the executor can't wait, but be awaited.
    run(|| spawn_future(Several(vec![Box::pin(future::sleep(SOON)), Box::pin(in_fiber(|| sleep(SOON)))])).join())
        .unwrap();
}

#[test]
fn what_nothing_would_wake_says_so_when_it_is_polled() {
    for has_loop in [false, true] {
        let said = alone(move || {
            let left = has_loop.then(|| {
                let left = spawn(|| sleep(Duration::MAX));
                yield_now();
                // What has been waited for drives no later poll.
                wait(future::sleep(SOON));
                left
            });
            let mut said = vec![
                words(|| block_on(future::sleep(Duration::from_secs(1)))),
                words(|| block_on(in_fiber(|| ()))),
                words(|| _ = block_on(future::timeout(Duration::from_secs(1), std::future::pending::<()>()))),
            ];
            if let Some(left) = left {
                said.push(words(|| drop(block_on(left))));
            }
            // What needs nobody is ready.
            block_on(future::sleep(Duration::ZERO));
            block_on(future::yield_now());
            let ended = spawn(|| 7);
            while !ended.is_finished() {
                yield_now();
            }
            assert_eq!(block_on(ended).unwrap(), 7);
            said
        });
        assert_eq!(said.len(), if has_loop { 4 } else { 3 });
        for words in said {
            let (what, why) = words.split_once(": ").unwrap();
            assert!(what.starts_with("poll ") && what.contains("no event loop"), "{what}");
            assert!(why.contains("`wait`") && why.contains("`run`"), "{why}");
        }
    }
}

#[test]
fn a_handle_is_not_polled_in_another_loop_than_its_task_s() {
    alone(|| {
        let own = spawn(|| 7);
        let own = run(move || {
            let mut own = own;
            let said = words(|| drop(wait(poll_fn(|context| Pin::new(&mut own).poll(context)))));
            assert!(
                said.starts_with("poll the handle of a task where no event loop runs that would end it: "),
                "{said}"
            );
            own
        });
        assert_eq!(wait(own).unwrap(), 7);
    });
}

#[test]
fn a_destructor_that_runs_by_unwinding_waits_for_futures() {
    struct Waits;
    impl Drop for Waits {
        fn drop(&mut self) {
            let begun = Instant::now();
            wait(async {
                future::sleep(SOON).await;
                assert_eq!(in_fiber(|| (sleep(SOON), 7).1).await, 7);
                assert!(future::timeout(SOON, std::future::pending::<()>()).await.is_err());
                // The shorter of two.
                let mut long = pin!(future::sleep(Duration::MAX / 4));
                let mut short = pin!(future::sleep(SOON));
                poll_fn(|context| {
                    assert!(long.as_mut().poll(context).is_pending());
                    short.as_mut().poll(context)
                })
                .await;
            });
            assert!(begun.elapsed() >= 4 * SOON);
        }
    }
    let unwinds = || {
        let _waits = Waits;
        resume_unwind(Box::new("first"));
    };
    let first = run(|| spawn(unwinds).join().unwrap_err());
    assert_eq!(first.downcast_ref(), Some(&"first"));
    for spawns in [false, true] {
        let first = alone(move || {
            if spawns {
                spawn(|| ()).join().unwrap();
            }
            catch_unwind(unwinds).unwrap_err()
        });
        assert_eq!(first.downcast_ref(), Some(&"first"));
    }
}

#[test]
fn where_nobody_has_time_pass_a_sleep_ends_at_once() {
    struct Waits;
    impl Drop for Waits {
        fn drop(&mut self) {
            let before = now();
            wait(future::sleep(Duration::from_secs(100)));
            assert_eq!(now(), before);
        }
    }
    Clock::jumping().run(|| {
        let task = spawn(|| {
            let _waits = Waits;
            resume_unwind(Box::new("first"));
        });
        assert!(task.join().is_err());
    });
}

#[test]
fn a_thread_that_ends_waits_for_futures() {
    for life in [|| (), || spawn(|| ()).join().unwrap()] {
        late_after(
            life,
            || (),
            |()| {
                wait(future::sleep(SOON));
                assert_eq!(wait(in_fiber(|| 7)), 7);
                assert!(words(|| block_on(future::sleep(Duration::from_secs(1)))).contains("no event loop"));
            },
        );
    }
}
