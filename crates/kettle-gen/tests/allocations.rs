//! What allocates: a generator pinned in place never, one that may be moved once, a box once, a delegation once or never.
//!
//! The allocator counts what this thread asks for, so that tests may run side by side.

use kettle_gen::{BoxGenerator, Error, Generator, TryYielder, Yielder, boxed, generator, try_generator};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::pin::pin;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: what it hands out comes from the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends may allocate when its thread-locals are gone.
        let _ended = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
        // SAFETY: the caller's obligations are the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's obligations are the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How many allocations a piece of code makes.
fn allocations<T>(code: impl FnOnce() -> T) -> (usize, T) {
    let before = ALLOCATIONS.get();
    let result = code();
    (ALLOCATIONS.get() - before, result)
}

async fn ten(y: &mut Yielder<'_, u32>) {
    for n in 0..10 {
        y.yield_(n).await;
    }
}

#[test]
fn pinned_in_place_it_allocates_nothing() {
    let (count, sum) = allocations(|| pin!(generator(ten)).sum::<u32>());
    assert_eq!((count, sum), (0, 45));
}

#[test]
fn every_word_on_a_pinned_one_allocates_nothing() {
    let (count, ()) = allocations(|| {
        let mut g = pin!(try_generator(async |y: &mut TryYielder<u32, u32>| {
            let _sent = y.yield_(1).await;
            let error = y.try_yield(2).await.err();
            y.yield_iter(0..2).await;
            let exit = y.try_yield(3).await.is_err();
            Ok(error.is_some() && exit)
        }));
        assert!(g.send(1).is_err());
        assert!(g.resume().is_ok() && g.send(1).is_ok() && g.throw(Error::exit()).is_ok());
        assert!(g.resume().is_ok() && g.resume().is_ok());
        assert_eq!(g.close().ok(), Some(Some(true)));
        assert!(g.resume().is_err());
    });
    assert_eq!(count, 0);
}

#[test]
fn one_that_may_be_moved_allocates_once_when_it_is_first_resumed() {
    let (count, mut g) = allocations(|| generator(ten));
    assert_eq!(count, 0);
    let (count, _) = allocations(|| g.resume());
    assert_eq!(count, 1);
    let (count, rest) = allocations(|| g.sum::<u32>());
    assert_eq!((count, rest), (0, 45));
}

#[test]
fn one_that_is_dropped_before_it_starts_allocates_nothing() {
    let (count, ()) = allocations(|| drop(generator(ten)));
    assert_eq!(count, 0);
}

#[test]
fn a_box_allocates_once() {
    let (count, sum) = allocations(|| boxed(generator(ten)).sum::<u32>());
    assert_eq!((count, sum), (1, 45));
}

#[test]
fn delegating_to_a_box_allocates_nothing_more() {
    let (made, inner) = allocations(|| (0..8).map(|_| boxed(generator(ten))).collect::<Vec<BoxGenerator<'_, u32>>>());
    assert_eq!(made, 8 + 1, "each box, and the list");
    let (count, sum) = allocations(|| {
        pin!(generator(async move |y| {
            for inner in inner {
                y.yield_from(inner).await;
            }
        }))
        .sum::<u32>()
    });
    assert_eq!((count, sum), (0, 8 * 45), "a chain has no memory of its own");
}

#[test]
fn delegating_to_a_generator_allocates_once() {
    let (count, sum) = allocations(|| {
        pin!(generator(async move |y| {
            for _ in 0..8 {
                y.yield_from(generator(ten)).await;
            }
        }))
        .sum::<u32>()
    });
    assert_eq!((count, sum), (8, 8 * 45), "each delegate, and nothing for the chain");
}

#[test]
fn resuming_through_a_chain_allocates_nothing() {
    let mut g = boxed(generator(ten));
    for _ in 0..20 {
        let inner = g;
        g = boxed(generator(async move |y| y.yield_from(inner).await));
    }
    g.resume().expect("starts");
    let (count, sum) = allocations(|| g.by_ref().sum::<u32>());
    assert_eq!((count, sum), (0, 45), "to its end");
}

#[test]
fn delegating_to_an_iterator_allocates_nothing() {
    let (count, sum) = allocations(|| {
        pin!(generator(async |y| {
            y.yield_iter(0..10).await;
            y.yield_iter([1, 2, 3]).await;
        }))
        .sum::<u32>()
    });
    assert_eq!((count, sum), (0, 51));
}

#[test]
fn everything_is_freed() {
    // Under AddressSanitizer and Miri leaks are errors; here the borrow of a counter tells.
    let alive = std::sync::Arc::new(());
    for resumes in 0..4 {
        let held = alive.clone();
        let mut g = generator(async move |y: &mut Yielder<u32>| {
            let _held = held.clone();
            let inner = generator(async move |y: &mut Yielder<u32>| {
                let _held = held;
                y.yield_(1).await;
            });
            y.yield_from(inner).await;
            y.yield_(2).await;
        });
        for _ in 0..resumes {
            g.resume().expect("three steps");
        }
        drop(g);
        assert_eq!(std::sync::Arc::strong_count(&alive), 1, "after {resumes} resumes");
    }
}
