//! An outer coroutine's yielder, used on an inner one's stack: a deep yield. Both are suspended, and both unwound, there.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_fiber::{Yielder, coroutine, scoped};
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
fn an_outer_yielder_delegates_from_an_inner_stack() {
    let mut co = coroutine(|outer: &mut Yielder<usize>| {
        scoped(
            |inner: &mut Yielder<usize>| {
                let text = String::from("a bc def");
                outer.yield_from(local::generator(async |y: &mut local::Yielder<_>| {
                    for word in text.split(' ') {
                        y.yield_(word.len()).await;
                    }
                }));
                inner.yield_(9);
                outer.yield_iter(7..9);
            },
            |mut co| while co.next().is_some() {},
        );
    });
    assert_eq!(co.by_ref().collect::<Vec<_>>(), [1, 2, 3, 7, 8]);
}

#[test]
fn dropping_in_the_middle_of_a_delegation_from_an_inner_stack_drops_the_delegate_first() {
    let notes = Notes::default();
    let log = Rc::clone(&notes);
    let mut co = coroutine(move |outer: &mut Yielder<u32>| {
        let _outer = Note("outer", Rc::clone(&log));
        scoped(
            |_: &mut Yielder<u32>| {
                let _inner = Note("inner", Rc::clone(&log));
                outer.yield_from(coroutine({
                    let log = Rc::clone(&log);
                    move |y: &mut Yielder<u32>| {
                        let _delegate = Note("delegate", log);
                        y.yield_(1);
                    }
                }));
            },
            |mut co| co.resume().unwrap(),
        );
    });
    assert_eq!(co.next(), Some(1));
    drop(co);
    assert_eq!(*notes.borrow(), ["delegate", "inner", "outer"]);
}

#[test]
fn a_stackful_yielder_pauses_in_the_middle_of_a_poll() {
    // The stackless generator is suspended in its poll, with the stack that it is polled on.
    let notes = Notes::default();
    let log = Rc::clone(&notes);
    let mut co = coroutine(move |outer: &mut Yielder<u32>| {
        let mut stackless = local::generator(async |y: &mut local::Yielder<_>| {
            let _polled = Note("polled", Rc::clone(&log));
            outer.yield_(1);
            y.yield_(2_u32).await;
            outer.yield_(3);
        });
        assert_eq!(stackless.next(), Some(2));
        assert_eq!(stackless.next(), None);
    });
    assert_eq!(co.by_ref().take(2).collect::<Vec<_>>(), [1, 3]);
    drop(co);
    assert_eq!(*notes.borrow(), ["polled"]);
}

#[test]
fn a_delegate_that_yields_past_its_chain_is_unwound_with_it() {
    // outer > root [chain: delegate]; the delegate pauses `outer` while the root drives it.
    let notes = Notes::default();
    let log = Rc::clone(&notes);
    let mut co = coroutine(move |outer: &mut Yielder<u32>| {
        let _outer = Note("outer", Rc::clone(&log));
        let mut root = local::generator(async |y: &mut local::Yielder<u32>| {
            let _root = Note("root", Rc::clone(&log));
            y.yield_from(local::generator(async |y: &mut local::Yielder<u32>| {
                let _delegate = Note("delegate", Rc::clone(&log));
                y.yield_(1).await;
                outer.yield_(2);
            }))
            .await;
        });
        root.resume().unwrap();
        root.resume().unwrap();
    });
    assert_eq!(co.next(), Some(2));
    drop(co);
    assert_eq!(*notes.borrow(), ["delegate", "root", "outer"]);
}

#[test]
fn nesting_goes_as_deep_as_the_memory() {
    fn nest(outermost: &mut Yielder<u32>, depth: u32) {
        if depth == 0 {
            outermost.yield_(7);
            return;
        }
        scoped(
            |_: &mut Yielder<u32>| nest(outermost, depth - 1),
            |mut co| assert_eq!(co.resume().unwrap(), Step::Returned(())),
        );
    }
    let mut co = coroutine(|y: &mut Yielder<u32>| nest(y, 1000));
    assert_eq!(co.next(), Some(7));
    assert_eq!(co.next(), None);
    let mut co = coroutine(|y: &mut Yielder<u32>| nest(y, 1000));
    assert_eq!(co.next(), Some(7));
    drop(co);
}
