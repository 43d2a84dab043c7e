//! Owns the READMEs' tables: which rows they show beside whom, in English and in Chinese, losses as well as wins.
//!
//! The words stand here, the figures come from BENCHMARKS.md. The tables stand between marks in the READMEs.

use crate::chart::{amount, times};
use crate::page::{Page, Row};
use crate::pairs::ratio;

/// Where a table begins and ends in a README.
const MARKS: (&str, &str) = ("<!-- headline -->", "<!-- end of headline -->");

/// A README, and its table's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// README.md
    English,
    /// README.zh-CN.md
    Chinese,
}

/// A line of the table.
struct Entry {
    row: &'static str,
    /// The contender that is Kettle's.
    kettle: &'static str,
    /// The others, with the names that they have in the table.
    rivals: &'static [(&'static str, &'static str)],
    english: &'static str,
    chinese: &'static str,
}

/// The lines.
const ENTRIES: [Entry; 14] = [
    Entry {
        row: "hash",
        kettle: "kettle, pinned",
        rivals: &[("hand-written iterator", "hand-written iterator"), ("CPython", "CPython")],
        english: "a generator's value, from a loop",
        chinese: "生成器产出一个值（循环）",
    },
    Entry {
        row: "lexer",
        kettle: "kettle, pinned",
        rivals: &[("hand-written iterator", "hand-written iterator"), ("CPython", "CPython")],
        english: "a generator's value, from a lexer",
        chinese: "生成器产出一个值（词法分析）",
    },
    Entry {
        row: "dynamic",
        kettle: "kettle::BoxGenerator",
        rivals: &[("Box<dyn Iterator> by hand", "`Box<dyn Iterator>` by hand")],
        english: "the same through `BoxGenerator`",
        chinese: "经由 `BoxGenerator` 产出一个值",
    },
    Entry {
        row: "round-trip",
        kettle: "kettle coroutine",
        rivals: &[("corosensei", "corosensei"), ("generator-rs", "generator-rs")],
        english: "into a coroutine and back",
        chinese: "切换到协程再切回来",
    },
    Entry {
        row: "spawn-each",
        kettle: "kettle tasks",
        rivals: &[("tokio current_thread", "tokio")],
        english: "spawning a task and joining it",
        chinese: "启动一个任务并等它结束",
    },
    Entry {
        row: "asleep-memory",
        kettle: "kettle tasks",
        rivals: &[("tokio current_thread", "tokio")],
        english: "memory of a sleeping task, with its stack",
        chinese: "一个睡眠中的任务所占内存（连同它的栈）",
    },
    Entry {
        row: "asleep-wake",
        kettle: "kettle tasks",
        rivals: &[("tokio current_thread", "tokio")],
        english: "waking one of a million sleeping tasks",
        chinese: "唤醒一百万个睡眠任务之一",
    },
    Entry {
        row: "ping-pong",
        kettle: "kettle mpsc",
        rivals: &[("tokio mpsc, unbounded", "tokio"), ("Go", "Go")],
        english: "through a channel to another task and back",
        chinese: "经通道到另一个任务再回来",
    },
    Entry {
        row: "stream-threads",
        kettle: "kettle mpsc",
        rivals: &[("crossbeam, threads", "crossbeam"), ("tokio mpsc, unbounded", "tokio")],
        english: "a value through a channel to another thread",
        chinese: "经通道送一个值到另一个线程",
    },
    Entry {
        row: "spawn-anywhere",
        kettle: "kettle workers",
        rivals: &[("rayon scope", "rayon"), ("tokio multi_thread", "tokio")],
        english: "a short task for either of two threads",
        chinese: "交给两个线程之一的短任务",
    },
    Entry {
        row: "echo-64",
        kettle: "kettle",
        rivals: &[("raw io_uring", "io_uring by hand"), ("tokio", "tokio"), ("Go", "Go")],
        english: "64 bytes echoed, 64 connections",
        chinese: "回显 64 字节，64 个连接",
    },
    Entry {
        row: "echo-4096",
        kettle: "kettle",
        rivals: &[("raw io_uring", "io_uring by hand"), ("tokio", "tokio"), ("Go", "Go")],
        english: "the same, 4,096 connections",
        chinese: "回显 64 字节，4096 个连接",
    },
    Entry {
        row: "http",
        kettle: "kettle",
        rivals: &[("raw io_uring", "io_uring by hand"), ("tokio", "tokio"), ("Go", "Go")],
        english: "an HTTP request, 64 connections",
        chinese: "一次 HTTP 请求，64 个连接",
    },
    Entry {
        row: "kv-get",
        kettle: "kv, io_uring",
        rivals: &[("Redis", "Redis")],
        english: "a `GET` of the key-value server",
        chinese: "键值服务器的一次 `GET`",
    },
];

/// A table, and what is not in it though it should be.
pub struct Table {
    /// In Markdown.
    pub text: String,
    /// For whoever made it, in the order of the table.
    pub warnings: Vec<String>,
}

/// Makes the table.
///
/// # Errors
///
/// A row that is not there, by its name.
pub fn table(page: &Page, language: Language) -> Result<Table, String> {
    let mut table = Table { text: String::new(), warnings: Vec::new() };
    table.text += match language {
        Language::English => "| what | Kettle | beside (Kettle takes so many times that) |\n|---|---:|---|\n",
        Language::Chinese => "| 测量内容 | Kettle | 对比（括号内为 Kettle 所需的倍数） |\n|---|---:|---|\n",
    };
    for entry in &ENTRIES {
        let missing = || format!("the headline's row `{}` is not in BENCHMARKS.md", entry.row);
        let row = page.row(entry.row).ok_or_else(missing)?;
        table.text += &entry.line(row, language, &mut table.warnings)?;
    }
    Ok(table)
}

impl Entry {
    fn line(&self, row: &Row, language: Language, warnings: &mut Vec<String>) -> Result<String, String> {
        let own = row.line(self.kettle).and_then(|line| Some((line, line.figure?.median)));
        let (kettle, figure) =
            own.ok_or_else(|| format!("the row `{}` has no figure of `{}`", self.row, self.kettle))?;
        let (words, comma, [open, close]) = match language {
            Language::English => (self.english, ", ", [" (", ")"]),
            Language::Chinese => (self.chinese, "，", ["（", "）"]),
        };
        let mut beside = Vec::new();
        for (name, shown) in self.rivals {
            let found = row.line(name).and_then(|rival| Some((rival.figure?.median, ratio(row, kettle, rival)?)));
            match found {
                Some((figure, ratio)) => {
                    let (figure, ratio) = (language.figure(figure, &row.unit), times(ratio.median));
                    beside.push(format!("{} {figure}{open}{ratio}{close}", language.rival(shown)));
                }
                None => warnings
                    .push(format!("the row `{}` has no figure of `{name}`: the headline leaves it out", self.row)),
            }
        }
        Ok(format!("| {words} | {} | {} |\n", language.figure(figure, &row.unit), beside.join(comma)))
    }
}

impl Language {
    /// A rival's name; most are the same in every language.
    fn rival(self, name: &'static str) -> &'static str {
        match (self, name) {
            (Self::Chinese, "hand-written iterator") => "手写迭代器",
            (Self::Chinese, "`Box<dyn Iterator>` by hand") => "手写的 `Box<dyn Iterator>`",
            (Self::Chinese, "io_uring by hand") => "手写的 io_uring 循环",
            _ => name,
        }
    }

    /// A figure with its unit, or with the next larger one.
    fn figure(self, figure: f64, unit: &str) -> String {
        match unit {
            "ns" if figure >= 1000.0 => format!("{} µs", amount(figure / 1000.0)),
            "us" => format!("{} µs", amount(figure)),
            "bytes" if self == Self::Chinese => format!("{} 字节", amount(figure)),
            _ => format!("{} {unit}", amount(figure)),
        }
    }
}

/// Puts a table into a README.
///
/// # Errors
///
/// A README without the marks.
pub fn replaced(readme: &str, table: &str) -> Result<String, String> {
    let (begin, end) = MARKS;
    let parts = readme.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("no `{begin}` and `{end}`"))?;
    Ok(format!("{before}{begin}\n{table}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_replaces_a_table() {
        let readme = "words\n<!-- headline -->\nold\n<!-- end of headline -->\nmore\n";
        let new = "words\n<!-- headline -->\n| new |\n<!-- end of headline -->\nmore\n";
        assert_eq!(replaced(readme, "| new |\n").as_deref(), Ok(new));
        assert_eq!(replaced(new, "| new |\n").as_deref(), Ok(new), "again the same");
        assert!(replaced("words\n", "").is_err());
    }

    #[test]
    fn a_row_that_is_not_there_is_named() {
        let page = Page { parts: Vec::new() };
        let error = table(&page, Language::English).map(|table| table.text);
        assert_eq!(error, Err("the headline's row `hash` is not in BENCHMARKS.md".to_owned()));
    }

    #[test]
    fn figures_have_units_that_suit_them() {
        let cases = [
            (0.931, "ns", "0.93 ns"),
            (37_000.0, "ns", "37.0 µs"),
            (5.629, "us", "5.63 µs"),
            (4290.7, "bytes", "4,291 bytes"),
        ];
        for (figure, unit, text) in cases {
            assert_eq!(Language::English.figure(figure, unit), text);
        }
        assert_eq!(Language::Chinese.figure(4290.7, "bytes"), "4,291 字节");
    }
}
