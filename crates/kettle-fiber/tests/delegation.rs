//! `yield_from` of a stackful body: to bodies of both kinds, to shared ones, at any mixture.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_fiber::{Coroutine, Yielder, coroutine, scoped, try_coroutine};
use kettle_gen::{Error, Generator, State, Step, local};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

type Test = Result<(), Error>;

fn bottom() -> Coroutine<i32, i32, Option<i32>> {
    coroutine(|y| y.yield_(42))
}

#[test]
fn values_go_up_and_come_right_back_down() -> Test {
    let middle = || coroutine(|y: &mut Yielder<i32, i32>| y.yield_from(bottom()));
    let mut top = coroutine(move |y: &mut Yielder<i32, i32>| y.yield_from(middle()));
    assert_eq!(top.resume()?, Step::Yielded(42));
    assert_eq!(top.send(84).unwrap(), Step::Returned(Some(84)));
    Ok(())
}

#[test]
fn a_stackful_body_delegates_to_a_stackless_one_that_delegates_to_a_stackful_one() -> Test {
    let mut top = coroutine(|y: &mut Yielder<i32, i32>| {
        y.yield_(1);
        let middle = local::generator(async |y: &mut local::Yielder<_, _>| {
            y.yield_(2).await;
            let result = y.yield_from(bottom()).await;
            y.yield_(3).await;
            result
        });
        let result = y.yield_from(middle);
        y.yield_(4);
        result
    });
    assert_eq!(top.resume()?, Step::Yielded(1));
    assert_eq!(top.resume()?, Step::Yielded(2));
    assert_eq!(top.resume()?, Step::Yielded(42));
    assert_eq!(top.send(5).unwrap(), Step::Yielded(3));
    assert_eq!(top.resume()?, Step::Yielded(4));
    assert_eq!(top.resume()?, Step::Returned(Some(5)));
    Ok(())
}

#[test]
fn a_delegate_may_borrow_from_its_delegator() -> Test {
    let mut co = coroutine(|y: &mut Yielder<usize>| {
        let text = String::from("no copy is made");
        y.yield_from(local::generator(async |y: &mut local::Yielder<_>| {
            for word in text.split(' ') {
                y.yield_(word.len()).await;
            }
        }));
        scoped(|inner: &mut Yielder<usize>| inner.yield_(text.len()), |inner| _ = y.yield_from(inner));
        text.len()
    });
    assert_eq!(co.by_ref().collect::<Vec<_>>(), [2, 4, 2, 4, 15]);
    Ok(())
}

#[test]
fn a_delegate_that_was_already_running_goes_on() -> Test {
    let mut inner =
        coroutine(|y: &mut Yielder<u32>| y.yield_from(coroutine(|y: &mut Yielder<u32>| y.yield_iter(0..4))));
    assert_eq!(inner.resume()?, Step::Yielded(0));
    assert_eq!(inner.resume()?, Step::Yielded(1));
    let outer = coroutine(move |y: &mut Yielder<u32>| y.yield_from(inner));
    assert_eq!(outer.collect::<Vec<_>>(), [2, 3]);
    Ok(())
}

#[test]
fn a_delegate_that_has_finished_raises_that() {
    let mut inner = bottom();
    inner.close().unwrap();
    let mut outer = coroutine(move |y: &mut Yielder<i32, i32>| y.try_yield_from(inner).unwrap_err().is_finished());
    assert_eq!(outer.resume().unwrap(), Step::Returned(true));
    let mut inner = bottom();
    inner.close().unwrap();
    // Out of the delegator's body it is that body's error, and not its end (PEP 479).
    let mut outer = coroutine(move |y: &mut Yielder<i32, i32>| y.yield_from(inner));
    let error = outer.resume().unwrap_err();
    assert!(!error.is_finished() && error.downcast_ref().is_some_and(Error::is_finished));
    assert!(outer.resume().unwrap_err().is_finished());
}

#[test]
fn a_shared_delegate_gives_to_each_of_its_owners() -> Test {
    let shared = Rc::new(RefCell::new(coroutine(|y: &mut Yielder<u32>| y.yield_iter(0..6))));
    let take = |shared: &Rc<RefCell<Coroutine<u32>>>| {
        let shared = Rc::clone(shared);
        coroutine(move |y: &mut Yielder<u32>| y.yield_from(shared))
    };
    let (mut one, mut other) = (take(&shared), take(&shared));
    assert_eq!((one.next(), other.next(), one.next()), (Some(0), Some(1), Some(2)));
    assert_eq!(Rc::clone(&shared).resume()?, Step::Yielded(3));
    Ok(())
}

#[test]
fn dropping_one_owner_of_a_shared_delegate_closes_it_as_pep_380_says() {
    let shared = Rc::new(RefCell::new(coroutine(|y: &mut Yielder<u32>| y.yield_iter(0..6))));
    let inner = Rc::clone(&shared);
    let mut owner = coroutine(move |y: &mut Yielder<u32>| y.yield_from(inner));
    assert_eq!(owner.next(), Some(0));
    drop(owner);
    assert_eq!(shared.state(), State::Finished);
}

#[test]
fn a_shared_coroutine_that_delegates_to_itself_is_told_that_it_runs() {
    type Shared = Rc<RefCell<Option<Coroutine<u32>>>>;
    #[derive(Clone)]
    struct Myself(Shared);
    impl Generator for Myself {
        type Yield = u32;
        type Send = ();
        type Return = ();
        fn resume(&mut self) -> Result<Step<u32, ()>, Error> {
            self.0.try_borrow_mut().map_err(|_| Error::running())?.as_mut().expect("it was stored").resume()
        }
        fn send(&mut self, (): ()) -> Result<Step<u32, ()>, kettle_gen::SendError<()>> {
            self.resume().map_err(Into::into)
        }
        fn throw(&mut self, error: Error) -> Result<Step<u32, ()>, Error> {
            Err(error)
        }
        fn close(&mut self) -> Result<Option<()>, Error> {
            Ok(None)
        }
        fn state(&self) -> State {
            State::Suspended
        }
    }
    let myself = Myself(Rc::default());
    let inner = myself.clone();
    let body = move |y: &mut Yielder<u32>| assert!(y.try_yield_from(inner).unwrap_err().is_running());
    *myself.0.borrow_mut() = Some(coroutine(body));
    assert_eq!(myself.clone().resume().unwrap(), Step::Returned(()));
    // The cycle is broken by hand.
    myself.0.borrow_mut().take();
}

#[test]
fn errors_pass_from_the_innermost_to_whoever_catches() {
    let inner = || {
        try_coroutine(|y: &mut Yielder<u32>| {
            Err::<(), _>(if y.yield_(1).is_none() { io::Error::other("spilled").into() } else { "sent".into() })
        })
    };
    let middle = move || coroutine(move |y: &mut Yielder<u32>| y.yield_from(inner()));
    let mut top =
        coroutine(move |y: &mut Yielder<u32>| y.try_yield_from(middle()).unwrap_err().downcast::<io::Error>().is_ok());
    assert_eq!(top.resume().unwrap(), Step::Yielded(1));
    assert_eq!(top.resume().unwrap(), Step::Returned(true));
}

#[test]
fn throw_reaches_the_innermost_and_unwinds_outwards_to_whoever_catches() {
    let order = Rc::new(RefCell::new(Vec::new()));
    struct Note(&'static str, Rc<RefCell<Vec<&'static str>>>);
    impl Drop for Note {
        fn drop(&mut self) {
            self.1.borrow_mut().push(self.0);
        }
    }
    let note = |name| Note(name, Rc::clone(&order));
    let (innermost, middle, top) = (note("innermost"), note("middle"), note("top"));
    let mut co = coroutine(move |y: &mut Yielder<u32>| {
        let _top = top;
        let result = y.try_yield_from(coroutine(move |y: &mut Yielder<u32>| {
            let _middle = middle;
            y.yield_from(local::generator(async move |y: &mut local::Yielder<_>| {
                let _innermost = innermost;
                y.yield_(1).await;
            }));
        }));
        y.yield_(if result.is_err() { 2 } else { 3 });
    });
    co.resume().unwrap();
    assert_eq!(co.throw(Error::new(io::Error::other("spilled"))).unwrap(), Step::Yielded(2));
    assert_eq!(*order.borrow(), ["innermost", "middle"]);
    drop(co);
    assert_eq!(*order.borrow(), ["innermost", "middle", "top"]);
}

#[test]
fn close_closes_the_innermost_first_and_the_exit_goes_on() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = |name: &'static str| {
        let seen = Rc::clone(&seen);
        move |error: &Error| seen.borrow_mut().push((name, error.is_exit()))
    };
    let (in_inner, in_outer) = (log("inner"), log("outer"));
    let mut co = coroutine(move |y: &mut Yielder<u32>| {
        let inner = coroutine(move |y: &mut Yielder<u32>| in_inner(&y.try_yield(1).unwrap_err()));
        in_outer(&y.try_yield_from(inner).unwrap_err());
        "closed"
    });
    co.resume().unwrap();
    assert_eq!(co.close().unwrap(), Some("closed"));
    assert_eq!(*seen.borrow(), [("inner", true), ("outer", true)]);
}

#[test]
fn a_delegate_that_ignores_its_exit_is_an_error_to_its_delegator() {
    let mut co = coroutine(|y: &mut Yielder<u32>| {
        let stubborn = coroutine(|y: &mut Yielder<u32>| {
            y.try_yield(1).unwrap_err();
            y.yield_(2);
        });
        y.try_yield_from(stubborn).unwrap_err().is_ignored_exit()
    });
    co.resume().unwrap();
    assert_eq!(co.close().unwrap(), Some(true));
}

#[test]
fn a_delegate_of_nothing_costs_no_pause() {
    let mut co = coroutine(|y: &mut Yielder<u32>| y.yield_from(coroutine(|_: &mut Yielder<u32>| "empty")));
    assert_eq!(co.resume().unwrap(), Step::Returned("empty"));
}

#[test]
fn a_delegator_may_delegate_again_and_again() {
    let mut co = coroutine(|y: &mut Yielder<u32>| {
        for n in 0..100 {
            y.yield_from(coroutine(move |y: &mut Yielder<u32>| y.yield_(n)));
        }
    });
    assert!(co.by_ref().eq(0..100));
}

#[test]
fn a_box_may_hold_a_coroutine_and_a_coroutine_delegate_to_a_box() {
    fn count(from: u32) -> local::BoxGenerator<'static, u32> {
        local::boxed(coroutine(move |y: &mut Yielder<u32>| {
            if from > 0 {
                y.yield_(from);
                y.yield_from(count(from - 1));
            }
        }))
    }
    assert_eq!(count(5).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
}
