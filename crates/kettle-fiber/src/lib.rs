//! Coroutines with stacks of their own: generators that yield from any call depth, and the stacks that make a million of
//! them practical. For Linux on x86_64 and aarch64.
//!
//! ```
//! use kettle_fiber::{Yielder, coroutine};
//!
//! fn hanoi(y: &mut Yielder<(char, char)>, discs: u32, from: char, to: char, by: char) {
//!     if discs > 0 {
//!         hanoi(y, discs - 1, from, by, to);
//!         y.yield_((from, to));
//!         hanoi(y, discs - 1, by, to, from);
//!     }
//! }
//! let moves: Vec<_> = coroutine(|y| hanoi(y, 2, 'a', 'c', 'b')).collect();
//! assert_eq!(moves, [('a', 'b'), ('a', 'c'), ('b', 'c')]);
//! ```
//!
//! They speak the protocol of `kettle-gen`, [`Generator`](kettle_gen::Generator): `resume`, `send`, `throw`, `close`,
//! delegation in O(1), also between the two kinds. [`coroutine`](coroutine()) makes one that owns what it uses;
//! [`scoped`](scoped()) one that borrows, and is gone when its scope ends.
//!
//! A stack is address space; memory is used where it is touched. Its lowest page is a guard: overflowing a stack ends the
//! process with the coroutine's name and what to raise. For that the first stack installs a handler for SIGSEGV and SIGBUS,
//! which passes everything else on to the one before.
//!
//! # Thread-locals
//!
//! All coroutines of a thread see the same thread-locals and run interleaved. Code that keeps a last-in-first-out
//! discipline in a thread-local across a callback (the `scoped-tls` crate and alike) must not be suspended inside it
//! (SAFETY.md, S6).
//!
//! # Modules, in reading order
//!
//! System calls (`memory`), sizes (`class`), where stacks lie (`chunks`), overflows (`overflow`), the stacks of one size (`slab`) and of a thread
//! ([`pool`]), one stack ([`stack`]); how a stack is left for another one ([`link`], [`switch`]); how body and resumer
//! meet (`exchange`, `yielder`); the body (`body`), its owners (`coroutine`, `scoped`) and makers (`builder`).
//!
//! [`stack`], [`link`] and [`switch`] are for those who write runtimes; users of coroutines don't need them.
#![warn(missing_debug_implementations)]

#[cfg(not(all(
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
compile_error!("kettle-fiber is for Linux on x86_64 and aarch64");

mod memory;
mod class;
mod chunks;
mod overflow;
mod slab;
pub mod pool;
pub mod stack;
pub mod link;
pub mod switch;
mod exchange;
mod yielder;
mod body;
mod coroutine;
mod scoped;
mod builder;

pub use builder::{Builder, coroutine, scoped, try_coroutine};
pub use class::{DEFAULT_STACK_SIZE, MIN_STACK_SIZE, StackError};
pub use coroutine::Coroutine;
pub use exchange::is_unwinding;
pub use memory::Guards;
pub use scoped::Scoped;
pub use yielder::Yielder;
