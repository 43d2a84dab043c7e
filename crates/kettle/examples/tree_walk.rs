//! The same walk through the same tree with both bodies: plain recursion on a stack of its own, and `yield_from`
//! between state machines. Run it: `cargo run -p kettle --example tree_walk`

use kettle::fiber::{self, scoped};
use kettle::{BoxGenerator, boxed, generator};

struct Node {
    word: &'static str,
    children: Vec<Node>,
}

fn node(word: &'static str, children: impl Into<Vec<Node>>) -> Node {
    Node { word, children: children.into() }
}

/// Stackful: an ordinary recursive function that is handed the yielder.
fn visit<'t>(node: &'t Node, depth: usize, y: &mut fiber::Yielder<(usize, &'t str)>) {
    y.yield_((depth, node.word));
    for child in &node.children {
        visit(child, depth + 1, y);
    }
}

/// Stackless: each level is a generator, boxed because a type can't contain itself. A value takes one step to the
/// caller, however deep it comes from.
fn walk(node: &Node, depth: usize) -> BoxGenerator<'_, (usize, &str)> {
    boxed(generator(async move |y| {
        y.yield_((depth, node.word)).await;
        for child in &node.children {
            y.yield_from(walk(child, depth + 1)).await;
        }
    }))
}

fn main() {
    let tree =
        node("tea", [node("water", [node("kettle", []), node("fire", [])]), node("leaves", []), node("cup", [])]);

    let stackful: Vec<_> = scoped(|y| visit(&tree, 0, y), |walk| walk.collect());
    let stackless: Vec<_> = walk(&tree, 0).collect();
    assert_eq!(stackful, stackless);

    let words: Vec<_> = stackless.iter().map(|(_, word)| *word).collect();
    assert_eq!(words, ["tea", "water", "kettle", "fire", "leaves", "cup"]);
    for (depth, word) in stackless {
        println!("{:1$}{word}", "", depth * 2);
    }
}
