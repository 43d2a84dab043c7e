//! Owns what reaches the terminal: width, colours, and writing as it happens.
//!
//! A write that fails is remembered, not raised: the steps need not know of it, and `main` asks once, by
//! [`Screen::finish`].

use crate::layout::{columns, wrap};
use crate::listing::{Syntax, Token, tokens};
use std::io::{self, IsTerminal, Write};

/// Wider lines are hard to read; narrower terminals break them themselves.
const WIDTHS: std::ops::RangeInclusive<usize> = 50..=110;
/// Where nobody says how wide it is: a file or a pipe.
const DEFAULT_WIDTH: usize = 100;
/// What stands before everything but headings.
const MARGIN: usize = 2;

/// How a piece of text looks, if colours are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Heading,
    Quiet,
    Code,
    Live,
    Good,
    Bad,
}

/// A block of code with the name of its language.
pub(crate) struct Block<'a> {
    pub(crate) syntax: Syntax,
    pub(crate) code: &'a str,
}

/// A terminal, a file, or a test's memory.
pub(crate) struct Screen<'w> {
    writer: Box<dyn Write + 'w>,
    width: usize,
    colours: bool,
    failure: Option<io::Error>,
}

impl<'w> Screen<'w> {
    /// Standard output: colours and its own width if it is a terminal; `NO_COLOR` is respected.
    pub(crate) fn stdout() -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let width = match terminal_size::terminal_size_of(&stdout) {
            Some((terminal_size::Width(width), _)) if terminal => {
                usize::from(width).clamp(*WIDTHS.start(), *WIDTHS.end())
            }
            _ => DEFAULT_WIDTH,
        };
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { writer: Box::new(stdout), width, colours: terminal && !refused, failure: None }
    }

    /// Plain text into any writer.
    #[cfg(test)]
    pub(crate) fn plain(writer: impl Write + 'w, width: usize) -> Self {
        Self { writer: Box::new(writer), width, colours: false, failure: None }
    }

    /// Writes what is left to write, and says whether anything was lost.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.flush();
        self.failure.map_or(Ok(()), Err)
    }

    /// One line as it is.
    pub(crate) fn line(&mut self, text: &str) {
        self.write(text);
        self.write("\n");
    }

    /// An empty line.
    pub(crate) fn gap(&mut self) {
        self.write("\n");
    }

    /// One line in one style, inside the margin. Shown at once: it may be a sign of life.
    pub(crate) fn styled(&mut self, style: Style, text: &str) {
        let text = format!("{:MARGIN$}{}\n", "", self.paint(style, text));
        self.write(&text);
        self.flush();
    }

    /// A heading with a rule to the right edge.
    pub(crate) fn rule(&mut self, text: &str) {
        let rest = self.width.saturating_sub(columns(text) + 4);
        let text = self.paint(Style::Heading, &format!("━━ {text} {}", "━".repeat(rest)));
        self.line(&text);
    }

    /// Paragraphs, broken into lines, with a blank line between them. Text in backquotes is code.
    pub(crate) fn prose(&mut self, text: &str) {
        for (nth, paragraph) in wrap(text, self.width - MARGIN).iter().enumerate() {
            if nth > 0 {
                self.gap();
            }
            let mut inside_code = false;
            for line in paragraph {
                let line = self.paint_code_spans(line, &mut inside_code);
                self.styled(Style::Plain, &line);
            }
        }
    }

    /// Blocks of code: side by side where there is room, else one below the other.
    pub(crate) fn code(&mut self, blocks: &[Block<'_>]) {
        match blocks {
            [left, right] if self.fits(left, right) => self.side_by_side(left, right),
            _ => {
                for (nth, block) in blocks.iter().enumerate() {
                    if nth > 0 {
                        self.gap();
                    }
                    self.styled(Style::Quiet, block.syntax.name());
                    for line in block.code.lines() {
                        let line =
                            format!("{} {}", self.paint(Style::Quiet, "│"), self.paint_tokens(line, block.syntax));
                        self.styled(Style::Plain, &line);
                    }
                }
            }
        }
    }

    fn fits(&self, left: &Block<'_>, right: &Block<'_>) -> bool {
        // A margin, two bars, each with a space after it, and two columns in between.
        left.columns() + right.columns() + MARGIN + 6 <= self.width
    }

    fn side_by_side(&mut self, left: &Block<'_>, right: &Block<'_>) {
        let left_width = left.columns();
        let row = |a: &str, b: &str, a_columns: usize| format!("{a}{:1$}{b}", "", left_width + 4 - a_columns);
        let names = (left.syntax.name(), right.syntax.name());
        self.styled(Style::Quiet, &row(names.0, names.1, columns(names.0)));
        let (left_lines, right_lines) = (left.code.lines().count(), right.code.lines().count());
        let mut lines = (left.code.lines(), right.code.lines());
        for _ in 0..left_lines.max(right_lines) {
            let (a, b) = (lines.0.next(), lines.1.next());
            let paint = |line: Option<&str>, syntax| match line {
                Some(line) => format!("{} {}", self.paint(Style::Quiet, "│"), self.paint_tokens(line, syntax)),
                None => String::new(),
            };
            let a_columns = a.map_or(0, |line| columns(line) + 2);
            let line = row(&paint(a, left.syntax), &paint(b, right.syntax), a_columns);
            self.styled(Style::Plain, line.trim_end());
        }
    }

    fn paint_tokens(&self, line: &str, syntax: Syntax) -> String {
        if !self.colours {
            return line.to_string();
        }
        let paint = |(token, text): (Token, &str)| match token.colour() {
            Some(colour) => format!("\x1b[{colour}m{text}\x1b[0m"),
            None => text.to_string(),
        };
        tokens(line, syntax).into_iter().map(paint).collect()
    }

    /// Without colours the backquotes stay.
    fn paint_code_spans(&self, line: &str, inside: &mut bool) -> String {
        if !self.colours {
            return line.to_string();
        }
        let mut painted = String::new();
        for (nth, piece) in line.split('`').enumerate() {
            if nth > 0 {
                *inside = !*inside;
            }
            painted.push_str(&self.paint(if *inside { Style::Code } else { Style::Plain }, piece));
        }
        painted
    }

    fn paint(&self, style: Style, text: &str) -> String {
        match style.colour() {
            Some(colour) if self.colours && !text.is_empty() => format!("\x1b[{colour}m{text}\x1b[0m"),
            _ => text.to_string(),
        }
    }

    fn write(&mut self, text: &str) {
        if self.failure.is_none() {
            self.failure = self.writer.write_all(text.as_bytes()).err();
        }
    }

    fn flush(&mut self) {
        if self.failure.is_none() {
            self.failure = self.writer.flush().err();
        }
    }
}

impl Block<'_> {
    fn columns(&self) -> usize {
        self.code.lines().map(columns).max().unwrap_or(0)
    }
}

impl Syntax {
    fn name(self) -> &'static str {
        match self {
            Syntax::Rust => "Rust",
            Syntax::Python => "Python",
        }
    }
}

impl Style {
    /// The colour as ANSI names it.
    fn colour(self) -> Option<&'static str> {
        match self {
            Style::Plain => None,
            Style::Heading => Some("1;36"),
            Style::Quiet => Some("90"),
            Style::Code => Some("36"),
            Style::Live => Some("1"),
            Style::Good => Some("32"),
            Style::Bad => Some("1;31"),
        }
    }
}

impl Token {
    fn colour(self) -> Option<&'static str> {
        match self {
            Token::Keyword => Some("35"),
            Token::Literal => Some("33"),
            Token::Comment => Some("90"),
            Token::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(width: usize, write: impl FnOnce(&mut Screen<'_>)) -> String {
        let mut bytes = Vec::new();
        let mut screen = Screen::plain(&mut bytes, width);
        write(&mut screen);
        screen.finish().expect("memory takes everything");
        String::from_utf8(bytes).expect("the tour writes text")
    }

    fn blocks() -> [Block<'static>; 2] {
        [Block { syntax: Syntax::Python, code: "a = 1\nb" }, Block { syntax: Syntax::Rust, code: "let a = 1;" }]
    }

    #[test]
    fn listings_stand_side_by_side_where_there_is_room() {
        let wide = written(80, |screen| screen.code(&blocks()));
        assert_eq!(wide, "  Python   Rust\n  │ a = 1  │ let a = 1;\n  │ b\n");
        let narrow = written(20, |screen| screen.code(&blocks()));
        assert_eq!(narrow, "  Python\n  │ a = 1\n  │ b\n\n  Rust\n  │ let a = 1;\n");
    }

    #[test]
    fn prose_is_broken_inside_the_margin() {
        assert_eq!(written(10, |screen| screen.prose("one two `x`\n\nend")), "  one two\n  `x`\n\n  end\n");
    }

    #[test]
    fn a_failed_write_is_told_in_the_end() {
        let mut screen = Screen::plain(&mut [][..], 80);
        screen.line("nowhere to go");
        assert!(screen.finish().is_err());
    }
}
