//! Generators that answer an exit by yielding, while others are delegated to through them: who is closed, how often, and
//! what each delegator is told. CPython does the same, in the same order.

use kettle_gen::local::{self, BoxGenerator, TryYielder};
use kettle_gen::{Error, Generator, Step};
use std::cell::RefCell;
use std::rc::Rc;

type Log = Rc<RefCell<Vec<String>>>;

const EXIT: &str = "generator exit";
const IGNORED: &str = "close a generator whose body yielded instead of ending";

/// Yields twice, whatever happens to it, and ends.
fn stubborn(log: &Log) -> BoxGenerator<'static, i32> {
    let log = Rc::clone(log);
    local::boxed(local::try_generator(async move |y: &mut TryYielder<'static, i32>| {
        for time in ["first", "second"] {
            if let Err(error) = y.try_yield(0).await {
                log.borrow_mut().push(format!("{time}: {error}"));
            }
        }
        Ok(())
    }))
}

/// Delegates, and says what came out.
fn delegating(name: &'static str, inner: BoxGenerator<'static, i32>, log: &Log) -> BoxGenerator<'static, i32> {
    let log = Rc::clone(log);
    local::boxed(local::try_generator(async move |y: &mut TryYielder<'static, i32>| {
        if let Err(error) = y.try_yield_from(inner).await {
            log.borrow_mut().push(format!("{name}: {error}"));
        }
        Ok(())
    }))
}

/// Begins to delegate when it is asked to end.
fn answering(inner: BoxGenerator<'static, i32>) -> BoxGenerator<'static, i32> {
    local::boxed(local::try_generator(async move |y: &mut TryYielder<'static, i32>| match y.try_yield(0).await {
        Ok(_) => Ok(()),
        Err(_) => Ok(y.try_yield_from(inner).await?),
    }))
}

#[test]
fn delegate_that_ignored_an_exit_is_closed_through_its_own_delegate() -> Result<(), Error> {
    let log = Log::default();
    let middle = answering(delegating("middle", stubborn(&log), &log));
    let mut outer = delegating("outer", middle, &log);
    assert_eq!(outer.resume()?, Step::Yielded(0));
    assert_eq!(outer.close()?, Some(()));
    // It ignored the exit by delegating. Then it lost its owner, and was closed once more.
    let expected = [("first", EXIT), ("second", EXIT), ("middle", IGNORED), ("outer", IGNORED)];
    assert_eq!(*log.borrow(), expected.map(|(who, what)| format!("{who}: {what}")));
    Ok(())
}

#[test]
fn delegates_of_an_abandoned_generator_are_closed_through_each_other() -> Result<(), Error> {
    let log = Log::default();
    let mut outer = answering(delegating("middle", stubborn(&log), &log));
    assert_eq!(outer.resume()?, Step::Yielded(0));
    drop(outer);
    let expected = [("first", EXIT), ("second", EXIT), ("middle", IGNORED)];
    assert_eq!(*log.borrow(), expected.map(|(who, what)| format!("{who}: {what}")));
    Ok(())
}

#[test]
fn an_error_that_a_delegate_raises_when_it_is_given_up_reaches_its_delegator() -> Result<(), Error> {
    let log = Log::default();
    let failing =
        local::boxed(local::try_generator(async |y: &mut TryYielder<'static, i32>| match y.try_yield(0).await {
            Ok(_) => Ok(()),
            Err(_) => Err("broken".into()),
        }));
    let mut outer = answering(delegating("middle", failing, &log));
    assert_eq!(outer.resume()?, Step::Yielded(0));
    drop(outer);
    assert_eq!(*log.borrow(), ["middle: broken"]);
    Ok(())
}
