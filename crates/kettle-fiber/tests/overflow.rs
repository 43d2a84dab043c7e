//! Overflows (S5): the process ends by SIGABRT and says whose stack it was and what to raise. Other faults are left to
//! whoever had them before.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod child;

use kettle_fiber::{Builder, Yielder, scoped};
use kettle_gen::Generator;
use libc::{SIGABRT, SIGBUS, SIGSEGV};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{ptr, thread};

/// Recursion without end, in frames of `N` words.
#[inline(never)]
fn recurse<const N: usize>(depth: usize) -> usize {
    let frame = black_box([depth; N]);
    // The end is never reached, but the compiler does not know.
    if black_box(depth) == usize::MAX { 0 } else { recurse::<N>(depth + 1) + black_box(&frame)[N / 2] }
}

fn overflow(builder: Builder) {
    let mut co = builder
        .coroutine(|y: &mut Yielder<u32>| {
            y.yield_(1);
            recurse::<8>(0)
        })
        .unwrap();
    assert_eq!(co.next(), Some(1));
    co.resume().unwrap();
}

fn small() -> Builder {
    Builder::new().stack_size(64 * 1024)
}

/// An address that nobody maps.
#[inline(never)]
fn read_null() -> u8 {
    // SAFETY: it isn't: the fault is what is tested.
    unsafe { ptr::read_volatile(black_box(8) as *const u8) }
}

/// Runs on a thread that std did not make: without an alternate signal stack.
fn on_foreign_thread(f: fn()) {
    extern "C" fn start(f: *mut libc::c_void) -> *mut libc::c_void {
        // SAFETY: it is the function that is passed below.
        let f = unsafe { std::mem::transmute::<*mut libc::c_void, fn()>(f) };
        f();
        ptr::null_mut()
    }
    let mut thread = 0;
    // SAFETY: `start` takes what is passed, and is waited for.
    let failed = unsafe { libc::pthread_create(&mut thread, ptr::null(), start, f as *mut libc::c_void) };
    assert_eq!(failed, 0);
    // SAFETY: the thread was made above.
    assert_eq!(unsafe { libc::pthread_join(thread, ptr::null_mut()) }, 0);
}

static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn user_handler(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes it.
    let info = unsafe { &*info };
    // SAFETY: of a fault, which has an address.
    let address = unsafe { info.si_addr() }.addr();
    HANDLED.store(address, Ordering::Relaxed);
    // SAFETY: ends the process; a handler may.
    unsafe { libc::_exit(if address == 8 { 43 } else { 44 }) };
}

fn install_user_handler() {
    // SAFETY: all zeros is a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = user_handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the handler has the type that SA_SIGINFO asks for.
    assert_eq!(unsafe { libc::sigaction(SIGSEGV, &action, ptr::null_mut()) }, 0);
}

fn act(scenario: &str) {
    match scenario {
        "named" => overflow(small().name("fetch")),
        "unnamed" => overflow(small()),
        "larger" => overflow(Builder::new().name("parse").stack_size(1 << 20)),
        "first step" => {
            small().name("fetch").coroutine(|_: &mut Yielder<u32>| recurse::<8>(0)).unwrap().resume().unwrap();
        }
        "scoped" => {
            let local = 1;
            let body = |y: &mut Yielder<usize>| {
                y.yield_(local);
                recurse::<8>(local)
            };
            small().name("fetch").scoped(body, |mut co| while co.next().is_some() {}).unwrap();
        }
        "nested" => {
            let outer = small().name("outer").coroutine(|_: &mut Yielder<u32>| overflow(small().name("inner")));
            outer.unwrap().resume().unwrap();
        }
        "outer after inner" => {
            let body = |_: &mut Yielder<u32>| {
                let mut inner = small().name("inner").coroutine(|y: &mut Yielder<u32>| y.yield_(1)).unwrap();
                inner.resume().unwrap();
                recurse::<8>(0)
            };
            small().name("outer").coroutine(body).unwrap().resume().unwrap();
        }
        "delegate" => {
            let inner = small().name("inner").coroutine(|_: &mut Yielder<u32>| recurse::<8>(0)).unwrap();
            let outer = small().name("outer").coroutine(|y: &mut Yielder<u32>| y.yield_from(inner));
            outer.unwrap().resume().unwrap();
        }
        "used again" => {
            assert_eq!(small().name("earlier").coroutine(|y: &mut Yielder<u32>| y.yield_(1)).unwrap().next(), Some(1));
            overflow(small().name("fetch"));
        }
        "cooled" => {
            kettle_fiber::pool::keep(0);
            assert_eq!(small().name("earlier").coroutine(|y: &mut Yielder<u32>| y.yield_(1)).unwrap().next(), Some(1));
            overflow(small().name("fetch"));
        }
        "the thousandth" => {
            let many: Vec<_> = (0..1000)
                .map(|_| small().name("idle").coroutine(|y: &mut Yielder<u32>| y.yield_(1)).unwrap())
                .collect();
            overflow(small().name("fetch"));
            drop(many);
        }
        "large frames" => {
            let body = |_: &mut Yielder<u32>| {
                let frame = black_box([1_u8; 100 * 1024]);
                black_box(&frame)[7]
            };
            small().name("fetch").coroutine(body).unwrap().resume().unwrap();
        }
        "frames of pages" => {
            let body = |_: &mut Yielder<u32>| recurse::<2000>(0);
            small().name("fetch").coroutine(body).unwrap().resume().unwrap();
        }
        "thread" => thread::spawn(|| overflow(small().name("fetch"))).join().unwrap(),
        "after other threads" => {
            // Their chunks have been given back.
            for _ in 0..20 {
                let make = || small().name("gone").coroutine(|y: &mut Yielder<u32>| y.yield_(1)).unwrap().next();
                thread::spawn(make).join().unwrap();
            }
            thread::spawn(|| overflow(small().name("fetch"))).join().unwrap();
        }
        "foreign thread" => on_foreign_thread(|| overflow(small().name("fetch"))),
        "null" => _ = read_null(),
        "null after a coroutine" => {
            assert_eq!(small().coroutine(|y: &mut Yielder<u32>| y.yield_(1)).unwrap().next(), Some(1));
            read_null();
        }
        "null in a coroutine" => {
            small().coroutine(|_: &mut Yielder<u32>| read_null()).unwrap().resume().unwrap();
        }
        "main stack" => _ = recurse::<8>(0),
        "main stack after a coroutine" => {
            assert_eq!(small().coroutine(|y: &mut Yielder<u32>| y.yield_(1)).unwrap().next(), Some(1));
            recurse::<8>(0);
        }
        "consumer" => {
            // The thread's own stack overflows in the middle of a scope.
            let deep = || {
                scoped(|y: &mut Yielder<usize>| y.yield_(1), |mut co| recurse::<8>(co.next().unwrap()));
            };
            thread::Builder::new().name("main-like".into()).spawn(deep).unwrap().join().unwrap();
        }
        "user handler" | "user handler, null in a coroutine" => {
            install_user_handler();
            assert_eq!(small().coroutine(|y: &mut Yielder<u32>| y.yield_(1)).unwrap().next(), Some(1));
            if scenario == "user handler" {
                read_null();
            }
            small().coroutine(|_: &mut Yielder<u32>| read_null()).unwrap().resume().unwrap();
        }
        "user handler, overflow" => {
            install_user_handler();
            overflow(small().name("fetch"));
        }
        other => panic!("no scenario {other}"),
    }
    unreachable!("the process should have ended");
}

/// The child's half of each test below.
#[test]
fn scenario() {
    if let Some(scenario) = child::scenario() {
        act(&scenario);
    }
}

fn run(scenario: &str) -> child::Ended {
    child::run("scenario", scenario)
}

fn aborts_saying(scenario: &str, message: &str) {
    run(scenario).assert_signal(SIGABRT, message);
}

const FETCH: &str = "stack of coroutine `fetch` overflowed: raise `stack_size` above 64 KiB\n";

#[test]
fn an_overflow_names_the_coroutine_and_what_to_raise() {
    aborts_saying("named", FETCH);
    aborts_saying("first step", FETCH);
    aborts_saying("larger", "stack of coroutine `parse` overflowed: raise `stack_size` above 1024 KiB\n");
}

#[test]
fn an_overflow_of_one_without_a_name_says_so() {
    aborts_saying("unnamed", "stack of coroutine <unnamed> overflowed: raise `stack_size` above 64 KiB\n");
}

#[test]
fn an_overflow_in_a_scope_is_reported() {
    aborts_saying("scoped", FETCH);
}

#[test]
fn an_overflow_among_nested_ones_names_the_one_that_overflowed() {
    aborts_saying("nested", "coroutine `inner` overflowed");
    aborts_saying("outer after inner", "coroutine `outer` overflowed");
    aborts_saying("delegate", "coroutine `inner` overflowed");
}

#[test]
fn an_overflow_of_a_stack_that_was_used_before_names_the_present_one() {
    aborts_saying("used again", FETCH);
    aborts_saying("cooled", FETCH);
    aborts_saying("the thousandth", FETCH);
}

#[test]
fn large_frames_do_not_jump_over_the_guard() {
    if child::is_sanitised() {
        // The sanitizer lays out large frames itself, and does not probe them.
        return aborts_saying("first step", FETCH);
    }
    aborts_saying("large frames", FETCH);
    aborts_saying("frames of pages", FETCH);
}

#[test]
fn an_overflow_on_any_thread_is_reported() {
    aborts_saying("thread", FETCH);
    aborts_saying("after other threads", FETCH);
    aborts_saying("foreign thread", FETCH);
}

#[test]
fn mapped_guards_report_as_light_ones_do() {
    for scenario in ["named", "scoped", "thread", "foreign thread", "cooled", "the thousandth"] {
        let mut command = child::command("scenario", scenario);
        command.env("KETTLE_GUARDS", "mapped");
        child::Ended::of(command).assert_signal(SIGABRT, FETCH);
    }
}

#[test]
fn other_faults_end_the_process_as_they_would_without_us() {
    let without_us = run("null");
    assert!(matches!(without_us.signal(), Some(SIGSEGV | SIGBUS)));
    for scenario in ["null after a coroutine", "null in a coroutine"] {
        let with_us = run(scenario);
        assert_eq!(with_us.signal(), without_us.signal(), "{scenario}");
        assert!(!with_us.stderr.contains("overflowed"), "{}", with_us.stderr);
    }
}

#[test]
fn an_overflow_of_a_threads_own_stack_is_stds_to_report() {
    for scenario in ["main stack", "main stack after a coroutine", "consumer"] {
        let ended = run(scenario);
        ended.assert_signal(SIGABRT, "has overflowed its stack");
        assert!(!ended.stderr.contains("stack of coroutine"), "{}", ended.stderr);
    }
}

#[test]
fn a_handler_that_was_there_before_gets_all_faults_but_overflows() {
    for scenario in ["user handler", "user handler, null in a coroutine"] {
        assert_eq!(run(scenario).code(), Some(43), "{scenario}");
    }
    aborts_saying("user handler, overflow", FETCH);
}
