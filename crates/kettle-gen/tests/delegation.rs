//! `yield_from` by PEP 380's rules: whatever the delegate is, and wherever the delegation lies.
//!
//! Each rule is checked for every kind of delegate, on both roads: through the chain (the future lies in its body) and
//! by the future itself (it lies in a box). `closing.rs` has the rules for exits, `depth.rs` those for depth.

use kettle_gen::{
    BoxError, Error, Generator, LocalBoxGenerator, SendError, State, Step, Yielder, boxed, boxed_local, generator,
    try_generator,
};
use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;

type Test = Result<(), Error>;
type Talk = LocalBoxGenerator<'static, String, String, String>;

/// How a body can hold the generator that it delegates to.
#[derive(Clone, Copy, Debug)]
enum Delegate {
    Bare,
    Boxed,
    Borrowed,
    Pinned,
    Shared,
    HandWritten,
}

/// Where the future of the delegation lies.
#[derive(Clone, Copy, Debug)]
enum Road {
    Chain,
    Box,
}

const EVERY: [(Delegate, Road); 12] = {
    use Delegate::*;
    let delegates = [Bare, Boxed, Borrowed, Pinned, Shared, HandWritten];
    let mut every = [(Bare, Road::Chain); 12];
    let mut index = 0;
    while index < 12 {
        every[index] = (delegates[index / 2], if index % 2 == 0 { Road::Chain } else { Road::Box });
        index += 1;
    }
    every
};

type Talker = Yielder<String, String>;

/// Repeats what it is sent; raises at "raise", returns at "return", says each error that is not an exit.
async fn talk(y: &mut Talker) -> Result<String, BoxError> {
    let mut next = String::from("ready");
    loop {
        next = match y.try_yield(next).await {
            Ok(None) => "none".into(),
            Ok(Some(word)) if word == "return" => return Ok("result".into()),
            Ok(Some(word)) if word == "raise" => return Err("raised".into()),
            Ok(Some(word)) => word,
            Err(error) if error.is_exit() => return Err(error.into()),
            Err(error) => format!("caught {error}"),
        }
    }
}

async fn take<G>(y: &mut Talker, road: Road, inner: G) -> String
where
    G: Generator<Yield = String, Send = String, Return = String>,
{
    match road {
        Road::Chain => y.yield_from(inner).await,
        Road::Box => Box::pin(y.yield_from(inner)).await,
    }
}

async fn try_take<G>(y: &mut Talker, road: Road, inner: G) -> Result<String, Error>
where
    G: Generator<Yield = String, Send = String, Return = String>,
{
    match road {
        Road::Chain => y.try_yield_from(inner).await,
        Road::Box => Box::pin(y.try_yield_from(inner)).await,
    }
}

/// Delegates to a talker by each way, and says what it returned.
fn outer((delegate, road): (Delegate, Road)) -> Talk {
    boxed_local(generator(async move |y: &mut Talker| {
        let mut inner = try_generator(talk);
        let result = match delegate {
            Delegate::Bare => take(y, road, inner).await,
            Delegate::Boxed => take(y, road, boxed(inner)).await,
            Delegate::Borrowed => take(y, road, &mut inner).await,
            Delegate::Pinned => take(y, road, pin!(inner)).await,
            Delegate::Shared => take(y, road, Rc::new(RefCell::new(inner))).await,
            Delegate::HandWritten => take(y, road, HandWritten(inner)).await,
        };
        y.yield_(format!("it returned {result}")).await.unwrap_or_default()
    }))
}

/// The same, with its errors handled.
fn catching((delegate, road): (Delegate, Road)) -> Talk {
    boxed_local(generator(async move |y: &mut Talker| {
        let mut inner = try_generator(talk);
        let result = match delegate {
            Delegate::Bare => try_take(y, road, inner).await,
            Delegate::Boxed => try_take(y, road, boxed(inner)).await,
            Delegate::Borrowed => try_take(y, road, &mut inner).await,
            Delegate::Pinned => try_take(y, road, pin!(inner)).await,
            Delegate::Shared => try_take(y, road, Rc::new(RefCell::new(inner))).await,
            Delegate::HandWritten => try_take(y, road, HandWritten(inner)).await,
        };
        y.yield_(format!("it ended with {result:?}")).await.unwrap_or_default()
    }))
}

/// A generator that says the words itself and knows nothing of delegation.
struct HandWritten<G>(G);

impl<G: Generator> Generator for HandWritten<G> {
    type Yield = G::Yield;
    type Send = G::Send;
    type Return = G::Return;

    fn resume(&mut self) -> Result<Step<G::Yield, G::Return>, Error> {
        self.0.resume()
    }
    fn send(&mut self, value: G::Send) -> Result<Step<G::Yield, G::Return>, SendError<G::Send>> {
        self.0.send(value)
    }
    fn throw(&mut self, error: Error) -> Result<Step<G::Yield, G::Return>, Error> {
        self.0.throw(error)
    }
    fn close(&mut self) -> Result<Option<G::Return>, Error> {
        self.0.close()
    }
    fn state(&self) -> State {
        self.0.state()
    }
}

fn said(step: Step<String, String>) -> String {
    step.yielded().expect("it yields")
}

#[test]
fn values_errors_and_the_result_pass_both_ways() -> Test {
    for way in EVERY {
        let mut g = outer(way);
        assert_eq!(said(g.resume()?), "ready", "{way:?}");
        assert_eq!(said(g.resume()?), "none", "{way:?}");
        assert_eq!(said(g.send("hello".into())?), "hello", "{way:?}");
        assert_eq!(said(g.throw(Error::new("rain"))?), "caught rain", "{way:?}");
        assert_eq!(said(g.send("return".into())?), "it returned result", "{way:?}");
        assert_eq!(g.send("bye".into())?, Step::Returned("bye".into()), "{way:?}");
    }
    Ok(())
}

#[test]
fn an_error_that_the_delegate_raises_ends_a_body_that_does_not_handle_it() -> Test {
    for way in EVERY {
        let mut g = outer(way);
        g.resume()?;
        let (error, value) = g.send("raise".into()).expect_err("raised").into_parts();
        assert_eq!((error.to_string(), value), ("raised".into(), None), "{way:?}");
        assert_eq!(g.state(), State::Finished, "{way:?}");
    }
    Ok(())
}

#[test]
fn an_error_that_the_delegate_raises_reaches_a_body_that_handles_it() -> Test {
    for way in EVERY {
        let mut g = catching(way);
        g.resume()?;
        assert_eq!(said(g.send("raise".into())?), r#"it ended with Err(Raised("raised"))"#, "{way:?}");
        assert_eq!(g.send("bye".into())?, Step::Returned("bye".into()), "{way:?}");
    }
    Ok(())
}

#[test]
fn a_thrown_error_goes_to_the_delegate_and_not_to_the_delegator() -> Test {
    for way in EVERY {
        let mut g = catching(way);
        g.resume()?;
        assert_eq!(said(g.throw(Error::new("rain"))?), "caught rain", "{way:?}");
        assert_eq!(said(g.send("return".into())?), r#"it ended with Ok("result")"#, "{way:?}");
    }
    Ok(())
}

#[test]
fn a_delegate_that_was_started_goes_on_where_it_was() -> Test {
    for road in [Road::Chain, Road::Box] {
        let mut inner = try_generator(talk);
        inner.resume()?;
        inner.send("before".into())?;
        let mut g = generator(async move |y: &mut Talker| take(y, road, inner).await);
        assert_eq!(g.resume()?, Step::Yielded("none".into()), "it is resumed, as `yield from` does by `next`");
        assert_eq!(g.send("return".into())?, Step::Returned("result".into()));
    }
    Ok(())
}

#[test]
fn a_delegate_that_was_delegating_brings_its_delegates_along() -> Test {
    for way in EVERY {
        let mut middle = outer(way);
        assert_eq!(said(middle.resume()?), "ready");
        let mut g = generator(async move |y: &mut Talker| take(y, Road::Chain, middle).await);
        assert_eq!(g.resume()?, Step::Yielded("none".into()), "{way:?}");
        assert_eq!(g.send("hello".into())?, Step::Yielded("hello".into()), "{way:?}");
        assert_eq!(g.send("return".into())?, Step::Yielded("it returned result".into()), "{way:?}");
        assert_eq!(g.send("bye".into())?, Step::Returned("bye".into()), "{way:?}");
    }
    Ok(())
}

#[test]
fn a_delegate_that_has_finished_answers_so() -> Test {
    for road in [Road::Chain, Road::Box] {
        let mut inner = try_generator(talk);
        inner.close()?;
        let mut g = generator(async move |y: &mut Talker| take(y, road, inner).await);
        assert!(g.resume().is_err_and(|error| error.is_finished()));
        assert_eq!(g.state(), State::Finished);
    }
    Ok(())
}

#[test]
fn a_delegate_that_never_yields_costs_no_pause() -> Test {
    let mut g = generator(async |y: &mut Talker| {
        let mut results = 0;
        for _ in 0..1000 {
            results += y.yield_from(generator(async |_: &mut Talker| 1)).await;
            results += Box::pin(y.yield_from(generator(async |_: &mut Talker| 1))).await;
        }
        results
    });
    assert_eq!(g.resume()?, Step::Returned(2000));
    Ok(())
}

#[test]
fn delegates_follow_one_another() {
    let g = generator(async |y: &mut Yielder<u32>| {
        for n in 0..4 {
            y.yield_from(generator(async |y: &mut Yielder<u32>| {
                for m in 0..n {
                    y.yield_(10 * n + m).await;
                }
            }))
            .await;
        }
    });
    assert_eq!(g.collect::<Vec<_>>(), [10, 20, 21, 30, 31, 32]);
}

#[test]
fn a_borrowed_delegate_can_be_used_again_afterwards() -> Test {
    let mut g = generator(async |y: &mut Yielder<u32>| {
        let mut inner = generator(async |y: &mut Yielder<u32>| {
            for n in 0.. {
                if y.try_yield(n).await.is_err() {
                    y.yield_(100).await;
                }
            }
        });
        // Ignoring the exit, it is still suspended when the delegation has ended.
        let error = y.try_yield_from(&mut inner).await.expect_err("it never returns");
        (error.is_ignored_exit(), inner.state(), inner.by_ref().take(2).collect::<Vec<_>>())
    });
    assert_eq!(g.resume()?, Step::Yielded(0));
    assert_eq!(g.close()?, Some((true, State::Suspended, vec![1, 2])), "100 went to the close");
    Ok(())
}

#[test]
fn a_delegate_may_borrow_the_locals_of_its_delegator() -> Test {
    let mut g = generator(async |y: &mut Yielder<char>| {
        let text = String::from("abc");
        let count = std::cell::Cell::new(0);
        y.yield_from(generator(async |y: &mut Yielder<char>| {
            for letter in text.chars() {
                count.set(count.get() + 1);
                y.yield_(letter).await;
            }
        }))
        .await;
        (text, count.get())
    });
    assert_eq!(g.iter().take(3).collect::<String>(), "abc");
    assert_eq!(g.resume()?, Step::Returned(("abc".into(), 3)));
    Ok(())
}

#[test]
fn a_generator_that_delegates_to_itself_is_running() -> Test {
    let own: Rc<RefCell<Option<Talk>>> = Rc::default();
    let shared = Rc::new(RefCell::new({
        let own = Rc::clone(&own);
        generator(async move |y: &mut Talker| {
            let error = y.try_yield_from(own.take().expect("put there before the start")).await;
            error.is_err_and(|error| error.is_running()).to_string()
        })
    }));
    *own.borrow_mut() = Some(boxed_local(Rc::clone(&shared)));
    let mut g = Rc::clone(&shared);
    assert_eq!(g.resume()?, Step::Returned("true".into()));
    assert_eq!(Rc::strong_count(&shared), 2, "the delegate is gone");
    Ok(())
}

#[test]
fn a_value_that_no_delegate_takes_comes_back_from_any_depth() -> Test {
    let mut g = generator(async |y: &mut Yielder<u8, String>| {
        y.yield_from(generator(async |y: &mut Yielder<u8, String>| y.yield_iter(0..3).await)).await;
    });
    g.resume()?;
    let (error, value) = g.send("mine".into()).expect_err("an iterator takes nothing").into_parts();
    assert!(error.is_no_send(), "{error}");
    assert_eq!(value.as_deref(), Some("mine"));
    assert_eq!(g.state(), State::Finished);
    Ok(())
}

#[test]
fn try_yield_iter_hands_the_value_to_the_body_and_asks_the_iterator_nothing() -> Test {
    let mut g = generator(async |y: &mut Yielder<u8, String>| {
        let mut numbers = 0..5;
        let (error, value) = y.try_yield_iter(&mut numbers).await.expect_err("it is sent").into_parts();
        assert!(error.is_no_send());
        y.yield_(100).await;
        let error = y.try_yield_iter(&mut numbers).await.expect_err("it is thrown").into_error();
        (value, error.to_string(), numbers)
    });
    assert_eq!(g.resume()?, Step::Yielded(0));
    assert_eq!(g.send("mine".into())?, Step::Yielded(100));
    assert_eq!(g.resume()?, Step::Yielded(1));
    assert_eq!(g.throw(Error::new("rain"))?, Step::Returned((Some("mine".into()), "rain".into(), 2..5)));
    Ok(())
}

#[test]
fn an_error_ends_a_body_that_waits_in_yield_iter() -> Test {
    let mut g = generator(async |y: &mut Yielder<u8>| y.yield_iter(0..3).await);
    g.resume()?;
    assert_eq!(g.throw(Error::new("rain")).map_err(|error| error.to_string()), Err("rain".into()));
    assert_eq!(g.state(), State::Finished);
    Ok(())
}

#[test]
fn an_empty_iterator_costs_no_pause() -> Test {
    let mut g = generator(async |y: &mut Yielder<u8>| {
        y.yield_iter([]).await;
        y.try_yield_iter(None).await.is_ok()
    });
    assert_eq!(g.resume()?, Step::Returned(true));
    Ok(())
}
