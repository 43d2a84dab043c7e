//! Owns strings of bytes as keys and values are: up to 22 bytes lie in the string itself, without an allocation.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

/// What fits beside the length and the tag, so that the whole is as large as three words.
const MOST_SHORT: usize = 22;

#[derive(Clone, Debug)]
pub(crate) struct Bytes(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Short { len: u8, bytes: [u8; MOST_SHORT] },
    Long(Box<[u8]>),
}

impl Bytes {
    /// Becomes these bytes. If there is an allocation of this very size, it is used again.
    pub(crate) fn assign(&mut self, new: &[u8]) {
        match &mut self.0 {
            Kind::Long(bytes) if bytes.len() == new.len() => bytes.copy_from_slice(new),
            _ => *self = Self::from(new),
        }
    }

    pub(crate) fn append(&mut self, more: &[u8]) {
        let mut bytes = match std::mem::replace(&mut self.0, Kind::Short { len: 0, bytes: [0; MOST_SHORT] }) {
            Kind::Long(bytes) => bytes.into_vec(),
            Kind::Short { len, bytes } => bytes[..usize::from(len)].to_vec(),
        };
        bytes.reserve_exact(more.len());
        bytes.extend_from_slice(more);
        self.0 = if bytes.len() > MOST_SHORT { Kind::Long(bytes.into_boxed_slice()) } else { Self::from(&bytes[..]).0 };
    }
}

impl From<&[u8]> for Bytes {
    fn from(from: &[u8]) -> Self {
        if from.len() > MOST_SHORT {
            return Self(Kind::Long(from.into()));
        }
        let mut bytes = [0; MOST_SHORT];
        bytes[..from.len()].copy_from_slice(from);
        Self(Kind::Short { len: from.len() as u8, bytes })
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Kind::Short { len, bytes } => &bytes[..usize::from(*len)],
            Kind::Long(bytes) => bytes,
        }
    }
}

// Maps of `Bytes` are asked by slices, so the two must compare and hash alike.

impl Borrow<[u8]> for Bytes {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl Hash for Bytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Bytes {}

impl PartialOrd for Bytes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bytes {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}
