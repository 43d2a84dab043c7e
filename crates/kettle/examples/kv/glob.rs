//! Owns patterns as `KEYS` has them: `*` is anything, `?` a byte, `[a-c]` one of these, `[^a]` another one, `\` takes
//! the next byte as it is.

/// Whether a key is one that the pattern means.
///
/// Only the last `*` is ever given more: what an earlier one could take as well, the last one can, too. So it takes
/// the product of both lengths at most.
pub(crate) fn matches(pattern: &[u8], key: &[u8]) -> bool {
    let (mut p, mut k) = (0, 0);
    // Behind the last `*`, and how much of the key is before what it stands in front of.
    let mut star = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            star = Some((p, k));
        } else if p == pattern.len() && k == key.len() {
            return true;
        } else if let Some(len) = key.get(k).and_then(|byte| matches_byte(&pattern[p..], *byte)) {
            (p, k) = (p + len, k + 1);
        } else if let Some((behind, taken)) = star
            && taken < key.len()
        {
            star = Some((behind, taken + 1));
            (p, k) = (behind, taken + 1);
        } else {
            return false;
        }
    }
}

/// How long the part is that the pattern begins with, if that is one which means this byte.
fn matches_byte(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [b'[', class @ ..] => matches_class(class, byte).map(|len| 1 + len),
        [literal, ..] => (*literal == byte).then_some(1),
    }
}

/// As `matches_byte`, for what stands behind an opening bracket. What is never closed ends with the pattern.
fn matches_class(class: &[u8], byte: u8) -> Option<usize> {
    let (mut rest, is_negated) = match class {
        [b'^', rest @ ..] => (rest, true),
        rest => (rest, false),
    };
    let mut is_member = false;
    loop {
        let (is_this, len) = match rest {
            [] => break,
            [b']', behind @ ..] => {
                rest = behind;
                break;
            }
            [b'\\', escaped, ..] => (*escaped == byte, 2),
            // The bracket may be its end.
            [low, b'-', high, ..] => ((low.min(high)..=low.max(high)).contains(&&byte), 3),
            [member, ..] => (*member == byte, 1),
        };
        is_member |= is_this;
        rest = &rest[len..];
    }
    (is_member != is_negated).then_some(class.len() - rest.len())
}
