//! Owns the way in which a forked child hears that it is one, on the thread that has forked: the only one that it has.
//!
//! (A bare `clone` system call runs no handlers, and `vfork`, which shares its parent's memory, does not either: as it should
//! be. Who makes one must leave the event loop alone, as it must leave alone most of the C library.)

use std::sync::Once;

type Handler = unsafe extern "C" fn();

/// Has every child that is forked from now on call this first. Only the first call counts.
pub(crate) fn at_fork(child: extern "C" fn()) {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        // It fails for want of memory only; then forks are not noticed.
        // SAFETY: the handler is a safe function, and the program's.
        unsafe { pthread_atfork(None, None, Some(child)) };
    });
}

// The `libc` crate doesn't declare it for Linux.
unsafe extern "C" {
    fn pthread_atfork(prepare: Option<Handler>, parent: Option<Handler>, child: Option<Handler>) -> libc::c_int;
}
