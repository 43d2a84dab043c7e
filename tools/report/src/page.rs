//! Owns the reading of BENCHMARKS.md: the parts between marks, their facts, rows and contenders.
//!
//! The benchmarks write it, so whatever does not look as they write it is an error that names its line.

use std::fmt;

/// A part of BENCHMARKS.md that one program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// What is measured there.
    pub title: &'static str,
    /// The part of `bench/all` that runs it.
    pub name: &'static str,
    /// The lines between which its results stand.
    marks: [&'static str; 2],
}

/// All parts, in their order.
pub const SOURCES: [Source; 3] = [
    Source {
        title: "Generators, coroutines, tasks",
        name: "values",
        marks: ["<!-- results -->", "<!-- end of results -->"],
    },
    Source { title: "The network", name: "net", marks: ["<!-- results of net -->", "<!-- end of results of net -->"] },
    Source {
        title: "A key-value server",
        name: "kv",
        marks: ["<!-- results of kv -->", "<!-- end of results of kv -->"],
    },
];

/// All results.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// In the order of [`SOURCES`].
    pub parts: Vec<Part>,
}

/// The results of one program.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Which program it was.
    pub source: Source,
    /// What is known about the machine and the run: what it is, and its value.
    pub facts: Vec<(String, String)>,
    /// In the program's order.
    pub rows: Vec<Row>,
}

/// One kind of work, and all who do it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Short, and no other row's.
    pub name: String,
    /// What is done.
    pub work: String,
    /// What the figures are.
    pub unit: String,
    /// The contenders; the first one is what ratios refer to.
    pub lines: Vec<Line>,
}

/// A contender.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// In the row's unit; none if it could not run.
    pub figure: Option<Figure>,
    /// To the row's first contender; none if nothing is a multiple of that.
    pub ratio: Option<Figure>,
    /// What it was to reach.
    pub verdicts: Vec<Verdict>,
}

/// What all rounds gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The middle one.
    pub median: f64,
    /// The least and the greatest, where they are known.
    pub spread: Option<(f64, f64)>,
}

/// A target, and whether it was met.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// As it is written.
    pub target: String,
    /// At most so much.
    pub limit: Limit,
    /// As it is written.
    pub measured: String,
    /// The ratio that was measured, if that is what the target is about.
    pub ratio: Option<Figure>,
    /// Whether that is good enough.
    pub met: bool,
}

/// What a target allows at most.
#[derive(Clone, Debug, PartialEq)]
pub enum Limit {
    /// So many times what another contender of the row takes.
    Times(f64, String),
    /// A figure in the row's unit.
    Figure(f64),
}

/// What is wrong with a page, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Counted from 1; 0 stands for the page as a whole.
    pub line: usize,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BENCHMARKS.md:{}: {}", self.line, self.text)
    }
}

impl Page {
    /// Reads the page.
    ///
    /// # Errors
    ///
    /// A part that is not there, a line that says nothing that is known, a row that is there twice.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let lines: Vec<(usize, &str)> =
            text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())).collect();
        let parts = SOURCES.iter().map(|source| Part::parse(*source, &lines)).collect::<Result<Vec<_>, _>>()?;
        let page = Self { parts };
        for (index, row) in page.rows().enumerate() {
            if page.rows().take(index).any(|other| other.name == row.name) {
                return Err(Error { line: 0, text: format!("the row `{}` is there twice", row.name) });
            }
        }
        Ok(page)
    }

    /// All rows of all parts.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.parts.iter().flat_map(|part| &part.rows)
    }

    /// A row by its name.
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows().find(|row| row.name == name)
    }

    /// All targets, with the row and the contender that each is for.
    pub fn verdicts(&self) -> impl Iterator<Item = (&Row, &Line, &Verdict)> {
        self.rows().flat_map(Row::verdicts)
    }
}

impl Part {
    fn parse(source: Source, page: &[(usize, &str)]) -> Result<Self, Error> {
        let at = |mark: &str| {
            let found = page.iter().position(|(_, line)| *line == mark);
            found.ok_or_else(|| Error { line: 0, text: format!("no line `{mark}`") })
        };
        let (begin, end) = (at(source.marks[0])?, at(source.marks[1])?);
        let mut part = Self { source, facts: Vec::new(), rows: Vec::new() };
        let (mut columns, mut said, mut missed) = (None, None, 0);
        for (number, line) in page.get(begin + 1..end).unwrap_or_default() {
            let wrong = |text: String| Error { line: *number, text };
            if let Some(name) = line.strip_prefix("### ") {
                let name = name.to_owned();
                part.rows.push(Row { name, work: String::new(), unit: String::new(), lines: Vec::new() });
                columns = None;
            } else if let Some(row) = part.rows.last_mut() {
                match cells(line) {
                    None if line.is_empty() => {}
                    None if row.work.is_empty() => (*line).clone_into(&mut row.work),
                    None => return Err(wrong(format!("`{line}` stands in the row `{}`", row.name))),
                    Some(cells) => match columns {
                        None => columns = Some(head(row, &cells).map_err(wrong)?),
                        Some(_) if cells.iter().all(|cell| cell.chars().all(|c| "-:".contains(c))) => {}
                        Some(columns) => row.lines.push(Line::parse(columns, &cells).map_err(wrong)?),
                    },
                }
            } else if line.starts_with("- MISSED: ") {
                missed += 1;
            } else if let Some((what, value)) = line.strip_prefix("- ").and_then(|fact| fact.split_once(": ")) {
                part.facts.push((what.to_owned(), value.to_owned()));
            } else if line.ends_with(" missed.") {
                said = Some((*number, *line));
            } else if !line.is_empty() {
                return Err(wrong(format!("`{line}` is neither a fact nor a row")));
            }
        }
        if let Some(row) = part.rows.iter().find(|row| row.lines.is_empty()) {
            return Err(Error { line: page[begin].0, text: format!("the row `{}` has no contender", row.name) });
        }
        let count = |met| part.rows.iter().flat_map(Row::verdicts).filter(|(.., verdict)| verdict.met == met).count();
        let expected = format!("{} targets met, {} missed.", count(true), count(false));
        match said {
            Some((line, said)) if said != expected || missed != count(false) => {
                let text = format!("it says `{said}` and lists {missed}, but its rows say `{expected}`");
                Err(Error { line, text })
            }
            _ => Ok(part),
        }
    }

    /// A fact by what it is about.
    pub fn fact(&self, what: &str) -> Option<&str> {
        self.facts.iter().find(|(name, _)| name == what).map(|(_, value)| value.as_str())
    }
}

impl Row {
    /// A contender by its name.
    pub fn line(&self, name: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.name == name)
    }

    /// The targets, with the contender that each is for.
    pub fn verdicts(&self) -> impl Iterator<Item = (&Self, &Line, &Verdict)> {
        self.lines.iter().flat_map(move |line| line.verdicts.iter().map(move |verdict| (self, line, verdict)))
    }
}

/// How many columns a row's table has: six, and what else its benchmark tells. The second one is the unit.
fn head(row: &mut Row, cells: &[&str]) -> Result<usize, String> {
    match cells {
        ["contender", unit, "min..max", "ratio", "min..max of ratios", "target", ..] => {
            (*unit).clone_into(&mut row.unit);
            Ok(cells.len())
        }
        _ => Err(format!("`{}` is not the head of a table of contenders", cells.join(" | "))),
    }
}

impl Line {
    fn parse(columns: usize, cells: &[&str]) -> Result<Self, String> {
        let [name, median, spread, ratio, ratios, target, ..] = cells else {
            return Err(format!("{} cells, where the head has {columns}", cells.len()));
        };
        if cells.len() != columns {
            return Err(format!("{} cells, where the head has {columns}", cells.len()));
        }
        let figure = |none, median: &str, spread: &str| match median {
            median if median == none => Ok(None),
            _ => Figure::parse(median, spread).map(Some),
        };
        let verdicts = target.split("; ").filter(|text| !text.is_empty()).map(Verdict::parse);
        Ok(Self {
            name: (*name).to_owned(),
            figure: figure("none", median, spread)?,
            ratio: figure("-", ratio, ratios)?,
            verdicts: verdicts.collect::<Result<_, _>>()?,
        })
    }
}

impl Figure {
    fn parse(median: &str, spread: &str) -> Result<Self, String> {
        let spread = match spread.split_once("..") {
            Some((least, greatest)) => Some((number(least)?, number(greatest)?)),
            None if spread.is_empty() => None,
            None => return Err(format!("`{spread}` is not min..max")),
        };
        Ok(Self { median: number(median)?, spread })
    }
}

impl Verdict {
    /// `<= 0.90 x tokio: MISSED, 0.98 x (0.95..1.02)`, `faster than rayon: met, 0.50 x`, `<= 10 ns: met, 5.40`.
    fn parse(text: &str) -> Result<Self, String> {
        let judged = [(": met, ", true), (": MISSED, ", false)];
        let found = judged.iter().find_map(|(word, met)| Some((text.split_once(word)?, *met)));
        let ((target, measured), met) = found.ok_or_else(|| format!("`{text}` is neither met nor MISSED"))?;
        let limit = match (target.strip_prefix("<= "), target.strip_prefix("faster than ")) {
            (_, Some(other)) => Limit::Times(1.0, other.to_owned()),
            (Some(limit), _) => match (limit.split_once(" x "), limit.split_once(' ')) {
                (Some((times, other)), _) => Limit::Times(number(times)?, other.to_owned()),
                (None, Some((figure, _))) => Limit::Figure(number(figure)?),
                _ => return Err(format!("`{target}` has no unit")),
            },
            _ => return Err(format!("`{target}` is no target")),
        };
        let ratio = measured
            .split_once(" x")
            .map(|(median, spread)| Figure::parse(median, spread.trim().trim_start_matches('(').trim_end_matches(')')));
        let (target, measured) = (target.to_owned(), measured.to_owned());
        Ok(Self { target, limit, measured, ratio: ratio.transpose()?, met })
    }
}

/// The cells of a line of a table; nothing if it is none.
fn cells(line: &str) -> Option<Vec<&str>> {
    Some(line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect())
}

fn number(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| format!("`{text}` is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "| contender | ns | min..max | ratio | min..max of ratios | target |\n|---|---:|---:|---:|---:|---|\n";

    /// A page with these lines between the first two marks, from line 2 on.
    fn parse(results: &str) -> Result<Page, Error> {
        let rest = "<!-- results of net -->\n<!-- end of results of net -->\n<!-- results of kv -->\n<!-- end of results of kv -->\n";
        Page::parse(&format!("<!-- results -->\n{results}\n<!-- end of results -->\n{rest}"))
    }

    fn figure(median: f64, least: f64, greatest: f64) -> Figure {
        Figure { median, spread: Some((least, greatest)) }
    }

    #[test]
    fn a_row_is_read() -> Result<(), Error> {
        let page = parse(&format!(
            "- CPU: fast, 2 of them\n- command: `it`, 5 rounds\n\n1 targets met, 1 missed.\n\n- MISSED: row, kettle: whatever\n\n\
             ### row\n\nWork.\n\n{HEAD}| one | 2.000 | 1.5..2.5 | 1.00 | 1.00..1.00 |  |\n\
             | kettle, pinned | 4.000 | 3.0..5.0 | 2.00 | 1.90..2.20 | <= 1.50 x one: MISSED, 2.00 x (1.90..2.20); <= 10 ns: met, 4.00 |\n\
             | absent | none | inf..-inf | - | - |  |\n"
        ))?;
        assert_eq!(page.parts[0].fact("CPU"), Some("fast, 2 of them"));
        let row = page.row("row").ok_or(Error { line: 0, text: "no row".to_owned() })?;
        assert_eq!((row.work.as_str(), row.unit.as_str(), row.lines.len()), ("Work.", "ns", 3));
        let [one, kettle, absent] = [&row.lines[0], &row.lines[1], &row.lines[2]];
        assert_eq!(one.figure, Some(figure(2.0, 1.5, 2.5)));
        assert_eq!(kettle.ratio, Some(figure(2.0, 1.9, 2.2)));
        assert_eq!((absent.figure, absent.ratio), (None, None));
        assert_eq!(kettle.verdicts[0].limit, Limit::Times(1.5, "one".to_owned()));
        assert_eq!((kettle.verdicts[0].ratio, kettle.verdicts[0].met), (Some(figure(2.0, 1.9, 2.2)), false));
        assert_eq!(kettle.verdicts[1].limit, Limit::Figure(10.0));
        assert_eq!((kettle.verdicts[1].ratio, kettle.verdicts[1].met), (None, true));
        Ok(())
    }

    #[test]
    fn a_table_may_tell_more_in_its_last_columns() -> Result<(), Error> {
        let head = "| contender | us | min..max | ratio | min..max of ratios | target | more |\n|---|---:|---:|---:|---:|---|---|\n";
        let line = "| one | 2 | 1..3 | 1.00 | 0.90..1.10 | faster than two: met, 0.50 x | 7 |";
        let page = parse(&format!("### row\nWork.\n{head}{line}\n"))?;
        let row = page.row("row").ok_or(Error { line: 0, text: "no row".to_owned() })?;
        assert_eq!(row.lines[0].ratio, Some(figure(1.0, 0.9, 1.1)));
        assert_eq!(row.lines[0].verdicts[0].limit, Limit::Times(1.0, "two".to_owned()));
        assert_eq!(row.lines[0].verdicts[0].ratio, Some(Figure { median: 0.5, spread: None }));
        Ok(())
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let row = format!("### row\nWork.\n{HEAD}");
        let cases = [
            ("words\n".to_owned(), 2, "`words` is neither a fact nor a row"),
            (format!("{row}| one | 2 | 1..3 | 1.00 |\n"), 6, "4 cells, where the head has 6"),
            (format!("{row}| one | two | 1..3 | 1.00 | - | |\n"), 6, "`two` is no number"),
            (format!("{row}| one | 2 | 1 to 3 | 1.00 | - | |\n"), 6, "`1 to 3` is not min..max"),
            (format!("{row}| one | 2 | 1..3 | 1.00 | 1..1 | <= 2 ns |\n"), 6, "`<= 2 ns` is neither met nor MISSED"),
            (format!("{row}| one | 2 | 1..3 | 1.00 | 1..1 | >= 2 ns: met, 3 |\n"), 6, "`>= 2 ns` is no target"),
            (format!("{row}| one | 2 | 1..3 | 1.00 | 1..1 | <= 2: met, 3 |\n"), 6, "`<= 2` has no unit"),
            (format!("{row}| one | 2 | 1..3 | 1.00 | 1..1 | |\nmore\n"), 7, "`more` stands in the row `row`"),
            (
                "### row\nWork.\n| contender | ns | min..max | ratio | target |\n".to_owned(),
                4,
                "`contender | ns | min..max | ratio | target` is not the head of a table of contenders",
            ),
            ("### row\nWork.\n| who | ns |\n".to_owned(), 4, "`who | ns` is not the head of a table of contenders"),
            (row.clone(), 1, "the row `row` has no contender"),
            (
                format!("{row}| a | 2 | 1..3 | 1 | 1..1 | |\n{row}| a | 2 | 1..3 | 1 | 1..1 | |"),
                0,
                "the row `row` is there twice",
            ),
            (
                format!("2 targets met, 0 missed.\n{row}| one | 2 | 1..3 | 1 | 1..1 | <= 3 ns: met, 2 |\n"),
                2,
                "it says `2 targets met, 0 missed.` and lists 0, but its rows say `1 targets met, 0 missed.`",
            ),
        ];
        for (results, line, text) in cases {
            let error = parse(&results).map(drop);
            assert_eq!(error, Err(Error { line, text: text.to_owned() }), "{results}");
        }
        assert_eq!(Page::parse("").map(drop), Err(Error { line: 0, text: "no line `<!-- results -->`".to_owned() }));
    }
}
