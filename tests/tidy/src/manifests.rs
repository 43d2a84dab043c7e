//! Owns the rules for `Cargo.toml`: which crate may use which, why a dependency is there, which lints hold.
//!
//! A manifest is read line by line: the comment above a dependency is what a parser would throw away.

use crate::tree::{Complaint, Tree};

/// The crates, bottom-up: each may use only those before it. Programs (tools, tests) may use any.
pub const LAYERS: [&str; 5] = ["kettle-gen", "kettle-fiber", "kettle-driver", "kettle-rt", "kettle"];

/// A crate uses only crates of lower layers, in its tests as well.
pub fn layers(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (directory, manifest) in tree.packages("crates") {
        let file = format!("{directory}/Cargo.toml");
        let name = directory.rsplit('/').next().unwrap_or_default();
        let Some(layer) = LAYERS.iter().position(|layer| *layer == name) else {
            complaints.push(Complaint::new(&file, 0, format!("`{name}` has no layer: the layers are {LAYERS:?}")));
            continue;
        };
        for dependency in dependencies(manifest) {
            match LAYERS.iter().position(|layer| *layer == dependency.name) {
                Some(other) if other >= layer => {
                    let text = format!("`{name}` uses `{}`, which is not below it", dependency.name);
                    complaints.push(Complaint::new(&file, dependency.line, text));
                }
                _ => {}
            }
        }
    }
    complaints
}

/// Each dependency has a comment above it that says what it is there for.
pub fn reasons(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (directory, manifest) in manifests(tree) {
        for dependency in dependencies(manifest).into_iter().filter(|dependency| !dependency.has_reason) {
            let text = format!("no reason for `{}`: put a comment line above it", dependency.name);
            complaints.push(Complaint::new(&format!("{directory}/Cargo.toml"), dependency.line, text));
        }
    }
    complaints
}

/// Each package takes the workspace's lints.
pub fn lints(tree: &Tree) -> Vec<Complaint> {
    manifests(tree)
        .filter(|(_, manifest)| !manifest.contains("[lints]\nworkspace = true"))
        .map(|(directory, _)| {
            Complaint::new(&format!("{directory}/Cargo.toml"), 0, "no `[lints]` section with `workspace = true`")
        })
        .collect()
}

fn manifests(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    ["crates", "tools", "tests"].into_iter().flat_map(|place| tree.packages(place))
}

struct Dependency<'a> {
    name: &'a str,
    line: usize,
    has_reason: bool,
}

fn dependencies(manifest: &str) -> Vec<Dependency<'_>> {
    let mut found = Vec::new();
    let mut inside = false;
    let mut above = "";
    for (index, line) in manifest.lines().enumerate() {
        let has_reason = above.trim_start().starts_with("# ");
        above = line;
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = section.ends_with("dependencies");
            // `[dependencies.name]` is one dependency, and its keys are none.
            if let Some((table, name)) = section.rsplit_once('.')
                && table.ends_with("dependencies")
            {
                found.push(Dependency { name, line: index + 1, has_reason });
            }
        } else if inside && let Some(name) = key(line) {
            found.push(Dependency { name, line: index + 1, has_reason });
        }
    }
    found
}

/// What stands before `=`, without `.workspace` and quotes; nothing for comments and the inner lines of a long value.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim().trim_matches('"');
    let key = key.strip_suffix(".workspace").unwrap_or(key);
    (!key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "-_".contains(c))).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[dependencies]\n# Says why.\nkettle-gen = { path = \"x\" }\n[dev-dependencies]\n# So does this.\n\
                        proptest.workspace = true\n[target.'cfg(unix)'.dependencies]\n# And this.\nlibc = \"0.2\"\n\
                        [lints]\nworkspace = true\n";

    #[test]
    fn a_crate_that_uses_lower_ones_with_reasons_is_fine() {
        let tree = Tree::of(&[("crates/kettle-fiber/Cargo.toml", GOOD), ("tools/t/Cargo.toml", GOOD)]);
        assert_eq!(layers(&tree), []);
        assert_eq!(reasons(&tree), []);
        assert_eq!(lints(&tree), []);
    }

    #[test]
    fn a_crate_must_not_use_its_equal_or_better() {
        for section in ["dependencies", "dev-dependencies", "target.'cfg(unix)'.dependencies"] {
            let manifest = format!("[{section}]\nkettle = {{ path = \"../kettle\" }}\n");
            let tree = Tree::of(&[("crates/kettle-fiber/Cargo.toml", &manifest)]);
            assert_eq!(layers(&tree).len(), 1, "{section}");
        }
        let table = Tree::of(&[("crates/kettle-gen/Cargo.toml", "[dependencies.kettle-rt]\npath = \"x\"\n")]);
        assert_eq!(layers(&table).len(), 1);
    }

    #[test]
    fn a_crate_needs_a_layer() {
        assert_eq!(layers(&Tree::of(&[("crates/kettle-misc/Cargo.toml", "")])).len(), 1);
    }

    #[test]
    fn each_dependency_needs_its_own_reason() {
        let tree = Tree::of(&[("tools/t/Cargo.toml", "[dependencies]\n# One.\na = \"1\"\nb = \"1\"\n\nc = \"1\"\n")]);
        let lines: Vec<_> = reasons(&tree).iter().map(|complaint| complaint.line).collect();
        assert_eq!(lines, [4, 6]);
    }

    #[test]
    fn a_package_without_the_lints_is_named() {
        assert_eq!(lints(&Tree::of(&[("crates/kettle/Cargo.toml", "[lints]\nrust.x = \"deny\"\n")])).len(), 1);
    }
}
