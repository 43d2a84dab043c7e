//! Owns what is remembered of operations by their tokens.
//!
//! Tokens are hashed by a multiplication: they are the caller's own numbers, nobody attacks with them.
#![forbid(unsafe_code)]

use crate::op::Token;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// What belongs to each token. Allocates only if there are more than ever before.
#[derive(Debug)]
pub(crate) struct TokenMap<T> {
    map: HashMap<Token, T, BuildHasherDefault<TokenHasher>>,
    /// For so many there is twice the room. A fuller map would grow where it could have been tidied up.
    most: usize,
}

impl<T> TokenMap<T> {
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The value that was there before.
    pub(crate) fn insert(&mut self, token: Token, value: T) -> Option<T> {
        if self.map.len() >= self.most {
            self.most = (2 * self.most).max(16);
            self.map.reserve(2 * self.most - self.map.len());
        }
        self.map.insert(token, value)
    }

    pub(crate) fn get(&self, token: Token) -> Option<&T> {
        self.map.get(&token)
    }

    /// Keeps what the function says yes to.
    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(Token, &mut T) -> bool) {
        self.map.retain(|token, value| keeps(*token, value));
    }

    pub(crate) fn remove(&mut self, token: Token) -> Option<T> {
        self.map.remove(&token)
    }
}

impl<T> Default for TokenMap<T> {
    fn default() -> Self {
        Self { map: HashMap::default(), most: 0 }
    }
}

#[derive(Default)]
pub(crate) struct TokenHasher(u64);

impl Hasher for TokenHasher {
    fn write_u64(&mut self, number: u64) {
        // The map takes its place from the low bits and a mark from the high ones; the product's middle has seen all.
        let product = u128::from(number) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product ^ (product >> 64)) as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0.rotate_left(8) ^ u64::from(*byte));
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::BuildHasher;

    #[test]
    fn tokens_that_differ_in_few_bits_differ_where_the_map_looks() {
        let hash = BuildHasherDefault::<TokenHasher>::default();
        for shift in [0, 3, 6, 12, 32, 48] {
            let (mut low, mut high) = ([0_u32; 128], [0_u32; 128]);
            for number in 0..128 * 64_u64 {
                let hashed = hash.hash_one(Token(number << shift));
                low[hashed as usize % 128] += 1;
                high[(hashed >> 57) as usize] += 1;
            }
            for count in low.into_iter().chain(high) {
                assert!(count < 4 * 64, "{count} of 8192 in one of 128 places, shifted by {shift}");
            }
        }
    }
}
