//! Owns the link: where a coroutine that runs finds its way back to whoever resumed it.
//!
//! It stays at one address from the first resume to the end, and is the first part of the exchange. The switch writes it
//! and reads it; its trampoline tells unwinders that it is there.

use crate::stack::Place;
use std::cell::Cell;
use std::ptr;

/// The stack pointer of a stack that was left.
pub type StackPointer = *mut ();

/// A coroutine's first function: gets the word of the first resume, the link, and the address that was its stack's top.
pub type Entry = unsafe extern "C" fn(word: usize, link: *const Link, top: *mut ()) -> !;

/// Where a coroutine finds its way back.
// The trampoline knows the offsets.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct Link {
    /// The resumer's stack pointer, as of the last resume.
    pub(crate) resumer: Cell<StackPointer>,
    pub(crate) entry: Entry,
    /// The stack that the coroutine has been left on: its lowest address and its size.
    #[cfg(kettle_asan)]
    pub(crate) left_stack: Cell<(*const (), usize)>,
    /// The one that its resumer is on.
    #[cfg(kettle_asan)]
    pub(crate) resumer_stack: Cell<(*const (), usize)>,
}

impl Link {
    /// The link of a coroutine that is to run from its first function on.
    #[inline]
    pub fn new(entry: Entry) -> Self {
        Self {
            resumer: Cell::new(ptr::null_mut()),
            entry,
            #[cfg(kettle_asan)]
            left_stack: Cell::new((ptr::null(), 0)),
            #[cfg(kettle_asan)]
            resumer_stack: Cell::new((ptr::null(), 0)),
        }
    }

    /// Where the resumer's stack pointer lies, of the link at an address.
    #[inline]
    pub(crate) fn resumer_of(link: *const Self) -> *const Cell<StackPointer> {
        // It is the first field.
        link.cast()
    }

    /// Says where the coroutine's stack lies, before its first resume: the address sanitizer wants to know.
    #[inline]
    pub fn lie_on(&self, place: Place) {
        #[cfg(kettle_asan)]
        self.left_stack.set((ptr::without_provenance(place.lowest()), place.size()));
        _ = place;
    }
}
