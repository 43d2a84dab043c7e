//! A backtrace that is taken inside a coroutine goes on into whoever resumed it.
//!
//! The functions that are looked for are not inlined: so they have names in a build without debug info, too.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod child;

use kettle_fiber::{Builder, Coroutine, Yielder, scoped};
use kettle_gen::Generator;
use std::backtrace::Backtrace;
use std::hint::black_box;

/// Formatting a backtrace takes some 24 KiB of stack.
fn roomy() -> Builder {
    Builder::new().stack_size(256 * 1024)
}

#[inline(never)]
fn the_body(y: &mut Yielder<String>) {
    loop {
        let trace = Backtrace::force_capture();
        y.yield_(black_box(trace.to_string()));
    }
}

fn coroutine() -> Coroutine<String> {
    roomy().coroutine(the_body).unwrap()
}

#[inline(never)]
fn the_first_resumer(co: &mut Coroutine<String>) -> String {
    black_box(co.next().unwrap())
}

#[inline(never)]
fn the_second_resumer(co: &mut Coroutine<String>) -> String {
    black_box(co.next().unwrap())
}

/// Whether all these functions are in the trace, in this order.
#[track_caller]
fn assert_frames(trace: &str, names: &[&str]) {
    // In a build with the address sanitizer the trace ends where the coroutine's stack does.
    let names = if child::is_sanitised() { &names[..1] } else { names };
    let mut rest = trace;
    for name in names {
        let Some(at) = rest.find(&format!("backtrace::{name}")) else {
            panic!("no {name} in its place:\n{trace}");
        };
        rest = &rest[at + name.len()..];
    }
}

#[inline(never)]
fn the_caller(co: &mut Coroutine<String>) -> String {
    black_box(the_first_resumer(co))
}

#[test]
fn a_backtrace_shows_who_resumed_and_who_called_that() {
    let mut co = coroutine();
    let trace = the_caller(&mut co);
    assert_frames(&trace, &["the_body", "the_first_resumer", "the_caller"]);
    assert!(!trace.contains("the_second_resumer"));
}

#[test]
fn it_is_the_present_resumer_that_it_shows() {
    let mut co = coroutine();
    the_first_resumer(&mut co);
    let trace = the_second_resumer(&mut co);
    assert_frames(&trace, &["the_body", "the_second_resumer"]);
    assert!(!trace.contains("the_first_resumer"));
}

#[inline(never)]
fn the_middle(mut inner: Coroutine<String>, y: &mut Yielder<String>) {
    let trace = the_first_resumer(&mut inner);
    y.yield_(black_box(trace));
}

#[test]
fn it_goes_through_coroutines_that_resume_coroutines() {
    let inner = coroutine();
    let mut outer = roomy().coroutine(|y: &mut Yielder<String>| the_middle(inner, y)).unwrap();
    let trace = the_second_resumer_of_any(&mut outer);
    assert_frames(&trace, &["the_body", "the_first_resumer", "the_middle", "the_second_resumer_of_any"]);
}

#[inline(never)]
fn the_second_resumer_of_any(co: &mut dyn Iterator<Item = String>) -> String {
    black_box(co.next().unwrap())
}

#[test]
fn it_works_in_scopes_and_through_delegation() {
    let traces: Vec<_> =
        roomy().scoped(the_body, |mut co| (0..3).map(|_| the_second_resumer_of_any(&mut co)).collect()).unwrap();
    traces.iter().for_each(|trace: &String| assert_frames(trace, &["the_body", "the_second_resumer_of_any"]));
    let body = |y: &mut Yielder<String>| y.yield_from(coroutine());
    scoped(body, |mut co| {
        // The resumer reaches the innermost body directly: the delegator's frames lie asleep on its own stack.
        assert_frames(&the_second_resumer_of_any(&mut co), &["the_body", "the_second_resumer_of_any"]);
    });
}

/// What a coroutine is asked that can play both parts.
enum Ask {
    /// Where its frame lies.
    Address,
    /// A trace.
    Trace,
    /// A trace of another one that it resumes.
    TraceOf(Box<Either>),
}

type Either = Coroutine<String, Ask>;

#[inline(never)]
fn the_outer_one(inner: &mut Either) -> String {
    black_box(inner.send(Ask::Trace).unwrap().yielded().unwrap())
}

#[inline(never)]
fn the_either_one(y: &mut Yielder<String, Ask>) {
    let here = 0_u8;
    let mut answer = String::new();
    loop {
        answer = match y.yield_(answer).unwrap() {
            Ask::Address => (black_box(&raw const here) as usize).to_string(),
            Ask::Trace => Backtrace::force_capture().to_string(),
            Ask::TraceOf(mut inner) => the_outer_one(&mut inner),
        };
    }
}

#[inline(never)]
fn the_thread(outer: &mut Either, inner: Either) -> String {
    black_box(outer.send(Ask::TraceOf(Box::new(inner))).unwrap().yielded().unwrap())
}

#[test]
fn it_goes_on_to_stacks_that_lie_higher_and_to_stacks_that_lie_lower() {
    const FRAMES: &[&str] = &["the_either_one", "the_outer_one", "the_either_one", "the_thread"];
    for inner_is_higher in [false, true] {
        let mut pair = [(); 2].map(|()| roomy().coroutine(the_either_one).unwrap());
        let address = |co: &mut Either| {
            co.resume().unwrap();
            co.send(Ask::Address).unwrap().yielded().unwrap().parse::<usize>().unwrap()
        };
        let [first, second] = pair.each_mut().map(address);
        let [a, b] = pair;
        let (lower, higher) = if first < second { (a, b) } else { (b, a) };
        let (inner, mut outer) = if inner_is_higher { (higher, lower) } else { (lower, higher) };
        assert_frames(&the_thread(&mut outer, inner), FRAMES);
    }
}
