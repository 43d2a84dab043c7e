//! Owns the file that the keys are kept in: how it is written, so that there is always a complete one, and how it is
//! read, so that nothing is taken for a key that is none.
//!
//! ```text
//! file     "kettlekv"  version: u32  sections: u32  section*
//! section  length of its records in bytes: u64  record*  checksum of the length and the records: u64
//! record   expires, in milliseconds since 1970, or all ones: u64  length of the key: u32  of the value: u32  key  value
//! ```
//!
//! Numbers are little-endian. A section is what one shard has; how many shards read it later is another matter. The
//! checksum is CRC-64/XZ.

use std::fmt::{self, Display};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// The file in its directory.
pub(crate) const NAME: &str = "dump.kettle";

/// What is written first goes here. It is another file until it is complete.
const UNFINISHED: &str = "dump.kettle.unfinished";

const MAGIC: &[u8; 8] = b"kettlekv";
const VERSION: u32 = 1;
const NEVER: u64 = u64::MAX;

// --- writing ---

/// What a shard has, as a section.
pub(crate) fn section<'a>(entries: impl Iterator<Item = (&'a [u8], &'a [u8], Option<u64>)>) -> Vec<u8> {
    let mut section = vec![0; 8];
    for (key, value, expires) in entries {
        section.extend_from_slice(&expires.unwrap_or(NEVER).to_le_bytes());
        // Both are shorter than a command may be.
        section.extend_from_slice(&(key.len() as u32).to_le_bytes());
        section.extend_from_slice(&(value.len() as u32).to_le_bytes());
        section.extend_from_slice(key);
        section.extend_from_slice(value);
    }
    let len = section.len() as u64 - 8;
    section[..8].copy_from_slice(&len.to_le_bytes());
    section
}

/// Writes a snapshot in the place of the one that is there, which stays if anything goes wrong. It blocks the thread.
///
/// Sections get their checksums here, where nobody waits for it.
pub(crate) fn write(directory: &Path, sections: &[Vec<u8>]) -> io::Result<()> {
    let unfinished = directory.join(UNFINISHED);
    let written = write_file(&unfinished, sections).and_then(|()| fs::rename(&unfinished, directory.join(NAME)));
    if written.is_err() {
        // It may be what there was no room for.
        _ = fs::remove_file(&unfinished);
        return written;
    }
    // The new name is in the directory, which is a file, too.
    File::open(directory)?.sync_all()
}

/// Removes what is left of a snapshot whose writer was killed.
pub(crate) fn remove_unfinished(directory: &Path) {
    // There is none, most of the time; and what can't be removed is written over.
    _ = fs::remove_file(directory.join(UNFINISHED));
}

fn write_file(path: &Path, sections: &[Vec<u8>]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(&header(sections.len() as u32))?;
    for section in sections {
        file.write_all(section)?;
        file.write_all(&checksum(section).to_le_bytes())?;
    }
    file.sync_all()
}

fn header(sections: u32) -> Vec<u8> {
    [&MAGIC[..], &VERSION.to_le_bytes(), &sections.to_le_bytes()].concat()
}

// --- reading ---

/// Why something is no snapshot, and where that shows, in bytes from the beginning.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Corrupt {
    pub(crate) offset: usize,
    pub(crate) reason: &'static str,
}

impl Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.reason)
    }
}

/// Reads a snapshot, and has each of its entries taken. Those of a corrupt one may be taken in part: they are to be
/// thrown away.
pub(crate) fn read(bytes: &[u8], mut take: impl FnMut(&[u8], &[u8], Option<u64>)) -> Result<(), Corrupt> {
    let mut reader = Reader { bytes, at: 0 };
    if reader.bytes(MAGIC.len() as u64, "the file ends within its first word")? != MAGIC {
        return Err(Corrupt { offset: 0, reason: "this is not a snapshot of kv" });
    }
    if reader.u32("the file ends within its version")? != VERSION {
        return Err(Corrupt { offset: MAGIC.len(), reason: "a version that is not known here" });
    }
    for _ in 0..reader.u32("the file ends within the number of its sections")? {
        let begin = reader.at;
        let len = reader.u64("the file ends where a section should begin")?;
        reader.bytes(len, "the file ends within a section")?;
        let end = reader.at;
        if reader.u64("the file ends within a checksum")? != checksum(&bytes[begin..end]) {
            return Err(Corrupt { offset: begin, reason: "a section that does not have its checksum" });
        }
        read_section(Reader { bytes: &bytes[..end], at: begin + 8 }, &mut take)?;
    }
    match reader.at == bytes.len() {
        true => Ok(()),
        false => Err(Corrupt { offset: reader.at, reason: "more than the sections that there should be" }),
    }
}

fn read_section(mut reader: Reader<'_>, take: &mut impl FnMut(&[u8], &[u8], Option<u64>)) -> Result<(), Corrupt> {
    while reader.at < reader.bytes.len() {
        let expires = reader.u64("a section ends within a time")?;
        let key = reader.u32("a section ends within the length of a key")?;
        let value = reader.u32("a section ends within the length of a value")?;
        let key = reader.bytes(key.into(), "a section ends within a key")?;
        let value = reader.bytes(value.into(), "a section ends within a value")?;
        take(key, value, (expires != NEVER).then_some(expires));
    }
    Ok(())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The next bytes; `missing` says what it is called if there are not so many.
    fn bytes(&mut self, len: u64, missing: &'static str) -> Result<&'a [u8], Corrupt> {
        let rest = &self.bytes[self.at..];
        let len = usize::try_from(len).ok().filter(|len| *len <= rest.len());
        let len = len.ok_or(Corrupt { offset: self.bytes.len(), reason: missing })?;
        self.at += len;
        Ok(&rest[..len])
    }

    fn array<const LEN: usize>(&mut self, missing: &'static str) -> Result<[u8; LEN], Corrupt> {
        let mut array = [0; LEN];
        array.copy_from_slice(self.bytes(LEN as u64, missing)?);
        Ok(array)
    }

    fn u32(&mut self, missing: &'static str) -> Result<u32, Corrupt> {
        self.array(missing).map(u32::from_le_bytes)
    }

    fn u64(&mut self, missing: &'static str) -> Result<u64, Corrupt> {
        self.array(missing).map(u64::from_le_bytes)
    }
}

// --- the checksum ---

/// The remainders of all bytes.
static REMAINDERS: [u64; 256] = {
    const POLYNOMIAL: u64 = 0xc96c_5795_d787_0f42;
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut remainder = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            remainder = if remainder & 1 == 1 { remainder >> 1 ^ POLYNOMIAL } else { remainder >> 1 };
            bit += 1;
        }
        table[byte] = remainder;
        byte += 1;
    }
    table
};

/// CRC-64/XZ: finds each change of up to 64 bits that are side by side, wherever it is.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    let step = |crc: u64, byte: &u8| REMAINDERS[(crc as u8 ^ byte) as usize] ^ (crc >> 8);
    !bytes.iter().fold(!0, step)
}
