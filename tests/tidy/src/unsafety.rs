//! Owns the rule that `unsafe` stands only where SAFETY.md accounts for it, and is forbidden where it doesn't stand.
//!
//! SAFETY.md's section "Unsafe modules" has a table whose first column names modules (`` `kettle-gen::exchange` ``). The
//! table and the sources must name the same ones.

use crate::tokens::code;
use crate::tree::{Complaint, Tree};
use std::collections::{BTreeMap, BTreeSet};

const SAFETY: &str = "SAFETY.md";

/// The modules with unsafe code are those of the table.
pub fn listed(tree: &Tree) -> Vec<Complaint> {
    let rows = rows(tree.get(SAFETY).unwrap_or_default());
    let mut found = BTreeMap::new();
    let mut complaints = Vec::new();
    for (file, text) in tree.rust().filter(|(file, _)| is_product(file)) {
        match code(text) {
            Ok(words) => {
                if let Some(word) = words.iter().find(|word| word.text == "unsafe") {
                    found.insert(module(file), (file, word.line));
                }
            }
            Err(line) => complaints.push(Complaint::new(file, line, "this is not Rust")),
        }
    }
    for (module, (file, line)) in &found {
        if !rows.contains_key(module.as_str()) {
            let text = format!("unsafe code, and {SAFETY}'s table \"Unsafe modules\" has no row for `{module}`");
            complaints.push(Complaint::new(file, *line, text));
        }
    }
    for (module, line) in rows {
        if !found.contains_key(module) {
            complaints.push(Complaint::new(SAFETY, line, format!("`{module}` has no unsafe code (any more)")));
        }
    }
    complaints
}

/// A crate or program without unsafe code forbids it.
pub fn forbidden(tree: &Tree) -> Vec<Complaint> {
    let mut with = BTreeSet::new();
    let mut roots = Vec::new();
    for (file, text) in tree.rust().filter(|(file, _)| is_product(file)) {
        let Ok(words) = code(text) else { continue };
        let package = package(file);
        if words.iter().any(|word| word.text == "unsafe") {
            with.insert(package);
        }
        if ["lib.rs", "main.rs"].iter().any(|root| file == format!("{package}/src/{root}")) {
            let forbids = words.windows(3).any(|w| w[0].text == "forbid" && w[2].text == "unsafe_code");
            roots.push((file, package, forbids));
        }
    }
    roots
        .into_iter()
        .filter(|(_, package, forbids)| !forbids && !with.contains(package))
        .map(|(file, ..)| Complaint::new(file, 1, "no unsafe code here: say `#![forbid(unsafe_code)]`"))
        .collect()
}

/// What is shipped or run, as against tests and benchmarks.
fn is_product(file: &str) -> bool {
    ["crates/", "tools/", "tests/"].iter().any(|place| file.starts_with(place)) && file.contains("/src/")
}

fn package(file: &str) -> &str {
    file.split_once("/src/").map_or(file, |(package, _)| package)
}

/// `crates/kettle-gen/src/a/b.rs` is `kettle-gen::a::b`.
fn module(file: &str) -> String {
    let Some((package, path)) = file.split_once("/src/") else { return file.to_owned() };
    let name = package.rsplit('/').next().unwrap_or(package);
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::");
    match path.as_str() {
        "lib" | "main" => name.to_owned(),
        _ => format!("{name}::{path}"),
    }
}

/// The modules of the table, with their lines.
fn rows(safety: &str) -> BTreeMap<&str, usize> {
    let mut inside = false;
    let mut rows = BTreeMap::new();
    for (index, line) in safety.lines().enumerate() {
        if line.starts_with('#') {
            inside = line.contains("Unsafe modules");
        }
        if inside && let Some(name) = line.strip_prefix("| `").and_then(|rest| rest.split('`').next()) {
            rows.insert(name, index + 1);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# Safety\n| `kettle-gen::c` | elsewhere |\n## Unsafe modules\n| module | why |\n|---|---|\n\
                         | `kettle-gen::a` | x |\n| `kettle-gen::b::c` | y |\n## More\n| `kettle-gen::d` | z |\n";

    #[test]
    fn the_table_and_the_sources_agree() {
        let tree = Tree::of(&[
            (SAFETY, TABLE),
            ("crates/kettle-gen/src/lib.rs", "mod a; mod b;"),
            ("crates/kettle-gen/src/a.rs", "unsafe impl Send for A {}"),
            ("crates/kettle-gen/src/b/c.rs", "fn f() { unsafe { g() } }"),
            ("crates/kettle-gen/tests/t.rs", "fn f() { unsafe { g() } }"),
        ]);
        assert_eq!(listed(&tree), []);
        assert_eq!(forbidden(&tree), []);
    }

    #[test]
    fn unsafe_code_without_a_row_and_a_row_without_unsafe_code() {
        let tree = Tree::of(&[
            (SAFETY, TABLE),
            ("crates/kettle-gen/src/a.rs", "// unsafe\n#[unsafe(no_mangle)]\nfn f() {}"),
            ("crates/kettle-gen/src/d.rs", "\nunsafe fn f() {}"),
        ]);
        let found: Vec<_> = listed(&tree).into_iter().map(|found| (found.file, found.line)).collect();
        assert_eq!(found, [("crates/kettle-gen/src/d.rs".to_owned(), 2), (SAFETY.to_owned(), 7)]);
    }

    #[test]
    fn a_crate_without_unsafe_code_forbids_it() {
        let files = |lib| Tree::of(&[("crates/kettle/src/lib.rs", lib), ("crates/kettle/src/a.rs", "fn f() {}")]);
        assert_eq!(forbidden(&files("#![forbid(unsafe_code)]\nmod a;")), []);
        assert_eq!(forbidden(&files("//! #![forbid(unsafe_code)]\nmod a;")).len(), 1);
        assert_eq!(forbidden(&files("#![deny(unsafe_code)]\nmod a;")).len(), 1);
    }
}
