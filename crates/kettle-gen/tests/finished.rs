//! PEP 479: that a generator has finished is said by that generator alone. A body that lets such an error of another one
//! out has failed, and nobody may take that for its end.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_gen::{
    BoxError, BoxGenerator, Error, Generator, State, Step, TryYielder, Yielder, boxed, generator, try_generator,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;

type Test = Result<(), Error>;

fn exhausted() -> BoxGenerator<'static, u32> {
    let mut g = boxed(generator(async |y: &mut Yielder<u32>| y.yield_iter(0..3).await));
    assert_eq!(g.by_ref().count(), 3);
    g
}

/// A body that resumes an exhausted generator, with `?`.
async fn resumes(y: &mut TryYielder<'_, u32>) -> Result<(), BoxError> {
    y.yield_(7).await;
    exhausted().resume()?;
    Ok(())
}

/// A body that delegates to one.
async fn delegates(y: &mut Yielder<'_, u32>) {
    y.yield_(7).await;
    y.yield_from(exhausted()).await;
}

/// Whether this is the error of a body that let out what another generator says of itself.
fn is_raised(error: &Error) -> bool {
    !error.is_finished() && error.downcast_ref::<Error>().is_some_and(Error::is_finished)
}

fn panics(next: impl FnOnce() -> Option<u32>) -> bool {
    catch_unwind(AssertUnwindSafe(next)).is_err()
}

#[test]
fn a_fallible_body_that_lets_out_finished_has_failed() -> Test {
    let mut g = try_generator(resumes);
    assert_eq!(g.resume()?, Step::Yielded(7));
    assert!(is_raised(&g.resume().unwrap_err()));
    assert!(g.resume().unwrap_err().is_finished(), "this one is its own");
    let error = { pin!(try_generator(resumes)).nth(1) }.unwrap().unwrap_err();
    assert!(is_raised(&error));
    assert_eq!(error.to_string(), "resume a generator that has finished");
    assert_eq!(format!("{error:?}"), "Raised(Finished)");
    assert!(error.downcast::<Error>()?.is_finished());
    Ok(())
}

#[test]
fn every_iterator_of_one_says_so() {
    let error = try_generator(resumes).nth(1).unwrap().unwrap_err();
    assert!(is_raised(&error));
    let mut g = boxed(try_generator(resumes));
    assert_eq!(g.next(), Some(7));
    assert!(panics(|| g.next()));
    let mut g = try_generator(resumes);
    assert_eq!(g.iter().next(), Some(7));
    assert!(panics(|| g.iter().next()));
    let mut g = try_generator(resumes);
    let results: Vec<_> = g.try_iter().collect();
    assert!(matches!(&results[..], [Ok(7), Err(error)] if is_raised(error)));
}

#[test]
fn a_plain_body_that_delegates_to_a_finished_one_has_failed() -> Test {
    let mut g = generator(delegates);
    assert_eq!(g.next(), Some(7));
    assert!(panics(|| g.next()));
    assert_eq!(g.state(), State::Finished);
    let mut g = pin!(generator(delegates));
    assert_eq!(g.next(), Some(7));
    assert!(panics(|| g.next()));
    let mut g = boxed(generator(delegates));
    assert_eq!(g.next(), Some(7));
    assert!(panics(|| g.next()));
    let mut g = generator(delegates);
    let results: Vec<_> = g.try_iter().collect();
    assert!(matches!(&results[..], [Ok(7), Err(error)] if is_raised(error)));
    Ok(())
}

#[test]
fn one_further_down_has_failed_for_those_above() -> Test {
    let middle = || generator(async |y: &mut Yielder<u32>| y.yield_from(generator(delegates)).await);
    let mut top = generator(async |y: &mut Yielder<u32>| y.yield_from(middle()).await);
    assert_eq!(top.resume()?, Step::Yielded(7));
    assert!(is_raised(&top.resume().unwrap_err()), "wrapped once, however many it passes through");
    let mut top = try_generator(async |y: &mut TryYielder<u32>| {
        assert!(is_raised(&y.try_yield_from(middle()).await.unwrap_err()));
        Ok(())
    });
    assert_eq!(top.by_ref().count(), 1);
    Ok(())
}

#[test]
fn a_delegator_that_asks_hears_that_its_delegate_has_finished() {
    let mut g = try_generator(async |y: &mut TryYielder<u32>| {
        let error = y.try_yield_from(exhausted()).await.unwrap_err();
        assert!(error.is_finished());
        // Let out it is an error like any other.
        Err::<(), BoxError>(error.into())
    });
    assert!(is_raised(&g.resume().unwrap_err()));
}

#[test]
fn thrown_in_it_leaves_the_body_as_an_error() -> Test {
    let plain = || generator(delegates);
    // Python raises at the start of a body that was not started.
    assert!(is_raised(&plain().throw(Error::finished()).unwrap_err()));
    let mut g = plain();
    g.resume()?;
    assert!(is_raised(&g.throw(Error::finished()).unwrap_err()));
    // What has finished has no body: the error comes straight back.
    assert!(g.throw(Error::finished()).unwrap_err().is_finished());
    let mut g = try_generator(async |y: &mut TryYielder<u32>| {
        y.try_yield(1).await?;
        Ok(())
    });
    g.resume()?;
    assert!(is_raised(&g.throw(Error::finished()).unwrap_err()));
    let mut g = generator(async |y: &mut Yielder<u32>| y.yield_from(plain()).await);
    g.resume()?;
    assert!(is_raised(&g.throw(Error::finished()).unwrap_err()));
    Ok(())
}

#[test]
fn it_is_raised_once_more_where_it_is_let_through_again() -> Test {
    let mut outer = try_generator(async |_: &mut TryYielder<u32>| {
        let mut g = try_generator(resumes);
        g.resume()?;
        g.resume()?;
        Ok(())
    });
    let error = outer.resume().unwrap_err();
    assert!(is_raised(&error), "{error:?}");
    Ok(())
}
