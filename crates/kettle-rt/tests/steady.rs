//! A steady state of tasks allocates nothing, leaves nothing behind, and an overflow says whose stack it was.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_rt::{Builder, EventLoop, scope, sleep, spawn, yield_now};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

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

fn run<T>(f: impl FnOnce() -> T) -> T {
    EventLoop::new().unwrap().run(f)
}

/// One of everything that a task does most.
fn round() {
    let total = Cell::new(0);
    scope(|s| {
        for n in 0..50 {
            let total = &total;
            s.spawn(move || {
                yield_now();
                total.set(total.get() + n);
            });
        }
    });
    let (a, b) = (spawn(|| 1), spawn(|| sleep(Duration::from_nanos(1))));
    drop(spawn(yield_now));
    assert_eq!(a.join().unwrap() + total.get(), 1226);
    b.join().unwrap();
    yield_now();
}

#[test]
fn tasks_allocate_nothing_once_there_have_been_as_many() {
    run(|| {
        (0..3).for_each(|_| round());
        let before = ALLOCATIONS.get();
        (0..100).for_each(|_| round());
        assert_eq!(ALLOCATIONS.get() - before, 0);
    });
}

/// Numbers of this process, from the kernel: descriptors, threads, mappings. (The address sanitizer's allocator maps memory
/// as it goes.)
fn held() -> [usize; 3] {
    let [descriptors, threads] = ["/proc/self/fd", "/proc/self/task"].map(|path| fs::read_dir(path).unwrap().count());
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    [descriptors, threads, if cfg!(kettle_asan) { 0 } else { maps.lines().count() }]
}

#[test]
fn a_thousand_loops_leave_no_descriptor_no_mapping_and_no_thread() {
    // Alone in a child: other tests of this process open descriptors meanwhile.
    if !is_child("loops") {
        let status = child("a_thousand_loops_leave_no_descriptor_no_mapping_and_no_thread", "loops").status().unwrap();
        assert!(status.success());
        return;
    }
    // The allocator and the pool of stacks find their sizes.
    (0..10).for_each(|_| run(round));
    let (held, stacks) = (held(), in_use());
    for _ in 0..1000 {
        run(round);
    }
    assert_eq!((self::held(), in_use()), (held, stacks));
}

fn in_use() -> usize {
    kettle_fiber::pool::usage().iter().map(|size| size.in_use).sum()
}

#[test]
fn an_overflow_in_a_task_says_whose_stack_it_was() {
    #[inline(never)]
    fn recurse(depth: usize) -> usize {
        let frame = std::hint::black_box([depth; 64]);
        if depth == 0 { 0 } else { recurse(depth - 1) + std::hint::black_box(frame)[0] }
    }
    if is_child("overflow") {
        run(|| Builder::new().name("fetch".into()).spawn(|| recurse(1_000_000)).unwrap().join().unwrap());
        unreachable!("it has overflowed");
    }
    let output = child("an_overflow_in_a_task_says_whose_stack_it_was", "overflow").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let message = "stack of task `fetch` overflowed: raise `stack_size` above ";
    assert!(output.status.signal() == Some(libc::SIGABRT) && said.contains(message), "{}\n{said}", output.status);
}

const SCENARIO: &str = "KETTLE_TEST_SCENARIO";

fn is_child(scenario: &str) -> bool {
    std::env::var(SCENARIO).is_ok_and(|word| word == scenario)
}

/// The command that runs a test of this binary again.
fn child(test: &str, scenario: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(SCENARIO, scenario)
        .env("RUST_BACKTRACE", "0");
    if let Ok(options) = std::env::var("ASAN_OPTIONS") {
        command.env("ASAN_OPTIONS", options + ":handle_segv=0:handle_sigbus=0");
    }
    command
}
