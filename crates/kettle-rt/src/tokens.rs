//! Owns what tasks and regions are called where a number has to stand for them: by the driver, and by timers.
//!
//! The unsafe code of this module is reading such a number as the task that it stands for.

use crate::alarm::Alarm;
use crate::header::{Region, TaskRef};
use kettle_driver::Token;
use std::ptr::{self, NonNull};

/// The mark of a token that names a region. All that is named lies at a multiple of 4.
const REGION: u64 = 1;

/// The mark of a token that names an alarm.
const ALARM: u64 = 2;

pub(crate) fn region_token(region: &Region) -> Token {
    Token(ptr::from_ref(region).expose_provenance() as u64 | REGION)
}

pub(crate) fn region_of(token: Token) -> Option<NonNull<Region>> {
    let is_region = token.0 & REGION != 0;
    is_region.then(|| NonNull::new(ptr::with_exposed_provenance_mut((token.0 ^ REGION) as usize))).flatten()
}

pub(crate) fn alarm_token(alarm: &Alarm) -> Token {
    Token(ptr::from_ref(alarm).expose_provenance() as u64 | ALARM)
}

pub(crate) fn alarm_of(token: Token) -> Option<NonNull<Alarm>> {
    let is_alarm = token.0 & ALARM != 0;
    is_alarm.then(|| NonNull::new(ptr::with_exposed_provenance_mut((token.0 ^ ALARM) as usize))).flatten()
}

pub(crate) fn token(task: TaskRef) -> Token {
    Token(task.header().as_ptr().expose_provenance() as u64)
}

/// # Safety
///
/// The token is that of a task that has not ended.
pub(crate) unsafe fn task_of(token: Token) -> TaskRef {
    let header = NonNull::new(ptr::with_exposed_provenance_mut(token.0 as usize));
    // SAFETY: by the obligation.
    unsafe { TaskRef::new(header.expect("invariant: a token is an address")) }
}
