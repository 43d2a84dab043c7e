//! Chapter 1: a function that can pause.

use crate::python::twin;
use crate::text::Text;
use crate::tour::{Beside, Chapter, Outcome, Output, Step};
use kettle::{Generator, Yielder, generator};

pub(crate) const CHAPTER: Chapter = Chapter {
    title: Text { en: "What a coroutine is", zh: "什么是协程" },
    source: include_str!("coroutine.rs"),
    steps: &[Step {
        name: "kettle",
        title: Text { en: "a function that can pause", zh: "可以暂停执行的函数" },
        text: Text {
            en: "An ordinary function runs from its first line to its last before its caller goes on. A coroutine can
                 stop in the middle, let its caller do something else, and go on from where it stopped, with all its
                 variables still there.

                 Old Zhang from the tutorial puts the kettle on. Calling `boil` runs nothing yet. Each `resume` (Python:
                 `next`) runs it to the next yield. In between he watches television. One thread, no locks: follow the
                 order of the lines.",
            zh: "普通函数一旦被调用，就要从第一行执行到最后一行，调用者才能继续。协程则可以在中途停下，让调用者先去做别的事，
                 之后再从停下的地方接着执行，局部变量都原样保留。

                 教程里的老张又来烧水了。调用 `boil` 时一行代码也不会执行；每次 `resume`（即 Python 的 `next`）让它执行到下一个
                 yield。水没开的时候，老张去看电视。自始至终只有一个线程，没有锁：请留意各行输出的先后顺序。",
        },
        beside: Beside::Python(twin!("kettle")),
        run: run_kettle,
    }],
    learned: Text {
        en: "A coroutine pauses in the middle and keeps its variables. Whoever calls it decides when it goes on.",
        zh: "协程可以停在中途，变量原样保留；什么时候继续，由调用者决定。",
    },
};

// listing: kettle
fn boil(out: &Output) -> impl Generator<Send = ()> {
    generator(async |y: &mut Yielder<()>| {
        out.print("kettle: on the fire");
        y.yield_(()).await;
        out.print("kettle: getting warm");
        y.yield_(()).await;
        out.print("kettle: it whistles");
    })
}

fn run_kettle(out: &Output) -> Outcome {
    let mut kettle = boil(out);
    out.print("zhang:  nothing has run yet");
    kettle.resume()?;
    out.print("zhang:  watches the news");
    kettle.resume()?;
    out.print("zhang:  watches the weather");
    kettle.resume()?;
    out.print("zhang:  makes tea");
    Ok(())
}
// end of listing
