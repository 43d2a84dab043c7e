//! Chapter 3: values go in, PEP 342.

use crate::python::twin;
use crate::text::Text;
use crate::tour::{Beside, Chapter, Outcome, Output, Step};
use kettle::{Generator, generator};

pub(crate) const CHAPTER: Chapter = Chapter {
    title: Text { en: "Enhanced generators: PEP 342", zh: "增强生成器：PEP 342" },
    source: include_str!("send.rs"),
    steps: &[
        Step {
            name: "gen",
            title: Text { en: "send: a value comes back down", zh: "send：把值送回去" },
            text: Text {
                en: "`receive = yield value` does three things: it hands `value` out, pauses, and, once resumed, gives
                     what was sent. So the first call can only start the generator (`g.send(None)` there, `resume` here),
                     and each `send` brings the value of the yield at which it waits.

                     `resume` gives the yield `None`, `send(v)` gives it `Some(v)`. Here `gen` is called `echo`: it is a
                     reserved word in Rust 2024.",
                zh: "`receive = yield value` 分三步执行：把 `value` 交出去，暂停，被唤醒后再取得送进来的值。所以第一次调用只能用来启动
                     生成器（Python 用 `g.send(None)`，这里用 `resume`），此后每次 `send` 送进来的值，就是它停在那个 yield
                     处所得到的结果。

                     `resume` 使 yield 得到 `None`，`send(v)` 使它得到 `Some(v)`。`gen` 是 Rust 2024 的保留字，
                     所以这里改名为 `echo`。",
            },
            beside: Beside::Python(twin!("gen")),
            run: run_gen,
        },
        Step {
            name: "priming",
            title: Text { en: "start it before you send", zh: "先启动，再发送" },
            text: Text {
                en: "A generator that was not started waits at no yield, so no yield could take the value. Python raises
                     `TypeError`. Here `send` gives an error that hands the value back: nothing is lost, and the
                     generator can still be started.",
                zh: "还没有启动的生成器并没有停在任何一个 yield 上，送进去的值无处可去。Python 会抛出 `TypeError`；这里的 `send`
                     返回一个错误，并把值原样交还：什么也没有丢失，生成器照样可以再启动。",
            },
            beside: Beside::Python(twin!("priming")),
            run: run_priming,
        },
        Step {
            name: "jumping_range",
            title: Text { en: "the caller steers", zh: "由调用者控制序列" },
            text: Text {
                en: "The value sent in changes how the sequence goes on. `unwrap_or(1)` says what Python's
                     `if jump is None: jump = 1` says. `iter` iterates over what is left, also of a generator that can
                     be sent values.",
                zh: "送进来的值会改变序列后面的走向。`unwrap_or(1)` 就相当于 Python 的 `if jump is None: jump = 1`。能接收值的生成器
                     也可以用 `iter` 来遍历余下的部分。",
            },
            beside: Beside::Python(twin!("jumping_range")),
            run: run_jumping_range,
        },
    ],
    learned: Text {
        en: "`send` makes a yield an expression: values go in as well as out. The first thing is always a `resume`.",
        zh: "有了 `send`，yield 就成了表达式：值不仅能出来，也能进去。但第一步总是 `resume`。",
    },
};

// listing: gen
fn echo() -> impl Generator<Yield = String, Send = &'static str> {
    generator(async |y| {
        let mut value = "0".to_string();
        loop {
            let receive = y.yield_(value).await;
            if receive == Some("e") {
                break;
            }
            value = format!("got: {}", receive.unwrap_or("None"));
        }
    })
}

fn run_gen(out: &Output) -> Outcome {
    let mut g = echo();
    out.print_answer(g.resume()?);
    out.print_answer(g.send("hello")?);
    out.print_answer(g.send("e")?);
    g.close()?;
    Ok(())
}
// end of listing

// listing: priming
fn run_priming(out: &Output) -> Outcome {
    let mut g = echo();
    if let Err(refused) = g.send("hello") {
        if refused.error().is_not_started() {
            out.print("not started");
        }
        let value = refused.into_value().ok_or("kept")?;
        out.print_answer(g.resume()?);
        out.print_answer(g.send(value)?);
    }
    Ok(())
}
// end of listing

// listing: jumping_range
fn jumping_range(up_to: i32) -> impl Generator<Yield = i32, Send = i32> {
    generator(async move |y| {
        let mut index = 0;
        while index < up_to {
            let jump = y.yield_(index).await.unwrap_or(1);
            index += jump;
        }
    })
}

fn run_jumping_range(out: &Output) -> Outcome {
    let mut iterator = jumping_range(5);
    out.print_answer(iterator.resume()?);
    out.print_answer(iterator.send(2)?);
    out.print_answer(iterator.resume()?);
    out.print_answer(iterator.send(-1)?);
    for x in iterator.iter() {
        out.print(x);
    }
    Ok(())
}
// end of listing
