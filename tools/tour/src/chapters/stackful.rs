//! Chapter 6: the other body, a coroutine with a stack of its own.

use crate::python::twin;
use crate::text::Text;
use crate::tour::{Beside, Chapter, Outcome, Output, Step};
use kettle::fiber::Yielder;
use kettle::{Coroutine, Error, Generator, coroutine, scoped};
use std::time::Instant;

pub(crate) const CHAPTER: Chapter = Chapter {
    title: Text { en: "Coroutines with a stack of their own", zh: "自带调用栈的协程" },
    source: include_str!("stackful.rs"),
    steps: &[
        Step {
            name: "tree_walk",
            title: Text { en: "yield from plain recursion", zh: "在普通递归中 yield" },
            text: Text {
                en: "The generators so far are state machines: only the body itself can yield. `coroutine` gives a body
                     a call stack of its own, and it can yield from any depth of ordinary calls. `walk` is plain
                     recursion that is handed `y`; no `await`, no `yield from`. The protocol is the same: resume, send,
                     throw, close, return values, iteration.",
                zh: "前面的生成器都是状态机，只有函数体自己能够 yield。`coroutine` 则给函数体配上独立的调用栈，在任意深的普通调用里都能
                     yield。这里的 `walk` 只是拿着 `y` 的普通递归，既不用 `await`，也不用 `yield from`。协议则完全相同：resume、
                     send、throw、close、返回值、遍历，一样不少。",
            },
            beside: Beside::Python(twin!("tree_walk")),
            run: run_tree_walk,
        },
        Step {
            name: "scoped",
            title: Text { en: "borrow, and yield out of a callback", zh: "借用数据，并从回调中 yield" },
            text: Text {
                en: "A body on its own stack may yield inside functions that know nothing of it: here in the closure
                     that std's `for_each` calls. What pushes values into a callback becomes an iterator to pull from.
                     This body borrows `text`. So it lives in `scoped`: when the second closure ends, the coroutine is
                     gone, whatever the closure did with it.",
                zh: "有了自己的栈，即使隔着对协程一无所知的函数也能 yield：这里就是在标准库 `for_each` 所调用的闭包里。原本向回调“推”
                     数据的代码，就这样变成了可以从中“拉”数据的迭代器。函数体借用了 `text`，因此要放在 `scoped` 里：第二个闭包
                     一结束，协程必定已经清理完毕，无论闭包对它做过什么。",
            },
            beside: Beside::Python(twin!("scoped")),
            run: run_scoped,
        },
        Step {
            name: "many",
            title: Text { en: "a hundred thousand alive at once", zh: "十万个协程同时存活" },
            text: Text {
                en: "The tutorial says that a million switches a second are no burden. Here a hundred thousand
                     coroutines, each with a guarded stack, are resumed in turn. Every resume switches into a coroutine
                     and back out of it, and is counted once. No thread, no lock.

                 Among a few coroutines a switch costs next to nothing. Among a hundred thousand it waits for memory: each
                 has stack pages of its own, and they no longer fit into the cache. Python's generators are smaller, so
                 they lose less there.",
                zh: "教程说：一秒钟切换上百万次，系统都扛得住。这里有十万个协程同时存活，各有一个带保护页的栈，轮流被唤醒。每次唤醒都要
                     切换进去再切换出来，只算作一次。没有线程，也没有锁。

                 协程不多时，切换几乎没有开销；多到十万个时，时间主要花在等内存上：每个协程都有自己的栈内存页，缓存装不下了。Python 的
                 生成器占用内存更小，所以在这里损失也小一些。",
            },
            beside: Beside::Python(twin!(measured "many")),
            run: run_many,
        },
    ],
    learned: Text {
        en: "A coroutine with a stack of its own yields from any depth of ordinary calls. The protocol is the same.",
        zh: "自带调用栈的协程，在任意深的普通调用里都能 yield；协议还是同一套。",
    },
};

// listing: tree_walk
enum Tree {
    Leaf,
    Node(Box<(Tree, u32, Tree)>),
}

fn tree(low: u32, high: u32) -> Tree {
    if low == high {
        return Tree::Leaf;
    }
    let middle = low.midpoint(high);
    let node = (tree(low, middle), middle, tree(middle + 1, high));
    Tree::Node(Box::new(node))
}

fn walk(tree: &Tree, y: &mut Yielder<u32>) {
    if let Tree::Node(node) = tree {
        walk(&node.0, y);
        y.yield_(node.1);
        walk(&node.2, y);
    }
}

fn run_tree_walk(out: &Output) -> Outcome {
    let tree = tree(0, 7);
    for value in coroutine(move |y| walk(&tree, y)) {
        out.print(value);
    }
    Ok(())
}
// end of listing

// listing: scoped
fn run_scoped(out: &Output) -> Outcome {
    let text = String::from("put the whistling kettle on");
    scoped(
        |y| {
            text.split(' ').for_each(|word| {
                y.yield_(word);
            });
        },
        |words| {
            for word in words.filter(|word| word.len() > 3) {
                out.print(word);
            }
        },
    );
    Ok(())
}
// end of listing

// listing: many
fn count() -> Coroutine<u64> {
    coroutine(|y| {
        for n in 0.. {
            y.yield_(n);
        }
    })
}

fn switches_a_second(coroutines: u32) -> Result<f64, Error> {
    let mut all: Vec<_> = (0..coroutines).map(|_| count()).collect();
    // They start, and all stay alive.
    for coroutine in &mut all {
        coroutine.resume()?;
    }
    let rounds = 1_000_000 / coroutines;
    let start = Instant::now();
    for _ in 0..rounds {
        for coroutine in &mut all {
            coroutine.resume()?;
        }
    }
    Ok(f64::from(rounds * coroutines) / start.elapsed().as_secs_f64())
}

fn run_many(out: &Output) -> Outcome {
    for alive in [100, 100_000] {
        let rate = switches_a_second(alive)? / 1e6;
        out.print(format_args!("{alive:>6}: {rate:>5.1} million a second"));
    }
    Ok(())
}
// end of listing
