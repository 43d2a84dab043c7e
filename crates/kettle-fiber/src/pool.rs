//! Owns the stacks of a thread: one slab for each size, and the numbers about them.
//!
//! Coroutines never change thread, so nothing here is shared and nothing is locked.

use crate::class::{CLASSES, Class};
use crate::memory::Guards;
use crate::overflow::FindName;
use crate::slab::Slab;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// How many free stacks of each size keep their memory, unless [`keep`] says otherwise.
pub const DEFAULT_KEEP: usize = if cfg!(kettle_stress) { 1 } else { 1024 };

thread_local! {
    static POOL: Pool = const { Pool { slabs: RefCell::new([const { None }; CLASSES]), keep: Cell::new(DEFAULT_KEEP) } };
}

struct Pool {
    slabs: RefCell<[Option<Rc<Slab>>; CLASSES]>,
    keep: Cell<usize>,
}

/// The slab of this thread for a size.
#[inline]
pub(crate) fn slab(class: Class, find_name: FindName) -> Rc<Slab> {
    let pooled = POOL.try_with(|pool| {
        let mut slabs = pool.slabs.borrow_mut();
        let slab = &mut slabs[class.index()];
        Rc::clone(slab.get_or_insert_with(|| Rc::new(Slab::new(class, pool.keep.get(), find_name))))
    });
    // A coroutine may be made by another thread-local's destructor, when this one has gone.
    pooled.unwrap_or_else(|_| Rc::new(Slab::new(class, 0, find_name)))
}

/// Sets, for this thread, how many free stacks of each size keep their memory.
///
/// When a quarter more are free, those that were used longest ago return their memory to the system together, and will
/// cost page faults when they are used again. The default is [`DEFAULT_KEEP`].
///
/// ```
/// use kettle_fiber::pool;
///
/// pool::keep(16);
/// assert!(pool::usage().iter().all(|size| size.hot <= 16));
/// ```
pub fn keep(most: usize) {
    // A thread-local's destructor may ask when the pool has gone; there is nothing to keep then.
    _ = POOL.try_with(|pool| {
        pool.keep.set(most);
        for slab in pool.slabs.borrow().iter().flatten() {
            slab.keep(most);
        }
    });
}

/// The stacks of one size that this thread has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// The size in bytes, guard page included.
    pub stack_size: usize,
    /// How many belong to a coroutine.
    pub in_use: usize,
    /// The most that have belonged to one at the same time.
    pub peak: usize,
    /// How many are free and keep their memory.
    pub hot: usize,
    /// How many are free and have given their memory back.
    pub cold: usize,
    /// Bytes of address space reserved.
    pub reserved: usize,
}

/// The stacks that this thread has made so far, by size.
///
/// ```
/// use kettle_fiber::{Builder, Yielder, pool};
///
/// let body = |y: &mut Yielder<_>| y.yield_(1);
/// let coroutine = Builder::new().stack_size(128 << 10).coroutine(body).unwrap();
/// let size = pool::usage().into_iter().find(|size| size.stack_size == 128 << 10).unwrap();
/// assert_eq!((size.in_use, size.hot), (1, 0));
/// drop(coroutine);
/// let size = pool::usage().into_iter().find(|size| size.stack_size == 128 << 10).unwrap();
/// assert_eq!((size.in_use, size.hot, size.peak), (0, 1, 1));
/// ```
pub fn usage() -> Vec<Usage> {
    let usage = POOL.try_with(|pool| {
        let slabs = pool.slabs.borrow();
        let usage = slabs.iter().flatten().map(|slab| {
            let count = slab.count();
            Usage {
                stack_size: slab.size(),
                in_use: count.in_use,
                peak: count.peak,
                hot: count.hot,
                cold: count.cold,
                reserved: count.reserved,
            }
        });
        usage.collect()
    });
    usage.unwrap_or_default()
}

/// How this process guards its stacks.
pub fn guards() -> Guards {
    Guards::in_use()
}
