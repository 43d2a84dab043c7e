//! The wheel of timers against a model: a sorted map from deadline and order of making to the token.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

use kettle_driver::{TimerKey, Timers, Token};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The wheel and its model, side by side, at a time of their own.
struct Pair {
    start: Instant,
    now: Duration,
    timers: Timers,
    model: BTreeMap<(Duration, u64), TimerKey>,
    /// Every key that was ever given out, with its deadline and order.
    keys: Vec<(TimerKey, (Duration, u64))>,
}

impl Pair {
    fn new() -> Self {
        let start = Instant::now();
        let timers = Timers::new(start);
        Self { start, now: Duration::ZERO, timers, model: BTreeMap::new(), keys: Vec::new() }
    }

    fn insert(&mut self, at: Duration) {
        let order = self.keys.len() as u64;
        let key = self.timers.insert(self.start + at, Token(order));
        assert!(self.model.insert((at, order), key).is_none());
        self.keys.push((key, (at, order)));
    }

    fn cancel(&mut self, which: usize) {
        if let Some((key, place)) = self.keys.get(which % self.keys.len().max(1)) {
            assert_eq!(self.timers.cancel(*key), self.model.remove(place).is_some());
            assert!(!self.timers.cancel(*key));
        }
    }

    fn expire(&mut self, now: Duration) {
        self.now = now;
        let mut expired = Vec::new();
        self.timers.expire(self.start + now, &mut expired);
        let later = self.model.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut self.model, later);
        let expected: Vec<_> = due.keys().map(|(_, order)| Token(*order)).collect();
        assert_eq!(expired, expected);
    }

    fn check(&self) {
        assert_eq!(self.timers.len(), self.model.len());
        assert_eq!(self.timers.is_empty(), self.model.is_empty());
        let next = self.timers.next_deadline();
        assert_eq!(next.is_some(), !self.model.is_empty());
        if let (Some(next), Some(((first, _), _))) = (next, self.model.first_key_value()) {
            let slack = Duration::from_micros(66);
            assert!(next <= self.start + (*first).max(self.now) + slack, "late for {first:?} at {:?}", self.now);
        }
    }

    /// Goes from deadline to deadline until nothing is left, as a driver does. How many of them brought nothing.
    fn run_out(&mut self) -> usize {
        let mut in_vain = 0;
        let mut vain_in_a_row = 0;
        while let Some(next) = self.timers.next_deadline() {
            let before = self.model.len();
            let next = next.duration_since(self.start).max(self.now);
            self.expire(next);
            vain_in_a_row = if self.model.len() == before { vain_in_a_row + 1 } else { 0 };
            in_vain += usize::from(vain_in_a_row > 0);
            assert!(vain_in_a_row <= 8, "no progress towards {:?}", self.model.first_key_value());
        }
        assert!(self.model.is_empty());
        in_vain
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// A timer, so long after (or before) now.
    Insert(i64),
    /// Several at the same time.
    Ties(u64, u8),
    Cancel(usize),
    /// Time passes.
    Pass(u64),
    /// Time passes to the next deadline.
    Next,
}

/// Lengths of time of all magnitudes: nanoseconds to years.
fn magnitude() -> impl Strategy<Value = u64> {
    (0_u32..58, any::<u64>()).prop_map(|(bits, noise)| (1 << bits) | (noise & ((1 << bits) - 1)))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => magnitude().prop_map(|after| Step::Insert(after as i64)),
        1 => (0_i64..1 << 40).prop_map(|before| Step::Insert(-before)),
        1 => (0_u64..1 << 30, 2_u8..40).prop_map(|(after, count)| Step::Ties(after, count)),
        3 => any::<usize>().prop_map(Step::Cancel),
        2 => magnitude().prop_map(|by| Step::Pass(by >> 8)),
        3 => Just(Step::Next),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_wheel_does_what_a_sorted_map_does(steps in prop::collection::vec(step(), 1..200)) {
        let mut pair = Pair::new();
        for step in steps {
            match step {
                Step::Insert(after) => {
                    let now = pair.now.as_nanos() as i128;
                    let at = (now + i128::from(after)).clamp(0, i128::from(u64::MAX)) as u64;
                    pair.insert(Duration::from_nanos(at));
                }
                Step::Ties(after, count) => {
                    let at = pair.now + Duration::from_nanos(after);
                    (0..count).for_each(|_| pair.insert(at));
                }
                Step::Cancel(which) => pair.cancel(which),
                Step::Pass(by) => {
                    let now = pair.now.saturating_add(Duration::from_nanos(by));
                    pair.expire(now);
                }
                Step::Next => {
                    if let Some(next) = pair.timers.next_deadline() {
                        let next = next.duration_since(pair.start).max(pair.now);
                        pair.expire(next);
                    }
                }
            }
            pair.check();
        }
        pair.run_out();
    }

    #[test]
    fn timers_close_together_expire_by_the_nanosecond(
        after in prop::collection::vec(0_u64..200_000, 1..300),
        steps in prop::collection::vec(0_u64..5_000, 1..100),
    ) {
        let mut pair = Pair::new();
        for after in after {
            pair.insert(Duration::from_nanos(after));
        }
        for step in steps {
            let now = pair.now + Duration::from_nanos(step);
            pair.expire(now);
            pair.check();
        }
    }
}

#[test]
fn a_lone_timer_is_waited_for_once() {
    for bits in 0..63 {
        let mut pair = Pair::new();
        let at = Duration::from_nanos((1 << bits) | 12_345);
        pair.insert(at);
        assert_eq!(pair.timers.next_deadline(), Some(pair.start + at));
        assert_eq!(pair.run_out(), 0, "{at:?}");
    }
}

#[test]
fn a_timer_far_ahead_stays_exact() {
    let mut pair = Pair::new();
    let year = Duration::from_secs(31_556_952);
    pair.insert(100 * year);
    // The wheel turns all the time meanwhile.
    for day in (0..36_525).step_by(7) {
        pair.expire(Duration::from_secs(86_400 * day));
    }
    pair.expire(100 * year - Duration::from_nanos(1));
    assert_eq!(pair.timers.len(), 1);
    pair.expire(100 * year);
    assert!(pair.timers.is_empty());
}

#[test]
fn a_deadline_beyond_all_levels_never_comes() {
    let start = Instant::now();
    let mut timers = Timers::new(start);
    let never = start + Duration::from_secs(1 << 40);
    let key = timers.insert(never, Token(1));
    let mut expired = Vec::new();
    assert!(timers.next_deadline().unwrap() > start + Duration::from_secs(500 * 31_556_952));
    timers.expire(start + Duration::from_secs(500 * 31_556_952), &mut expired);
    assert!(expired.is_empty());
    assert!(timers.cancel(key));
    assert_eq!(timers.next_deadline(), None);
}

#[test]
fn a_deadline_in_the_past_expires_at_once() {
    let now = Instant::now();
    let before = now.checked_sub(Duration::from_secs(5)).unwrap();
    let mut timers = Timers::new(now);
    let mut expired = Vec::new();
    timers.insert(now, Token(1));
    timers.insert(before, Token(2));
    assert!(timers.next_deadline().unwrap() <= now);
    timers.expire(now, &mut expired);
    assert_eq!(expired.len(), 2);
    // Also when the wheel has turned: by deadline, the order of making decides ties only.
    let later = now + Duration::from_secs(100);
    timers.expire(later, &mut expired);
    expired.clear();
    timers.insert(later, Token(3));
    timers.insert(now + Duration::from_secs(50), Token(4));
    timers.insert(later, Token(5));
    timers.expire(later, &mut expired);
    assert_eq!(expired, [Token(4), Token(3), Token(5)]);
}

#[test]
fn ties_come_in_the_order_of_making() {
    let mut pair = Pair::new();
    let at = Duration::from_secs(3600);
    for round in 0..60 {
        (0..20).for_each(|_| pair.insert(at));
        // Some are made when the wheel has turned closer.
        pair.expire(Duration::from_secs(round * 60));
    }
    pair.expire(at);
    assert!(pair.model.is_empty());
}

#[test]
fn a_stale_key_is_harmless() {
    let start = Instant::now();
    let mut timers = Timers::new(start);
    let mut expired = Vec::new();
    let first = timers.insert(start, Token(1));
    timers.expire(start, &mut expired);
    assert!(!timers.cancel(first));
    // The same place, another timer.
    let second = timers.insert(start, Token(2));
    assert!(!timers.cancel(first));
    assert_eq!(timers.len(), 1);
    assert!(timers.cancel(second));
    assert!(!timers.cancel(second));
    assert!(timers.is_empty());
}

#[test]
fn a_million_timers() {
    let start = Instant::now();
    let mut timers = Timers::new(start);
    let mut random = 1_u64;
    let mut deadlines: Vec<_> = (0..1_000_000)
        .map(|_| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            Duration::from_nanos((random >> 20) % 10_000_000_000)
        })
        .collect();
    let keys: Vec<_> =
        deadlines.iter().enumerate().map(|(token, at)| timers.insert(start + *at, Token(token as u64))).collect();
    assert_eq!(timers.len(), 1_000_000);
    // Every third is cancelled; the others expire in their order, each at its time.
    for key in keys.iter().step_by(3) {
        assert!(timers.cancel(*key));
    }
    let (mut expired, mut last) = (Vec::new(), (Duration::ZERO, 0));
    let mut count = 0;
    for millis in (0..10_001).step_by(10) {
        let now = Duration::from_millis(millis);
        timers.expire(start + now, &mut expired);
        for token in expired.drain(..) {
            let at = deadlines[token.0 as usize];
            assert!(at <= now && at + Duration::from_millis(10) > now, "{at:?} at {now:?}");
            assert!((at, token.0) > last || count == 0);
            last = (at, token.0);
            count += 1;
        }
    }
    assert_eq!(count, 666_666);
    assert!(timers.is_empty());
    deadlines.clear();
}
