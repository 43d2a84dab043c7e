//! The switch keeps what the compiler believes it keeps: registers, floating-point ones too, the alignment of stacks, and
//! what lies on both stacks when a signal comes at any instruction of it.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_fiber::link::Link;
use kettle_fiber::stack::Stacks;
use kettle_fiber::{Builder, Coroutine, Yielder, coroutine, switch};
use kettle_gen::{Generator, Step};
use std::cell::Cell;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Keeps more values alive across each pause than there are registers, of both kinds.
#[inline(always)]
fn busy(seed: u64, mut pause: impl FnMut(u64) -> u64) -> (u64, f64) {
    let mut whole: [u64; 20] = std::array::from_fn(|i| seed + i as u64);
    let mut real: [f64; 20] = std::array::from_fn(|i| (seed + i as u64) as f64);
    for _ in 0..50 {
        let answer = pause(whole[0] ^ seed);
        for (i, value) in whole.iter_mut().enumerate() {
            *value = value.wrapping_mul(3).wrapping_add(answer + i as u64);
        }
        for (i, value) in real.iter_mut().enumerate() {
            *value = *value * 0.75 + (answer % 1000 + i as u64) as f64;
        }
    }
    (whole.iter().fold(0, |sum, value| sum ^ value), real.iter().sum())
}

/// What `busy` comes to where nothing is switched.
fn expected(seed: u64) -> (u64, f64) {
    busy(seed, |value| black_box(value.rotate_left(7) % 100_000))
}

#[test]
fn both_sides_keep_their_values_in_registers_and_on_their_stacks() {
    let mut inside = coroutine(|y: &mut Yielder<u64, u64>| busy(black_box(3), |value| y.yield_(value).unwrap_or(0)));
    let mut given = inside.resume().unwrap();
    let mut result = None;
    // The resumer is as busy as the body.
    let outside = busy(black_box(11), |value| {
        if let Step::Yielded(value) = given {
            given = inside.send(value.rotate_left(7) % 100_000).unwrap();
        }
        if let Step::Returned(returned) = given {
            result = Some(returned);
        }
        value.rotate_left(7) % 100_000
    });
    assert_eq!(outside, expected(11));
    assert_eq!(result.unwrap(), expected(3));
}

#[test]
fn each_of_many_coroutines_keeps_its_own() {
    let body = |seed| move |y: &mut Yielder<u64, u64>| busy(seed, |value| y.yield_(value).unwrap_or(0));
    let mut all: Vec<Coroutine<u64, u64, (u64, f64)>> = (0..64).map(|seed| coroutine(body(seed))).collect();
    let mut given: Vec<_> = all.iter_mut().map(|co| co.resume().unwrap()).collect();
    for _ in 0..50 {
        for (co, given) in all.iter_mut().zip(&mut given) {
            let Step::Yielded(value) = *given else { unreachable!("it yields fifty times") };
            *given = co.send(value.rotate_left(7) % 100_000).unwrap();
        }
    }
    for (seed, given) in given.into_iter().enumerate() {
        assert_eq!(given, Step::Returned(expected(seed as u64)));
    }
}

#[test]
fn a_body_finds_its_stack_aligned_as_functions_expect_it() {
    #[repr(align(16))]
    struct Aligned(u8);
    let mut co = coroutine(|y: &mut Yielder<usize>| {
        let aligned = black_box(Aligned(1));
        y.yield_(&raw const aligned.0 as usize);
        // Aligned instructions, which fault where they are misled.
        let vectors = black_box([[1.0_f32, 2.0, 3.0, 4.0]; 4]);
        y.yield_(vectors.iter().flatten().sum::<f32>() as usize);
    });
    assert!(co.next().unwrap().is_multiple_of(16));
    assert_eq!(co.next(), Some(40));
}

/// The processor's trap flag stops it after each instruction: the switch gets a signal at every one of them, and the handler
/// looks for the way back from there, as a profiler's does.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_signal_at_any_instruction_of_a_switch_harms_nobody() {
    static SIGNALS: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn scribble(_: libc::c_int) {
        // All the stack that a handler may use of whatever it has interrupted.
        black_box(&mut black_box([0xa5_u8; 1024]));
        let mut trace = [std::ptr::null_mut(); 64];
        // SAFETY: it writes to so many places at most. It allocates nothing after its first call.
        let frames = unsafe { libc::backtrace(trace.as_mut_ptr(), 64) };
        assert!(frames > 1, "at least where it was interrupted");
        SIGNALS.fetch_add(1, Ordering::Relaxed);
    }
    #[inline(always)]
    fn step_by_instructions(on: bool) {
        const TRAP: u64 = 0x100;
        let (set, clear) = if on { (TRAP, !0) } else { (0, !TRAP) };
        // SAFETY: changes the flag alone, for which the handler is there.
        unsafe {
            std::arch::asm!(
                "pushfq", "and qword ptr [rsp], {clear}", "or qword ptr [rsp], {set}", "popfq",
                set = in(reg) set, clear = in(reg) clear
            );
        }
    }
    // SAFETY: all zeros is a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // Without an alternate stack: on the one that is switched from or to.
    action.sa_sigaction = scribble as *const () as usize;
    // SAFETY: all zeros is a valid `sigaction`.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: the handler does only what a handler may.
    unsafe { libc::sigaction(libc::SIGTRAP, &raw const action, &raw mut before) };
    // The first one loads what the others need.
    // SAFETY: it writes to one place at most.
    unsafe { libc::backtrace([std::ptr::null_mut()].as_mut_ptr(), 1) };
    // The handler runs on this stack.
    let roomy = Builder::new().stack_size(256 * 1024);
    let body = |y: &mut Yielder<u64, u64>| {
        let mut sum = 0_u64;
        loop {
            sum = sum.wrapping_add(y.yield_(sum).unwrap_or(0));
        }
    };
    let mut co: Coroutine<u64, u64> = roomy.coroutine(body).unwrap();
    assert_eq!(co.resume().unwrap(), Step::Yielded(0));
    let (mut wrong, mut sum) = (0, 0);
    step_by_instructions(true);
    for round in 0..200 {
        sum += round;
        wrong += u32::from(!matches!(co.send(round), Ok(Step::Yielded(answer)) if answer == sum));
    }
    step_by_instructions(false);
    // SAFETY: as it was.
    unsafe { libc::sigaction(libc::SIGTRAP, &raw const before, std::ptr::null_mut()) };
    assert_eq!(wrong, 0);
    // Some sixty instructions each way and back, in the fastest build.
    assert!(SIGNALS.load(Ordering::Relaxed) > 200 * 40);
}

thread_local! {
    /// What the function below calls.
    static WORK: Cell<*mut dyn FnMut()> = const { Cell::new(std::ptr::null_mut::<fn()>()) };
}

/// The first function of a stack that a runtime has made.
unsafe extern "C" fn works(_: usize, link: *const Link, _: *mut ()) -> ! {
    // SAFETY: this is the first function.
    unsafe { switch::begin(link) };
    // SAFETY: `on_stack` has put it there and waits.
    unsafe { (*WORK.get())() };
    // SAFETY: nothing is left.
    unsafe { switch::end(link, 0) }
}

/// Calls a function that does not panic on a stack with such a top.
fn on_stack(top: *mut (), lies_on: impl FnOnce(&Link), mut work: impl FnMut()) {
    let link = Link::new(works);
    lies_on(&link);
    let work: *mut (dyn FnMut() + '_) = &raw mut work;
    // SAFETY: it is called before this returns.
    WORK.set(unsafe { std::mem::transmute::<*mut (dyn FnMut() + '_), *mut (dyn FnMut() + 'static)>(work) });
    // SAFETY: callers hand over the top of an unused stack.
    let stack_pointer = unsafe { switch::prepare(top) };
    // SAFETY: just prepared; the link is new.
    unsafe { switch::resume(stack_pointer, &raw const link, 0) };
}

fn is_refused(y: &mut Yielder<u64>) -> bool {
    let panic = catch_unwind(AssertUnwindSafe(|| y.yield_(1))).unwrap_err();
    panic.downcast_ref::<&str>().is_some_and(|words| words.starts_with("yield from another task"))
}

#[test]
fn a_yield_does_not_pass_a_stack_that_is_no_coroutines() {
    let body = |y: &mut Yielder<u64>| {
        let stack = Stacks::of_size(256 * 1024).unwrap().take("task", None).unwrap();
        let mut refused = 0;
        let top = std::ptr::with_exposed_provenance_mut(stack.top());
        on_stack(top, |link| link.lie_on(stack.place()), || refused += u64::from(is_refused(y)));
        // Nor what is resumed there.
        on_stack(
            top,
            |link| link.lie_on(stack.place()),
            || {
                let body = |_: &mut Yielder<u64>| refused += u64::from(is_refused(y));
                let roomy = Builder::new().stack_size(256 * 1024);
                roomy.scoped(body, |co| co.for_each(drop)).map_err(drop).unwrap();
            },
        );
        y.yield_(refused);
    };
    let mut co = Builder::new().stack_size(256 * 1024).coroutine(body).unwrap();
    assert_eq!(co.next(), Some(2));
}

/// The address sanitizer would have to be told where that stack lies.
#[cfg(not(kettle_asan))]
#[test]
fn a_yield_does_not_pass_a_stack_that_came_from_elsewhere() {
    let body = |y: &mut Yielder<u64>| {
        let mut memory = vec![0_u128; 16 * 1024];
        let mut refused = 0;
        on_stack(memory.as_mut_ptr_range().end.cast(), |_| (), || refused += u64::from(is_refused(y)));
        y.yield_(refused);
    };
    let mut co = Builder::new().stack_size(256 * 1024).coroutine(body).unwrap();
    assert_eq!(co.next(), Some(1));
}
