//! The protocol's words on a stackless generator: what each answers in each state, and that nothing handed over is lost.
//!
//! Each test is one promise of the docs of `Generator`; how delegation changes it is in `delegation.rs`.

use kettle_gen::{Error, Generator, State, Step, TryYielder, Yielder, boxed, generator, local, try_generator};
use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;

type Test = Result<(), Error>;

/// Yields what it was sent, and returns how often.
fn echo() -> impl Generator<Yield = String, Send = String, Return = u32> {
    generator(async |y: &mut Yielder<String, String>| {
        let mut heard = 0;
        let mut next = String::from("ready");
        while let Some(word) = y.yield_(next).await {
            heard += 1;
            next = word;
        }
        heard
    })
}

/// Answers errors with their text and goes on; ends by returning when it is closed.
fn stubborn() -> impl Generator<Yield = String, Send = (), Return = &'static str> {
    try_generator(async |y: &mut TryYielder<String>| {
        let mut answer = String::from("ready");
        loop {
            answer = match y.try_yield(answer).await {
                Ok(_) => String::from("resumed"),
                Err(error) if error.is_exit() => return Ok("closed"),
                Err(error) => error.to_string(),
            };
        }
    })
}

/// Runs one check against every way to hold a generator: on its own, boxed, shared and borrowed.
fn each_way<G: Generator>(
    make: impl Fn() -> G,
    check: impl Fn(&mut dyn Generator<Yield = G::Yield, Send = G::Send, Return = G::Return>),
) {
    check(&mut make());
    check(&mut local::boxed(make()));
    check(&mut Rc::new(RefCell::new(make())));
    check(&mut &mut make());
}

#[test]
fn nothing_runs_until_it_is_resumed() -> Test {
    let ran = std::cell::Cell::new(false);
    let mut g = generator(async |y: &mut Yielder<()>| {
        ran.set(true);
        y.yield_(()).await;
    });
    assert_eq!((g.state(), ran.get()), (State::Created, false));
    g.resume()?;
    assert_eq!((g.state(), ran.get()), (State::Suspended, true));
    Ok(())
}

#[test]
fn resume_gives_none_and_send_gives_the_value_to_the_yield() {
    each_way(echo, |g| {
        assert_eq!(g.resume().ok(), Some(Step::Yielded("ready".into())));
        assert_eq!(g.send("one".into()).ok(), Some(Step::Yielded("one".into())));
        assert_eq!(g.send("two".into()).ok(), Some(Step::Yielded("two".into())));
        assert_eq!(g.resume().ok(), Some(Step::Returned(2)));
    });
}

#[test]
fn returned_is_said_once_and_later_calls_say_finished() {
    each_way(echo, |g| {
        g.resume().expect("starts");
        assert_eq!(g.resume().ok(), Some(Step::Returned(0)));
        for _ in 0..2 {
            assert_eq!(g.state(), State::Finished);
            assert!(g.resume().is_err_and(|error| error.is_finished()));
        }
    });
}

#[test]
fn a_value_sent_before_the_first_yield_comes_back() {
    each_way(echo, |g| {
        let (error, value) = g.send("early".into()).expect_err("no yield waits").into_parts();
        assert!(error.is_not_started(), "{error}");
        assert_eq!(value.as_deref(), Some("early"));
        assert_eq!(g.state(), State::Created);
        assert_eq!(g.resume().ok(), Some(Step::Yielded("ready".into())), "it is unharmed");
    });
}

#[test]
fn a_value_sent_after_the_end_comes_back() {
    each_way(echo, |g| {
        g.resume().expect("starts");
        g.resume().expect("returns");
        let (error, value) = g.send("late".into()).expect_err("nothing waits").into_parts();
        assert!(error.is_finished(), "{error}");
        assert_eq!(value.as_deref(), Some("late"));
    });
}

#[test]
fn an_error_passes_through_a_plain_yield_and_ends_the_body() {
    each_way(echo, |g| {
        g.resume().expect("starts");
        let error = g.throw(Error::new("stop")).expect_err("it is not caught");
        assert_eq!(error.to_string(), "stop");
        assert_eq!(g.state(), State::Finished);
    });
}

#[test]
fn a_body_handles_an_error_at_try_yield_and_goes_on() {
    each_way(stubborn, |g| {
        g.resume().expect("starts");
        assert_eq!(g.throw(Error::new("hurry")).ok(), Some(Step::Yielded("hurry".into())));
        assert_eq!(g.state(), State::Suspended);
        assert_eq!(g.resume().ok(), Some(Step::Yielded("resumed".into())));
    });
}

#[test]
fn an_error_thrown_before_the_start_or_after_the_end_comes_straight_back() {
    each_way(stubborn, |g| {
        for _ in 0..2 {
            let error = g.throw(Error::new("nobody hears")).expect_err("nobody catches");
            assert_eq!(error.to_string(), "nobody hears");
            assert_eq!(g.state(), State::Finished, "thrown into before its start, it never starts");
        }
        assert!(g.resume().is_err_and(|error| error.is_finished()));
    });
}

#[test]
fn close_gives_the_value_that_the_body_returned() {
    each_way(stubborn, |g| {
        g.resume().expect("starts");
        assert_eq!(g.close().ok(), Some(Some("closed")));
        assert_eq!(g.close().ok(), Some(None), "closing twice is harmless");
        assert_eq!(g.state(), State::Finished);
    });
}

#[test]
fn close_gives_none_if_the_exit_passes_through() {
    each_way(echo, |g| {
        g.resume().expect("starts");
        assert_eq!(g.close().ok(), Some(None));
        assert_eq!(g.state(), State::Finished);
    });
}

#[test]
fn close_before_the_start_runs_nothing() {
    each_way(stubborn, |g| {
        assert_eq!(g.close().ok(), Some(None));
        assert_eq!(g.state(), State::Finished);
        assert!(g.resume().is_err_and(|error| error.is_finished()));
    });
}

#[test]
fn a_body_that_yields_when_closed_ignores_the_exit_and_stays_as_it_is() -> Test {
    let mut g = try_generator(async |y: &mut TryYielder<u8>| {
        let first = y.try_yield(1).await.is_err();
        y.yield_(2).await;
        Ok(first)
    });
    g.resume()?;
    assert!(g.close().is_err_and(|error| error.is_ignored_exit()));
    assert_eq!(g.state(), State::Suspended);
    assert_eq!(g.resume()?, Step::Returned(true));
    Ok(())
}

#[test]
fn throwing_an_exit_by_hand_is_not_a_close() -> Test {
    let mut g = stubborn();
    g.resume()?;
    assert_eq!(g.throw(Error::exit())?, Step::Returned("closed"));
    let mut g = echo();
    g.resume()?;
    assert!(g.throw(Error::exit()).is_err_and(|error| error.is_exit()));
    Ok(())
}

#[test]
fn a_running_generator_says_so_to_every_word_and_hands_back_what_it_was_given() -> Test {
    // What the body uses of itself, without its type, which would contain itself.
    trait Words {
        fn ask(&self) -> [Error; 4];
        fn state(&self) -> State;
    }
    struct Handle<G>(Rc<RefCell<G>>);
    impl<G: Generator<Yield = State, Send = String>> Words for Handle<G> {
        fn ask(&self) -> [Error; 4] {
            let mut handle = Rc::clone(&self.0);
            let resumed = handle.resume().map(drop).expect_err("runs");
            let (sent, value) = handle.send("mine".into()).map(drop).expect_err("runs").into_parts();
            assert_eq!(value.as_deref(), Some("mine"));
            let thrown = handle.throw(Error::new("mine too")).map(drop).expect_err("runs");
            [resumed, sent, thrown, handle.close().map(drop).expect_err("runs")]
        }
        fn state(&self) -> State {
            Generator::state(&self.0)
        }
    }
    let own: Rc<RefCell<Option<Box<dyn Words>>>> = Rc::default();
    let seen = Rc::clone(&own);
    let shared = Rc::new(RefCell::new(generator(async move |y: &mut Yielder<State, String>| {
        let handle = seen.take().expect("put there before the start");
        for error in handle.ask() {
            assert!(error.is_running(), "{error}");
            if let Some(thrown) = error.into_refused() {
                assert_eq!(thrown.to_string(), "mine too");
            }
        }
        y.yield_(handle.state()).await;
    })));
    *own.borrow_mut() = Some(Box::new(Handle(Rc::clone(&shared))));
    let mut g = shared;
    assert_eq!(g.state(), State::Created);
    assert_eq!(g.resume()?, Step::Yielded(State::Running));
    assert_eq!(g.state(), State::Suspended);
    Ok(())
}

#[test]
fn a_pinned_generator_speaks_the_same_protocol() -> Test {
    let mut g = pin!(try_generator(async |y: &mut TryYielder<u8>| {
        let mut count = 0;
        loop {
            count += 1;
            if y.try_yield(count).await.is_err_and(|error| error.is_exit()) {
                return Ok("closed");
            }
        }
    }));
    assert_eq!(g.state(), State::Created);
    assert!(g.send(()).is_err_and(|error| error.error().is_not_started()));
    assert_eq!(g.resume()?, Step::Yielded(1));
    assert_eq!(g.send(())?, Step::Yielded(2));
    assert_eq!(g.throw(Error::new("x"))?, Step::Yielded(3));
    assert_eq!(g.close()?, Some("closed"));
    assert_eq!(g.state(), State::Finished);
    assert!(g.resume().is_err_and(|error| error.is_finished()));
    Ok(())
}

#[test]
fn values_and_results_need_no_traits() -> Test {
    struct Plain(u8);
    let mut g = generator(async |y: &mut Yielder<Plain, Plain>| {
        let sent = y.yield_(Plain(1)).await;
        sent.map(|plain| Plain(plain.0 + 1))
    });
    assert!(matches!(g.resume()?, Step::Yielded(Plain(1))));
    assert!(matches!(g.send(Plain(5))?, Step::Returned(Some(Plain(6)))));
    Ok(())
}

#[test]
fn values_may_borrow_from_outside() -> Test {
    let text = String::from("a b c");
    let mut g = boxed(generator(async |y: &mut Yielder<&str>| {
        for word in text.split(' ') {
            y.yield_(word).await;
        }
    }));
    let Step::Yielded(first) = g.resume()? else { unreachable!() };
    drop(g);
    assert_eq!(first, "a", "what was yielded outlives the generator");
    Ok(())
}

#[test]
fn each_resume_of_a_moved_generator_finds_its_body() -> Test {
    let mut g = echo();
    g.resume()?;
    let mut moved = Some(g);
    for word in ["a", "b", "c"] {
        let mut g = moved.take().expect("put back below");
        assert_eq!(g.send(word.into())?, Step::Yielded(word.into()));
        moved = Some(*Box::new(g));
    }
    Ok(())
}

#[test]
fn debug_shows_the_state() -> Test {
    let mut g = generator(async |y: &mut Yielder<u8>| {
        y.yield_(1).await;
    });
    assert_eq!(format!("{g:?}"), "Stackless { state: Created, .. }");
    g.resume()?;
    assert_eq!(format!("{:?}", boxed(g)), "Boxed { state: Suspended, .. }");
    Ok(())
}

#[test]
#[should_panic(expected = "pin it before its first resume, or never")]
fn pinning_a_generator_that_has_run_unpinned_is_a_bug_of_the_caller() {
    let mut g = generator(async |y| y.yield_iter(0..3).await);
    assert_eq!(Iterator::next(&mut g), Some(0));
    let mut g = std::pin::pin!(g);
    Iterator::next(&mut g);
}

#[test]
fn a_generator_that_has_run_unpinned_can_be_delegated_to() {
    let mut inner = generator(async |y| y.yield_iter(0..3).await);
    assert_eq!(Iterator::next(&mut inner), Some(0));
    let outer = generator(async move |y| y.yield_from(inner).await);
    assert_eq!(outer.collect::<Vec<_>>(), [1, 2]);
}
