//! Chapter 2: lazy sequences, PEP 255.

use crate::python::twin;
use crate::text::Text;
use crate::tour::{Beside, Chapter, Outcome, Output, Step};
use kettle::generator;
use std::pin::pin;
use std::time::Instant;

pub(crate) const CHAPTER: Chapter = Chapter {
    title: Text { en: "Generators: PEP 255", zh: "生成器：PEP 255" },
    source: include_str!("generators.rs"),
    steps: &[
        Step {
            name: "lazy_range",
            title: Text { en: "values made when they are asked for", zh: "用到时才计算的序列" },
            text: Text {
                en: "A generator is written like a function and used like an iterator. In Python the word `yield` makes
                     it one. Here `generator` does, of an async closure: `y.yield_(value).await` is `yield value`. The
                     async closure only lends its state machine: there is no executor and no thread.",
                zh: "生成器写起来像函数，用起来像迭代器。Python 靠 `yield` 这个词把函数变成生成器；这里由 `generator` 用一个 async
                     闭包来构造，`y.yield_(value).await` 就是 `yield value`。借用 async 闭包只是为了它的状态机：没有执行器，
                     也没有线程。",
            },
            beside: Beside::Python(twin!("lazy_range")),
            run: run_lazy_range,
        },
        Step {
            name: "memory",
            title: Text { en: "the memory of one value", zh: "只占一个值的内存" },
            text: Text {
                en: "A list of 10¹² numbers fills terabytes. The generator holds its variable and where it stopped.
                     Pinned to the place where it stands (`pin!`) it allocates nothing at all, and the optimiser can see
                     through it: the time of one value is measured live.",
                zh: "10¹² 个数的列表要占用数 TB 内存，而生成器只需保存一个变量和停下的位置。用 `pin!` 把它固定在原地，就完全不需要
                     堆分配，优化器也能看穿它。下面当场测量产出一个值的时间。",
            },
            beside: Beside::Python(twin!(measured "memory")),
            run: run_memory,
        },
    ],
    learned: Text {
        en: "A generator makes each value when it is asked for. It is an `Iterator`, and holds no more than its own variables.",
        zh: "生成器用到哪个值才计算哪个值。它就是一个 `Iterator`，占用的内存只有它自己的变量。",
    },
};

// listing: lazy_range
fn lazy_range(up_to: u64) -> impl Iterator<Item = u64> {
    generator(async move |y| {
        let mut index = 0;
        while index < up_to {
            y.yield_(index).await;
            index += 1;
        }
    })
}

fn run_lazy_range(out: &Output) -> Outcome {
    for x in lazy_range(5) {
        out.print(x);
    }
    Ok(())
}
// end of listing

// listing: memory
fn run_memory(out: &Output) -> Outcome {
    let huge = generator(async |y| {
        let mut index = 0_u64;
        while index < 1_000_000_000_000 {
            y.yield_(index).await;
            index += 1;
        }
    });
    out.print(format_args!("{} bytes", size_of_val(&huge)));

    const COUNT: u32 = 2_000_000;
    let start = Instant::now();
    let mut mix = 0_u64;
    for x in pin!(huge).take(COUNT as usize) {
        mix = (mix ^ x).wrapping_mul(31);
    }
    let each = start.elapsed().as_secs_f64() * 1e9 / f64::from(COUNT);
    out.print(format_args!("{each:.2} ns a value"));
    out.print(format_args!("all mixed: {mix:x}"));
    Ok(())
}
// end of listing
