//! Owns one stack: from when a coroutine or a task is made to when it has ended.
//!
//! ```text
//!   end ─────────── multiple of the stack's size
//!    │ colour       0 to 1,984 bytes, by the slot's number
//!    ├───────────── Header: the coroutine's name, and where to look for its resumer
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

use crate::chunks;
use crate::class::{Class, Reason, StackError};
use crate::memory;
use crate::pool;
use crate::slab::Slab;
use std::cell::Cell;
use std::ptr::{self, NonNull};
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
    user: &'static str,
    name: Option<Box<str>>,
    /// Where the stack pointer of the resumer lies, of a coroutine. Null for what no yield passes: a task.
    resumer: Cell<*const Cell<*mut ()>>,
}

/// The stacks of one size that this thread has: those that are free, and room for more.
#[derive(Clone, Debug)]
pub struct Stacks {
    slab: Rc<Slab>,
}

impl Stacks {
    /// Those of a size in bytes, guard page included; it is rounded up to a power of two.
    ///
    /// # Errors
    ///
    /// If there can't be stacks of that size: none of 0 bytes, and none larger than the machine's memory.
    pub fn of_size(bytes: usize) -> Result<Self, StackError<()>> {
        Ok(Self::of_class(Class::of(bytes).map_err(|reason| StackError::new(reason, ()))?))
    }

    #[inline]
    pub(crate) fn of_class(class: Class) -> Self {
        Self { slab: pool::slab(class, find_name) }
    }

    /// The size of each in bytes, guard page included.
    pub fn size(&self) -> usize {
        self.slab.size()
    }

    /// From now on stacks of this size keep their memory when they are given back, until [`cool`](Self::cool) is called:
    /// for runtimes, that do so when they have nothing else to do. Ends with [`undefer`](Self::undefer).
    pub fn defer(&self) {
        self.slab.defer();
    }

    /// The end of [`defer`](Self::defer). Memory is given back at once again, and what has been kept meanwhile now.
    pub fn undefer(&self) {
        self.slab.undefer();
    }

    /// Gives back the memory of at most so many free stacks, if there are more of those than are kept. Whether that was
    /// not all.
    #[inline]
    pub fn cool(&self, most: usize) -> bool {
        self.slab.cool(most)
    }

    /// Takes one, the one that was used last if there is one. If it overflows, `user` and `name` say whose it is:
    /// "stack of task `fetch` overflowed".
    ///
    /// It is a boundary: the yielder of a coroutine that was resumed elsewhere refuses to pause from here.
    ///
    /// # Errors
    ///
    /// If the system refuses memory, address space or a guard page. Those that are in use go on working.
    #[inline]
    pub fn take(&self, user: &'static str, name: Option<Box<str>>) -> Result<Stack, StackError<()>> {
        self.take_or(user, name).map_err(|reason| StackError::new(reason, ()))
    }

    #[inline]
    pub(crate) fn take_or(&self, user: &'static str, name: Option<Box<str>>) -> Result<Stack, Reason> {
        let slot = self.slab.take()?;
        let header = header(slot, self.slab.size());
        // SAFETY: the stack is ours and unused; the header lies in its top page, aligned to a line.
        unsafe { header.write(Header { user, name, resumer: Cell::new(ptr::null()) }) };
        Ok(Stack { header, slab: Rc::clone(&self.slab) })
    }
}

/// A stack in use. Goes back to its slab when dropped.
#[derive(Debug)]
pub struct Stack {
    header: NonNull<Header>,
    slab: Rc<Slab>,
}

/// Where a stack lies.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    lowest: usize,
    size: usize,
}

impl Stack {
    /// The address below which the stack is its user's: the beginning of a cache line, and so a multiple of 16.
    #[inline]
    pub fn top(&self) -> usize {
        self.header.as_ptr() as usize
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: written by `take_or`, and dropped with the stack.
        unsafe { self.header.as_ref() }
    }

    /// The lowest address: slots are multiples of their size, which is a power of two.
    #[inline]
    fn slot(&self) -> usize {
        self.top() & !(self.size() - 1)
    }

    /// A place on it.
    #[inline]
    pub(crate) fn at<V>(&self, address: usize) -> *mut V {
        debug_assert!(self.place().contains(address), "invariant: callers look");
        address as *mut V
    }

    /// Says where the stack pointer of the resumer lies: it is a coroutine that runs here.
    ///
    /// # Safety
    ///
    /// It is there and valid whenever something runs on this stack, or is to go on here.
    #[inline]
    pub(crate) unsafe fn lead_back_by(&self, resumer: *const Cell<*mut ()>) {
        self.header().resumer.set(resumer);
    }

    /// Where it lies.
    #[inline]
    pub fn place(&self) -> Place {
        Place { lowest: self.slot(), size: self.size() }
    }

    /// Bytes of address space, guard page included.
    #[inline]
    pub fn size(&self) -> usize {
        self.slab.size()
    }

    /// The most bytes that any coroutine has used of it since its memory was last given back; whole pages.
    pub fn used(&self) -> usize {
        let guard = memory::page();
        let (lowest, len) = (self.slot() + guard, self.size() - guard);
        lowest + len - memory::lowest_resident(lowest, len)
    }

    /// The name that its user has.
    pub fn name(&self) -> Option<&str> {
        self.header().name.as_deref()
    }
}

impl Place {
    /// Whether an address lies on it.
    #[inline(always)]
    pub fn contains(self, address: usize) -> bool {
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
        let slot = self.slot();
        // SAFETY: written by `take_or`, and the last use is here.
        unsafe { self.header.drop_in_place() };
        self.slab.give(slot);
    }
}

#[inline]
fn header(slot: usize, size: usize) -> NonNull<Header> {
    // With the smallest stacks the one that leaves least, so that what has too little room has it in each run.
    let colour = if cfg!(kettle_stress) { COLOURS - 1 } else { slot / size % COLOURS } * LINE;
    let header = (slot + size - colour - size_of::<Header>()) as *mut Header;
    NonNull::new(header).expect("invariant: a stack does not lie at address 0")
}

/// Where the resumer waits of the coroutine on whose stack a stack pointer is. `None` if it is on no coroutine's: a task's,
/// a thread's, or one that did not come from here.
///
/// # Safety
///
/// The stack pointer is that of who calls this, or that of a resumer whose coroutine is being resumed.
pub(crate) unsafe fn resumer_of(stack_pointer: usize) -> Option<usize> {
    let (slot, size) = chunks::find_own(stack_pointer)?;
    // SAFETY: what is called or resumes from there makes it a stack in use, which has a header.
    let cell = unsafe { &header(slot, size).as_ref().resumer };
    // SAFETY: by `lead_back_by`, for the same reason.
    let resumer = unsafe { cell.get().as_ref() }?;
    Some(resumer.get() as usize)
}

/// For the overflow handler: what is in the header of a stack that is in use.
///
/// # Safety
///
/// The slot is one of a stack of this size that is in use.
unsafe fn find_name(slot: usize, size: usize) -> (&'static str, Option<&'static [u8]>) {
    // SAFETY: a stack in use has a header; the process ends before it goes.
    let header = unsafe { header(slot, size).as_ref() };
    (header.user, header.name.as_deref().map(str::as_bytes))
}
