//! Owns how results are shown: a table for the terminal, and the same in Markdown for BENCHMARKS.md.

use crate::measure::{Line, Measured};
use std::fmt::Write as _;

/// Where the results begin and end in BENCHMARKS.md. What stands around them is kept.
pub const MARKS: (&str, &str) = ("<!-- results -->", "<!-- end of results -->");

/// A row as a table for the terminal.
pub fn table(row: &Measured) -> String {
    let mut text = format!("\n{}: {}\n", row.name, row.work);
    let width = row.lines.iter().map(|line| line.name.len()).max().unwrap_or(0).max(9);
    let unit = row.unit;
    let _ = writeln!(text, "  {:width$}  {unit:>9}  {:>19}  {:>7}  target", "contender", "min..max", "ratio");
    for line in &row.lines {
        let spread = format!("{}..{}", figure(line.least), figure(line.greatest));
        let _ = write!(text, "  {:width$}  {:>9}  {spread:>19}  {:>7}", line.name, figure(line.median), ratio(line));
        let _ = writeln!(text, "  {}", verdicts(line));
    }
    text
}

/// All rows in Markdown.
pub fn markdown(rows: &[Measured], facts: &[String], command: &str, rounds: usize) -> String {
    let mut text = String::new();
    for fact in facts {
        let _ = writeln!(text, "- {fact}");
    }
    let _ = writeln!(text, "- command: `{command}`, {rounds} rounds\n");
    let _ = writeln!(text, "{}\n", summary(rows).trim_end());
    for row in rows {
        let _ = writeln!(text, "### {}\n\n{}\n", row.name, capital(&row.work));
        let columns = format!("contender | {} | min..max | ratio | min..max of ratios | target", row.unit);
        let _ = writeln!(text, "| {columns} |\n|---|---:|---:|---:|---:|---|");
        for line in &row.lines {
            let (name, spread) = (&line.name, format!("{}..{}", figure(line.least), figure(line.greatest)));
            let _ = writeln!(
                text,
                "| {name} | {} | {spread} | {} | {} | {} |",
                figure(line.median),
                ratio(line),
                line.ratio.map_or("-".to_owned(), |ratio| format!("{:.2}..{:.2}", ratio.least, ratio.greatest)),
                verdicts(line).trim_end()
            );
        }
        text.push('\n');
    }
    text
}

/// Puts the results between two marks of a page; a page without them gets them at its end.
pub fn replace_results(page: &str, (start, end): (&str, &str), results: &str) -> String {
    let (before, after) = match (page.split_once(start), page.split_once(end)) {
        (Some((before, _)), Some((_, after))) => (before, after),
        _ => (page, "\n"),
    };
    format!("{before}{start}\n{}\n{end}{after}", results.trim_end())
}

/// What was to be reached, and whether it was.
pub fn summary(rows: &[Measured]) -> String {
    let mut missed = String::new();
    let mut met = 0;
    for row in rows {
        for line in &row.lines {
            for verdict in &line.verdicts {
                if verdict.met {
                    met += 1;
                } else {
                    let (name, target, measured) = (&line.name, &verdict.target, &verdict.measured);
                    let _ = writeln!(missed, "- MISSED: {}, {name}: {target}, measured {measured}", row.name);
                }
            }
        }
    }
    let count = missed.lines().count();
    format!("{met} targets met, {count} missed.\n{}{missed}", if count > 0 { "\n" } else { "" })
}

fn figure(figure: f64) -> String {
    match figure {
        figure if figure.is_nan() => "none".to_owned(),
        figure if figure >= 1000.0 => format!("{figure:.0}"),
        figure if figure >= 100.0 => format!("{figure:.1}"),
        figure => format!("{figure:.3}"),
    }
}

fn ratio(line: &Line) -> String {
    line.ratio.map_or("-".to_owned(), |ratio| format!("{:.2}", ratio.median))
}

fn verdicts(line: &Line) -> String {
    let verdict = line.verdicts.iter().map(|verdict| match verdict.met {
        true => format!("{}: met, {}", verdict.target, verdict.measured),
        false => format!("{}: MISSED, {}", verdict.target, verdict.measured),
    });
    verdict.collect::<Vec<_>>().join("; ")
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect::<String>() + ".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Contender, Row, Sample, Target, measure};

    #[test]
    fn results_replace_results() {
        let page = replace_results("# title\n\nwords\n", MARKS, "old");
        let page = page.replace("<!-- end of results -->", "<!-- end of results -->\n\nmore");
        let page = replace_results(&page, MARKS, "new");
        assert!(page.starts_with("# title\n\nwords\n<!-- results -->\nnew\n<!-- end of results -->\n\nmore"), "{page}");
        assert!(!page.contains("old"));
    }

    #[test]
    fn a_miss_is_said_loudly() {
        let steady = |name: &str, figure| Contender::sampled(name, move || Some(Sample::figure(figure)));
        let row = Row::new("row", "work").with(steady("one", 1.0));
        let rows = [measure(row.with(steady("two", 2.0).to_reach(Target::LessThan("one"))), 1)];
        assert_eq!(
            summary(&rows),
            "0 targets met, 1 missed.\n\n- MISSED: row, two: faster than one, measured 2.00 x (2.00..2.00)\n"
        );
        assert!(table(&rows[0]).contains("faster than one: MISSED, 2.00 x"));
        let page = markdown(&rows, &[], "it", 1);
        let line = "| two | 2.000 | 2.000..2.000 | 2.00 | 2.00..2.00 | faster than one: MISSED, 2.00 x (2.00..2.00) |";
        assert!(page.contains(line), "{page}");
    }
}
