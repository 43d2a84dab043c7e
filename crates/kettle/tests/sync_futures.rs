//! Channels that futures wait for: values arrive once and in order, and a future that is dropped loses none.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

#[path = "../../../tests/blocking.rs"]
mod blocking;

use blocking::block_on;
use kettle::sync::{broadcast, channel, mpsc, oneshot, watch};
use kettle::testing::explore;
use kettle::{future, spawn_future, thread, wait};
use kettle_rt::choose;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::RecvError;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Counts how often it is woken.
#[derive(Default)]
struct Counts(AtomicUsize);

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A waker and its count.
fn counted() -> (Waker, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    (Arc::clone(&counts).into(), counts)
}

fn assert_send<T: Send>(value: T) -> T {
    value
}

// --- who polls ---

#[test]
fn tasks_that_are_futures_and_tasks_that_wait_talk_to_each_other() {
    for bound in [0, 1, 3] {
        kettle::run(|| {
            let (sender, mut receiver) = mpsc::sync_channel(bound);
            let (back, from_there) = channel::bounded(bound);
            let other = spawn_future(async move {
                while let Ok(value) = receiver.recv_async().await {
                    back.send_async(value + 1).await.unwrap();
                }
            });
            for n in 0..100 {
                wait(sender.send_async(n)).unwrap();
                assert_eq!(if n % 2 == 0 { from_there.recv() } else { wait(from_there.recv_async()) }, Ok(n + 1));
            }
            drop(sender);
            assert!(wait(from_there.recv_async()).is_err());
            other.join().unwrap();
        });
    }
}

#[test]
fn an_unbounded_channel_is_received_in_order() {
    kettle::run(|| {
        let (sender, mut receiver) = mpsc::channel();
        let other = spawn_future(async move {
            let mut heard = Vec::new();
            while let Ok(n) = receiver.recv_async().await {
                heard.push(n);
            }
            heard
        });
        for n in 0..1000 {
            sender.send(n).unwrap();
            if n % 7 == 0 {
                thread::yield_now();
            }
        }
        drop(sender);
        assert!(other.join().unwrap().into_iter().eq(0..1000));
    });
}

#[test]
fn another_threads_executor_polls_them() {
    for bound in [Some(0), Some(2), None] {
        let (sender, receiver) = bound.map_or_else(channel::unbounded, channel::bounded);
        let (answers, mut from_there) = mpsc::channel();
        let there = std::thread::spawn(move || {
            block_on(assert_send(async move {
                while let Ok(n) = receiver.recv_async().await {
                    answers.send(n).unwrap();
                }
            }));
        });
        kettle::run(|| {
            for n in 0..1000 {
                wait(sender.send_async(n)).unwrap();
            }
            drop(sender);
            for n in 0..1000 {
                assert_eq!(wait(from_there.recv_async()), Ok(n));
            }
            assert!(wait(from_there.recv_async()).is_err());
        });
        there.join().unwrap();
    }
}

#[test]
fn a_oneshot_is_awaited() {
    let (sender, receiver) = oneshot::channel();
    let there = std::thread::spawn(move || block_on(receiver));
    sender.send(7).unwrap();
    assert_eq!(there.join().unwrap(), Ok(7));
    kettle::run(|| {
        let (sender, receiver) = oneshot::channel::<()>();
        let waits = spawn_future(async { receiver.await });
        thread::yield_now();
        drop(sender);
        assert!(waits.join().unwrap().is_err());
        // The sender hears that nobody is there any more.
        let (sender, receiver) = oneshot::channel();
        let waits = spawn_future(receiver.into_future());
        thread::yield_now();
        waits.cancel();
        assert!(waits.join().is_err());
        assert_eq!(sender.send(8).unwrap_err().0, 8);
    });
}

#[test]
fn news_are_awaited() {
    kettle::run(|| {
        let (light, mut watching) = watch::channel(0);
        let (speaker, mut hearing) = broadcast::channel(4);
        let sees = spawn_future(async move {
            while *watching.changed_async().await.unwrap() < 3 {}
            watching.changed_async().await.is_err()
        });
        let hears = spawn_future(async move {
            let mut sum = 0;
            while let Ok(n) = hearing.recv_async().await {
                sum += n;
            }
            sum
        });
        for n in 1..=3 {
            light.send(n).unwrap();
            speaker.send(n).unwrap();
            thread::yield_now();
        }
        drop((light, speaker));
        assert_eq!((sees.join().unwrap(), hears.join().unwrap()), (true, 6));
    });
}

// --- wakers ---

#[test]
fn the_last_waker_is_woken_and_once() {
    let (sender, receiver) = channel::unbounded();
    let (first, second) = (counted(), counted());
    let mut future = pin!(receiver.recv_async());
    for (waker, _) in [&first, &second, &second] {
        assert!(future.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    assert_eq!((first.1.0.load(Ordering::Relaxed), second.1.0.load(Ordering::Relaxed)), (0, 1));
    assert_eq!(future.as_mut().poll(&mut Context::from_waker(&first.0)), Poll::Ready(Ok(1)));
    // And again: it is as a new one.
    assert_eq!(future.as_mut().poll(&mut Context::from_waker(&first.0)), Poll::Ready(Ok(2)));
    assert!(future.as_mut().poll(&mut Context::from_waker(&first.0)).is_pending());
    drop(sender);
    assert!(matches!(future.as_mut().poll(&mut Context::from_waker(&first.0)), Poll::Ready(Err(_))));
    assert_eq!(first.1.0.load(Ordering::Relaxed), 1);
}

#[test]
fn no_waker_is_kept_by_a_future_that_has_gone() {
    let (waker, counts) = counted();
    let (sender, receiver) = channel::bounded(0);
    {
        let mut receives = pin!(receiver.recv_async());
        assert!(receives.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    {
        let mut sends = pin!(sender.send_async(1));
        assert!(sends.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(waker);
    assert_eq!(Arc::strong_count(&counts), 1);
    assert!(receiver.try_recv().is_err());
}

#[test]
fn a_waker_that_panics_keeps_nobody_from_being_woken() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("no");
        }
    }
    let (sender, receiver) = channel::unbounded::<()>();
    let panics = Waker::from(Arc::new(Panics));
    let (counting, counts) = counted();
    let (mut first, mut second, mut third) =
        (pin!(receiver.recv_async()), pin!(receiver.recv_async()), pin!(receiver.recv_async()));
    assert!(first.as_mut().poll(&mut Context::from_waker(&counting)).is_pending());
    assert!(second.as_mut().poll(&mut Context::from_waker(&panics)).is_pending());
    assert!(third.as_mut().poll(&mut Context::from_waker(&counting)).is_pending());
    drop(sender);
    assert_eq!(counts.0.load(Ordering::Relaxed), 2);
}

#[test]
fn a_waker_that_panics_takes_no_value_from_who_wakes_it() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            resume_unwind(Box::new("no"));
        }
    }
    let panics = Waker::from(Arc::new(Panics));
    let mut panics = Context::from_waker(&panics);
    let (sender, receiver) = channel::bounded(1);
    let mut receives = pin!(receiver.recv_async());
    assert!(receives.as_mut().poll(&mut panics).is_pending());
    sender.send(1).unwrap();
    assert_eq!(receives.as_mut().poll(&mut panics), Poll::Ready(Ok(1)));
    let receive: [fn(&channel::Receiver<u32>) -> _; 3] =
        [|r| r.recv(), |r| wait(r.recv_async()), |r| r.recv_timeout(Duration::MAX).map_err(|_| RecvError)];
    sender.send(2).unwrap();
    for receive in receive {
        let mut sends = pin!(sender.send_async(2));
        assert!(sends.as_mut().poll(&mut panics).is_pending());
        assert_eq!(receive(&receiver), Ok(2));
        assert!(sends.as_mut().poll(&mut panics).is_ready());
    }
    // Also where a panic is under way already.
    let (sender, receiver) = channel::unbounded::<()>();
    let mut receives = pin!(receiver.recv_async());
    assert!(receives.as_mut().poll(&mut panics).is_pending());
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let _sender = sender;
        resume_unwind(Box::new("first"));
    }));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"first"));
    assert_eq!(receives.as_mut().poll(&mut panics), Poll::Ready(Err(RecvError)));
}

/// A waker that polls, sends and drops where it is woken: nothing is locked there.
#[test]
fn a_waker_may_use_the_channel() {
    struct Sends(channel::Sender<u32>);
    impl Wake for Sends {
        fn wake(self: Arc<Self>) {
            _ = self.0.try_send(2);
        }
    }
    impl Drop for Sends {
        fn drop(&mut self) {
            _ = self.0.try_send(3);
        }
    }
    let (sender, receiver) = channel::unbounded();
    let waker = Waker::from(Arc::new(Sends(sender.clone())));
    let mut future = pin!(receiver.recv_async());
    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    sender.send(1).unwrap();
    assert_eq!(block_on(future), Ok(1));
    assert!(receiver.try_iter().eq([2, 3]));
}

// --- dropped ---

#[test]
fn a_future_that_is_dropped_loses_no_value() {
    for bound in [Some(2), None] {
        let (sender, receiver) = bound.map_or_else(channel::unbounded, channel::bounded);
        let (waker, _) = counted();
        let mut context = Context::from_waker(&waker);
        let polled = |context: &mut Context<'_>| {
            let mut future = Box::pin(receiver.recv_async());
            assert!(future.as_mut().poll(context).is_pending());
            future
        };
        // Never polled; waiting; woken for a value that it has not taken.
        drop(receiver.recv_async());
        drop(polled(&mut context));
        let given = polled(&mut context);
        sender.try_send(Box::new(1)).unwrap();
        drop(given);
        assert_eq!(*receiver.try_recv().unwrap(), 1, "{bound:?}");
        // With others behind it, who get it.
        let (given, mut next) = (polled(&mut context), polled(&mut context));
        sender.try_send(Box::new(2)).unwrap();
        drop(given);
        assert!(matches!(next.as_mut().poll(&mut context), Poll::Ready(Ok(value)) if *value == 2));
        // Before what has come since.
        let given = polled(&mut context);
        sender.try_send(Box::new(3)).unwrap();
        sender.try_send(Box::new(4)).unwrap();
        drop(given);
        assert_eq!(*receiver.try_recv().unwrap(), 3);
        assert_eq!(*receiver.try_recv().unwrap(), 4);
        // When all senders have gone.
        let (given, waits) = (polled(&mut context), polled(&mut context));
        sender.try_send(Box::new(5)).unwrap();
        drop(sender);
        drop((given, waits));
        assert_eq!(receiver.recv().map(|value| *value), Ok(5));
        assert!(receiver.recv().is_err());
    }
}

#[test]
fn a_sender_that_is_dropped_takes_its_value_along_or_has_sent_it() {
    let (sender, receiver) = channel::bounded(0);
    let value = Rc::new(());
    let (waker, counts) = counted();
    let mut context = Context::from_waker(&waker);
    drop(sender.send_async(Rc::clone(&value)));
    let mut waits = Box::pin(sender.send_async(Rc::clone(&value)));
    assert!(waits.as_mut().poll(&mut context).is_pending());
    drop(waits);
    assert_eq!((Rc::strong_count(&value), receiver.try_recv().is_err()), (1, true));
    let mut sent = Box::pin(sender.send_async(Rc::clone(&value)));
    assert!(sent.as_mut().poll(&mut context).is_pending());
    let received = receiver.try_recv().unwrap();
    assert_eq!(counts.0.load(Ordering::Relaxed), 1);
    drop(sent);
    assert_eq!(Rc::strong_count(&value), 2);
    drop(received);
    // Nobody receives any more: the value comes back.
    let mut refused = Box::pin(sender.send_async(Rc::clone(&value)));
    assert!(refused.as_mut().poll(&mut context).is_pending());
    drop(receiver);
    assert!(matches!(refused.as_mut().poll(&mut context), Poll::Ready(Err(error)) if Rc::ptr_eq(&error.0, &value)));
}

#[test]
fn forgotten_futures_are_leaks_and_no_more() {
    let (sender, receiver) = channel::unbounded();
    let (waker, counts) = counted();
    let mut future = Box::pin(receiver.recv_async());
    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    std::mem::forget(future);
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    assert_eq!((counts.0.load(Ordering::Relaxed), receiver.try_recv()), (1, Ok(1)));
}

/// Values are counted while futures time out, tasks are cancelled, and the order is any.
#[test]
fn nothing_is_lost_in_any_order() {
    explore(0..300, || {
        let sent = Rc::new(Cell::new(0_u32));
        let heard = Rc::new(Cell::new(0_u32));
        let (sender, receiver) = channel::bounded(choose(3));
        let senders: Vec<_> = (0..3)
            .map(|_| {
                let (sender, sent) = (sender.clone(), Rc::clone(&sent));
                spawn_future(async move {
                    for _ in 0..4 {
                        // What was not sent in time is not counted.
                        let send = async {
                            sender.send_async(()).await.unwrap();
                            sent.set(sent.get() + 1);
                        };
                        _ = future::timeout(Duration::from_millis(3), send).await;
                        future::sleep(Duration::from_millis(choose(4) as u64)).await;
                    }
                })
            })
            .collect();
        let receivers: Vec<_> = (0..3)
            .map(|_| {
                let (receiver, heard) = (receiver.clone(), Rc::clone(&heard));
                spawn_future(async move {
                    loop {
                        // Not 0: it would try again and again in one poll.
                        let time = Duration::from_millis(1 + choose(3) as u64);
                        match future::timeout(time, receiver.recv_async()).await {
                            Ok(Ok(())) => heard.set(heard.get() + 1),
                            Ok(Err(_)) => break,
                            Err(_) => {}
                        }
                    }
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(choose(8) as u64));
        receivers[0].cancel();
        let cancelled = choose(2) == 1;
        if cancelled {
            receivers[1].cancel();
        }
        drop(sender);
        senders.into_iter().for_each(|task| task.join().unwrap());
        receivers.into_iter().for_each(|task| drop(task.join()));
        // Who was cancelled may have given back what came last, when nobody looked any more.
        let heard = heard.get() + receiver.try_iter().count() as u32;
        // A send whose time was up before it heard that the value has been received is not counted.
        assert!(sent.get() <= heard && heard <= 12, "{} sent, {heard} heard", sent.get());
    });
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn futures_that_are_dropped_after_they_were_woken_keep_the_order() {
    let (sender, receiver) = channel::unbounded();
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(receiver.recv_async())).collect();
    assert!(waiting.iter_mut().all(|future| poll_once(future.as_mut()).is_pending()));
    for n in 0..4 {
        sender.send(n).unwrap();
    }
    drop(waiting);
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn futures_that_wait_make_no_room() {
    for bound in [0, 1, 2] {
        let (sender, receiver) = channel::bounded(bound);
        let mut waiting: Vec<_> = (0..5).map(|_| Box::pin(receiver.recv_async())).collect();
        assert!(waiting.iter_mut().all(|future| poll_once(future.as_mut()).is_pending()));
        let sent = (0..5).filter(|&n| sender.try_send(n).is_ok()).count();
        assert_eq!(sent, bound);
        drop(waiting);
        assert_eq!(receiver.try_iter().count(), bound);
    }
}

#[test]
fn no_value_comes_after_the_end() {
    let (sender, receiver) = channel::unbounded();
    let mut waits = Box::pin(receiver.recv_async());
    assert!(poll_once(waits.as_mut()).is_pending());
    sender.send("tea").unwrap();
    drop(sender);
    // It was woken for it, and somebody else is faster.
    assert_eq!(receiver.try_recv(), Ok("tea"));
    assert_eq!(poll_once(waits.as_mut()), Poll::Ready(Err(RecvError)));
}

#[test]
fn a_future_that_is_dropped_passes_on_what_it_was_woken_for() {
    kettle::run(|| {
        for bound in [None, Some(0), Some(1)] {
            let (sender, receiver) = bound.map_or_else(channel::unbounded, channel::bounded);
            let mut first = Box::pin(receiver.recv_async());
            assert!(poll_once(first.as_mut()).is_pending());
            let task = thread::spawn({
                let receiver = receiver.clone();
                move || receiver.recv()
            });
            let future = spawn_future({
                let receiver = receiver.clone();
                async move { receiver.recv_async().await }
            });
            thread::yield_now();
            let senders: Vec<_> = [1, 2]
                .map(|n| {
                    let sender = sender.clone();
                    thread::spawn(move || sender.send(n).unwrap())
                })
                .into();
            thread::yield_now();
            drop(first);
            let mut received = [task.join().unwrap().unwrap(), future.join().unwrap().unwrap()];
            received.sort_unstable();
            assert_eq!(received, [1, 2]);
            senders.into_iter().for_each(|sender| sender.join().unwrap());
        }
    });
}
