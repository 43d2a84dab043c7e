//! Owns what messages between processes are in bytes.
//!
//! Invariant: what has been written by one process is read by another of the same program as an equal value; anything
//! else is read as nothing, whatever its bytes are. Numbers are little-endian, what has a length begins with it.
#![forbid(unsafe_code)]

use std::time::Duration;

/// What a [`Channel`](super::Channel) can carry: a value that can be written as bytes and read again.
///
/// Numbers, `bool`, `char`, `String`, `()`, tuples, `Option`, `Result`, `Duration` and vectors of these have it. For a
/// type of one's own it is two lines:
///
/// ```
/// use kettle::processes::Wire;
///
/// #[derive(Debug, PartialEq)]
/// struct Served {
///     requests: u64,
///     slowest: Option<String>,
/// }
///
/// impl Wire for Served {
///     fn write(&self, to: &mut Vec<u8>) {
///         self.requests.write(to);
///         self.slowest.write(to);
///     }
///
///     fn read(from: &mut &[u8]) -> Option<Self> {
///         Some(Self { requests: Wire::read(from)?, slowest: Wire::read(from)? })
///     }
/// }
///
/// let served = Served { requests: 7, slowest: Some("/tea".to_owned()) };
/// let mut bytes = Vec::new();
/// served.write(&mut bytes);
/// assert_eq!(Served::read(&mut &bytes[..]), Some(served));
/// assert_eq!(Served::read(&mut &bytes[..9]), None);
/// ```
pub trait Wire: Sized {
    /// Appends the value. At least one byte, if the value is to be an element of a vector.
    fn write(&self, to: &mut Vec<u8>);

    /// Takes a value off the front; `None` if there is none. The bytes may be anybody's: it must not panic, nor believe
    /// a length.
    fn read(from: &mut &[u8]) -> Option<Self>;
}

/// Takes so many bytes off the front.
fn take<'a>(from: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = from.split_at_checked(len)?;
    *from = rest;
    Some(taken)
}

/// A number of elements, of which each takes a byte at least.
fn count(from: &mut &[u8]) -> Option<usize> {
    let count = usize::try_from(u64::read(from)?).ok()?;
    (count <= from.len()).then_some(count)
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Wire for $number {
            fn write(&self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_le_bytes());
            }

            fn read(from: &mut &[u8]) -> Option<Self> {
                Some(Self::from_le_bytes(take(from, size_of::<Self>())?.try_into().ok()?))
            }
        }
    )*};
}

numbers!(u8, u16, u32, u64, u128, i8, i16, i32, i64, i128, f32, f64);

impl Wire for usize {
    fn write(&self, to: &mut Vec<u8>) {
        (*self as u64).write(to);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        u64::read(from)?.try_into().ok()
    }
}

impl Wire for isize {
    fn write(&self, to: &mut Vec<u8>) {
        (*self as i64).write(to);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        i64::read(from)?.try_into().ok()
    }
}

/// A byte, so that vectors of it have a length that can be checked.
impl Wire for () {
    fn write(&self, to: &mut Vec<u8>) {
        to.push(0);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        (u8::read(from)? == 0).then_some(())
    }
}

impl Wire for bool {
    fn write(&self, to: &mut Vec<u8>) {
        to.push(u8::from(*self));
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        match u8::read(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Wire for char {
    fn write(&self, to: &mut Vec<u8>) {
        u32::from(*self).write(to);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        Self::from_u32(u32::read(from)?)
    }
}

impl Wire for String {
    fn write(&self, to: &mut Vec<u8>) {
        self.len().write(to);
        to.extend_from_slice(self.as_bytes());
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let len = count(from)?;
        Some(str::from_utf8(take(from, len)?).ok()?.to_owned())
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn write(&self, to: &mut Vec<u8>) {
        self.len().write(to);
        self.iter().for_each(|value| value.write(to));
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let len = count(from)?;
        // Nothing is set aside for a length: an element may be larger than its bytes.
        (0..len).map(|_| T::read(from)).collect()
    }
}

impl<T: Wire> Wire for Option<T> {
    fn write(&self, to: &mut Vec<u8>) {
        self.is_some().write(to);
        self.iter().for_each(|value| value.write(to));
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        Some(if bool::read(from)? { Some(T::read(from)?) } else { None })
    }
}

impl<T: Wire, E: Wire> Wire for Result<T, E> {
    fn write(&self, to: &mut Vec<u8>) {
        self.is_ok().write(to);
        match self {
            Ok(value) => value.write(to),
            Err(error) => error.write(to),
        }
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        Some(if bool::read(from)? { Ok(T::read(from)?) } else { Err(E::read(from)?) })
    }
}

impl Wire for Duration {
    fn write(&self, to: &mut Vec<u8>) {
        self.as_secs().write(to);
        self.subsec_nanos().write(to);
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        let (seconds, nanoseconds) = Wire::read(from)?;
        (nanoseconds < 1_000_000_000).then(|| Self::new(seconds, nanoseconds))
    }
}

macro_rules! tuples {
    ($(($($name:ident)+)),*) => {$(
        impl<$($name: Wire),+> Wire for ($($name,)+) {
            fn write(&self, to: &mut Vec<u8>) {
                #[allow(non_snake_case, reason = "a value is called as its type is")]
                let ($($name,)+) = self;
                $($name.write(to);)+
            }

            fn read(from: &mut &[u8]) -> Option<Self> {
                Some(($($name::read(from)?,)+))
            }
        }
    )*};
}

tuples!((A), (A B), (A B C), (A B C D), (A B C D E), (A B C D E F));

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]
mod tests {
    use super::*;
    use std::fmt::Debug;

    /// That it comes back, and that no part of its bytes is taken for a whole.
    fn assert_returns<T: Wire + PartialEq + Debug>(value: T) {
        let mut bytes = Vec::new();
        value.write(&mut bytes);
        for len in 0..bytes.len() {
            assert_eq!(T::read(&mut &bytes[..len]), None, "{len} bytes of {value:?}");
        }
        let mut rest = &bytes[..];
        assert_eq!(T::read(&mut rest), Some(value));
        assert!(rest.is_empty());
    }

    #[test]
    fn values_come_back_as_they_went() {
        assert_returns((u8::MAX, i16::MIN, u32::MAX, i64::MIN, u128::MAX, -0.5f64));
        assert_returns((usize::MAX, isize::MIN, (), true, 'ü'));
        assert_returns((String::from("tea for two, 茶"), String::new()));
        assert_returns(vec![Some(vec![1u8, 2]), None, Some(Vec::new())]);
        assert_returns([Ok(7u8), Err(String::from("spilled"))].to_vec());
        assert_returns((Duration::new(u64::MAX, 999_999_999),));
        assert_returns(vec![(); 3]);
    }

    #[test]
    fn what_is_no_value_is_nothing() {
        assert_eq!(bool::read(&mut &[2][..]), None);
        assert_eq!(<()>::read(&mut &[1][..]), None);
        assert_eq!(char::read(&mut &0xd800_u32.to_le_bytes()[..]), None);
        assert_eq!(Duration::read(&mut &[0xff; 12][..]), None);
        let mut broken = Vec::new();
        1usize.write(&mut broken);
        broken.push(0xff);
        assert_eq!(String::read(&mut &broken[..]), None);
    }

    #[test]
    fn a_length_that_lies_costs_nothing() {
        let mut bytes = u64::MAX.to_le_bytes().to_vec();
        bytes.extend([0; 64]);
        assert_eq!(Vec::<u8>::read(&mut &bytes[..]), None);
        assert_eq!(Vec::<()>::read(&mut &bytes[..]), None);
        assert_eq!(String::read(&mut &bytes[..]), None);
    }
}
