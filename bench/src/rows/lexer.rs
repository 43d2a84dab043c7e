//! Owns the row of a generator with nested loops over a borrowed input.

use super::Sizes;
use crate::lexer;
use crate::measure::{Contender, Row, Target};
use crate::work::{LexerByHand, Token, hash_tokens, mix, text};
use corosensei::CoroutineResult;
use kettle::Yielder;
use std::hint::black_box;
use std::pin::pin;

const BY_HAND: &str = "hand-written iterator";
const PINNED: &str = "kettle, pinned";

/// The row.
pub(super) fn row(sizes: &Sizes) -> Row {
    let text: &'static [u8] = text(sizes.of(4 << 20) as usize).leak();
    let count = LexerByHand::new(text).count() as u64;
    let programs = &sizes.programs;
    Row::new("lexer", format!("{count} tokens of a text that is borrowed"))
        .with(Contender::timed(BY_HAND, count, move || hash_tokens(LexerByHand::new(black_box(text)))))
        .with(
            Contender::timed(PINNED, count, move || {
                let text = black_box(text);
                hash_tokens(pin!(kettle::generator(async |y: &mut Yielder<'_, Token>| {
                    lexer!(text, token => y.yield_(token).await);
                })))
            })
            .to_reach(Target::Times(1.2, BY_HAND)),
        )
        .with_any(programs.default_profile("lexer", PINNED))
        .with(Contender::timed("kettle, movable", count, move || {
            let text = black_box(text);
            hash_tokens(kettle::generator(async |y: &mut Yielder<'_, Token>| {
                lexer!(text, token => y.yield_(token).await);
            }))
        }))
        .with(Contender::timed("the loop itself, without tokens handed out", count, move || {
            let text = black_box(text);
            let mut hash = 0;
            lexer!(text, token => hash = mix(hash, token.number()));
            hash
        }))
        .with(Contender::timed("genawaiter::rc", count, move || {
            let text = black_box(text);
            hash_tokens(genawaiter::rc::Gen::new(|co| async move {
                lexer!(text, token => co.yield_(token).await);
            }))
        }))
        .with(Contender::timed("corosensei", count, move || {
            let text = black_box(text);
            let mut tokens = corosensei::Coroutine::new(move |y: &corosensei::Yielder<(), Token>, ()| {
                lexer!(text, token => y.suspend(token));
            });
            hash_tokens(std::iter::from_fn(|| match tokens.resume(()) {
                CoroutineResult::Yield(token) => Some(token),
                CoroutineResult::Return(()) => None,
            }))
        }))
        .with(Contender::timed("kettle coroutine", count, move || {
            let text = black_box(text);
            hash_tokens(kettle::coroutine(move |y| lexer!(text, token => y.yield_(token))))
        }))
        .with(Contender::timed("generator-rs", count, move || {
            let text = black_box(text);
            hash_tokens(generator::Gn::<()>::new_scoped(move |mut scope| {
                lexer!(text, token => { scope.yield_(token); });
                generator::done!()
            }))
        }))
        .with_any(programs.nightly("nightly gen block", "lexer", text.len() as u64))
        .with_any(programs.python("lexer", sizes.of_slow(4 << 20)))
}
