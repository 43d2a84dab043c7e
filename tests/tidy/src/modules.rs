//! Owns the rule of reading order: `lib.rs` lists its modules bottom-up, and a module imports only earlier ones.
//!
//! The same holds inside a module that has modules of its own: the file that lists them comes after them all, as
//! `lib.rs` comes after the crate's. A name that such a file re-exports counts as a name of the module it comes from.
//!
//! Invariant: a module's place is its position in its parent's list, at each level (`[3, 0]`), and places are compared
//! where they first differ.

use crate::tokens::{Word, code};
use crate::tree::{Complaint, Tree};
use std::collections::BTreeMap;

/// Every module of every crate imports only modules that stand above it.
pub fn order(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (directory, _) in tree.packages("crates") {
        let root = format!("{directory}/src/lib.rs");
        let mut modules = Vec::new();
        read(tree, &root, &format!("{directory}/src"), Vec::new(), &mut modules, &mut complaints);
        for module in &modules {
            module.check(&modules, &mut complaints);
        }
    }
    complaints
}

/// A file of a crate.
struct Module {
    file: String,
    /// Its name, from the crate's root; empty for the root.
    name: Vec<String>,
    words: Vec<Word>,
    /// The modules that it lists, in order, each with where its own children's files are.
    children: Vec<String>,
    /// What it imports or re-exports: the name, and the full path that it stands for.
    imports: BTreeMap<String, Vec<String>>,
}

/// Reads a module and those that it lists.
fn read(
    tree: &Tree,
    file: &str,
    directory: &str,
    name: Vec<String>,
    modules: &mut Vec<Module>,
    complaints: &mut Vec<Complaint>,
) {
    let Some(text) = tree.get(file) else {
        complaints.push(Complaint::new(file, 0, "this module's file is missing"));
        return;
    };
    let words = match code(text) {
        Ok(words) => words,
        Err(line) => {
            complaints.push(Complaint::new(file, line, "this is not Rust"));
            return;
        }
    };
    let children = listed(&words);
    let imports = imports(&words, &name, &children);
    for child in &children {
        let mut child_name = name.clone();
        child_name.push(child.clone());
        let beside = format!("{directory}/{child}.rs");
        let inside = format!("{directory}/{child}/mod.rs");
        let child_file = if tree.get(&beside).is_some() { beside } else { inside };
        read(tree, &child_file, &format!("{directory}/{child}"), child_name, modules, complaints);
    }
    modules.push(Module { file: file.to_owned(), name, words, children, imports });
}

/// The names of `mod name;`, in order, once each (a module may be listed per platform).
fn listed(words: &[Word]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for window in words.windows(3) {
        if window[0].text == "mod" && window[2].text == ";" && !names.contains(&window[1].text) {
            names.push(window[1].text.clone());
        }
    }
    names
}

impl Module {
    fn check(&self, modules: &[Module], complaints: &mut Vec<Complaint>) {
        let own = place(modules, &self.name);
        for (line, path) in references(&self.words, &self.name) {
            let targets = targets(modules, &path, 0);
            if targets.is_empty() {
                let text =
                    format!("`crate::{}` is no module's: it is defined after those that use it", path.join("::"));
                complaints.push(Complaint::new(&self.file, line, text));
            }
            for target in targets {
                if !is_above(&place(modules, &target), &own) {
                    let text = format!(
                        "imports `{}`, which `{}` lists after it: a module imports only those above it",
                        target.join("::"),
                        parent_file(modules, &self.name, &target),
                    );
                    complaints.push(Complaint::new(&self.file, line, text));
                }
            }
        }
    }
}

/// Whether a module may import another: earlier where the two part, or the other's parent.
fn is_above(target: &[usize], own: &[usize]) -> bool {
    match target.iter().zip(own).find(|(target, own)| target != own) {
        Some((target, own)) => target < own,
        None => target.len() >= own.len(),
    }
}

/// The file whose list the order of two modules comes from.
fn parent_file<'a>(modules: &'a [Module], one: &[String], other: &[String]) -> &'a str {
    let common = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    module(modules, &one[..common.min(one.len())]).map_or("lib.rs", |module| &module.file)
}

fn module<'a>(modules: &'a [Module], name: &[String]) -> Option<&'a Module> {
    modules.iter().find(|module| module.name == name)
}

fn place(modules: &[Module], name: &[String]) -> Vec<usize> {
    (0..name.len())
        .filter_map(|depth| module(modules, &name[..depth])?.children.iter().position(|child| *child == name[depth]))
        .collect()
}

/// The modules that a path leads to: where it ends and, if a list re-exports it, where it comes from. None if the name is
/// defined in a file that lists modules.
fn targets(modules: &[Module], path: &[String], hops: usize) -> Vec<Vec<String>> {
    let depth = (0..=path.len()).rev().find(|depth| module(modules, &path[..*depth]).is_some()).unwrap_or(0);
    let (found, rest) = path.split_at(depth);
    let mut targets = Vec::new();
    let Some(holder) = module(modules, found) else { return targets };
    if holder.children.is_empty() || (rest.is_empty() && !found.is_empty()) {
        targets.push(found.to_vec());
    }
    // A re-export of this very name: by the file that the name is looked up in, or by the parent of a module so called.
    let import = match rest.first() {
        Some(item) => holder.imports.get(item),
        None => path.split_last().and_then(|(last, parent)| module(modules, parent)?.imports.get(last)),
    };
    if let Some(origin) = import
        && origin != path
        && hops < 8
    {
        targets.extend(self::targets(modules, origin, hops + 1));
    }
    targets
}

/// The paths in code that begin at the crate, at `super` or at `self`, as seen from the root, with their lines.
fn references(words: &[Word], name: &[String]) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let starts = ["crate", "super", "self"].contains(&words[at].text.as_str())
            && is_separator(words, at + 1)
            // `pub(in crate::a)` is about who sees it, and `other::self::x` is not ours.
            && !at.checked_sub(1).is_some_and(|before| ["in", ":"].contains(&words[before].text.as_str()));
        if !starts {
            at += 1;
            continue;
        }
        let line = words[at].line;
        let end = path_end(words, at);
        for path in paths(&words[at..end]) {
            if let Some(path) = from_root(&path, name, words[at].depth) {
                // A macro that the crate exports stands at its root whatever file it is in.
                let is_macro = words.get(end).is_some_and(|word| word.text == "!");
                if !path.is_empty() && !is_macro {
                    found.push((line, path));
                }
            }
        }
        at = end;
    }
    found
}

/// What a file's `use` declarations bring in, by name.
fn imports(words: &[Word], name: &[String], children: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for at in 0..words.len() {
        if words[at].text != "use" || words[at].depth > 0 {
            continue;
        }
        let end = path_end(words, at + 1);
        for path in paths(&words[at + 1..end]) {
            let full = match path.first() {
                Some(first) if children.contains(first) => name.iter().chain(&path).cloned().collect::<Vec<_>>(),
                _ => match from_root(&path, name, 0) {
                    Some(full) => full,
                    None => continue,
                },
            };
            if let Some(last) = full.last() {
                found.insert(last.clone(), full.clone());
            }
        }
    }
    found
}

fn is_separator(words: &[Word], at: usize) -> bool {
    words.len() > at + 1 && words[at].text == ":" && words[at + 1].text == ":"
}

/// Where a path that starts at `at` ends, braces included.
fn path_end(words: &[Word], mut at: usize) -> usize {
    loop {
        at += 1;
        if !is_separator(words, at) {
            return at;
        }
        at += 2;
        if words.get(at).is_some_and(|word| word.text == "{") {
            let mut open = 0_usize;
            while let Some(word) = words.get(at) {
                open += usize::from(word.text == "{");
                open -= usize::from(word.text == "}");
                at += 1;
                if open == 0 {
                    break;
                }
            }
            return at;
        }
        if !words.get(at).is_some_and(is_name) {
            return at;
        }
    }
}

fn is_name(word: &Word) -> bool {
    word.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The paths of a use tree (`a::{b, c::d as e}` is `a::b` and `a::c::d`). A glob stands for its module.
fn paths(words: &[Word]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut prefix: Vec<String> = Vec::new();
    let mut outer: Vec<Vec<String>> = Vec::new();
    let mut complete = true;
    let mut skip = false;
    for word in words {
        match word.text.as_str() {
            "{" => {
                outer.push(prefix.clone());
                complete = true;
            }
            "," | "}" => {
                if !complete {
                    found.push(prefix.clone());
                }
                complete = true;
                skip = false;
                if word.text == "}" {
                    prefix = outer.pop().unwrap_or_default();
                } else {
                    prefix = outer.last().cloned().unwrap_or_default();
                }
            }
            "as" => skip = true,
            ":" => {}
            "*" => complete = false,
            // `a::{self}` is `a`.
            "self" if !prefix.is_empty() => complete = false,
            _ if skip => {}
            text => {
                prefix.push(text.to_owned());
                complete = false;
            }
        }
    }
    if !complete {
        found.push(prefix);
    }
    found
}

/// A path as seen from the crate's root. None if it begins elsewhere, or stays inside the file's own inline modules.
fn from_root(path: &[String], name: &[String], depth: usize) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" if depth == 0 => Some(name.iter().chain(rest).cloned().collect()),
        "super" => {
            let up = path.iter().take_while(|segment| *segment == "super").count();
            let above = up.checked_sub(depth).filter(|above| *above > 0)?;
            let parent = name.get(..name.len().checked_sub(above)?)?;
            Some(parent.iter().chain(&path[up..]).cloned().collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a crate with the given `lib.rs` and module files.
    fn complaints(files: &[(&str, &str)]) -> Vec<(String, usize)> {
        let paths: Vec<_> = files.iter().map(|(path, text)| (format!("crates/k/src/{path}"), *text)).collect();
        let mut all: Vec<_> = paths.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        all.push(("crates/k/Cargo.toml", ""));
        order(&Tree::of(&all)).into_iter().map(|found| (found.file.replace("crates/k/src/", ""), found.line)).collect()
    }

    const LIB: &str = "mod low;\npub mod high;\npub use low::Low;\npub use high::{High, other as renamed};\n";

    #[test]
    fn earlier_modules_may_be_imported_in_every_form() {
        let high = "use crate::low::{self, Low};\nuse crate::Low as L;\nfn f() { crate::low::g::<u8>(); super::low::g(); self::f() }\n\
                    /// [`crate::high`] and crate::high.\npub(in crate::high) fn h() {}";
        assert_eq!(complaints(&[("lib.rs", LIB), ("low.rs", "pub struct Low;"), ("high.rs", high)]), []);
    }

    #[test]
    fn a_later_module_must_not_be_imported_in_any_form() {
        for low in [
            "use crate::high::High;",
            "use crate::{high::High};",
            "use crate::high::*;",
            "use crate::high as h;",
            "use super::high;",
            "fn f() { crate::high::g() }",
            "fn f() { assert!(matches!(1, crate::high::G)) }",
            "macro_rules! m { () => { $crate::high::g() } }",
            "mod inline { use super::super::high; }",
            "use crate::High;",
            "use crate::{self, High};",
        ] {
            assert_eq!(
                complaints(&[("lib.rs", LIB), ("low.rs", low), ("high.rs", "")]),
                [("low.rs".to_owned(), 1)],
                "{low}"
            );
        }
    }

    #[test]
    fn comments_strings_and_tests_may_speak_of_later_modules() {
        let low = "//! [`crate::high`]\n// crate::high::g\nconst A: &str = \"crate::high\";\n#[cfg(test)]\nmod tests { use crate::high::g; }\n\
                   mod inline { use super::A; use self::B; }\nstruct S; impl S { fn f(&self) -> Self { self::g(); S } }\nfn g() {}";
        assert_eq!(complaints(&[("lib.rs", LIB), ("low.rs", low), ("high.rs", "")]), []);
    }

    #[test]
    fn what_lib_rs_defines_itself_comes_after_all_modules() {
        let files = [("lib.rs", "mod low;\npub fn top() {}"), ("low.rs", "use crate::top;")];
        assert_eq!(complaints(&files), [("low.rs".to_owned(), 1)]);
        let exported = [("lib.rs", "mod low;"), ("low.rs", "fn f() { crate::mac!() }")];
        assert_eq!(complaints(&exported), []);
    }

    #[test]
    fn the_order_holds_inside_a_module_too() {
        let lib = ("lib.rs", "mod base;\nmod dir;\nmod top;");
        let dir = ("dir.rs", "mod a;\nmod b;\npub use a::A;\nuse self::b::B;\nuse crate::base::X;");
        let empty = [lib, dir, ("base.rs", ""), ("top.rs", "use crate::dir::{a::A, b};")];
        let with = |a, b| complaints(&[&empty[..], &[("dir/a.rs", a), ("dir/b.rs", b)]].concat());
        assert_eq!(with("use crate::base::X;", "use super::a::A;\nuse super::A;\nuse crate::dir::a;"), []);
        assert_eq!(with("use super::b::B;", ""), [("dir/a.rs".to_owned(), 1)]);
        assert_eq!(with("use super::B;", ""), [("dir/a.rs".to_owned(), 1)]);
        assert_eq!(with("", "use super::not_listed;"), [("dir/b.rs".to_owned(), 1)]);
        assert_eq!(with("use crate::top::T;", ""), [("dir/a.rs".to_owned(), 1)]);
    }

    #[test]
    fn a_directory_with_mod_rs_is_read_and_a_missing_file_is_named() {
        let files = [("lib.rs", "mod dir;\nmod top;"), ("dir/mod.rs", "use crate::top::T;"), ("top.rs", "")];
        assert_eq!(complaints(&files), [("dir/mod.rs".to_owned(), 1)]);
        assert_eq!(complaints(&[("lib.rs", "mod gone;")]), [("gone/mod.rs".to_owned(), 0)]);
    }

    #[test]
    fn a_name_of_both_a_module_and_a_function_counts_as_both() {
        let lib = "mod word;\nmod user;\nmod late;\npub use late::word;";
        let files =
            [("lib.rs", lib), ("word.rs", ""), ("user.rs", "use crate::word;"), ("late.rs", "pub fn word() {}")];
        assert_eq!(complaints(&files), [("user.rs".to_owned(), 1)]);
    }
}
