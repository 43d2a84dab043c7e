//! Owns listings: code cut out of the source that the compiler reads, between marker comments, so that what is shown
//! is what runs.

/// A language of listings, as far as colouring it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    Rust,
    Python,
}

/// Cuts the lines between `// listing: NAME` and `// end of listing`, with their common indentation taken off.
pub(crate) fn cut(source: &str, name: &str) -> Option<String> {
    let begin = format!("// listing: {name}");
    let lines: Vec<&str> = source
        .lines()
        .skip_while(|line| line.trim() != begin)
        .skip(1)
        .take_while(|line| line.trim() != "// end of listing")
        .collect();
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let margin = lines.iter().filter(|line| !line.trim().is_empty()).map(indent).min()?;
    Some(lines.iter().map(|line| line.get(margin..).unwrap_or_default()).collect::<Vec<_>>().join("\n"))
}

/// What a piece of a line is, for colouring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Keyword,
    Literal,
    Comment,
    Other,
}

/// Cuts a line of code into tokens; together they are the line.
pub(crate) fn tokens(line: &str, syntax: Syntax) -> Vec<(Token, &str)> {
    let mut tokens = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let (token, len) = if rest.starts_with(syntax.comment()) {
            (Token::Comment, rest.len())
        } else if syntax.quotes().contains(first) {
            (Token::Literal, rest[1..].find(first).map_or(rest.len(), |end| end + 2))
        } else if first.is_alphabetic() || first == '_' {
            let len = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            (if syntax.keywords().contains(&&rest[..len]) { Token::Keyword } else { Token::Other }, len)
        } else if first.is_ascii_digit() {
            (Token::Literal, rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()))
        } else {
            (Token::Other, first.len_utf8())
        };
        tokens.push((token, &rest[..len]));
        rest = &rest[len..];
    }
    tokens
}

impl Syntax {
    fn comment(self) -> &'static str {
        match self {
            Syntax::Rust => "//",
            Syntax::Python => "#",
        }
    }

    fn quotes(self) -> &'static str {
        match self {
            // A single quote begins a lifetime more often than a character.
            Syntax::Rust => "\"",
            Syntax::Python => "\"'",
        }
    }

    fn keywords(self) -> &'static [&'static str] {
        match self {
            Syntax::Rust => &[
                "as", "async", "await", "else", "enum", "fn", "for", "if", "impl", "in", "let", "loop", "match",
                "move", "mut", "pub", "return", "self", "struct", "use", "while",
            ],
            Syntax::Python => &[
                "None", "True", "False", "as", "break", "class", "def", "else", "except", "finally", "for", "from",
                "if", "import", "in", "is", "not", "pass", "raise", "return", "try", "while", "yield",
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_what_stands_between_its_markers() {
        let source = "use a;\n    // listing: one\n    fn f() {\n\n        g();\n    }\n    // end of listing\nrest";
        assert_eq!(cut(source, "one").as_deref(), Some("fn f() {\n\n    g();\n}"));
        assert_eq!(cut(source, "two"), None);
    }

    #[test]
    fn tokens_lose_nothing() {
        for syntax in [Syntax::Rust, Syntax::Python] {
            for line in ["let x = \"a // b\"; // 'c'", "print('é', 10_000)  # done", "\"open", "", "  // 水"] {
                let joined: String = tokens(line, syntax).iter().map(|(_, text)| *text).collect();
                assert_eq!(joined, line);
            }
        }
        assert!(tokens("x # no", Syntax::Python).contains(&(Token::Comment, "# no")));
        assert!(tokens("let a = \"//\";", Syntax::Rust).contains(&(Token::Literal, "\"//\"")));
    }
}
