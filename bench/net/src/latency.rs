//! Owns a histogram of times, exact to 2 percent.

use std::time::Duration;

/// How many there are between two powers of two.
const STEPS: u32 = 64;

/// Times, counted.
#[derive(Clone, Debug)]
pub struct Latencies {
    counts: Vec<u64>,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { counts: vec![0; (64 * STEPS) as usize] }
    }
}

impl Latencies {
    /// Counts one.
    pub fn add(&mut self, time: Duration) {
        self.counts[bucket(time.as_nanos() as u64)] += 1;
    }

    /// Counts what others have counted.
    pub fn add_all(&mut self, others: &Self) {
        self.counts.iter_mut().zip(&others.counts).for_each(|(count, others)| *count += others);
    }

    /// The time that this part of all is below, in microseconds.
    pub fn quantile(&self, part: f64) -> f64 {
        let all: u64 = self.counts.iter().sum();
        let mut rest = (all as f64 * part) as u64;
        for (bucket, count) in self.counts.iter().enumerate() {
            if *count > rest {
                return floor(bucket) as f64 / 1000.0;
            }
            rest -= count;
        }
        f64::NAN
    }
}

/// The first buckets are for one nanosecond each; from 64 on, `STEPS` divide the way to the next power of two.
fn bucket(nanoseconds: u64) -> usize {
    let power = nanoseconds.max(1).ilog2();
    match power {
        0..6 => nanoseconds as usize,
        _ => ((power - 5) * STEPS) as usize + ((nanoseconds >> (power - 6)) as usize & (STEPS as usize - 1)),
    }
}

/// The least number of a bucket.
fn floor(bucket: usize) -> u64 {
    let (power, step) = (bucket as u32 / STEPS, bucket as u64 % u64::from(STEPS));
    match power {
        0 => step,
        _ => (u64::from(STEPS) + step) << (power - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_exact_to_two_percent() {
        for nanoseconds in (0..1000).chain([12_345, 1_000_000, 987_654_321]) {
            let floor = floor(bucket(nanoseconds));
            assert!(floor <= nanoseconds && nanoseconds - floor <= nanoseconds / 50, "{nanoseconds}: {floor}");
        }
    }

    #[test]
    fn quantiles_are_of_what_was_counted() {
        let mut latencies = Latencies::default();
        (1..=100).for_each(|time| latencies.add(Duration::from_nanos(time * 10_000)));
        assert!((latencies.quantile(0.5) - 510.0).abs() < 10.0, "{}", latencies.quantile(0.5));
        assert!((latencies.quantile(0.99) - 1000.0).abs() < 20.0);
    }
}
