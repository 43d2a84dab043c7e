//! Owns the switch: how a stack is left for another one, and entered again where it was left.
//!
//! A coroutine is *resumed* by somebody on another stack, and *suspends* itself back to whoever resumed it. Each side
//! keeps three words below its stack pointer while the other runs, and the stack pointer is all that has to be found again:
//!
//! ```text
//!    resumer's stack                       coroutine's stack
//!   │      …         │                    │ Link            │  resumer: the stack pointer on the left
//!   │ its frames     │                    │ first function  │
//!   ├────────────────┤ <─ stack pointer   │ its frames, …   │
//!   │ where to go on │                    ├─────────────────┤ <─ stack pointer, kept by who has the coroutine
//!   │ rbx, rbp       │                    │ where to go on  │
//!   └────────────────┘                    │ rbx, rbp        │
//!                                         └─────────────────┘
//! ```
//!
//! (This is x86_64's layout; that of `aarch64` is a little different.) All other registers are given up by telling the compiler
//! so, which saves those that are worth it where they are.
//!
//! Both directions jump. A `call` one way and a `ret` the other is as fast where a body yields from its own frame, but
//! the processor predicts a `ret` by the calls that it has seen, and below a recursion that yields those are others.
//!
//! A word goes along each way. What it means is for those who switch: the coroutines of this crate, and runtimes, whose
//! tasks have links of their own.
//!
//! A coroutine's first function is called by a trampoline, which tells unwinders how to go on into the resumer: so
//! backtraces show it, and debuggers. Panics don't pass: the first function catches them.
//!
//! Under `--cfg kettle_asan` each switch tells the address sanitizer which stack it goes to.
//!
//! The unsafe code of this module is that of a switch.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(kettle_asan)]
mod asan;

#[cfg(target_arch = "aarch64")]
use aarch64 as arch;
#[cfg(target_arch = "x86_64")]
use x86_64 as arch;

use crate::link::{Link, StackPointer};

/// Makes a stack ready for a first resume. Gives the stack pointer for it.
///
/// # Safety
///
/// `top` is a multiple of 16, and the stack below it is unused and has room for a few words.
#[inline(always)]
pub unsafe fn prepare(top: *mut ()) -> StackPointer {
    // SAFETY: by the obligation.
    unsafe { arch::prepare(top) }
}

/// Resumes a coroutine with a word. Gives the word with which it suspends or ends, and its stack pointer then.
///
/// # Safety
///
/// 1. `stack` is the coroutine's stack pointer: what `prepare` gave, or `resume` when it was left the last time.
/// 2. `link` is its link, and valid. It has not ended.
/// 3. It runs on the thread that it was first resumed on.
#[inline(always)]
pub unsafe fn resume(stack: StackPointer, link: *const Link, word: usize) -> (usize, StackPointer) {
    #[cfg(kettle_asan)]
    // SAFETY: valid by obligation 2; the switch follows.
    let left = unsafe { asan::resume(&*link) };
    // SAFETY: by the obligations.
    let back = unsafe { arch::resume(stack, link, word) };
    #[cfg(kettle_asan)]
    // SAFETY: valid by obligation 2; the switch has come back.
    unsafe {
        asan::resumed(&*link, left);
    }
    back
}

/// Says that a coroutine will be resumed soon, from this stack pointer on: of a stack that has gone cold, what a resume
/// touches first is fetched meanwhile. Any address will do.
#[inline(always)]
pub fn expect(stack: StackPointer) {
    arch::expect(stack);
}

/// Leaves a coroutine, with a word for its resumer. Gives the word of the next resume.
///
/// # Safety
///
/// `link` is that of a coroutine that is being resumed, on whose stack, or on one of a coroutine that it has resumed, this
/// runs.
#[inline(always)]
pub unsafe fn suspend(link: *const Link, word: usize) -> usize {
    #[cfg(kettle_asan)]
    // SAFETY: valid by the obligation; the switch follows.
    let left = unsafe { asan::suspend(&*link) };
    // SAFETY: by the obligation.
    let word = unsafe { arch::suspend(link, word) };
    #[cfg(kettle_asan)]
    // SAFETY: valid by the obligation; the switch has come back.
    unsafe {
        asan::suspended(&*link, left);
    }
    word
}

/// What a first function does first.
///
/// # Safety
///
/// `link` is the one that it was called with.
#[inline(always)]
pub unsafe fn begin(link: *const Link) {
    #[cfg(kettle_asan)]
    // SAFETY: by the obligation; nothing has run on this stack.
    unsafe {
        asan::suspended(&*link, std::ptr::null_mut());
    }
    _ = link;
}

/// Leaves a coroutine for good.
///
/// # Safety
///
/// As of `suspend`, and called by the first function. Nothing that has to be dropped is left on its stack.
#[inline(always)]
pub unsafe fn end(link: *const Link, word: usize) -> ! {
    #[cfg(kettle_asan)]
    // SAFETY: valid by the obligation; the last switch follows.
    unsafe {
        asan::end(&*link);
    }
    // SAFETY: by the obligation.
    unsafe { arch::end(link, word) }
}
