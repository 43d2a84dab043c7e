//! Owns line breaking: words and code are kept whole, Chinese text breaks anywhere but before closing punctuation.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Punctuation that must not begin a line.
const CLOSING: &str = ",.;:!?)]}，。、；：！？）」』”’》…";
/// Punctuation that must not end a line.
const OPENING: &str = "（「『“‘《([{";

/// How many columns a text takes.
pub(crate) fn columns(text: &str) -> usize {
    text.width()
}

/// Breaks a text into paragraphs of lines, each at most `width` columns, if no word is longer than that.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<Vec<String>> {
    let mut paragraphs = vec![String::new()];
    for line in text.lines().map(str::trim) {
        match paragraphs.last_mut() {
            Some(last) if line.is_empty() && !last.is_empty() => paragraphs.push(String::new()),
            Some(last) => join(last, line),
            None => {}
        }
    }
    paragraphs.iter().filter(|paragraph| !paragraph.is_empty()).map(|paragraph| fill(paragraph, width)).collect()
}

/// Joins two lines of source: with a space, unless Chinese meets Chinese or its punctuation.
fn join(paragraph: &mut String, line: &str) {
    let punctuation = |c: char| !c.is_ascii() && (CLOSING.contains(c) || OPENING.contains(c));
    let chinese = |c: char| is_wide(c) || punctuation(c);
    match (paragraph.chars().next_back(), line.chars().next()) {
        (None, _) | (_, None) => {}
        (Some(before), Some(after)) if chinese(before) && chinese(after) => {}
        (Some(before), Some(after)) if punctuation(before) || punctuation(after) => {}
        _ => paragraph.push(' '),
    }
    paragraph.push_str(line);
}

fn fill(paragraph: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for unit in units(paragraph) {
        let Some(line) = lines.last_mut() else { continue };
        if !line.is_empty() && columns(line) + columns(unit.trim_end()) > width {
            lines.push(unit.to_string());
        } else {
            line.push_str(unit);
        }
    }
    lines.iter().map(|line| line.trim_end().to_string()).collect()
}

/// Cuts a paragraph wherever a line may end, not inside code. Spaces stay at the end of the unit before them.
fn units(paragraph: &str) -> Vec<&str> {
    let mut units = Vec::new();
    let mut start = 0;
    let mut previous: Option<char> = None;
    let mut inside_code = false;
    for (at, c) in paragraph.char_indices() {
        let may_break = match previous {
            _ if inside_code => false,
            Some(' ') => c != ' ',
            Some(before) if OPENING.contains(before) || CLOSING.contains(c) || c == ' ' => false,
            Some(before) => is_wide(before) || is_wide(c),
            None => false,
        };
        if may_break {
            units.push(&paragraph[start..at]);
            start = at;
        }
        inside_code ^= c == '`';
        previous = Some(c);
    }
    units.push(&paragraph[start..]);
    units
}

fn is_wide(c: char) -> bool {
    c.width() == Some(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_whole() {
        let wrapped = wrap("one two\n   three\n\n four", 8);
        assert_eq!(wrapped, [vec!["one two", "three"], vec!["four"]]);
        assert_eq!(wrap("one `a b` two", 7), [vec!["one", "`a b`", "two"]]);
    }

    #[test]
    fn chinese_breaks_anywhere_but_before_closing_punctuation() {
        assert_eq!(wrap("水开了，\n  叫我。", 100), [vec!["水开了，叫我。"]]);
        assert_eq!(wrap("水开了，\n  yield\n 叫“我”\n。", 100), [vec!["水开了，yield 叫“我”。"]]);
        assert_eq!(wrap("水开了，叫我。", 6), [vec!["水开", "了，叫", "我。"]]);
        assert_eq!(wrap("水开了（快）", 8), [vec!["水开了", "（快）"]]);
        assert_eq!(wrap("用 yield 暂停（很快）", 8), [vec!["用 yield", "暂停（很", "快）"]]);
    }

    #[test]
    fn no_line_is_too_wide() {
        let text = "协程是可以暂停执行的函数：它在 `yield` 处停下，等下一次 resume 再继续执行。";
        for width in 12..60 {
            for line in wrap(text, width).concat() {
                assert!(columns(&line) <= width, "{line:?} is wider than {width}");
            }
        }
    }
}
