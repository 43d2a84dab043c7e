//! Owns the random numbers: SplitMix64, so that a seed gives the same run everywhere.

/// A sequence of numbers that its seed decides.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// One of the sequences of a seed: each connection has its own.
    pub fn new(seed: u64, sequence: u64) -> Self {
        Self { state: seed ^ sequence.wrapping_mul(0xd134_2543_de82_ef95) }
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// How many chances of this probability are lost before one is won. One of 0 draws no number.
    pub fn misses(&mut self, probability: f64) -> u64 {
        const DIGITS: u32 = f64::MANTISSA_DIGITS;
        if probability <= 0.0 {
            return u64::MAX;
        }
        // More than 0, and at most 1.
        let draw = ((self.next_u64() >> (64 - DIGITS)) + 1) as f64 / (1u64 << DIGITS) as f64;
        (draw.ln() / (-probability).ln_1p()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_and_sequences_differ() {
        let draw = |seed, sequence| Random::new(seed, sequence).next_u64();
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn as_many_chances_are_lost_as_the_probability_says() {
        let mut random = Random::new(1, 0);
        let misses: u64 = (0..10_000).map(|_| random.misses(0.25)).sum();
        assert!((29_000..31_000).contains(&misses), "{misses}");
        assert!((0..1_000).all(|_| random.misses(1.0) == 0));
        assert_eq!(random.misses(0.0), u64::MAX);
        assert!(random.misses(f64::MIN_POSITIVE) > 1 << 40);
    }
}
