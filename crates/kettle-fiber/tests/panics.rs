//! Panics: of bodies, of consumers, of destructors, in the middle of a delegation; where they come out and what is dropped.
//!
//! Most are raised by `resume_unwind`, which runs no hook and prints nothing.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod child;

use kettle_fiber::{Builder, Coroutine, Yielder, coroutine, pool, scoped};
use kettle_gen::{Generator, State, Step, local};
use std::any::Any;
use std::cell::RefCell;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::thread;

type Notes = Rc<RefCell<Vec<&'static str>>>;

struct Note(&'static str, Notes);

impl Drop for Note {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        raise("bomb");
    }
}

fn raise(payload: &'static str) -> ! {
    resume_unwind(Box::new(payload))
}

fn caught<T>(f: impl FnOnce() -> T) -> &'static str {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => "nothing",
        Err(payload) => payload.downcast_ref().copied().unwrap_or("something else"),
    }
}

fn in_use() -> usize {
    pool::usage().iter().map(|size| size.in_use).sum()
}

#[test]
fn a_panic_reaches_the_resumer_with_its_payload_and_ends_the_coroutine() {
    let notes = Notes::default();
    let note = Note("unwound", Rc::clone(&notes));
    let mut co = coroutine(move |y: &mut Yielder<u32>| {
        let _note = note;
        y.yield_(1);
        raise("boo")
    });
    co.resume().unwrap();
    assert_eq!(caught(|| co.resume()), "boo");
    assert_eq!(*notes.borrow(), ["unwound"]);
    assert_eq!(co.state(), State::Finished);
    assert!(co.resume().unwrap_err().is_finished());
    assert!(!thread::panicking());
}

#[test]
fn a_panic_with_hook_and_message_works_on_a_stack_of_the_default_size() {
    // Printing a message with its backtrace takes some 24 KiB.
    let mut co = Builder::new()
        .stack_size(64 * 1024)
        .coroutine(|_: &mut Yielder<u32>| -> () { panic!("expected by this test: {}", black_box(1)) })
        .unwrap();
    let payload: Box<dyn Any + Send> = catch_unwind(AssertUnwindSafe(|| co.resume())).unwrap_err();
    assert_eq!(payload.downcast_ref::<String>().unwrap(), "expected by this test: 1");
}

#[test]
fn a_body_can_catch_its_own_panics_and_go_on() {
    let mut co = coroutine(|y: &mut Yielder<&str>| {
        y.yield_(caught(|| raise("one")));
        let caught = catch_unwind(AssertUnwindSafe(|| {
            y.yield_("between");
            raise("two");
        }));
        caught.unwrap_err().downcast_ref::<&str>().copied()
    });
    assert_eq!(co.resume().unwrap(), Step::Yielded("one"));
    assert_eq!(co.resume().unwrap(), Step::Yielded("between"));
    assert_eq!(co.resume().unwrap(), Step::Returned(Some("two")));
}

#[test]
fn a_panic_in_the_middle_of_a_delegation_unwinds_all_innermost_first() {
    let notes = Notes::default();
    let log = Rc::clone(&notes);
    let mut co = coroutine(move |y: &mut Yielder<u32>| {
        let _top = Note("top", Rc::clone(&log));
        y.yield_from(local::generator(async |y: &mut local::Yielder<_>| {
            let _middle = Note("middle", Rc::clone(&log));
            let note = Note("innermost", Rc::clone(&log));
            let body = move |y: &mut Yielder<u32>| {
                let _note = note;
                y.yield_(1);
                raise("boo")
            };
            let _: () = y.yield_from(coroutine(body)).await;
        }));
    });
    co.resume().unwrap();
    assert_eq!(caught(|| co.resume()), "boo");
    assert_eq!(*notes.borrow(), ["innermost", "middle", "top"]);
    assert_eq!(co.state(), State::Finished);
    drop(co);
    assert_eq!(in_use(), 0);
}

#[test]
fn a_panic_in_a_destructor_of_a_running_body_is_a_panic_of_the_body() {
    let notes = Notes::default();
    let log = Rc::clone(&notes);
    let mut co = coroutine(move |y: &mut Yielder<u32>| {
        let _note = Note("unwound", log);
        let bomb = Bomb;
        y.yield_(1);
        drop(bomb);
    });
    co.resume().unwrap();
    assert_eq!(caught(|| co.resume()), "bomb");
    assert_eq!(*notes.borrow(), ["unwound"]);
    assert_eq!(co.state(), State::Finished);
}

#[test]
fn a_panic_of_a_captured_values_destructor_comes_out_as_well() {
    let bomb = Bomb;
    let co = coroutine(move |_: &mut Yielder<u32>| drop(bomb));
    assert_eq!(caught(|| drop(co)), "bomb");
    assert_eq!(in_use(), 0);
}

#[test]
fn a_panic_of_one_captured_values_destructor_drops_each_value_once() {
    for close in [false, true] {
        let notes = Notes::default();
        let all = (Note("before", Rc::clone(&notes)), Bomb, Note("after", Rc::clone(&notes)));
        let mut co = coroutine(move |_: &mut Yielder<u32>| drop(all));
        if close {
            assert_eq!(caught(|| co.close()), "bomb");
            assert_eq!(co.state(), State::Finished);
            drop(co);
        } else {
            assert_eq!(caught(|| drop(co)), "bomb");
        }
        assert_eq!(*notes.borrow(), ["before", "after"]);
        assert_eq!(in_use(), 0);
    }
}

#[test]
fn a_panic_of_a_stackless_delegates_destructor_still_drops_its_delegators() {
    let notes = Notes::default();
    let log = Rc::clone(&notes);
    let mut co = coroutine(move |y: &mut Yielder<u32>| {
        let _top = Note("top", log);
        y.yield_from(local::generator(async |y: &mut local::Yielder<_>| {
            let _bomb = Bomb;
            y.yield_(1).await;
        }));
    });
    co.resume().unwrap();
    assert_eq!(caught(|| drop(co)), "bomb");
    assert_eq!(*notes.borrow(), ["top"]);
    assert_eq!(in_use(), 0);
}

#[test]
fn a_consumers_panic_unwinds_its_coroutine_and_passes_on() {
    let notes = Notes::default();
    let consume = || {
        scoped(
            |y: &mut Yielder<u32>| {
                let _note = Note("unwound", Rc::clone(&notes));
                y.yield_(1);
            },
            |mut co| {
                co.resume().unwrap();
                raise("consumer")
            },
        )
    };
    assert_eq!(caught::<()>(consume), "consumer");
    assert_eq!(*notes.borrow(), ["unwound"]);
    assert!(!thread::panicking());
}

#[test]
fn a_bodys_panic_passes_through_its_consumer_which_may_catch_it() {
    let body = |_: &mut Yielder<u32>| -> () { raise("body") };
    assert_eq!(caught(|| scoped(body, |mut co| co.resume())), "body");
    scoped(body, |mut co| {
        assert_eq!(caught(|| co.resume()), "body");
        assert_eq!(co.state(), State::Finished);
    });
}

#[test]
fn a_panic_passes_through_coroutines_that_resume_each_other() {
    fn nest(depth: u32) -> Coroutine<u32> {
        coroutine(move |y: &mut Yielder<u32>| {
            y.yield_(depth);
            if depth == 0 {
                raise("deep");
            }
            let mut inner = nest(depth - 1);
            while inner.next().is_some() {}
        })
    }
    let mut co = nest(20);
    co.resume().unwrap();
    assert_eq!(caught(|| co.resume()), "deep");
    assert_eq!(co.state(), State::Finished);
    drop(co);
    assert_eq!(in_use(), 0);
}

#[test]
fn a_panicking_drop_of_a_yielded_value_leaves_nothing_behind() {
    struct Value(bool);
    impl Drop for Value {
        fn drop(&mut self) {
            if self.0 {
                raise("value");
            }
        }
    }
    let notes = Notes::default();
    let log = Rc::clone(&notes);
    let mut co = coroutine(move |y: &mut Yielder<Value>| {
        let _note = Note("unwound", log);
        let _ = y.try_yield(Value(false));
        // Answers the exit; nobody hears it, so the value is dropped.
        let _ = y.try_yield(Value(true));
    });
    drop(co.resume().unwrap());
    assert_eq!(caught(|| drop(co)), "value");
    assert_eq!(*notes.borrow(), ["unwound"]);
    assert_eq!(in_use(), 0);
}

#[test]
fn a_delegate_whose_answer_to_its_exit_panics_is_gone_before_what_it_borrows() {
    struct Value(bool);
    impl Drop for Value {
        fn drop(&mut self) {
            if self.0 {
                raise("value");
            }
        }
    }
    struct Reads<'a>(&'a RefCell<u32>);
    impl Drop for Reads<'_> {
        fn drop(&mut self) {
            *self.0.borrow_mut() += 1;
        }
    }
    let read = Rc::new(RefCell::new(0));
    let seen = Rc::clone(&read);
    let mut co = coroutine(move |y: &mut Yielder<Value>| {
        let local = RefCell::new(0);
        scoped(
            |inner: &mut Yielder<Value>| {
                let _reads = Reads(&local);
                let _ = inner.try_yield(Value(false));
                let _ = inner.try_yield(Value(true));
                let _ = inner.try_yield(Value(false));
            },
            |inner| caught(|| y.yield_from(inner)),
        );
        *seen.borrow_mut() = local.into_inner();
    });
    drop(co.resume().unwrap());
    assert_eq!(caught(|| drop(co)), "value");
    assert_eq!(in_use(), 0);
    assert_eq!(Rc::strong_count(&read), 1);
}

#[test]
fn all_of_this_holds_with_mapped_guards() {
    child::all_again_with_mapped_guards();
}
