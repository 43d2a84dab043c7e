//! Owns the system calls that stacks are made of: reserving address space, guarding pages, giving memory back.
//!
//! Guards are `MADV_GUARD_INSTALL` where the kernel has it (Linux 6.13): they cost no mapping of their own, so a million
//! fit. Elsewhere they are `mprotect`, which splits a mapping in two; before the process comes near
//! `vm.max_map_count`, where malloc would fail as well, more of them are refused.

use std::io;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The size of a page. All platforms that this crate runs on are asked at run time.
pub(crate) fn page() -> usize {
    static PAGE: OnceLock<usize> = OnceLock::new();
    *PAGE.get_or_init(|| {
        // SAFETY: a question without side effects.
        usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
    })
}

/// The memory of the machine in bytes: no stack can use more.
pub(crate) fn physical() -> usize {
    static PHYSICAL: OnceLock<usize> = OnceLock::new();
    *PHYSICAL.get_or_init(|| {
        // SAFETY: a question without side effects.
        let pages = unsafe { libc::sysconf(libc::_SC_PHYS_PAGES) };
        usize::try_from(pages).map_or(usize::MAX, |pages| pages.saturating_mul(page()))
    })
}

/// How stacks are guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guards {
    /// `madvise(MADV_GUARD_INSTALL)`: as many as there is memory for.
    Light,
    /// `mprotect(PROT_NONE)`: some thirty thousand a process.
    Mapped,
}

impl Guards {
    /// Which kind this process uses: asked of the kernel once. `KETTLE_GUARDS=mapped` forces the fallback.
    pub fn in_use() -> Self {
        static GUARDS: OnceLock<Guards> = OnceLock::new();
        *GUARDS.get_or_init(|| {
            if std::env::var_os("KETTLE_GUARDS").is_some_and(|word| word == "mapped") {
                return Guards::Mapped;
            }
            match Reservation::new(page(), page()).and_then(|probe| install_guard(probe.start)) {
                Ok(()) => Guards::Light,
                Err(_) => Guards::Mapped,
            }
        })
    }
}

/// Not in the `libc` crate for all targets yet.
const MADV_GUARD_INSTALL: libc::c_int = 102;

/// How many mappings `mprotect` guards have added.
static SPLITS: AtomicUsize = AtomicUsize::new(0);

/// Left to everybody else in the process.
const SPARE_MAPPINGS: usize = 8_192;

fn most_splits() -> usize {
    static MOST: OnceLock<usize> = OnceLock::new();
    *MOST.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
        text.trim().parse().unwrap_or(65_530_usize).saturating_sub(SPARE_MAPPINGS)
    })
}

fn install_guard(start: usize) -> io::Result<()> {
    // SAFETY: callers pass a page of a reservation of theirs.
    check(unsafe { libc::madvise(start as *mut libc::c_void, page(), MADV_GUARD_INSTALL) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Address space of this process that nobody else uses. Unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    start: usize,
    len: usize,
    splits: usize,
}

impl Reservation {
    /// Reserves `len` bytes at a multiple of `align`, a power of two; both are multiples of the page size.
    pub(crate) fn new(len: usize, align: usize) -> io::Result<Self> {
        let extra = align - page();
        let padded = len.checked_add(extra).ok_or(io::ErrorKind::OutOfMemory)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
        // SAFETY: a new mapping, placed by the kernel, disturbs no other.
        let at = unsafe { libc::mmap(ptr::null_mut(), padded, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let (from, start) = (at as usize, (at as usize).next_multiple_of(align));
        unmap(from, start - from);
        unmap(start + len, from + padded - (start + len));
        let this = Self { start, len, splits: 0 };
        // SAFETY: the reservation is ours. A huge page under a stack would make its whole neighbourhood resident.
        // Where the kernel has none this fails, and nothing is lost.
        unsafe { libc::madvise(start as *mut libc::c_void, len, libc::MADV_NOHUGEPAGE) };
        Ok(this)
    }

    pub(crate) fn start(&self) -> usize {
        self.start
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Makes a page of the reservation fault when it is touched.
    pub(crate) fn guard(&mut self, start: usize) -> io::Result<()> {
        debug_assert!((self.start..self.start + self.len).contains(&start), "a guard lies in its reservation");
        if Guards::in_use() == Guards::Light {
            return install_guard(start);
        }
        // One mapping becomes two, of which the guard is one.
        if SPLITS.fetch_add(2, Ordering::Relaxed) + 2 > most_splits() {
            SPLITS.fetch_sub(2, Ordering::Relaxed);
            return Err(io::Error::other("as many guard pages as vm.max_map_count leaves room for"));
        }
        // SAFETY: the page is part of this reservation, and its stack is not in use yet.
        let result = check(unsafe { libc::mprotect(start as *mut libc::c_void, page(), libc::PROT_NONE) });
        match result {
            Ok(()) => self.splits += 2,
            Err(_) => _ = SPLITS.fetch_sub(2, Ordering::Relaxed),
        }
        result
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        unmap(self.start, self.len);
        SPLITS.fetch_sub(self.splits, Ordering::Relaxed);
    }
}

fn unmap(start: usize, len: usize) {
    if len > 0 {
        // SAFETY: callers own the range, and nothing points into it any more.
        unsafe { libc::munmap(start as *mut libc::c_void, len) };
    }
}

/// Gives the memory of a range back to the system; it reads as zeros when it is touched again. Guards stay.
///
/// # Safety
///
/// Nothing in the range is in use.
pub(crate) unsafe fn discard(start: usize, len: usize) {
    // SAFETY: by the obligation.
    unsafe { libc::madvise(start as *mut libc::c_void, len, libc::MADV_DONTNEED) };
}

/// The lowest address of a range that has memory behind it, to the page; its end if none has.
pub(crate) fn lowest_resident(start: usize, len: usize) -> usize {
    let mut pages = vec![0_u8; len / page()];
    // SAFETY: the vector has a byte for each page; the call reads nothing else.
    let result = unsafe { libc::mincore(start as *mut libc::c_void, len, pages.as_mut_ptr()) };
    match pages.iter().position(|flags| flags & 1 == 1) {
        Some(first) if result == 0 => start + first * page(),
        _ => start + len,
    }
}
