//! The file: what was written is read, and nothing else is taken for it, whatever has happened to the bytes.

use crate::snapshot::{Corrupt, NAME, checksum, read, section, write};
use std::fs;
use std::path::{Path, PathBuf};

type Entry = (Vec<u8>, Vec<u8>, Option<u64>);

fn entries() -> Vec<Entry> {
    let entry = |key: &[u8], value: &[u8], expires| (key.to_vec(), value.to_vec(), expires);
    vec![entry(b"tea", b"hot", None), entry(b"", b"", Some(7)), entry(b"cups\0\xff", &[7; 40], Some(u64::MAX - 1))]
}

fn section_of(entries: &[Entry]) -> Vec<u8> {
    section(entries.iter().map(|(key, value, expires)| (&key[..], &value[..], *expires)))
}

fn read_all(bytes: &[u8]) -> Result<Vec<Entry>, Corrupt> {
    let mut found = Vec::new();
    read(bytes, |key, value, expires| found.push((key.to_vec(), value.to_vec(), expires)))?;
    Ok(found)
}

/// A directory of this test's own.
fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kv-{name}-{}", std::process::id()));
    // One that is left from a process of the same number.
    _ = fs::remove_dir_all(&directory);
    fs::create_dir(&directory).unwrap();
    directory
}

/// A snapshot of two sections, as a file has it.
fn file(name: &str) -> Vec<u8> {
    let directory = directory(name);
    write(&directory, &[section_of(&entries()), section_of(&entries()[..1])]).unwrap();
    let bytes = fs::read(directory.join(NAME)).unwrap();
    // Nothing else is left there.
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    fs::remove_dir_all(&directory).unwrap();
    bytes
}

#[test]
fn what_is_written_is_read() {
    let expected = [entries(), entries()[..1].to_vec()].concat();
    assert_eq!(read_all(&file("written")).unwrap(), expected);
    let directory = directory("empty");
    write(&directory, &[]).unwrap();
    assert_eq!(read_all(&fs::read(directory.join(NAME)).unwrap()).unwrap(), []);
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn the_checksum_is_the_known_one() {
    assert_eq!(checksum(b"123456789"), 0x995d_c9bb_df19_39fa);
}

#[test]
fn each_byte_changed_in_any_way_is_refused() {
    let good = file("changed");
    for offset in 0..good.len() {
        for change in 1..=255 {
            let mut bad = good.clone();
            bad[offset] ^= change;
            let corrupt = read_all(&bad).expect_err(&format!("byte {offset} is changed by {change}"));
            assert!(corrupt.offset <= bad.len() && !corrupt.reason.is_empty(), "{corrupt}");
        }
    }
}

#[test]
fn each_part_that_is_missing_or_doubled_is_refused() {
    let good = file("cut");
    for len in 0..good.len() {
        let corrupt = read_all(&good[..len]).expect_err(&format!("the first {len} bytes"));
        // It ends there, and that is what is told.
        assert!(corrupt.offset <= len && corrupt.reason.starts_with("the file ends"), "{len}: {corrupt}");
        for behind in len + 1..=good.len() {
            let without = [&good[..len], &good[behind..]].concat();
            assert!(read_all(&without).is_err(), "without {len}..{behind}");
            let doubled = [&good[..behind], &good[len..]].concat();
            assert!(read_all(&doubled).is_err(), "twice {len}..{behind}");
        }
    }
}

#[test]
fn a_refusal_says_where_and_why() {
    let good = file("told");
    let changed = |offset: usize, byte: u8| {
        let mut bad = good.clone();
        bad[offset] = byte;
        read_all(&bad).unwrap_err().to_string()
    };
    assert_eq!(changed(0, b'K'), "at byte 0: this is not a snapshot of kv");
    assert_eq!(changed(8, 2), "at byte 8: a version that is not known here");
    assert_eq!(changed(30, 1), "at byte 16: a section that does not have its checksum");
    let longer = [&good[..], b"\n"].concat();
    let message = format!("at byte {}: more than the sections that there should be", good.len());
    assert_eq!(read_all(&longer).unwrap_err().to_string(), message);
    assert_eq!(read_all(&[]).unwrap_err().to_string(), "at byte 0: the file ends within its first word");
}

/// A section may have its checksum and be nonsense all the same: somebody else's program wrote it.
#[test]
fn lengths_that_lead_nowhere_are_refused() {
    let snapshot = |records: &[u8]| {
        let section = [&(records.len() as u64).to_le_bytes()[..], records].concat();
        [b"kettlekv\x01\0\0\0\x01\0\0\0", &section[..], &checksum(&section).to_le_bytes()].concat()
    };
    let record = |key: u32, value: u32, rest: &[u8]| {
        [&7_u64.to_le_bytes()[..], &key.to_le_bytes(), &value.to_le_bytes(), rest].concat()
    };
    assert_eq!(read_all(&snapshot(&record(1, 2, b"abc"))).unwrap(), [(b"a".to_vec(), b"bc".to_vec(), Some(7))]);
    for (records, reason) in [
        (record(u32::MAX, 0, b"abc"), "a section ends within a key"),
        (record(1, u32::MAX, b"abc"), "a section ends within a value"),
        (record(1, 1, b"abc"), "a section ends within a time"),
        (record(0, 0, b"12345678"), "a section ends within the length of a key"),
        (record(0, 0, b"123456789012"), "a section ends within the length of a value"),
    ] {
        assert_eq!(read_all(&snapshot(&records)).unwrap_err().reason, reason);
    }
}

#[test]
fn what_can_t_be_written_leaves_the_old_one() {
    let directory = directory("kept");
    write(&directory, &[section_of(&entries())]).unwrap();
    let old = fs::read(directory.join(NAME)).unwrap();
    // Where the new one is to be written first, something is in the way.
    let unfinished = directory.join("dump.kettle.unfinished");
    fs::create_dir(&unfinished).unwrap();
    assert!(write(&directory, &[]).is_err());
    assert_eq!(fs::read(directory.join(NAME)).unwrap(), old);
    fs::remove_dir_all(&directory).unwrap();
    assert!(write(&directory, &[]).is_err());
}
