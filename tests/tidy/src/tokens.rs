//! Owns the words of a Rust file: what is code, and not a comment, a string or a test module.
//!
//! Rules that look for a word look here, so that prose about `unsafe` is no unsafe code.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use std::iter::Peekable;
use std::vec::IntoIter;

/// One word, mark or bracket of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// As written; literals keep their quotes.
    pub text: String,
    /// Line, from 1.
    pub line: usize,
    /// How many inline modules it stands in.
    pub depth: usize,
}

/// The code of a file, with groups opened up, and without what is compiled for tests only.
///
/// # Errors
///
/// The line at which the file stops being Rust.
pub fn code(text: &str) -> Result<Vec<Word>, usize> {
    let stream: TokenStream = text.parse().map_err(|error: proc_macro2::LexError| error.span().start().line)?;
    let mut words = Vec::new();
    open(stream, 0, &mut words);
    Ok(words)
}

fn open(stream: TokenStream, depth: usize, words: &mut Vec<Word>) {
    let mut trees = stream.into_iter().collect::<Vec<_>>().into_iter().peekable();
    while let Some(tree) = trees.next() {
        if is_mark(&tree, '#')
            && let Some(TokenTree::Group(attribute)) = trees.peek()
            && is_for_tests(attribute)
        {
            skip_item(&mut trees);
            continue;
        }
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let inline_module =
                    group.delimiter() == Delimiter::Brace && words.len() >= 2 && words[words.len() - 2].text == "mod";
                let (before, after) = brackets(group.delimiter());
                words.push(Word { text: before.to_owned(), line, depth });
                open(group.stream(), depth + usize::from(inline_module), words);
                words.push(Word { text: after.to_owned(), line: group.span_close().end().line, depth });
            }
            other => words.push(Word { text: other.to_string(), line, depth }),
        }
    }
}

/// Passes over the rest of an item whose first attribute's `#` was taken.
fn skip_item(trees: &mut Peekable<IntoIter<TokenTree>>) {
    for tree in trees {
        match tree {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return,
            other if is_mark(&other, ';') => return,
            _ => {}
        }
    }
}

fn is_for_tests(attribute: &Group) -> bool {
    let text: String = attribute.stream().to_string().split_whitespace().collect();
    text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

fn is_mark(tree: &TokenTree, mark: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == mark)
}

fn brackets(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::None => ("", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(text: &str, word: &str) -> bool {
        code(text).expect("the example is Rust").iter().any(|found| found.text == word)
    }

    #[test]
    fn comments_strings_and_docs_are_no_code() {
        assert!(has("fn f() { unsafe {} }", "unsafe"));
        assert!(has("fn f() { assert!(unsafe { g() }) }", "unsafe"));
        for quiet in [
            "//! unsafe\n",
            "/// unsafe\nfn f() {}",
            "// unsafe\n",
            "/* /* */ unsafe */",
            r##"const A: &str = r#"unsafe " "#;"##,
        ] {
            assert!(!has(quiet, "unsafe"), "{quiet}");
        }
    }

    #[test]
    fn what_is_for_tests_is_left_out_and_the_rest_is_not() {
        let text = "#[cfg(test)]\n#[rustfmt::skip]\nmod tests { use super::hidden; }\n#[cfg(unix)]\nmod b { seen }";
        assert!(!has(text, "hidden"));
        assert!(has(text, "seen"));
    }

    #[test]
    fn a_word_knows_its_line_and_its_inline_modules() {
        let words = code("mod a {\n mod b {\n x }\n}\ny").expect("the example is Rust");
        let of = |text: &str| words.iter().find(|word| word.text == text).map(|word| (word.line, word.depth));
        assert_eq!(of("x"), Some((3, 2)));
        assert_eq!(of("y"), Some((5, 0)));
    }

    #[test]
    fn an_unbalanced_file_is_named_by_its_line() {
        assert!(code("fn f() {\n").is_err());
    }
}
