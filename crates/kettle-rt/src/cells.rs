//! Owns the memory that tasks lie in, and what may become one: blocks of a few sizes, cut from chunks, taken last in first out.
//!
//! A block's address stays its own from `take` to `give`, and a steady state of tasks allocates nothing. Chunks stay until
//! the event loop has gone and no task is left, that a handle outlives the loop with.
//!
//! Chunks consist of pages, and a page begins with the address of the cells, so that a block need not know it.
//!
//! ```text
//!  page   │ cells │ block │ block │ … never used │        one size each
//! ```
//!
//! The unsafe code of this module is that of an allocator.

use crate::remote::Mailbox;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::{Cell, RefCell};
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// The sizes of blocks.
const SIZES: [usize; 5] = [64, 128, 192, 512, 2048];

/// What a block is aligned to: a cache line.
const ALIGN: usize = 64;

/// An index into `SIZES`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size(u8);

impl Size {
    /// The least that holds a layout, or the largest if none does: callers look whether it [fits](Self::fits) and box what
    /// doesn't.
    pub(crate) const fn of(layout: Layout) -> Self {
        let mut size = 0;
        while size + 1 < SIZES.len() && SIZES[size] < layout.size() {
            size += 1;
        }
        Self(size as u8)
    }

    /// Whether there is a block for a layout.
    pub(crate) const fn fits(layout: Layout) -> bool {
        layout.size() <= SIZES[SIZES.len() - 1] && layout.align() <= ALIGN
    }

    fn bytes(self) -> usize {
        SIZES[usize::from(self.0)]
    }
}

/// The blocks of one event loop, or of one pool.
pub(crate) struct Cells {
    free: [Cell<*mut Free>; SIZES.len()],
    fresh: [Cell<Fresh>; SIZES.len()],
    chunks: RefCell<Vec<Chunk>>,
    /// How many blocks are taken.
    live: Cell<usize>,
    /// Whether the event loop has gone: who gives the last block back frees all of it.
    orphaned: Cell<bool>,
    /// The loop's, which stays as long as a block does: a waker may be lent by a task whose loop has gone.
    _mailbox: Option<Arc<Mailbox>>,
}

/// What a page begins with, in the place of its first block.
struct Page {
    cells: NonNull<Cells>,
}

/// Memory for blocks of one size: a whole number of pages.
struct Chunk {
    start: NonNull<u8>,
    layout: Layout,
    size: Size,
}

/// What lies in a block that is free.
#[repr(C)]
struct Free {
    next: *mut Free,
    /// 0. What is in a block that is taken has something else as its second word: see [`Cells::taken`].
    mark: usize,
}

/// The part of the last chunk that was never used. It begins with a block, or with a page.
#[derive(Clone, Copy)]
struct Fresh {
    next: *mut u8,
    left: usize,
}

impl Fresh {
    /// What is left when so many bytes of it are used.
    fn without(self, bytes: usize) -> Self {
        Self { next: self.next.wrapping_add(bytes), left: self.left - bytes }
    }
}

const fn layout(size: usize, align: usize) -> Layout {
    match Layout::from_size_align(size, align) {
        Ok(layout) => layout,
        Err(_) => panic!("invariant: a power of two"),
    }
}

/// How large a page is, and what it is aligned to.
const PAGE: usize = 64 * 1024;

/// What chunks are, while there are few of them.
const SMALL: Layout = layout(PAGE, PAGE);

/// What they are when there are many: a huge page each, if the kernel has one.
const LARGE: Layout = layout(2 * 1024 * 1024, 2 * 1024 * 1024);

/// How many small ones there are before that.
const FEW: usize = 32;

impl Cells {
    /// Makes the blocks of an event loop, which lets go of them by [`release`](Self::release).
    pub(crate) fn of_loop(mailbox: Arc<Mailbox>) -> NonNull<Self> {
        Self::keeping(Some(mailbox))
    }

    /// Makes blocks for somebody who frees them by [`discard`](Self::discard).
    pub(crate) fn new() -> NonNull<Self> {
        Self::keeping(None)
    }

    fn keeping(mailbox: Option<Arc<Mailbox>>) -> NonNull<Self> {
        let cells = Self {
            free: [const { Cell::new(ptr::null_mut()) }; SIZES.len()],
            fresh: [const { Cell::new(Fresh { next: ptr::null_mut(), left: 0 }) }; SIZES.len()],
            chunks: RefCell::default(),
            live: Cell::new(0),
            orphaned: Cell::new(false),
            _mailbox: mailbox,
        };
        NonNull::from(Box::leak(Box::new(cells)))
    }

    /// How many blocks are taken.
    pub(crate) fn count(&self) -> usize {
        self.live.get()
    }

    /// Whether a block of this size has been given back and not taken again.
    #[inline]
    pub(crate) fn has_free(&self, size: Size) -> bool {
        !self.free[usize::from(size.0)].get().is_null()
    }

    /// Takes a block, the one that was used last if there is one.
    #[inline]
    pub(crate) fn take(&self, size: Size) -> NonNull<u8> {
        self.live.set(self.live.get() + 1);
        let list = &self.free[usize::from(size.0)];
        match NonNull::new(list.get()) {
            Some(block) => {
                // SAFETY: a block in a list is free, and has a `Free` in it.
                list.set(unsafe { block.as_ref() }.next);
                block.cast()
            }
            None => self.take_fresh(size),
        }
    }

    #[cold]
    fn take_fresh(&self, size: Size) -> NonNull<u8> {
        let fresh = &self.fresh[usize::from(size.0)];
        let mut place = fresh.get();
        if place.left < size.bytes() {
            let mut chunks = self.chunks.borrow_mut();
            let layout = if chunks.len() < FEW { SMALL } else { LARGE };
            // SAFETY: the layout is not of no size.
            let chunk = unsafe { alloc(layout) };
            let Some(chunk) = NonNull::new(chunk) else { handle_alloc_error(layout) };
            if layout == LARGE {
                // SAFETY: advice on pages that are the chunk's alone. Without huge pages it has no effect.
                unsafe { libc::madvise(chunk.as_ptr().cast(), layout.size(), libc::MADV_HUGEPAGE) };
            }
            chunks.push(Chunk { start: chunk, layout, size });
            place = Fresh { next: chunk.as_ptr(), left: layout.size() };
        }
        if place.next.addr().is_multiple_of(PAGE) {
            // SAFETY: the page was never used, and has room for it.
            unsafe { place.next.cast::<Page>().write(Page { cells: NonNull::from(self) }) };
            place = place.without(size.bytes());
        }
        let block = NonNull::new(place.next).expect("invariant: a chunk does not lie at address 0");
        place = place.without(size.bytes());
        let left_of_page = place.next.addr().next_multiple_of(PAGE) - place.next.addr();
        if left_of_page < size.bytes() {
            place = place.without(left_of_page);
        }
        fresh.set(place);
        block
    }

    /// Those that a block was taken from.
    ///
    /// # Safety
    ///
    /// It was, and not given back.
    #[inline]
    pub(crate) unsafe fn of(block: NonNull<u8>) -> NonNull<Self> {
        let page = block.as_ptr().map_addr(|address| address & !(PAGE - 1)).cast::<Page>();
        // SAFETY: chunks are aligned to pages, so the block's page begins there; that was written before.
        unsafe { (*page).cells }
    }

    /// Takes a block back.
    ///
    /// # Safety
    ///
    /// It is of these cells, of this size, and nothing uses it any more.
    #[inline]
    pub(crate) unsafe fn give(this: NonNull<Self>, block: NonNull<u8>, size: Size) {
        // SAFETY: they are there as long as a block of theirs is taken.
        let cells = unsafe { this.as_ref() };
        let list = &cells.free[usize::from(size.0)];
        let free = block.cast::<Free>();
        // SAFETY: the block is free, large enough and aligned.
        unsafe { free.write(Free { next: list.get(), mark: 0 }) };
        list.set(free.as_ptr());
        cells.live.set(cells.live.get() - 1);
        if cells.orphaned.get() && cells.live.get() == 0 {
            // SAFETY: made by a box; the loop has let go, and this was the last block.
            drop(unsafe { Box::from_raw(this.as_ptr()) });
        }
    }

    /// All blocks that are taken.
    ///
    /// # Safety
    ///
    /// Each block that was taken has been written, and its second word is not 0.
    pub(crate) unsafe fn taken(&self) -> Vec<NonNull<u8>> {
        let mut taken = Vec::with_capacity(self.live.get());
        for &Chunk { start, layout, size } in &*self.chunks.borrow() {
            let fresh = self.fresh[usize::from(size.0)].get();
            let places = (0..layout.size()).step_by(PAGE);
            let places = places.flat_map(|page| (0..PAGE / size.bytes()).map(move |index| (page, index)));
            for (page, index) in places {
                // SAFETY: inside the chunk.
                let block = unsafe { start.add(page + index * size.bytes()) };
                // The last chunk of a size ends where it was never used.
                if fresh.left > 0 && block.as_ptr() == fresh.next {
                    break;
                }
                if index == 0 {
                    continue;
                }
                // SAFETY: a block has room for two words.
                let mark = unsafe { block.cast::<usize>().add(1) };
                // SAFETY: it has been used, so there is a `Free`, or by the obligation what was written to it.
                if unsafe { mark.read() } != 0 {
                    taken.push(block);
                }
            }
        }
        taken
    }

    /// Frees them.
    ///
    /// # Safety
    ///
    /// Made by `new`, and nobody uses them any more, nor a block of theirs.
    pub(crate) unsafe fn discard(this: NonNull<Self>) {
        // SAFETY: made by a box; by the obligation.
        drop(unsafe { Box::from_raw(this.as_ptr()) });
    }

    /// Lets go of them: they go with the last block.
    ///
    /// # Safety
    ///
    /// Called once, by the event loop, which uses them no more.
    pub(crate) unsafe fn release(this: NonNull<Self>) {
        // SAFETY: the loop has had them until now.
        let cells = unsafe { this.as_ref() };
        cells.orphaned.set(true);
        if cells.live.get() == 0 {
            // SAFETY: made by a box; nobody uses them any more.
            drop(unsafe { Box::from_raw(this.as_ptr()) });
        }
    }
}

impl Drop for Cells {
    fn drop(&mut self) {
        for chunk in self.chunks.get_mut().drain(..) {
            // SAFETY: allocated with this layout, and no block of it is taken.
            unsafe { dealloc(chunk.start.as_ptr(), chunk.layout) };
        }
    }
}
