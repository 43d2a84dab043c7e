//! Owns a ring of buffers, from which the kernel takes one for each receive.

use io_uring::IoUring;
use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

/// Buffers of one size, given to the kernel and taken from it in any order.
pub struct Buffers {
    /// Entries of 16 bytes: address, length, number; in the first one, at byte 14, where the last one given is.
    entries: *mut u8,
    bytes: *mut u8,
    count: u16,
    size: usize,
    tail: u16,
}

impl Buffers {
    /// The kernel's number for them.
    pub const GROUP: u16 = 1;

    /// `count` buffers (a power of two), registered with a ring that is dropped before them.
    ///
    /// # Errors
    ///
    /// If the kernel has no such rings.
    pub fn new(ring: &IoUring, count: u16, size: usize) -> io::Result<Self> {
        let entries = map(usize::from(count) * 16)?;
        let bytes = map(usize::from(count) * size)?;
        // SAFETY: the memory is mapped until this is dropped.
        unsafe { ring.submitter().register_buf_ring_with_flags(entries as u64, count, Self::GROUP, 0)? };
        let mut buffers = Self { entries, bytes, count, size, tail: 0 };
        (0..count).for_each(|index| buffers.give(index));
        buffers.publish();
        Ok(buffers)
    }

    /// What a receive has put into a buffer, until that is given back.
    pub fn get(&self, index: u16, length: usize) -> &[u8] {
        debug_assert!(length <= self.size);
        // SAFETY: the kernel has let go of this buffer, and has written that much.
        unsafe { std::slice::from_raw_parts(self.bytes.add(usize::from(index) * self.size), length) }
    }

    /// Puts a buffer at the end of the queue, for the next [`publish`](Self::publish).
    pub fn give(&mut self, index: u16) {
        let at = usize::from(self.tail & (self.count - 1)) * 16;
        // SAFETY: there are `count` buffers.
        let address = unsafe { self.bytes.add(usize::from(index) * self.size) } as u64;
        // SAFETY: there are `count` entries; the kernel reads none that is not published.
        let entry = unsafe { self.entries.add(at) };
        // SAFETY: an entry is 16 bytes, and aligned.
        unsafe { entry.cast::<u64>().write(address) };
        // SAFETY: the same.
        unsafe { entry.add(8).cast::<u32>().write(self.size as u32) };
        // SAFETY: the same.
        unsafe { entry.add(12).cast::<u16>().write(index) };
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel have what has been given.
    pub fn publish(&mut self) {
        // SAFETY: the tail lies there, aligned, and the kernel reads it as an atomic.
        let tail = unsafe { AtomicU16::from_ptr(self.entries.add(14).cast()) };
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: they were mapped by `new`, and the ring is gone.
        unsafe { libc::munmap(self.entries.cast(), usize::from(self.count) * 16) };
        // SAFETY: the same.
        unsafe { libc::munmap(self.bytes.cast(), usize::from(self.count) * self.size) };
    }
}

fn map(length: usize) -> io::Result<*mut u8> {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: memory that nobody has.
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags | libc::MAP_POPULATE, -1, 0) };
    if memory == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(memory.cast()) }
}
