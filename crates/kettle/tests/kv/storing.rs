//! Keys, values and when they expire, against a map that knows nothing of speed; and patterns.

use crate::bytes::Bytes;
use crate::glob::matches;
use crate::random::Random;
use crate::store::{Expiry, Store};
use std::collections::BTreeMap;

#[test]
fn bytes_are_what_they_were_made_of_at_any_length() {
    for len in 0..60 {
        for more in 0..30 {
            let all: Vec<u8> = (0..len + more).map(|n| n as u8).collect();
            let mut bytes = Bytes::from(&all[..len]);
            assert_eq!(&*bytes, &all[..len]);
            bytes.append(&all[len..]);
            assert_eq!(&*bytes, all);
            assert_eq!(bytes, Bytes::from(&all[..]));
            bytes.assign(&all[..more]);
            assert_eq!(&*bytes, &all[..more]);
        }
    }
    assert_eq!(size_of::<Bytes>(), 24);
}

/// What a store should have: values, and when they expire.
#[derive(Default)]
struct Model {
    entries: BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>,
    now: u64,
}

impl Model {
    fn tick(&mut self, now: u64) {
        self.now = now;
        self.entries.retain(|_, (_, expires)| expires.is_none_or(|at| at > now));
    }

    fn set(&mut self, key: &[u8], value: &[u8], expiry: Expiry) {
        let expires = match expiry {
            Expiry::Never => None,
            Expiry::At(at) => Some(at),
            Expiry::Kept => self.entries.get(key).and_then(|(_, expires)| *expires),
        };
        self.entries.insert(key.to_vec(), (value.to_vec(), expires));
        self.tick(self.now);
    }
}

#[test]
fn a_store_has_what_a_map_would_have() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let (mut store, mut model) = (Store::default(), Model::default());
        for _ in 0..500 {
            let key = format!("key{}", random.below(12)).into_bytes();
            let at = model.now + random.below(50) as u64;
            match random.below(8) {
                0..3 => {
                    let value = vec![b'v'; random.below(40)];
                    let expiry = *random.one_of(&[Expiry::Never, Expiry::At(at), Expiry::Kept]);
                    store.set(&key, &value, expiry);
                    model.set(&key, &value, expiry);
                }
                3 => {
                    let removed = model.entries.remove(&key).map(|(value, _)| value);
                    assert_eq!(store.remove(&key).as_deref(), removed.as_deref(), "seed {seed}");
                }
                4 => {
                    let at = random.one_of(&[None, Some(at)]).map(|at| at + 1);
                    let entry = model.entries.get_mut(&key);
                    assert_eq!(store.expire(&key, at), entry.is_some(), "seed {seed}");
                    entry.into_iter().for_each(|entry| entry.1 = at);
                }
                5 => {
                    let now = model.now + random.below(20) as u64;
                    model.tick(now);
                    store.tick(now);
                }
                _ => {
                    let entry = model.entries.get(&key);
                    assert_eq!(store.get(&key), entry.map(|(value, _)| &value[..]), "seed {seed}");
                    assert_eq!(store.expiry(&key), entry.map(|(_, expires)| *expires), "seed {seed}");
                }
            }
        }
        while store.tick(model.now) {}
        assert_eq!(store.len(), model.entries.len(), "seed {seed}");
        let all: BTreeMap<_, _> = store.iter().map(|(key, value, at)| (key.to_vec(), (value.to_vec(), at))).collect();
        assert_eq!(all, model.entries, "seed {seed}");
        // Nothing is left of deadlines whose keys are gone or expire no more.
        let eternal = model.entries.values().filter(|(_, at)| at.is_none()).count();
        while store.tick(u64::MAX - 1) {}
        assert_eq!(store.len(), eternal, "seed {seed}");
    }
}

#[test]
fn a_tick_removes_some_and_none_of_it_can_be_seen() {
    let mut store = Store::default();
    (0..1000_u32).for_each(|n| store.set(&n.to_le_bytes(), b"tea", Expiry::At(10)));
    store.set(b"coffee", b"", Expiry::Never);
    assert!(!store.tick(9));
    assert_eq!(store.len(), 1001);
    assert!(store.tick(10));
    assert!((500..1001).contains(&store.len()));
    assert!((0..1000_u32).all(|n| store.get(&n.to_le_bytes()).is_none()));
    assert_eq!(store.iter().count(), 1);
    assert!(!store.expire(&999_u32.to_le_bytes(), None));
    while store.tick(10) {}
    assert_eq!(store.len(), 1);
}

#[test]
fn patterns_mean_what_they_say() {
    for (pattern, keys, others) in [
        ("", &[""][..], &["a"][..]),
        ("*", &["", "a", "abc"], &[]),
        ("a*c", &["ac", "abc", "abcabc"], &["a", "abcd"]),
        ("*b*d", &["bd", "abcd", "bbdd"], &["db", "abc"]),
        ("?", &["a"], &["", "ab"]),
        ("h[ae]llo", &["hallo", "hello"], &["hillo", "h[ae]llo"]),
        ("h[^a]llo", &["hello"], &["hallo", "hllo"]),
        ("[a-c]1", &["a1", "b1", "c1"], &["d1", "-1"]),
        ("[c-a]", &["b"], &["d"]),
        (r"\*\?", &["*?"], &["ab"]),
        ("[a", &["a"], &["[", "[a"]),
        (r"a\", &[r"a\"], &["a"]),
        ("[]", &[], &["", "a"]),
        // As Redis has them: a range takes a bracket, too, and a bracket may be escaped.
        ("[Z-]*", &["Z", "[", "]", "*"], &["Zb", "b"]),
        (r"[\]k]", &["]", "k"], &[r"\", "k]"]),
        ("[^]*", &["a", "ab"], &[""]),
    ] {
        for (text, expected) in keys.iter().map(|key| (key, true)).chain(others.iter().map(|key| (key, false))) {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
    // One that tries everything would never end.
    assert!(!matches(&[b"a*".repeat(1000), b"b".to_vec()].concat(), &b"a".repeat(2000)));
}
