//! Owns one stack: from when a coroutine is made to when it has ended.
//!
//! ```text
//!   top ─────────── multiple of the stack's size
//!    │ colour       0 to 1,984 bytes, by the slot's number
//!    ├───────────── Header: the coroutine's name
//!    │ exchange     what body and resumer hand each other
//!   base            where the coroutine's first frame goes
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
use std::num::NonZeroUsize;
use std::rc::Rc;

/// The step between two colours: a cache line.
const LINE: usize = 64;

/// Where in a line the first frame begins: what the switch keeps below it takes as much.
const LINK: usize = 16;

/// The most that `make_room` gives: with the greatest colour a header and that much lie in the top page.
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
    place: Place,
    slab: Rc<Slab>,
}

/// Where a stack lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    base: NonZeroUsize,
    class: Class,
}

impl Stack {
    #[inline]
    pub(crate) fn new(class: Class, name: Option<Box<str>>) -> Result<Self, Reason> {
        let slab = pool::slab(class, find_name);
        let slot = slab.take()?;
        let header = header(slot, class.size());
        // SAFETY: the stack is ours and unused; the header lies in its top page, aligned to a line.
        unsafe { header.write(Header { name }) };
        let base = NonZeroUsize::new(header as usize).expect("invariant: a stack does not lie at address 0");
        Ok(Self { place: Place { base, class }, slab })
    }

    /// Takes room for a value above the first frame, on a stack that is not used yet.
    ///
    /// The first frame follows 16 bytes into a line: what a switch touches at its base, and the beginning of the value,
    /// share that line.
    #[inline]
    pub(crate) fn make_room<V>(&mut self) -> *mut V {
        assert!(size_of::<V>() <= MOST_ROOM && align_of::<V>() <= LINK, "invariant: callers look");
        let line = (self.place.base.get() - size_of::<V>() - LINK) & !(LINE - 1);
        let base = NonZeroUsize::new(line + LINK).expect("invariant: a stack does not lie at address 0");
        self.place.base = base;
        base.get() as *mut V
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }
}

impl Place {
    fn slot(self) -> usize {
        (self.base.get() - 1) & !(self.size() - 1)
    }

    /// Whether an address lies on it.
    pub(crate) fn contains(self, address: usize) -> bool {
        (self.slot()..self.base.get()).contains(&address)
    }

    /// Bytes of address space, guard page included.
    pub(crate) fn size(self) -> usize {
        self.class.size()
    }

    /// The most bytes that any coroutine has used of it since its memory was last given back; whole pages.
    pub(crate) fn used(self) -> usize {
        let guard = memory::page();
        let (lowest, len) = (self.slot() + guard, self.size() - guard);
        lowest + len - memory::lowest_resident(lowest, len)
    }

    /// The coroutine's name.
    ///
    /// # Safety
    ///
    /// The stack is in use for as long as the result is.
    pub(crate) unsafe fn name<'a>(self) -> Option<&'a str> {
        let header = header(self.slot(), self.size());
        // SAFETY: written by `new`, and dropped with the stack.
        unsafe { (*header).name.as_deref() }
    }
}

impl Drop for Stack {
    #[inline]
    fn drop(&mut self) {
        let slot = self.place.slot();
        // SAFETY: written by `new`, and the last use is here.
        unsafe { std::ptr::drop_in_place(header(slot, self.place.size())) };
        self.slab.give(slot);
    }
}

// SAFETY: the slab guards the lowest page before it hands a stack out, and the least class leaves more than
// `corosensei::stack::MIN_STACK_SIZE` bytes between that and `base`, which is a multiple of 16.
unsafe impl corosensei::stack::Stack for Stack {
    #[inline]
    fn base(&self) -> NonZeroUsize {
        self.place.base
    }

    #[inline]
    fn limit(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.place.slot()).expect("invariant: a stack does not lie at address 0")
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
