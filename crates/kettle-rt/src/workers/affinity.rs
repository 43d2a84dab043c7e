//! Owns which cores there are, and that a thread stays on one of them.
//!
//! The unsafe code of this module is system calls.

use std::io;
use std::mem::{MaybeUninit, size_of};

/// A set of cores, as the system has it.
type Cores = libc::cpu_set_t;

/// The cores that the calling thread may run on.
pub(super) fn cores() -> io::Result<Vec<usize>> {
    let mut set = MaybeUninit::<Cores>::zeroed();
    // SAFETY: the set is a variable of this frame, of that size.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<Cores>(), set.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all bits, zeros too, are a set.
    let set = unsafe { set.assume_init() };
    // SAFETY: no more than the set has.
    let has = |&core: &usize| unsafe { libc::CPU_ISSET(core, &set) };
    Ok((0..libc::CPU_SETSIZE as usize).filter(has).collect())
}

/// Has the calling thread stay on a core.
pub(super) fn pin_to(core: usize) -> io::Result<()> {
    let set = MaybeUninit::<Cores>::zeroed();
    // SAFETY: zeros are the empty set.
    let mut set = unsafe { set.assume_init() };
    // SAFETY: one that `cores` has given.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the set is a variable of this frame, of that size.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<Cores>(), &set) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
