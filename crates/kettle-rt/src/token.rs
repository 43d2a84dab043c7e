//! Owns what the driver and the timers call a task, or a region: its address, in a number.
//!
//! The unsafe code of this module is reading such a number as what it stands for.

use crate::header::{Region, TaskRef};
use kettle_driver::Token;
use std::ptr::{self, NonNull};

/// The mark of a token that names a region. Addresses of tasks and regions are even.
const REGION: u64 = 1;

pub(crate) fn region_token(region: &Region) -> Token {
    Token(ptr::from_ref(region).expose_provenance() as u64 | REGION)
}

pub(crate) fn region_of(token: Token) -> Option<NonNull<Region>> {
    let is_region = token.0 & REGION != 0;
    is_region.then(|| NonNull::new(ptr::with_exposed_provenance_mut((token.0 ^ REGION) as usize))).flatten()
}

#[inline]
pub(crate) fn token(task: TaskRef) -> Token {
    Token(task.header().as_ptr().expose_provenance() as u64)
}

/// # Safety
///
/// The token is that of a task that has not ended.
#[inline]
pub(crate) unsafe fn task_of(token: Token) -> TaskRef {
    let header = NonNull::new(ptr::with_exposed_provenance_mut(token.0 as usize));
    // SAFETY: by the obligation.
    unsafe { TaskRef::new(header.expect("invariant: a token is an address")) }
}
