//! Channels between threads that run no loop: what an interpreter can run, which sees each access that is not allowed (`.ci/run
//! miri`). Values are boxes, so that a lost one is a leak and a doubled one a use after free.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

#[path = "../../../tests/blocking.rs"]
mod blocking;

use blocking::block_on;
use kettle::select;
use kettle::sync::{broadcast, channel, mpsc, oneshot, select as arms, watch};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

#[test]
fn values_arrive_in_order() {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || (0..20).for_each(|n| sender.send(Box::new(n)).unwrap()));
    assert!(receiver.iter().map(|n| *n).eq(0..20));
    thread.join().unwrap();
    for bound in [0, 1, 3] {
        let (sender, receiver) = mpsc::sync_channel(bound);
        let thread = thread::spawn(move || (0..20).for_each(|n| sender.send(Box::new(n)).unwrap()));
        assert!(receiver.iter().map(|n| *n).eq(0..20));
        thread.join().unwrap();
    }
}

#[test]
fn many_receivers_share_the_values() {
    let (sender, receiver) = channel::bounded(1);
    let receivers = [receiver.clone(), receiver];
    let threads = receivers.map(|receiver| thread::spawn(move || receiver.iter().map(|n: Box<u32>| *n).sum::<u32>()));
    let other = sender.clone();
    let thread = thread::spawn(move || (0..10).for_each(|n| other.send(Box::new(n)).unwrap()));
    (10..20).for_each(|n| sender.send(Box::new(n)).unwrap());
    drop(sender);
    thread.join().unwrap();
    assert_eq!(threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u32>(), 190);
}

#[test]
fn times_that_are_up_lose_nothing() {
    let (sender, receiver) = channel::bounded(0);
    let thread = thread::spawn(move || {
        for n in 0..10 {
            let mut value = Box::new(n);
            while let Err(refused) = sender.send_timeout(value, Duration::from_micros(50)) {
                value = refused.into_inner();
            }
        }
    });
    let mut next = 0;
    while next < 10 {
        if let Ok(value) = receiver.recv_timeout(Duration::from_micros(70)) {
            assert_eq!(*value, next);
            next += 1;
        }
    }
    thread.join().unwrap();
}

#[test]
fn selects_meet_and_lose_nothing() {
    let (first, a) = channel::bounded(0);
    let (second, b) = mpsc::channel();
    let thread = thread::spawn(move || {
        for n in 0..10 {
            let mut value = Some(Box::new(n));
            select! {
                sent = arms::send(&first, &mut value) => sent.unwrap(),
                _ = arms::after(Duration::from_micros(100)) => second.send(value.take().unwrap()).unwrap(),
            }
        }
    });
    let mut received = Vec::new();
    let (mut a_is_open, mut b_is_open) = (true, true);
    while a_is_open || b_is_open {
        let (mut from_a, mut from_b) = (arms::recv(&a), arms::recv(&b));
        let mut select = arms::Select::new();
        if a_is_open {
            select.add(&mut from_a);
        }
        if b_is_open {
            select.add(&mut from_b);
        }
        let is_a = select.wait() == 0 && a_is_open;
        match if is_a { from_a.finish() } else { from_b.finish() } {
            Ok(value) => received.push(*value),
            Err(_) if is_a => a_is_open = false,
            Err(_) => b_is_open = false,
        }
    }
    received.sort_unstable();
    assert!(received.into_iter().eq(0..10));
    thread.join().unwrap();
}

#[test]
fn news_reach_everybody() {
    let (light, mut watching) = watch::channel(Box::new(0));
    let (speaker, mut hearing) = broadcast::channel(8);
    let mut other = hearing.clone();
    let thread = thread::spawn(move || {
        while *watching.changed().unwrap() != Box::new(5) {}
        std::iter::from_fn(|| other.recv().ok()).map(|n: Box<u32>| *n).sum::<u32>()
    });
    for n in 1..=5 {
        light.send(Box::new(n)).unwrap();
        speaker.send(Box::new(n)).unwrap();
    }
    select! {
        heard = arms::next(&mut hearing) => assert_eq!(*heard.unwrap(), 1),
    }
    drop((light, speaker));
    assert_eq!(thread.join().unwrap(), 15);
}

#[test]
fn one_value_comes() {
    let (sender, receiver) = oneshot::channel();
    let thread = thread::spawn(move || sender.send(Box::new(1)).unwrap());
    assert_eq!(*receiver.recv().unwrap(), 1);
    thread.join().unwrap();
}

#[test]
fn futures_meet_and_lose_nothing() {
    for bound in [0, 1] {
        let (sender, receiver) = channel::bounded(bound);
        let thread = thread::spawn(move || {
            for n in 0..20 {
                if n % 2 == 0 {
                    block_on(sender.send_async(Box::new(n))).unwrap();
                } else {
                    sender.send(Box::new(n)).unwrap();
                }
            }
        });
        let mut next = 0;
        while next < 20 {
            let mut future = Box::pin(receiver.recv_async());
            let received = match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(value) => value,
                // Dropped when it may have been given a value.
                Poll::Pending => {
                    thread::yield_now();
                    drop(future);
                    block_on(receiver.recv_async())
                }
            };
            assert_eq!(*received.unwrap(), next);
            next += 1;
        }
        thread.join().unwrap();
    }
}
