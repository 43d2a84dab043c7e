//! Bodies that raise errors: how an `Err` of a `try_generator` reaches who resumed it, and what becomes of its kind.

use kettle_gen::{BoxError, Error, Generator, State, Step, TryYielder, generator, try_generator};
use std::fmt;
use std::num::ParseIntError;

type Test = Result<(), Error>;

#[derive(Debug)]
struct Broken(u32);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken {}", self.0)
    }
}

impl std::error::Error for Broken {}

fn parse(text: &str) -> impl Generator<Yield = i32, Send = (), Return = usize> + Iterator<Item = Result<i32, Error>> {
    try_generator(async move |y| {
        for word in text.split(' ') {
            y.yield_(word.parse()?).await;
        }
        Ok(text.len())
    })
}

#[test]
fn an_err_finishes_the_generator_and_reaches_its_resumer() -> Test {
    let mut g = parse("1 x");
    assert_eq!(g.resume()?, Step::Yielded(1));
    let error = g.resume().expect_err("x is no number");
    assert!(error.downcast_ref::<ParseIntError>().is_some());
    assert_eq!(g.state(), State::Finished);
    assert!(g.resume().is_err_and(|error| error.is_finished()));
    Ok(())
}

#[test]
fn an_ok_is_what_it_returns() -> Test {
    let mut g = parse("7");
    g.resume()?;
    assert_eq!(g.resume()?, Step::Returned(1));
    Ok(())
}

#[test]
fn an_error_of_the_body_keeps_its_type_and_can_be_taken_out() {
    let mut g = try_generator(async |_: &mut TryYielder<()>| -> Result<(), BoxError> { Err(Broken(3).into()) });
    let error = g.resume().expect_err("it is broken");
    assert_eq!(error.to_string(), "broken 3");
    let error = error.downcast::<ParseIntError>().expect_err("another type gives the error back unchanged");
    assert_eq!(error.downcast::<Broken>().map(|broken| broken.0).ok(), Some(3));
}

#[test]
fn a_thrown_error_that_the_body_passes_on_keeps_its_kind() -> Test {
    let pass_on = || {
        try_generator(async |y: &mut TryYielder<()>| {
            y.try_yield(()).await?;
            Ok("not reached")
        })
    };
    let mut g = pass_on();
    g.resume()?;
    assert!(g.throw(Error::exit()).is_err_and(|error| error.is_exit()));
    let mut g = pass_on();
    g.resume()?;
    assert!(g.throw(Error::new(Broken(1))).is_err_and(|error| error.downcast_ref::<Broken>().is_some()));
    let mut g = pass_on();
    g.resume()?;
    assert_eq!(g.close()?, None, "an exit that is passed on by `?` is still an exit");
    Ok(())
}

#[test]
fn a_body_may_make_another_error_of_the_thrown_one() -> Test {
    let mut g = try_generator(async |y: &mut TryYielder<()>| match y.try_yield(()).await {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("while waiting: {error}").into()),
    });
    g.resume()?;
    let error = g.throw(Error::new("rain")).expect_err("it raises");
    assert_eq!(error.to_string(), "while waiting: rain");
    assert_eq!(g.state(), State::Finished);
    Ok(())
}

#[test]
fn close_reports_any_other_error_that_the_body_raised() -> Test {
    let mut g = try_generator(async |y: &mut TryYielder<()>| {
        if y.try_yield(()).await.is_err() {
            return Err(Broken(9).into());
        }
        Ok(())
    });
    g.resume()?;
    assert!(g.close().is_err_and(|error| error.downcast_ref::<Broken>().is_some_and(|broken| broken.0 == 9)));
    assert_eq!(g.close()?, None, "it has finished");
    Ok(())
}

#[test]
fn send_reports_an_error_without_the_value_that_the_body_received() -> Test {
    let mut g = try_generator(async |y: &mut TryYielder<(), String>| {
        let word = y.yield_(()).await.unwrap_or_default();
        let number: i32 = word.parse()?;
        Ok(number)
    });
    g.resume()?;
    let (error, value) = g.send("four".into()).expect_err("no number").into_parts();
    assert!(error.downcast_ref::<ParseIntError>().is_some());
    assert_eq!(value, None);
    Ok(())
}

#[test]
fn the_iterator_gives_results_and_ends_after_the_error() {
    let mut numbers = parse("1 2 x 4");
    assert_eq!(numbers.by_ref().map_while(Result::ok).collect::<Vec<_>>(), [1, 2]);
    assert!(numbers.next().is_none());
    let all: Result<Vec<i32>, Error> = parse("1 2 3").collect();
    assert_eq!(all.ok(), Some(vec![1, 2, 3]));
}

#[test]
#[should_panic(expected = "iterate over a generator through which an error passed")]
fn the_iterator_of_an_infallible_body_has_no_room_for_an_error() {
    generator(async |y| {
        y.yield_from(parse("x")).await;
    })
    .for_each(drop);
}

#[test]
fn try_iter_has_room_for_the_error_of_any_generator() {
    let mut g = generator(async |y| {
        y.yield_from(parse("1 x")).await;
    });
    let results: Vec<_> = g.try_iter().map(|result| result.map_err(|error| error.to_string())).collect();
    assert_eq!(results, [Ok(1), Err("invalid digit found in string".into())]);
}

#[test]
fn wrapping_an_error_of_ours_again_changes_nothing() {
    let boxed: BoxError = Box::new(Error::exit());
    assert!(Error::new(boxed).is_exit());
    let boxed: BoxError = Box::new(Error::new(Broken(1)));
    assert!(Error::new(boxed).downcast::<Broken>().is_ok());
}

#[test]
fn messages_name_the_operation_and_a_cause() {
    let said = |error: Error| (error.to_string(), format!("{error:?}"));
    for (error, part, name) in [
        (Error::finished(), "resume a generator that has finished", "Finished"),
        (Error::running(), "resume a generator that is running", "Running"),
        (Error::not_started(), "send a value to a generator that was not started", "NotStarted"),
        (Error::ignored_exit(), "close a generator whose body yielded", "IgnoredExit"),
        (Error::exit(), "generator exit", "Exit"),
    ] {
        let (display, debug) = said(error);
        assert!(display.starts_with(part), "{display}");
        assert_eq!(debug, name);
    }
    assert_eq!(said(Error::new(Broken(2))), ("broken 2".into(), "Raised(Broken(2))".into()));
}

#[test]
fn source_goes_past_our_wrapper() {
    #[derive(Debug)]
    struct Outer(Broken);
    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let error = Error::new(Outer(Broken(4)));
    let source = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(source.as_deref(), Some("broken 4"));
}
