//! Channels under loom: small meetings of two or three threads, in every order that the memory model allows.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p kettle --test loom_channels`
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle::select;
use kettle::sync::mpsc::{RecvError, RecvTimeoutError, SendError, SyncSender, TryRecvError, channel, sync_channel};
use kettle::sync::select as arms;
use kettle::sync::{broadcast, channel, oneshot, watch};
use loom::thread;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Runs a meeting in every order, but for those that take more than three preemptions.
fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(f);
}

#[test]
fn a_value_wakes_who_waits_for_it() {
    model(|| {
        let (sender, receiver) = channel();
        let thread = thread::spawn(move || sender.send(Box::new(1)).unwrap());
        assert_eq!(*receiver.recv().unwrap(), 1);
        assert_eq!(receiver.recv(), Err(RecvError));
        thread.join().unwrap();
    });
}

#[test]
fn values_of_two_senders_arrive() {
    model(|| {
        let (sender, receiver) = channel();
        let other = sender.clone();
        let first = thread::spawn(move || sender.send(1).unwrap());
        let second = thread::spawn(move || other.send(2).unwrap());
        assert_eq!(receiver.recv().unwrap() + receiver.recv().unwrap(), 3);
        first.join().unwrap();
        second.join().unwrap();
    });
}

#[test]
fn a_full_channel_wakes_its_sender() {
    for bound in [0, 1] {
        model(move || {
            let (sender, receiver) = sync_channel(bound);
            let thread = thread::spawn(move || (1..=2).for_each(|n| sender.send(n).unwrap()));
            assert_eq!([receiver.recv(), receiver.recv()], [Ok(1), Ok(2)]);
            thread.join().unwrap();
        });
    }
}

/// The first two are received as a batch.
#[test]
fn room_in_a_batch_wakes_a_sender() {
    model(|| {
        let (sender, receiver) = sync_channel(2);
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        let thread = thread::spawn(move || sender.send(3).unwrap());
        assert_eq!([receiver.recv(), receiver.recv(), receiver.recv()], [Ok(1), Ok(2), Ok(3)]);
        thread.join().unwrap();
    });
}

#[test]
fn room_in_a_batch_is_there_for_one() {
    model(|| {
        let (sender, receiver) = sync_channel(2);
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        let other = sender.clone();
        let waits = thread::spawn(move || sender.send(3).unwrap());
        let tries = thread::spawn(move || other.try_send(4).is_ok());
        assert_eq!([receiver.recv(), receiver.recv()], [Ok(1), Ok(2)]);
        waits.join().unwrap();
        let came = tries.join().unwrap();
        let rest: Vec<_> = receiver.iter().collect();
        assert!(rest.contains(&3) && rest.contains(&4) == came && rest.len() == 1 + usize::from(came), "{rest:?}");
    });
}

#[test]
fn room_in_a_batch_is_room_for_each_of_two() {
    model(|| {
        let (sender, receiver) = sync_channel(2);
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        let other = sender.clone();
        let threads = [(sender, 3), (other, 4)].map(|(sender, n)| thread::spawn(move || sender.send(n).unwrap()));
        let received: Vec<_> = receiver.iter().collect();
        assert!(received.starts_with(&[1, 2]) && received.iter().sum::<i32>() == 10, "{received:?}");
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn room_in_a_batch_wakes_a_select_and_a_future() {
    let sends: [fn(SyncSender<i32>); 2] = [
        |sender| {
            let mut value = Some(3);
            select! { sent = arms::send(&sender, &mut value) => sent.unwrap() }
        },
        |sender| poll(sender.send_async(3), true).unwrap().unwrap(),
    ];
    for send in sends {
        model(move || {
            let (sender, receiver) = sync_channel(2);
            sender.send(1).unwrap();
            sender.send(2).unwrap();
            let thread = thread::spawn(move || send(sender));
            assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 2, 3]);
            thread.join().unwrap();
        });
    }
}

#[test]
fn a_sender_whose_time_is_up_leaves_room_in_a_batch() {
    model(|| {
        let (sender, receiver) = sync_channel(2);
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        let thread = thread::spawn(move || {
            let sent = sender.send_timeout(3, Duration::ZERO).is_ok();
            sender.send(4).unwrap();
            sent
        });
        assert_eq!([receiver.recv(), receiver.recv()], [Ok(1), Ok(2)]);
        let rest: Vec<_> = receiver.iter().collect();
        assert_eq!(rest, if thread.join().unwrap() { vec![3, 4] } else { vec![4] });
    });
}

#[test]
fn a_time_that_is_up_loses_no_value() {
    for bound in [None, Some(0), Some(1)] {
        model(move || {
            let (sender, receiver) = bound.map_or_else(channel::unbounded, channel::bounded);
            let thread = thread::spawn(move || sender.send(1).unwrap());
            match receiver.recv_timeout(Duration::ZERO) {
                Ok(value) => assert_eq!(value, 1),
                Err(RecvTimeoutError::Timeout) => assert_eq!(receiver.recv(), Ok(1)),
                Err(RecvTimeoutError::Disconnected) => panic!("it has a value"),
            }
            thread.join().unwrap();
        });
    }
}

#[test]
fn a_value_is_sent_or_comes_back() {
    model(|| {
        let (sender, receiver) = channel::bounded(0);
        let thread = thread::spawn(move || sender.send_timeout(1, Duration::ZERO).map_err(|error| error.into_inner()));
        let received = receiver.recv_timeout(Duration::ZERO).ok();
        let refused = thread.join().unwrap().err();
        assert!(matches!((received, refused), (Some(1), None) | (None, Some(1))), "{received:?} {refused:?}");
    });
}

/// Counts how often it was dropped.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_value_is_dropped_once_when_its_receiver_goes() {
    for bound in [None, Some(0), Some(1)] {
        model(move || {
            let dropped = Arc::new(AtomicUsize::new(0));
            let value = Counted(Arc::clone(&dropped));
            let (sender, receiver) = bound.map_or_else(channel::unbounded, channel::bounded);
            let thread = thread::spawn(move || drop(receiver));
            if let Err(SendError(value)) = sender.send(value) {
                assert_eq!(dropped.load(Ordering::Relaxed), 0);
                drop(value);
            }
            thread.join().unwrap();
            drop(sender);
            assert_eq!(dropped.load(Ordering::Relaxed), 1);
        });
    }
}

#[test]
fn two_receivers_share_two_values() {
    model(|| {
        let (sender, receiver) = channel::unbounded();
        let other = receiver.clone();
        let thread = thread::spawn(move || other.recv().unwrap());
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        assert_eq!(receiver.recv().unwrap() + thread.join().unwrap(), 3);
    });
}

#[test]
fn one_value_or_its_senders_end_comes() {
    model(|| {
        let (sender, receiver) = oneshot::channel::<u32>();
        let thread = thread::spawn(move || drop(sender));
        assert_eq!(receiver.recv(), Err(RecvError));
        thread.join().unwrap();
    });
}

#[test]
fn a_select_takes_one_of_two_values_and_leaves_the_other() {
    model(|| {
        let (first, a) = channel();
        let (second, b) = channel::bounded(0);
        let one = thread::spawn(move || first.send(1).unwrap());
        let two = thread::spawn(move || second.send(2).unwrap());
        let taken = select! {
            biased;
            n = arms::recv(&a) => n.unwrap(),
            n = arms::recv(&b) => n.unwrap(),
        };
        let left = if taken == 1 { b.recv() } else { a.recv() };
        assert_eq!(taken + left.unwrap(), 3);
        one.join().unwrap();
        two.join().unwrap();
    });
}

#[test]
fn two_selects_meet_or_lose_nothing() {
    model(|| {
        let (sender, receiver) = channel::bounded(0);
        let thread = thread::spawn(move || {
            let mut value = Some(1);
            select! {
                biased;
                _ = arms::send(&sender, &mut value) => {}
                _ = arms::after(Duration::from_nanos(1)) => {}
            }
            value
        });
        let received = select! {
            biased;
            n = arms::recv(&receiver) => n.ok(),
            _ = arms::after(Duration::from_nanos(1)) => None,
        };
        let kept = thread.join().unwrap();
        assert!(matches!((received, kept), (Some(1), None) | (None, Some(1))), "{received:?} {kept:?}");
    });
}

#[test]
fn a_change_wakes_who_watches() {
    model(|| {
        let (sender, mut receiver) = watch::channel(0);
        let thread = thread::spawn(move || sender.send(1).unwrap());
        assert_eq!(*receiver.changed().unwrap(), 1);
        assert_eq!(receiver.changed(), Err(RecvError));
        thread.join().unwrap();
    });
}

#[test]
fn a_broadcast_reaches_both() {
    model(|| {
        let (sender, mut receiver) = broadcast::channel(2);
        let mut other = receiver.clone();
        let thread = thread::spawn(move || other.recv());
        sender.send(1).unwrap();
        assert_eq!(receiver.recv(), Ok(1));
        assert_eq!(thread.join().unwrap(), Ok(1));
    });
}

#[test]
fn what_is_there_is_seen_without_waiting() {
    model(|| {
        let (sender, receiver) = channel();
        let thread = thread::spawn(move || sender.send(1).unwrap());
        match receiver.try_recv() {
            Err(TryRecvError::Empty) => assert_eq!(receiver.recv(), Ok(1)),
            received => assert_eq!(received, Ok(1)),
        }
        thread.join().unwrap();
    });
}

/// A future that is polled by a thread of the model, once and then, if it is to, until it is ready.
fn poll<F: Future>(future: F, patiently: bool) -> Option<F::Output> {
    struct Unparks(thread::Thread);
    impl Wake for Unparks {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unparks(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return Some(output),
            Poll::Pending if patiently => thread::park(),
            Poll::Pending => return None,
        }
    }
}

#[test]
fn a_value_wakes_a_future() {
    for bound in [None, Some(0)] {
        model(move || {
            let (sender, receiver) = bound.map_or_else(channel::unbounded, channel::bounded);
            let thread = thread::spawn(move || sender.send(Box::new(1)).unwrap());
            assert_eq!(poll(receiver.recv_async(), true), Some(Ok(Box::new(1))));
            assert_eq!(poll(receiver.recv_async(), true), Some(Err(RecvError)));
            thread.join().unwrap();
        });
    }
}

#[test]
fn a_future_that_is_dropped_loses_no_value() {
    for bound in [None, Some(0), Some(1)] {
        model(move || {
            let (sender, receiver) = bound.map_or_else(channel::unbounded, channel::bounded);
            let thread = thread::spawn(move || sender.send(Box::new(1)).unwrap());
            match poll(receiver.recv_async(), false) {
                Some(value) => assert_eq!(value, Ok(Box::new(1))),
                None => assert_eq!(receiver.recv(), Ok(Box::new(1))),
            }
            thread.join().unwrap();
        });
    }
}

#[test]
fn a_future_sends_or_has_its_value() {
    model(|| {
        let (sender, receiver) = channel::bounded(0);
        let value = Arc::new(());
        let sent = Arc::clone(&value);
        let thread = thread::spawn(move || poll(sender.send_async(sent), false));
        let received = poll(receiver.recv_async(), false);
        // What was sent by a future that was dropped meanwhile may have come all the same.
        let sent = thread.join().unwrap();
        let received = received.or_else(|| receiver.try_recv().ok().map(Ok));
        assert!(sent.is_none() || received == Some(Ok(Arc::clone(&value))));
        drop(received);
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn the_last_sender_wakes_futures() {
    model(|| {
        let (sender, receiver) = channel::unbounded::<()>();
        let other = receiver.clone();
        let thread = thread::spawn(move || poll(other.recv_async(), true));
        drop(sender);
        assert_eq!(poll(receiver.recv_async(), true), Some(Err(RecvError)));
        assert_eq!(thread.join().unwrap(), Some(Err(RecvError)));
    });
}
