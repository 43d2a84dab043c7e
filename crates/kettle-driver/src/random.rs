//! Owns the pseudo-random numbers of the runtime: one small generator, the same for the same seed on every machine.
//!
//! It counts in steps of an odd number, and mixes each count (SplitMix64). Whoever needs a sequence that others don't
//! disturb makes a generator of its own: [`Random::fork`]. None of it is for secrets.
#![forbid(unsafe_code)]

use std::hash::{BuildHasher, Hasher, RandomState};

/// 2^64 divided by the golden ratio: multiples of it are far from each other.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Pseudo-random numbers from a seed.
///
/// ```
/// use kettle_driver::Random;
///
/// let (mut one, mut other) = (Random::new(7), Random::new(7));
/// assert_eq!(one.next(), other.next());
/// assert!(one.below(6) < 6);
/// ```
#[derive(Clone, Debug)]
pub struct Random {
    count: u64,
}

impl Random {
    /// The numbers of a seed.
    pub const fn new(seed: u64) -> Self {
        Self { count: seed }
    }

    /// Numbers that nobody can foresee, from a seed of the system's.
    pub fn unforeseen() -> Self {
        Self::new(RandomState::new().build_hasher().finish())
    }

    /// Numbers that have nothing to do with those of this one, nor with those of another name.
    pub fn fork(&self, name: u64) -> Self {
        Self::new(mix(self.count ^ mix(name.wrapping_add(STEP))))
    }

    /// The next number, all 64 bits of it.
    #[allow(clippy::should_implement_trait, reason = "it has no end, and is asked for one at a time")]
    #[inline]
    pub fn next(&mut self) -> u64 {
        self.count = self.count.wrapping_add(STEP);
        mix(self.count)
    }

    /// A number below `n`, each about as often as the others; 0 if `n` is 0.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// Whether it has happened what happens once in `n` times; never if `n` is 0.
    #[inline]
    pub fn once_in(&mut self, n: u32) -> bool {
        n > 0 && self.below(n.into()) == 0
    }
}

/// Each bit of the result depends on all bits of the number, and no two numbers have the same result.
const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_algorithm() {
        // The first of seed 1234567, as published with it.
        let mut random = Random::new(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn numbers_below_are_below_and_about_as_often_as_each_other() {
        let mut random = Random::new(0);
        let mut counts = [0_u32; 10];
        for _ in 0..10_000 {
            counts[random.below(10) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
        assert_eq!(random.below(0), 0);
        assert!(!random.once_in(0) && random.once_in(1));
    }

    #[test]
    fn forks_are_their_own() {
        let random = Random::new(3);
        assert_eq!(random.fork(1).next(), random.fork(1).next());
        assert_ne!(random.fork(1).next(), random.fork(2).next());
        assert_ne!(random.fork(0).next(), random.clone().next());
    }
}
