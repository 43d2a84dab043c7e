//! Owns the system calls on descriptors that need no buffer of a caller's: safe functions, errors as `errno`.
//!
//! A descriptor is a number here. A wrong one is an error of the kernel's (`EBADF`), not undefined behaviour; whose it
//! is, is the concern of the modules above.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

/// The `errno` of the call that has just failed.
pub(crate) fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// What a call returned, with its `errno` if that was -1.
pub(crate) fn checked(returned: i32) -> Result<i32, i32> {
    if returned >= 0 { Ok(returned) } else { Err(errno()) }
}

/// Takes over a descriptor that a call has just returned.
fn owned(returned: i32) -> io::Result<OwnedFd> {
    match checked(returned) {
        // SAFETY: the kernel has just made it, and nobody else knows it.
        Ok(fd) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        Err(errno) => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// An eventfd whose writes never block.
pub(crate) fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers.
    owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })
}

/// Adds one to an eventfd. May be called by a signal handler, and leaves `errno` alone.
pub(crate) fn signal(eventfd: &OwnedFd) {
    let one = 1_u64;
    // SAFETY: its address is this thread's, for as long as the thread lives.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { errno.read() };
    // SAFETY: eight bytes of a variable. It fails only after 2^64 signals.
    unsafe { libc::write(eventfd.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
    // SAFETY: as above.
    unsafe { errno.write(before) };
}

/// A new epoll.
pub(crate) fn epoll() -> io::Result<OwnedFd> {
    // SAFETY: takes no pointers.
    owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })
}

/// Adds (`EPOLL_CTL_ADD`) a descriptor, changes (`…_MOD`) or removes it (`…_DEL`).
pub(crate) fn epoll_ctl(epoll: &OwnedFd, change: i32, fd: RawFd, events: i32, data: u64) -> Result<(), i32> {
    let mut event = libc::epoll_event { events: events.cast_unsigned(), u64: data };
    // SAFETY: the event is a variable, which the kernel copies.
    checked(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), change, fd, &raw mut event) }).map(drop)
}

/// In the stress build a call that no kernel has, as if it was old.
const EPOLL_PWAIT2: libc::c_long = if cfg!(kettle_stress) { 9999 } else { libc::SYS_epoll_pwait2 };

/// Waits for events: for ever if `timeout` is none. Never ends before its time without an event or a signal.
pub(crate) fn epoll_wait(
    epoll: &OwnedFd,
    events: &mut Vec<libc::epoll_event>,
    timeout: Option<Duration>,
) -> Result<(), i32> {
    events.clear();
    let (fd, start, room) = (epoll.as_raw_fd(), events.as_mut_ptr(), events.capacity());
    let room = i32::try_from(room).unwrap_or(i32::MAX);
    let found = match timeout {
        None => {
            // SAFETY: there is room for so many events at the start of the vector.
            checked(unsafe { libc::epoll_wait(fd, start, room, -1) })
        }
        Some(Duration::ZERO) => {
            // SAFETY: as above.
            checked(unsafe { libc::epoll_wait(fd, start, room, 0) })
        }
        Some(timeout) => {
            let exact = timespec(timeout);
            let (exact, mask) = (&raw const exact, ptr::null::<libc::sigset_t>());
            // SAFETY: as above; the time is a variable, and there is no mask.
            let returned = unsafe { libc::syscall(EPOLL_PWAIT2, fd, start, room, exact, mask, 0) };
            match checked(i32::try_from(returned).unwrap_or(-1)) {
                // Before Linux 5.11, and in containers that don't know it, there are only milliseconds: rounded up.
                Err(libc::ENOSYS | libc::EPERM) => {
                    let millis = timeout.as_nanos().div_ceil(1_000_000);
                    let millis = i32::try_from(millis).unwrap_or(i32::MAX);
                    // SAFETY: as above.
                    checked(unsafe { libc::epoll_wait(fd, start, room, millis) })
                }
                found => found,
            }
        }
    }?;
    // SAFETY: the kernel has written so many.
    unsafe { events.set_len(found.cast_unsigned() as usize) };
    Ok(())
}

fn timespec(duration: Duration) -> libc::timespec {
    // SAFETY: all zeros is a valid `timespec`, which on some platforms has padding.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    time.tv_sec = libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX);
    time.tv_nsec = duration.subsec_nanos() as _;
    time
}

/// What of `events` (and errors, hang-ups) a descriptor is ready for, without waiting: the `revents` of `poll`.
pub(crate) fn poll(fd: RawFd, events: i16) -> Result<i16, i32> {
    let mut polled = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: one `pollfd`, a variable.
    checked(unsafe { libc::poll(&raw mut polled, 1, 0) })?;
    if polled.revents & libc::POLLNVAL != 0 { Err(libc::EBADF) } else { Ok(polled.revents) }
}

/// Sets `O_NONBLOCK` if it isn't set.
pub(crate) fn set_nonblocking(fd: RawFd) -> Result<(), i32> {
    // SAFETY: takes no pointers.
    let flags = checked(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    if flags & libc::O_NONBLOCK == 0 {
        // SAFETY: takes no pointers.
        checked(unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
    }
    Ok(())
}

/// One of a socket's options of level `SOL_SOCKET` that are numbers.
pub(crate) fn socket_option(fd: RawFd, option: i32) -> Result<i32, i32> {
    let mut value = 0_i32;
    let mut len = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the value and its length are variables.
    checked(unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, option, (&raw mut value).cast(), &raw mut len) })?;
    Ok(value)
}

/// A TCP socket that is connected to nothing, in blocking mode.
pub(crate) fn tcp_socket(is_ipv6: bool) -> Result<OwnedFd, i32> {
    socket(libc::SOCK_STREAM, is_ipv6)
}

/// A UDP socket without an address, in blocking mode.
pub(crate) fn udp_socket(is_ipv6: bool) -> Result<OwnedFd, i32> {
    socket(libc::SOCK_DGRAM, is_ipv6)
}

fn socket(sort: i32, is_ipv6: bool) -> Result<OwnedFd, i32> {
    let socket = |family| {
        // SAFETY: takes no pointers.
        owned(unsafe { libc::socket(family, sort | libc::SOCK_CLOEXEC, 0) })
    };
    // Where the kernel has no IPv6, a socket of the other family stands for one as well.
    let made = if is_ipv6 { socket(libc::AF_INET6).or_else(|_| socket(libc::AF_INET)) } else { socket(libc::AF_INET) };
    made.map_err(|error| error.raw_os_error().unwrap_or(libc::EIO))
}

/// Whether a socket is to be closed by a reset (`SO_LINGER` with a time of zero).
pub(crate) fn resets_on_close(fd: RawFd) -> bool {
    let mut linger = libc::linger { l_onoff: 0, l_linger: 0 };
    let mut len = size_of::<libc::linger>() as libc::socklen_t;
    let (value, len) = ((&raw mut linger).cast(), &raw mut len);
    // SAFETY: the value and its length are variables.
    let got = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, value, len) };
    got == 0 && linger.l_onoff != 0 && linger.l_linger == 0
}

/// Whether a descriptor is a file whose reads and writes wait for nobody.
pub(crate) fn is_regular(fd: RawFd) -> bool {
    // SAFETY: all zeros is a valid `stat`.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: a variable, which the kernel writes.
    let got = unsafe { libc::fstat(fd, &raw mut stat) };
    got == 0 && stat.st_mode & libc::S_IFMT == libc::S_IFREG
}
