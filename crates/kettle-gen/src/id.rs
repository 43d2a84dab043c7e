//! Owns the numbers that tell generators apart: no two in a process have the same, on whatever threads they are made.
//!
//! With `std` a thread takes a block of them at a time, so that threads that make generators don't wait for each other.

use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicUsize, Ordering};

/// How many numbers are taken at a time.
const BLOCK: usize = if cfg!(all(feature = "std", target_pointer_width = "64")) { 1 << 16 } else { 1 };

static NEXT_BLOCK: AtomicUsize = AtomicUsize::new(1);

/// The first number of a block that nobody else has.
#[cold]
fn block() -> usize {
    // 64 bits last for centuries; 32 bits for two billion generators. The count stops there: it must not begin again.
    let more = |block| (block < isize::MAX as usize / BLOCK).then_some(block + 1);
    let block = NEXT_BLOCK.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    let block = block.expect("make more generators than there are numbers for");
    block * BLOCK
}

#[cfg(all(feature = "std", target_pointer_width = "64"))]
#[inline]
fn number() -> usize {
    extern crate std;

    std::thread_local! {
        static NEXT: core::cell::Cell<usize> = const { core::cell::Cell::new(0) };
    }
    // A destructor of another thread-local may make generators when this one has gone.
    NEXT.try_with(|next| {
        if next.get().is_multiple_of(BLOCK) {
            next.set(block());
        }
        next.replace(next.get() + 1)
    })
    .unwrap_or_else(|_| block())
}

#[cfg(not(all(feature = "std", target_pointer_width = "64")))]
fn number() -> usize {
    block()
}

/// A number that no other generator of this process has.
#[inline]
pub(crate) fn next() -> NonZeroUsize {
    NonZeroUsize::new(number()).expect("invariant: the first block has number 1")
}
