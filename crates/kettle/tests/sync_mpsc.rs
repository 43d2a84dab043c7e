//! `mpsc` between tasks, loops and threads: what is sent arrives, once, in order, whatever ends meanwhile.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle::sync::mpsc::{
    Receiver, RecvError, RecvTimeoutError, SendError, Sender, TryRecvError, TrySendError, channel, sync_channel,
};
use kettle::{Cancelled, cancel_scope, thread, timeout};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Where the two ends run.
#[derive(Clone, Copy, Debug)]
enum Place {
    Task,
    Loop,
    Thread,
}

/// Runs a function there, beside the current one.
fn beside(place: Place, f: impl FnOnce() + Send + 'static) -> Box<dyn FnOnce()> {
    match place {
        Place::Task => {
            let task = thread::spawn(f);
            Box::new(move || task.join().unwrap())
        }
        Place::Loop => {
            let thread = std::thread::spawn(|| kettle::run(f));
            Box::new(move || thread.join().unwrap())
        }
        Place::Thread => {
            let thread = std::thread::spawn(f);
            Box::new(move || thread.join().unwrap())
        }
    }
}

const PLACES: [Place; 3] = [Place::Task, Place::Loop, Place::Thread];

#[test]
fn values_arrive_in_order_from_everywhere() {
    for place in PLACES {
        for bound in [None, Some(0), Some(1), Some(5)] {
            kettle::run(|| {
                let count = 2_000;
                let (receiver, sent): (Receiver<u32>, _) = match bound {
                    None => {
                        let (sender, receiver) = channel();
                        (receiver, beside(place, move || (0..count).for_each(|n| sender.send(n).unwrap())))
                    }
                    Some(bound) => {
                        let (sender, receiver) = sync_channel(bound);
                        (receiver, beside(place, move || (0..count).for_each(|n| sender.send(n).unwrap())))
                    }
                };
                assert!(receiver.iter().eq(0..count), "{place:?} {bound:?}");
                sent();
            });
        }
    }
}

#[test]
fn values_of_each_sender_arrive_once_and_in_order_from_a_mix() {
    kettle::run(|| {
        let (sender, receiver) = channel();
        let ends: Vec<_> = (0..9_u32)
            .map(|source| {
                let sender = sender.clone();
                beside(PLACES[source as usize % 3], move || {
                    (0..500_u32).for_each(|n| sender.send((source, n)).unwrap());
                })
            })
            .collect();
        drop(sender);
        let mut next = [0; 9];
        for (source, n) in &receiver {
            assert_eq!(n, next[source as usize], "of {source}");
            next[source as usize] += 1;
        }
        assert_eq!(next, [500; 9]);
        ends.into_iter().for_each(|end| end());
    });
}

#[test]
fn outside_of_run_threads_wait_as_with_std() {
    let (sender, receiver) = sync_channel(0);
    let thread = std::thread::spawn(move || (0..100).for_each(|n| sender.send(n).unwrap()));
    assert_eq!(receiver.iter().sum::<u32>(), 4950);
    thread.join().unwrap();
    assert_eq!(receiver.recv(), Err(RecvError));
}

#[test]
fn what_was_sent_is_received_when_the_senders_have_gone() {
    let (sender, receiver) = channel();
    sender.send(1).unwrap();
    sender.clone().send(2).unwrap();
    drop(sender);
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(receiver.recv_timeout(Duration::MAX), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn a_value_comes_back_when_the_receiver_has_gone() {
    let (sender, receiver) = channel();
    drop(receiver);
    assert_eq!(sender.send("tea"), Err(SendError("tea")));
    let (sender, receiver) = sync_channel(3);
    drop(receiver);
    assert_eq!(sender.send("tea"), Err(SendError("tea")));
    assert_eq!(sender.try_send("tea"), Err(TrySendError::Disconnected("tea")));
}

#[test]
fn a_value_comes_back_when_there_is_no_room() {
    let (sender, _receiver) = sync_channel(1);
    assert_eq!(sender.try_send(1), Ok(()));
    assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    let (sender, _receiver) = sync_channel(0);
    assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
}

#[test]
fn senders_that_wait_get_their_values_back_when_the_receiver_goes() {
    kettle::run(|| {
        let (sender, receiver) = sync_channel(0);
        let tasks: Vec<_> = (0..3)
            .map(|n| {
                let sender = sender.clone();
                thread::spawn(move || sender.send(n))
            })
            .collect();
        thread::yield_now();
        drop(receiver);
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().unwrap(), Err(SendError(n)));
        }
    });
}

#[test]
fn a_bound_of_zero_waits_until_the_value_has_been_received() {
    kettle::run(|| {
        let (sender, receiver) = sync_channel(0);
        let steps = Rc::new(RefCell::new(Vec::new()));
        let task = thread::spawn({
            let steps = Rc::clone(&steps);
            move || {
                sender.send(()).unwrap();
                steps.borrow_mut().push("sent");
            }
        });
        for _ in 0..3 {
            thread::yield_now();
        }
        steps.borrow_mut().push("before");
        receiver.recv().unwrap();
        task.join().unwrap();
        assert_eq!(*steps.borrow(), ["before", "sent"]);
    });
}

#[test]
fn a_bound_holds_so_many_and_no_more() {
    kettle::run(|| {
        let (sender, receiver) = sync_channel(2);
        let sent = Rc::new(Cell::new(0));
        let task = thread::spawn({
            let sent = Rc::clone(&sent);
            move || {
                for n in 0..4 {
                    sender.send(n).unwrap();
                    sent.set(n + 1);
                }
            }
        });
        for (received, expected) in (0..4).zip([2, 3, 4, 4]) {
            for _ in 0..3 {
                thread::yield_now();
            }
            assert_eq!(sent.get(), expected);
            assert_eq!(receiver.recv(), Ok(received));
        }
        task.join().unwrap();
    });
}

#[test]
fn what_a_receiver_has_taken_out_at_once_fills_the_channel_until_it_is_received() {
    let (sender, receiver) = sync_channel(3);
    for n in 0..3 {
        sender.send(n).unwrap();
    }
    for n in 3..100 {
        assert_eq!(sender.try_send(n), Err(TrySendError::Full(n)));
        assert_eq!(receiver.recv(), Ok(n - 3));
        sender.try_send(n).unwrap();
    }
    assert_eq!(sender.try_send(100), Err(TrySendError::Full(100)));
    drop(sender);
    assert_eq!(receiver.iter().collect::<Vec<_>>(), [97, 98, 99]);
}

#[test]
fn senders_that_wait_are_let_in_as_a_batch_is_received() {
    kettle::run(|| {
        let (sender, receiver) = sync_channel(2);
        let senders: Vec<_> = (0..6)
            .map(|n| {
                let sender = sender.clone();
                thread::spawn(move || sender.send(n).unwrap())
            })
            .collect();
        thread::yield_now();
        for n in 0..4 {
            // Who has waited longest, and nobody who comes now.
            assert_eq!(sender.try_send(7), Err(TrySendError::Full(7)));
            assert_eq!(receiver.recv(), Ok(n));
            thread::yield_now();
            let sent = senders.iter().filter(|sender| sender.is_finished()).count();
            assert_eq!(sent, n + 3);
        }
        assert_eq!([receiver.recv(), receiver.recv()], [Ok(4), Ok(5)]);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    });
}

#[test]
fn a_receiver_that_is_cancelled_loses_nothing() {
    kettle::run(|| {
        let (sender, receiver) = channel();
        let cancelled = cancel_scope(|scope| {
            scope.cancel();
            receiver.recv()
        });
        assert!(cancelled.is_err());
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        // It is a checkpoint, also when there is something.
        let cancelled = cancel_scope(|scope| {
            scope.cancel();
            receiver.recv()
        });
        assert!(cancelled.is_err());
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1, 2]);
    });
}

#[test]
fn a_waiting_receiver_is_unwound_when_it_is_cancelled() {
    kettle::run(|| {
        let (sender, receiver) = channel::<()>();
        let task = thread::spawn(move || receiver.recv());
        thread::yield_now();
        task.cancel();
        assert!(task.join().unwrap_err().is::<Cancelled>());
        assert_eq!(sender.send(()), Err(SendError(())));
    });
}

#[test]
fn a_value_that_came_before_the_cancellation_is_given() {
    kettle::run(|| {
        let (sender, receiver) = channel();
        let task = thread::spawn(move || receiver.recv());
        thread::yield_now();
        sender.send("tea").unwrap();
        task.cancel();
        assert_eq!(task.join().unwrap(), Ok("tea"));
    });
}

#[test]
fn a_waiting_sender_is_unwound_and_its_value_dropped_when_it_is_cancelled() {
    kettle::run(|| {
        let (sender, receiver) = sync_channel(1);
        let value = Rc::new(());
        let task = thread::spawn({
            let value = Rc::clone(&value);
            move || {
                sender.send(Rc::clone(&value)).unwrap();
                sender.send(value).unwrap();
            }
        });
        thread::yield_now();
        assert_eq!(Rc::strong_count(&value), 3);
        task.cancel();
        assert!(task.join().unwrap_err().is::<Cancelled>());
        assert_eq!(Rc::strong_count(&value), 2);
        assert!(receiver.recv().is_ok());
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    });
}

#[test]
fn a_loop_over_a_channel_that_is_never_empty_lets_others_run_and_can_be_cancelled() {
    kettle::run(|| {
        let (sender, receiver) = channel();
        sender.send(()).unwrap();
        let endless = thread::spawn(move || {
            loop {
                receiver.recv().unwrap();
                sender.send(()).unwrap();
            }
        });
        for _ in 0..3 {
            thread::yield_now();
        }
        endless.cancel();
        assert!(endless.join().unwrap_err().is::<Cancelled>());
    });
}

#[test]
fn who_sends_without_end_lets_others_run_and_can_be_cancelled() {
    kettle::run(|| {
        let (sender, receiver) = channel();
        let endless = thread::spawn(move || {
            for n in 0.. {
                sender.send(n).unwrap();
            }
        });
        assert_eq!(receiver.recv(), Ok(0));
        endless.cancel();
        assert!(endless.join().unwrap_err().is::<Cancelled>());
        // What was sent has been sent.
        let rest: Vec<i32> = receiver.iter().collect();
        assert!(rest.iter().copied().eq(1..=rest.len() as i32));
    });
}

#[test]
fn a_time_that_is_up_says_so_and_the_next_value_is_there() {
    kettle::run(|| {
        let (sender, receiver) = channel();
        assert_eq!(receiver.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
        assert_eq!(receiver.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
        assert!(timeout(Duration::from_millis(1), || receiver.recv()).is_err());
        sender.send(1).unwrap();
        assert_eq!(receiver.recv_timeout(Duration::ZERO), Ok(1));
    });
}

#[test]
fn no_value_is_lost_in_races_of_times_with_sends() {
    for bound in [None, Some(0), Some(2)] {
        kettle::run(|| {
            let count = 500_u64;
            let (receiver, send): (_, Box<dyn FnOnce() + Send>) = match bound {
                None => {
                    let (sender, receiver): (Sender<u64>, _) = channel();
                    (receiver, Box::new(move || (0..count).for_each(|n| sender.send(n).unwrap())))
                }
                Some(bound) => {
                    let (sender, receiver) = sync_channel(bound);
                    let send = move || {
                        for n in 0..count {
                            let mut value = n;
                            let mut turn = 0;
                            while let Err(error) = sender.send_timeout(value, Duration::from_micros((n + turn) % 60)) {
                                value = error.into_inner();
                                turn += 1;
                            }
                        }
                    };
                    (receiver, Box::new(send))
                }
            };
            let thread = std::thread::spawn(send);
            let mut next = 0;
            for turn in 0.. {
                match receiver.recv_timeout(Duration::from_micros(turn % 50)) {
                    Ok(value) => {
                        assert_eq!(value, next);
                        next += 1;
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            assert_eq!(next, count);
            thread.join().unwrap();
        });
    }
}

#[test]
fn no_value_is_lost_in_races_of_cancellations_with_sends() {
    kettle::run(|| {
        let (sender, receiver) = channel();
        let thread = std::thread::spawn(move || (0..3_000_u64).for_each(|n| sender.send(n).unwrap()));
        let mut next = 0;
        for turn in 0.. {
            match timeout(Duration::from_micros(turn % 50), || receiver.recv()) {
                Ok(Ok(value)) => {
                    assert_eq!(value, next);
                    next += 1;
                }
                Err(_) => {}
                Ok(Err(RecvError)) => break,
            }
        }
        assert_eq!(next, 3_000);
        thread.join().unwrap();
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
fn values_are_dropped_once_when_the_receiver_goes() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let (sender, receiver) = channel();
    (0..5).for_each(|_| assert!(sender.send(Counted(Arc::clone(&dropped))).is_ok()));
    // One is given, and the rest is with the receiver.
    drop(receiver.recv().unwrap());
    assert!(sender.send(Counted(Arc::clone(&dropped))).is_ok());
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
    drop(receiver);
    assert_eq!(dropped.load(Ordering::Relaxed), 6);
    assert!(sender.send(Counted(Arc::clone(&dropped))).is_err());
    assert_eq!(dropped.load(Ordering::Relaxed), 7);
}

#[test]
fn values_are_dropped_in_the_order_in_which_they_were_sent() {
    struct Noted(u32, Rc<RefCell<Vec<u32>>>);
    impl Drop for Noted {
        fn drop(&mut self) {
            self.1.borrow_mut().push(self.0);
        }
    }
    let order = Rc::default();
    let (sender, receiver) = channel();
    (0..3).for_each(|n| assert!(sender.send(Noted(n, Rc::clone(&order))).is_ok()));
    drop(receiver.recv().unwrap());
    (3..5).for_each(|n| assert!(sender.send(Noted(n, Rc::clone(&order))).is_ok()));
    drop(sender);
    drop(receiver);
    assert_eq!(*order.borrow(), [0, 1, 2, 3, 4]);
}

#[test]
fn a_drop_that_panics_keeps_no_other_value_from_being_dropped() {
    struct Spilt(Arc<AtomicUsize>, bool);
    impl Drop for Spilt {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            assert!(!self.1, "spilt");
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let (sender, receiver) = channel();
    for n in 0..6 {
        assert!(sender.send(Spilt(Arc::clone(&dropped), n == 3)).is_ok());
        if n == 4 {
            // Those before are with the receiver, the last one is in the channel.
            drop(receiver.recv());
        }
    }
    assert!(catch_unwind(AssertUnwindSafe(|| drop(receiver))).is_err());
    assert_eq!(dropped.load(Ordering::Relaxed), 6);
    assert!(sender.send(Spilt(dropped, false)).is_err());
}

#[test]
fn values_may_use_their_own_channel_when_they_are_dropped() {
    struct Echo(Sender<Option<Echo>>);
    impl Drop for Echo {
        fn drop(&mut self) {
            assert!(self.0.send(None).is_err());
        }
    }
    let (sender, receiver) = channel();
    sender.send(Some(Echo(sender.clone()))).unwrap();
    drop(receiver);
}

#[test]
fn ten_thousand_receivers_each_get_their_value() {
    kettle::run(|| {
        let (senders, tasks): (Vec<_>, Vec<_>) = (0..10_000)
            .map(|_| {
                let (sender, receiver) = channel();
                (sender, thread::spawn(move || receiver.recv().unwrap()))
            })
            .unzip();
        thread::yield_now();
        let thread = std::thread::spawn(move || {
            for (n, sender) in senders.iter().enumerate() {
                sender.send(n).unwrap();
            }
        });
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().unwrap(), n);
        }
        thread.join().unwrap();
    });
}

#[test]
fn tasks_that_share_a_receiver_are_served_in_turn() {
    kettle::run(|| {
        let (sender, receiver) = channel();
        let receiver = Rc::new(receiver);
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let receiver = Rc::clone(&receiver);
                thread::spawn(move || receiver.recv().unwrap())
            })
            .collect();
        thread::yield_now();
        (0..3).for_each(|n| sender.send(n).unwrap());
        let received: Vec<_> = tasks.into_iter().map(|task| task.join().unwrap()).collect();
        assert_eq!(received, [0, 1, 2]);
    });
}

#[test]
fn forgotten_ends_keep_the_channel_open() {
    kettle::run(|| {
        let (sender, receiver) = channel::<u32>();
        std::mem::forget(sender);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert!(timeout(Duration::from_millis(1), || receiver.recv()).is_err());
        std::mem::forget(receiver);
    });
}

#[test]
fn a_destructor_that_unwinds_may_send_and_receive_what_is_there() {
    struct Farewell(Sender<&'static str>);
    impl Drop for Farewell {
        fn drop(&mut self) {
            self.0.send("goodbye").unwrap();
        }
    }
    kettle::run(|| {
        let (sender, receiver) = channel();
        let task = thread::spawn(move || {
            let _farewell = Farewell(sender);
            thread::sleep(Duration::MAX);
        });
        thread::yield_now();
        task.cancel();
        assert_eq!(receiver.recv(), Ok("goodbye"));
    });
}

#[test]
fn values_of_no_size_and_of_much_arrive() {
    let (sender, receiver) = channel();
    (0..1000).for_each(|_| sender.send(()).unwrap());
    drop(sender);
    assert_eq!(receiver.into_iter().count(), 1000);
    let (sender, receiver) = sync_channel(1);
    sender.send([7_u8; 10_000]).unwrap();
    assert_eq!(receiver.recv().unwrap(), [7; 10_000]);
}
