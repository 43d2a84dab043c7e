//! What is drawn is what BENCHMARKS.md says: in this repository, and in a small one whose names are hard to write.

use report::headline::{Language, table};
use report::html;
use report::page::Page;
use std::fs;
use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn the_page_and_the_tables_are_those_of_benchmarks_md() {
    let output = Command::new(env!("CARGO_BIN_EXE_report")).arg("--check").arg("--root").arg(root()).output();
    let output = output.expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn check_fails_where_something_else_stands() {
    let directory = std::env::temp_dir().join(format!("kettle-report-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory");
    for file in ["BENCHMARKS.md", "README.md", "README.zh-CN.md"] {
        fs::copy(root().join(file), directory.join(file)).expect("a copy");
    }
    let run = |check: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_report"));
        program.args(check).arg("--root").arg(&directory).output().expect("the program runs").status.code()
    };
    assert_eq!(run(&["--check"]), Some(1), "there is no page");
    assert!(!directory.join("docs/benchmarks.html").exists(), "it writes nothing");
    assert_eq!(run(&[]), Some(0));
    assert_eq!(run(&["--check"]), Some(0));
    let readme = directory.join("README.md");
    let text = fs::read_to_string(&readme).expect("it is there");
    fs::write(&readme, text.replacen(" ns", " s", 1)).expect("it can be written");
    assert_eq!(run(&["--check"]), Some(1), "a figure was changed by hand");
    fs::write(directory.join("BENCHMARKS.md"), "nothing\n").expect("it can be written");
    assert_eq!(run(&[]), Some(2), "there is nothing to draw");
    fs::remove_dir_all(directory).expect("it was there");
}

#[test]
fn the_page_is_well_formed_and_needs_nothing_else() {
    let page =
        Page::parse(&fs::read_to_string(root().join("BENCHMARKS.md")).expect("it is there")).expect("it is read");
    let text = html::page(&page);
    well_formed(&text);
    for outside in ["<script", "<link", "<img", "@import", "url(", "http://", "https://"] {
        assert!(!text.contains(outside), "{outside}");
    }
    for row in page.rows() {
        assert!(text.contains(&format!("<section id=\"{}\">", row.name)), "{}", row.name);
    }
}

#[test]
fn names_may_have_any_letters() {
    let head = "| contender | ns | min..max | ratio | min..max of ratios | target |\n|---|---|---|---|---|---|\n";
    let lines = "| <b>&\"amp;' | 2 | 1..30 | 1.00 | 1.00..1.00 |  |\n\
                 | kettle </svg> | 4 | 3..5 | 2.00 | 1.90..2.20 | <= 1.50 x <b>&\"amp;': MISSED, 2.00 x |\n\
                 | raw | 0 | 0..0 | 0.00 | 0.00..0.00 |  |\n| absent | none | inf..-inf | - | - |  |\n";
    let rest = "<!-- results of net -->\n<!-- end of results of net -->\n<!-- results of kv -->\n<!-- end of results of kv -->\n";
    let text = format!("<!-- results -->\n- CPU: `<i>`\n### <a>\n<p>\n{head}{lines}<!-- end of results -->\n{rest}");
    let page = html::page(&Page::parse(&text).expect("it is read"));
    well_formed(&page);
    assert!(page.contains("kettle &lt;/svg&gt;") && page.contains("<code>&lt;i&gt;</code>"), "{page}");
}

#[test]
fn both_readmes_have_the_same_rows() {
    let page =
        Page::parse(&fs::read_to_string(root().join("BENCHMARKS.md")).expect("it is there")).expect("it is read");
    let [english, chinese] =
        [Language::English, Language::Chinese].map(|language| table(&page, language).expect("a table").text);
    let figures = |text: &str| {
        // (The digits: units have names in each language.)
        let cells = text
            .lines()
            .skip(2)
            .filter_map(|line| line.split('|').nth(2)?.split_whitespace().next().map(str::to_owned));
        cells.collect::<Vec<_>>()
    };
    assert!(figures(&english).len() >= 8, "{english}");
    assert_eq!(figures(&english), figures(&chinese));
}

/// Every tag that is opened is closed, in order; every attribute is quoted; no `&` that begins no entity.
#[track_caller]
fn well_formed(page: &str) {
    let (style, body) = page.split_once("</style>").map(|(style, body)| (style, body.to_owned())).expect("a style");
    let head = style.split_once("<style>").expect("a style").0;
    let mut open: Vec<String> = Vec::new();
    let mut rest = format!("{head}{body}");
    rest = rest.replacen("<!DOCTYPE html>", "", 1);
    let mut pieces = rest.split('<');
    assert_eq!(pieces.next().map(str::trim), Some(""), "nothing before the first tag");
    for piece in pieces {
        let (tag, text) = piece.split_once('>').unwrap_or_else(|| panic!("`<{piece}` has no end"));
        assert!(!text.contains('>'), "`{text}` has a `>` that is not escaped");
        for entity in piece.split('&').skip(1) {
            let name = entity.split(';').next().unwrap_or_default();
            assert!(["amp", "lt", "gt", "quot", "#39"].contains(&name), "`&{entity}` is no entity");
        }
        assert!(tag.matches('"').count().is_multiple_of(2), "`<{tag}>`");
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed in another order than opened");
        } else if !tag.ends_with('/') && name != "meta" {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty(), "not closed: {open:?}");
}
