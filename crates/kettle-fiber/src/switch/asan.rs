//! Owns what a switch tells the address sanitizer: which stack it goes to, and that it has arrived.
//!
//! The functions are those of `sanitizer/common_interface_defs.h` and `sanitizer/asan_interface.h`.

use crate::link::Link;
use std::ptr;

/// What the sanitizer keeps of a stack that is left.
pub(super) type Left = *mut ();

unsafe extern "C" {
    fn __sanitizer_start_switch_fiber(left: *mut Left, bottom: *const (), size: usize);
    fn __sanitizer_finish_switch_fiber(left: Left, bottom: *mut *const (), size: *mut usize);
    fn __asan_handle_no_return();
}

/// # Safety
///
/// A switch to the coroutine follows.
pub(super) unsafe fn resume(link: &Link) -> Left {
    let mut left = ptr::null_mut();
    let (bottom, size) = link.left_stack.get();
    // SAFETY: by the obligation.
    unsafe { __sanitizer_start_switch_fiber(&raw mut left, bottom, size) };
    left
}

/// # Safety
///
/// The switch has come back to the stack that was left.
pub(super) unsafe fn resumed(link: &Link, left: Left) {
    let (mut bottom, mut size) = (ptr::null(), 0);
    // SAFETY: by the obligation.
    unsafe { __sanitizer_finish_switch_fiber(left, &raw mut bottom, &raw mut size) };
    // Its own, or that of a coroutine that it has resumed.
    link.left_stack.set((bottom, size));
}

/// # Safety
///
/// A switch to the resumer follows.
pub(super) unsafe fn suspend(link: &Link) -> Left {
    let mut left = ptr::null_mut();
    let (bottom, size) = link.resumer_stack.get();
    // SAFETY: by the obligation.
    unsafe { __sanitizer_start_switch_fiber(&raw mut left, bottom, size) };
    left
}

/// # Safety
///
/// The switch has come to the stack that was left, or to one on which nothing has run: then `left` is null.
pub(super) unsafe fn suspended(link: &Link, left: Left) {
    let (mut bottom, mut size) = (ptr::null(), 0);
    // SAFETY: by the obligation.
    unsafe { __sanitizer_finish_switch_fiber(left, &raw mut bottom, &raw mut size) };
    link.resumer_stack.set((bottom, size));
}

/// # Safety
///
/// A switch to the resumer follows, and nobody comes back.
pub(super) unsafe fn end(link: &Link) {
    // The first function's frame is left without a return. What is marked around its variables would be in the way of who
    // has the stack next.
    // SAFETY: takes marks away, and touches nothing else.
    unsafe { __asan_handle_no_return() };
    let (bottom, size) = link.resumer_stack.get();
    // SAFETY: by the obligation.
    unsafe { __sanitizer_start_switch_fiber(ptr::null_mut(), bottom, size) };
}
