//! Owns the list of chunks: where the stacks of the process lie, so that one is found by any address in it.
//!
//! The handler of overflows asks, on any thread, in the middle of anything, and may meet a chunk that its thread is just
//! changing.
//!
//! The unsafe code of this module is following a list that others write.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// One chunk of stacks. Nodes are never freed; `start` is 0 in one that is vacant.
struct Node {
    start: AtomicUsize,
    end: AtomicUsize,
    stack_size: AtomicUsize,
    next: *const Node,
}

static CHUNKS: AtomicPtr<Node> = AtomicPtr::new(ptr::null_mut());

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

/// Puts a chunk into the list.
pub(crate) fn register(start: usize, len: usize, stack_size: usize) -> Registered {
    for node in nodes() {
        // 1 marks a node that is being filled: no address is below it. A handler that has read the old start may see the
        // new end: it takes a fault in a chunk that has gone for one in this, and says a wrong name.
        if node.start.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            node.end.store(start + len, Ordering::Relaxed);
            node.stack_size.store(stack_size, Ordering::Relaxed);
            node.start.store(start, Ordering::Release);
            return Registered(node);
        }
    }
    let node = Box::leak(Box::new(Node {
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
        self.0.end.store(0, Ordering::Relaxed);
        self.0.start.store(0, Ordering::Release);
    }
}

/// The stack that an address lies in, of any thread: its lowest address and its size.
pub(crate) fn find(address: usize) -> Option<(usize, usize)> {
    nodes().find_map(|node| node.stack_of(address))
}
