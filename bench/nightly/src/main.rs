//! What nightly Rust has: `gen` blocks and `#[coroutine]`, doing the work of the benchmarks' rows.
//!
//! `nightly-contenders CASE OPERATIONS` does it twice and prints the nanoseconds an operation of the second time.
#![feature(gen_blocks, coroutines, coroutine_trait, stmt_expr_attributes)]

#[path = "../../src/work.rs"]
#[allow(dead_code, reason = "shared with the other contenders")]
mod work;

use std::hint::black_box;
use std::ops::{Coroutine, CoroutineState};
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Instant;
use work::{LexerByHand, Tree, hash, hash_dynamic, hash_tokens, mix, text, tree};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let case = arguments.next().unwrap_or_default();
    let operations: u64 = arguments.next().and_then(|number| number.parse().ok()).unwrap_or(1000);
    let nanoseconds = match case.as_str() {
        "sum" => timed(operations, || range(black_box(operations)).sum()),
        "hash" => timed(operations, || hash(range(black_box(operations)))),
        "hash_coroutine" => timed(operations, || hash(ranged(black_box(operations)))),
        "dynamic" => timed(operations, || hash_dynamic(Box::new(range(black_box(operations))))),
        "send_coroutine" => timed(operations, || send(black_box(operations))),
        "lexer" => {
            // Here the operations are the bytes of the text.
            let text = text(operations as usize);
            let tokens = LexerByHand::new(&text).count() as u64;
            timed(tokens, || {
                let text = black_box(&text[..]);
                hash_tokens(gen move { lexer!(text, token => yield token) })
            })
        }
        "nested_10" => nested_timed(10, operations),
        "nested_100" => nested_timed(100, operations),
        "nested_1000" => nested_timed(1000, operations),
        "tree" => {
            let tree = tree(0, operations);
            timed(operations, || hash(walk(black_box(&tree))))
        }
        _ => {
            eprintln!("no case {case}");
            return ExitCode::from(2);
        }
    };
    println!("{nanoseconds}");
    ExitCode::SUCCESS
}

fn timed(operations: u64, mut work: impl FnMut() -> u64) -> f64 {
    black_box(work());
    let start = Instant::now();
    black_box(work());
    start.elapsed().as_nanos() as f64 / operations as f64
}

/// The chain is built and its first value taken before the clock starts.
fn nested_timed(depth: u64, operations: u64) -> f64 {
    let mut values = nested(depth, operations);
    let first = values.next().unwrap_or(0);
    let start = Instant::now();
    let mut last = first;
    for value in values {
        last = mix(last, value);
    }
    black_box(last);
    start.elapsed().as_nanos() as f64 / (operations - 1) as f64
}

fn range(count: u64) -> impl Iterator<Item = u64> {
    gen move { lazy_range!(count, value => yield value) }
}

fn ranged(count: u64) -> impl Iterator<Item = u64> {
    let mut values = #[coroutine]
    move || lazy_range!(count, value => yield value);
    std::iter::from_fn(move || match Pin::new(&mut values).resume(()) {
        CoroutineState::Yielded(value) => Some(value),
        CoroutineState::Complete(()) => None,
    })
}

fn send(count: u64) -> u64 {
    let mut total = #[coroutine]
    move |_: u64| running_total!(count, value => yield value);
    let mut total = Pin::new(&mut total);
    let mut hash = 0;
    let mut sent = 0;
    let mut state = total.as_mut().resume(0);
    loop {
        match state {
            CoroutineState::Yielded(value) => {
                hash = mix(hash, value);
                state = total.as_mut().resume(sent);
                sent += 3;
            }
            CoroutineState::Complete(value) => return mix(hash, value),
        }
    }
}

fn nested(depth: u64, count: u64) -> Box<dyn Iterator<Item = u64>> {
    if depth == 1 {
        return Box::new(range(count));
    }
    Box::new(gen move {
        for value in nested(depth - 1, count) {
            yield value;
        }
    })
}

fn walk(tree: &Tree) -> Box<dyn Iterator<Item = u64> + '_> {
    Box::new(gen move {
        if let Some(node) = tree {
            for value in walk(&node.left) {
                yield value;
            }
            yield node.value;
            for value in walk(&node.right) {
                yield value;
            }
        }
    })
}
