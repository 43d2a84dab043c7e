//! The protocol's words, spoken to both forms of a coroutine: the owned one and the one that lives in a scope.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_fiber::{Builder, Coroutine, Yielder, coroutine, scoped, try_coroutine};
use kettle_gen::{Error, Generator, State, Step};
use std::{fmt, thread};

/// Runs a check on an owned coroutine with a body, and on a scoped one.
macro_rules! both {
    ($body:expr, |$co:ident| $check:block) => {{
        let mut $co = coroutine($body);
        $check
        scoped($body, |mut $co| $check);
    }};
}

#[derive(Debug, PartialEq)]
struct Spilled(u32);

impl fmt::Display for Spilled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spilled {}", self.0)
    }
}

impl std::error::Error for Spilled {}

/// The tutorial's `jumping_range`.
fn jumping_range(y: &mut Yielder<i32, i32>) -> &'static str {
    let mut index = 0;
    while index < 5 {
        index += y.yield_(index).unwrap_or(1);
    }
    "done"
}

#[test]
fn nothing_runs_before_the_first_resume() {
    both!(|_: &mut Yielder<(), ()>| panic!("the body ran"), |co| {
        assert_eq!(co.state(), State::Created);
        assert_eq!(co.close().unwrap(), None::<()>);
        assert_eq!(co.state(), State::Finished);
    });
}

#[test]
fn resume_hands_out_yields_then_the_returned_value_once() {
    both!(jumping_range, |co| {
        for n in 0..5 {
            assert_eq!(co.resume().unwrap(), Step::Yielded(n));
            assert_eq!(co.state(), State::Suspended);
        }
        assert_eq!(co.resume().unwrap(), Step::Returned("done"));
        assert_eq!(co.state(), State::Finished);
        assert!(co.resume().unwrap_err().is_finished());
    });
}

#[test]
fn send_gives_the_value_to_the_yield() {
    both!(jumping_range, |co| {
        co.resume().unwrap();
        assert_eq!(co.send(2).unwrap(), Step::Yielded(2));
        assert_eq!(co.resume().unwrap(), Step::Yielded(3));
        assert_eq!(co.send(-1).unwrap(), Step::Yielded(2));
        assert_eq!(co.iter().collect::<Vec<_>>(), [3, 4]);
    });
}

#[test]
fn send_to_one_that_was_not_started_hands_the_value_back() {
    both!(jumping_range, |co| {
        let (error, value) = co.send(7).unwrap_err().into_parts();
        assert!(error.is_not_started());
        assert_eq!(value, Some(7));
        assert_eq!(co.state(), State::Created);
        assert_eq!(co.resume().unwrap(), Step::Yielded(0));
    });
}

#[test]
fn send_to_a_finished_one_hands_the_value_back() {
    both!(jumping_range, |co| {
        co.close().unwrap();
        let (error, value) = co.send(7).unwrap_err().into_parts();
        assert!(error.is_finished());
        assert_eq!(value, Some(7));
    });
}

#[test]
fn throw_ends_a_plain_yield_and_comes_back() {
    both!(jumping_range, |co| {
        co.resume().unwrap();
        assert_eq!(co.throw(Error::new(Spilled(1))).unwrap_err().downcast::<Spilled>().unwrap(), Spilled(1));
        assert_eq!(co.state(), State::Finished);
    });
}

#[test]
fn throw_before_the_start_and_after_the_end_comes_straight_back() {
    both!(jumping_range, |co| {
        assert_eq!(co.throw(Error::new(Spilled(2))).unwrap_err().downcast::<Spilled>().unwrap(), Spilled(2));
        assert_eq!(co.state(), State::Finished);
        assert_eq!(co.throw(Error::new(Spilled(3))).unwrap_err().downcast::<Spilled>().unwrap(), Spilled(3));
    });
}

#[test]
fn try_yield_gives_the_thrown_error_to_the_body() {
    let body = |y: &mut Yielder<u32, u32>| match y.try_yield(0) {
        Err(error) => y.yield_(error.downcast::<Spilled>().unwrap().0),
        Ok(_) => unreachable!("nothing but an error comes in"),
    };
    both!(body, |co| {
        co.resume().unwrap();
        assert_eq!(co.throw(Error::new(Spilled(8))).unwrap(), Step::Yielded(8));
        assert_eq!(co.send(9).unwrap(), Step::Returned(Some(9)));
    });
}

#[test]
fn try_yield_takes_values_as_yield_does() {
    both!(|y: &mut Yielder<u32, u32>| (y.try_yield(0).unwrap(), y.try_yield(1).unwrap()), |co| {
        co.resume().unwrap();
        assert_eq!(co.send(5).unwrap(), Step::Yielded(1));
        assert_eq!(co.resume().unwrap(), Step::Returned((Some(5), None)));
    });
}

#[test]
fn close_of_a_plain_yield_returns_nothing() {
    both!(jumping_range, |co| {
        co.resume().unwrap();
        assert_eq!(co.close().unwrap(), None);
        assert_eq!(co.close().unwrap(), None);
        assert!(co.resume().unwrap_err().is_finished());
    });
}

#[test]
fn close_gives_what_the_body_returns_in_answer() {
    let body = |y: &mut Yielder<u32>| match y.try_yield(0) {
        Err(error) if error.is_exit() => "closed",
        _ => "resumed",
    };
    both!(body, |co| {
        co.resume().unwrap();
        assert_eq!(co.close().unwrap(), Some("closed"));
    });
}

#[test]
fn close_of_a_body_that_yields_on_is_an_error_and_it_goes_on() {
    let body = |y: &mut Yielder<u32>| {
        let ignored = y.try_yield(0).unwrap_err();
        assert!(ignored.is_exit());
        y.yield_(1);
        y.yield_(2);
    };
    both!(body, |co| {
        co.resume().unwrap();
        assert!(co.close().unwrap_err().is_ignored_exit());
        assert_eq!(co.state(), State::Suspended);
        assert_eq!(co.resume().unwrap(), Step::Yielded(2));
    });
}

#[test]
fn yield_iter_yields_each_and_refuses_what_is_sent() {
    both!(|y: &mut Yielder<u32, u32>| y.yield_iter([4, 5, 6]), |co| {
        assert_eq!(co.resume().unwrap(), Step::Yielded(4));
        assert_eq!(co.resume().unwrap(), Step::Yielded(5));
        let (error, value) = co.send(1).unwrap_err().into_parts();
        assert!(error.is_no_send());
        assert_eq!(value, Some(1));
        assert_eq!(co.state(), State::Finished);
    });
}

#[test]
fn yield_iter_of_nothing_does_not_pause() {
    both!(|y: &mut Yielder<u32>| y.yield_iter([]), |co| {
        assert_eq!(co.resume().unwrap(), Step::Returned(()));
    });
}

#[test]
fn try_yield_iter_gives_the_body_its_errors() {
    both!(|y: &mut Yielder<u32, u32>| y.try_yield_iter(1..).unwrap_err().is_no_send(), |co| {
        co.resume().unwrap();
        assert_eq!(co.send(1).unwrap(), Step::Returned(true));
    });
    both!(|y: &mut Yielder<u32>| y.try_yield_iter(1..).unwrap_err().is_exit(), |co| {
        co.resume().unwrap();
        assert_eq!(co.close().unwrap(), Some(true));
    });
}

#[test]
fn an_error_of_a_fallible_body_reaches_the_resumer_and_ends_it() {
    let mut co = try_coroutine(|y: &mut Yielder<u32>| {
        y.yield_(1);
        Err::<(), _>(Spilled(4).into())
    });
    assert_eq!(co.resume().unwrap(), Step::Yielded(1));
    assert_eq!(co.resume().unwrap_err().downcast::<Spilled>().unwrap(), Spilled(4));
    assert_eq!(co.state(), State::Finished);
}

#[test]
fn an_error_thrown_at_a_fallible_body_may_be_passed_on_or_replaced() {
    let body = |replace: bool| {
        try_coroutine(move |y: &mut Yielder<u32>| match y.try_yield(1) {
            Err(_) if replace => Err(Spilled(6).into()),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        })
    };
    for (replace, expected) in [(false, 5), (true, 6)] {
        let mut co = body(replace);
        co.resume().unwrap();
        assert_eq!(co.throw(Error::new(Spilled(5))).unwrap_err().downcast::<Spilled>().unwrap(), Spilled(expected));
    }
    let mut co = body(false);
    co.resume().unwrap();
    assert_eq!(co.close().unwrap(), None, "an exit that is passed on is no error");
}

#[test]
fn an_iterator_leaves_the_returned_value_out_and_is_fused() {
    both!(
        |y: &mut Yielder<u32>| {
            y.yield_iter(0..3);
            "returned"
        },
        |co| {
            assert_eq!(co.by_ref().collect::<Vec<_>>(), [0, 1, 2]);
            assert_eq!(co.next(), None);
            assert_eq!(co.next(), None);
        }
    );
}

#[test]
fn a_scoped_coroutine_borrows_mutably_and_gives_the_consumers_value() {
    let mut log = Vec::new();
    let words = String::from("a bc d");
    let total: usize = scoped(
        |y: &mut Yielder<&str>| {
            for word in words.split(' ') {
                log.push(word.len());
                y.yield_(word);
            }
        },
        |co| co.map(str::len).sum(),
    );
    assert_eq!((total, log), (4, vec![1, 2, 1]));
}

#[test]
fn values_of_any_size_and_of_none_pass_both_ways() {
    let mut co = coroutine(|y: &mut Yielder<[u64; 100], ()>| {
        assert_eq!(y.yield_([1; 100]), Some(()));
        assert_eq!(y.yield_([2; 100]), None);
        [3_u8; 200]
    });
    assert_eq!(co.resume().unwrap(), Step::Yielded([1; 100]));
    assert_eq!(co.send(()).unwrap(), Step::Yielded([2; 100]));
    assert_eq!(co.resume().unwrap(), Step::Returned([3; 200]));
}

#[test]
fn a_body_may_capture_more_than_a_page() {
    // Each byte counts: it lies between the stack's top and the first frame, or in a box.
    let mut co = coroutine({
        let cargo = [7_u8; 3000];
        move |y: &mut Yielder<usize>| {
            y.yield_(cargo.iter().map(|n| usize::from(*n)).sum());
        }
    });
    assert_eq!(co.next(), Some(21_000));
    let cargo = [7_u8; 3000];
    let sum = scoped(
        move |y: &mut Yielder<usize>| {
            y.yield_(cargo.iter().map(|n| usize::from(*n)).sum());
        },
        |mut co| co.next(),
    );
    assert_eq!(sum, Some(21_000));
}

#[test]
fn a_body_may_capture_what_has_to_be_aligned() {
    #[derive(Clone, Copy)]
    #[repr(align(256))]
    struct Line(u8);
    let line = Line(3);
    let mut co = coroutine(move |y: &mut Yielder<(u8, usize)>| {
        let line = &line;
        y.yield_((line.0, std::ptr::from_ref(line).addr() % 256));
    });
    assert_eq!(co.next(), Some((3, 0)));
}

#[test]
fn a_body_with_an_alignment_beyond_its_stack_harms_nobody() {
    #[derive(Clone, Copy)]
    #[repr(align(1_048_576))]
    struct Wide;
    // Not resumed: the body's frame would not fit. What makes them has room for frames so aligned.
    let make = || {
        let wide = Wide;
        let body = move |y: &mut Yielder<()>| {
            let _wide = &wide;
            y.yield_(());
        };
        let crowd: Vec<_> = (0..64).map(|_| coroutine(body)).collect();
        assert!(crowd.iter().all(|co| co.state() == State::Created));
    };
    thread::Builder::new().stack_size(64 << 20).spawn(make).unwrap().join().unwrap();
}

#[test]
fn debug_names_the_coroutine_and_its_state() {
    let co: Coroutine<u32, (), _> = Builder::new().name("fetch").coroutine(|y| y.yield_(1)).unwrap();
    let text = format!("{co:?}");
    assert!(text.contains("fetch") && text.contains("Created"), "{text}");
    scoped(|y: &mut Yielder<u32>| y.yield_(1), |co| assert!(format!("{co:?}").contains("Scoped")));
}

#[test]
fn a_scoped_builder_gives_its_name_and_size() {
    let body = |y: &mut Yielder<u32>| y.yield_(1);
    let text = Builder::new().name("fetch").stack_size(1 << 17).scoped(body, |co| format!("{co:?}")).unwrap();
    assert!(text.contains("fetch") && text.contains("131072"), "{text}");
}
