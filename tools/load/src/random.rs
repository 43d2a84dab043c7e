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

    /// True with this probability. One of 0 draws no number.
    pub fn chance(&mut self, probability: f64) -> bool {
        const DIGITS: u32 = f64::MANTISSA_DIGITS;
        probability > 0.0 && ((self.next_u64() >> (64 - DIGITS)) as f64) < probability * (1u64 << DIGITS) as f64
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
    fn a_chance_is_as_likely_as_it_says() {
        let mut random = Random::new(1, 0);
        let hits = (0..10_000).filter(|_| random.chance(0.25)).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
        assert!((0..1_000).all(|_| random.chance(1.0)));
        assert!(!(0..1_000).any(|_| random.chance(0.0)));
    }
}
