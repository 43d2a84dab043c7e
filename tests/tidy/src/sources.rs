//! Owns the rules for single Rust files: a header, a length, a name, and lints that stay on.

use crate::tree::{Complaint, Tree};

/// A library's file past this many lines is to be split.
pub const LINES: usize = 600;

/// Words that say nothing about what a module is for.
const EMPTY_NAMES: [&str; 9] = ["util", "utils", "common", "helper", "helpers", "manager", "managers", "impl", "impls"];

/// Every file opens with a `//!` header of at least one sentence.
pub fn headers(tree: &Tree) -> Vec<Complaint> {
    tree.rust()
        .filter(|(_, text)| {
            let header: Vec<_> = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
            let header = header.join(" ");
            header.split_whitespace().count() < 3 || !header.contains(['.', ':'])
        })
        .map(|(file, _)| {
            Complaint::new(file, 1, "no `//!` header: a sentence on what the file owns, its invariant, who calls it")
        })
        .collect()
}

/// No file of a library is longer than [`LINES`].
pub fn lengths(tree: &Tree) -> Vec<Complaint> {
    tree.rust()
        .filter(|(file, _)| file.starts_with("crates/") && file.contains("/src/"))
        .filter_map(|(file, text)| {
            let lines = text.lines().count();
            (lines > LINES).then(|| Complaint::new(file, lines, format!("longer than {LINES} lines: split it")))
        })
        .collect()
}

/// No file or directory of Rust is named by a word that could hold anything.
pub fn names(tree: &Tree) -> Vec<Complaint> {
    tree.rust()
        .filter_map(|(file, _)| {
            let stem = file.strip_suffix(".rs")?;
            let word = stem.split(['/', '_', '-']).find(|word| EMPTY_NAMES.contains(word))?;
            Some(Complaint::new(file, 0, format!("`{word}` says nothing: name what it owns")))
        })
        .collect()
}

/// A lint is silenced with a reason only: `reason = "…"`, or a comment on the line above or behind it.
pub fn silenced_lints(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (file, text) in tree.rust() {
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        for (index, line) in lines.iter().enumerate() {
            let silences =
                ["#[allow(", "#![allow(", "#[expect(", "#![expect("].iter().any(|start| line.starts_with(start));
            let attribute = &lines[index..lines.len().min(index + 4)];
            let end = attribute.iter().position(|line| line.contains(")]")).unwrap_or(0);
            let inside = attribute[..=end].iter().any(|line| line.contains("reason = \"") || line.contains("//"));
            let above = index.checked_sub(1).is_some_and(|above| lines[above].starts_with("// "));
            if silences && !inside && !above {
                complaints.push(Complaint::new(file, index + 1, "a lint is silenced without a reason"));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_needs_a_header_of_a_sentence() {
        let good = Tree::of(&[("a.rs", "//! Owns the\n//! words.\nfn f() {}\n")]);
        assert_eq!(headers(&good), []);
        for bad in
            ["", "fn f() {}", "// Owns the words.\n", "//! Words.\n", "//! owns the words\n", "\n//! Owns the words.\n"]
        {
            assert_eq!(headers(&Tree::of(&[("a.rs", bad)])).len(), 1, "{bad:?}");
        }
    }

    #[test]
    fn only_a_library_s_file_is_too_long() {
        let long = "\n".repeat(LINES + 1);
        let tree =
            Tree::of(&[("crates/k/src/a.rs", &long), ("crates/k/tests/a.rs", &long), ("crates/k/src/b.rs", "\n")]);
        let files: Vec<_> = lengths(&tree).into_iter().map(|found| found.file).collect();
        assert_eq!(files, ["crates/k/src/a.rs"]);
    }

    #[test]
    fn empty_names_are_refused_wherever_they_stand() {
        let bad = [
            "crates/k/src/util.rs",
            "crates/k/src/common/mod.rs",
            "tools/t/src/task_manager.rs",
            "crates/k/tests/helpers.rs",
        ];
        let good = ["crates/k/src/utility_meter.rs", "crates/k/src/implicit.rs"];
        for file in bad {
            assert_eq!(names(&Tree::of(&[(file, "")])).len(), 1, "{file}");
        }
        for file in good {
            assert_eq!(names(&Tree::of(&[(file, "")])), [], "{file}");
        }
    }

    #[test]
    fn a_silenced_lint_needs_a_reason() {
        for good in [
            "#[allow(dead_code, reason = \"the compiler can't see it\")]",
            "#[expect(\n    dead_code,\n    reason = \"the compiler can't see it\"\n)]",
            "// The compiler can't see it.\n#[allow(dead_code)]",
        ] {
            assert_eq!(silenced_lints(&Tree::of(&[("a.rs", good)])), [], "{good}");
        }
        for bad in ["#[allow(dead_code)]\n// too late", "#![allow(dead_code)]", "fn f() {}\n    #[expect(dead_code)]\n"]
        {
            assert_eq!(silenced_lints(&Tree::of(&[("a.rs", bad)])).len(), 1, "{bad}");
        }
    }
}
