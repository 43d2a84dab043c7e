//! `yield_from` by PEP 380's rules, whatever the delegate is and wherever the future of the delegation lies.
//!
//! `closing.rs` has the rules for exits, `depth.rs` those for depth.

use kettle_gen::local::{self, BoxGenerator, TryYielder};
use kettle_gen::{BoxError, Error, Generator, SendError, State, Step, Yielder, boxed, generator, try_generator};
use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Mutex;

type Test = Result<(), Error>;

/// Where the future of the delegation lies.
#[derive(Clone, Copy, Debug)]
enum Place {
    Body,
    Box,
}

/// A conversation.
type Talk<'g> = BoxGenerator<'g, String, String, String>;

/// Repeats what it is sent; raises at "raise", returns at "return", says each error that is not an exit.
async fn talk(y: &mut kettle_gen::TryYielder<'_, String, String>) -> Result<String, BoxError> {
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

/// Delegates, and says what the delegate returned.
fn passing<'g, G>(place: Place, inner: G) -> Talk<'g>
where
    G: Generator<Yield = String, Send = String, Return = String> + 'g,
{
    local::boxed(local::generator(async move |y| {
        let result = match place {
            Place::Body => y.yield_from(inner).await,
            Place::Box => Box::pin(y.yield_from(inner)).await,
        };
        y.yield_(format!("it returned {result}")).await.unwrap_or_default()
    }))
}

/// Delegates, and says how the delegate ended.
fn catching<'g, G>(place: Place, inner: G) -> Talk<'g>
where
    G: Generator<Yield = String, Send = String, Return = String> + 'g,
{
    local::boxed(local::try_generator(async move |y: &mut TryYielder<_, _>| {
        let result = match place {
            Place::Body => y.try_yield_from(inner).await,
            Place::Box => Box::pin(y.try_yield_from(inner)).await,
        };
        Ok(y.yield_(format!("it ended with {result:?}")).await.unwrap_or_default())
    }))
}

/// Checks a delegator for each kind of delegate and each place.
macro_rules! each_way {
    ($delegator:ident, |$g:ident, $place:ident| $check:block) => {
        for $place in [Place::Body, Place::Box] {
            for kind in 0..6 {
                let mut borrowed = try_generator(talk);
                let pinned = pin!(try_generator(talk));
                let mut $g = match kind {
                    0 => $delegator($place, try_generator(talk)),
                    1 => $delegator($place, boxed(try_generator(talk))),
                    2 => $delegator($place, &mut borrowed),
                    3 => $delegator($place, pinned),
                    4 => $delegator($place, Rc::new(RefCell::new(try_generator(talk)))),
                    _ => $delegator($place, HandWritten(try_generator(talk))),
                };
                println!("kind {kind} in {:?}", $place); // Shown if the check fails.
                $check
            }
        }
    };
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
    each_way!(passing, |g, place| {
        assert_eq!(said(g.resume()?), "ready");
        assert_eq!(said(g.resume()?), "none");
        assert_eq!(said(g.send("hello".into())?), "hello");
        assert_eq!(said(g.throw(Error::new("rain"))?), "caught rain");
        assert_eq!(said(g.send("return".into())?), "it returned result");
        assert_eq!(g.send("bye".into())?, Step::Returned("bye".into()));
    });
    Ok(())
}

#[test]
fn an_error_that_the_delegate_raises_ends_a_body_that_does_not_handle_it() -> Test {
    each_way!(passing, |g, place| {
        g.resume()?;
        let (error, value) = g.send("raise".into()).expect_err("raised").into_parts();
        assert_eq!((error.to_string(), value), ("raised".into(), None));
        assert_eq!(g.state(), State::Finished);
    });
    Ok(())
}

#[test]
fn an_error_that_the_delegate_raises_reaches_a_body_that_handles_it() -> Test {
    each_way!(catching, |g, place| {
        g.resume()?;
        assert_eq!(said(g.send("raise".into())?), r#"it ended with Err(Raised("raised"))"#);
        assert_eq!(g.send("bye".into())?, Step::Returned("bye".into()));
    });
    Ok(())
}

#[test]
fn a_thrown_error_goes_to_the_delegate_and_not_to_the_delegator() -> Test {
    each_way!(catching, |g, place| {
        g.resume()?;
        assert_eq!(said(g.throw(Error::new("rain"))?), "caught rain");
        assert_eq!(said(g.send("return".into())?), r#"it ended with Ok("result")"#);
    });
    Ok(())
}

#[test]
fn an_exit_closes_the_delegate_and_then_reaches_the_delegator() -> Test {
    each_way!(catching, |g, place| {
        g.resume()?;
        assert_eq!(said(g.throw(Error::exit())?), "it ended with Err(Exit)");
    });
    each_way!(passing, |g, place| {
        g.resume()?;
        assert_eq!(g.close()?, None);
        assert_eq!(g.state(), State::Finished);
    });
    Ok(())
}

#[test]
fn a_delegate_that_was_started_goes_on_where_it_was() -> Test {
    for place in [Place::Body, Place::Box] {
        let mut inner = try_generator(talk);
        inner.resume()?;
        inner.send("before".into())?;
        let mut g = passing(place, inner);
        assert_eq!(said(g.resume()?), "none", "it is resumed, as `yield from` does by `next`");
        assert_eq!(said(g.send("return".into())?), "it returned result");
    }
    Ok(())
}

#[test]
fn a_delegate_that_was_delegating_brings_its_delegates_along() -> Test {
    each_way!(passing, |middle, place| {
        assert_eq!(said(middle.resume()?), "ready");
        let mut g = passing(place, middle);
        assert_eq!(said(g.resume()?), "none");
        assert_eq!(said(g.send("hello".into())?), "hello");
        assert_eq!(said(g.send("return".into())?), "it returned result");
        assert_eq!(said(g.send("bye".into())?), "it returned bye");
    });
    Ok(())
}

#[test]
fn a_delegate_that_has_finished_raises_that() -> Test {
    for place in [Place::Body, Place::Box] {
        let mut inner = try_generator(talk);
        inner.close()?;
        let mut g = passing(place, inner);
        let is_raised = |error: Error| !error.is_finished() && error.downcast_ref().is_some_and(Error::is_finished);
        assert!(g.resume().is_err_and(is_raised));
        assert_eq!(g.state(), State::Finished);
    }
    Ok(())
}

#[test]
fn a_delegate_that_never_yields_costs_no_pause() -> Test {
    let mut g = generator(async |y: &mut Yielder<()>| {
        let mut results = 0;
        for _ in 0..1000 {
            results += y.yield_from(generator(async |_: &mut Yielder<()>| 1)).await;
            results += Box::pin(y.yield_from(generator(async |_: &mut Yielder<()>| 1))).await;
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
            y.yield_from(generator(async move |y: &mut Yielder<u32>| {
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
    let mut inner = try_generator(async |y: &mut kettle_gen::TryYielder<u32>| {
        for n in 0.. {
            if y.try_yield(n).await.is_err() {
                y.yield_(100).await;
            }
        }
        Ok(())
    });
    let mut g = generator(async |y| y.yield_from(&mut inner).await);
    assert_eq!(g.resume()?, Step::Yielded(0));
    assert!(g.close().is_err_and(|error| error.is_ignored_exit()), "the delegate ignores it");
    drop(g);
    assert_eq!(inner.state(), State::Suspended);
    assert_eq!(inner.resume()?, Step::Yielded(1), "100 went to the close");
    Ok(())
}

#[test]
fn a_delegate_may_borrow_what_its_delegator_borrows() -> Test {
    let text = String::from("abc");
    let count = Mutex::new(0);
    let mut g = generator(async |y: &mut Yielder<char>| {
        let (text, count) = (&text, &count);
        y.yield_from(generator(async move |y: &mut Yielder<char>| {
            for letter in text.chars() {
                *count.lock().expect("no panic") += 1;
                y.yield_(letter).await;
            }
        }))
        .await;
    });
    assert_eq!(g.iter().collect::<String>(), "abc");
    drop(g);
    assert_eq!(count.into_inner().ok(), Some(3));
    Ok(())
}

#[test]
fn a_generator_that_borrows_from_the_body_can_be_iterated_over() -> Test {
    let mut g = generator(async |y: &mut Yielder<char>| {
        let text = String::from("abc");
        let mut inner = generator(async |y: &mut Yielder<char>| y.yield_iter(text.chars()).await);
        y.yield_iter(inner.iter()).await;
        inner.state()
    });
    assert_eq!(g.iter().take(3).collect::<String>(), "abc");
    assert_eq!(g.resume()?, Step::Returned(State::Finished));
    Ok(())
}

#[test]
fn a_generator_that_delegates_to_itself_is_running() -> Test {
    let own: Rc<RefCell<Option<Talk<'static>>>> = Rc::default();
    let shared = Rc::new(RefCell::new({
        let own = Rc::clone(&own);
        local::try_generator(async move |y: &mut TryYielder<String, String>| {
            let own = own.take().expect("put there before the start");
            Ok(y.try_yield_from(own).await.is_err_and(|error| error.is_running()).to_string())
        })
    }));
    *own.borrow_mut() = Some(local::boxed(Rc::clone(&shared)));
    let mut g = Rc::clone(&shared);
    assert_eq!(g.resume()?, Step::Returned("true".into()));
    drop(g);
    assert_eq!(Rc::strong_count(&shared), 1, "the delegate is gone");
    Ok(())
}

/// Delegates in a body of each kind, one around the other, to an iterator.
fn iterating<'g>(kinds: &[Kind]) -> BoxGenerator<'g, u8, String> {
    let Some((kind, rest)) = kinds.split_first() else {
        return local::boxed(generator(async |y: &mut Yielder<u8, String>| y.yield_iter(0..3).await));
    };
    let inner = iterating(rest);
    match kind {
        Kind::Plain => local::boxed(local::generator(async move |y| y.yield_from(inner).await)),
        Kind::Try => local::boxed(local::try_generator(async move |y: &mut TryYielder<_, _>| {
            Ok(y.try_yield_from(inner).await?)
        })),
        Kind::Shared => local::boxed(Rc::new(RefCell::new(inner))),
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Plain,
    Try,
    Shared,
}

#[test]
fn a_value_that_no_delegate_takes_comes_back_from_any_depth() -> Test {
    const KINDS: [Kind; 3] = [Kind::Plain, Kind::Try, Kind::Shared];
    fn refused(mut g: impl Generator<Yield = u8, Send = String, Return = ()>, kinds: &[Kind]) -> Test {
        g.resume()?;
        let (error, value) = g.send("mine".into()).expect_err("an iterator takes nothing").into_parts();
        assert!(error.is_no_send(), "{kinds:?}: {error}");
        assert_eq!(value.as_deref(), Some("mine"), "{kinds:?}");
        assert_eq!(g.state(), State::Finished);
        Ok(())
    }
    let mut towers = vec![vec![]];
    for depth in 0..4 {
        for kinds in &towers {
            assert_eq!(kinds.len(), depth);
            refused(iterating(kinds), kinds)?;
            refused(local::generator(async move |y| y.yield_from(iterating(kinds)).await), kinds)?;
            refused(
                local::try_generator(async move |y: &mut TryYielder<_, _>| {
                    Ok(y.try_yield_from(iterating(kinds)).await?)
                }),
                kinds,
            )?;
            let mut pinned = pin!(local::generator(async move |y| y.yield_from(iterating(kinds)).await));
            refused(pinned.as_mut(), kinds)?;
        }
        towers = towers
            .iter()
            .flat_map(|kinds| KINDS.map(|kind| kinds.iter().copied().chain([kind]).collect::<Vec<_>>()))
            .collect();
    }
    Ok(())
}

#[test]
fn a_value_that_was_refused_is_not_given_back_when_a_delegator_has_gone_on() -> Test {
    let mut g = generator(async |y: &mut Yielder<u8, String>| {
        let goes_on = try_generator(async |y: &mut kettle_gen::TryYielder<u8, String>| {
            let iterating = generator(async |y: &mut Yielder<u8, String>| y.yield_iter(0..3).await);
            assert!(y.try_yield_from(iterating).await.is_err_and(|error| error.is_no_send()));
            y.yield_from(generator(async |_: &mut Yielder<u8, String>| ())).await;
            Err::<(), _>("it saw that".into())
        });
        y.yield_from(goes_on).await;
    });
    g.resume()?;
    let (error, value) = g.send("taken".into()).expect_err("it raised").into_parts();
    assert_eq!((error.to_string().as_str(), value), ("it saw that", None));
    Ok(())
}

#[test]
fn try_yield_iter_gives_errors_to_the_body_and_asks_the_iterator_nothing() -> Test {
    let mut g = try_generator(async |y: &mut kettle_gen::TryYielder<u8, String>| {
        let mut numbers = 0..5;
        let refused = y.try_yield_iter(&mut numbers).await.expect_err("it is sent");
        y.yield_(100).await;
        let thrown = y.try_yield_iter(&mut numbers).await.expect_err("it is thrown");
        Ok((refused.is_no_send(), thrown.to_string(), numbers))
    });
    assert_eq!(g.resume()?, Step::Yielded(0));
    assert_eq!(g.send("lost".into())?, Step::Yielded(100));
    assert_eq!(g.resume()?, Step::Yielded(1));
    assert_eq!(g.throw(Error::new("rain"))?, Step::Returned((true, "rain".into(), 2..5)));
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
    let mut g = try_generator(async |y: &mut kettle_gen::TryYielder<u8>| {
        y.yield_iter([]).await;
        Ok(y.try_yield_iter(None).await.is_ok())
    });
    assert_eq!(g.resume()?, Step::Returned(true));
    Ok(())
}
