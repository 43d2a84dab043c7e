//! A backtrace that is taken inside a coroutine goes on into whoever resumed it.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod child;

use kettle_fiber::{Builder, Coroutine, Yielder, scoped};
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

#[test]
fn a_backtrace_shows_who_resumed() {
    let mut co = coroutine();
    let trace = the_first_resumer(&mut co);
    assert_frames(&trace, &["the_body", "the_first_resumer", "a_backtrace_shows_who_resumed"]);
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

/// Takes a trace inside `inner`. Gives where its own frame lies, too.
#[inline(never)]
fn the_outer_one(inner: &mut Coroutine<String>, y: &mut Yielder<(usize, String)>) {
    let here = 0_u8;
    let trace = black_box(inner.next().unwrap());
    y.yield_((black_box(&raw const here) as usize, trace));
}

/// Gives where its own frame lies, and then traces.
#[inline(never)]
fn the_addressed_body(y: &mut Yielder<String>) {
    let here = 0_u8;
    y.yield_(format!("{}", black_box(&raw const here) as usize));
    the_body(y);
}

fn addressed() -> (Coroutine<String>, usize) {
    let mut co = roomy().coroutine(the_addressed_body).unwrap();
    let address = co.next().unwrap().parse().unwrap();
    (co, address)
}

#[test]
fn it_goes_on_to_stacks_that_lie_higher_and_to_stacks_that_lie_lower() {
    // A thread's first stacks come in the order of their addresses, one way or the other.
    fn on_a_new_thread(inner_is_higher: fn() -> bool) -> bool {
        std::thread::spawn(inner_is_higher).join().unwrap()
    }
    const FRAMES: &[&str] = &["the_body", "the_outer_one", "it_goes_on_to_stacks_that_lie_higher"];
    let inner_first = on_a_new_thread(|| {
        let (mut inner, inners) = addressed();
        let mut outer = roomy().coroutine(move |y| the_outer_one(&mut inner, y)).unwrap();
        let (outers, trace) = outer.next().unwrap();
        assert_frames(&trace, FRAMES);
        inners > outers
    });
    let outer_first = on_a_new_thread(|| {
        let later = std::rc::Rc::new(std::cell::Cell::new(None::<Coroutine<String>>));
        let inner = later.clone();
        let mut outer = roomy().coroutine(move |y| the_outer_one(&mut inner.take().unwrap(), y)).unwrap();
        let (inner, inners) = addressed();
        later.set(Some(inner));
        let (outers, trace) = outer.next().unwrap();
        assert_frames(&trace, FRAMES);
        inners > outers
    });
    assert_ne!(inner_first, outer_first);
}
