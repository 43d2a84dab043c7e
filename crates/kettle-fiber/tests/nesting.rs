//! An outer coroutine's yielder, used on an inner one's stack: a deep yield. Both are suspended, and both unwound, there.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_fiber::{Builder, Yielder, coroutine, scoped};
use kettle_gen::{Generator, State, Step, local};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

type Notes = Rc<RefCell<Vec<&'static str>>>;

struct Note(&'static str, Notes);

impl Drop for Note {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

#[test]
fn a_deep_yield_pauses_the_outer_one_and_goes_on_in_the_inner_one() {
    let mut co = coroutine(|outer: &mut Yielder<u32, u32>| {
        scoped(
            |inner: &mut Yielder<u32>| {
                let sent = outer.yield_(1).unwrap();
                inner.yield_(sent + 1);
                outer.yield_(3).unwrap()
            },
            |mut co| {
                assert_eq!(co.resume().unwrap(), Step::Yielded(11));
                co.resume().unwrap().returned().unwrap()
            },
        )
    });
    assert_eq!(co.resume().unwrap(), Step::Yielded(1));
    assert_eq!(co.state(), State::Suspended);
    assert_eq!(co.send(10).unwrap(), Step::Yielded(3));
    assert_eq!(co.send(12).unwrap(), Step::Returned(12));
}

/// Suspends an outer coroutine on the stack of an inner one, with something to drop on both.
fn deep(notes: &Notes) -> kettle_fiber::Coroutine<u32> {
    let notes = Rc::clone(notes);
    coroutine(move |outer: &mut Yielder<u32>| {
        let _outer = Note("outer", Rc::clone(&notes));
        scoped(
            |_: &mut Yielder<u32>| {
                let _inner = Note("inner", Rc::clone(&notes));
                outer.yield_(1);
            },
            |mut co| {
                let _consumer = Note("consumer", Rc::clone(&notes));
                co.resume().unwrap();
            },
        );
    })
}

#[test]
fn dropping_at_a_deep_yield_unwinds_both_stacks() {
    let notes = Notes::default();
    let mut co = deep(&notes);
    assert_eq!(co.next(), Some(1));
    drop(co);
    assert_eq!(*notes.borrow(), ["inner", "consumer", "outer"]);
}

#[test]
fn closing_and_throwing_at_a_deep_yield_unwind_both_stacks() {
    let notes = Notes::default();
    let mut co = deep(&notes);
    co.resume().unwrap();
    assert_eq!(co.close().unwrap(), None);
    assert_eq!(*notes.borrow(), ["inner", "consumer", "outer"]);
    let mut co = deep(&notes);
    co.resume().unwrap();
    let error = co.throw(kettle_gen::Error::new(std::io::Error::other("spilled"))).unwrap_err();
    assert!(error.downcast::<std::io::Error>().is_ok());
    assert_eq!(notes.borrow().len(), 6);
}

#[test]
fn forgetting_at_a_deep_yield_leaks_both_stacks_and_nothing_else() {
    let notes = Notes::default();
    let mut co = deep(&notes);
    co.resume().unwrap();
    std::mem::forget(co);
    let mut others: Vec<_> = (0..100).map(|_| deep(&notes)).collect();
    assert!(others.iter_mut().all(|co| co.next() == Some(1) && co.next().is_none()));
    drop(others);
    assert_eq!(notes.borrow().len(), 300);
}

#[test]
fn an_inner_body_that_swallows_the_outer_ones_unwinding_only_delays_it() {
    let notes = Notes::default();
    let log = Rc::clone(&notes);
    let mut co = coroutine(move |outer: &mut Yielder<u32>| {
        let _outer = Note("outer", Rc::clone(&log));
        scoped(
            |inner: &mut Yielder<u32>| {
                assert!(catch_unwind(AssertUnwindSafe(|| outer.yield_(1))).is_err());
                log.borrow_mut().push("swallowed");
                inner.yield_(2);
                // The outer one has to go: it pauses no more.
                outer.yield_(3);
                log.borrow_mut().push("went on");
            },
            |mut co| {
                assert_eq!(co.resume().unwrap(), Step::Yielded(2));
                co.resume().unwrap();
            },
        );
        log.borrow_mut().push("went on");
    });
    assert_eq!(co.next(), Some(1));
    drop(co);
    assert_eq!(*notes.borrow(), ["swallowed", "outer"]);
}

#[test]
fn a_yield_finds_its_way_out_of_stacks_of_all_sizes() {
    // Its exchange does not fit on a stack.
    type Large = [u64; 100];
    let body = |outer: &mut Yielder<Large>| {
        for size in (16..=22).chain((16..=22).rev()) {
            let body = |_: &mut Yielder<Large>| {
                let body = |_: &mut Yielder<()>| _ = outer.yield_([size; 100]);
                let other = Builder::new().stack_size(1 << (38 - size));
                other.scoped(body, |co| co.for_each(drop)).map_err(drop).unwrap();
            };
            Builder::new().stack_size(1 << size).scoped(body, |co| co.for_each(drop)).map_err(drop).unwrap();
        }
    };
    let mut co = roomy().coroutine(body).map_err(drop).unwrap();
    for size in (16..=22).chain((16..=22).rev()) {
        assert_eq!(co.next(), Some([size; 100]));
    }
    assert_eq!(co.next(), None);
}

#[test]
fn a_yield_finds_its_way_among_many_stacks() {
    let mut all: Vec<_> = (0..2_000)
        .map(|_| {
            coroutine(|outer: &mut Yielder<u32>| {
                scoped(|_: &mut Yielder<u32>| (0..3).for_each(|n| _ = outer.yield_(n)), |co| co.for_each(drop));
            })
        })
        .collect();
    for n in 0..3 {
        assert!(all.iter_mut().all(|co| co.next() == Some(n)));
    }
    assert!(all.iter_mut().all(|co| co.next().is_none()));
}

#[test]
fn a_thread_locals_destructor_resumes_coroutines_within_coroutines() {
    struct Resumes(Option<kettle_fiber::Coroutine<u32>>);
    impl Drop for Resumes {
        fn drop(&mut self) {
            assert_eq!(self.0.take().unwrap().collect::<Vec<_>>(), [1, 2]);
        }
    }
    thread_local!(static LATE: RefCell<Resumes> = const { RefCell::new(Resumes(None)) });
    let late = || {
        // It goes after the pool: what was first used later is destroyed earlier.
        LATE.with_borrow_mut(|late| late.0 = None);
        let co = coroutine(|outer: &mut Yielder<u32>| {
            outer.yield_(1);
            scoped(|_: &mut Yielder<u32>| _ = outer.yield_(2), |co| co.for_each(drop));
        });
        LATE.with_borrow_mut(|late| late.0 = Some(co));
    };
    std::thread::spawn(late).join().unwrap();
}

/// A panic that prints a backtrace does not fit on the smallest stack.
fn roomy() -> Builder {
    Builder::new().stack_size(256 * 1024)
}

#[test]
#[should_panic(expected = "delegate from the stack of an inner coroutine")]
fn an_outer_yielder_does_not_delegate_from_an_inner_stack() {
    let body = |outer: &mut Yielder<usize>| {
        let inner = |_: &mut Yielder<usize>| {
            outer.yield_from(coroutine(|y: &mut Yielder<usize>| y.yield_iter(0..3)));
        };
        roomy().scoped(inner, |mut co| co.resume().unwrap()).map_err(drop).unwrap();
    };
    roomy().coroutine(body).map_err(drop).unwrap().for_each(drop);
}

#[test]
#[should_panic(expected = "delegate from the stack of an inner coroutine")]
fn a_delegate_does_not_speak_through_a_yielder_whose_body_is_half_way() {
    let body = |outer: &mut Yielder<i32>| {
        let inner = |inner: &mut Yielder<i32>| {
            outer.yield_from(local::generator(async |_: &mut local::Yielder<i32>| {
                inner.yield_(7);
            }));
        };
        roomy().scoped(inner, |co| co.take(1).for_each(drop)).map_err(drop).unwrap();
    };
    roomy().coroutine(body).map_err(drop).unwrap().next();
}
