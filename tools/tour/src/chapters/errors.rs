//! Chapter 4: the rest of PEP 342, `close` and `throw`.

use crate::python::twin;
use crate::text::Text;
use crate::tour::{Beside, Chapter, Outcome, Output, Step};
use kettle::{Error, Generator, TryYielder, Yielder, generator, try_generator};

pub(crate) const CHAPTER: Chapter = Chapter {
    title: Text { en: "close and throw: PEP 342, second half", zh: "close 与 throw：PEP 342 的另一半" },
    source: include_str!("errors.rs"),
    steps: &[
        Step {
            name: "close",
            title: Text { en: "destructors are the finally blocks", zh: "析构函数就是 finally" },
            text: Text {
                en: "`close` asks a paused generator to end. Python raises `GeneratorExit` at the yield, and `finally`
                     blocks run on the way out. Here a plain `yield_` lets it pass, and what the body holds is dropped:
                     its destructors are the `finally` blocks. Dropping the generator itself does the same.",
                zh: "`close` 请求一个暂停中的生成器结束。Python 会在 yield 处抛出 `GeneratorExit`，沿途执行 `finally`。这里的
                     `yield_` 会让它直接穿过，函数体持有的东西随之析构：析构函数就是 `finally`。直接丢弃生成器（drop）效果相同。",
            },
            beside: Beside::Python(twin!("close")),
            run: run_close,
        },
        Step {
            name: "throw",
            title: Text { en: "an error arrives at the yield", zh: "在 yield 处收到错误" },
            text: Text {
                en: "`throw` raises an error where the generator waits. A body that wants to see errors is made by
                     `try_generator`. Its `try_yield` gives it the error, as `try` does in Python; `downcast` picks the type, as `except` does. What the body does not want goes on by `?`
                     and reaches the caller of `throw`. So does the exit that `close` asks for.",
                zh: "`throw` 在生成器停下的地方抛出一个错误。想看到错误的函数体用 `try_generator` 构造，其中的 `try_yield` 把错误交给函数体处理，如同 Python 的 `try`；`downcast`
                     按类型挑选，如同 `except`。函数体不想处理的错误由 `?` 继续向外抛，最终回到 `throw` 的调用者手里。
                     `close` 的退出请求走的也是这条路。",
            },
            beside: Beside::Python(twin!("throw")),
            run: run_throw,
        },
    ],
    learned: Text {
        en: "An error can be thrown in at the yield. `close` ends a generator there, and its destructors are the `finally`.",
        zh: "错误可以从 yield 处抛进去；`close` 让生成器就在那里结束，析构函数就是 `finally`。",
    },
};

// listing: close
struct File<'a>(&'a Output<'a>);

impl Drop for File<'_> {
    fn drop(&mut self) {
        self.0.print("file closed");
    }
}

fn run_close(out: &Output) -> Outcome {
    let mut lines = generator(async |y: &mut Yielder<_>| {
        let _file = File(out);
        y.yield_("line 1").await;
        y.yield_("line 2").await;
    });
    out.print_answer(lines.resume()?);
    lines.close()?;
    out.print("after close");
    out.print(lines.next().unwrap_or("StopIteration"));
    Ok(())
}
// end of listing

// listing: throw
fn run_throw(out: &Output) -> Outcome {
    let mut worker = try_generator(async |y: &mut TryYielder<_>| {
        for _ in 0..10 {
            if let Err(error) = y.try_yield("working").await {
                // Any other error goes on its way, as past an `except`.
                error.downcast::<std::fmt::Error>()?;
                out.print("caught it");
            }
        }
        Ok(())
    });
    out.print_answer(worker.resume()?);
    out.print_answer(worker.throw(Error::new(std::fmt::Error))?);
    if let Err(error) = worker.throw(Error::new("too hot")) {
        out.print(format_args!("it ended: {error}"));
    }
    Ok(())
}
// end of listing
