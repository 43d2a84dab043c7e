//! Owns the rows of many suspended coroutines at a time: what each costs in memory, and how many there can be.
//!
//! Both are measured in processes of their own, which die with what they made.

use super::Sizes;
use crate::machine::own_bytes;
use crate::measure::{Row, Target};
use crate::outside::itself;
use kettle::fiber::Builder;
use kettle::{Coroutine, Generator, Step};
use std::io::Write;
use std::process;

/// What a million are to cost at most: a touched page, its page table, and a tenth of a page for the rest.
const MOST_BYTES: f64 = 4.3 * 1024.0;

/// The rows.
pub(super) fn rows(sizes: &Sizes) -> [Row; 2] {
    let count: u64 = if sizes.quick { 50_000 } else { 1_000_000 };
    let arguments = |mode: &str| vec![mode.to_owned(), count.to_string()];
    let mut bytes = Row::new("suspended-memory", format!("resident memory of each of {count} suspended coroutines"));
    bytes.unit = "bytes";
    let mut number =
        Row::new("suspended-count", format!("how many can be suspended at a time, with guards, up to {count}"));
    number.unit = "coroutines";
    let all = itself("kettle coroutines", arguments("--count-kettle"));
    [
        bytes.with(itself("kettle coroutines", arguments("--suspend")).to_reach(Target::AtMost(MOST_BYTES))),
        number.with(all).with(itself("corosensei, its own stacks", arguments("--count-corosensei"))),
    ]
}

fn suspended() -> Option<Coroutine<u64>> {
    let body = |y: &mut kettle::fiber::Yielder<u64>| {
        y.yield_(1);
    };
    let mut coroutine = Builder::new().stack_size(64 << 10).coroutine(body).ok()?;
    matches!(coroutine.resume(), Ok(Step::Yielded(1))).then_some(coroutine)
}

/// Suspends so many coroutines, prints what each added to the resident memory, and ends the process without unwinding
/// them.
pub fn suspend(count: u64) -> ! {
    let mut all = Vec::with_capacity(count as usize);
    // One to set up what is there once.
    all.extend(suspended());
    let before = own_bytes("VmRSS:").unwrap_or(0);
    for _ in 1..count {
        let Some(coroutine) = suspended() else {
            eprintln!("no more than {} coroutines can be suspended", all.len());
            process::exit(1);
        };
        all.push(coroutine);
    }
    let after = own_bytes("VmRSS:").unwrap_or(0);
    println!("{}", (after - before) as f64 / (count - 1) as f64);
    process::exit(0);
}

/// Suspends coroutines, by corosensei's own stacks or by Kettle, up to so many or until there are no more; prints how
/// many there are again and again, because what comes then may be the end of the process.
pub fn count_until_refused(most: u64, corosensei: bool) -> ! {
    let mut rivals = Vec::new();
    let mut all = Vec::new();
    for number in 1..=most {
        if corosensei {
            let Ok(stack) = corosensei::stack::DefaultStack::new(64 << 10) else { break };
            let mut coroutine =
                corosensei::Coroutine::with_stack(stack, |y: &corosensei::Yielder<(), u64>, ()| y.suspend(1));
            coroutine.resume(());
            rivals.push(coroutine);
        } else {
            let Some(coroutine) = suspended() else { break };
            all.push(coroutine);
        }
        if number % 50 == 0 {
            let mut out = std::io::stdout().lock();
            let said = writeln!(out, "{number}").and_then(|()| out.flush());
            if said.is_err() {
                break;
            }
        }
    }
    process::exit(0);
}
