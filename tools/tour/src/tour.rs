//! Owns the walk: what a step consists of, how it is shown, run, and compared with Python.

use crate::listing::{Syntax, cut};
use crate::python::{Interpreter, Prints, Twin};
use crate::screen::{Block, Screen, Style};
use crate::text::{Lang, Text};
use kettle::Step as Answer;
use std::cell::RefCell;
use std::error::Error;
use std::fmt::Display;

/// Steps that belong together, and the source that their listings are cut from: the module's own.
pub(crate) struct Chapter {
    pub(crate) title: Text,
    pub(crate) source: &'static str,
    pub(crate) steps: &'static [Step],
    /// What is known at its end that was not before.
    pub(crate) learned: Text,
}

/// One step: what is said, the listing of the same name, and the function in it that runs.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) title: Text,
    pub(crate) text: Text,
    pub(crate) beside: Beside,
    pub(crate) run: fn(&Output<'_>) -> Outcome,
}

/// What a step's output is compared with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Beside {
    /// What the same program prints in Python.
    Python(Twin),
    /// What it printed when that was stored: it shows what Python has no word for.
    Stored(&'static str),
}

/// What the step of this name printed, stored in `output/NAME.out`. What follows from a seed may change with the runtime,
/// and is stored anew then.
macro_rules! stored {
    ($name:literal) => {
        $crate::tour::Beside::Stored(include_str!(concat!("../../output/", $name, ".out")))
    };
}
pub(crate) use stored;

/// How running a step ended.
pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// Whether what was shown is what Python does, or what was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Agrees,
    Differs,
}

/// Where a listing prints: shown at once, and kept to be compared.
pub(crate) struct Output<'a> {
    show: &'a dyn Fn(&str),
    lines: RefCell<Vec<String>>,
}

impl<'a> Output<'a> {
    pub(crate) fn new(show: &'a dyn Fn(&str)) -> Self {
        Self { show, lines: RefCell::new(Vec::new()) }
    }

    /// Python's `print(value)`.
    pub(crate) fn print(&self, value: impl Display) {
        let line = value.to_string();
        (self.show)(&line);
        self.lines.borrow_mut().push(line);
    }

    /// Prints a generator's answer: the value that it yielded, or the name of Python's exception.
    pub(crate) fn print_answer<R>(&self, answer: Answer<impl Display, R>) {
        match answer {
            Answer::Yielded(value) => self.print(value),
            Answer::Returned(_) => self.print("StopIteration"),
        }
    }

    fn into_lines(self) -> Vec<String> {
        self.lines.into_inner()
    }
}

/// All chapters, told in one language.
pub(crate) struct Tour {
    pub(crate) chapters: &'static [Chapter],
    pub(crate) lang: Lang,
}

impl Tour {
    /// Names the steps.
    pub(crate) fn list(&self, screen: &mut Screen<'_>) {
        for (number, chapter) in (1..).zip(self.chapters) {
            screen.line(&format!("{number}  {}", chapter.title.get(self.lang)));
            for step in chapter.steps {
                screen.line(&format!("   {:20}{}", step.name, step.title.get(self.lang)));
            }
        }
    }

    /// Shows everything, and goes on after a step that differs.
    pub(crate) fn walk(&self, screen: &mut Screen<'_>) -> Verdict {
        let python = Interpreter::find();
        screen.gap();
        screen.prose(WELCOME.get(self.lang));
        let mut differing = Vec::new();
        for (number, chapter) in (1..).zip(self.chapters) {
            screen.gap();
            screen.rule(&format!("{number}  {}", chapter.title.get(self.lang)));
            for (nth, step) in (1..).zip(chapter.steps) {
                screen.gap();
                if self.show(screen, chapter, step, &format!("{number}.{nth}"), python.as_ref()) == Verdict::Differs {
                    differing.push(step.name);
                }
            }
            screen.gap();
            screen.styled(Style::Heading, LEARNED.get(self.lang));
            screen.gap();
            screen.prose(chapter.learned.get(self.lang));
        }
        screen.gap();
        screen.rule(END.get(self.lang));
        screen.gap();
        if differing.is_empty() {
            screen.styled(Style::Good, ALL_AGREE.get(self.lang));
        } else {
            screen.styled(Style::Bad, &SOME_DIFFER.with(self.lang, &[&differing.join(", ")]));
        }
        screen.gap();
        screen.prose(FAREWELL.get(self.lang));
        if differing.is_empty() { Verdict::Agrees } else { Verdict::Differs }
    }

    /// Shows one step; `None` if there is none of that name.
    pub(crate) fn walk_step(&self, screen: &mut Screen<'_>, name: &str) -> Option<Verdict> {
        let (chapter, step) = self
            .chapters
            .iter()
            .flat_map(|chapter| chapter.steps.iter().map(move |step| (chapter, step)))
            .find(|(_, step)| step.name == name)?;
        screen.gap();
        Some(self.show(screen, chapter, step, "", Interpreter::find().as_ref()))
    }

    fn show(
        &self,
        screen: &mut Screen<'_>,
        chapter: &Chapter,
        step: &Step,
        number: &str,
        python: Option<&Interpreter>,
    ) -> Verdict {
        let title = format!("{number} {} · {}", step.name, step.title.get(self.lang));
        screen.styled(Style::Heading, title.trim_start());
        screen.gap();
        screen.prose(step.text.get(self.lang));
        screen.gap();
        let Some(listing) = cut(chapter.source, step.name) else {
            screen.styled(Style::Bad, &NO_LISTING.with(self.lang, &[step.name]));
            return Verdict::Differs;
        };
        let rust = Block { syntax: Syntax::Rust, code: &listing };
        match &step.beside {
            Beside::Python(twin) => screen.code(&[Block { syntax: Syntax::Python, code: twin.listing }, rust]),
            Beside::Stored(_) => screen.code(&[rust]),
        }
        screen.gap();
        screen.styled(Style::Quiet, PRINTS.get(self.lang));
        let shared = RefCell::new(&mut *screen);
        let show = |line: &str| shared.borrow_mut().styled(Style::Live, &format!("  {line}"));
        let output = Output::new(&show);
        let outcome = (step.run)(&output);
        let lines = output.into_lines();
        if let Err(error) = outcome {
            screen.styled(Style::Bad, &FAILED.with(self.lang, &[&error.to_string()]));
            return Verdict::Differs;
        }
        match &step.beside {
            Beside::Python(twin) => self.compare(screen, twin, &lines, python),
            Beside::Stored(stored) => self.compare_stored(screen, stored, &lines),
        }
    }

    /// Compares what the Rust program printed with what it did when that was stored.
    fn compare_stored(&self, screen: &mut Screen<'_>, stored: &str, rust: &[String]) -> Verdict {
        if rust.iter().map(String::as_str).eq(stored.lines()) {
            screen.styled(Style::Good, &AS_STORED.with(self.lang, &[&rust.len().to_string()]));
            return Verdict::Agrees;
        }
        screen.styled(Style::Bad, NOT_AS_STORED.get(self.lang));
        self.print_lines(screen, stored);
        Verdict::Differs
    }

    /// Compares what the Rust program printed with what Python did, and with what it does on this machine.
    fn compare(&self, screen: &mut Screen<'_>, twin: &Twin, rust: &[String], python: Option<&Interpreter>) -> Verdict {
        let live = python.map(|python| (&python.version, python.run(twin.listing)));
        let stored = match twin.prints {
            Prints::Same(stored) => stored,
            Prints::Measurements => {
                match live {
                    Some((version, Ok(printed))) => {
                        screen.styled(Style::Quiet, &MEASURES.with(self.lang, &[version]));
                        for line in printed.lines() {
                            screen.styled(Style::Plain, &format!("  {line}"));
                        }
                    }
                    // A measurement that is missing contradicts nothing.
                    Some((_, Err(_))) | None => screen.styled(Style::Quiet, NO_MEASURE.get(self.lang)),
                }
                return Verdict::Agrees;
            }
        };
        let count = rust.len().to_string();
        if !rust.iter().map(String::as_str).eq(stored.lines()) {
            screen.styled(Style::Bad, DIFFERS.get(self.lang));
            self.print_lines(screen, stored);
            return Verdict::Differs;
        }
        match live {
            None => screen.styled(Style::Good, &AGREES_STORED.with(self.lang, &[&count])),
            Some((version, Ok(printed))) if printed == stored => {
                screen.styled(Style::Good, &AGREES.with(self.lang, &[&count, version]));
            }
            Some((version, Ok(printed) | Err(printed))) => {
                screen.styled(Style::Bad, &DIFFERS_LIVE.with(self.lang, &[version]));
                self.print_lines(screen, &printed);
                return Verdict::Differs;
            }
        }
        Verdict::Agrees
    }

    fn print_lines(&self, screen: &mut Screen<'_>, lines: &str) {
        for line in lines.lines() {
            screen.styled(Style::Bad, &format!("  {line}"));
        }
    }
}

/// Everything that the walk itself says; the chapters have their own words.
const WELCOME: Text = Text {
    en: "Kettle's tour: the ladder of a Python tutorial on coroutines, climbed in stable Rust.

         Each step shows the Python listing and the Rust one, runs both, and compares what they print. The Rust code is
         cut out of the source that was compiled into this program. In it `out.print(x)` is Python's `print(x)`, and
         `out.print_answer(a)` prints what a generator answered: the value that it yielded, or `StopIteration`. A step
         that shows what Python has no word for stands alone; what it prints is compared with what it printed before.",
    zh: "Kettle 导览：沿着那篇 Python 协程教程的台阶，用稳定版 Rust 再走一遍。

         每一步都并列给出 Python 与 Rust 的代码，当场运行，并比较两边的输出。这里的 Rust 代码直接截取自编译进本程序的源文件，
         所见即所运行。代码中的 `out.print(x)` 就是 Python 的 `print(x)`；`out.print_answer(a)` 打印生成器的回答：
         产出的值，或者 `StopIteration`。有些步骤展示的东西在 Python 里没有对应，就只列 Rust 代码，输出则与事先保存的结果核对。",
};
const PRINTS: Text = Text { en: "prints", zh: "输出" };
const AGREES: Text = Text {
    en: "✓ the same {} lines that {} prints on this machine",
    zh: "✓ 共 {} 行，与本机 {} 的输出完全一致",
};
const AGREES_STORED: Text = Text {
    en: "✓ the same {} lines that Python printed when they were stored (there is no python3 here to ask again)",
    zh: "✓ 共 {} 行，与事先保存的 Python 输出完全一致（本机没有 python3，未能再次核对）",
};
const AS_STORED: Text = Text {
    en: "✓ the same {} lines as when they were stored",
    zh: "✓ 共 {} 行，与事先保存的输出完全一致",
};
const NOT_AS_STORED: Text = Text {
    en: "✗ when it was stored it printed something else:",
    zh: "✗ 与事先保存的输出不一致，保存的输出是：",
};
const LEARNED: Text = Text { en: "What was learned", zh: "小结" };
const DIFFERS: Text =
    Text { en: "✗ Python prints something else:", zh: "✗ 与 Python 的输出不一致，Python 的输出是：" };
const DIFFERS_LIVE: Text = Text {
    en: "✗ the stored output agrees, but {} on this machine prints something else:",
    zh: "✗ 与保存的输出一致，但本机的 {} 给出了不同的结果：",
};
const FAILED: Text = Text { en: "✗ the step failed: {}", zh: "✗ 这一步运行失败：{}" };
const NO_LISTING: Text = Text { en: "✗ the listing `{}` is missing", zh: "✗ 找不到名为 `{}` 的代码" };
const MEASURES: Text = Text { en: "{} on this machine", zh: "本机的 {}" };
const NO_MEASURE: Text = Text {
    en: "(no python3 on this machine to measure beside it)",
    zh: "（本机没有 python3，无法同场测量）",
};
const END: Text = Text { en: "The end", zh: "到此为止" };
const ALL_AGREE: Text = Text {
    en: "✓ every listing prints what Python prints, or what was stored where it stands alone",
    zh: "✓ 每段代码的输出都与 Python 一致；单独列出的代码，输出与事先保存的一致",
};
const SOME_DIFFER: Text =
    Text { en: "✗ these print something else: {}", zh: "✗ 以下各步的输出不一致：{}" };
const FAREWELL: Text = Text {
    en: "That was the whole ladder: from a function that can pause to workers on every core. README.md says how to use in
         your own program what you have seen.",
    zh: "台阶到这里就走完了：从可以暂停的函数，到占满每个核心的 worker。想在自己的程序里使用刚才看到的这些，请看 README.zh-CN.md。",
};

#[cfg(test)]
#[path = "tour_tests.rs"]
mod tests;
