//! Owns the rows of a recursive walk over a tree.

use super::Sizes;
use crate::measure::{Contender, Row, Target};
use crate::work::{Tree, WalkByHand, hash, tree};
use corosensei::{CoroutineResult, ScopedCoroutine};
use kettle::BoxGenerator;
use std::hint::black_box;
use std::rc::Rc;

const COROSENSEI: &str = "corosensei, recursion";
const BY_HAND: &str = "hand-written iterator";
const NIGHTLY: &str = "nightly gen blocks, boxed recursion";

/// The rows.
pub(super) fn rows(sizes: &Sizes) -> [Row; 2] {
    let count = sizes.of(1 << 20);
    let tree = Rc::new(tree(0, count));
    [stackful(sizes, count, &tree), stackless(sizes, count, &tree)]
}

fn stackful(sizes: &Sizes, count: u64, tree: &Rc<Tree>) -> Row {
    let (by_corosensei, by_kettle, by_generator, by_hand) = (tree.clone(), tree.clone(), tree.clone(), tree.clone());
    Row::new("tree-stackful", format!("a node of a tree of {count}, walked by a recursive function that yields"))
        .with(Contender::timed(COROSENSEI, count, move || {
            let tree = black_box(&by_corosensei);
            ScopedCoroutine::new(|y: &corosensei::Yielder<(), u64>, ()| walk_corosensei(y, tree)).scope(|mut values| {
                hash(std::iter::from_fn(|| match values.resume(()) {
                    CoroutineResult::Yield(value) => Some(value),
                    CoroutineResult::Return(()) => None,
                }))
            })
        }))
        .with(
            Contender::timed("kettle, recursion", count, move || {
                let tree = black_box(&by_kettle);
                kettle::scoped(|y| walk_kettle(y, tree), |values| hash(values))
            })
            .to_reach(Target::Times(1.0, COROSENSEI)),
        )
        .with(Contender::timed("generator-rs, recursion", count, move || {
            let tree = black_box(&by_generator);
            hash(generator::Gn::<()>::new_scoped_local(|mut scope| {
                walk_generator(&mut scope, tree);
                generator::done!()
            }))
        }))
        .with(Contender::timed(BY_HAND, count, move || hash(WalkByHand::new(black_box(&by_hand)))))
        .with_any(sizes.programs.python("tree", sizes.of_slow(1 << 20)))
}

fn stackless(sizes: &Sizes, count: u64, tree: &Rc<Tree>) -> Row {
    let (by_hand, by_kettle) = (tree.clone(), tree.clone());
    let nightly = sizes.programs.nightly(NIGHTLY, "tree", count);
    let mut kettle = Contender::timed("kettle, yield_from(walk(..))", count, move || hash(walk(black_box(&by_kettle))));
    if nightly.is_some() {
        kettle = kettle.to_reach(Target::Times(0.5, NIGHTLY));
    }
    Row::new("tree-stackless", format!("a node of a tree of {count}, walked by a generator that delegates to itself"))
        .with(Contender::timed(BY_HAND, count, move || hash(WalkByHand::new(black_box(&by_hand)))))
        .with(kettle)
        .with_any(nightly)
        .with_any(sizes.programs.python("tree", sizes.of_slow(1 << 20)))
}

fn walk_corosensei(y: &corosensei::Yielder<(), u64>, tree: &Tree) {
    if let Some(node) = tree {
        walk_corosensei(y, &node.left);
        y.suspend(node.value);
        walk_corosensei(y, &node.right);
    }
}

fn walk_kettle(y: &mut kettle::fiber::Yielder<u64>, tree: &Tree) {
    if let Some(node) = tree {
        walk_kettle(y, &node.left);
        y.yield_(node.value);
        walk_kettle(y, &node.right);
    }
}

fn walk_generator(scope: &mut generator::Scope<'_, '_, (), u64>, tree: &Tree) {
    if let Some(node) = tree {
        walk_generator(scope, &node.left);
        scope.yield_with(node.value);
        walk_generator(scope, &node.right);
    }
}

/// As in the docs.
fn walk(tree: &Tree) -> BoxGenerator<'_, u64> {
    kettle::boxed(kettle::generator(async move |y| {
        if let Some(node) = tree {
            y.yield_from(walk(&node.left)).await;
            y.yield_(node.value).await;
            y.yield_from(walk(&node.right)).await;
        }
    }))
}
