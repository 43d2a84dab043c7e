//! Owns the question whether this process is the one that made a driver. A ring and an epoll are shared with forked
//! children; a child that used them would speak for its parent.
//!
//! `fork` runs a handler in the child that counts. (A bare `clone` system call runs no handlers. Who makes one must leave
//! the drivers alone, as it must leave alone most of the C library.)

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many forks lie between the first process and this one.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// A process that made something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Origin(u32);

impl Origin {
    /// This process.
    pub(crate) fn here() -> Self {
        static INSTALL: Once = Once::new();
        INSTALL.call_once(|| {
            // It fails for want of memory only; then forks are not noticed.
            // SAFETY: the handler does nothing but count.
            unsafe { pthread_atfork(None, None, Some(count)) };
        });
        Self(GENERATION.load(Ordering::Relaxed))
    }

    /// Whether this process is a fork of that one.
    #[inline]
    pub(crate) fn is_elsewhere(self) -> bool {
        self.0 != GENERATION.load(Ordering::Relaxed)
    }
}

type Handler = unsafe extern "C" fn();

// The `libc` crate doesn't declare it for Linux.
unsafe extern "C" {
    fn pthread_atfork(prepare: Option<Handler>, parent: Option<Handler>, child: Option<Handler>) -> libc::c_int;
}

unsafe extern "C" fn count() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}
