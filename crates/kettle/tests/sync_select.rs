//! `select`: one arm is done, fairly chosen, and the others have lost nothing.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle::select;
use kettle::sync::select::{self as arms, Select};
use kettle::sync::{broadcast, channel, mpsc, oneshot, watch};
use kettle::{Cancelled, cancel_scope, thread, time::Instant, timeout};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

#[test]
fn an_arm_that_becomes_ready_is_chosen() {
    kettle::run(|| {
        let (first, a) = mpsc::channel();
        let (second, b) = channel::bounded(0);
        let (third, c) = oneshot::channel();
        let choose = || {
            select! {
                n = arms::recv(&a) => n,
                n = arms::recv(&b) => n,
                n = arms::recv(&c) => n,
            }
        };
        // All senders are there until the last one has sent.
        let senders = (first, second);
        let senders = thread::spawn(move || (senders.0.send(1).unwrap(), senders).1);
        assert_eq!(choose(), Ok(1));
        let senders = senders.join().unwrap();
        let senders = thread::spawn(move || (senders.1.send(2).unwrap(), senders).1);
        assert_eq!(choose(), Ok(2));
        let senders = senders.join().unwrap();
        let task = thread::spawn(move || third.send(3).unwrap());
        assert_eq!(choose(), Ok(3));
        task.join().unwrap();
        drop(senders);
        assert!(choose().is_err());
    });
}

#[test]
fn an_arm_that_was_not_chosen_has_lost_nothing() {
    for seed in 0..20 {
        arms::seed(seed);
        let (to_first, first) = channel::bounded(1);
        let (to_second, second) = mpsc::sync_channel(1);
        let (to_third, third) = mpsc::channel();
        to_third.send("given").unwrap();
        let (mut a, mut b) = (Some("a"), Some("b"));
        let chosen = select! {
            sent = arms::send(&to_first, &mut a) => { sent.unwrap(); 0 }
            sent = arms::send(&to_second, &mut b) => { sent.unwrap(); 1 }
            received = arms::recv(&third) => { assert_eq!(received, Ok("given")); 2 }
        };
        let left = [(a, first.try_recv().ok()), (b, second.try_recv().ok())];
        for (arm, (kept, arrived)) in left.into_iter().enumerate() {
            assert_eq!(kept.is_none(), chosen == arm);
            assert_eq!(arrived.is_some(), chosen == arm);
        }
        assert_eq!(third.try_recv().is_ok(), chosen != 2);
    }
}

#[test]
fn the_choice_among_ready_arms_is_fair_and_a_seed_repeats_it() {
    let channels: Vec<_> = (0..4).map(|_| mpsc::channel()).collect();
    let choose = || {
        let mut receivers: Vec<_> = channels.iter().map(|(_, receiver)| arms::recv(receiver)).collect();
        let mut select = Select::new();
        receivers.iter_mut().for_each(|arm| _ = select.add(arm));
        let chosen = select.wait();
        assert_eq!(receivers.swap_remove(chosen).finish(), Ok(chosen));
        channels[chosen].0.send(chosen).unwrap();
        chosen
    };
    let choices = |seed| {
        arms::seed(seed);
        (0..4000).map(|_| choose()).collect::<Vec<_>>()
    };
    // The second one is never ready.
    for n in [0, 2, 3] {
        channels[n].0.send(n).unwrap();
    }
    let first = choices(42);
    for (arm, range) in [(0, 1200..1470), (1, 0..1), (2, 1200..1470), (3, 1200..1470)] {
        let count = first.iter().filter(|&&chosen| chosen == arm).count();
        assert!(range.contains(&count), "arm {arm}: {count}");
    }
    assert_eq!(first, choices(42));
    assert_ne!(first, choices(43));
}

#[test]
fn biased_chooses_the_first_that_is_ready() {
    let (_open, empty) = mpsc::channel::<u32>();
    let (sender, receiver) = mpsc::channel();
    (0..50).for_each(|n| sender.send(n).unwrap());
    for n in 0..50 {
        select! {
            biased;
            _ = arms::recv(&empty) => unreachable!(),
            received = arms::recv(&receiver) => assert_eq!(received, Ok(n)),
            _ = arms::after(Duration::ZERO) => unreachable!(),
        }
    }
}

#[test]
fn default_is_for_when_nothing_is_ready() {
    let (sender, receiver) = mpsc::channel();
    let look = || {
        select! {
            received = arms::recv(&receiver) => received.ok(),
            default => Some("nothing"),
        }
    };
    assert_eq!(look(), Some("nothing"));
    sender.send("tea").unwrap();
    assert_eq!(look(), Some("tea"));
    drop(sender);
    assert_eq!(look(), None);
}

#[test]
fn times_end_a_select_and_never_early() {
    kettle::run(|| {
        let (_sender, receiver) = mpsc::channel::<()>();
        let begin = Instant::now();
        select! {
            _ = arms::recv(&receiver) => unreachable!(),
            _ = arms::at(begin + Duration::from_millis(2)) => {}
            _ = arms::after(Duration::MAX) => unreachable!(),
        }
        assert!(begin.elapsed() >= Duration::from_millis(2));
    });
    // Threads without a loop wait as well.
    let (_sender, receiver) = mpsc::channel::<()>();
    select! {
        _ = arms::recv(&receiver) => unreachable!(),
        _ = arms::after(Duration::from_millis(1)) => {}
    }
}

#[test]
fn the_end_of_a_task_is_an_arm() {
    kettle::run(|| {
        let (sender, receiver) = mpsc::channel();
        let mut quick = thread::spawn(|| "done");
        let mut endless = thread::spawn(|| thread::sleep(Duration::MAX));
        select! {
            _ = arms::recv(&receiver) => unreachable!(),
            _ = arms::join(&mut quick) => assert_eq!(quick.join().unwrap(), "done"),
            _ = arms::join(&mut endless) => unreachable!(),
        }
        // An end that comes after the select wakes nobody who does not wait for it.
        thread::spawn(move || sender.send(1).unwrap());
        select! {
            received = arms::recv(&receiver) => assert_eq!(received, Ok(1)),
            _ = arms::join(&mut endless) => unreachable!(),
        }
        endless.cancel();
        assert!(endless.join().unwrap_err().is::<Cancelled>());
        thread::scope(|s| {
            let mut scoped = s.spawn(|| 5);
            select! { _ = arms::join(&mut scoped) => assert_eq!(scoped.join().unwrap(), 5) }
        });
    });
}

#[test]
fn waiting_for_ones_own_end_is_refused_and_leaves_the_other_arms() {
    kettle::run(|| {
        let (sender, receiver) = mpsc::channel();
        let cell = std::rc::Rc::new(std::cell::RefCell::new(None));
        let task = thread::spawn({
            let cell = std::rc::Rc::clone(&cell);
            move || {
                let mut own: thread::JoinHandle<()> = cell.borrow_mut().take().unwrap();
                let refused = catch_unwind(AssertUnwindSafe(|| {
                    select! {
                        biased;
                        _ = arms::recv(&receiver) => {}
                        _ = arms::join(&mut own) => {}
                    }
                }));
                assert!(refused.is_err());
                assert_eq!(receiver.recv(), Ok(1));
            }
        });
        let watched = task.thread().clone();
        cell.borrow_mut().replace(task);
        thread::yield_now();
        sender.send(1).unwrap();
        thread::yield_now();
        drop(watched);
        assert!(sender.send(2).is_err(), "the task has ended, and its receiver gone");
    });
}

#[test]
fn readiness_of_descriptors_is_an_arm() {
    kettle::run(|| {
        let (mut near, far) = UnixStream::pair().unwrap();
        let (sender, receiver) = mpsc::channel();
        let wait = || {
            select! {
                _ = arms::readable(&far) => "readable",
                received = arms::recv(&receiver) => received.unwrap(),
                _ = arms::after(Duration::from_secs(60)) => "late",
            }
        };
        select! { _ = arms::writable(&far) => {} }
        thread::spawn({
            let sender = sender.clone();
            move || sender.send("a message").unwrap()
        });
        assert_eq!(wait(), "a message");
        let writer = thread::spawn(move || {
            thread::yield_now();
            near.write_all(b"tea").unwrap();
            near
        });
        assert_eq!(wait(), "readable");
        let near = writer.join().unwrap();
        (&far).read_exact(&mut [0; 3]).unwrap();
        let thread = std::thread::spawn(move || drop(near));
        assert_eq!(wait(), "readable", "the end is something to read");
        thread.join().unwrap();
    });
}

#[test]
fn a_select_that_is_cancelled_has_done_nothing() {
    kettle::run(|| {
        let (to_full, full) = channel::bounded(0);
        let (sender, receiver) = mpsc::channel();
        let (_near, far) = UnixStream::pair().unwrap();
        let mut value = Some("value");
        for polls in [false, true] {
            let ended = timeout(Duration::from_millis(1), || {
                if polls {
                    select! {
                        _ = arms::recv(&receiver) => {}
                        _ = arms::send(&to_full, &mut value) => {}
                        _ = arms::readable(&far) => {}
                    }
                } else {
                    select! {
                        _ = arms::recv(&receiver) => {}
                        _ = arms::send(&to_full, &mut value) => {}
                    }
                }
            });
            assert!(ended.is_err());
            assert_eq!(value, Some("value"));
            assert!(full.try_recv().is_err());
        }
        sender.send(1).unwrap();
        let cancelled = cancel_scope(|scope| {
            scope.cancel();
            select! { _ = arms::recv(&receiver) => {} }
        });
        assert!(cancelled.is_err());
        assert_eq!(receiver.recv(), Ok(1));
    });
}

#[test]
fn an_arm_that_was_done_before_a_cancellation_is_chosen() {
    kettle::run(|| {
        let (sender, receiver) = channel::bounded(0);
        let (_near, far) = UnixStream::pair().unwrap();
        let task = thread::spawn(move || {
            select! {
                received = arms::recv(&receiver) => received,
                _ = arms::readable(&far) => unreachable!(),
            }
        });
        // Until it waits.
        while sender.try_send("tea").is_err() {
            thread::yield_now();
        }
        task.cancel();
        assert_eq!(task.join().unwrap(), Ok("tea"));
    });
}

#[test]
fn readiness_is_an_arm_outside_of_run_as_well() {
    let (mut near, far) = UnixStream::pair().unwrap();
    // A thread that has no loop yet.
    let waits = std::thread::spawn(move || {
        select! { _ = arms::readable(&far) => {} }
    });
    near.write_all(b"tea").unwrap();
    waits.join().unwrap();
    let (_near, far) = UnixStream::pair().unwrap();
    let times_out = std::thread::spawn(move || {
        select! {
            _ = arms::readable(&far) => "readable",
            _ = arms::after(Duration::from_millis(1)) => "late",
        }
    });
    assert_eq!(times_out.join().unwrap(), "late");
    let (near, far) = UnixStream::pair().unwrap();
    std::thread::spawn(move || {
        let ends = thread::spawn(move || drop(near));
        select! { _ = arms::readable(&far) => {} }
        ends.join().unwrap();
    })
    .join()
    .unwrap();
}

#[test]
fn nobody_sends_to_itself() {
    kettle::run(|| {
        let (sender, receiver) = channel::bounded(0);
        let mut value = Some(1);
        let chosen = select! {
            _ = arms::recv(&receiver) => "received",
            _ = arms::send(&sender, &mut value) => "sent",
            _ = arms::after(Duration::from_millis(1)) => "neither",
        };
        assert_eq!((chosen, value), ("neither", Some(1)));
    });
}

#[test]
fn two_selects_meet_on_a_channel_without_room() {
    kettle::run(|| {
        let (left, right) = (channel::bounded::<u32>(0), channel::bounded::<u32>(0));
        let both = |mine: channel::Sender<u32>, theirs: channel::Receiver<u32>| {
            move || {
                let (mut sent, mut received) = (0, 0);
                while sent < 200 || received < 200 {
                    let mut value = (sent < 200).then_some(sent);
                    select! {
                        gone = arms::send(&mine, &mut value) => { gone.unwrap(); sent += 1; }
                        come = arms::recv(&theirs) => match come {
                            Ok(come) => { assert_eq!(come, received); received += 1; }
                            Err(_) => assert_eq!(received, 200),
                        },
                    }
                }
            }
        };
        let task = thread::spawn(both(left.0.clone(), right.1.clone()));
        let other = both(right.0, left.1);
        let thread = std::thread::spawn(other);
        drop(left.0);
        task.join().unwrap();
        thread.join().unwrap();
    });
}

#[test]
fn no_value_is_lost_or_doubled_among_many_selects() {
    kettle::run(|| {
        let channels: Vec<_> = (0..3).map(|_| channel::bounded::<u64>(1)).collect();
        let receivers: Vec<_> = channels.iter().map(|(_, receiver)| receiver.clone()).collect();
        let work = move || {
            let mut sum = 0;
            let mut open = [true; 3];
            while open.contains(&true) {
                let live: Vec<usize> = (0..3).filter(|&n| open[n]).collect();
                let mut waits: Vec<_> = live.iter().map(|&n| arms::recv(&receivers[n])).collect();
                let mut time = arms::after(Duration::from_micros(sum % 30));
                let mut select = Select::new();
                waits.iter_mut().for_each(|arm| _ = select.add(arm));
                select.add(&mut time);
                let chosen = select.wait();
                if chosen < live.len() {
                    match waits.swap_remove(chosen).finish() {
                        Ok(value) => sum += value,
                        Err(_) => open[live[chosen]] = false,
                    }
                }
            }
            sum
        };
        let threads: Vec<_> = (0..2).map(|_| std::thread::spawn(work.clone())).collect();
        let tasks: Vec<_> = (0..3).map(|_| thread::spawn(work.clone())).collect();
        for n in 1..=600 {
            channels[n as usize % 3].0.send(n).unwrap();
        }
        drop(channels);
        let mut sum: u64 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
        sum += threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>();
        assert_eq!(sum, 600 * 601 / 2);
    });
}

#[test]
fn watches_and_broadcasts_are_arms() {
    kettle::run(|| {
        let (light, mut seen) = watch::channel("off");
        let (speaker, mut heard) = broadcast::channel(1);
        let mut wait = || {
            select! {
                state = arms::next(&mut seen) => state.map_or("dark", |state| *state),
                word = arms::next(&mut heard) => match word {
                    Ok(word) => word,
                    Err(broadcast::RecvError::Lagged(1)) => "what?",
                    Err(_) => "silence",
                },
            }
        };
        let other = light.clone();
        let task = thread::spawn(move || {
            // The end of one of several senders is no news.
            drop(other);
            thread::yield_now();
            speaker.send("hello").unwrap();
            speaker
        });
        assert_eq!(wait(), "hello");
        let speaker = task.join().unwrap();
        light.send("on").unwrap();
        assert_eq!(wait(), "on");
        speaker.send("one").unwrap();
        speaker.send("two").unwrap();
        assert_eq!([wait(), wait()], ["what?", "two"]);
        drop(light);
        assert_eq!(wait(), "dark");
    });
}

#[test]
fn what_is_done_may_leave_the_loop_around() {
    let (sender, receiver) = mpsc::channel();
    (0..5).for_each(|n| sender.send(n).unwrap());
    let sum = || -> Result<u32, mpsc::RecvError> {
        let mut sum = 0;
        loop {
            select! {
                n = arms::recv(&receiver) => match n? {
                    1 => continue,
                    4 => break,
                    n => sum += n,
                },
            }
        }
        Ok(sum)
    };
    assert_eq!(sum(), Ok(5));
    drop(sender);
    assert_eq!(sum(), Err(mpsc::RecvError));
}

#[test]
fn a_select_without_arms_is_refused() {
    assert!(catch_unwind(|| Select::new().wait()).is_err());
    assert_eq!(Select::new().try_wait(), None);
}

#[test]
fn an_arm_that_was_chosen_keeps_its_value_and_is_not_waited_for_again() {
    fn choose(arm: &mut dyn arms::Arm) -> Option<usize> {
        let mut select = Select::new();
        select.add(arm);
        select.try_wait()
    }
    fn is_refused(arm: &mut dyn arms::Arm) -> bool {
        let refused = catch_unwind(AssertUnwindSafe(|| choose(arm))).unwrap_err();
        refused.downcast_ref::<&str>().unwrap().contains("`finish` it, and make another one")
    }
    let (sender, receiver) = channel::unbounded();
    (1..=2).for_each(|n| sender.send(n).unwrap());
    let mut arm = arms::recv(&receiver);
    assert_eq!(choose(&mut arm), Some(0));
    assert!(is_refused(&mut arm));
    // Nor beside one that is ready, and that has done nothing.
    let mut other = arms::after(Duration::ZERO);
    let mut select = Select::new().biased();
    select.add(&mut other);
    select.add(&mut arm);
    assert!(catch_unwind(AssertUnwindSafe(|| select.wait())).is_err());
    assert_eq!((arm.finish(), receiver.try_recv()), (Ok(1), Ok(2)));

    let mut value = Some(3);
    let mut arm = arms::send(&sender, &mut value);
    assert_eq!(choose(&mut arm), Some(0));
    assert!(is_refused(&mut arm));
    assert_eq!((arm.finish(), receiver.try_recv()), (Ok(()), Ok(3)));

    let (news, mut reader) = broadcast::channel(2);
    (4..=5).for_each(|n| _ = news.send(n));
    let mut arm = arms::next(&mut reader);
    assert_eq!(choose(&mut arm), Some(0));
    assert!(is_refused(&mut arm));
    assert_eq!((arm.finish(), reader.recv()), (Ok(4), Ok(5)));

    drop(sender);
    let mut arm = arms::recv(&receiver);
    assert_eq!(choose(&mut arm), Some(0));
    assert!(is_refused(&mut arm) && arm.finish().is_err());
}

#[test]
fn an_arm_that_was_done_by_another_task_is_not_waited_for_again() {
    kettle::run(|| {
        let (sender, receiver) = channel::bounded(0);
        let sends = thread::spawn(move || (1..=2).for_each(|n| sender.send(n).unwrap()));
        let mut arm = arms::recv(&receiver);
        let mut select = Select::new();
        select.add(&mut arm);
        select.wait();
        let mut again = Select::new();
        again.add(&mut arm);
        assert!(catch_unwind(AssertUnwindSafe(|| again.wait())).is_err());
        assert_eq!((arm.finish(), receiver.recv()), (Ok(1), Ok(2)));
        sends.join().unwrap();
    });
}

#[test]
fn an_arm_that_was_not_chosen_is_waited_for_again() {
    kettle::run(|| {
        let (sender, receiver) = channel::bounded(0);
        let mut arm = arms::recv(&receiver);
        for _ in 0..2 {
            let mut now = arms::after(Duration::ZERO);
            let mut select = Select::new();
            assert_eq!((select.add(&mut arm), select.add(&mut now)), (0, 1));
            assert_eq!(select.wait(), 1);
        }
        let sends = thread::spawn(move || sender.send(1));
        let mut select = Select::new();
        select.add(&mut arm);
        assert_eq!(select.wait(), 0);
        assert_eq!((arm.finish(), sends.join().unwrap()), (Ok(1), Ok(())));
    });
}
