//! A read or write of a stream that has no options allocates nothing.
#![allow(clippy::unwrap_used, reason = "what is unwrapped in vain fails the test")]

mod sockets;

use kettle::thread;
use sockets::pair;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{IoSlice, IoSliceMut, Read, Write};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: the system's allocator, and a number.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn reads_and_writes_allocate_nothing() {
    kettle::run(|| {
        let (mut one, mut other) = pair();
        thread::spawn(move || {
            let (mut a, mut b) = ([0], [0]);
            while let Ok(1..) = other.read_vectored(&mut [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)]) {
                assert_eq!(other.write_vectored(&[IoSlice::new(&a), IoSlice::new(&b)]).unwrap(), 2);
            }
        });
        let mut round = || {
            one.write_all(&[1, 2]).unwrap();
            let mut buf = [0; 2];
            one.peek(&mut buf).unwrap();
            one.read_exact(&mut buf).unwrap();
            assert_eq!(buf, [1, 2]);
        };
        // Queues find their sizes.
        (0..100).for_each(|_| round());
        let before = ALLOCATIONS.get();
        (0..1000).for_each(|_| round());
        assert_eq!(ALLOCATIONS.get(), before);
    });
}
