//! Chapter 5: delegation, PEP 380.

use crate::python::twin;
use crate::text::Text;
use crate::tour::{Beside, Chapter, Outcome, Output, Step};
use kettle::{BoxGenerator, Generator, Step as Answer, boxed, generator};
use std::time::Instant;

pub(crate) const CHAPTER: Chapter = Chapter {
    title: Text { en: "yield from: PEP 380", zh: "委托 yield from：PEP 380" },
    source: include_str!("delegation.rs"),
    steps: &[
        Step {
            name: "yield_from",
            title: Text { en: "take a generator apart", zh: "重构生成器" },
            text: Text {
                en: "`yield_from` hands the conversation over to another generator until that one returns. So a part of
                     a body can become a generator of its own. The inner one here takes `index` and `up_to` with it
                     (`move`); a delegate owns what it uses, or borrows what the outer one borrows too.",
                zh: "`yield_from` 把与调用者的对话转交给另一个生成器，直到它返回为止。这样，函数体的一部分就可以独立成为一个生成器。
                     这里的内层生成器用 `move` 带走了 `index` 和 `up_to`：被委托的生成器要么拥有它所用的东西，要么借用外层同样在借用的数据。",
            },
            beside: Beside::Python(twin!("yield_from")),
            run: run_yield_from,
        },
        Step {
            name: "bottom_middle_top",
            title: Text { en: "up the stack and back down", zh: "值在调用栈中上下浮动" },
            text: Text {
                en: "What `bottom` yields reaches the caller of `top`, what is sent comes back down, and each level
                     returns it to the one above. The returned value (Python: `StopIteration.value`) is part of the
                     answer's type: `Step::Returned`.",
                zh: "`bottom` 产出的值一路上浮，到达 `top` 的调用者；送进去的值再沉回最底层，然后由每一层依次返回给上一层。返回值
                     （Python 的 `StopIteration.value`）是回答类型的一部分：`Step::Returned`。这里的 `Answer` 就是 `kettle::Step`。",
            },
            beside: Beside::Python(twin!("bottom_middle_top")),
            run: run_bottom_middle_top,
        },
        Step {
            name: "million_deep",
            title: Text { en: "a million generators deep", zh: "委托一百万层" },
            text: Text {
                en: "In Python a value climbs through every level: the deeper, the slower, until the recursion limit.
                     Here the outermost generator keeps a list of those that it delegates to and resumes the innermost
                     directly. Depth costs memory and nothing else.",
                zh: "在 Python 中，每个值都要逐层上传：层数越多越慢，直到触及递归上限。这里，最外层的生成器记着它正委托给谁，
                     直接唤醒最内层那一个。深度只占内存，不影响速度。",
            },
            beside: Beside::Python(twin!(measured "million_deep")),
            run: run_million_deep,
        },
    ],
    learned: Text {
        en: "`yield_from` hands the caller through to an inner generator: values, errors and the result pass by themselves, at any depth.",
        zh: "`yield_from` 把调用者直接接到内层生成器：无论嵌套多深，值、错误和返回值都自动传递。",
    },
};

// listing: yield_from
fn lazy_range(up_to: u64) -> impl Iterator<Item = u64> {
    generator(async move |y| {
        let mut index = 0;
        let gratuitous_refactor = generator(async move |y| {
            while index < up_to {
                y.yield_(index).await;
                index += 1;
            }
        });
        y.yield_from(gratuitous_refactor).await;
    })
}

fn run_yield_from(out: &Output) -> Outcome {
    for x in lazy_range(5) {
        out.print(x);
    }
    Ok(())
}
// end of listing

// listing: bottom_middle_top
fn bottom() -> impl Generator<Yield = u8, Send = u8, Return = Option<u8>> {
    // Returning the yield lets the value that goes up the
    // call stack come right back down.
    generator(async |y| y.yield_(42).await)
}

fn middle() -> impl Generator<Yield = u8, Send = u8, Return = Option<u8>> {
    generator(async |y| y.yield_from(bottom()).await)
}

fn top() -> impl Generator<Yield = u8, Send = u8, Return = Option<u8>> {
    generator(async |y| y.yield_from(middle()).await)
}

fn run_bottom_middle_top(out: &Output) -> Outcome {
    let mut g = top();
    let value = g.resume()?.yielded().ok_or("it yields")?;
    out.print(value);
    if let Answer::Returned(Some(value)) = g.send(value * 2)? {
        out.print(value);
    }
    Ok(())
}
// end of listing

// listing: million_deep
fn nest(depth: u32) -> BoxGenerator<'static, u32> {
    boxed(generator(async move |y| match depth {
        1 => y.yield_iter(0..).await,
        _ => y.yield_from(nest(depth - 1)).await,
    }))
}

fn run_million_deep(out: &Output) -> Outcome {
    const COUNT: u32 = 100_000;
    for depth in [1, 10, 100, 1_000, 1_000_000] {
        let mut values = nest(depth);
        values.resume()?;
        let start = Instant::now();
        for _ in 0..COUNT {
            values.resume()?;
        }
        let time = start.elapsed().as_secs_f64();
        let each = time * 1e9 / f64::from(COUNT);
        out.print(format_args!("depth {depth:>7}: {each:>5.1} ns a value"));
    }
    Ok(())
}
// end of listing
