//! Owns the kernel's form of an address, for the operations that take or give one, and trying one address after the other.
//!
//! The unsafe code of this module is reading the form that the family says it has.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs};

/// An address of any family.
#[derive(Clone, Copy)]
pub(super) union Address {
    /// Room for all of them.
    storage: libc::sockaddr_storage,
    family: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl Address {
    /// One to be written to, and how much room there is.
    pub(super) fn room() -> (Self, libc::socklen_t) {
        // All zero: the family is `AF_UNSPEC`.
        // SAFETY: plain numbers.
        let storage = unsafe { std::mem::zeroed() };
        (Self { storage }, size_of::<Self>() as libc::socklen_t)
    }

    /// An address, and its length.
    pub(super) fn of(addr: &SocketAddr) -> (Self, libc::socklen_t) {
        let (mut address, _) = Self::room();
        match addr {
            SocketAddr::V4(addr) => {
                address.v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: addr.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(addr.ip().octets()) },
                    sin_zero: [0; 8],
                };
                (address, size_of::<libc::sockaddr_in>() as libc::socklen_t)
            }
            SocketAddr::V6(addr) => {
                address.v6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: addr.port().to_be(),
                    sin6_flowinfo: addr.flowinfo(),
                    sin6_addr: libc::in6_addr { s6_addr: addr.ip().octets() },
                    sin6_scope_id: addr.scope_id(),
                };
                (address, size_of::<libc::sockaddr_in6>() as libc::socklen_t)
            }
        }
    }

    /// The address in std's form.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for one of another family, as std has it.
    pub(super) fn get(&self) -> io::Result<SocketAddr> {
        // SAFETY: all forms begin with it, and all bytes are initialised.
        match i32::from(unsafe { self.family }) {
            libc::AF_INET => {
                // SAFETY: all bytes are initialised.
                let v4 = unsafe { self.v4 };
                let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
                Ok(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: all bytes are initialised.
                let v6 = unsafe { self.v6 };
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                let port = u16::from_be(v6.sin6_port);
                Ok(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
            }
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "the peer has no internet address")),
        }
    }
}

/// Tries addresses in their order until one does it. The error is that of the last one, as std has it.
pub(super) fn each_addr<A: ToSocketAddrs, T>(addr: A, mut f: impl FnMut(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    let mut last = None;
    for addr in addr.to_socket_addrs()? {
        match f(addr) {
            Ok(done) => return Ok(done),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "could not resolve to any addresses")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_as_they_went() {
        let ip = Ipv6Addr::new(0xfe80, 1, 2, 3, 4, 5, 6, 7);
        for addr in [
            SocketAddr::from(([127, 1, 2, 3], 0x102)),
            SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
            SocketAddrV6::new(ip, 0x1234, 0xf00, 7).into(),
        ] {
            assert_eq!(Address::of(&addr).0.get().ok(), Some(addr));
        }
    }

    #[test]
    fn an_address_of_no_family_is_an_error() {
        let error = Address::room().0.get().err();
        assert_eq!(error.map(|error| error.kind()), Some(io::ErrorKind::InvalidInput));
    }
}
