//! Coroutines that end before their time: dropped, forgotten, swapped, left in a thread-local.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod child;

use kettle_fiber::{Builder, Coroutine, Guards, Scoped, Yielder, coroutine, pool, scoped};
use kettle_gen::{Generator, State, Step};
use std::cell::{Cell, RefCell};
use std::mem::{forget, swap};
use std::rc::Rc;
use std::thread;

/// Writes its name when it is dropped.
struct Note(&'static str, Rc<RefCell<Vec<&'static str>>>);

impl Drop for Note {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

type Notes = Rc<RefCell<Vec<&'static str>>>;

fn in_use() -> usize {
    pool::usage().iter().map(|size| size.in_use).sum()
}

/// Yields its address, from a frame of its own, and then what the frame still holds.
fn canary(y: &mut Yielder<usize>) {
    let canary = [0x5ca1_ab1e_usize; 128];
    y.yield_(canary.as_ptr().addr());
    y.yield_(std::hint::black_box(&canary).iter().filter(|word| **word != 0x5ca1_ab1e).count());
}

#[test]
fn dropping_a_suspended_one_runs_its_destructors_innermost_first() {
    fn down(y: &mut Yielder<()>, notes: &Notes, names: &[&'static str]) {
        if let [name, inner @ ..] = names {
            let _note = Note(name, Rc::clone(notes));
            down(y, notes, inner);
        } else {
            y.yield_(());
        }
    }
    let notes = Notes::default();
    let log = Rc::clone(&notes);
    let mut co = coroutine(move |y: &mut Yielder<()>| down(y, &log, &["outer", "middle", "inner"]));
    co.resume().unwrap();
    drop(co);
    assert_eq!(*notes.borrow(), ["inner", "middle", "outer"]);
    assert_eq!(Rc::strong_count(&notes), 1, "what the body captured is dropped as well");
}

#[test]
fn dropping_one_that_was_not_started_drops_what_it_captured_and_runs_nothing() {
    let notes = Notes::default();
    let note = Note("captured", Rc::clone(&notes));
    let co = coroutine(move |_: &mut Yielder<()>| note.1.borrow_mut().push("ran"));
    drop(co);
    assert_eq!(*notes.borrow(), ["captured"]);
}

#[test]
fn values_too_large_for_the_stacks_top_are_dropped_with_the_rest() {
    struct Large([u8; 4096], #[expect(dead_code, reason = "it is there to be dropped")] Note);
    let notes = Notes::default();
    let body = |notes: Notes| {
        move |y: &mut Yielder<Large, Large>| {
            let _body = Note("body", Rc::clone(&notes));
            y.yield_(Large([1; 4096], Note("yielded", notes)))
        }
    };
    let roomy = Builder::new().stack_size(256 * 1024);
    let mut co = roomy.clone().coroutine(body(Rc::clone(&notes))).unwrap();
    let given = co.resume().unwrap().yielded().unwrap();
    assert!(given.0.iter().all(|byte| *byte == 1));
    drop(co);
    drop(given);
    assert_eq!(*notes.borrow(), ["body", "yielded"]);
    let mut co = roomy.coroutine(body(Rc::clone(&notes))).unwrap();
    drop(co.resume().unwrap());
    let back = co.send(Large([2; 4096], Note("sent", Rc::clone(&notes)))).unwrap().returned().unwrap().unwrap();
    assert!(back.0.iter().all(|byte| *byte == 2));
    drop((co, back));
    assert_eq!(notes.borrow()[2..], ["yielded", "body", "sent"]);
}

#[test]
fn unstarted_ones_that_own_each_other_are_dropped_each_on_its_own_stack() {
    struct Counts(Rc<Cell<usize>>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let all = || {
        let dropped = Rc::new(Cell::new(0));
        let owner = |inner: Option<Coroutine<()>>| {
            let held = (inner, Counts(Rc::clone(&dropped)));
            coroutine(move |_: &mut Yielder<()>| drop(held))
        };
        let co = (0..5000).fold(owner(None), |inner, _| owner(Some(inner)));
        drop(co);
        assert_eq!(dropped.get(), 5001);
    };
    // Dropped on the stack of this thread, they would not fit.
    thread::Builder::new().stack_size(64 * 1024).spawn(all).unwrap().join().unwrap();
}

#[test]
fn dropping_one_that_handles_errors_asks_it_to_end_and_lets_it_say_no_once() {
    let notes = Notes::default();
    let log = Rc::clone(&notes);
    let mut co = coroutine(move |y: &mut Yielder<()>| {
        let _note = Note("unwound", Rc::clone(&log));
        assert!(y.try_yield(()).unwrap_err().is_exit());
        log.borrow_mut().push("asked");
        let _ = y.try_yield(());
        log.borrow_mut().push("went on");
    });
    co.resume().unwrap();
    drop(co);
    assert_eq!(*notes.borrow(), ["asked", "unwound"]);
}

#[test]
fn finishing_drops_what_the_body_held_before_the_handle_goes() {
    let notes = Notes::default();
    let note = Note("held", Rc::clone(&notes));
    let mut co = coroutine(move |y: &mut Yielder<()>| {
        let _note = note;
        y.yield_(());
    });
    while co.next().is_some() {}
    assert_eq!(*notes.borrow(), ["held"]);
    assert_eq!(co.state(), State::Finished);
}

#[test]
fn a_scope_unwinds_what_its_consumer_left_suspended() {
    let notes = Notes::default();
    let note = Note("held", Rc::clone(&notes));
    scoped(
        |y: &mut Yielder<()>| {
            let _note = note;
            y.yield_(());
        },
        |mut co| {
            co.resume().unwrap();
        },
    );
    assert_eq!(*notes.borrow(), ["held"]);
}

#[test]
fn forgetting_the_handle_of_a_scope_changes_nothing() {
    let notes = Notes::default();
    let note = Note("held", Rc::clone(&notes));
    scoped(
        |y: &mut Yielder<()>| {
            let _note = note;
            y.yield_(());
        },
        |mut co| {
            co.resume().unwrap();
            // In a box, which is leaked with it.
            forget(Box::new(co));
        },
    );
    assert_eq!(*notes.borrow(), ["held"]);
    assert_eq!(in_use(), 0);
}

#[test]
fn a_handle_of_a_scope_that_is_dropped_early_ends_nothing_early() {
    let notes = Notes::default();
    let note = Note("held", Rc::clone(&notes));
    scoped(
        |y: &mut Yielder<()>| {
            let _note = note;
            y.yield_(());
        },
        |mut co: Scoped<'_, ()>| {
            co.resume().unwrap();
            drop(Some(Box::new(co)));
            assert!(notes.borrow().is_empty(), "the scope owns the coroutine, and the handle does not");
        },
    );
    assert_eq!(*notes.borrow(), ["held"]);
}

#[test]
fn a_forgotten_ones_stack_is_never_used_again() {
    let forgotten: Vec<_> = (0..3)
        .map(|steps| {
            let mut co = coroutine(canary);
            let seen: Vec<_> = (0..steps).map(|_| co.next()).collect();
            forget(co);
            seen.first().copied().flatten()
        })
        .collect();
    assert_eq!(in_use(), 3);
    let suspended = forgotten[1].unwrap();
    // Of the next thousand none comes near the one that lies suspended.
    let mut crowd: Vec<_> = (0..1000).map(|_| coroutine(canary)).collect();
    for co in &mut crowd {
        let at = co.next().unwrap();
        assert!(at.abs_diff(suspended) >= co.stack_size() / 2, "{at:x} and {suspended:x} share a stack");
    }
    for co in &mut crowd {
        assert_eq!(co.next(), Some(0), "a canary was written over");
    }
    drop(crowd);
    assert_eq!(in_use(), 3);
}

#[test]
fn a_thread_can_end_with_forgotten_coroutines_and_their_memory_stays() {
    let word: &'static u64 = thread::spawn(|| {
        let (give, take) = std::sync::mpsc::channel();
        let mut co = coroutine(move |y: &mut Yielder<()>| {
            let local = Cell::new(77_u64);
            thread::scope(|scope| {
                // A borrow of the suspended frame for ever: sound, because the frame is for ever.
                let _ = scope;
                give.send(std::ptr::from_ref(&local).addr()).unwrap();
                y.yield_(());
            });
        });
        co.resume().unwrap();
        forget(co);
        take.recv().unwrap()
    })
    .join()
    .map(|address| {
        // SAFETY: the frame of a forgotten coroutine stays as it is.
        unsafe { &*(address as *const u64) }
    })
    .unwrap();
    let other = thread::spawn(|| (0..100).map(|_| coroutine(canary)).map(|mut co| co.next().unwrap()).sum::<usize>());
    assert_ne!(other.join().unwrap(), 0);
    assert_eq!(*word, 77);
}

#[test]
fn swapped_coroutines_go_on_where_they_were() {
    let mut one = coroutine(|y: &mut Yielder<u32>| y.yield_iter(0..10));
    let mut other =
        coroutine(|y: &mut Yielder<u32>| y.yield_from(coroutine(|y: &mut Yielder<u32>| y.yield_iter(20..30))));
    let boxed: [&mut dyn Iterator<Item = u32>; 2] = [&mut one, &mut other];
    for iter in boxed {
        iter.next();
    }
    let mut pair = [one.next(), other.next()];
    assert_eq!(pair, [Some(1), Some(21)]);
    let mut third = coroutine(|y: &mut Yielder<u32>| y.yield_iter(40..50));
    third.next();
    swap(&mut one, &mut third);
    pair = [one.next(), third.next()];
    assert_eq!(pair, [Some(41), Some(2)]);
    drop(one);
    assert_eq!(third.next(), Some(3));
}

#[test]
fn coroutines_can_be_moved_while_suspended_and_while_delegating() {
    let start = |from: u32| {
        let mut co = coroutine(move |y: &mut Yielder<u32>| {
            y.yield_from(coroutine(move |y: &mut Yielder<u32>| y.yield_iter(from..)));
        });
        co.next();
        co
    };
    let mut all: Vec<_> = (0..100).map(start).collect();
    all.rotate_left(33);
    all.reverse();
    let sum: u32 = all.iter_mut().filter_map(Iterator::next).sum();
    assert_eq!(sum, (0..100).map(|n| n + 1).sum());
}

#[test]
fn a_coroutine_may_own_coroutines_and_be_dropped_with_them() {
    fn nest(notes: Notes, depth: u32) -> Coroutine<u32> {
        coroutine(move |y: &mut Yielder<u32>| {
            let _note = Note(["0", "1", "2", "3"][depth as usize], Rc::clone(&notes));
            let mut inner = (depth > 0).then(|| nest(notes, depth - 1));
            loop {
                y.yield_(1 + inner.as_mut().and_then(Iterator::next).unwrap_or(0));
            }
        })
    }
    let notes = Notes::default();
    let mut co = nest(Rc::clone(&notes), 3);
    assert_eq!(co.next(), Some(4));
    assert_eq!(co.next(), Some(4));
    drop(co);
    assert_eq!(*notes.borrow(), ["0", "1", "2", "3"]);
}

thread_local! {
    static EARLY: RefCell<Option<Coroutine<u32>>> = const { RefCell::new(None) };
    static LATE: Late = const { Late(Cell::new(None)) };
}

#[test]
fn one_that_lies_in_a_thread_local_is_unwound_when_the_thread_ends() {
    let (give, take) = std::sync::mpsc::channel();
    thread::spawn(move || {
        struct Tell(std::sync::mpsc::Sender<&'static str>);
        impl Drop for Tell {
            fn drop(&mut self) {
                self.0.send("dropped").unwrap();
            }
        }
        let tell = Tell(give);
        // Touched before the pool is: its destructor runs after the pool's.
        EARLY.with_borrow_mut(|slot| *slot = None);
        let mut co = coroutine(move |y: &mut Yielder<u32>| {
            let _tell = tell;
            y.yield_(1);
        });
        co.resume().unwrap();
        EARLY.set(Some(co));
    })
    .join()
    .unwrap();
    assert_eq!(take.try_recv(), Ok("dropped"));
}

/// Works with coroutines when its thread ends.
struct Late(Cell<Option<std::sync::mpsc::Sender<Vec<Option<u32>>>>>);

impl Drop for Late {
    fn drop(&mut self) {
        let mut co = coroutine(|y: &mut Yielder<u32>| y.yield_iter(5..7));
        let seen = vec![co.next(), co.next(), co.next()];
        let mut left = coroutine(|y: &mut Yielder<u32>| y.yield_iter(5..7));
        assert_eq!(left.next(), Some(5));
        if let Some(give) = self.0.take() {
            give.send(seen).unwrap();
        }
    }
}

#[test]
fn a_thread_locals_destructor_can_make_coroutines() {
    for pool_first in [false, true] {
        let (give, take) = std::sync::mpsc::channel();
        thread::spawn(move || {
            if pool_first {
                assert_eq!(coroutine(|y: &mut Yielder<u32>| y.yield_iter(1..2)).next(), Some(1));
            }
            LATE.with(|late| late.0.set(Some(give)));
            if !pool_first {
                assert_eq!(coroutine(|y: &mut Yielder<u32>| y.yield_iter(1..2)).next(), Some(1));
            }
        })
        .join()
        .unwrap();
        assert_eq!(take.try_recv().unwrap(), [Some(5), Some(6), None], "pool first: {pool_first}");
    }
}

#[test]
fn a_hundred_thousand_alive_at_once_keep_their_frames() {
    // Mapped guards end near 30,000.
    let most = if pool::guards() == Guards::Light { 100_000 } else { 20_000 };
    for alive in [10_000, most] {
        let mut all: Vec<_> = (0..alive).map(|_| coroutine(canary)).collect();
        let mut places: Vec<_> = all.iter_mut().map(|co| co.next().unwrap()).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), alive);
        assert!(all.iter_mut().all(|co| co.resume().unwrap() == Step::Yielded(0)));
    }
}

#[test]
fn all_of_this_holds_with_mapped_guards() {
    child::all_again_with_mapped_guards();
}
