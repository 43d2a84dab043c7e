//! Owns one stack: from when a coroutine is made to when it has ended.
//!
//! ```text
//!   end ─────────── multiple of the stack's size
//!    │ colour       0 to 1,984 bytes, by the slot's number
//!    ├───────────── Header: the coroutine's name
//!   top             what is below is its user's
//!    │ Exchange     where body and resumer hand each other values, beginning with the way back
//!    │ captures     of the function, until it runs
//!    │ frames       of the trampoline, the first function, the body …
//!    │   …
//!    ├───────────── guard page
//!   slot
//! ```
//!
//! Without the colour all stacks' tops, where a suspended coroutine keeps what a switch touches, would compete for the
//! same few sets of the cache: page-aligned ones cost 8.0 ns a switch with 1,000 coroutines, coloured ones 6.4.

use crate::class::{Class, Reason};
use crate::memory;
use crate::pool;
use crate::slab::Slab;
use std::rc::Rc;

/// The step between two colours: a cache line.
const LINE: usize = 64;

/// The most that may be put above a first frame: with the greatest colour a header and that much lie in the top page.
pub(crate) const MOST_ROOM: usize = 512;

/// How many colours there are. More would touch a second page.
const COLOURS: usize = 32;

/// What lies above a stack's first frame.
#[repr(align(64))]
struct Header {
    name: Option<Box<str>>,
}

/// A stack in use. Goes back to its slab when dropped.
#[derive(Debug)]
pub(crate) struct Stack {
    slot: usize,
    slab: Rc<Slab>,
}

/// Where a stack lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    lowest: usize,
    size: usize,
}

impl Stack {
    #[inline]
    pub(crate) fn new(class: Class, name: Option<Box<str>>) -> Result<Self, Reason> {
        let slab = pool::slab(class, find_name);
        let slot = slab.take()?;
        // SAFETY: the stack is ours and unused; the header lies in its top page, aligned to a line.
        unsafe { header(slot, class.size()).write(Header { name }) };
        Ok(Self { slot, slab })
    }

    /// The address below which the stack is its user's: the beginning of a line.
    #[inline]
    pub(crate) fn top(&self) -> usize {
        header(self.slot, self.size()) as usize
    }

    /// A place on it.
    #[inline]
    pub(crate) fn at<V>(&self, address: usize) -> *mut V {
        debug_assert!(self.place().contains(address), "invariant: callers look");
        address as *mut V
    }

    #[inline]
    pub(crate) fn place(&self) -> Place {
        Place { lowest: self.slot, size: self.size() }
    }

    /// Bytes of address space, guard page included.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.slab.size()
    }

    /// The most bytes that any coroutine has used of it since its memory was last given back; whole pages.
    pub(crate) fn used(&self) -> usize {
        let guard = memory::page();
        let (lowest, len) = (self.slot + guard, self.size() - guard);
        lowest + len - memory::lowest_resident(lowest, len)
    }

    /// The coroutine's name.
    pub(crate) fn name(&self) -> Option<&str> {
        let header = header(self.slot, self.size());
        // SAFETY: written by `new`, and dropped with the stack.
        unsafe { (*header).name.as_deref() }
    }
}

impl Place {
    /// Whether an address lies on it.
    pub(crate) fn contains(self, address: usize) -> bool {
        address.wrapping_sub(self.lowest) < self.size
    }

    #[cfg(kettle_asan)]
    pub(crate) fn lowest(self) -> usize {
        self.lowest
    }

    #[cfg(kettle_asan)]
    pub(crate) fn size(self) -> usize {
        self.size
    }
}

impl Drop for Stack {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: written by `new`, and the last use is here.
        unsafe { std::ptr::drop_in_place(header(self.slot, self.size())) };
        self.slab.give(self.slot);
    }
}

#[inline]
fn header(slot: usize, size: usize) -> *mut Header {
    let colour = slot / size % COLOURS * LINE;
    (slot + size - colour - size_of::<Header>()) as *mut Header
}

/// For the overflow handler: the name in the header of a stack that is in use.
///
/// # Safety
///
/// The slot is one of a stack of this size that is in use.
unsafe fn find_name(slot: usize, size: usize) -> Option<&'static [u8]> {
    // SAFETY: a stack in use has a header; the process ends before it goes.
    unsafe { (*header(slot, size)).name.as_deref().map(str::as_bytes) }
}
