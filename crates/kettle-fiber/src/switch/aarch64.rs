//! Owns the switch's instructions for aarch64.
//!
//! ```text
//!   word   x0    there and back
//!   link   x1    resume: the link
//!   stack  x2    resume: the stack pointer to go to;  back in x1: the one that was left
//! ```
//!
//! What is saved lies above the stack pointer that is kept, for a signal handler may use all that is below:
//!
//! ```text
//!   sp before ──>
//!                   (padding)
//!                   x19
//!                   where to go on     ┐ a frame record, as all functions
//!   sp kept ─────>  x29                ┘ have it at their x29
//! ```

use crate::link::{Link, StackPointer};
use std::arch::{asm, naked_asm};
use std::mem::offset_of;

/// What is saved, in bytes.
const SAVED: usize = 32;

#[inline(always)]
pub(super) unsafe fn prepare(top: *mut ()) -> StackPointer {
    // SAFETY: the stack has room for what is saved.
    let kept = unsafe { top.byte_sub(SAVED) };
    // SAFETY: the same.
    let go_on = unsafe { kept.cast::<unsafe extern "C" fn()>().add(1) };
    // SAFETY: the same.
    unsafe { go_on.write(trampoline) };
    kept
}

#[inline(always)]
pub(super) unsafe fn resume(stack: StackPointer, link: *const Link, word: usize) -> (usize, StackPointer) {
    let (back, left);
    // SAFETY: by the caller's obligations the target waits at `stack`. It comes back to label 2 with the stack pointer
    // that is left here; x19 and x29 are restored, all other registers are clobbered.
    unsafe {
        asm!(
            "adr x3, 2f",
            "stp x29, x3, [sp, #-{saved}]!",
            "str x19, [sp, #16]",
            "mov x4, sp",
            "str x4, [x1, #{resumer}]",
            "ldr x3, [x2, #8]",
            "mov sp, x2",
            "br x3",
            // An unwinder that comes from the trampoline looks at this address itself, not at the one before: it must
            // not be the last of this block.
            "2:",
            "ldr x19, [sp, #16]",
            "ldr x29, [sp], #{saved}",
            saved = const SAVED,
            resumer = const offset_of!(Link, resumer),
            inlateout("x0") word => back,
            inlateout("x1") link => left,
            inlateout("x2") stack => _,
            lateout("x20") _, lateout("x21") _, lateout("x22") _, lateout("x23") _, lateout("x24") _,
            lateout("x25") _, lateout("x26") _, lateout("x27") _, lateout("x28") _,
            clobber_abi("C"),
        );
    }
    (back, left)
}

#[inline(always)]
pub(super) unsafe fn suspend(link: *const Link, word: usize) -> usize {
    let back;
    // SAFETY: by the caller's obligation a resumer waits behind the link. A resume comes back to label 2 with the stack
    // pointer that is left here; x19 and x29 are restored, all other registers are clobbered.
    unsafe {
        asm!(
            "adr x3, 2f",
            "stp x29, x3, [sp, #-{saved}]!",
            "str x19, [sp, #16]",
            "mov x1, sp",
            "ldr x4, [x2, #{resumer}]",
            "ldr x3, [x4, #8]",
            "mov sp, x4",
            "br x3",
            "2:",
            "ldr x19, [sp, #16]",
            "ldr x29, [sp], #{saved}",
            saved = const SAVED,
            resumer = const offset_of!(Link, resumer),
            inlateout("x0") word => back,
            inlateout("x2") link => _,
            lateout("x20") _, lateout("x21") _, lateout("x22") _, lateout("x23") _, lateout("x24") _,
            lateout("x25") _, lateout("x26") _, lateout("x27") _, lateout("x28") _,
            clobber_abi("C"),
        );
    }
    back
}

#[inline(always)]
pub(super) unsafe fn end(link: *const Link, word: usize) -> ! {
    // SAFETY: by the caller's obligation a resumer waits behind the link; nobody comes back here.
    unsafe {
        asm!(
            "ldr x4, [x2, #{resumer}]",
            "ldr x3, [x4, #8]",
            "mov sp, x4",
            "br x3",
            resumer = const offset_of!(Link, resumer),
            in("x0") word,
            // Where a stack pointer would be.
            in("x1") 0_usize,
            in("x2") link,
            options(noreturn),
        )
    }
}

#[inline(always)]
pub(super) fn expect(stack: StackPointer) {
    // SAFETY: a hint, at any address.
    unsafe {
        asm!(
            // What is saved, and the variables of the frame that goes on.
            "prfm pldl1keep, [{stack}]",
            "prfm pldl1keep, [{stack}, #64]",
            stack = in(reg) stack,
            options(nostack, preserves_flags, readonly),
        );
    }
}

/// Where a first resume comes to: calls the first function.
///
/// Its frame is the last one of the coroutine's stack, and what it says to an unwinder is where the resumer is: `x29` is
/// the link while the first function runs, and the stack pointer that the resumer has kept lies there. That is a frame
/// record as well, so that whoever follows `x29` alone gets to the resumer, too.
#[unsafe(naked)]
unsafe extern "C" fn trampoline() {
    naked_asm!(
        ".cfi_startproc",
        // Frames may lie at lower addresses than those that they call: debuggers allow that after a signal's.
        ".cfi_signal_frame",
        // The resumer's frame address: what lies at [x1], and then at [x29], and what is saved there left out. In bytes:
        // DW_CFA_def_cfa_expression, 5 long, DW_OP_breg1 (x1) or DW_OP_breg29 (x29) + 0, DW_OP_deref,
        // DW_OP_plus_uconst 32; the offset 0 is that of `resumer`.
        ".cfi_escape 0x0f, 5, 0x71, 0, 0x06, 0x23, {saved}",
        ".cfi_offset x29, -32",
        ".cfi_offset x30, -24",
        ".cfi_offset x19, -16",
        "add x2, sp, #{saved}",
        "mov sp, x2",
        "mov x29, x1",
        ".cfi_escape 0x0f, 5, 0x8d, 0, 0x06, 0x23, {saved}",
        "ldr x3, [x1, #{entry}]",
        "adr x30, 2f",
        "br x3",
        "2:",
        // Not reached; the return address has to lie inside of this function.
        "brk #1",
        ".cfi_endproc",
        saved = const SAVED,
        entry = const offset_of!(Link, entry),
    )
}

const _: () = assert!(offset_of!(Link, resumer) == 0);
