//! Owns the work that contenders do: the bodies, each written once as a macro over the way to yield, and what is
//! written by hand instead of a generator.

use std::hint::black_box;

/// The tutorial's `lazy_range`: `index` from 0 up to `up_to`.
#[macro_export]
macro_rules! lazy_range {
    ($up_to:expr, $value:ident => $yield:expr) => {{
        let up_to: u64 = $up_to;
        let mut index = 0u64;
        while index < up_to {
            let $value = index;
            $yield;
            index += 1;
        }
    }};
}

/// A conversation: what is sent goes into what is yielded next. `$yield` gives what was sent.
#[macro_export]
macro_rules! running_total {
    ($count:expr, $value:ident => $yield:expr) => {{
        let count: u64 = $count;
        let mut total = 0u64;
        let mut index = 0u64;
        while index < count {
            let $value = total;
            let sent: u64 = $yield;
            total = total.wrapping_add(sent ^ index);
            index += 1;
        }
        total
    }};
}

/// A lexer over borrowed bytes: nested loops, five places that yield.
#[macro_export]
macro_rules! lexer {
    ($text:ident, $token:ident => $yield:expr) => {{
        let mut at = 0;
        let mut line = 0;
        while at < $text.len() {
            match $text[at] {
                b' ' => at += 1,
                b'\n' => {
                    at += 1;
                    line += 1;
                    let $token = $crate::work::Token::Line(line);
                    $yield;
                }
                b'0'..=b'9' => {
                    let mut number = 0u64;
                    while at < $text.len() && $text[at].is_ascii_digit() {
                        number = number.wrapping_mul(10).wrapping_add(u64::from($text[at] - b'0'));
                        at += 1;
                    }
                    let $token = $crate::work::Token::Number(number);
                    $yield;
                }
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                    let start = at;
                    while at < $text.len() && ($text[at].is_ascii_alphanumeric() || $text[at] == b'_') {
                        at += 1;
                    }
                    let $token = $crate::work::Token::Word(start as u32, at as u32);
                    $yield;
                }
                b'"' => {
                    let start = at;
                    at += 1;
                    while at < $text.len() && $text[at] != b'"' {
                        at += 1;
                    }
                    at += 1;
                    let $token = $crate::work::Token::Text(start as u32, at as u32);
                    $yield;
                }
                sign => {
                    at += 1;
                    let $token = $crate::work::Token::Sign(sign);
                    $yield;
                }
            }
        }
    }};
}

/// What a lexer finds.
#[derive(Clone, Copy, Debug)]
pub enum Token {
    /// A line that ended, by its number.
    Line(u32),
    /// A number.
    Number(u64),
    /// A word, by its first byte and the one after it.
    Word(u32, u32),
    /// A quoted text, likewise.
    Text(u32, u32),
    /// Anything else.
    Sign(u8),
}

impl Token {
    /// All that it says, in one number.
    #[inline(always)]
    pub fn number(self) -> u64 {
        match self {
            Token::Line(line) => u64::from(line) | 1 << 41,
            Token::Number(number) => number,
            Token::Word(start, end) => u64::from(start) << 20 ^ u64::from(end),
            Token::Text(start, end) => u64::from(start) << 24 ^ u64::from(end) << 1,
            Token::Sign(sign) => u64::from(sign) | 1 << 40,
        }
    }
}

/// A text for lexers, the same each time.
pub fn text(len: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(len + 32);
    let mut random = 88_172_645_463_325_252u64;
    while text.len() < len {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        match random % 7 {
            0 | 1 => text.extend_from_slice(format!("{} ", random >> 44).as_bytes()),
            2 | 3 => text.extend_from_slice(&b"alpha beta1 gamma_x "[..7 + random as usize % 13]),
            4 => text.extend_from_slice(b"\"some str\" "),
            5 => text.push(b"+-*/(){}=;"[(random >> 20) as usize % 10]),
            _ => text.push(b'\n'),
        }
    }
    text.push(b'\n');
    text
}

/// Mixes a value into a hash: a consumer that can't be folded into a formula.
#[inline(always)]
pub fn mix(hash: u64, value: u64) -> u64 {
    (hash ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Mixes all values into a hash.
#[inline(always)]
pub fn hash(values: impl IntoIterator<Item = u64>) -> u64 {
    let mut hash = 0;
    for value in values {
        hash = mix(hash, value);
    }
    hash
}

/// The same for tokens.
#[inline(always)]
pub fn hash_tokens(tokens: impl IntoIterator<Item = Token>) -> u64 {
    hash(tokens.into_iter().map(Token::number))
}

/// The same for an iterator whose type nobody knows, not even the optimiser.
#[inline(never)]
pub fn hash_dynamic(values: Box<dyn Iterator<Item = u64> + '_>) -> u64 {
    hash(black_box(values))
}

/// `lazy_range` by hand.
#[derive(Debug)]
pub struct RangeByHand {
    index: u64,
    up_to: u64,
}

impl RangeByHand {
    /// From 0 up to `up_to`.
    pub fn new(up_to: u64) -> Self {
        Self { index: 0, up_to }
    }
}

impl Iterator for RangeByHand {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        if self.index < self.up_to {
            let value = self.index;
            self.index += 1;
            Some(value)
        } else {
            None
        }
    }
}

/// `running_total` by hand.
#[derive(Debug)]
pub struct TotalByHand {
    total: u64,
    index: u64,
    count: u64,
}

/// What a resume answers.
#[derive(Debug)]
pub enum Answer {
    /// A value.
    Yielded(u64),
    /// The end.
    Returned(u64),
}

impl TotalByHand {
    /// Takes `count` values.
    pub fn new(count: u64) -> Self {
        Self { total: 0, index: 0, count }
    }

    /// The first step.
    #[inline]
    pub fn start(&mut self) -> Answer {
        self.answer()
    }

    /// A step that takes a value.
    #[inline]
    pub fn send(&mut self, value: u64) -> Answer {
        self.total = self.total.wrapping_add(value ^ self.index);
        self.index += 1;
        self.answer()
    }

    #[inline]
    fn answer(&self) -> Answer {
        if self.index < self.count { Answer::Yielded(self.total) } else { Answer::Returned(self.total) }
    }
}

/// `lexer` by hand.
#[derive(Debug)]
pub struct LexerByHand<'t> {
    text: &'t [u8],
    at: usize,
    line: u32,
}

impl<'t> LexerByHand<'t> {
    /// Reads a text.
    pub fn new(text: &'t [u8]) -> Self {
        Self { text, at: 0, line: 0 }
    }
}

impl Iterator for LexerByHand<'_> {
    type Item = Token;

    #[inline]
    fn next(&mut self) -> Option<Token> {
        let text = self.text;
        while self.at < text.len() {
            match text[self.at] {
                b' ' => self.at += 1,
                b'\n' => {
                    self.at += 1;
                    self.line += 1;
                    return Some(Token::Line(self.line));
                }
                b'0'..=b'9' => {
                    let mut number = 0u64;
                    while self.at < text.len() && text[self.at].is_ascii_digit() {
                        number = number.wrapping_mul(10).wrapping_add(u64::from(text[self.at] - b'0'));
                        self.at += 1;
                    }
                    return Some(Token::Number(number));
                }
                b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                    let start = self.at;
                    while self.at < text.len() && (text[self.at].is_ascii_alphanumeric() || text[self.at] == b'_') {
                        self.at += 1;
                    }
                    return Some(Token::Word(start as u32, self.at as u32));
                }
                b'"' => {
                    let start = self.at;
                    self.at += 1;
                    while self.at < text.len() && text[self.at] != b'"' {
                        self.at += 1;
                    }
                    self.at += 1;
                    return Some(Token::Text(start as u32, self.at as u32));
                }
                sign => {
                    self.at += 1;
                    return Some(Token::Sign(sign));
                }
            }
        }
        None
    }
}

/// A balanced binary tree, or nothing.
pub type Tree = Option<Box<Node>>;

/// A node of it.
#[derive(Debug)]
pub struct Node {
    /// What is less.
    pub left: Tree,
    /// Its own.
    pub value: u64,
    /// What is greater.
    pub right: Tree,
}

/// A tree of the numbers from `from` up to `up_to`.
pub fn tree(from: u64, up_to: u64) -> Tree {
    if from >= up_to {
        return None;
    }
    let value = from.midpoint(up_to);
    Some(Box::new(Node { left: tree(from, value), value, right: tree(value + 1, up_to) }))
}

/// A walk over a tree, in order, by hand: the path to the next node is on a stack of its own.
#[derive(Debug)]
pub struct WalkByHand<'t> {
    path: Vec<&'t Node>,
}

impl<'t> WalkByHand<'t> {
    /// Before the first node.
    pub fn new(tree: &'t Tree) -> Self {
        let mut walk = Self { path: Vec::new() };
        walk.descend(tree);
        walk
    }

    fn descend(&mut self, mut tree: &'t Tree) {
        while let Some(node) = tree {
            self.path.push(node);
            tree = &node.left;
        }
    }
}

impl Iterator for WalkByHand<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let node = self.path.pop()?;
        self.descend(&node.right);
        Some(node.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hand_written_lexer_is_the_lexer() {
        let text = &text(10_000)[..];
        let mut found = 0;
        lexer!(text, token => found = mix(found, token.number()));
        assert_eq!(hash_tokens(LexerByHand::new(text)), found);
    }

    #[test]
    fn the_hand_written_walk_is_in_order() {
        assert!(WalkByHand::new(&tree(0, 1000)).eq(0..1000));
    }
}
