//! A lexer that borrows its input and can fail: tokens are slices of the text, an error ends the sequence.
//! Run it: `cargo run -p kettle --example lexer`

use kettle::{Error, Generator, try_generator};
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'t> {
    Number(f64),
    Name(&'t str),
    Symbol(char),
}

/// What is no token, and where it stands.
#[derive(Debug, PartialEq)]
struct Unknown {
    character: char,
    at: usize,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown character `{}` at byte {}", self.character, self.at)
    }
}

impl std::error::Error for Unknown {}

/// The tokens of a text. `?` raises errors: its own, and those of `parse`.
fn tokens(text: &str) -> impl Iterator<Item = Result<Token<'_>, Error>> + Generator<Yield = Token<'_>> {
    try_generator(async move |y| {
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let len = match first {
                ' ' => 1,
                '0'..='9' => {
                    let len = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
                    y.yield_(Token::Number(rest[..len].parse()?)).await;
                    len
                }
                'a'..='z' => {
                    let len = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
                    y.yield_(Token::Name(&rest[..len])).await;
                    len
                }
                '+' | '-' | '*' | '/' | '(' | ')' | '=' => {
                    y.yield_(Token::Symbol(first)).await;
                    1
                }
                character => Err(Unknown { character, at: text.len() - rest.len() })?,
            };
            rest = &rest[len..];
        }
        Ok(())
    })
}

fn main() -> Result<(), Error> {
    let text = String::from("cups = 2 * (tea + 0.5)");
    let found = tokens(&text).collect::<Result<Vec<_>, _>>()?;
    assert_eq!(found.len(), 9);
    assert_eq!(found[..3], [Token::Name("cups"), Token::Symbol('='), Token::Number(2.0)]);
    for token in found {
        print!("{token:?} ");
    }
    println!();

    // The tokens before the error are there, and nothing comes after it.
    let mut broken = tokens("tea ? 2");
    assert_eq!(broken.next().transpose()?, Some(Token::Name("tea")));
    let error = broken.next().and_then(Result::err).expect("`?` is no token");
    println!("{error}");
    assert_eq!(error.downcast_ref(), Some(&Unknown { character: '?', at: 4 }));
    assert!(broken.next().is_none());

    let error = tokens("1.2.3").next().and_then(Result::err).expect("no number");
    assert!(error.downcast_ref::<std::num::ParseFloatError>().is_some());
    Ok(())
}
