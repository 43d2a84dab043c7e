//! PEP 479: a body that lets out what another generator says of itself, that it has finished, has failed.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_fiber::{Coroutine, Yielder, coroutine, scoped, try_coroutine};
use kettle_gen::{Error, Generator};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn exhausted() -> Coroutine<u32> {
    let mut co = coroutine(|y: &mut Yielder<u32>| y.yield_iter(0..3));
    assert_eq!(co.by_ref().count(), 3);
    co
}

fn resumes() -> Coroutine<u32> {
    try_coroutine(|y: &mut Yielder<u32>| {
        y.yield_(7);
        exhausted().resume()?;
        Ok(())
    })
}

fn delegates(y: &mut Yielder<u32>) {
    y.yield_(7);
    y.yield_from(exhausted());
}

fn is_raised(error: &Error) -> bool {
    !error.is_finished() && error.downcast_ref::<Error>().is_some_and(Error::is_finished)
}

fn panics(next: impl FnOnce() -> Option<u32>) -> bool {
    catch_unwind(AssertUnwindSafe(next)).is_err()
}

#[test]
fn every_iterator_says_that_the_body_failed() {
    for make in [resumes, || coroutine(delegates)] {
        let mut co = make();
        assert_eq!(co.next(), Some(7));
        assert!(panics(|| co.next()));
        assert_eq!(co.next(), None, "that is its end");
        let mut co = make();
        assert_eq!(co.iter().next(), Some(7));
        assert!(panics(|| co.iter().next()));
        let mut co = make();
        let results: Vec<_> = co.try_iter().collect();
        assert!(matches!(&results[..], [Ok(7), Err(error)] if is_raised(error)));
    }
    scoped(delegates, |mut values| {
        assert_eq!(values.next(), Some(7));
        assert!(panics(|| values.next()));
    });
    scoped(delegates, |mut values| {
        assert_eq!(values.try_iter().filter(|result| result.as_ref().is_err_and(is_raised)).count(), 1);
    });
}

#[test]
fn caught_and_let_out_it_is_an_error_like_any_other() {
    let mut co = try_coroutine(|y: &mut Yielder<u32>| {
        let error = y.try_yield_from(exhausted()).unwrap_err();
        assert!(error.is_finished());
        Err::<(), _>(error.into())
    });
    assert!(is_raised(&co.resume().unwrap_err()));
}

#[test]
fn thrown_in_it_leaves_the_body_as_an_error() {
    let mut co = coroutine(delegates);
    assert!(is_raised(&co.throw(Error::finished()).unwrap_err()));
    let mut co = coroutine(delegates);
    co.resume().unwrap();
    assert!(is_raised(&co.throw(Error::finished()).unwrap_err()));
    assert!(co.throw(Error::finished()).unwrap_err().is_finished());
}
