//! Owns the sizes that stacks come in: powers of two, so that a stack is found from any address in it.

use crate::memory;
use std::fmt;
use std::io;

/// The size that a coroutine gets if it asks for none: 64 KiB, of which it uses what it touches.
pub const DEFAULT_STACK_SIZE: usize = if cfg!(kettle_stress) { MIN_STACK_SIZE } else { 64 * 1024 };

/// The smallest size there is: 16 KiB. A panic that prints a backtrace needs more, most of all in a debug build.
pub const MIN_STACK_SIZE: usize = 16 * 1024;

/// A size of stacks, guard page included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class(u32);

/// How many classes there may be.
pub(crate) const CLASSES: usize = usize::BITS as usize;

impl Class {
    /// The smallest class that is not smaller than `bytes`.
    #[inline]
    pub(crate) fn of(bytes: usize) -> Result<Self, Reason> {
        if bytes == 0 {
            return Err(Reason::Zero);
        }
        let least = bytes.max(MIN_STACK_SIZE).max(4 * memory::page());
        match least.checked_next_power_of_two() {
            Some(size) if bytes <= memory::physical() => Ok(Self(size.ilog2())),
            _ => Err(Reason::TooLarge { bytes, most: memory::physical() }),
        }
    }

    pub(crate) fn size(self) -> usize {
        1 << self.0
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Why a stack can't be had.
#[derive(Debug)]
pub(crate) enum Reason {
    Zero,
    TooLarge { bytes: usize, most: usize },
    System { bytes: usize, error: io::Error },
}

/// A coroutine that could not get a stack, with the functions that it was to be made of.
pub struct StackError<F> {
    reason: Reason,
    body: F,
}

impl<F> StackError<F> {
    pub(crate) fn new(reason: Reason, body: F) -> Self {
        Self { reason, body }
    }

    /// Whether a stack of no bytes was asked for.
    pub fn is_zero_size(&self) -> bool {
        matches!(self.reason, Reason::Zero)
    }

    /// Whether a stack larger than the machine's memory was asked for.
    pub fn is_too_large(&self) -> bool {
        matches!(self.reason, Reason::TooLarge { .. })
    }

    /// What the system said, if it refused memory, address space or a guard page. The pool goes on working: try again
    /// when other coroutines of this size and thread have ended.
    pub fn io_error(&self) -> Option<&io::Error> {
        match &self.reason {
            Reason::System { error, .. } => Some(error),
            _ => None,
        }
    }

    /// The body that was passed in; of `scoped`, both functions.
    pub fn into_body(self) -> F {
        self.body
    }
}

impl<F> fmt::Display for StackError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::Zero => write!(f, "get a stack of 0 bytes: the least is {MIN_STACK_SIZE}"),
            Reason::TooLarge { bytes, most } => {
                write!(f, "get a stack of {bytes} bytes: this machine has {most} bytes of memory")
            }
            Reason::System { bytes, error } => write!(
                f,
                "get a stack of {bytes} bytes: {error} (limits: ulimit -v, vm.max_map_count, vm.overcommit_memory)"
            ),
        }
    }
}

impl<F> fmt::Debug for StackError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackError").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<F> std::error::Error for StackError<F> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.reason {
            Reason::System { error, .. } => Some(error),
            _ => None,
        }
    }
}
