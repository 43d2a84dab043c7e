//! Owns the list of chunks: where the stacks of the process lie, so that one is found by any address in it.
//!
//! Two ask. The handler of overflows does on any thread, in the middle of anything, and may meet a chunk that its thread is
//! just changing. A yield that does not run on its coroutine's own stack asks for chunks of its own thread alone, which
//! nobody changes meanwhile: what it is told is true.
//!
//! The unsafe code of this module is following a list that others write.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// One chunk of stacks. Nodes are never freed; `start` is 0 in one that is vacant.
struct Node {
    /// The thread that has it; see [`this_thread`].
    owner: AtomicUsize,
    start: AtomicUsize,
    end: AtomicUsize,
    stack_size: AtomicUsize,
    next: *const Node,
}

static CHUNKS: AtomicPtr<Node> = AtomicPtr::new(ptr::null_mut());

thread_local! {
    /// The chunk that this thread has found last: the first one that it looks at.
    static LAST: Cell<*const Node> = const { Cell::new(ptr::null()) };
}

/// A number that no other thread has meanwhile.
///
/// One that has ended may have had it, and have left chunks: of coroutines that were forgotten. Those stay as they are for
/// good, and nothing runs on them.
fn this_thread() -> usize {
    LAST.with(|last| ptr::from_ref(last).addr())
}

/// Keeps a chunk in the list.
#[derive(Debug)]
pub(crate) struct Registered(&'static Node);

// The node is a handful of atomics.
impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("start", &self.start).finish_non_exhaustive()
    }
}

// SAFETY: `next` is set before the node is published and never changes; all else is atomic.
unsafe impl Sync for Node {}

impl Node {
    /// The stack of this chunk that an address lies in: its lowest address and its size.
    fn stack_of(&self, address: usize) -> Option<(usize, usize)> {
        let start = self.start.load(Ordering::Acquire);
        if start <= 1 || !(start..self.end.load(Ordering::Relaxed)).contains(&address) {
            return None;
        }
        let size = self.stack_size.load(Ordering::Relaxed);
        Some((start + (address - start) / size * size, size))
    }
}

fn nodes() -> impl Iterator<Item = &'static Node> {
    let mut at: *const Node = CHUNKS.load(Ordering::Acquire);
    std::iter::from_fn(move || {
        // SAFETY: nodes are never freed.
        let node = unsafe { at.as_ref() }?;
        at = node.next;
        Some(node)
    })
}

/// Puts a chunk of this thread into the list.
pub(crate) fn register(start: usize, len: usize, stack_size: usize) -> Registered {
    for node in nodes() {
        // 1 marks a node that is being filled: no address is below it. A handler that has read the old start may see the
        // new end: it takes a fault in a chunk that has gone for one in this, and says a wrong name.
        if node.start.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            node.owner.store(this_thread(), Ordering::Relaxed);
            node.end.store(start + len, Ordering::Relaxed);
            node.stack_size.store(stack_size, Ordering::Relaxed);
            node.start.store(start, Ordering::Release);
            return Registered(node);
        }
    }
    let node = Box::leak(Box::new(Node {
        owner: this_thread().into(),
        start: start.into(),
        end: (start + len).into(),
        stack_size: stack_size.into(),
        next: ptr::null(),
    }));
    let mut head = CHUNKS.load(Ordering::Relaxed);
    loop {
        node.next = head;
        match CHUNKS.compare_exchange_weak(head, node, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return Registered(node),
            Err(now) => head = now,
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.0.owner.store(0, Ordering::Relaxed);
        self.0.end.store(0, Ordering::Relaxed);
        self.0.start.store(0, Ordering::Release);
    }
}

/// The stack that an address lies in, of any thread: its lowest address and its size.
pub(crate) fn find(address: usize) -> Option<(usize, usize)> {
    nodes().find_map(|node| node.stack_of(address))
}

/// The same, if it is one of this thread's.
pub(crate) fn find_own(address: usize) -> Option<(usize, usize)> {
    let this_thread = this_thread();
    // A node that has this thread's number was written by this thread, and is by no other.
    let stack_of = |node: &Node| match node.owner.load(Ordering::Relaxed) == this_thread {
        true => node.stack_of(address),
        false => None,
    };
    // SAFETY: nodes are never freed.
    let last = unsafe { LAST.get().as_ref() };
    last.and_then(stack_of).or_else(|| {
        nodes().find_map(|node| {
            let found = stack_of(node)?;
            LAST.set(node);
            Some(found)
        })
    })
}
