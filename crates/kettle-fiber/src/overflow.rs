//! Owns what happens when a stack overflows: the process ends, and says whose stack it was and what to raise.
//!
//! A stack's lowest page is a guard. Touching it is a SIGSEGV (or SIGBUS), which this module's handler receives on the
//! thread's alternate signal stack. It looks the address up among the chunks that stacks come from; any other fault goes
//! on to the handler that was there before, std's as a rule.
//!
//! The handler may interrupt anything, so all that it reads is atomic or written before the stack is first used.
//! It is installed when the first stack is made: a guard without a handler would be a bare SIGSEGV.

use crate::chunks;
use crate::memory;
use std::cell::Cell;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, Ordering};

/// What a stack's header says to this module: what its user is (`coroutine`, `task`), and its name's bytes. Lies at an
/// address that the chunk's owner computes.
pub(crate) type FindName = unsafe fn(slot: usize, size: usize) -> (&'static str, Option<&'static [u8]>);

/// The stack whose guard page an address lies in: its lowest address and its size.
fn overflowed(address: usize) -> Option<(usize, usize)> {
    chunks::find(address).filter(|&(slot, _)| address - slot < memory::page())
}

/// The handlers that were there before: for SIGSEGV and SIGBUS. Set once, before ours is installed, and kept for good.
static PREVIOUS: [AtomicPtr<libc::sigaction>; 2] = [const { AtomicPtr::new(ptr::null_mut()) }; 2];
static FIND_NAME: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());
const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// Installs the handler, if this is the first time, and sees to the thread's alternate signal stack.
pub(crate) fn install(find_name: FindName) {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        // The handler must not be the first to ask for it.
        memory::page();
        FIND_NAME.store(find_name as *mut (), Ordering::Release);
        for (index, signal) in SIGNALS.into_iter().enumerate() {
            // SAFETY: all zeros is a valid `sigaction`.
            let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
            action.sa_sigaction = handle as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            let previous = Box::leak(Box::new(action));
            // SAFETY: asks for the handler that is there.
            unsafe { libc::sigaction(signal, ptr::null(), previous) };
            PREVIOUS[index].store(previous, Ordering::Release);
            // SAFETY: `handle` is a handler for SA_SIGINFO and does only what a handler may.
            unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
        }
    });
    // Late in the exit of a thread it has gone; an overflow is a bare SIGSEGV then.
    _ = ALTERNATE.try_with(Alternate::ensure);
}

unsafe extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid one to a handler with SA_SIGINFO.
    let fault = unsafe { &*info };
    // SAFETY: SIGSEGV and SIGBUS have an address.
    let address = unsafe { fault.si_addr() } as usize;
    if let Some((slot, size)) = overflowed(address) {
        report(slot, size);
    }
    let index = usize::from(signal == libc::SIGBUS);
    // SAFETY: set before this handler was installed, and never freed.
    let previous = unsafe { &*PREVIOUS[index].load(Ordering::Acquire) };
    match previous.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: restores what was there; the fault happens again and the kernel ends the process.
            unsafe { libc::sigaction(signal, previous, ptr::null_mut()) };
        }
        function if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            type Handler = unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: SA_SIGINFO says that it is of this type.
            let function = unsafe { std::mem::transmute::<usize, Handler>(function) };
            // SAFETY: called as the kernel would have called it.
            unsafe { function(signal, info, context) };
        }
        function => {
            // SAFETY: without SA_SIGINFO it is of this type.
            let function = unsafe { std::mem::transmute::<usize, unsafe extern "C" fn(libc::c_int)>(function) };
            // SAFETY: called as the kernel would have called it.
            unsafe { function(signal) };
        }
    }
}

/// Says whose stack it was and aborts. Allocates nothing, locks nothing.
fn report(slot: usize, size: usize) -> ! {
    let find_name = FIND_NAME.load(Ordering::Acquire);
    // SAFETY: stored by `install` before the handler, from a `FindName`.
    let find_name = unsafe { std::mem::transmute::<*mut (), FindName>(find_name) };
    // SAFETY: the stack is in use: it is the one that overflowed.
    let (user, name) = unsafe { find_name(slot, size) };
    let mut digits = [0_u8; 20];
    write(b"\nstack of ");
    write(user.as_bytes());
    write(b" ");
    match name {
        Some(name) => {
            write(b"`");
            write(name);
            write(b"`");
        }
        None => write(b"<unnamed>"),
    }
    write(b" overflowed: raise `stack_size` above ");
    write(decimal(size / 1024, &mut digits));
    write(b" KiB\n");
    // SAFETY: ends the process.
    unsafe { libc::abort() }
}

fn decimal(mut number: usize, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

fn write(bytes: &[u8]) {
    // SAFETY: `write` may be called by a handler; the bytes are valid.
    unsafe { libc::write(libc::STDERR_FILENO, bytes.as_ptr().cast(), bytes.len()) };
}

thread_local! {
    static ALTERNATE: Alternate = const { Alternate(Cell::new(None)) };
}

/// The alternate signal stack of a thread that std did not make; std's threads have one.
struct Alternate(Cell<Option<memory::Reservation>>);

impl Alternate {
    fn ensure(&self) {
        // SAFETY: all zeros is a valid `stack_t`.
        let mut now: libc::stack_t = unsafe { std::mem::zeroed() };
        // SAFETY: asks for the one that is there.
        unsafe { libc::sigaltstack(ptr::null(), &raw mut now) };
        if now.ss_flags & libc::SS_DISABLE == 0 {
            return;
        }
        let size = (16 * memory::page()).max(libc::SIGSTKSZ);
        // Without memory for it an overflow is a plain SIGSEGV, as without this module.
        if let Ok(reservation) = memory::Reservation::new(size, memory::page()) {
            let stack = libc::stack_t { ss_sp: reservation.start() as *mut _, ss_flags: 0, ss_size: size };
            // SAFETY: the memory is this thread's until `drop` takes it away again.
            unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) };
            self.0.set(Some(reservation));
        }
    }
}

impl Drop for Alternate {
    fn drop(&mut self) {
        if let Some(memory) = self.0.take() {
            // SAFETY: all zeros is a valid `stack_t`.
            let mut none: libc::stack_t = unsafe { std::mem::zeroed() };
            none.ss_flags = libc::SS_DISABLE;
            // SAFETY: takes away the one that `ensure` set.
            unsafe { libc::sigaltstack(&raw const none, ptr::null_mut()) };
            drop(memory);
        }
    }
}
