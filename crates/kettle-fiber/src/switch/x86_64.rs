//! Owns the switch's instructions for x86_64.
//!
//! ```text
//!   word   rdi    there and back
//!   link   rsi    resume: the link
//!   stack  rdx    resume: the stack pointer to go to;  back in rsi: the one that was left
//! ```
//!
//! What is saved lies below the stack pointer, which stays where it is. Nothing else uses that part of a stack: signal
//! handlers leave out 128 bytes (the ABI's red zone), and the compiler keeps nothing there around assembly that does not
//! say `nostack`.
//!
//! From the change of the stack pointer to the jump the function's unwind tables are wrong, for they count from it. Who
//! unwinds from a signal there, a profiler, is told that it ends there (`lost!`). Anywhere else it goes on by the tables;
//! there is no chain of frame pointers through a coroutine's end.
//!
//! The stack pointer is the first thing that changes. All that the other side does waits for it, and two stores before
//! it cost a fifth of a switch (1.93 ns a round trip became 2.45 on a Zen 5).

use crate::link::{Link, StackPointer};
use std::arch::{asm, naked_asm};
use std::mem::offset_of;

/// From here on nobody knows the way back: the return address is undefined. Without unwind tables, as a build in which panics
/// abort may be, nothing can be said.
macro_rules! lost {
    () => {
        if_unwinding!(".cfi_remember_state\n.cfi_undefined rip")
    };
}

/// The end of that.
macro_rules! found {
    () => {
        if_unwinding!(".cfi_restore_state")
    };
}

#[cfg(panic = "unwind")]
macro_rules! if_unwinding {
    ($directives:literal) => {
        $directives
    };
}

#[cfg(not(panic = "unwind"))]
macro_rules! if_unwinding {
    ($directives:literal) => {
        ""
    };
}

#[inline(always)]
pub(super) unsafe fn prepare(top: *mut ()) -> StackPointer {
    // SAFETY: the stack has room for a word.
    let go_on = unsafe { top.cast::<unsafe extern "C" fn()>().sub(1) };
    // SAFETY: the same.
    unsafe { go_on.write(trampoline) };
    top
}

#[inline(always)]
pub(super) unsafe fn resume(stack: StackPointer, link: *const Link, word: usize) -> (usize, StackPointer) {
    let (back, left);
    // SAFETY: by the caller's obligations the target waits behind `stack`. It comes back to label 2 with this stack
    // pointer, and with rbx and rbp as they are saved here; all other registers are clobbered.
    unsafe {
        asm!(
            "lea rax, [rip + 2f]",
            "mov rcx, rsp",
            lost!(),
            "mov rsp, rdx",
            "mov [rsi + {resumer}], rcx",
            "mov [rcx - 8], rax",
            "mov [rcx - 16], rbx",
            "mov [rcx - 24], rbp",
            // The other side's. A first resume finds nothing of use there, and needs nothing.
            "mov rbx, [rdx - 16]",
            "mov rbp, [rdx - 24]",
            "jmp qword ptr [rdx - 8]",
            found!(),
            // An unwinder that comes from the trampoline looks at this address itself, not at the one before: it must
            // not be the end of the function.
            "2:",
            "nop",
            resumer = const offset_of!(Link, resumer),
            inlateout("rdi") word => back,
            inlateout("rsi") link => left,
            inlateout("rdx") stack => _,
            lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
            clobber_abi("sysv64"),
        );
    }
    (back, left)
}

#[inline(always)]
pub(super) unsafe fn suspend(link: *const Link, word: usize) -> usize {
    let back;
    // SAFETY: by the caller's obligation a resumer waits behind the link. A resume comes back to label 2 with the stack
    // pointer that is left here, and with rbx and rbp as they are saved here; all other registers are clobbered.
    unsafe {
        asm!(
            "lea rax, [rip + 2f]",
            "mov rsi, rsp",
            lost!(),
            "mov rsp, [rdx + {resumer}]",
            "mov [rsi - 8], rax",
            "mov [rsi - 16], rbx",
            "mov [rsi - 24], rbp",
            "mov rbx, [rsp - 16]",
            "mov rbp, [rsp - 24]",
            "jmp qword ptr [rsp - 8]",
            found!(),
            "2:",
            resumer = const offset_of!(Link, resumer),
            inlateout("rdi") word => back,
            inlateout("rdx") link => _,
            lateout("rsi") _,
            lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
            clobber_abi("sysv64"),
        );
    }
    back
}

#[inline(always)]
pub(super) unsafe fn end(link: *const Link, word: usize) -> ! {
    // SAFETY: by the caller's obligation a resumer waits behind the link; nobody comes back here.
    unsafe {
        asm!(
            lost!(),
            "mov rsp, [rdx + {resumer}]",
            "mov rbx, [rsp - 16]",
            "mov rbp, [rsp - 24]",
            "jmp qword ptr [rsp - 8]",
            found!(),
            resumer = const offset_of!(Link, resumer),
            in("rdi") word,
            // Where a stack pointer would be.
            in("rsi") 0_usize,
            in("rdx") link,
            options(noreturn),
        )
    }
}

#[inline(always)]
pub(super) fn expect(stack: StackPointer) {
    // SAFETY: a hint, at any address.
    unsafe {
        asm!(
            // The frame that goes on, and what is saved below it; its variables above.
            "prefetcht0 [{stack} - 8]",
            "prefetcht0 [{stack} + 56]",
            stack = in(reg) stack,
            options(nostack, preserves_flags, readonly),
        );
    }
}

/// Where a first resume comes to: calls the first function.
///
/// Its frame is the last one of the coroutine's stack, and what it says to an unwinder is where the resumer is: `rbp` is
/// the link while the first function runs, and the resumer's stack pointer lies there. Jumping with a return address of
/// our own, and not by `call`, keeps the processor's count of calls and returns even: the first function never returns.
#[unsafe(naked)]
unsafe extern "C" fn trampoline() {
    naked_asm!(
        ".cfi_startproc",
        // Frames may lie at lower addresses than those that they call: debuggers allow that after a signal's.
        ".cfi_signal_frame",
        // The resumer's frame address: what lies at [rsi], and then at [rbp]. In bytes: DW_CFA_def_cfa_expression, 3 long,
        // DW_OP_breg4 (rsi) or DW_OP_breg6 (rbp) + 0, DW_OP_deref; the offset 0 is that of `resumer`.
        ".cfi_escape 0x0f, 3, 0x74, 0, 0x06",
        ".cfi_offset rip, -8",
        ".cfi_offset rbx, -16",
        ".cfi_offset rbp, -24",
        "mov rdx, rsp",
        "mov rbp, rsi",
        ".cfi_escape 0x0f, 3, 0x76, 0, 0x06",
        "lea rax, [rip + 2f]",
        "push rax",
        "jmp qword ptr [rsi + {entry}]",
        "2:",
        // Not reached; the return address has to lie inside of this function.
        "ud2",
        ".cfi_endproc",
        entry = const offset_of!(Link, entry),
    )
}

const _: () = assert!(offset_of!(Link, resumer) == 0);
