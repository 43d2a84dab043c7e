//! The stacks: their sizes, which one comes next, what is kept and what is given back, what the numbers say.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod child;

use kettle_fiber::{
    Builder, Coroutine, DEFAULT_STACK_SIZE, MIN_STACK_SIZE, StackError, Yielder, coroutine, pool, scoped,
};
use kettle_gen::Generator;
use std::collections::HashSet;
use std::hint::black_box;
use std::{fs, thread};

/// A pool of its own for a test.
fn on_fresh_thread(f: impl FnOnce() + Send) {
    thread::scope(|scope| scope.spawn(f).join().unwrap());
}

fn page() -> usize {
    // SAFETY: a question without side effects.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap()
}

fn of_size(size: usize) -> pool::Usage {
    pool::usage().into_iter().find(|usage| usage.stack_size == size).unwrap()
}

/// Yields the address of a local, then how many bytes a recursion used that was asked for so many.
fn body(y: &mut Yielder<usize, usize>) {
    let local = black_box(0_u8);
    let start = std::ptr::from_ref(&local).addr();
    let mut asked = y.yield_(start);
    while let Some(bytes) = asked {
        asked = y.yield_(deep(start, bytes));
    }
}

/// Recurses until it is so many bytes below the start.
#[inline(never)]
fn deep(start: usize, bytes: usize) -> usize {
    let frame = black_box([1_u8; 128]);
    let below = start - black_box(&frame).as_ptr().addr();
    if below >= bytes { below } else { deep(start, bytes).max(usize::from(black_box(&frame)[9])) }
}

fn make(size: usize) -> Coroutine<usize, usize> {
    Builder::new().stack_size(size).coroutine(body).unwrap()
}

fn address(co: &mut Coroutine<usize, usize>) -> usize {
    co.resume().unwrap().yielded().unwrap()
}

fn mappings() -> usize {
    fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

#[test]
fn each_size_is_rounded_up_to_a_power_of_two_and_to_the_least() {
    let least = MIN_STACK_SIZE.max(4 * page());
    for (asked, got) in [
        (1, least),
        (page(), least),
        (least - 1, least),
        (least, least),
        (least + 1, 2 * least),
        (100_000, 128 << 10),
        ((1 << 20) - 1, 1 << 20),
        ((1 << 20) + 1, 2 << 20),
    ] {
        assert_eq!(make(asked).stack_size(), got, "asked for {asked}");
    }
    assert!(coroutine(|y: &mut Yielder<u32>| y.yield_(1)).stack_size() == DEFAULT_STACK_SIZE.max(least));
}

#[test]
fn stacks_of_each_power_of_two_can_be_used_to_their_depth() {
    for power in MIN_STACK_SIZE.ilog2()..=26 {
        let size = 1_usize << power;
        let mut co = make(size);
        address(&mut co);
        // The rest is for the guard, the first frames and the last.
        let bytes = size / 4 * 3 - 2 * page();
        let used = co.send(bytes).unwrap().yielded().unwrap();
        assert!(used >= bytes && co.stack_used() >= used, "{} of {size}", co.stack_used());
        assert!(co.stack_used() < size);
    }
}

#[test]
fn a_stack_of_nothing_is_refused_and_the_body_comes_back() {
    let text = String::from("mine");
    let error = Builder::new().stack_size(0).coroutine(move |y: &mut Yielder<String>| y.yield_(text)).unwrap_err();
    assert!(error.is_zero_size() && !error.is_too_large() && error.io_error().is_none());
    assert!(error.to_string().contains(&MIN_STACK_SIZE.to_string()), "{error}");
    let mut co = Builder::new().coroutine(error.into_body()).unwrap();
    assert_eq!(co.next().as_deref(), Some("mine"));
}

#[test]
fn a_stack_larger_than_the_memory_is_refused_and_the_message_names_both() {
    for size in [1 << 46, isize::MAX as usize, isize::MAX as usize + 2, usize::MAX - 4096, usize::MAX] {
        let error: StackError<_> = Builder::new().stack_size(size).coroutine(body).unwrap_err();
        assert!(error.is_too_large() && !error.is_zero_size() && error.io_error().is_none());
        let message = error.to_string();
        let memory: usize = message.split(' ').rev().find_map(|word| word.parse().ok()).unwrap();
        assert!(message.contains(&size.to_string()) && memory > 1 << 20 && memory < size, "{message}");
    }
}

#[test]
fn every_constructor_hands_its_functions_back() {
    let text = String::from("mine");
    let error =
        Builder::new().stack_size(0).try_coroutine(move |y: &mut Yielder<usize>| Ok(y.yield_(text.len()))).unwrap_err();
    assert_eq!(Builder::new().try_coroutine(error.into_body()).unwrap().next(), Some(4));
    let borrowed = String::from("borrowed");
    let error = Builder::new()
        .stack_size(usize::MAX)
        .scoped(|y: &mut Yielder<usize>| y.yield_(borrowed.len()), |mut co| co.next())
        .unwrap_err();
    let (body, consumer) = error.into_body();
    assert_eq!(scoped(body, consumer), Some(8));
}

#[test]
fn the_error_has_its_cause_and_no_need_for_the_body_to_be_printed() {
    fn is_error<E: std::error::Error>(error: E) -> String {
        format!("{error:?}")
    }
    assert!(is_error(Builder::new().stack_size(0).coroutine(body).unwrap_err()).contains("Zero"));
}

#[test]
fn the_stack_that_was_used_last_is_used_next() {
    on_fresh_thread(|| {
        pool::keep(16);
        let mut places = Vec::new();
        let mut all: Vec<_> = (0..8).map(|_| make(1 << 16)).collect();
        for co in &mut all {
            places.push(address(co));
        }
        assert_eq!(places.iter().collect::<HashSet<_>>().len(), 8);
        while let Some(co) = all.pop() {
            drop(co);
        }
        // Given back from the last to the first: the first is the hottest.
        for place in places {
            let mut co = make(1 << 16);
            assert_eq!(address(&mut co), place);
            all.push(co);
        }
    });
}

#[test]
fn making_and_dropping_in_turn_uses_one_stack() {
    on_fresh_thread(|| {
        pool::keep(16);
        let places: HashSet<_> = (0..1000).map(|_| address(&mut make(1 << 16))).collect();
        assert_eq!(places.len(), 1);
    });
}

#[test]
fn usage_counts_stacks_in_use_hot_cold_and_the_peak() {
    on_fresh_thread(|| {
        assert_eq!(pool::usage(), []);
        pool::keep(3);
        let mut all: Vec<_> = (0..10).map(|_| make(1 << 16)).collect();
        let large = make(1 << 18);
        let count = |size| {
            let usage = of_size(size);
            (usage.in_use, usage.peak, usage.hot, usage.cold)
        };
        assert_eq!(count(1 << 16), (10, 10, 0, 0));
        assert_eq!(count(1 << 18), (1, 1, 0, 0));
        assert!(of_size(1 << 16).reserved >= 10 << 16);
        all.truncate(8);
        assert_eq!(count(1 << 16), (8, 10, 2, 0));
        all.clear();
        assert_eq!(count(1 << 16), (0, 10, 3, 7));
        all.extend((0..5).map(|_| make(1 << 16)));
        assert_eq!(count(1 << 16), (5, 10, 0, 5));
        drop((all, large));
        assert_eq!((count(1 << 16), count(1 << 18)), ((0, 10, 3, 7), (0, 1, 1, 0)));
    });
}

#[test]
fn keep_changes_what_is_free_already_and_holds_for_sizes_to_come() {
    on_fresh_thread(|| {
        pool::keep(100);
        drop((0..10).map(|_| make(1 << 16)).collect::<Vec<_>>());
        assert_eq!((of_size(1 << 16).hot, of_size(1 << 16).cold), (10, 0));
        pool::keep(4);
        assert_eq!((of_size(1 << 16).hot, of_size(1 << 16).cold), (4, 6));
        pool::keep(0);
        assert_eq!((of_size(1 << 16).hot, of_size(1 << 16).cold), (0, 10));
        drop(make(1 << 18));
        assert_eq!((of_size(1 << 18).hot, of_size(1 << 18).cold), (0, 1));
        pool::keep(1);
        drop(make(1 << 18));
        assert_eq!((of_size(1 << 18).hot, of_size(1 << 18).cold), (1, 0));
    });
}

#[test]
fn in_the_steady_state_nothing_is_reserved_and_nothing_mapped() {
    on_fresh_thread(|| {
        pool::keep(64);
        let round = || {
            let mut all: Vec<_> = (0..100).map(|_| make(1 << 16)).collect();
            all.iter_mut().map(address).fold(0, usize::max)
        };
        round();
        let before = pool::usage();
        for _ in 0..100 {
            round();
        }
        assert_eq!(pool::usage(), before);
    });
}

#[test]
fn stack_used_grows_with_the_depth_and_starts_anew_when_memory_is_given_back() {
    on_fresh_thread(|| {
        pool::keep(0);
        let mut co = make(1 << 20);
        address(&mut co);
        let flat = co.stack_used();
        assert!(flat >= page() && flat <= 4 * page(), "{flat}");
        co.send(100 << 10).unwrap();
        let deeper = co.stack_used();
        assert!(deeper >= 100 << 10 && deeper <= flat + (110 << 10), "{flat}, then {deeper}");
        co.send(10 << 10).unwrap();
        assert_eq!(co.stack_used(), deeper, "it is a high-water mark");
        co.send(400 << 10).unwrap();
        assert!(co.stack_used() >= 400 << 10);
        drop(co);
        let mut co = make(1 << 20);
        address(&mut co);
        assert_eq!(co.stack_used(), flat);
        let used = Builder::new().stack_size(1 << 20).scoped(body, |mut co| {
            co.resume().unwrap();
            co.send(100 << 10).unwrap();
            co.stack_used()
        });
        assert!(used.unwrap().abs_diff(deeper) <= page());
    });
}

#[test]
fn stacks_beyond_those_kept_give_their_memory_back() {
    const STACKS: usize = 256;
    const DEEP: usize = 150 << 10;
    on_fresh_thread(|| {
        // What those who come next find on the stacks: asked of each stack, for other tests use memory meanwhile.
        let left = |keep| {
            pool::keep(keep);
            let mut all: Vec<_> = (0..STACKS).map(|_| make(1 << 18)).collect();
            for co in &mut all {
                address(co);
                co.send(DEEP).unwrap();
            }
            drop(all);
            let next: Vec<_> = (0..STACKS).map(|_| make(1 << 18)).collect();
            next.iter().map(|co| co.stack_used()).sum::<usize>()
        };
        assert!(left(0) < STACKS * DEEP / 4, "almost all comes back");
        assert!(left(STACKS) > STACKS * DEEP / 2, "almost nothing comes back");
    });
}

// In the stress build all have the greatest colour.
#[cfg(not(kettle_stress))]
#[test]
fn tops_of_neighbouring_stacks_lie_in_different_cache_sets() {
    on_fresh_thread(|| {
        let mut all: Vec<_> = (0..64).map(|_| make(1 << 16)).collect();
        let sets: HashSet<_> = all.iter_mut().map(|co| address(co) / 64 % 64).collect();
        assert!(sets.len() >= 16, "{} sets", sets.len());
        // And all of them in the top page, or one below it: a second page would double what is resident.
        assert!(all.iter().all(|co| co.stack_used() <= 3 * page()));
    });
}

#[test]
fn light_guards_take_no_mapping_each() {
    if pool::guards() != kettle_fiber::Guards::Light {
        // An older kernel: the fallback is what `limits.rs` tests.
        assert_eq!(pool::guards(), kettle_fiber::Guards::Mapped);
        return;
    }
    on_fresh_thread(|| {
        let before = mappings();
        let all: Vec<_> = (0..2000).map(|_| make(MIN_STACK_SIZE)).collect();
        assert!(mappings() < before + 100, "{before} mappings, then {}", mappings());
        drop(all);
    });
}

#[test]
fn all_of_this_holds_with_mapped_guards() {
    child::all_again_with_mapped_guards();
}
