//! Owns the rules for what is written beside the code: no path of one machine, nothing left undone without a reason, READMEs that agree
//! with each other and with CI, a CHANGELOG for what is not released.

use crate::tree::{Complaint, Tree};

/// The two commands that a reader of README runs first.
pub const COMMANDS: [&str; 2] = ["cargo run --release", "cargo test --release --workspace"];

const READMES: [&str; 2] = ["README.md", "README.zh-CN.md"];

/// Directories of somebody's machine. Written in two halves, so that this file passes its own rule.
const MACHINE: [&str; 4] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tm", "p/"), concat!("../sha", "red")];

/// Nothing names a directory that is on one machine only.
pub fn machine_paths(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (file, text) in tree.files() {
        for (index, line) in text.lines().enumerate() {
            if let Some(path) = MACHINE.iter().find(|path| is_absolute(line, path)) {
                complaints.push(Complaint::new(file, index + 1, format!("`{path}` is a path of one machine")));
            }
        }
    }
    complaints
}

/// Whether the line has a path that begins so and goes on, as against a longer path that contains it.
fn is_absolute(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + path.len()..].chars().next();
        !before.is_some_and(|c| c.is_alphanumeric() || "./}-_".contains(c))
            && (path.starts_with('.') || after.is_some_and(char::is_alphanumeric))
    })
}

/// What is marked as left undone says why, with "because" or an issue's number; `todo!` and `unimplemented!` are not code.
pub fn unexplained_todos(tree: &Tree) -> Vec<Complaint> {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let stubs = [concat!("to", "do!("), concat!("unimple", "mented!(")];
    let mut complaints = Vec::new();
    for (file, text) in tree.files().filter(|(file, _)| !file.ends_with(".jsonl") && *file != "Cargo.lock") {
        for (index, line) in text.lines().enumerate() {
            let marked = marks
                .iter()
                .any(|mark| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == *mark));
            let explained = line.contains("because ")
                || line.split('#').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            // Prose may speak of them; a rule of writing has to.
            let is_code = [".rs", ".sh", ".py", ".toml", "/run"].iter().any(|end| file.ends_with(end));
            if is_code && marked && !explained {
                complaints.push(Complaint::new(file, index + 1, "left undone without saying why"));
            }
            if file.ends_with(".rs") && stubs.iter().any(|stub| line.contains(stub)) {
                complaints.push(Complaint::new(file, index + 1, "a stub"));
            }
        }
    }
    complaints
}

/// Both READMEs have the commands, on lines of their own, and CI runs the tests by the same one.
pub fn commands(tree: &Tree) -> Vec<Complaint> {
    let has_line = |text: &str, command: &str| {
        text.lines().any(|line| line.split(" #").next().is_some_and(|line| line.trim() == command))
    };
    let mut complaints = Vec::new();
    for readme in READMES {
        for command in COMMANDS {
            if !tree.get(readme).is_some_and(|text| has_line(text, command)) {
                complaints.push(Complaint::new(readme, 0, format!("no line `{command}`")));
            }
        }
    }
    let run = ".ci/run";
    if !tree
        .get(run)
        .is_some_and(|text| text.lines().any(|line| !line.trim_start().starts_with('#') && line.contains(COMMANDS[1])))
    {
        complaints.push(Complaint::new(run, 0, format!("does not run README's `{}`", COMMANDS[1])));
    }
    complaints
}

/// Both READMEs have the same shape: as many headings of each level, and as many blocks of code.
pub fn translations(tree: &Tree) -> Vec<Complaint> {
    let [original, translation] = READMES.map(|readme| shape(tree.get(readme).unwrap_or_default()));
    if original == translation && tree.get(READMES[0]).is_some() {
        return Vec::new();
    }
    let text = format!("headings and blocks {translation:?}, {} has {original:?}", READMES[0]);
    vec![Complaint::new(READMES[1], 0, text)]
}

/// Each heading's marks and each block's opening line, in order.
fn shape(text: &str) -> Vec<&str> {
    let mut inside = false;
    let mut shape = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            inside = !inside;
            if inside {
                shape.push(line.trim_end());
            }
        } else if !inside && line.starts_with('#') {
            shape.push(line.split(' ').next().unwrap_or_default());
        }
    }
    shape
}

/// The CHANGELOG has a place for what is not released, and something in it.
pub fn changelog(tree: &Tree) -> Vec<Complaint> {
    let file = "CHANGELOG.md";
    let unreleased = tree.get(file).and_then(|text| text.split_once("## Unreleased")).map(|(_, rest)| rest);
    let entries = unreleased.map(|rest| {
        rest.lines().take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("- ")).count()
    });
    match entries {
        Some(1..) => Vec::new(),
        _ => vec![Complaint::new(file, 0, "no section `## Unreleased` with entries that start with `- `")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(found: &[Complaint]) -> Vec<usize> {
        found.iter().map(|found| found.line).collect()
    }

    #[test]
    fn paths_of_one_machine_are_found_and_others_are_not() {
        let [work, root, temporary, shared] = MACHINE;
        let bad = format!("{work}main\n`{root}x`\nlog={temporary}log\nsee {shared}/x\n");
        assert_eq!(lines(&machine_paths(&Tree::of(&[("a.md", &bad)]))), [1, 2, 3, 4]);
        let good = format!("net{work}x\nhttps://a.b{work}x\n.{root}x\n\"$HOME{temporary}x\"\n{temporary} is small\n");
        assert_eq!(machine_paths(&Tree::of(&[("a.md", &good)])), []);
    }

    #[test]
    fn what_is_left_undone_says_why() {
        let mark = concat!("TO", "DO");
        let text = format!(
            "// {mark}: later\n// {mark}: left because the kernel lies\n// {mark}(#12): more\n// {mark}_LIST\n"
        );
        assert_eq!(lines(&unexplained_todos(&Tree::of(&[("a.rs", &text)]))), [1]);
        assert_eq!(unexplained_todos(&Tree::of(&[("a.md", &text)])), []);
        let stub = concat!("fn f() { to", "do!() }");
        assert_eq!(lines(&unexplained_todos(&Tree::of(&[("a.rs", stub)]))), [1]);
    }

    #[test]
    fn both_readmes_and_ci_have_the_commands() {
        let good = format!("```sh\n{}\n{} # tests\n```\n", COMMANDS[0], COMMANDS[1]);
        let run = format!("step tests {}\n", COMMANDS[1]);
        let with = |readme: &str, run: &str| {
            commands(&Tree::of(&[(READMES[0], &good), (READMES[1], readme), (".ci/run", run)]))
        };
        assert_eq!(with(&good, &run), []);
        assert_eq!(with("cargo test", &run).len(), 2);
        assert_eq!(with(&good, "# cargo test --release --workspace\n").len(), 1);
        assert_eq!(commands(&Tree::default()).len(), 5);
    }

    #[test]
    fn the_translation_has_the_original_s_shape() {
        let with = |translation| {
            translations(&Tree::of(&[
                (READMES[0], "# A\ntext\n```rust\n# not a heading\n```\n## B\n"),
                (READMES[1], translation),
            ]))
        };
        assert_eq!(with("# 甲\n```rust\n```\n## 乙\n"), []);
        for bad in ["# 甲\n## 乙\n```rust\n```\n", "# 甲\n```rust\n```\n### 乙\n", "# 甲\n```sh\n```\n## 乙\n", ""]
        {
            assert_eq!(with(bad).len(), 1, "{bad:?}");
        }
        assert_eq!(translations(&Tree::default()).len(), 1);
    }

    #[test]
    fn the_changelog_says_what_is_new() {
        let with = |text| changelog(&Tree::of(&[("CHANGELOG.md", text)]));
        assert_eq!(with("# Changelog\n## Unreleased\n\n- More.\n## 0.1\n"), []);
        assert_eq!(with("## Unreleased\n## 0.1\n- Old.\n").len(), 1);
        assert_eq!(with("## 0.1\n- Old.\n").len(), 1);
    }
}
