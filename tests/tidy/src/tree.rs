//! Owns the files of the repository as the rules see them: relative paths and texts.
//!
//! Invariant: paths use `/` and are sorted, so complaints come in the same order everywhere. Every rule reads it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

/// What a rule found: a place, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Path inside the repository.
    pub file: String,
    /// Line, from 1; 0 stands for the file as a whole.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub text: String,
}

impl Complaint {
    /// A complaint about one line.
    pub fn new(file: &str, line: usize, text: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, text: text.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.text)
    }
}

/// The text files of a repository.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads a directory. What builds leave behind, version control's own files and files that are not text are left out.
    ///
    /// # Errors
    ///
    /// A directory or file that can't be read.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        tree.read_directory(root, "")?;
        Ok(tree)
    }

    /// A tree made of strings, for the rules' own tests.
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect() }
    }

    /// The text of a file.
    pub fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// All files, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The Rust files.
    pub fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(|(path, _)| path.ends_with(".rs"))
    }

    /// The directories of the crates directly under `place` (`crates` or `tools`), with their manifests.
    pub fn packages(&self, place: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter_map(move |(path, text)| {
            let directory = path.strip_suffix("/Cargo.toml")?;
            let name = directory.strip_prefix(place)?.strip_prefix('/')?;
            (!name.contains('/')).then_some((directory, text))
        })
    }

    fn read_directory(&mut self, directory: &Path, prefix: &str) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            // (In a work tree beside the first one `.git` is a file.)
            if ["target", ".git", "__pycache__"].contains(&name.as_str()) {
                continue;
            }
            if kind.is_dir() {
                self.read_directory(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_file()
                && let Ok(text) = String::from_utf8(fs::read(entry.path())?)
            {
                self.files.insert(path, text);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_the_direct_children_only() {
        let tree =
            Tree::of(&[("crates/a/Cargo.toml", "A"), ("crates/a/fuzz/Cargo.toml", "F"), ("tools/t/Cargo.toml", "T")]);
        assert_eq!(tree.packages("crates").collect::<Vec<_>>(), [("crates/a", "A")]);
    }

    #[test]
    fn reading_finds_this_very_file() {
        let tree = Tree::read(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("this package can be read");
        assert!(tree.get("src/tree.rs").is_some_and(|text| text.contains("reading_finds_this_very_file")));
    }
}
