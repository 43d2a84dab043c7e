//! Limits of the process: address space and mappings run out, and it is an error, not the end. In children, because the
//! limits are the whole process's.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod child;

use kettle_fiber::{Builder, Coroutine, Guards, Yielder, coroutine, pool};

fn one(y: &mut Yielder<u32>) {
    y.yield_(1);
}

fn works() {
    assert_eq!(coroutine(one).next(), Some(1));
}

/// What the child does: its address space ends.
fn address_space() {
    works();
    let limit = 1 << 30;
    let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
    // SAFETY: the structure is valid.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
    let mut all: Vec<Coroutine<u32>> = Vec::with_capacity(100_000);
    let error = loop {
        match Builder::new().stack_size(1 << 18).coroutine(one) {
            Ok(co) => all.push(co),
            Err(error) => break error,
        }
    };
    assert!(all.len() > 1000, "{} stacks", all.len());
    assert_eq!(error.io_error().unwrap().raw_os_error(), Some(libc::ENOMEM));
    assert!(error.to_string().contains("ulimit -v"), "{error}");
    // It stays an error, and those that there are go on.
    let body = error.into_body();
    assert!(Builder::new().stack_size(1 << 18).coroutine(body).is_err());
    assert!(all.iter_mut().all(|co| co.next() == Some(1)));
    // What comes back can be had again.
    all.truncate(100);
    all.extend((0..500).map(|_| Builder::new().stack_size(1 << 18).coroutine(one).unwrap()));
    assert!(all[100..].iter_mut().all(|co| co.next() == Some(1)));
    // One stack that is larger than what is left.
    assert!(Builder::new().stack_size(1 << 29).coroutine(one).is_err());
    works();
}

/// What the child does: mappings end, before those that malloc needs.
fn mappings() {
    assert_eq!(pool::guards(), Guards::Mapped);
    let mut all: Vec<Coroutine<u32>> = Vec::new();
    let error = loop {
        match Builder::new().stack_size(1 << 14).coroutine(one) {
            Ok(co) => all.push(co),
            Err(error) => break error,
        }
        assert!(all.len() < 40_000, "mappings do not end here");
    };
    assert!(all.len() > 20_000, "{} stacks", all.len());
    assert!(error.io_error().is_some());
    assert!(error.to_string().contains("vm.max_map_count"), "{error}");
    // Everybody else still gets memory, by mappings of their own and on other threads.
    let memory: Vec<_> = (1..1000).map(|n| vec![1_u8; (128 << 10) + n * 4096]).collect();
    assert_eq!(memory.iter().map(|bytes| usize::from(bytes[0])).sum::<usize>(), 999);
    let on_threads: u32 = (0..50).map(|n| std::thread::spawn(move || n).join().unwrap()).sum();
    assert_eq!(on_threads, 1225);
    assert!(all.iter_mut().all(|co| co.next() == Some(1)));
    all.truncate(10);
    all.extend((0..1000).map(|_| Builder::new().stack_size(1 << 14).coroutine(one).unwrap()));
    assert!(all[10..].iter_mut().all(|co| co.next() == Some(1)));
    drop(all);
    assert_eq!(Builder::new().stack_size(1 << 14).coroutine(one).unwrap().next(), Some(1));
    // A thread that ends gives its mappings back to the others.
    for _ in 0..3 {
        let many = || {
            let body = |_| Builder::new().stack_size(1 << 14).coroutine(one).ok();
            (0..3000).filter_map(body).collect::<Vec<_>>().len()
        };
        std::thread::spawn(many).join().unwrap();
    }
}

/// The child's half of the tests below.
#[test]
fn scenario() {
    match child::scenario().as_deref() {
        Some("address space") => address_space(),
        Some("mappings") => mappings(),
        Some(other) => panic!("no scenario {other}"),
        None => works(),
    }
}

#[test]
fn when_the_address_space_ends_it_is_an_error_and_the_pool_goes_on() {
    if child::is_sanitised() {
        // The sanitizer needs address space without limit.
        return works();
    }
    child::run("scenario", "address space").assert_success();
}

#[test]
fn when_mappings_end_it_is_an_error_before_malloc_fails_and_the_pool_goes_on() {
    let mut command = child::command("scenario", "mappings");
    command.env("KETTLE_GUARDS", "mapped");
    child::Ended::of(command).assert_success();
}
