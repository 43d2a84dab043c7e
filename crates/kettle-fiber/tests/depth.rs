//! Delegation by the hundred thousand: nothing recurses, whichever bodies are mixed.
//!
//! `KETTLE_DEPTH` sets another depth; a million stackful bodies need 4.3 GB.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_fiber::{Builder, Coroutine, Guards, Yielder, pool};
use kettle_gen::{Generator, Step, local};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

/// Enough for a body of a debug build with a sanitizer. It is address space: one page of each is touched.
const STACK: usize = 64 * 1024;

fn depth() -> u32 {
    // Mapped guards end near 30,000, for all threads together.
    let default = if pool::guards() == Guards::Light { 100_000 } else { 5_000 };
    std::env::var("KETTLE_DEPTH").map_or(default, |depth| depth.parse().expect("KETTLE_DEPTH is a number"))
}

/// Counts its storeys as they are dropped, and checks that they go innermost first.
#[derive(Clone)]
struct Floors(Rc<Cell<u32>>);

struct Floor(Floors, u32);

impl Floors {
    fn new() -> Self {
        Self(Rc::default())
    }

    fn floor(&self, below: u32) -> Floor {
        Floor(self.clone(), below)
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        assert_eq!(self.0.0.replace(self.0.0.get() + 1), self.1, "innermost first");
    }
}

/// A tower of coroutines, each of which delegates to the next; the innermost yields 0, 1, 2 and returns the sum of what
/// it was sent. `below` counts down.
fn stackful(floors: Floors, below: u32) -> Coroutine<u32, u32, u32> {
    let body = move |y: &mut Yielder<u32, u32>| {
        let _floor = floors.floor(below);
        if below == 0 { innermost(y) } else { y.yield_from(stackful(floors.clone(), below - 1)) }
    };
    Builder::new().stack_size(STACK).coroutine(body).unwrap()
}

/// The same with every second body stackless.
fn mixed(floors: Floors, below: u32) -> local::BoxGenerator<'static, u32, u32, u32> {
    if below.is_multiple_of(2) {
        let body = move |y: &mut Yielder<u32, u32>| {
            let _floor = floors.floor(below);
            if below == 0 { innermost(y) } else { y.yield_from(mixed(floors.clone(), below - 1)) }
        };
        local::boxed(Builder::new().stack_size(STACK).coroutine(body).unwrap())
    } else {
        local::boxed(local::generator(async move |y: &mut local::Yielder<_, _>| {
            let _floor = floors.floor(below);
            y.yield_from(mixed(floors.clone(), below - 1)).await
        }))
    }
}

fn innermost(y: &mut Yielder<u32, u32>) -> u32 {
    (0..3).map(|n| y.yield_(n).unwrap_or(0)).sum()
}

fn runs_to_its_end(mut tower: impl Generator<Yield = u32, Send = u32, Return = u32>) {
    assert_eq!(tower.resume().unwrap(), Step::Yielded(0));
    assert_eq!(tower.send(5).unwrap(), Step::Yielded(1));
    assert_eq!(tower.send(6).unwrap(), Step::Yielded(2));
    assert_eq!(tower.send(7).unwrap(), Step::Returned(18));
}

fn is_dropped_innermost_first(mut tower: impl Generator<Yield = u32, Send = u32, Return = u32>, floors: &Floors) {
    assert_eq!(tower.resume().unwrap(), Step::Yielded(0));
    assert_eq!(floors.0.get(), 0);
    drop(tower);
    assert_eq!(floors.0.get(), depth() + 1);
}

#[test]
fn a_deep_tower_of_coroutines_runs_to_its_end() {
    runs_to_its_end(stackful(Floors::new(), depth()));
}

#[test]
fn a_deep_tower_of_coroutines_is_dropped_innermost_first() {
    let floors = Floors::new();
    is_dropped_innermost_first(stackful(floors.clone(), depth()), &floors);
}

#[test]
fn a_deep_mixed_tower_runs_to_its_end() {
    runs_to_its_end(mixed(Floors::new(), depth()));
}

#[test]
fn a_deep_mixed_tower_is_dropped_innermost_first() {
    let floors = Floors::new();
    is_dropped_innermost_first(mixed(floors.clone(), depth()), &floors);
}

#[test]
fn closing_a_deep_tower_unwinds_it_innermost_first() {
    let floors = Floors::new();
    let mut tower = stackful(floors.clone(), depth());
    tower.resume().unwrap();
    assert_eq!(tower.close().unwrap(), None);
    assert_eq!(floors.0.get(), depth() + 1);
}

#[test]
fn a_panic_on_top_of_a_deep_tower_unwinds_it_innermost_first() {
    fn tower(floors: Floors, below: u32) -> Coroutine<u32> {
        let body = move |y: &mut Yielder<u32>| {
            let _floor = floors.floor(below);
            if below > 0 {
                return y.yield_from(tower(floors.clone(), below - 1));
            }
            y.yield_(0);
            resume_unwind(Box::new("top"));
        };
        Builder::new().stack_size(STACK).coroutine(body).unwrap()
    }
    let floors = Floors::new();
    let mut tower = tower(floors.clone(), depth() / 10);
    tower.resume().unwrap();
    let payload = catch_unwind(AssertUnwindSafe(|| tower.resume())).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"top"));
    assert_eq!(floors.0.get(), depth() / 10 + 1);
}

#[test]
fn a_tower_that_was_built_from_the_top_and_ran_before_is_one_chain() {
    // Each was resumed on its own before the next took it in: their chains are joined, not nested.
    let mut tower: Coroutine<u32> = Builder::new().coroutine(|y: &mut Yielder<u32>| y.yield_iter(0..)).unwrap();
    let depth = depth() / 10;
    for n in 0..depth {
        assert_eq!(tower.next(), Some(n));
        let inner = tower;
        tower = Builder::new().stack_size(STACK).coroutine(move |y: &mut Yielder<u32>| y.yield_from(inner)).unwrap();
    }
    assert_eq!(tower.next(), Some(depth));
    let tower = RefCell::new(tower);
    assert_eq!(tower.borrow_mut().next(), Some(depth + 1));
}
