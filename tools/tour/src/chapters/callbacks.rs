//! Chapter 9: callbacks, and the same without them.

use crate::python::twin;
use crate::text::Text;
use crate::tour::{Beside, Chapter, Outcome, Output, Step, stored};
use kettle::{Done, callback, timeout};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

pub(crate) const CHAPTER: Chapter = Chapter {
    title: Text { en: "Coroutines and callbacks", zh: "协程与回调" },
    source: include_str!("callbacks.rs"),
    steps: &[
        Step {
            name: "in_pieces",
            title: Text { en: "a job in pieces", zh: "切成碎片的代码" },
            text: Text {
                en: "Here is an API of somebody else: its functions return at once, and call back from a thread of their
                     own when they are done. A job of two steps is in two pieces then, one inside the other. Each piece
                     passes on what went wrong, what one needs of another has to be carried along, and who wants the
                     result arranges to be told.",
                zh: "这里有一套别人的 API：函数立即返回，做完之后从自己的线程回调。于是两步的一件事就成了嵌套的两片：每一片都要自己把错误
                     往下传，一片要用另一片的数据就得一路带着，想要结果的人还得另外安排怎样得到通知。",
            },
            beside: Beside::Python(twin!("in_pieces")),
            run: run_in_pieces,
        },
        Step {
            name: "in_one_piece",
            title: Text { en: "the same in one piece", zh: "合成一段" },
            text: Text {
                en: "The same API, the same job. `callback` starts an operation, hands it what it is to call (`done`), and
                     suspends the task until that has been called, from whatever thread. What it was called with is the
                     value of the call. So the steps stand one below the other, and `?` is enough for errors.

                     The first `?` of each line asks whether it was called at all, the second what it said. `ask` is
                     from the listing before; Python's coroutine waits for a future that the callback sets.",
                zh: "API 没变，要做的事也没变。`callback` 启动一个操作，把要回调的东西（`done`）交给它，然后挂起任务，直到它被调用，不论
                     是从哪个线程；调用时给的值就是 `callback` 的值。于是各步一行接一行地写下去，出错只需一个 `?`。

                     每行的第一个 `?` 问的是到底有没有回调，第二个问的是回调说了什么。`ask` 来自上一段代码；Python 的协程则是等待一个由
                     回调来设置结果的 future。",
            },
            beside: Beside::Python(twin!("in_one_piece")),
            run: run_in_one_piece,
        },
        Step {
            name: "uncalled",
            title: Text { en: "the callback that never comes", zh: "永远不来的回调" },
            text: Text {
                en: "A callback may be forgotten by who should call it. If it is dropped, as by a thread that panics or
                     returns early, whoever waits is told: `Uncalled`, an error and not a hang. If it is kept and never
                     called, a `timeout` ends the wait as it ends any other. And who calls when nobody waits any more
                     gets the value back from `try_call`: nothing is lost in between.",
                zh: "该调用回调的一方可能会忘记。如果它把回调丢弃了，比如线程提前返回，等待的一方会得知：得到的是错误 `Uncalled`，而不是
                     永远等下去。如果它一直留着却不调用，`timeout` 会像结束别的等待一样结束这次等待。等的人已经走了才调用，`try_call` 会把值
                     原样交还：什么都不会在途中丢失。",
            },
            beside: stored!("uncalled"),
            run: run_uncalled,
        },
    ],
    learned: Text {
        en: "Callbacks and coroutines do the same work. `callback` makes an ordinary call of any API that calls back, with
             errors, time limits and cancelling; `on_done`, of the chapter before, goes the other way.",
        zh: "回调和协程做的是同样的事。`callback` 把任何带回调的 API 变成普通的调用，错误、时限、取消一应俱全；上一章的 `on_done` 则是反方向。",
    },
};

// listing: in_pieces
type Answer = Result<u32, String>;

/// Somebody else's API: returns at once, calls back from a thread.
fn ask(cups: u32, most: u32, done: impl FnOnce(Answer) + Send + 'static) {
    thread::spawn(move || {
        done(match cups <= most {
            true => Ok(cups),
            false => Err(format!("{cups} cups are too many")),
        })
    });
}

fn tea(cups: u32, done: impl FnOnce(Answer) + Send + 'static) {
    ask(cups, 9, move |boiled| match boiled {
        Err(error) => done(Err(error)),
        Ok(boiled) => ask(boiled, 4, move |poured| match poured {
            Err(error) => done(Err(error)),
            Ok(poured) => done(Ok(poured)),
        }),
    });
}

fn run_in_pieces(out: &Output) -> Outcome {
    for cups in [2, 6, 40] {
        let (tell, told) = mpsc::channel();
        tea(cups, move |answer| _ = tell.send(answer));
        match told.recv()? {
            Ok(cups) => out.print(format_args!("{cups} cups of tea")),
            Err(error) => out.print(error),
        }
    }
    Ok(())
}
// end of listing

// listing: in_one_piece
fn serve(cups: u32) -> Result<u32, Box<dyn std::error::Error>> {
    let boiled = callback(|done| ask(cups, 9, done.into_fn()))??;
    let poured = callback(|done| ask(boiled, 4, done.into_fn()))??;
    Ok(poured)
}

fn run_in_one_piece(out: &Output) -> Outcome {
    for cups in [2, 6, 40] {
        match kettle::run(|| serve(cups)) {
            Ok(cups) => out.print(format_args!("{cups} cups of tea")),
            Err(error) => out.print(error),
        }
    }
    Ok(())
}
// end of listing

// listing: uncalled
fn run_uncalled(out: &Output) -> Outcome {
    kettle::run(|| {
        let forget = |done: Done<u32>| thread::spawn(move || drop(done));
        let forgotten = callback(forget);
        out.print(forgotten.expect_err("nobody calls"));

        let mut kept = None;
        let time = Duration::from_millis(50);
        let late = timeout(time, || callback(|done| kept = Some(done)));
        out.print(late.expect_err("nobody calls in time"));

        let back = kept.map(|done| done.try_call("tea"));
        out.print(format_args!("called too late: {back:?}"));
    });
    Ok(())
}
// end of listing
