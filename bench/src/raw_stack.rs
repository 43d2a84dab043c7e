//! Owns the stacks that corosensei is measured on: one mapping, page-aligned tops, no guards, touched when used.

use corosensei::stack::{Stack, StackPointer};
use std::io;
use std::ptr;
use std::rc::Rc;

/// Stacks of equal size in one mapping.
#[derive(Debug)]
pub struct Slab {
    start: usize,
    len: usize,
    size: usize,
}

/// One of them. Whoever makes two coroutines on one stack is on their own: nobody here does.
#[derive(Clone, Debug)]
pub struct RawStack {
    slab: Rc<Slab>,
    index: usize,
}

impl Slab {
    /// Maps `count` stacks of `size` bytes.
    ///
    /// # Panics
    ///
    /// If there is no room for them.
    pub fn new(count: usize, size: usize) -> Rc<Self> {
        let len = count * size;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping, at an address of the kernel's choice.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        assert!(start != libc::MAP_FAILED, "map {count} stacks: {}", io::Error::last_os_error());
        // SAFETY: the mapping is ours. Huge pages would hide what a stack costs; without the advice it works as well.
        unsafe { libc::madvise(start, len, libc::MADV_NOHUGEPAGE) };
        Rc::new(Self { start: start.expose_provenance(), len, size })
    }

    /// One of the stacks.
    pub fn stack(self: &Rc<Self>, index: usize) -> RawStack {
        assert!((index + 1) * self.size <= self.len, "there are not so many stacks");
        RawStack { slab: Rc::clone(self), index }
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        // SAFETY: `new` mapped it, and every stack keeps the slab alive.
        unsafe { libc::munmap(ptr::with_exposed_provenance_mut(self.start), self.len) };
    }
}

// SAFETY: the memory between the two is mapped, readable and writable for as long as this value keeps the slab alive,
// and both are page-aligned. A guard is missing; what runs here stays far from the end.
unsafe impl Stack for RawStack {
    #[inline]
    fn base(&self) -> StackPointer {
        StackPointer::new(self.slab.start + (self.index + 1) * self.slab.size).expect("invariant: not at address 0")
    }

    #[inline]
    fn limit(&self) -> StackPointer {
        StackPointer::new(self.slab.start + self.index * self.slab.size).expect("invariant: not at address 0")
    }
}
