//! The channels that std lacks: many receivers, one value, the latest value, every value.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle::sync::broadcast::{self, RecvError as Missed, TryRecvError as NotYet};
use kettle::sync::channel::{
    self, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
use kettle::sync::{oneshot, watch};
use kettle::{Cancelled, cancel_scope, thread, timeout};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn each_value_goes_to_one_receiver_among_tasks_loops_and_threads() {
    for capacity in [None, Some(0), Some(1), Some(7)] {
        kettle::run(|| {
            let (sender, receiver) = match capacity {
                None => channel::unbounded(),
                Some(capacity) => channel::bounded(capacity),
            };
            assert_eq!(sender.capacity(), capacity);
            let receive = |receiver: channel::Receiver<u64>| move || receiver.iter().collect::<Vec<_>>();
            let send = |sender: channel::Sender<u64>, source: u64| {
                move || (0..400).for_each(|n| sender.send(source * 400 + n).unwrap())
            };
            let threads: Vec<_> = (0..2).map(|_| std::thread::spawn(receive(receiver.clone()))).collect();
            let loops: Vec<_> = (0..2)
                .map(|_| {
                    let receive = receive(receiver.clone());
                    std::thread::spawn(move || kettle::run(receive))
                })
                .collect();
            let tasks: Vec<_> = (0..2).map(|_| thread::spawn(receive(receiver.clone()))).collect();
            drop(receiver);
            let senders: Vec<_> = (0..2).map(|source| thread::spawn(send(sender.clone(), source))).collect();
            let thread = std::thread::spawn(send(sender.clone(), 2));
            let other_loop = std::thread::spawn({
                let send = send(sender, 3);
                move || kettle::run(send)
            });
            let mut all: Vec<u64> = tasks.into_iter().flat_map(|task| task.join().unwrap()).collect();
            senders.into_iter().for_each(|task| task.join().unwrap());
            thread.join().unwrap();
            other_loop.join().unwrap();
            all.extend(threads.into_iter().chain(loops).flat_map(|thread| thread.join().unwrap()));
            all.sort_unstable();
            assert!(all.into_iter().eq(0..1600), "{capacity:?}");
        });
    }
}

#[test]
fn who_has_waited_longest_is_served_first() {
    kettle::run(|| {
        let (sender, receiver) = channel::bounded(0);
        let order = Rc::new(RefCell::new(Vec::new()));
        let receivers: Vec<_> = (0..4)
            .map(|n| {
                let (receiver, order) = (receiver.clone(), Rc::clone(&order));
                thread::spawn(move || {
                    let value = receiver.recv().unwrap();
                    order.borrow_mut().push((n, value));
                })
            })
            .collect();
        thread::yield_now();
        // One that gives up does not take another's turn.
        receivers[1].cancel();
        thread::yield_now();
        (10..13).for_each(|value| sender.send(value).unwrap());
        let ends: Vec<_> = receivers.into_iter().map(|task| task.join().is_ok()).collect();
        assert_eq!(ends, [true, false, true, true]);
        assert_eq!(*order.borrow(), [(0, 10), (2, 11), (3, 12)]);

        let senders: Vec<_> = (0..3)
            .map(|n| {
                let sender = sender.clone();
                thread::spawn(move || sender.send(n).unwrap())
            })
            .collect();
        thread::yield_now();
        assert_eq!([receiver.recv(), receiver.recv(), receiver.recv()], [Ok(0), Ok(1), Ok(2)]);
        senders.into_iter().for_each(|task| task.join().unwrap());
    });
}

#[test]
fn the_last_end_of_a_kind_disconnects_the_others() {
    kettle::run(|| {
        let (sender, receiver) = channel::bounded(1);
        let (other_sender, other_receiver) = (sender.clone(), receiver.clone());
        drop(sender);
        other_sender.send(1).unwrap();
        drop(receiver);
        assert_eq!(other_sender.try_send(2), Err(TrySendError::Full(2)));
        let blocked = thread::spawn({
            let sender = other_sender.clone();
            move || sender.send(3)
        });
        thread::yield_now();
        drop(other_receiver);
        assert_eq!(blocked.join().unwrap(), Err(SendError(3)));
        assert_eq!(other_sender.send(4), Err(SendError(4)));
        assert!(other_sender.is_empty(), "what nobody can receive is dropped");

        let (sender, receiver) = channel::unbounded::<()>();
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let receiver = receiver.clone();
                thread::spawn(move || receiver.recv())
            })
            .collect();
        thread::yield_now();
        drop(sender);
        waiting.into_iter().for_each(|task| assert_eq!(task.join().unwrap(), Err(RecvError)));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    });
}

#[test]
fn a_value_comes_back_when_its_time_is_up() {
    kettle::run(|| {
        let (sender, receiver) = channel::bounded(1);
        assert_eq!(sender.send_timeout(1, Duration::ZERO), Ok(()));
        assert_eq!(sender.send_timeout(2, Duration::from_millis(1)), Err(SendTimeoutError::Timeout(2)));
        assert_eq!((receiver.len(), receiver.recv()), (1, Ok(1)));
        assert_eq!(receiver.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
        drop(receiver);
        assert_eq!(sender.send_timeout(2, Duration::ZERO), Err(SendTimeoutError::Disconnected(2)));
    });
}

// --- oneshot ---

#[test]
fn one_value_comes_or_its_sender_has_gone() {
    kettle::run(|| {
        let (sender, receiver) = oneshot::channel();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(receiver.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
        let thread = std::thread::spawn(move || sender.send("tea").unwrap());
        assert_eq!(receiver.recv(), Ok("tea"));
        assert_eq!(receiver.recv(), Err(RecvError));
        thread.join().unwrap();

        let (sender, receiver) = oneshot::channel::<()>();
        let waiting = thread::spawn(move || receiver.recv());
        thread::yield_now();
        drop(sender);
        assert_eq!(waiting.join().unwrap(), Err(RecvError));

        let (sender, receiver) = oneshot::channel();
        drop(receiver);
        assert_eq!(sender.send("tea"), Err(SendError("tea")));
    });
}

#[test]
fn a_cancelled_wait_for_one_value_does_not_lose_it() {
    kettle::run(|| {
        let (sender, receiver) = oneshot::channel();
        assert!(timeout(Duration::from_millis(1), || receiver.recv()).is_err());
        sender.send(1).unwrap();
        assert!(cancel_scope(|scope| (scope.cancel(), receiver.recv()).1).is_err());
        assert_eq!(receiver.recv(), Ok(1));
    });
}

// --- watch ---

#[test]
fn everybody_who_looks_sees_the_latest_value() {
    kettle::run(|| {
        let (sender, receiver) = watch::channel(0);
        assert!(!receiver.has_changed());
        let watch = |mut receiver: watch::Receiver<i32>| {
            move || {
                let mut last = 0;
                while let Ok(value) = receiver.changed() {
                    assert!(*value > last, "no value is seen twice, none goes back");
                    last = *value;
                }
                last
            }
        };
        let tasks: Vec<_> = (0..100).map(|_| thread::spawn(watch(receiver.clone()))).collect();
        let threads: Vec<_> = (0..2).map(|_| std::thread::spawn(watch(sender.subscribe()))).collect();
        (1..=500).for_each(|value| sender.send(value).unwrap());
        drop(sender);
        tasks.into_iter().for_each(|task| assert_eq!(task.join().unwrap(), 500));
        threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), 500));
        assert_eq!((*receiver.get(), receiver.has_changed()), (500, true));
    });
}

#[test]
fn a_watched_value_is_seen_after_a_cancelled_wait_and_after_its_sender() {
    kettle::run(|| {
        let (sender, mut receiver) = watch::channel(0);
        assert!(timeout(Duration::from_millis(1), || receiver.changed()).is_err());
        sender.send(1).unwrap();
        assert!(cancel_scope(|scope| (scope.cancel(), receiver.changed()).1).is_err());
        let clone = sender.clone();
        drop(sender);
        clone.send(2).unwrap();
        drop(clone);
        assert_eq!(*receiver.changed().unwrap(), 2);
        assert_eq!(receiver.changed(), Err(RecvError));
    });
}

#[test]
fn a_watched_value_comes_back_when_nobody_looks() {
    let (sender, receiver) = watch::channel(0);
    drop(receiver);
    assert_eq!(sender.send(1), Err(SendError(1)));
    let receiver = sender.subscribe();
    assert_eq!(sender.send(2), Ok(()));
    assert_eq!((*sender.get(), *receiver.get()), (2, 2));
}

// --- broadcast ---

#[test]
fn every_receiver_gets_every_value_in_order() {
    kettle::run(|| {
        let (sender, receiver) = broadcast::channel(10_000);
        let collect = |mut receiver: broadcast::Receiver<u32>| {
            move || std::iter::from_fn(|| receiver.recv().ok()).collect::<Vec<_>>()
        };
        let tasks: Vec<_> = (0..20).map(|_| thread::spawn(collect(receiver.clone()))).collect();
        let threads: Vec<_> = (0..2).map(|_| std::thread::spawn(collect(sender.subscribe()))).collect();
        assert_eq!(sender.receivers(), 23);
        drop(receiver);
        (0..1000).for_each(|n| sender.send(n).unwrap());
        let mut late = sender.subscribe();
        sender.send(1000).unwrap();
        drop(sender);
        assert_eq!([late.recv(), late.recv()], [Ok(1000), Err(Missed::Disconnected)]);
        let all: Vec<_> = (0..=1000).collect();
        tasks.into_iter().for_each(|task| assert_eq!(task.join().unwrap(), all));
        threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), all));
    });
}

#[test]
fn a_receiver_that_lags_is_told_how_many_it_has_lost() {
    let (sender, mut receiver) = broadcast::channel(3);
    let mut copy = receiver.clone();
    (0..5).for_each(|n| sender.send(n).unwrap());
    assert_eq!(receiver.try_recv(), Err(NotYet::Lagged(2)));
    assert_eq!(receiver.try_recv(), Ok(2));
    (5..7).for_each(|n| sender.send(n).unwrap());
    assert_eq!(receiver.recv(), Err(Missed::Lagged(1)));
    assert_eq!([receiver.recv(), receiver.recv(), receiver.recv()], [Ok(4), Ok(5), Ok(6)]);
    assert_eq!(receiver.try_recv(), Err(NotYet::Empty));
    assert_eq!(copy.recv(), Err(Missed::Lagged(4)));
    drop(sender);
    assert_eq!(receiver.try_recv(), Err(NotYet::Disconnected));
}

#[test]
fn what_all_have_received_is_dropped_at_once() {
    let (sender, mut first) = broadcast::channel(8);
    let mut second = first.clone();
    let third = first.clone();
    let value = Arc::new(());
    for _ in 0..3 {
        sender.send(Arc::clone(&value)).unwrap();
    }
    assert_eq!(Arc::strong_count(&value), 4);
    drop((first.recv().unwrap(), second.recv().unwrap()));
    assert_eq!(Arc::strong_count(&value), 4, "the third has not received it");
    drop(third);
    assert_eq!(Arc::strong_count(&value), 3);
    drop(first);
    drop(second.recv().unwrap());
    assert_eq!(Arc::strong_count(&value), 2);
    drop(second);
    assert_eq!(Arc::strong_count(&value), 1);
    assert_eq!(sender.send(Arc::clone(&value)), Err(SendError(value)));
}

#[test]
fn a_cancelled_receiver_of_a_broadcast_loses_nothing() {
    kettle::run(|| {
        let (sender, mut receiver) = broadcast::channel(8);
        let waiting = thread::spawn({
            let mut receiver = receiver.clone();
            move || receiver.recv()
        });
        thread::yield_now();
        waiting.cancel();
        assert!(waiting.join().unwrap_err().is::<Cancelled>());
        sender.send(1).unwrap();
        assert!(cancel_scope(|scope| (scope.cancel(), receiver.recv()).1).is_err());
        assert_eq!(receiver.recv(), Ok(1));
    });
}

#[test]
fn a_clone_that_panics_costs_its_receiver_that_value_alone() {
    #[derive(Debug)]
    struct Brittle(u32);
    impl Clone for Brittle {
        fn clone(&self) -> Self {
            assert_ne!(self.0, 1, "broken");
            Self(self.0)
        }
    }
    let (sender, mut receiver) = broadcast::channel(8);
    let mut other = receiver.clone();
    (0..3).for_each(|n| sender.send(Brittle(n)).unwrap());
    let mut receive = || std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| receiver.recv().unwrap().0)).ok();
    assert_eq!([receive(), receive(), receive()], [Some(0), None, Some(2)]);
    // The last one to receive it takes it as it is.
    assert_eq!(std::array::from_fn(|_| other.recv().unwrap().0), [0, 1, 2]);
}
