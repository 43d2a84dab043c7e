//! A program for a build in which panics abort; `aborts.rs` makes a package of it. Its argument says what it does.

use kettle_fiber::{Coroutine, Yielder, coroutine, pool, scoped};
use std::mem::forget;

/// Says that it was dropped, which is what must not happen.
struct Loud;

impl Drop for Loud {
    fn drop(&mut self) {
        println!("dropped");
    }
}

fn suspended() -> Coroutine<usize> {
    let mut co = coroutine(|y: &mut Yielder<usize>| {
        let loud = Loud;
        let local = 7_usize;
        y.yield_(std::ptr::from_ref(&local).addr());
        y.yield_(local);
        forget(loud);
    });
    assert!(co.next().is_some());
    co
}

fn in_use() -> usize {
    pool::usage().iter().map(|usage| usage.in_use).sum()
}

fn main() {
    assert!(cfg!(panic = "abort"));
    match std::env::args().nth(1).as_deref() {
        Some("owned") => {
            // Leaked: its destructors don't run, its stack is not used again.
            for leaked in 1..=10 {
                drop(suspended());
                assert_eq!(in_use(), leaked);
            }
            // Those that are not suspended give their stacks back.
            drop(coroutine(|y: &mut Yielder<usize>| y.yield_(1)));
            let mut co = suspended();
            assert_eq!(co.by_ref().collect::<Vec<_>>(), [7]);
            drop(co);
            assert_eq!(in_use(), 10);
        }
        Some("closed") => {
            use kettle_gen::Generator;
            let mut co = suspended();
            assert!(co.close().unwrap().is_none());
            assert!(co.resume().unwrap_err().is_finished());
            let mut co = coroutine(|y: &mut Yielder<usize>| y.try_yield(1).unwrap_err().is_exit());
            co.resume().unwrap();
            assert_eq!(co.close().unwrap(), Some(true), "a body that sees its exit needs no unwinding");
            drop(co);
            let mut outer = coroutine(|y: &mut Yielder<usize>| y.yield_from(suspended()));
            assert!(outer.next().is_some());
            assert!(outer.close().unwrap().is_none());
            drop(outer);
            assert_eq!(in_use(), 3);
        }
        Some("scoped") => {
            let text = String::from("borrowed");
            scoped(
                |y: &mut Yielder<usize>| {
                    y.yield_(text.len());
                    println!("{text}");
                },
                |mut co| assert_eq!(co.next(), Some(8)),
            );
        }
        Some("scoped to its end") => {
            let text = String::from("borrowed");
            let all = scoped(|y: &mut Yielder<usize>| y.yield_iter(0..text.len()), |co| co.count());
            assert_eq!((all, in_use()), (8, 0));
        }
        other => unreachable!("no scenario {other:?}"),
    }
    println!("end");
}
