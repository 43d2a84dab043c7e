//! Owns the stacks of one size of one thread: where they lie, which are free, which of those are warm.
//!
//! ```text
//!  chunk: a reservation, aligned to the size of its stacks
//!  ├─ stack 0 ─────────────────────┬─ stack 1 ──────────────────── …
//!  │ guard │ …          <── grows  │ header, colour │ guard │ …
//!  slot    slot + page              top
//! ```
//!
//! Addresses below are of the lowest byte of a stack, its *slot*. A free stack is in one of three places:
//! `hot`, last in first out, its memory still there; `cold`, when there are more than are worth keeping, its memory given
//! back; or it is one of the `fresh` ones at the end of the last chunk, never touched and not yet guarded.
//!
//! Memory stays mapped while any stack is in use, also by a coroutine that outlives its thread's pool or was forgotten:
//! each holds the slab.

use crate::chunks::{self, Registered};
use crate::class::{Class, Reason};
use crate::memory::{self, Reservation};
use crate::overflow::{self, FindName};
use std::cell::{Cell, RefCell};

/// No chunk reserves more than this, unless one stack does.
const MOST_CHUNK: usize = 64 << 20;

/// How many stacks the first chunk has room for; each further one has twice as many.
const FIRST_CHUNK: usize = if cfg!(kettle_stress) { 1 } else { 16 };

#[derive(Debug)]
pub(crate) struct Slab {
    class: Class,
    keep: Cell<usize>,
    /// How many runtimes give memory back themselves, when they have nothing else to do.
    deferred: Cell<usize>,
    hot: RefCell<Vec<usize>>,
    cold: RefCell<Vec<usize>>,
    chunks: RefCell<Vec<Chunk>>,
    /// The first slot of the last chunk that was never used.
    fresh: Cell<usize>,
    in_use: Cell<usize>,
    peak: Cell<usize>,
    find_name: FindName,
}

#[derive(Debug)]
struct Chunk {
    // Dropped first: the handler forgets the chunk before it goes.
    _registered: Registered,
    memory: Reservation,
}

/// How many stacks of a slab are where.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) in_use: usize,
    pub(crate) peak: usize,
    pub(crate) hot: usize,
    pub(crate) cold: usize,
    pub(crate) reserved: usize,
}

impl Slab {
    pub(crate) fn new(class: Class, keep: usize, find_name: FindName) -> Self {
        Self {
            class,
            keep: Cell::new(keep),
            deferred: Cell::new(0),
            hot: RefCell::default(),
            cold: RefCell::default(),
            chunks: RefCell::default(),
            fresh: Cell::new(0),
            in_use: Cell::new(0),
            peak: Cell::new(0),
            find_name,
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.class.size()
    }

    /// A free stack, the one that was used last if there is one.
    #[inline]
    pub(crate) fn take(&self) -> Result<usize, Reason> {
        let hot = self.hot.borrow_mut().pop();
        let slot = match hot {
            Some(slot) => slot,
            None => self.take_slow()?,
        };
        let in_use = self.in_use.get() + 1;
        self.in_use.set(in_use);
        if in_use > self.peak.get() {
            self.peak.set(in_use);
        }
        Ok(slot)
    }

    /// Takes a stack back that nothing uses any more.
    #[inline]
    pub(crate) fn give(&self, slot: usize) {
        self.in_use.set(self.in_use.get() - 1);
        let mut hot = self.hot.borrow_mut();
        hot.push(slot);
        if hot.len() > self.most_hot() && self.deferred.get() == 0 {
            self.cool_oldest(&mut hot, usize::MAX);
        }
    }

    /// A quarter more than are kept: they cool together.
    #[inline]
    fn most_hot(&self) -> usize {
        self.keep.get() + self.keep.get() / 4
    }

    /// From now on free stacks keep their memory until [`cool`](Self::cool) is called, until
    /// [`undefer`](Self::undefer) is.
    pub(crate) fn defer(&self) {
        self.deferred.set(self.deferred.get() + 1);
    }

    /// The end of [`defer`](Self::defer).
    pub(crate) fn undefer(&self) {
        self.deferred.set(self.deferred.get() - 1);
        if self.deferred.get() == 0 {
            self.cool(usize::MAX);
        }
    }

    /// Gives back the memory of at most so many free stacks, if there are more of those than are kept. Whether that was
    /// not all.
    #[inline]
    pub(crate) fn cool(&self, most: usize) -> bool {
        let mut hot = self.hot.borrow_mut();
        if hot.len() <= self.most_hot() {
            return false;
        }
        self.cool_oldest(&mut hot, most);
        hot.len() > self.keep.get()
    }

    #[cold]
    fn take_slow(&self) -> Result<usize, Reason> {
        if let Some(slot) = self.cold.borrow_mut().pop() {
            return Ok(slot);
        }
        let failed = |error| Reason::System { bytes: self.size(), error };
        let mut chunks = self.chunks.borrow_mut();
        if chunks.last().is_none_or(|chunk| self.fresh.get() == chunk.memory.start() + chunk.memory.len()) {
            let chunk = self.reserve(chunks.len()).map_err(failed)?;
            self.fresh.set(chunk.memory.start());
            chunks.push(chunk);
        }
        let slot = self.fresh.get();
        if let Some(chunk) = chunks.last_mut() {
            chunk.memory.guard(slot).map_err(failed)?;
        }
        self.fresh.set(slot + self.size());
        Ok(slot)
    }

    /// Reserves a chunk, a smaller one if there is no room for a large one.
    fn reserve(&self, already: usize) -> std::io::Result<Chunk> {
        let size = self.size();
        let mut stacks = (FIRST_CHUNK << already.min(16)).min(MOST_CHUNK / size).max(1);
        loop {
            match Reservation::new(stacks * size, size) {
                Ok(memory) => {
                    overflow::install(self.find_name);
                    let registered = chunks::register(memory.start(), memory.len(), size);
                    return Ok(Chunk { _registered: registered, memory });
                }
                Err(_) if stacks > 1 => stacks /= 2,
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives back the memory of at most so many that are free and not kept: those that were used last are at the end, and
    /// stay.
    ///
    /// Neighbours go in one call, their guards too, which survive it: a call costs as much as ten pages do.
    #[cold]
    fn cool_oldest(&self, hot: &mut Vec<usize>, most: usize) {
        let surplus = hot.len().saturating_sub(self.keep.get()).min(most);
        let mut cold = self.cold.borrow_mut();
        let first = cold.len();
        cold.extend(hot.drain(..surplus));
        let cooled = &mut cold[first..];
        cooled.sort_unstable();
        let (size, guard) = (self.size(), memory::page());
        for neighbours in cooled.chunk_by(|slot, next| slot + size == *next) {
            let start = neighbours[0] + guard;
            // SAFETY: nothing uses these stacks, by `give`; between them are their own guards.
            unsafe { memory::discard(start, neighbours.len() * size - guard) };
        }
    }

    /// Sets how many free stacks keep their memory, and gives back that of the others.
    pub(crate) fn keep(&self, most: usize) {
        self.keep.set(most);
        self.cool_oldest(&mut self.hot.borrow_mut(), usize::MAX);
    }

    pub(crate) fn count(&self) -> Count {
        Count {
            in_use: self.in_use.get(),
            peak: self.peak.get(),
            hot: self.hot.borrow().len(),
            cold: self.cold.borrow().len(),
            reserved: self.chunks.borrow().iter().map(|chunk| chunk.memory.len()).sum(),
        }
    }
}
