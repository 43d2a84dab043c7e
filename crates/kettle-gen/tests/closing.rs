//! How generators end before their time: exits through delegation, what a drop runs, and in which order.
//!
//! Python's rules: closing a generator closes its delegate first; dropping is a close whose result nobody hears.

use kettle_gen::{
    BoxGenerator, Error, Generator, State, Step, TryYielder, Yielder, boxed, generator, local, try_generator,
};
use std::cell::RefCell;
use std::mem::forget;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Mutex;

type Test = Result<(), Error>;

/// Writes what happens, in its order.
#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Diary {
    fn write(&self, line: impl Into<String>) {
        self.0.lock().expect("no panic").push(line.into());
    }

    fn guard(&self, name: impl Into<String>) -> Guard<'_> {
        Guard(self, name.into())
    }

    fn read(&self) -> String {
        std::mem::take(&mut *self.0.lock().expect("no panic")).join(", ")
    }
}

/// Writes its drop into a diary.
struct Guard<'a>(&'a Diary, String);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.write(format!("drop {}", self.1));
    }
}

/// What the innermost of a tower does when it is asked to end.
#[derive(Clone, Copy)]
enum AtExit {
    PassOn,
    Return,
    Raise,
    Ignore,
}

/// A tower of delegations; each storey handles errors, writes them down and passes them on.
fn tower<'a>(diary: &'a Diary, height: u32, at_exit: AtExit) -> BoxGenerator<'a, u32, (), &'static str> {
    boxed(try_generator(async move |y: &mut TryYielder<u32>| {
        let _guard = diary.guard(height.to_string());
        if height > 0 {
            return match y.try_yield_from(tower(diary, height - 1, at_exit)).await {
                Ok(result) => Ok(result),
                Err(error) => {
                    diary.write(format!("{height} sees {error:?}"));
                    Err(error.into())
                }
            };
        }
        let Err(error) = y.try_yield(0).await else { return Ok("resumed") };
        match at_exit {
            AtExit::PassOn => return Err(error.into()),
            AtExit::Return => return Ok("returned"),
            AtExit::Raise => return Err("raised".into()),
            AtExit::Ignore => y.yield_(1).await,
        };
        Ok("resumed")
    }))
}

#[test]
fn an_exit_that_the_innermost_passes_on_ends_each_in_turn() -> Test {
    let diary = Diary::default();
    let mut g = tower(&diary, 2, AtExit::PassOn);
    g.resume()?;
    assert_eq!(g.close()?, None);
    assert_eq!(diary.read(), "drop 0, 1 sees Exit, drop 1, 2 sees Exit, drop 2");
    Ok(())
}

#[test]
fn an_exit_goes_on_when_the_delegate_answers_it_by_returning() -> Test {
    let diary = Diary::default();
    let mut g = tower(&diary, 2, AtExit::Return);
    g.resume()?;
    assert_eq!(g.close()?, None, "a delegate's answer to an exit is not its delegator's");
    assert_eq!(diary.read(), "drop 0, 1 sees Exit, drop 1, 2 sees Exit, drop 2");
    Ok(())
}

#[test]
fn an_error_raised_at_an_exit_takes_its_place() -> Test {
    let diary = Diary::default();
    let mut g = tower(&diary, 1, AtExit::Raise);
    g.resume()?;
    assert_eq!(g.close().map_err(|error| error.to_string()), Err("raised".into()));
    assert_eq!(diary.read(), r#"drop 0, 1 sees Raised("raised"), drop 1"#);
    Ok(())
}

#[test]
fn a_delegate_that_ignores_the_exit_is_dropped_and_its_delegator_told() -> Test {
    let diary = Diary::default();
    let mut g = tower(&diary, 2, AtExit::Ignore);
    g.resume()?;
    assert!(g.close().is_err_and(|error| error.is_ignored_exit()));
    assert_eq!(diary.read(), "drop 0, 1 sees IgnoredExit, drop 1, 2 sees IgnoredExit, drop 2");
    assert_eq!(g.state(), State::Finished);
    Ok(())
}

#[test]
fn an_exit_that_is_thrown_closes_delegates_as_close_does() -> Test {
    let diary = Diary::default();
    for at_exit in [AtExit::PassOn, AtExit::Return] {
        let mut g = tower(&diary, 1, at_exit);
        g.resume()?;
        assert!(g.throw(Error::exit()).is_err_and(|error| error.is_exit()));
        assert_eq!(diary.read(), "drop 0, 1 sees Exit, drop 1");
    }
    Ok(())
}

#[test]
fn the_outermost_may_still_return_a_value_for_close() -> Test {
    let diary = Diary::default();
    let mut g = try_generator(async |y: &mut TryYielder<_, _>| {
        let error = y.try_yield_from(tower(&diary, 1, AtExit::Return)).await.expect_err("closed");
        Ok(format!("{error:?}"))
    });
    g.resume()?;
    assert_eq!(g.close()?.as_deref(), Some("Exit"));
    Ok(())
}

#[test]
fn a_delegator_that_yields_when_closed_ignores_the_exit_and_goes_on() -> Test {
    let diary = Diary::default();
    let mut g = try_generator(async |y: &mut TryYielder<_, _>| {
        let error = y.try_yield_from(tower(&diary, 0, AtExit::PassOn)).await.expect_err("closed");
        y.yield_(7).await;
        Ok(error.is_exit())
    });
    g.resume()?;
    assert!(g.close().is_err_and(|error| error.is_ignored_exit()));
    assert_eq!(g.resume()?, Step::Returned(true));
    Ok(())
}

#[test]
fn a_delegate_that_delegates_anew_when_closed_ignores_the_exit() -> Test {
    let diary = Diary::default();
    let mut g = try_generator(async |y: &mut TryYielder<_, _>| {
        let inner = try_generator(async |y: &mut TryYielder<u32>| {
            let closed = y.try_yield(0).await.is_err();
            y.yield_from(tower(&diary, 1, AtExit::PassOn)).await;
            Ok(closed)
        });
        Ok(y.try_yield_from(inner).await.map_err(|error| error.is_ignored_exit()))
    });
    g.resume()?;
    assert_eq!(g.close()?, Some(Err(true)));
    assert_eq!(diary.read(), "drop 0, 1 sees Exit, drop 1", "the new ones are closed as well, innermost first");
    Ok(())
}

#[test]
fn a_delegate_that_delegates_anew_to_one_that_never_yields_may_end() -> Test {
    let mut g = try_generator(async |y: &mut TryYielder<u32>| {
        let inner = try_generator(async |y: &mut TryYielder<u32>| {
            let _closed = y.try_yield(0).await;
            Ok(y.yield_from(generator(async |_: &mut Yielder<u32>| 5)).await)
        });
        Ok(y.try_yield_from(inner).await.map_err(|error| error.is_exit()))
    });
    g.resume()?;
    assert_eq!(g.close()?, Some(Err(true)));
    Ok(())
}

#[test]
fn dropping_closes_each_innermost_first() -> Test {
    let diary = Diary::default();
    let mut g = tower(&diary, 2, AtExit::PassOn);
    g.resume()?;
    drop(g);
    assert_eq!(diary.read(), "drop 0, 1 sees Exit, drop 1, 2 sees Exit, drop 2");
    Ok(())
}

#[test]
fn dropping_runs_the_code_that_handles_the_exit() -> Test {
    let diary = Diary::default();
    let mut g = try_generator(async |y: &mut TryYielder<u8>| {
        let exit = y.try_yield(1).await.is_err_and(|error| error.is_exit());
        diary.write(format!("exit {exit}"));
        Ok(())
    });
    g.resume()?;
    drop(g);
    assert_eq!(diary.read(), "exit true");
    {
        let mut g = pin!(try_generator(async |y: &mut TryYielder<u8>| {
            let _guard = diary.guard("held");
            let _exit = y.try_yield(1).await;
            diary.write("pinned");
            Ok(())
        }));
        g.resume()?;
    }
    assert_eq!(diary.read(), "pinned, drop held");
    Ok(())
}

#[test]
fn dropping_a_body_that_ignores_the_exit_drops_it_where_it_then_is() -> Test {
    let diary = Diary::default();
    let mut g = try_generator(async |y: &mut TryYielder<u8>| {
        let _outer = diary.guard("outer");
        let _exit = y.try_yield(1).await;
        let _inner = diary.guard("inner");
        y.yield_(2).await;
        diary.write("never");
        Ok(())
    });
    g.resume()?;
    drop(g);
    assert_eq!(diary.read(), "drop inner, drop outer");
    Ok(())
}

#[test]
fn dropping_before_the_start_drops_what_the_body_captured_and_runs_nothing() {
    let diary = Diary::default();
    let held = diary.guard("captured");
    let g = generator(async |y: &mut Yielder<u8>| {
        let _held = held;
        diary.write("never");
        y.yield_(1).await;
    });
    drop(g);
    assert_eq!(diary.read(), "drop captured");
}

#[test]
fn an_error_that_is_not_handled_runs_the_destructors_innermost_first() -> Test {
    let diary = Diary::default();
    let mut g = generator(async |y: &mut Yielder<u8>| {
        let _outer = diary.guard("outer");
        y.yield_from(generator(async |y: &mut Yielder<u8>| {
            let _a = diary.guard("inner a");
            let _b = diary.guard("inner b");
            y.yield_(1).await;
        }))
        .await;
    });
    g.resume()?;
    g.throw(Error::new("stop")).expect_err("nobody handles it");
    assert_eq!(diary.read(), "drop inner b, drop inner a, drop outer");
    Ok(())
}

#[test]
fn a_finished_delegate_is_gone_before_its_delegator_goes_on() -> Test {
    let diary = Diary::default();
    let mut g = generator(async |y: &mut Yielder<u8>| {
        for name in ["first", "second"] {
            let guard = diary.guard(name);
            y.yield_from(generator(async move |_: &mut Yielder<u8>| drop(guard))).await;
            diary.write("go on");
            let guard = diary.guard(name);
            let inner = generator(async move |_: &mut Yielder<u8>| {
                let _guard = guard;
            });
            Box::pin(y.yield_from(inner)).await;
            diary.write("go on");
        }
    });
    g.resume()?;
    assert_eq!(diary.read(), "drop first, go on, drop first, go on, drop second, go on, drop second, go on");
    Ok(())
}

#[test]
fn dropping_a_delegator_closes_a_shared_delegate() -> Test {
    let diary = Diary::default();
    let shared = Rc::new(RefCell::new(generator(async |y: &mut Yielder<u8>| {
        let _guard = diary.guard("shared");
        y.yield_iter(0..9).await;
    })));
    let mut g = local::generator(async |y| y.yield_from(Rc::clone(&shared)).await);
    g.resume()?;
    drop(g);
    assert_eq!(shared.borrow().state(), State::Finished);
    assert_eq!(diary.read(), "drop shared", "a drop is a close, and a close goes through the delegate");
    Ok(())
}

#[test]
fn closing_a_delegator_closes_a_shared_delegate() -> Test {
    let shared = Rc::new(RefCell::new(generator(async |y: &mut Yielder<u8>| y.yield_iter(0..9).await)));
    let mut g = local::generator(async |y| y.yield_from(Rc::clone(&shared)).await);
    g.resume()?;
    assert_eq!(g.close()?, None);
    assert_eq!(shared.borrow().state(), State::Finished);
    Ok(())
}

#[test]
fn a_forgotten_generator_runs_nothing() -> Test {
    let diary = Diary::default();
    let mut g = tower(&diary, 3, AtExit::PassOn);
    g.resume()?;
    forget(g);
    assert_eq!(diary.read(), "");
    Ok(())
}

/// One that a plain resume makes raise an exit, below a delegator that handles it and yields.
fn handled_exit() -> impl Generator<Yield = u32, Send = (), Return = ()> + Send {
    try_generator(async |y: &mut TryYielder<u32>| {
        let inner = try_generator(async |y: &mut TryYielder<u32>| {
            y.try_yield(1).await?;
            Err::<(), _>(Error::exit().into())
        });
        let error = y.try_yield_from(inner).await.expect_err("raised");
        assert!(error.is_exit());
        y.try_yield(5).await?;
        Ok(())
    })
}

#[test]
fn an_exit_that_a_delegate_raises_by_itself_closes_nobody() -> Test {
    let delegating = || generator(async |y: &mut Yielder<u32>| y.yield_from(handled_exit()).await);
    let further = || try_generator(async |y: &mut TryYielder<u32>| Ok(y.try_yield_from(delegating()).await?));
    let towers: [BoxGenerator<'_, u32>; 3] = [boxed(handled_exit()), boxed(delegating()), boxed(further())];
    for mut g in towers {
        assert_eq!(g.resume()?, Step::Yielded(1));
        assert_eq!(g.resume()?, Step::Yielded(5));
        assert_eq!(g.resume()?, Step::Returned(()));
    }
    let mut g = further();
    assert_eq!(g.iter().collect::<Vec<_>>(), [1, 5]);
    // What is then closed is closed as ever.
    let mut g = further();
    assert_eq!(g.iter().take(2).count(), 2);
    assert_eq!(g.close()?, None);
    assert_eq!(g.state(), State::Finished);
    Ok(())
}
