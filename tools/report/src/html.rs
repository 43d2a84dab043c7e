//! Owns the page: one file that needs nothing else, no network and no script, by day, by night and on paper.
//!
//! Each chart has its table, for those who can't see it and those who want the figures.

use crate::chart;
use crate::page::{Figure, Line, Page, Part, Row, Verdict};
use crate::pairs::{NOISE, Outcome, Pair, compare};
use crate::svg::escaped;
use std::fmt::Write as _;

/// The style, inside of the page.
const STYLE: &str = include_str!("style.css");

/// The page.
pub fn page(page: &Page) -> String {
    let mut body = String::new();
    body += &opening(page);
    body += &overview(page);
    body += &targets(page);
    for part in &page.parts {
        body += &rows_of(part);
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>Kettle, measured</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// What this is, where it was measured, and how it is repeated.
fn opening(page: &Page) -> String {
    let mut text = String::from(
        "<h1>Kettle, measured</h1>\n\
         <p>Coroutines, tasks and servers beside what else does their work. All that is drawn here stands in\n\
         <a href=\"../BENCHMARKS.md\">BENCHMARKS.md</a>, which also says how each row is measured, and for what falls short, why.\n\
         This repeats it, on Linux with Rust's stable toolchain; it fetches the rivals, and says which it could not get:</p>\n\
         <pre>bench/all           # all of it\nbench/all --quick   # shows that it works, and writes nothing</pre>\n",
    );
    let met = page.verdicts().filter(|(.., verdict)| verdict.met).count();
    let missed = page.verdicts().count() - met;
    let _ = writeln!(
        text,
        "<p>Of the targets that were set beforehand {met} are met and {missed} missed: <a href=\"#targets\">all of both</a>.</p>"
    );
    text += "<table>\n<thead><tr><th></th>";
    for part in &page.parts {
        let _ = write!(text, "<th scope=\"col\">{}</th>", escaped(part.source.title));
    }
    text += "</tr></thead>\n<tbody>\n";
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in page.parts.iter().flat_map(|part| &part.facts) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    for name in names {
        let _ = write!(text, "<tr><th scope=\"row\">{}</th>", escaped(name));
        for part in &page.parts {
            let _ = write!(text, "<td>{}</td>", code(part.fact(name).unwrap_or_default()));
        }
        text += "</tr>\n";
    }
    text + "</tbody>\n</table>\n"
}

/// Text in which backticks mark code.
fn code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(index, part)| if index % 2 == 1 { format!("<code>{}</code>", escaped(part)) } else { escaped(part) })
        .collect()
}

/// What was to be reached: first what was not.
fn targets(page: &Page) -> String {
    let (met, missed): (Vec<_>, Vec<_>) = page.verdicts().partition(|(.., verdict)| verdict.met);
    let mut text = format!(
        "<h2 id=\"targets\">Targets: {} met, {} missed</h2>\n\
         <p>They were set before anything was measured, some on another machine. The first table has all that were missed,\n\
         the second one all that were met.</p>\n",
        met.len(),
        missed.len()
    );
    for (caption, verdicts) in [("missed", missed), ("met", met)] {
        let count = verdicts.len();
        let _ = write!(
            text,
            "<table class=\"targets\">\n<caption>{count} {caption}</caption>\n<thead><tr><th scope=\"col\">row</th>\
             <th scope=\"col\">who</th><th scope=\"col\">target</th><th scope=\"col\">measured</th></tr></thead>\n<tbody>\n"
        );
        for (row, line, verdict) in verdicts {
            let (name, who, target) = (escaped(&row.name), escaped(&line.name), limit(verdict));
            let measured = measured(verdict);
            let _ = writeln!(
                text,
                "<tr><td><a href=\"#{name}\">{name}</a></td><td>{who}</td><td>{target}</td><td>{measured}</td></tr>"
            );
        }
        text += "</tbody>\n</table>\n";
    }
    text
}

fn limit(verdict: &Verdict) -> String {
    escaped(&verdict.target.replacen("<=", "≤", 1).replacen(" x ", " × ", 1))
}

fn measured(verdict: &Verdict) -> String {
    escaped(&verdict.measured.replace("..", " to ").replace(" x", " ×"))
}

fn overview(page: &Page) -> String {
    let mut text = String::from("<h2 id=\"glance\">At a glance</h2>\n");
    let comparisons: Vec<_> = page.rows().filter_map(|row| Some((row, compare(row)?))).collect();
    let outcomes = [Outcome::Ahead, Outcome::Even, Outcome::Behind];
    let count = |outcome| {
        let pairs = comparisons.iter().map(|(_, comparison)| comparison.main.ratio.median);
        pairs.filter(|ratio| Outcome::of(*ratio) == outcome).count()
    };
    let [ahead, even, behind] = outcomes.map(count);
    let _ = write!(
        text,
        "<p>What Kettle takes, of time or of memory, of what its rival takes: left of 1 Kettle is ahead, right of it behind. Of\n\
         {} rows it is ahead of the main rival in {ahead}, even with it in {even}, and behind it in {behind}.</p>\n\
         <p class=\"legend\"><span class=\"ahead\">● ahead</span> <span class=\"even\">◆ even: within {:.0} %, which means\n\
         nothing</span> <span class=\"behind\">▶ behind</span> <span>filled: the main rival; hollow: the best one, where that is\n\
         another</span></p>\n\
         <p>The main rival is the one that a row is about, the best one who takes least. Kettle's is the first contender that has\n\
         a target, which is what you get if you ask for nothing else. Loops by hand on the kernel's interfaces are limits, and no\n\
         rivals: they are in the rows' own charts. Where more is better, the ratio is turned round. Thin lines go from the\n\
         least ratio of a round to the greatest; where ratios of rounds were not kept, to what the spreads of both allow.</p>\n",
        comparisons.len(),
        NOISE * 100.0
    );
    let _ = write!(text, "<figure>\n{}", chart::overview(&page.parts));
    text += "<details><summary>the same as a table</summary>\n<table>\n<thead><tr><th scope=\"col\">row</th>\
             <th scope=\"col\">Kettle's</th><th scope=\"col\">beside</th><th scope=\"col\">ratio</th><th scope=\"col\">spread</th>\
             <th scope=\"col\"></th></tr></thead>\n<tbody>\n";
    for (row, comparison) in &comparisons {
        for Pair { kettle, rival, ratio } in [Some(comparison.main), comparison.best].into_iter().flatten() {
            let names =
                [&row.name, &kettle.name, &rival.name].map(|name| format!("<td>{}</td>", escaped(name))).concat();
            let word = Outcome::of(ratio.median).word();
            let median = chart::times(ratio.median);
            let _ = writeln!(
                text,
                "<tr>{names}<td>{median}</td><td>{}</td><td>{word}</td></tr>",
                spread(ratio, chart::times)
            );
        }
    }
    text += "</tbody>\n</table>\n</details>\n</figure>\n";
    let without: Vec<String> = page.rows().filter(|row| compare(row).is_none()).map(link).collect();
    if !without.is_empty() {
        let _ = writeln!(text, "<p>Without anything to compare with: {}.</p>", without.join(", "));
    }
    text
}

fn link(row: &Row) -> String {
    let name = escaped(&row.name);
    format!("<a href=\"#{name}\">{name}</a>")
}

fn spread(figure: Figure, written: fn(f64) -> String) -> String {
    let both = figure.spread.map(|(least, greatest)| format!("{} to {}", written(least), written(greatest)));
    both.unwrap_or_default()
}

/// The rows of one program.
fn rows_of(part: &Part) -> String {
    let mut text = format!("<h2 id=\"part-{}\">{}</h2>\n", part.source.name, escaped(part.source.title));
    text += "<p class=\"legend\"><span class=\"own\">● Kettle</span> <span>● others</span> <span>○ limits, by hand</span>\n\
             <span class=\"met\">┃ at most so much: met</span> <span class=\"missed\">━┃ missed, by so much</span>\n\
             <span>thin: least to greatest</span> <span>ratio: to the first</span></p>\n";
    for row in &part.rows {
        let _ = write!(
            text,
            "<section id=\"{}\">\n<h3>{}</h3>\n<p>{}</p>\n<figure>\n{}",
            escaped(&row.name),
            escaped(&row.name),
            code(&row.work),
            chart::row(row)
        );
        for (_, line, verdict) in row.verdicts() {
            let (class, word) = if verdict.met { ("met", "met") } else { ("missed", "missed") };
            let _ = writeln!(
                text,
                "<p class=\"verdict\"><span class=\"{class}\">{word}</span>: {} {}, measured {}</p>",
                escaped(&line.name),
                limit(verdict),
                measured(verdict)
            );
        }
        let _ = write!(text, "{}</figure>\n</section>\n", table(row));
    }
    text
}

/// The figures behind a row's chart.
fn table(row: &Row) -> String {
    let mut text = format!(
        "<details><summary>the same as a table</summary>\n<table>\n<thead><tr><th scope=\"col\">who</th><th scope=\"col\">{}</th>\
         <th scope=\"col\">least to greatest</th><th scope=\"col\">ratio</th><th scope=\"col\">least to greatest</th></tr></thead>\n<tbody>\n",
        escaped(&row.unit)
    );
    for Line { name, figure, ratio, .. } in &row.lines {
        let cells = |figure: Option<Figure>, written: fn(f64) -> String| match figure {
            Some(figure) => format!("<td>{}</td><td>{}</td>", written(figure.median), spread(figure, written)),
            None => "<td>–</td><td></td>".to_owned(),
        };
        let (figure, ratio) = (cells(*figure, chart::amount), cells(*ratio, chart::times));
        let _ = writeln!(text, "<tr><th scope=\"row\">{}</th>{figure}{ratio}</tr>", escaped(name));
    }
    text + "</tbody>\n</table>\n</details>\n"
}
